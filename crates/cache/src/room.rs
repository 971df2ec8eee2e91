//! Room: buffers and places for dirty slots, asked for before a claim and waited for in order.

use crate::wait_clean::Flushes;
use crate::{Cache, CacheError, Wakes};
use diptych_format::{Answer, BackingId, OwnerId, TrackBuf};
use diptych_sync::atomic::Ordering;
use diptych_sync::mutant;
use rustc_hash::FxHashMap;
use std::collections::VecDeque;

/// Room that a job holds. Give what is left back with [`Cache::return_room`].
#[must_use = "room that is not returned is lost"]
#[derive(Debug)]
pub struct Admission {
    room: Need,
    pressing: bool,
    /// The record of what is written under it; 0 is none.
    pub(crate) sequence: u64,
}

/// How an admission was answered.
#[must_use]
#[derive(Debug)]
pub enum Admit {
    /// There is room.
    Granted(Admission),
    /// The owner is told [`Answer::Granted`] when there is, and fetches it with
    /// [`Cache::admitted`].
    Queued,
}

/// Buffers, and slots that may become dirty.
#[derive(Debug, Clone, Copy)]
struct Need {
    buffers: usize,
    dirty: usize,
}

/// Who waits, and what is promised: under the room's lock, which is taken before a shard's.
#[derive(Debug)]
pub(crate) struct Waiting {
    /// Dirty slots but for failed ones, and the places of admissions for more.
    pub(crate) dirty_used: usize,
    queue: VecDeque<(OwnerId, Need)>,
    /// Granted, not fetched yet.
    granted: FxHashMap<OwnerId, Need>,
    pub(crate) flushes: Flushes,
    /// Buffers reserved in the pool and promised to nobody.
    pub(crate) stock: usize,
    /// The value of `Cache::pressed`.
    pressed: bool,
    /// The shard that evicts next.
    evict_turn: usize,
}

impl Waiting {
    pub(crate) fn new() -> Self {
        Self {
            dirty_used: 0,
            queue: VecDeque::new(),
            granted: FxHashMap::default(),
            flushes: Flushes::default(),
            stock: 0,
            pressed: false,
            evict_turn: 0,
        }
    }

    pub(crate) fn waiters(&self) -> usize {
        self.queue.len() + self.flushes.len()
    }

    pub(crate) fn room_waiters(&self) -> usize {
        self.queue.len()
    }

    fn take_back(&mut self, room: Need) {
        self.stock += room.buffers;
        self.uncount(room.dirty);
    }

    /// So many places for dirty slots are free again.
    pub(crate) fn uncount(&mut self, dirty: usize) {
        let left = self.dirty_used.checked_sub(dirty);
        self.dirty_used = left.expect("invariant: no more places become free than were counted");
    }

    /// Whether one more may wait.
    pub(crate) fn check_limit(&self, waiters_max: usize) -> Result<(), CacheError> {
        if self.waiters() + self.granted.len() >= waiters_max {
            return Err(CacheError::TooManyWaiters { waiters_max });
        }
        Ok(())
    }
}

impl Admission {
    /// Buffers left in it.
    pub fn buffers(&self) -> usize {
        self.room.buffers
    }

    /// Slots that it still lets become dirty.
    pub fn dirty(&self) -> usize {
        self.room.dirty
    }

    /// Whether more slots were dirty than the low watermark when it was granted: destaging is due.
    pub fn is_pressing(&self) -> bool {
        self.pressing
    }

    /// A slot became dirty: its place is now counted with the dirty slots.
    pub(crate) fn use_dirty(&mut self) {
        let left = self.room.dirty.checked_sub(1);
        self.room.dirty = left.expect("the admission has a place for a dirty slot left");
    }
}

