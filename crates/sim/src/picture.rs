//! All that a run leaves behind, to be compared with another run's.

use crate::{Driver, SimError};
use bytes::Bytes;
use diptych_cha::{HostOp, HostReply};
use diptych_dka as dka;
use diptych_format::{
    BLOCK_BYTES, BlockNo, CheckArea, LdevId, LogicalAddress, PairId, TrackNo, TrackPool, TrackRange,
};
use diptych_shared::{Pair, PairStatus, TrackMap, Volume};
use diptych_unit::{Effect, Event, Plant, Unit};

/// Volumes, maps and statuses.
///
/// Generations are left out: they say in which order concurrent writes came, which is a driver's
/// own affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The volumes, ascending.
    pub volumes: Vec<VolumePicture>,
    /// The pairs, by number.
    pub pairs: Vec<PairPicture>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumePicture {
    /// Which.
    pub ldev: LdevId,
    /// What a host that reads all of it gets.
    pub seen: HostReply,
    /// Tracks that have storage.
    pub allocated: TrackMap,
    /// What the drive holds of the tracks that have storage.
    pub stored: Vec<StoredTrack>,
}

/// A track on its drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTrack {
    /// Which.
    pub track: TrackNo,
    /// Its user data; `None` if the drive does not read it.
    pub data: Option<Bytes>,
    /// Blocks whose LA or CD is wrong.
    pub bad: Vec<BlockNo>,
}

/// A pair: what does not depend on how fast anything was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairPicture {
    /// Its number.
    pub id: PairId,
    /// The primary.
    pub primary: LdevId,
    /// The secondary.
    pub secondary: LdevId,
    /// Its status.
    pub status: PairStatus,
    /// Its status as it is shown.
    pub shown_as: &'static str,
    /// Still to be copied.
    pub c: TrackMap,
    /// Changes of the primary.
    pub dp: TrackMap,
    /// Changes of the secondary.
    pub ds: TrackMap,
    /// Changes between the images.
    pub a: TrackMap,
}

impl From<Pair> for PairPicture {
    fn from(pair: Pair) -> Self {
        let shown_as = pair.shown_as();
        let Pair { id, primary, secondary, status, c, dp, ds, a, .. } = pair;
        Self { id, primary, secondary, status, shown_as, c, dp, ds, a }
    }
}

impl Picture {
    /// Takes the picture: flushes all volumes, waits until nothing is left to do, and reads them by
    /// host reads and from the drives.
    ///
    /// # Errors
    ///
    /// If a read or a flush is never answered.
    pub fn of<D: Driver>(driver: &mut D) -> Result<Self, SimError> {
        driver.settle();
        let volumes = driver.unit().volumes();
        for volume in &volumes {
            let request = driver.start(HostOp::Flush { ldev: volume.ldev })?;
            driver.finish(request)?;
        }
        driver.settle();
        let pairs = driver.unit().pairs().into_iter().map(PairPicture::from).collect();
        let volumes =
            volumes.iter().map(|v| VolumePicture::of(driver, v.ldev)).collect::<Result<_, _>>()?;
        Ok(Self { volumes, pairs })
    }

    /// The picture of a volume.
    pub fn volume(&self, ldev: LdevId) -> Option<&VolumePicture> {
        self.volumes.iter().find(|volume| volume.ldev == ldev)
    }
}

impl VolumePicture {
    fn of<D: Driver>(driver: &mut D, ldev: LdevId) -> Result<Self, SimError> {
        let volume = driver.unit().volume(ldev).expect("nobody removes volumes meanwhile");
        let stored = stored_tracks(driver.unit(), driver.plant(), &volume);
        let blocks = volume.geometry.all_blocks();
        let request = driver.start(HostOp::Read { ldev, blocks })?;
        let seen = driver.finish(request)?;
        Ok(Self { ldev, seen, allocated: volume.allocated, stored })
    }

    /// Whether all that is stored verifies, and is what hosts see if they may see it.
    pub fn is_consistent(&self) -> bool {
        let HostReply::Data(seen) = &self.seen else {
            return self.stored.iter().all(|track| track.bad.is_empty());
        };
        self.stored.iter().all(|track| {
            let Some(data) = &track.data else { return false };
            let from = track.track.0 as usize * data.len();
            let to = (from + data.len()).min(seen.len());
            track.bad.is_empty() && seen[from..to] == data[..to - from]
        })
    }
}

/// Reads the tracks of a volume from its drive, behind the unit's back: those that have storage.
/// What is dirty in the cache is not there yet.
pub fn stored_tracks(unit: &Unit, plant: &Plant, volume: &Volume) -> Vec<StoredTrack> {
    let Some(home) = unit.home(volume.backing) else { return Vec::new() };
    let pool = TrackPool::new(1, volume.geometry.track_bytes());
    let tracks = volume.allocated.runs().flat_map(TrackRange::iter);
    tracks.map(|track| stored_track(plant, &home, &pool, track)).collect()
}

fn stored_track(plant: &Plant, home: &dka::Home, pool: &TrackPool, track: TrackNo) -> StoredTrack {
    assert!(pool.reserve(1), "one buffer is used at a time");
    let (geometry, place) = (home.geometry(), home.place(track));
    let done = plant.perform(Effect::Disk(dka::Op::Read {
        drive: place.drive,
        sector: place.data,
        data: Some((pool.take_reserved(), 0..geometry.track_bytes())),
        checks: Some(CheckArea::zeroed(geometry.blocks_per_track())),
    }));
    let Event::Disk(dka::Done { result: Ok(()), data: Some(data), checks: Some(checks), .. }) =
        done
    else {
        return StoredTrack { track, data: None, bad: Vec::new() };
    };
    let first = geometry.first_block(track).0;
    let is_bad = |&(index, block): &(u64, &[u8])| {
        let la = LogicalAddress { backing: home.backing(), block: BlockNo(first + index) };
        checks.get(index).verify(block, la).is_err()
    };
    let blocks = (0..).zip(data.bytes().chunks_exact(BLOCK_BYTES));
    let bad = blocks.filter(is_bad).map(|(index, _)| BlockNo(first + index)).collect();
    StoredTrack { track, data: Some(Bytes::copy_from_slice(data.bytes())), bad }
}
