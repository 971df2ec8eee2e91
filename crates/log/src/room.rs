//! Room: sectors of the log, asked for before a claim and waited for in order.

use crate::{Entry, Log, LogConfig, LogError, Sequence};
use diptych_device::Device;
use diptych_format::{Answer, OwnerId, Wakes};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

/// Room that a job holds. Give what is left back with [`Log::return_room`], once what was put is where
/// it belongs: until then the log counts it as [open](Log::oldest_open).
#[must_use = "room that is not returned is lost"]
#[derive(Debug)]
pub struct LogRoom {
    sectors: u64,
    /// The first record put with it.
    first: Option<Sequence>,
}

impl LogRoom {
    /// Sectors left in it.
    pub fn sectors(&self) -> u64 {
        self.sectors
    }
}

/// How an admission was answered.
#[must_use]
#[derive(Debug)]
pub enum LogAdmit {
    /// There is room.
    Granted(LogRoom),
    /// The owner is told [`Answer::Granted`] when there is, and fetches it with [`Log::admitted`].
    Queued,
}

/// Who waits, and what is promised: under the lock of the queue.
#[derive(Debug)]
pub(crate) struct Rooms {
    config: LogConfig,
    waiting: VecDeque<(OwnerId, u64)>,
    /// Granted, not fetched yet.
    granted: BTreeMap<OwnerId, u64>,
    promised: u64,
    /// The most sectors that one owner was granted, or put: a group is no larger.
    largest: u64,
    /// First records of rooms that are not returned.
    open: BTreeSet<Sequence>,
    waits: u64,
}

impl Rooms {
    pub(crate) fn new(config: LogConfig) -> Self {
        Self {
            config,
            waiting: VecDeque::new(),
            granted: BTreeMap::new(),
            promised: 0,
            largest: 0,
            open: BTreeSet::new(),
            waits: 0,
        }
    }

    pub(crate) fn config(&self) -> LogConfig {
        self.config
    }

    pub(crate) fn promised(&self) -> u64 {
        self.promised
    }

    pub(crate) fn waiters(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn waits(&self) -> u64 {
        self.waits
    }

    /// A group of so many sectors is put.
    pub(crate) fn note_group(&mut self, sectors: u64) {
        self.largest = self.largest.max(sectors);
    }

    fn check_limit(&self) -> Result<(), LogError> {
        let waiters_max = self.config.waiters_max;
        if self.waiting.len() + self.granted.len() >= waiters_max {
            return Err(LogError::TooManyWaiters { waiters_max });
        }
        Ok(())
    }
}

impl crate::queue::Queue {
    /// Promises room if there is enough beside all that is spoken for.
    fn promise(&mut self, sectors: u64) -> bool {
        let largest = self.rooms.largest.max(sectors);
        let most = self.capacity - self.rooms.config.reserve_sectors;
        let fits = self.spoken_for() + sectors + largest <= most;
        if fits {
            self.rooms.largest = largest;
            self.rooms.promised += sectors;
        }
        fits
    }

    /// Grants room from the front of the queue of waiters. After the end of the log: to nobody.
    pub(crate) fn grant(&mut self) -> Wakes {
        let mut wakes = Wakes::new();
        while let Some(&(owner, sectors)) = self.rooms.waiting.front() {
            let answer = if self.failed.is_some() { Answer::Cancelled } else { Answer::Granted };
            if answer == Answer::Granted && !self.promise(sectors) {
                break;
            }
            self.rooms.waiting.pop_front();
            if answer == Answer::Granted {
                let before = self.rooms.granted.insert(owner, sectors);
                assert!(before.is_none(), "an owner waits for one thing at a time");
            }
            wakes.push((owner, answer));
        }
        wakes
    }

