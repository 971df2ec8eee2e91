//! Writing a slot: in place where nobody else sees it, else in a copy.

use crate::slot::{Content, copy_blocks};
use crate::{Admission, Cache, SlotKey, Wakes};
use diptych_format::{BlockMask, CheckArea, CheckField};
use diptych_sync::{Arc, mutant};

/// A change of a slot that nobody sees before [`Cache::commit_write`].
#[must_use = "a write that is not committed keeps its slot from all others"]
#[derive(Debug)]
pub struct SlotWrite {
    key: SlotKey,
    /// The slot whose content this is; `None` if it is a copy or a new one.
    in_place: Option<u32>,
    content: Content,
    valid: BlockMask,
}

impl SlotWrite {
    /// Which track it is.
    pub fn key(&self) -> SlotKey {
        self.key
    }

    /// The blocks whose data is there.
    pub fn valid(&self) -> BlockMask {
        self.valid
    }

    /// Whether the slot's own buffer is written, not a copy.
    pub fn is_in_place(&self) -> bool {
        self.in_place.is_some()
    }

    /// The buffer. Only the valid blocks mean anything.
    pub fn data(&self) -> &[u8] {
        self.content.data.bytes()
    }

    /// The buffer, to change it.
    ///
    /// # Panics
    ///
    /// If somebody kept a handle of it beyond a pin.
    pub fn data_mut(&mut self) -> &mut [u8] {
        let only = Arc::get_mut(&mut self.content.data);
        only.expect("invariant: nobody reads a buffer that is written").bytes_mut()
    }

    /// Sets the check field of block `index` of the track.
    ///
    /// # Panics
    ///
    /// If the track has no such block.
    pub fn set_check(&mut self, index: u64, field: CheckField) {
        self.checks_mut().set(index, field);
    }

    /// The check fields, to change them.
    ///
    /// # Panics
    ///
    /// If somebody kept a handle of them beyond a pin.
    pub fn checks_mut(&mut self) -> &mut CheckArea {
        let only = Arc::get_mut(&mut self.content.checks);
        only.expect("invariant: nobody reads check fields that are written")
    }
}

impl Cache {
    /// Begins to write a track of `blocks_per_track` blocks (step 909). The caller holds the claim
    /// of the track and writes in place if nobody else has the slot's data, else in a copy, for
    /// which a buffer is taken from the admission.
    ///
    /// # Panics
    ///
    /// If another writer has the slot, or a buffer is needed and the admission has none.
    pub fn begin_write(
        &self,
        key: SlotKey,
        blocks_per_track: u64,
        admission: &mut Admission,
    ) -> SlotWrite {
        let mut shard = self.shard(key);
        let mut old = None;
        if let Some(at) = shard.find(key) {
            let slot = shard.slot_mut(at);
            assert!(!slot.writing, "invariant: a track has one writer");
            let unpinned = slot.pins == 0 || mutant::removed("cow-pin");
            if unpinned && !slot.shared {
                slot.writing = true;
                let content = slot.content.take().expect("nobody writes the slot");
                let valid = slot.valid;
                shard.settle(at);
                drop(shard);
                return SlotWrite { key, in_place: Some(at), content, valid };
            }
            old = Some((slot.content().clone(), slot.valid));
        }
        drop(shard);
        let mut data = self.buffer(admission);
        let mut checks = CheckArea::zeroed(blocks_per_track);
        let mut valid = BlockMask::NONE;
        if let Some((content, blocks)) = old {
            copy_blocks(blocks, &content, data.bytes_mut(), &mut checks);
            valid = blocks;
        }
        let content = Content { data: Arc::new(data), checks: Arc::new(checks) };
        SlotWrite { key, in_place: None, content, valid }
    }

    /// Ends a write: the blocks `written` become valid and dirty at once for all who look.
    ///
    /// # Panics
    ///
    /// If the slot becomes dirty and the admission has no place for it.
    pub fn commit_write(
        &self,
        write: SlotWrite,
        written: BlockMask,
        admission: &mut Admission,
    ) -> Wakes {
        let SlotWrite { key, in_place, content, valid } = write;
        let mut shard = self.shard(key);
        let mut old = None;
        let at = if let Some(at) = in_place {
            shard.slot_mut(at).end_writing(key, content);
            at
        } else if let Some(at) = shard.find(key) {
            old = Some(shard.replace(at, content, valid.or(written)));
            at
        } else {
            shard.insert(key, content, valid.or(written))
        };
        if shard.mark_dirty(at, written, &self.marks, admission.sequence, false) {
            admission.use_dirty();
        }
        drop(shard);
        if in_place.is_some() {
            return Wakes::new(); // nothing was freed
        }
        drop(old);
        self.freed()
    }
}
