//! Data: what the log says of each track, put back into the cache.

use super::RecoveryError;
use crate::Plant;
use crate::core::{Core, slot};
use crate::record::DataRecord;
use bytes::Bytes;
use diptych_cache::Admit;
use diptych_dka::{self as dka, TrackWrite, write_track};
use diptych_drr::{DATA_CODE_OF_ZEROS, TrackPlace, data_codes, seal_blocks};
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, BlockNo, BlockRange, DriveNo, Generation, Geometry, OwnerId,
    TrackNo,
};
use diptych_log::Sequence;
use diptych_shared::Volume;
use diptych_sync::Arc;
use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::task::{Context, Poll, Waker};

/// Nobody else is there yet.
const OWNER: OwnerId = OwnerId(0);

/// Blocks of a backing, and what they become.
#[derive(Debug, Clone)]
struct Piece {
    sequence: Sequence,
    blocks: BlockRange,
    generation: Generation,
    /// Zeros, if there is none.
    data: Option<Bytes>,
}

/// What the log says of each backing, in its order.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    of_backing: BTreeMap<BackingId, Vec<Said>>,
}

#[derive(Debug)]
enum Said {
    Is(Piece),
    /// Of several backings.
    Are(Arc<Vec<Piece>>),
    Nothing(BlockRange),
}

impl Tracks {
    pub(super) fn add(&mut self, sequence: Sequence, record: DataRecord) {
        let mut say = |backing, said| self.of_backing.entry(backing).or_default().push(said);
        match record {
            DataRecord::Blocks { backing, blocks, generation, data } => {
                say(backing, Said::Is(Piece { sequence, blocks, generation, data }));
            }
            DataRecord::Discard { backing, blocks } => say(backing, Said::Nothing(blocks)),
            DataRecord::Copy { backings, first, generations, data } => {
                let mut start = first;
                let piece = |(count, generation): (u16, Generation)| {
                    let blocks = BlockRange::new(start, count.into());
                    let from = (start.0 - first.0) as usize * BLOCK_BYTES;
                    let data = data.slice(from..from + usize::from(count) * BLOCK_BYTES);
                    start = blocks.end;
                    Piece { sequence, blocks, generation, data: Some(data) }
                };
                let pieces = Arc::new(generations.into_iter().map(piece).collect());
                for backing in backings {
                    say(backing, Said::Are(Arc::clone(&pieces)));
                }
            }
        }
    }

    /// Puts all of it that is still of a volume into the cache. Returns how many tracks that are.
    pub(super) fn install(
        self,
        core: &Core,
        plant: &Plant,
        volumes: &[Volume],
    ) -> Result<u64, RecoveryError> {
        let (mut installed, mut destaged) = (0, BTreeSet::new());
        for (backing, said) in self.of_backing {
            let of_backing = |volume: &&Volume| volume.backing == backing && !volume.metadata_only;
            let Some(volume) = volumes.iter().find(of_backing) else {
                continue; // the volume was removed
            };
            for (track, pieces) in by_track(volume.geometry, said) {
                if !pieces.is_empty() && volume.allocated.get(track) {
                    let tracks = installed + 1;
                    install(core, plant, volume, track, &pieces, &mut destaged)
                        .map_err(|_| RecoveryError::Cache { tracks })?;
                    installed += 1;
                }
            }
        }
        // What is clean is durable on its drive.
        let flush = |drive| plant.drives().perform(dka::Op::Flush { drive }).result;
        match destaged.into_iter().try_for_each(flush) {
            Ok(()) => Ok(installed),
            Err(_) => Err(RecoveryError::Cache { tracks: installed }),
        }
    }
}

/// What counts of each track.
fn by_track(geometry: Geometry, said: Vec<Said>) -> BTreeMap<TrackNo, Vec<Piece>> {
    let mut tracks: BTreeMap<TrackNo, Vec<Piece>> = BTreeMap::new();
    for said in said {
        match said {
            Said::Nothing(blocks) => {
                let gone = geometry.tracks_of(blocks.intersection(geometry.all_blocks()));
                let found: Vec<TrackNo> =
                    tracks.range(gone.start..gone.end).map(|(track, _)| *track).collect();
                found.iter().for_each(|track| drop(tracks.remove(track)));
            }
            Said::Is(piece) => put(geometry, &mut tracks, &piece),
            Said::Are(pieces) => pieces.iter().for_each(|piece| put(geometry, &mut tracks, piece)),
        }
    }
    tracks
}

