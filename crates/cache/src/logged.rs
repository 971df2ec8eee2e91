//! Where the records of what is dirty stand in a log: what a destage has to wait for, and what the log
//! cannot give up.

use crate::shard::Shard;
use crate::{Admission, Cache, QueueNo, SlotKey};

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
        for known in [&mut self.first, &mut self.destage_first] {
            if *known != 0 {
                *known = first;
            }
        }
        self.last = self.last.max(last);
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

    /// What holds the log's beginning: as [`oldest_logged`](Self::oldest_logged), but for slots that are not
    /// destaged soon. These are the failed ones, since nothing but an operator makes them clean, and those
    /// of the queues that `late` names.
    pub fn log_holders(&self, late: impl Fn(QueueNo) -> bool) -> LogHolders {
        let mut holders = LogHolders::default();
        for shard in &self.shards {
            shard.lock().add_holders(&late, &mut holders);
        }
        holders.stuck.sort_unstable();
        // One that was changed while it is destaged came twice.
        holders.stuck.dedup();
        holders
    }

    /// All that is dirty of a slot was put into the log again, as records from `first` to `last`. The
    /// caller holds the claim of the track since before it looked at the slot: it may have been destaged
    /// meanwhile, but not changed.
    pub fn logged_again(&self, key: SlotKey, first: u64, last: u64) {
        let mut shard = self.shard(key);
        if let Some(at) = shard.find(key).filter(|&at| !shard.slot(at).dirty.is_empty()) {
            shard.slot_mut(at).logged.again(first, last);
        }
    }
}

/// What holds the beginning of a log; see [`Cache::log_holders`].
#[derive(Debug, Default)]
pub struct LogHolders {
    /// The first record that other slots need.
    pub oldest: Option<u64>,
    /// Slots that are not destaged soon, with the first record that each needs, ascending.
    pub stuck: Vec<(u64, SlotKey)>,
}

impl Shard {
    fn add_holders(&self, late: &impl Fn(QueueNo) -> bool, holders: &mut LogHolders) {
        for slot in self.dirty() {
            let Some(oldest) = slot.logged.oldest() else { continue };
            if slot.is_failed() || late(slot.queue) {
                holders.stuck.push((oldest, slot.key));
            } else {
                holders.oldest = holders.oldest.into_iter().chain([oldest]).min();
            }
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
