//! One part of the directory: its slots and their lists, under one lock.

use crate::list::{ListKind, Lists, NOWHERE};
use crate::logged::Logged;
use crate::pin::{Pin, Place};
use crate::siblings::Siblings;
use crate::slot::{Content, Slot};
use crate::{CacheConfig, QueueNeed, QueueNo, SlotKey};
use diptych_format::{BackingId, BlockMask};
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::mutant;
use rustc_hash::FxHashMap;

/// One part of the directory.
#[derive(Debug)]
pub(crate) struct Shard {
    directory: FxHashMap<SlotKey, u32>,
    /// The queues of backings, but for the first.
    queues: FxHashMap<BackingId, QueueNo>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    lists: Lists,
    siblings: Siblings,
    /// Slots that are being destaged.
    in_flight: Vec<u32>,
    /// Tracks whose slot went while it was being destaged, and the number of that destage: their
    /// drive is still at work.
    ghosts: FxHashMap<SlotKey, u64>,
    slots_max: usize,
    /// The last number given to a content or a destage.
    last_no: u64,
    pub(crate) dirty_slots: usize,
    /// Of these, the ones that do not count against the write-pending limit.
    pub(crate) failed_slots: usize,
    pub(crate) hits: u64,
    pub(crate) misses: u64,
    pub(crate) evictions: u64,
}

/// What went with a slot.
#[derive(Debug)]
pub(crate) struct Removed {
    /// Dropping it may give a buffer back.
    pub(crate) content: Option<Content>,
    /// The marks of a slot that was dirty and counted against the write-pending limit.
    pub(crate) counted: Option<[u64; 2]>,
}

/// The snapshot that a destage writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot {
    pub(crate) no: u64,
    pub(crate) version: u64,
    pub(crate) dirty: BlockMask,
}

/// How a destage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Written,
    Failed,
    PutBack,
}

/// What the end of a destage changed, with the [marks](Slot::marks) that it settles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The slot went meanwhile: nothing.
    Gone,
    /// It stays dirty. Nobody has to wait for this mark any more.
    Dirty(Option<u64>),
    Clean([u64; 2]),
    Failed([u64; 2]),
}