impl Cache {
    /// Asks for `buffers` buffers and `dirty` slots that may become dirty. The owner holds nothing
    /// and waits for nothing else. A wait ends with [`Answer::Cancelled`] where a destage fails and what is
    /// left of the cache is too small.
    ///
    /// # Errors
    ///
    /// If that can never be had, or too many wait. What failed destages have left takes buffers until
    /// somebody has it tried again: what fits only then counts as never to be had.
    pub fn admit(&self, owner: OwnerId, buffers: usize, dirty: usize) -> Result<Admit, CacheError> {
        let need = Need { buffers, dirty };
        let buffers_max = self.config.capacity_slots;
        let dirty_max = self.config.write_pending_limit_slots;
        if buffers > buffers_max || dirty > dirty_max {
            return Err(CacheError::NeverFits { buffers, dirty, buffers_max, dirty_max });
        }
        let mut waiting = self.room.lock();
        let granted = waiting.queue.is_empty() && self.reserve(&mut waiting, need);
        if !granted {
            let buffers_max = self.buffers_left();
            if buffers > buffers_max {
                return Err(CacheError::NeverFits { buffers, dirty, buffers_max, dirty_max });
            }
            waiting.check_limit(self.config.waiters_max)?;
            waiting.queue.push_back((owner, need));
        }
        self.press(&mut waiting, !granted);
        let admission = granted.then(|| self.admission(&waiting, need));
        drop(waiting);
        Ok(admission.map_or(Admit::Queued, Admit::Granted))
    }

    /// Fetches what `owner` was granted.
    ///
    /// # Panics
    ///
    /// If it was granted nothing.
    pub fn admitted(&self, owner: OwnerId) -> Admission {
        let mut waiting = self.room.lock();
        let granted = waiting.granted.remove(&owner);
        let need = granted.expect("the owner was granted room and has not fetched it");
        self.admission(&waiting, need)
    }

    /// Ends a wait of `owner`, whether for room or for clean slots. If it was granted room meanwhile
    /// the room goes back; what was told to it is void.
    pub fn cancel(&self, owner: OwnerId) -> Wakes {
        let mut waiting = self.room.lock();
        waiting.queue.retain(|(other, _)| *other != owner);
        waiting.flushes.cancel(owner);
        let granted = waiting.granted.remove(&owner);
        if let Some(need) = granted.filter(|_| !mutant::removed("cancel-granted")) {
            waiting.take_back(need);
        }
        self.grant(&mut waiting)
    }

    /// Ends every wait, whether for room or for clean slots, with [`Answer::Cancelled`]: nothing is
    /// destaged any more.
    pub fn cancel_all(&self) -> Wakes {
        let mut waiting = self.room.lock();
        let mut wakes: Vec<OwnerId> = waiting.queue.drain(..).map(|(owner, _)| owner).collect();
        wakes.extend(waiting.flushes.take_all());
        self.press(&mut waiting, false);
        drop(waiting);
        wakes.into_iter().map(|owner| (owner, Answer::Cancelled)).collect()
    }

    /// Takes a buffer of an admission; its content is whatever its last user left. One that is not
    /// used is dropped before the admission is returned.
    ///
    /// # Panics
    ///
    /// If none is left.
    pub fn buffer(&self, admission: &mut Admission) -> TrackBuf {
        let left = admission.room.buffers.checked_sub(1);
        admission.room.buffers = left.expect("the admission has a buffer left");
        self.pool.take_reserved()
    }

    /// Gives back what is left of an admission.
    pub fn return_room(&self, admission: Admission) -> Wakes {
        let mut waiting = self.room.lock();
        waiting.take_back(admission.room);
        self.grant(&mut waiting)
    }

    fn admission(&self, waiting: &Waiting, room: Need) -> Admission {
        let pressing = waiting.dirty_used > self.config.low_watermark_slots();
        Admission { room, pressing, sequence: 0 }
    }

    /// Tells whoever waits for room that something may have been freed under a shard's or the pool's
    /// lock. Costs a look at a flag if nobody waits.
    #[inline]
    pub(crate) fn freed(&self) -> Wakes {
        if !self.pressed.load(Ordering::Acquire) {
            return Wakes::new();
        }
        self.look_again()
    }

