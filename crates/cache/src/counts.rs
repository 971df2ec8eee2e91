//! What the cache says of itself.

/// Counts of a cache, taken one shard after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CacheCounts {
    /// Slots in the directory.
    pub slots: usize,
    /// Of these, slots with dirty blocks.
    pub dirty_slots: usize,
    /// Of these, slots whose destage failed and was not asked for again: they do not count against
    /// the write-pending limit.
    pub failed_slots: usize,
    /// Slots that may yet become dirty by admissions granted.
    pub dirty_permits: usize,
    /// Buffers in use or promised to admissions.
    pub buffers: usize,
    /// Look-ups by [`Cache::read`](crate::Cache::read) that found all blocks.
    pub hits: u64,
    /// Those that did not.
    pub misses: u64,
    /// Clean slots that had to go for want of room.
    pub evictions: u64,
    /// Owners that wait for room or for clean slots.
    pub waiters: usize,
}

/// What asks for destaging.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DestageNeed {
    /// Slots with dirty blocks, failed ones excepted.
    pub dirty_slots: usize,
    /// Whether these are more than the low watermark.
    pub over_low_watermark: bool,
    /// Owners that wait for room.
    pub room_waiters: usize,
    /// The latest mark up to which somebody waits for slots to become clean.
    pub clean_upto: Option<u64>,
    /// The mark of the slot that has been dirty for longest, failed ones excepted.
    pub oldest_mark: Option<u64>,
    /// The mark of the slot that [`Cache::next_dirty`](crate::Cache::next_dirty) offers next: none if
    /// every dirty slot is being destaged or written. Whoever ends that is to look again.
    pub offered_mark: Option<u64>,
    /// Both marks of each queue, by its number.
    pub queues: Vec<QueueNeed>,
}

/// What asks for the destage of one queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueNeed {
    /// As [`DestageNeed::oldest_mark`].
    pub oldest_mark: Option<u64>,
    /// As [`DestageNeed::offered_mark`].
    pub offered_mark: Option<u64>,
}

impl QueueNeed {
    /// A slot has been dirty since this mark.
    pub(crate) fn oldest(&mut self, mark: u64) {
        self.oldest_mark = Some(self.oldest_mark.map_or(mark, |oldest| oldest.min(mark)));
    }
}

impl DestageNeed {
    /// Whether anything but idle time asks for it.
    pub fn is_pressing(&self) -> bool {
        self.over_low_watermark || self.room_waiters > 0 || self.clean_upto.is_some()
    }
}