impl Shard {
    pub(crate) fn new(config: &CacheConfig) -> Self {
        Self {
            directory: FxHashMap::default(),
            queues: FxHashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            lists: Lists::new(),
            siblings: Siblings::default(),
            in_flight: Vec::new(),
            ghosts: FxHashMap::default(),
            slots_max: config.shard_slots_max(),
            last_no: 0,
            dirty_slots: 0,
            failed_slots: 0,
            hits: 0,
            misses: 0,
            evictions: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.directory.len()
    }

    #[inline]
    pub(crate) fn find(&self, key: SlotKey) -> Option<u32> {
        self.directory.get(&key).copied()
    }

    #[inline]
    pub(crate) fn slot(&self, at: u32) -> &Slot {
        &self.slots[at as usize]
    }

    #[inline]
    pub(crate) fn slot_mut(&mut self, at: u32) -> &mut Slot {
        &mut self.slots[at as usize]
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = SlotKey> {
        self.directory.keys().copied()
    }

    fn next_no(&mut self) -> u64 {
        self.last_no += 1;
        self.last_no
    }

    /// A new slot. It is on no list until the caller [settles](Self::settle) it or marks it dirty.
    pub(crate) fn insert(&mut self, key: SlotKey, content: Content, valid: BlockMask) -> u32 {
        if self.directory.len() >= self.slots_max {
            // Only slots that share buffers can be so many: shed one that nobody uses.
            drop(self.evict());
        }
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::new(key));
            u32::try_from(self.slots.len() - 1).expect("slots are numbered in 32 bits")
        });
        let content_no = self.next_no();
        let queue = match self.queues.is_empty() {
            true => QueueNo::default(),
            false => self.queues.get(&key.backing).copied().unwrap_or_default(),
        };
        self.slots[at as usize] =
            Slot { queue, content: Some(content), content_no, valid, ..Slot::new(key) };
        let before = self.directory.insert(key, at);
        assert!(before.is_none(), "a track has one slot");
        at
    }

    /// Exchanges a slot's content. Pins keep the old one, which is returned.
    pub(crate) fn replace(&mut self, at: u32, content: Content, valid: BlockMask) -> Content {
        let content_no = self.next_no();
        let slot = &mut self.slots[at as usize];
        assert!(!slot.writing, "invariant: a track has one writer");
        assert!(valid.contains(slot.dirty), "invariant: dirty blocks are not lost");
        slot.content_no = content_no;
        slot.pins = 0;
        slot.shared = false;
        slot.valid = valid;
        slot.content.replace(content).expect("a slot that nobody writes has its content")
    }

    /// Takes a slot out of the directory, whatever it holds. A destage in flight of it will find
    /// nothing to complete; until then the track is [being destaged](Self::is_destaging).
    pub(crate) fn remove(&mut self, at: u32) -> Removed {
        let slot = self.slot(at);
        let (was_dirty, was_failed) = (!slot.dirty.is_empty(), slot.is_failed());
        self.lists.unlink(&mut self.slots, at);
        self.in_flight.retain(|&other| other != at);
        if was_dirty {
            self.siblings.unlink(&mut self.slots, at);
            self.dirty_slots -= 1;
            self.failed_slots -= usize::from(was_failed);
        }
        let slot = &mut self.slots[at as usize];
        assert!(!slot.writing, "invariant: a track that is being written is not removed");
        let key = slot.key;
        let slot = std::mem::replace(slot, Slot::new(key));
        if slot.destage_no != 0 && !mutant::removed("purge-keeps-destage") {
            self.ghosts.insert(key, slot.destage_no);
        }
        self.directory.remove(&key);
        self.free.push(at);
        let counted = (was_dirty && !was_failed).then(|| slot.marks());
        Removed { content: slot.content, counted }
    }

    /// Removes the least recently used clean slot nobody uses.
    pub(crate) fn evict(&mut self) -> Option<Content> {
        let at = self.lists.first_clean()?;
        let slot = self.slot(at);
        let idle = slot.dirty.is_empty() && slot.pins == 0 && !slot.writing;
        assert!(idle, "invariant: only clean slots nobody uses are evicted");
        self.evictions += 1;
        self.remove(at).content
    }

    #[inline]
    pub(crate) fn pin(&mut self, at: u32) -> Pin {
        let slot = &mut self.slots[at as usize];
        slot.pins += 1;
        let place = Place { key: slot.key, at, content_no: slot.content_no };
        let content = slot.content().clone();
        let pin =
            Pin { place, content, valid: slot.valid, dirty: slot.dirty, logged: slot.logged.last };
        if slot.list == Some(ListKind::Clean) {
            self.lists.unlink(&mut self.slots, at);
        }
        pin
    }

    /// Takes a pin off. The content it was of may have been exchanged, or the slot have gone.
    #[inline]
    pub(crate) fn unpin(&mut self, place: Place) {
        let slot = &mut self.slots[place.at as usize];
        if slot.content_no == place.content_no {
            assert!(slot.pins > 0, "more pins given back than were taken");
            slot.pins -= 1;
            self.settle(place.at);
        }
    }

    /// Puts a slot on the clean list, as the most recently used, or takes it off, as its state says.
    #[inline]
    pub(crate) fn settle(&mut self, at: u32) {
        let slot = &self.slots[at as usize];
        let idle = slot.dirty.is_empty() && slot.pins == 0 && !slot.writing;
        match (idle, slot.list) {
            (true, None) => self.lists.push_back(ListKind::Clean, &mut self.slots, at),
            (false, Some(ListKind::Clean)) => self.lists.unlink(&mut self.slots, at),
            _ => {}
        }
    }

    /// Makes blocks valid and dirty, and queues the slot if it is not queued since the destage in
    /// flight took its snapshot. They have their record at `sequence`; `whole`: they are all that is
    /// dirty. Says whether the slot was clean.
    #[inline]
    pub(crate) fn mark_dirty(
        &mut self,
        at: u32,
        blocks: BlockMask,
        marks: &AtomicU64,
        sequence: u64,
        whole: bool,
    ) -> bool {
        if blocks.is_empty() {
            self.settle(at);
            return false;
        }
        let slot = &mut self.slots[at as usize];
        let was_clean = slot.dirty.is_empty();
        slot.valid = slot.valid.or(blocks);
        slot.dirty = slot.dirty.or(blocks);
        slot.version += 1;
        slot.logged.write(sequence, whole);
        let queued = matches!(slot.list, Some(ListKind::Dirty | ListKind::Failed));
        if !queued {
            // Under the shard's lock, so that its queue is in the order of the marks.
            slot.mark = marks.fetch_add(1, Ordering::AcqRel) + 1;
            self.lists.unlink(&mut self.slots, at);
            self.lists.push_back(ListKind::Dirty, &mut self.slots, at);
        }
        if was_clean {
            self.siblings.link(&mut self.slots, at);
            self.dirty_slots += 1;
        }
        was_clean
    }

    /// Whether a destage of the track is in flight, be its slot there or not.
    pub(crate) fn is_destaging(&self, key: SlotKey) -> bool {
        let of_slot = self.find(key).is_some_and(|at| self.slot(at).destage_no != 0);
        of_slot || self.ghosts.contains_key(&key)
    }

    /// Whether a destage of any track of a backing is in flight.
    pub(crate) fn is_destaging_any(&self, backing: BackingId) -> bool {
        self.ghosts.keys().any(|key| key.backing == backing)
            || self.in_flight.iter().any(|&at| self.slot(at).key.backing == backing)
    }

    /// Where the dirty slots of a backing wait from now on.
    pub(crate) fn set_queue(&mut self, backing: BackingId, queue: QueueNo) {
        self.lists.add_queue(queue);
        if queue == QueueNo::default() {
            self.queues.remove(&backing);
        } else {
            self.queues.insert(backing, queue);
        }
    }

    /// The oldest dirty slot of a queue that can be destaged: none that is being destaged or written.
    fn offered(&self, queue: QueueNo) -> Option<u32> {
        let free = |slot: &Slot| {
            let idle = slot.destage_no == 0 && !self.ghosts.contains_key(&slot.key);
            !slot.writing && (idle || mutant::removed("destage-one-in-flight"))
        };
        self.lists.dirty(queue, &self.slots).find(|&at| free(self.slot(at)))
    }

    /// Takes the snapshot of the oldest slot that can be destaged: of one queue, or of all.
    pub(crate) fn take_dirty(
        &mut self,
        queue: Option<QueueNo>,
        upto: Option<u64>,
    ) -> Option<(Pin, Snapshot)> {
        let at = match queue {
            Some(queue) => self.offered(queue),
            None => {
                let offered = self.lists.queues().filter_map(|queue| self.offered(queue));
                offered.min_by_key(|&at| self.slot(at).mark)
            }
        }?;
        if upto.is_some_and(|upto| self.slot(at).mark > upto) {
            return None;
        }
        self.lists.unlink(&mut self.slots, at);
        let no = self.next_no();
        let slot = &mut self.slots[at as usize];
        slot.destage_no = no;
        slot.destage_mark = slot.mark;
        slot.logged.begin_destage();
        let snapshot = Snapshot { no, version: slot.version, dirty: slot.dirty };
        self.in_flight.push(at);
        Some((self.pin(at), snapshot))
    }

    /// Ends a destage; its pin is taken off before.
    pub(crate) fn end_destage(
        &mut self,
        place: Place,
        snapshot: Snapshot,
        ending: Ending,
    ) -> Ended {
        let at = place.at;
        let slot = &mut self.slots[at as usize];
        if slot.destage_no != snapshot.no {
            // The slot went meanwhile: nothing is left to complete.
            let ghost = self.ghosts.remove(&place.key);
            assert!(ghost.is_none_or(|no| no == snapshot.no), "one destage of a track in flight");
            return Ended::Gone;
        }
        slot.destage_no = 0;
        self.in_flight.retain(|&other| other != at);
        let marks = slot.marks();
        let requeued = slot.is_queued();
        match ending {
            Ending::Written => {
                let unchanged =
                    slot.version == snapshot.version || mutant::removed("destage-version");
                if !unchanged {
                    assert!(requeued, "a slot changed meanwhile is queued");
                    slot.logged.end_written();
                    return Ended::Dirty(Some(slot.destage_mark));
                }
                slot.dirty = slot.dirty.without(snapshot.dirty);
                slot.logged = Logged::default();
                assert!(slot.dirty.is_empty(), "an unchanged slot is written whole");
                self.dirty_slots -= 1;
                self.siblings.unlink(&mut self.slots, at);
                self.lists.unlink(&mut self.slots, at);
                self.settle(at);
                Ended::Clean(marks)
            }
            Ending::Failed => {
                // Destages end by and by in the order of their marks.
                self.requeue(ListKind::Failed, at, self.lists.last_failed());
                self.failed_slots += 1;
                Ended::Failed(marks)
            }
            Ending::PutBack => {
                // What was written meanwhile goes with what was put back, under the older mark.
                let merged = requeued.then_some(slot.mark);
                self.requeue(ListKind::Dirty, at, NOWHERE);
                Ended::Dirty(merged)
            }
        }
    }

    /// Queues a slot by the mark of the destage that did not write it.
    fn requeue(&mut self, kind: ListKind, at: u32, near: u32) {
        let slot = &mut self.slots[at as usize];
        slot.mark = slot.destage_mark;
        slot.logged.end_unwritten();
        self.lists.unlink(&mut self.slots, at);
        self.lists.insert_by_mark(kind, &mut self.slots, at, near);
    }

    /// Queues the failed slots of a backing again. They count against the write-pending limit from
    /// now on, whatever it is: says how many they are.
    pub(crate) fn retry_failed(&mut self, backing: BackingId) -> usize {
        let mut failed: Vec<(u64, u32)> = self
            .siblings
            .iter(backing, &self.slots)
            .filter(|&at| self.slot(at).is_failed())
            .map(|at| (self.slot(at).mark, at))
            .collect();
        failed.sort_unstable();
        let mut near = NOWHERE;
        for &(_, at) in &failed {
            self.lists.unlink(&mut self.slots, at);
            self.lists.insert_by_mark(ListKind::Dirty, &mut self.slots, at, near);
            near = at;
        }
        self.failed_slots -= failed.len();
        failed.len()
    }

    /// The dirty slots of a backing.
    pub(crate) fn dirty_of(&self, backing: BackingId) -> impl Iterator<Item = &Slot> {
        self.siblings.iter(backing, &self.slots).map(|at| self.slot(at))
    }

    /// All slots that are dirty: queued, being destaged, failed. One that was changed while it is destaged
    /// comes twice.
    pub(crate) fn dirty(&self) -> impl Iterator<Item = &Slot> {
        let queues = self.lists.queues();
        let queued = queues.flat_map(|queue| self.lists.dirty(queue, &self.slots));
        let slots = queued.chain(self.lists.failed(&self.slots));
        slots.chain(self.in_flight.iter().copied()).map(|at| self.slot(at))
    }

    /// The first record that a slot needs which is dirty or being destaged.
    pub(crate) fn oldest_logged(&self) -> Option<u64> {
        self.dirty().filter_map(|slot| slot.logged.oldest()).min()
    }

    /// Adds what asks for the destage of each queue.
    pub(crate) fn add_needs(&self, needs: &mut Vec<QueueNeed>) {
        needs.resize(needs.len().max(self.lists.queue_count()), QueueNeed::default());
        for (queue, need) in self.lists.queues().zip(needs.iter_mut()) {
            let Some(first) = self.lists.first_dirty(queue) else { continue };
            need.oldest(self.slot(first).mark);
            let offered = self.offered(queue).map(|at| self.slot(at).mark);
            need.offered_mark = need.offered_mark.into_iter().chain(offered).min();
        }
        for &at in &self.in_flight {
            let Slot { queue, destage_mark, .. } = *self.slot(at);
            needs[usize::from(queue.0)].oldest(destage_mark);
        }
    }
}
