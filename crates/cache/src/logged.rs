//! Where the records of what is dirty stand in a log: what a destage has to wait for, and what the log
//! cannot give up.

use crate::{Admission, Cache};

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
