//! Destaging: dirty slots on their way to the drive.

use crate::shard::{Ended, Ending, Snapshot};
use crate::{Cache, Pin, SlotKey, Wakes};
use diptych_format::{BackingId, BlockMask, CheckArea, TrackBuf};
use diptych_sync::atomic::Ordering;
use diptych_sync::{Arc, mutant};

/// One of the queues in which dirty slots wait for their destage. What they stand for is the caller's
/// business; a backing is in the first until [`Cache::set_queue`] says otherwise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueNo(pub u16);

/// A dirty slot on its way to the drive: a snapshot of it, pinned.
///
/// It ends with [`Cache::destage_done`] or [`Cache::put_back`]; until then the cache offers no
/// other destage of that slot.
#[must_use = "a destage that is not ended keeps its slot dirty for ever"]
#[derive(Debug)]
pub struct Destage {
    pin: Pin,
    snapshot: Snapshot,
}

impl Destage {
    /// Which track it is.
    pub fn key(&self) -> SlotKey {
        self.pin.key()
    }

    /// The snapshot, as a pin.
    pub fn pin(&self) -> &Pin {
        &self.pin
    }

    /// Another handle of the data; to be gone before the destage is ended.
    pub fn handle(&self) -> Arc<TrackBuf> {
        self.pin.handle()
    }

    /// Another handle of the check fields.
    pub fn checks_handle(&self) -> Arc<CheckArea> {
        self.pin.checks_handle()
    }

    /// The blocks that are valid in the snapshot.
    pub fn valid(&self) -> BlockMask {
        self.pin.valid()
    }

    /// The blocks to write.
    pub fn dirty(&self) -> BlockMask {
        self.snapshot.dirty
    }

    /// The last record of what is written, to be durable before; 0 if there is none.
    pub fn logged(&self) -> u64 {
        self.pin.logged()
    }

    /// The version of the slot that is written.
    pub fn version(&self) -> u64 {
        self.snapshot.version
    }
}

impl Cache {
    /// The slot that has been dirty for longest, of the next shard that has one: none whose track
    /// is being destaged or written, and only slots up to mark `urgent_upto`, if there is one.
    pub fn next_dirty(&self, urgent_upto: Option<u64>) -> Option<Destage> {
        self.take_dirty(None, urgent_upto)
    }

    /// As [`next_dirty`](Self::next_dirty), of one queue. It does not look at the slots of others.
    pub fn next_dirty_of(&self, queue: QueueNo, urgent_upto: Option<u64>) -> Option<Destage> {
        self.take_dirty(Some(queue), urgent_upto)
    }

    fn take_dirty(&self, queue: Option<QueueNo>, urgent_upto: Option<u64>) -> Option<Destage> {
        let first = self.destage_turn.fetch_add(1, Ordering::Relaxed);
        (0..self.shards.len()).find_map(|step| {
            let no = first.wrapping_add(step) & (self.shards.len() - 1);
            let (pin, snapshot) = self.shards[no].lock().take_dirty(queue, urgent_upto)?;
            Some(Destage { pin, snapshot })
        })
    }

    /// Says in which queue the dirty slots of a backing wait, before it has its first slot. Each shard
    /// keeps a list for each queue up to the highest, and an entry for each backing that is not in the
    /// first, until [`forget_queue`](Self::forget_queue).
    pub fn set_queue(&self, backing: BackingId, queue: QueueNo) {
        for shard in &self.shards {
            shard.lock().set_queue(backing, queue);
        }
    }

    /// The backing is gone.
    pub fn forget_queue(&self, backing: BackingId) {
        self.set_queue(backing, QueueNo::default());
    }

    /// Ends a destage. `ok`: the drive has the snapshot, and the slot is clean unless it was changed
    /// meanwhile. Otherwise the slot keeps its data and is *failed*: it is not offered again until
    /// [`Cache::retry_failed`], who waits for it to become clean is cancelled, and it does not count
    /// against the write-pending limit, so that other volumes go on. It still takes its buffer, until
    /// it is written or purged.
    ///
    /// # Panics
    ///
    /// If it belongs to another cache, where that shows.
    pub fn destage_done(&self, destage: Destage, ok: bool) -> Wakes {
        self.end(destage, if ok { Ending::Written } else { Ending::Failed })
    }

    /// Ends a destage that has not written anything: the slot is as dirty and as old as before. If
    /// a request to the drive may be under way, end it as failed instead: the cache would offer the
    /// track again, and two writes of it would race.
    ///
    /// # Panics
    ///
    /// If it belongs to another cache, where that shows.
    pub fn put_back(&self, destage: Destage) -> Wakes {
        self.end(destage, Ending::PutBack)
    }

    fn end(&self, destage: Destage, ending: Ending) -> Wakes {
        let Destage { pin: Pin { place, content, .. }, snapshot } = destage;
        // First the handles, then the count: as for any pin.
        drop(content);
        let backing = place.key.backing;
        // Before the shard: a flush that looks meanwhile finds the slot and what it waits for agree.
        let mut waiting = self.room.lock();
        let ended = {
            let mut shard = self.shard(place.key);
            shard.unpin(place);
            shard.end_destage(place, snapshot, ending)
        };
        let mut wakes = Wakes::new();
        let flushes = &mut waiting.flushes;
        match ended {
            Ended::Gone => {}
            Ended::Dirty(over) => flushes.strike(backing, over.as_slice(), &mut wakes),
            Ended::Clean(marks) => flushes.strike(backing, &marks, &mut wakes),
            Ended::Failed(marks) => flushes.fail(backing, &marks, &mut wakes),
        }
        waiting.uncount(usize::from(matches!(ended, Ended::Clean(_) | Ended::Failed(_))));
        if matches!(ended, Ended::Failed(_)) {
            self.refuse_unfit(&mut waiting, &mut wakes);
        }
        wakes.extend(self.grant(&mut waiting));
        wakes
    }

    /// Whether a destage of the backing is in flight, of a slot that is there or was purged: the
    /// backing's place on its drive is not to be given to another one yet.
    pub fn is_destaging(&self, backing: BackingId) -> bool {
        self.shards.iter().any(|shard| shard.lock().is_destaging_any(backing))
    }

    /// Offers the failed slots of a backing again; how many there were. They count against the
    /// write-pending limit again, which may be exceeded by them for a while: until enough of what is
    /// dirty is written, no admission with a place for a dirty slot is granted.
    pub fn retry_failed(&self, backing: BackingId) -> usize {
        // Over all of it: none of them can become clean before it is counted.
        let mut waiting = self.room.lock();
        let again = self.shards.iter().map(|shard| shard.lock().retry_failed(backing)).sum();
        if !mutant::removed("retry-counted") {
            waiting.dirty_used += again;
        }
        again
    }
}
