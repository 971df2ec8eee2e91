//! The queue: groups that have their sequences and are not written yet, and the room that is promised.
//!
//! All of it is under one short lock that nobody holds over a request to the device.
//!
//! # Room
//!
//! What is written, queued and promised, the largest group once more, and the reserve never exceed the
//! ring. The largest group counts twice because a batch does not go around the end of the ring: it skips
//! less than one group there, and once at most between the beginning and the end of a log.

use crate::entry::Group;
use crate::room::Rooms;
use crate::{LogConfig, LogError, LogUsage, Sequence};
use std::collections::VecDeque;
use std::ops::Range;

#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) groups: VecDeque<Group>,
    /// The sequence that the next record gets.
    pub(crate) end: Sequence,
    /// What ended the log.
    pub(crate) failed: Option<LogError>,
    /// Sectors that batches may take at all.
    pub(crate) capacity: u64,
    /// Sectors from the beginning of the log to its end, those skipped included.
    pub(crate) used: u64,
    /// Sectors of what is queued or being written, at most.
    pub(crate) queued: u64,
    pub(crate) rooms: Rooms,
}

impl Queue {
    pub(crate) fn new(end: Sequence, capacity: u64, used: u64, config: LogConfig) -> Self {
        let (groups, rooms) = (VecDeque::new(), Rooms::new(config));
        Self { groups, end, failed: None, capacity, used, queued: 0, rooms }
    }

    /// Sequences for so many records.
    pub(crate) fn give(&mut self, count: usize) -> Range<Sequence> {
        let start = self.end;
        self.end = Sequence(start.0 + count as u64);
        start..self.end
    }

    /// Queues a group. What is returned goes nowhere: the caller drops it without the lock.
    pub(crate) fn push(&mut self, group: Group) -> VecDeque<Group> {
        let sectors = group.sizes.sectors();
        if self.failed.is_some() {
            return VecDeque::from([group]);
        }
        self.queued += sectors;
        self.rooms.note_group(sectors);
        self.groups.push_back(group);
        // More than the whole log is never written: somebody puts without room and never trims.
        if self.queued > self.capacity {
            let free_sectors = self.free();
            return self.fail(LogError::Full { wanted_sectors: self.queued, free_sectors });
        }
        VecDeque::new()
    }

    /// Ends the log: what is queued goes nowhere. The caller drops it without the lock.
    #[must_use]
    pub(crate) fn fail(&mut self, error: LogError) -> VecDeque<Group> {
        self.failed.get_or_insert(error);
        self.queued = 0;
        std::mem::take(&mut self.groups)
    }

    pub(crate) fn check(&self) -> Result<(), LogError> {
        self.failed.map_or(Ok(()), Err)
    }

    /// Sectors that are neither written nor kept free for good.
    pub(crate) fn free(&self) -> u64 {
        self.capacity - self.used
    }

    /// Sectors that are written, queued or promised.
    pub(crate) fn spoken_for(&self) -> u64 {
        self.used + self.queued + self.rooms.promised()
    }

    pub(crate) fn usage(&self) -> LogUsage {
        LogUsage {
            capacity_sectors: self.capacity,
            reserve_sectors: self.rooms.config().reserve_sectors,
            used_sectors: self.used + self.queued,
            promised_sectors: self.rooms.promised(),
            waiters: self.rooms.waiters(),
            log_waits: self.rooms.waits(),
        }
    }
}