fn put(geometry: Geometry, tracks: &mut BTreeMap<TrackNo, Vec<Piece>>, piece: &Piece) {
    let all = piece.blocks.intersection(geometry.all_blocks());
    for track in geometry.tracks_of(all).iter() {
        tracks.entry(track).or_default().push(part_of(geometry, track, piece));
    }
}

/// The part of a piece that lies in a track.
fn part_of(geometry: Geometry, track: TrackNo, piece: &Piece) -> Piece {
    let start = geometry.first_block(track);
    let whole = BlockRange::new(start, geometry.blocks_per_track());
    let blocks = piece.blocks.intersection(whole);
    let bytes = |block: BlockNo| (block.0 - piece.blocks.start.0) as usize * BLOCK_BYTES;
    let data = piece.data.as_ref().map(|data| data.slice(bytes(blocks.start)..bytes(blocks.end)));
    Piece { blocks, data, ..*piece }
}

/// A driver that does what is asked at once: nobody else is there yet.
pub(super) struct AtOnce<'a>(pub(super) &'a Plant);

impl dka::Port for AtOnce<'_> {
    async fn perform(&self, op: dka::Op) -> dka::Done {
        self.0.drives().perform(op)
    }

    async fn perform_all(&self, ops: Vec<dka::Op>) -> Vec<dka::Done> {
        ops.into_iter().map(|op| self.0.drives().perform(op)).collect()
    }
}

/// A drive does not take what is dirty.
pub(super) struct CannotMakeRoom;

/// Destages the track that was put into the cache first. Its records were durable when the log was
/// opened.
pub(super) fn make_room(core: &Core, plant: &Plant) -> Result<DriveNo, CannotMakeRoom> {
    let snapshot = core.cache.next_dirty(None).ok_or(CannotMakeRoom)?;
    let home = core.home(snapshot.key().backing);
    let write = TrackWrite {
        data: snapshot.handle(),
        checks: snapshot.checks_handle(),
        valid: snapshot.valid(),
        dirty: snapshot.dirty(),
    };
    let port = AtOnce(plant);
    let written = pin!(write_track(&port, &home, snapshot.key().track, write));
    let Poll::Ready(written) = written.poll(&mut Context::from_waker(Waker::noop())) else {
        panic!("all that it asks for is done at once");
    };
    drop(core.cache.destage_done(snapshot, written.is_ok()));
    written.map(|()| home.drive()).map_err(|_| CannotMakeRoom)
}

/// Puts a track into the cache, as dirty as it was.
fn install(
    core: &Core,
    plant: &Plant,
    volume: &Volume,
    track: TrackNo,
    pieces: &[Piece],
    destaged: &mut BTreeSet<DriveNo>,
) -> Result<(), CannotMakeRoom> {
    let cache = &core.cache;
    let mut admission = loop {
        match cache.admit(OWNER, 1, 1) {
            Ok(Admit::Granted(admission)) => break admission,
            Ok(Admit::Queued) => drop(cache.cancel(OWNER)),
            Err(_) => return Err(CannotMakeRoom),
        }
        destaged.insert(make_room(core, plant)?);
    };
    let Volume { backing, geometry, .. } = *volume;
    let first_block = geometry.first_block(track);
    let place = TrackPlace { backing, first_block, block_count: geometry.blocks_per_track() };
    let first = pieces.iter().map(|piece| piece.sequence).min();
    admission.logged_as(first.map_or(0, |sequence| sequence.0));
    let mut write = cache.begin_write(slot(backing, track), place.block_count, &mut admission);
    let mut written = BlockMask::NONE;
    let mut codes = Vec::new();
    for Piece { blocks, generation, data, .. } in pieces {
        let index = blocks.start.0 - first_block.0;
        let bytes =
            index as usize * BLOCK_BYTES..(blocks.end.0 - first_block.0) as usize * BLOCK_BYTES;
        codes.clear();
        match data {
            Some(data) => {
                write.data_mut()[bytes].copy_from_slice(data);
                data_codes(data, &mut codes);
            }
            None => {
                write.data_mut()[bytes].fill(0);
                codes.resize(blocks.count() as usize, DATA_CODE_OF_ZEROS);
            }
        }
        seal_blocks(&codes, place, index, *generation, write.checks_mut());
        written = written.or(BlockMask::of(BlockRange::new(BlockNo(index), blocks.count())));
    }
    drop(cache.commit_write(write, written, &mut admission));
    drop(cache.return_room(admission));
    Ok(())
}
