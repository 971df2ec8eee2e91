//! A pin: a look at a slot that no writer disturbs.

use crate::SlotKey;
use crate::slot::Content;
use diptych_format::{BlockMask, CheckArea, TrackBuf};
use diptych_sync::Arc;

/// A look at a slot, as it was when it was pinned: a later write makes a copy.
///
/// Give it back with [`Cache::unpin`](crate::Cache::unpin); a pin that is merely dropped keeps its
/// slot from being evicted and from being written in place.
#[must_use = "a pin that is not given back keeps its slot for ever"]
#[derive(Debug)]
pub struct Pin {
    pub(crate) place: Place,
    pub(crate) content: Content,
    pub(crate) valid: BlockMask,
    pub(crate) dirty: BlockMask,
    pub(crate) logged: u64,
}

/// Where a pinned slot was, and which of its contents is pinned.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) key: SlotKey,
    pub(crate) at: u32,
    pub(crate) content_no: u64,
}

impl Pin {
    /// Which track it is.
    pub fn key(&self) -> SlotKey {
        self.place.key
    }

    /// The track's buffer. Only the valid blocks mean anything.
    pub fn data(&self) -> &[u8] {
        self.content.data.bytes()
    }

    /// Another handle of the buffer. It must be gone before the pin is given back, unless it is put
    /// into another slot and this one is [marked shared](crate::Cache::mark_shared).
    pub fn handle(&self) -> Arc<TrackBuf> {
        self.content.data.clone()
    }

    /// The check fields. Only those of valid blocks mean anything.
    pub fn checks(&self) -> &CheckArea {
        &self.content.checks
    }

    /// Another handle of the check fields, under the same rule.
    pub fn checks_handle(&self) -> Arc<CheckArea> {
        self.content.checks.clone()
    }

    /// The blocks that were valid.
    pub fn valid(&self) -> BlockMask {
        self.valid
    }

    /// The blocks that were dirty.
    pub fn dirty(&self) -> BlockMask {
        self.dirty
    }

    /// The last record of what was dirty in it, to be durable before the data gets to a drive; 0 if
    /// there is none.
    pub fn logged(&self) -> u64 {
        self.logged
    }
}
