//! Step 909: a change goes into the cache.

use crate::core::slot;
use crate::held::Under;
use diptych_drr::{DATA_CODE_OF_ZEROS, TrackPlace, seal_blocks, seal_zeros};
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, BlockRange, CheckArea, Generation, Geometry, TrackNo,
    TrackRange,
};
use diptych_sync::Arc;

/// The slots of one backing.
pub(crate) struct Slots {
    pub(crate) geometry: Geometry,
    pub(crate) backing: BackingId,
    /// Of the change.
    pub(crate) generation: Generation,
}

/// A part of one track, and what it becomes.
struct Part<'a> {
    track: TrackNo,
    blocks: BlockRange,
    data: &'a [u8],
    codes: &'a [u32],
    generation: Generation,
}

impl Slots {
    /// Writes data whose blocks have these codes. Tracks in `fresh` had no storage: around the data
    /// they become zero.
    pub(crate) fn write(
        &self,
        under: &mut Under<'_>,
        blocks: BlockRange,
        data: &[u8],
        codes: &[u32],
        fresh: &[TrackNo],
    ) {
        let mut done = 0;
        let generation = self.generation;
        for track in self.geometry.tracks_of(blocks).iter() {
            let blocks = self.geometry.within(track, blocks);
            let next = done + blocks.count() as usize;
            let data = &data[done * BLOCK_BYTES..next * BLOCK_BYTES];
            let part = Part { track, blocks, data, codes: &codes[done..next], generation };
            let whole = blocks.count() == self.geometry.blocks_per_track();
            if whole || fresh.contains(&track) {
                self.swap_in(under, &part, whole);
            } else {
                self.write_part(under, &part);
            }
            done = next;
        }
        under.note_dirty();
    }

    /// Writes zeros over parts of tracks, and drops the slots of whole ones, which have no storage
    /// any more.
    pub(crate) fn clear(&self, under: &mut Under<'_>, blocks: BlockRange, fresh: &[TrackNo]) {
        let generation = self.generation;
        for track in self.geometry.tracks_of(blocks).iter() {
            let blocks = self.geometry.within(track, blocks);
            let count = blocks.count() as usize;
            if blocks.count() == self.geometry.blocks_per_track() {
                let one = Some(TrackRange::one(track));
                under.m.wake(under.core.cache.purge(self.backing, one));
            } else if !fresh.contains(&track) {
                let (data, codes) = (vec![0; count * BLOCK_BYTES], vec![DATA_CODE_OF_ZEROS; count]);
                let part = Part { track, blocks, data: &data, codes: &codes, generation };
                self.write_part(under, &part);
            }
        }
        under.note_dirty();
    }

    fn place(&self, track: TrackNo) -> TrackPlace {
        TrackPlace {
            backing: self.backing,
            first_block: self.geometry.first_block(track),
            block_count: self.geometry.blocks_per_track(),
        }
    }

    /// The whole track is new: a buffer is swapped in.
    fn swap_in(&self, under: &mut Under<'_>, part: &Part<'_>, whole: bool) {
        let place = self.place(part.track);
        let mut buf = under.room.buffer();
        let data = &mut buf.bytes_mut()[..self.geometry.track_bytes()];
        let mut checks = if whole {
            CheckArea::zeroed(place.block_count)
        } else {
            data.fill(0);
            seal_zeros(place, part.generation)
        };
        let at = part.blocks.start.0 as usize * BLOCK_BYTES;
        data[at..at + part.data.len()].copy_from_slice(part.data);
        seal_blocks(part.codes, place, part.blocks.start.0, part.generation, &mut checks);
        let valid = BlockMask::first(place.block_count);
        let (key, data, checks) = (slot(self.backing, part.track), Arc::new(buf), Arc::new(checks));
        let admission = under.room.admission();
        under.m.wake(under.core.cache.put(key, data, checks, valid, true, false, admission));
    }

    /// Some blocks of the track change; the others stay, in the slot or on the drive.
    fn write_part(&self, under: &mut Under<'_>, part: &Part<'_>) {
        let place = self.place(part.track);
        let (cache, admission) = (&under.core.cache, under.room.admission());
        let key = slot(self.backing, part.track);
        let mut write = cache.begin_write(key, place.block_count, admission);
        let at = part.blocks.start.0 as usize * BLOCK_BYTES;
        write.data_mut()[at..at + part.data.len()].copy_from_slice(part.data);
        let checks = write.checks_mut();
        seal_blocks(part.codes, place, part.blocks.start.0, part.generation, checks);
        under.m.wake(cache.commit_write(write, BlockMask::of(part.blocks), admission));
    }
}
