//! Looking at a unit directory while nobody uses it: whether all of it is right.

use crate::{UnitDir, UnitDirError};
use diptych_device::{Device, Overlay};
use diptych_dka::{DkaError, Drives};
use diptych_format::{BlockError, BlockMask, LdevId, TrackNo, TrackPool, TrackRange};
use diptych_shared::Volume;
use diptych_unit::{NotWritten, Opened, Plant, StoredTrack, Unit, UnitConfig};

/// The most wrong tracks that are named one by one.
const NAMED_MAX: usize = 1_000;

/// What the drives hold of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedVolume {
    /// The volume.
    pub ldev: LdevId,
    /// Its allocated tracks: all of them were read.
    pub tracks: u64,
    /// Blocks of these.
    pub blocks: u64,
    /// Blocks that the log has, newer than the drive.
    pub in_log_blocks: u64,
    /// Blocks that are wrong on the drive and right in the log.
    pub behind_blocks: u64,
    /// Blocks that are wrong on the drive and not in the log.
    pub wrong_blocks: u64,
    /// Why the drive could not be read to the end.
    pub failed: Option<DkaError>,
}

/// A track that is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WrongTrack {
    /// The volume.
    pub ldev: LdevId,
    /// The track.
    pub track: TrackNo,
    /// Which of its blocks.
    pub blocks: BlockMask,
    /// What is wrong with the first; absent if it cannot be read.
    pub first: Option<BlockError>,
}

/// What all volumes came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Volume by volume.
    pub volumes: Vec<VerifiedVolume>,
    /// The first wrong tracks, at most 1000.
    pub wrong: Vec<WrongTrack>,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_right(&self) -> bool {
        self.volumes.iter().all(|volume| volume.wrong_blocks == 0 && volume.failed.is_none())
    }

    /// Reads every allocated track of every volume of a unit that nobody uses. `progress` hears how
    /// many tracks were read.
    pub fn of(unit: &Unit, plant: &Plant, mut progress: impl FnMut(u64)) -> Self {
        let (mut verified, mut read) = (Self::default(), 0);
        for volume in unit.volumes().iter().filter(|volume| !volume.metadata_only) {
            let of_volume = verified.volume(unit, plant, volume, || {
                read += 1;
                progress(read);
            });
            verified.volumes.push(of_volume);
        }
        verified
    }

    fn volume(
        &mut self,
        unit: &Unit,
        plant: &Plant,
        volume: &Volume,
        mut progress: impl FnMut(),
    ) -> VerifiedVolume {
        let (ldev, blocks_per_track) = (volume.ldev, volume.geometry.blocks_per_track());
        let pool = TrackPool::new(1, volume.geometry.track_bytes());
        let mut sum = VerifiedVolume {
            ldev,
            tracks: 0,
            blocks: 0,
            in_log_blocks: 0,
            behind_blocks: 0,
            wrong_blocks: 0,
            failed: None,
        };
        for track in volume.allocated.runs().flat_map(TrackRange::iter) {
            let StoredTrack { in_log, behind, wrong, first } =
                match unit.stored_track(plant, volume, track, &pool) {
                    Ok(stored) => stored,
                    Err(error) => {
                        sum.failed = Some(error);
                        break;
                    }
                };
            progress();
            sum.tracks += 1;
            sum.blocks += blocks_per_track;
            sum.in_log_blocks += in_log.iter().count() as u64;
            sum.behind_blocks += behind.iter().count() as u64;
            sum.wrong_blocks += wrong.iter().count() as u64;
            if !wrong.is_empty() && self.wrong.len() < NAMED_MAX {
                self.wrong.push(WrongTrack { ldev, track, blocks: wrong, first });
            }
        }
        sum
    }
}

/// Tracks that [`Verified::of`] reads.
pub fn allocated_tracks(unit: &Unit) -> u64 {
    let volumes = unit.volumes();
    let stored = volumes.iter().filter(|volume| !volume.metadata_only);
    stored.map(|volume| volume.allocated.count()).sum()
}

impl UnitDir {
    /// The unit as it would come back, over its files, which stay as they are: whatever it writes stays
    /// in memory.
    ///
    /// # Errors
    ///
    /// As [`recover`](Self::recover).
    pub fn look(&self, config: UnitConfig) -> Result<Opened, UnitDirError> {
        let over = |(number, drive): (usize, &crate::DriveShape)| {
            let device: Box<dyn Device> = Box::new(Overlay::new(self.drive(number)?));
            Ok((drive.dka_no, device))
        };
        let drives: Result<_, UnitDirError> =
            self.shape().drives.iter().enumerate().map(over).collect();
        let (drives, log) = (Drives::new(drives?), Box::new(Overlay::new(self.log()?)));
        Unit::open(config, drives, log, self.log_config())
            .map_err(|source| UnitDirError::Unit { path: self.path().to_owned(), source })
    }

    /// What can be put right without a guess: the unit comes back, so that the log's torn end is given
    /// up, and all that the log has is written to the drives again. Returns how many tracks that were.
    ///
    /// # Errors
    ///
    /// As [`recover`](Self::recover), and if a drive does not take it.
    pub fn repair(&self, config: UnitConfig) -> Result<u64, UnitDirError> {
        let opened = Unit::open(config, self.drives()?, Box::new(self.log()?), self.log_config());
        let Opened { unit, plant, .. } =
            opened.map_err(|source| UnitDirError::Unit { path: self.path().to_owned(), source })?;
        let written = unit.write_out(&plant);
        written.map_err(|NotWritten| UnitDirError::NotWritten { path: self.path().to_owned() })
    }
}
