//! What a host is told of a volume: what it is, what is allowed now, and which blocks have storage.

use crate::Mailbox;
use crate::access::access;
use crate::change::bringing;
use crate::core::Core;
use crate::host_read::readable;
use crate::host_write::in_volume;
use diptych_cha::{ALLOCATION_RUNS_MAX, AllocatedRun, Forbidden, HostError, Tried, VolumeFacts};
use diptych_format::{BlockRange, LdevId, TrackNo, TrackRange};
use diptych_shared::{FamilyState, TrackMap, Volume, VolumeState};

/// What the volume is, and what a host may do with it now.
pub(crate) fn describe(core: &Core, ldev: LdevId) -> Result<VolumeFacts, HostError> {
    // What was changed and not recorded was never so.
    if core.journal.has_failed() {
        return Err(HostError::Stopping);
    }
    let facts = |family: &mut FamilyState| family.volume(ldev).map(|of| facts(family, of));
    core.shared.with_family(ldev, facts).ok().flatten().ok_or(HostError::NoVolume { ldev })
}

fn facts(family: &FamilyState, volume: &Volume) -> VolumeFacts {
    let forbids = |tried| forbidden(access(family, volume, tried));
    VolumeFacts {
        ldev: volume.ldev,
        block_count: volume.geometry.block_count(),
        blocks_per_track: volume.geometry.blocks_per_track(),
        contents_defined: !volume.undefined,
        blocked: volume.state == VolumeState::Blocked,
        reserved: volume.reserved,
        read: forbids(Tried::Read),
        write: forbids(Tried::Write),
    }
}

/// Why not, if access is refused.
pub(crate) fn forbidden(access: Result<(), HostError>) -> Option<Forbidden> {
    match access {
        Err(HostError::Access { why, .. }) => Some(why),
        _ => None,
    }
}

/// Which of these blocks have storage.
pub(crate) async fn allocation(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    blocks: BlockRange,
) -> Result<Vec<AllocatedRun>, HostError> {
    let shape = core.shape(ldev)?;
    let blocks = in_volume(shape, ldev, blocks.start, blocks.count())?;
    let look = |family: &mut FamilyState| {
        let volume = readable(core, family, ldev, shape)?;
        Ok(runs(&Maps::of(family, volume), volume, blocks))
    };
    let runs = core.shared.with_family(ldev, look).map_err(|_| HostError::NoVolume { ldev })??;
    // A track that just lost its storage may have it again if the process dies here.
    core.journal.append_seen(m).await.map_err(|error| error.host_error(ldev))?;
    Ok(runs)
}

/// The maps that say which tracks have storage, as a host sees them.
struct Maps<'a> {
    own: &'a TrackMap,
    /// The tracks that the volume lacks yet, and the storage of the volume that they are copied from.
    brought: Option<(&'a TrackMap, &'a TrackMap)>,
}

impl<'a> Maps<'a> {
    fn of(family: &'a FamilyState, volume: &'a Volume) -> Self {
        let brought = bringing(family, volume.ldev)
            .and_then(|pair| Some((&pair.c, &family.volume(pair.direction().0)?.allocated)));
        Self { own: &volume.allocated, brought }
    }

    /// The map that counts for a track.
    fn at(&self, track: TrackNo) -> &TrackMap {
        match self.brought {
            Some((c, source)) if c.get(track) => source,
            _ => self.own,
        }
    }

    /// Whether the track has storage, and the first track where that may be otherwise.
    fn run(&self, track: TrackNo) -> (bool, Option<TrackNo>) {
        let flips = |map: &TrackMap| match map.get(track) {
            true => map.next_clear(track),
            false => map.next_set(track),
        };
        let map = self.at(track);
        let other = self.brought.and_then(|(c, _)| flips(c));
        (map.get(track), flips(map).into_iter().chain(other).min())
    }
}

/// Runs in turn. So that a map of many small runs does not hold the family up, at most
/// [`ALLOCATION_RUNS_MAX`] pieces are looked at.
fn runs(maps: &Maps<'_>, volume: &Volume, blocks: BlockRange) -> Vec<AllocatedRun> {
    let geometry = volume.geometry;
    let tracks = geometry.tracks_of(blocks);
    let mut runs: Vec<AllocatedRun> = Vec::new();
    let mut track = tracks.start;
    for _ in 0..ALLOCATION_RUNS_MAX {
        if track >= tracks.end {
            break;
        }
        let (allocated, next) = maps.run(track);
        let end = next.map_or(tracks.end, |next| next.min(tracks.end));
        let of_tracks = TrackRange { start: track, end };
        let run = BlockRange {
            start: geometry.first_block(of_tracks.start),
            end: geometry.first_block(of_tracks.end),
        };
        let run = run.intersection(blocks);
        match runs.last_mut().filter(|last| last.allocated == allocated) {
            Some(last) => last.blocks.end = run.end,
            None => runs.push(AllocatedRun { blocks: run, allocated }),
        }
        track = end;
    }
    runs
}
