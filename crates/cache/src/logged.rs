//! Where the records of what is dirty stand in a log: what a destage has to wait for, and what the log
//! cannot give up.

use crate::shard::Shard;
use crate::{Admission, Cache, SlotKey};
use diptych_sync::Mutex;

/// Sequences of the records of a slot's dirty data; 0 is none. One that is wrong is too low, where the
/// log keeps more than it must: never too high.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Logged {
    /// The last record of what is in the slot.
    pub(crate) last: u64,
    /// The first record of what was written since the destage in flight took its snapshot, or since
    /// the slot became dirty.
    first: u64,
    /// The first record of what the destage in flight writes.
    destage_first: u64,
}

/// The lower of two sequences, of which either may be none.
fn lower(one: u64, other: u64) -> u64 {
    match (one, other) {
        (0, only) | (only, 0) => only,
        (one, other) => one.min(other),
    }
}

impl Logged {
    /// Data with this record was written into the slot. `whole`: over all that was dirty in it.
    #[inline]
    pub(crate) fn write(&mut self, sequence: u64, whole: bool) {
        if sequence == 0 {
            return;
        }
        self.last = self.last.max(sequence);
        self.first = if whole { sequence } else { lower(self.first, sequence) };
    }

    /// A destage took its snapshot: what is written from now on is not in it.
    pub(crate) fn begin_destage(&mut self) {
        self.destage_first = std::mem::take(&mut self.first);
    }

    /// The destage was written, the slot was changed meanwhile.
    pub(crate) fn end_written(&mut self) {
        self.destage_first = 0;
    }

    /// The destage was not written: all since its own first record is needed.
    pub(crate) fn end_unwritten(&mut self) {
        self.first = lower(self.first, std::mem::take(&mut self.destage_first));
    }

    /// All that is dirty has records again, between these.
    pub(crate) fn again(&mut self, first: u64, last: u64) {
        (self.first, self.last) = (first, self.last.max(last));
    }

    /// The first record of what is not on the drive.
    pub(crate) fn oldest(&self) -> Option<u64> {
        Some(lower(self.first, self.destage_first)).filter(|&oldest| oldest != 0)
    }
}

impl Admission {
    /// What is written under this admission from now on has its record at this sequence of the log:
    /// by [`Cache::put`] dirty, a record of the whole track; by [`Cache::commit_write`], of the blocks
    /// written. 0, as at first: it has none.
    pub fn logged_as(&mut self, sequence: u64) {
        self.sequence = sequence;
    }
}

impl Cache {
    /// The first record of the log that a dirty slot, or one being destaged or failed, still needs. What
    /// was purged or dropped needs none.
    ///
    /// A slot that a destage made clean is not looked at, whether its drive was flushed or not: who
    /// gives up what is before the answer flushes the drives in between. Nor is data whose record
    /// stands in the log and which no slot has yet.
    pub fn oldest_logged(&self) -> Option<u64> {
        self.shards.iter().filter_map(|shard| shard.lock().oldest_logged()).min()
    }

    /// The failed slots that need records older than `before`, ascending. Nothing but an operator makes
    /// them clean, so they would hold the log's beginning for ever.
    pub fn failed_before(&self, before: u64) -> Vec<SlotKey> {
        let of_shard = |shard: &Mutex<Shard>| shard.lock().failed_before(before);
        let mut keys: Vec<SlotKey> = self.shards.iter().flat_map(of_shard).collect();
        keys.sort_unstable();
        keys
    }

    /// All that is dirty of a failed slot was put into the log again, as records from `first` to `last`.
    /// The caller holds the claim of the track since before it looked at the slot. A slot that is not
    /// failed any more keeps the records it had.
    pub fn logged_again(&self, key: SlotKey, first: u64, last: u64) {
        let mut shard = self.shard(key);
        if let Some(at) = shard.find(key).filter(|&at| shard.slot(at).is_failed()) {
            shard.slot_mut(at).logged.again(first, last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn none_is_no_low_sequence() {
        let check = |one, other, expected| assert_eq!(lower(one, other), expected);
        check(0, 0, 0);
        check(0, 3, 3);
        check(3, 0, 3);
        check(2, 3, 2);
        check(3, 2, 2);
    }
}