    #[cold]
    fn look_again(&self) -> Wakes {
        self.grant(&mut self.room.lock())
    }

    /// As [`freed`](Self::freed), after slots of a backing went that were dirty and counted: their
    /// marks.
    pub(crate) fn forgotten(&self, backing: BackingId, dirty: &[[u64; 2]]) -> Wakes {
        if dirty.is_empty() {
            return self.freed();
        }
        let mut waiting = self.room.lock();
        let mut wakes = Wakes::new();
        if !mutant::removed("purge-strikes") {
            waiting.flushes.strike(backing, dirty.as_flattened(), &mut wakes);
        }
        waiting.uncount(dirty.len());
        wakes.extend(self.grant(&mut waiting));
        wakes
    }

    /// Grants room from the front of the queue.
    pub(crate) fn grant(&self, waiting: &mut Waiting) -> Wakes {
        let mut wakes = Wakes::new();
        if mutant::removed("admit-wake") {
            return wakes;
        }
        while let Some(&(owner, need)) = waiting.queue.front() {
            if !self.reserve(waiting, need) {
                break;
            }
            waiting.queue.pop_front();
            let before = waiting.granted.insert(owner, need);
            assert!(before.is_none(), "an owner waits for one thing at a time");
            wakes.push((owner, Answer::Granted));
        }
        let pressed = !waiting.queue.is_empty();
        self.press(waiting, pressed);
        wakes
    }

    /// Takes room if there is enough, evicting clean slots.
    fn reserve(&self, waiting: &mut Waiting, need: Need) -> bool {
        if waiting.dirty_used + need.dirty > self.config.write_pending_limit_slots {
            return false;
        }
        if !self.stock_up(waiting, need.buffers) {
            return false;
        }
        waiting.stock -= need.buffers;
        waiting.dirty_used += need.dirty;
        true
    }

    /// Brings the stock to `buffers` at least, evicting clean slots.
    fn stock_up(&self, waiting: &mut Waiting, buffers: usize) -> bool {
        let missing = buffers.saturating_sub(waiting.stock);
        if missing == 0 {
            return true;
        }
        // Before the look: what is freed after it must find the flag.
        if !mutant::removed("press-first") {
            self.press(waiting, true);
        }
        while !self.pool.reserve(missing) {
            if !self.evict(waiting) {
                return false;
            }
        }
        waiting.stock += missing;
        true
    }

    /// Evicts the least recently used clean slot of the next shard that has one.
    fn evict(&self, waiting: &mut Waiting) -> bool {
        for _ in 0..self.shards.len() {
            let shard = &self.shards[waiting.evict_turn];
            waiting.evict_turn = (waiting.evict_turn + 1) & (self.shards.len() - 1);
            if let Some(content) = shard.lock().evict() {
                drop(content);
                return true;
            }
        }
        false
    }

    /// Buffers but for those of failed slots.
    fn buffers_left(&self) -> usize {
        let failed: usize = self.shards.iter().map(|shard| shard.lock().failed_slots).sum();
        self.config.capacity_slots.saturating_sub(failed)
    }

    /// A slot has failed: those who wait for more than can be had now wait in vain, and are told
    /// [`Answer::Cancelled`].
    pub(crate) fn refuse_unfit(&self, waiting: &mut Waiting, wakes: &mut Wakes) {
        let buffers_max = self.buffers_left();
        waiting.queue.retain(|(owner, need)| {
            let fits = need.buffers <= buffers_max;
            if !fits {
                wakes.push((*owner, Answer::Cancelled));
            }
            fits
        });
    }

    fn press(&self, waiting: &mut Waiting, pressed: bool) {
        if waiting.pressed != pressed {
            waiting.pressed = pressed;
            self.pressed.store(pressed, Ordering::Release);
        }
    }
}