    fn take_back(&mut self, sectors: u64) {
        let left = self.rooms.promised.checked_sub(sectors);
        self.rooms.promised = left.expect("invariant: no more room comes back than was promised");
    }
}

impl<D: Device> Log<D> {
    /// Asks for room for so many sectors: [`sectors_for`](crate::sectors_for) each group. The owner holds
    /// nothing and waits for nothing else. Room is granted in the order of asking.
    ///
    /// # Errors
    ///
    /// [`LogError::NeverFits`], [`LogError::TooManyWaiters`], or what ended the log.
    pub fn admit(&self, owner: OwnerId, sectors: u64) -> Result<LogAdmit, LogError> {
        let mut queue = self.queue.lock();
        queue.check()?;
        // Once for the group, once for what it skips at the end of the ring.
        let most = (queue.capacity - queue.rooms.config.reserve_sectors) / 2;
        if sectors > most {
            return Err(LogError::NeverFits { sectors, most });
        }
        if queue.rooms.waiting.is_empty() && queue.promise(sectors) {
            return Ok(LogAdmit::Granted(LogRoom { sectors, first: None }));
        }
        queue.rooms.check_limit()?;
        queue.rooms.waiting.push_back((owner, sectors));
        queue.rooms.waits += 1;
        Ok(LogAdmit::Queued)
    }

    /// Fetches what `owner` was granted.
    ///
    /// # Panics
    ///
    /// If it was granted nothing.
    pub fn admitted(&self, owner: OwnerId) -> LogRoom {
        let granted = self.queue.lock().rooms.granted.remove(&owner);
        let sectors = granted.expect("the owner was granted room and has not fetched it");
        LogRoom { sectors, first: None }
    }

    /// Ends a wait of `owner`. If it was granted room meanwhile the room goes back; what was told to it
    /// is void.
    pub fn cancel(&self, owner: OwnerId) -> Wakes {
        let mut queue = self.queue.lock();
        queue.rooms.waiting.retain(|(other, _)| *other != owner);
        if let Some(sectors) = queue.rooms.granted.remove(&owner) {
            queue.take_back(sectors);
        }
        queue.grant()
    }

    /// After the end of the log ends every wait with [`Answer::Cancelled`]; before, it ends none.
    pub fn cancel_all(&self) -> Wakes {
        let mut queue = self.queue.lock();
        if queue.failed.is_some() { queue.grant() } else { Wakes::new() }
    }

    /// Gives back what is left of a room.
    pub fn return_room(&self, room: LogRoom) -> Wakes {
        let mut queue = self.queue.lock();
        if let Some(first) = room.first {
            queue.rooms.open.remove(&first);
        }
        queue.take_back(room.sectors);
        queue.grant()
    }

    /// As [`put`](Self::put), with room that was admitted for it: the log is not full then.
    ///
    /// # Panics
    ///
    /// As [`put`](Self::put), and if the room is too small.
    pub fn put_with(&self, room: &mut LogRoom, group: Vec<Entry>) -> Range<Sequence> {
        self.put_group(group, Some(room))
    }

    /// What was put with a room so far is where it belongs: it is not [open](Self::oldest_open) any more.
    pub fn placed(&self, room: &mut LogRoom) {
        if let Some(first) = room.first.take() {
            self.queue.lock().rooms.open.remove(&first);
        }
    }

    /// The first record that was put with a room which is not returned, nor [placed](Self::placed) since:
    /// what it tells of may not be where it belongs yet, so a log is not trimmed beyond it.
    ///
    /// Whoever trims asks this first, then what is there of the data: a job that ends in between has
    /// put its data there before.
    pub fn oldest_open(&self) -> Option<Sequence> {
        self.queue.lock().rooms.open.first().copied()
    }
}

impl Rooms {
    /// A group takes its sectors out of a room, whose first record may be this one.
    pub(crate) fn take(&mut self, room: &mut LogRoom, sectors: u64, first: Sequence) {
        let left = room.sectors.checked_sub(sectors);
        room.sectors = left.expect("invariant: a group is no larger than the room asked for it");
        self.promised -= sectors;
        if room.first.is_none() {
            room.first = Some(first);
            self.open.insert(first);
        }
    }
}
