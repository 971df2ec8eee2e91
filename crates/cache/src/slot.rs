//! The slot: a cache place for one track.

use crate::QueueNo;
use crate::list::{ListKind, NOWHERE};
use crate::logged::Logged;
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, CHECK_FIELD_BYTES, CheckArea, TrackBuf, TrackNo,
};
use diptych_sync::Arc;

/// Which track a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotKey {
    /// The storage the track belongs to.
    pub backing: BackingId,
    /// The track within it.
    pub track: TrackNo,
}

/// What is known of a slot at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SlotState {
    /// The blocks it holds.
    pub valid: BlockMask,
    /// Of these, the ones that are newer than the drive's.
    pub dirty: BlockMask,
    /// Whether a destage of it is in flight.
    pub destaging: bool,
    /// Whether its present data is pinned.
    pub pinned: bool,
    /// Whether its last destage failed and nobody has asked to try again.
    pub failed: bool,
}

/// The data and the check fields of a slot.
#[derive(Debug, Clone)]
pub(crate) struct Content {
    pub(crate) data: Arc<TrackBuf>,
    pub(crate) checks: Arc<CheckArea>,
}

/// Copies blocks and their check fields.
///
/// # Panics
///
/// If the check areas are of tracks of different sizes.
pub(crate) fn copy_blocks(
    blocks: BlockMask,
    from: &Content,
    data: &mut [u8],
    checks: &mut CheckArea,
) {
    assert_eq!(from.checks.block_count(), checks.block_count(), "one track has one size");
    for run in blocks.runs() {
        let bytes = run.start.0 as usize * BLOCK_BYTES..run.end.0 as usize * BLOCK_BYTES;
        data[bytes.clone()].copy_from_slice(&from.data.bytes()[bytes]);
        let fields =
            run.start.0 as usize * CHECK_FIELD_BYTES..run.end.0 as usize * CHECK_FIELD_BYTES;
        checks.as_bytes_mut()[fields.clone()].copy_from_slice(&from.checks.as_bytes()[fields]);
    }
}

/// A slot of a shard. `content` is away while a writer has it in place, and where the place is free.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) key: SlotKey,
    /// Where it waits for its destage while it is dirty.
    pub(crate) queue: QueueNo,
    pub(crate) content: Option<Content>,
    pub(crate) valid: BlockMask,
    pub(crate) dirty: BlockMask,
    /// Pins of the present content; those of an earlier one are told by `content_no`.
    pub(crate) pins: u32,
    /// Whether the data is in another slot too. It may stay set when the other has gone.
    pub(crate) shared: bool,
    /// Whether a writer has the content.
    pub(crate) writing: bool,
    /// Numbers the content within the shard, never used again; 0 where the place is free.
    pub(crate) content_no: u64,
    /// Counts commits.
    pub(crate) version: u64,
    /// When the slot became dirty, or was first changed since the destage in flight took its
    /// snapshot. A mark is given once. Meaningful on the dirty and the failed list.
    pub(crate) mark: u64,
    /// Numbers the destage in flight within the shard; 0 if there is none.
    pub(crate) destage_no: u64,
    /// The mark of what the destage in flight writes.
    pub(crate) destage_mark: u64,
    pub(crate) logged: Logged,
    pub(crate) list: Option<ListKind>,
    pub(crate) previous: u32,
    pub(crate) next: u32,
    /// Links of [`Siblings`](crate::siblings::Siblings), while the slot is dirty.
    pub(crate) sibling_previous: u32,
    pub(crate) sibling_next: u32,
}

impl Slot {
    pub(crate) fn new(key: SlotKey) -> Self {
        Self {
            key,
            queue: QueueNo::default(),
            content: None,
            valid: BlockMask::NONE,
            dirty: BlockMask::NONE,
            pins: 0,
            shared: false,
            writing: false,
            content_no: 0,
            version: 0,
            mark: 0,
            destage_no: 0,
            destage_mark: 0,
            logged: Logged::default(),
            list: None,
            previous: NOWHERE,
            next: NOWHERE,
            sibling_previous: NOWHERE,
            sibling_next: NOWHERE,
        }
    }

    pub(crate) fn state(&self) -> SlotState {
        SlotState {
            valid: self.valid,
            dirty: self.dirty,
            destaging: self.destage_no != 0,
            pinned: self.pins > 0,
            failed: self.is_failed(),
        }
    }

    /// Whether its last destage failed and nobody has asked to try again.
    pub(crate) fn is_failed(&self) -> bool {
        self.list == Some(ListKind::Failed)
    }

    /// Whether it is to be destaged.
    pub(crate) fn is_queued(&self) -> bool {
        self.list == Some(ListKind::Dirty)
    }

    /// The marks of what is dirty in it: of what is queued, and of what a destage writes. They may
    /// be the same, or one may be of a content that is on the drive: it names nothing any more.
    pub(crate) fn marks(&self) -> [u64; 2] {
        [self.mark, self.destage_mark]
    }

    /// The content, where no writer has it.
    pub(crate) fn content(&self) -> &Content {
        self.content.as_ref().expect("a slot that nobody writes has its content")
    }

    /// A writer gives the content back.
    pub(crate) fn end_writing(&mut self, key: SlotKey, content: Content) {
        assert!(self.writing && self.key == key, "invariant: a slot being written stays in place");
        self.writing = false;
        self.content = Some(content);
    }
}
