//! The cache: slots in shards, found by key.

use crate::room::Waiting;
use crate::shard::{Removed, Shard};
use crate::slot::{Content, copy_blocks};
use crate::{
    Admission, CacheConfig, CacheCounts, CacheError, DestageNeed, Pin, SlotKey, SlotState,
};
use diptych_format::{BackingId, BlockMask, CheckArea, TrackBuf, TrackPool, TrackRange, Wakes};
use diptych_sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use diptych_sync::{Arc, Mutex, MutexGuard};
use rustc_hash::FxHasher;
use std::fmt;
use std::hash::{Hash, Hasher};

/// What became of a slot that was to be dropped.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum DropOutcome {
    /// It is gone, with what was dirty in it.
    Dropped(Wakes),
    /// There was none.
    Absent,
    /// A destage of its track is in flight and would come after what the caller means to write to
    /// the drive: nothing was dropped, and the caller writes through the cache.
    Destaging,
}

/// Cache memory: a bounded set of slots for the tracks of backings. See the [crate] for its rules.
///
/// All methods take `&self`; none blocks but for a moment on a lock.
pub struct Cache {
    pub(crate) config: CacheConfig,
    pub(crate) shards: Box<[Mutex<Shard>]>,
    pub(crate) room: Mutex<Waiting>,
    /// Whether somebody waits for room. Written under the room's lock alone; who frees something
    /// under a shard's or the pool's lock reads it afterwards. It is set before a waiter looks
    /// under those locks, so either the waiter sees what was freed or the other sees the flag.
    pub(crate) pressed: AtomicBool,
    pub(crate) pool: TrackPool,
    /// The latest mark of the dirty queues.
    pub(crate) marks: AtomicU64,
    /// Where the next look for a dirty slot starts.
    pub(crate) destage_turn: AtomicUsize,
}

impl Cache {
    /// An empty cache. No memory is taken for slots that were never used.
    ///
    /// # Errors
    ///
    /// If no cache can be made so.
    pub fn new(config: CacheConfig) -> Result<Self, CacheError> {
        config.validate()?;
        Ok(Self {
            shards: (0..config.shards).map(|_| Mutex::new(Shard::new(&config))).collect(),
            room: Mutex::new(Waiting::new()),
            pressed: AtomicBool::new(false),
            pool: TrackPool::new(config.capacity_slots, config.track_bytes),
            marks: AtomicU64::new(0),
            destage_turn: AtomicUsize::new(0),
            config,
        })
    }

    /// How large it is.
    pub fn config(&self) -> &CacheConfig {
        &self.config
    }

    pub(crate) fn shard(&self, key: SlotKey) -> MutexGuard<'_, Shard> {
        let mut hasher = FxHasher::default();
        key.hash(&mut hasher);
        // Bits that the map within the shard uses least.
        let no = (hasher.finish() >> 16) as usize & (self.shards.len() - 1);
        self.shards[no].lock()
    }

    /// Looks for blocks without a claim (a host's read hit) and pins them. A hit only if all of
    /// `want` is valid and no writer has the slot in place.
    pub fn read(&self, key: SlotKey, want: BlockMask) -> Option<Pin> {
        let mut shard = self.shard(key);
        let found = shard.find(key).filter(|&at| {
            let slot = shard.slot(at);
            slot.valid.contains(want) && !slot.writing
        });
        match found {
            Some(at) => {
                shard.hits += 1;
                Some(shard.pin(at))
            }
            None => {
                shard.misses += 1;
                None
            }
        }
    }

    /// Pins a slot with whatever is valid in it. The caller holds the claim of its track.
    ///
    /// # Panics
    ///
    /// If a writer has the slot: two owners believe to hold one claim.
    pub fn pin(&self, key: SlotKey) -> Option<Pin> {
        let mut shard = self.shard(key);
        let at = shard.find(key)?;
        let writing = shard.slot(at).writing;
        assert!(!writing, "invariant: who holds the claim of a track meets no writer");
        Some(shard.pin(at))
    }

    /// Gives a pin back.
    ///
    /// # Panics
    ///
    /// If it belongs to another cache, where that shows.
    pub fn unpin(&self, pin: Pin) -> Wakes {
        let Pin { place, content, .. } = pin;
        // First the handles, then the count: where it says zero there is no other handle.
        drop(content);
        self.shard(place.key).unpin(place);
        self.freed()
    }

    /// What is known of a slot; `None` if there is none.
    pub fn state(&self, key: SlotKey) -> Option<SlotState> {
        let shard = self.shard(key);
        shard.find(key).map(|at| shard.slot(at).state())
    }

    /// Inserts or replaces a whole slot, as a track that was copied (steps 604 and 905), written
    /// whole or allocated anew. `valid` blocks become dirty if `dirty` says so. With `shared`, the
    /// data is in another slot too, and neither is written in place; that slot is
    /// [marked](Self::mark_shared) as well. Without it, the caller keeps no handle. A destage in
    /// flight leaves the new content dirty.
    ///
    /// # Panics
    ///
    /// If dirty blocks would be lost, a writer has the slot, or the admission has no place for a
    /// slot that becomes dirty.
    #[expect(clippy::too_many_arguments, reason = "one for each part of a slot")]
    pub fn put(
        &self,
        key: SlotKey,
        data: Arc<TrackBuf>,
        checks: Arc<CheckArea>,
        valid: BlockMask,
        dirty: bool,
        shared: bool,
        admission: &mut Admission,
    ) -> Wakes {
        let content = Content { data, checks };
        let mut shard = self.shard(key);
        let (at, old) = match shard.find(key) {
            Some(at) => {
                let was_dirty = !shard.slot(at).dirty.is_empty();
                assert!(dirty || !was_dirty, "invariant: a clean track replaces no dirty one");
                (at, Some(shard.replace(at, content, valid)))
            }
            None => (shard.insert(key, content, valid), None),
        };
        shard.slot_mut(at).shared = shared;
        let newly = if dirty { valid } else { BlockMask::NONE };
        if shard.mark_dirty(at, newly, &self.marks, admission.sequence, true) {
            admission.use_dirty();
        }
        drop(shard);
        drop(old);
        self.freed()
    }

    /// Adds staged `blocks` (steps 603 and 904) that are not valid yet; they become clean. Valid
    /// blocks are newer and stay, readers keep what they pinned. The buffer becomes the slot's, with
    /// the valid blocks copied into it. A slot that a writer has in place stays as it is.
    ///
    /// # Panics
    ///
    /// If the check areas are of tracks of different sizes.
    pub fn install(
        &self,
        key: SlotKey,
        mut data: TrackBuf,
        mut checks: CheckArea,
        blocks: BlockMask,
    ) -> Wakes {
        let mut shard = self.shard(key);
        let Some(at) = shard.find(key) else {
            let content = Content { data: Arc::new(data), checks: Arc::new(checks) };
            let at = shard.insert(key, content, blocks);
            shard.settle(at);
            drop(shard);
            return self.freed();
        };
        let slot = shard.slot(at);
        let valid = slot.valid;
        let old = if slot.writing || valid.contains(blocks) {
            None
        } else {
            copy_blocks(valid, slot.content(), data.bytes_mut(), &mut checks);
            let content = Content { data: Arc::new(data), checks: Arc::new(checks) };
            let old = shard.replace(at, content, valid.or(blocks));
            shard.settle(at);
            Some(old)
        };
        drop(shard);
        drop(old);
        self.freed()
    }

    /// Notes that a slot's data goes into another slot by reference. The caller holds the claim of
    /// its track and a pin of it, and gives the pin back afterwards.
    pub fn mark_shared(&self, key: SlotKey) {
        let mut shard = self.shard(key);
        if let Some(at) = shard.find(key) {
            shard.slot_mut(at).shared = true;
        }
    }

    /// Drops a slot, dirty or not, before its track is written on the drive past the cache. The
    /// caller holds the claim of the track.
    ///
    /// # Panics
    ///
    /// If a writer has the slot.
    pub fn drop_slot(&self, key: SlotKey) -> DropOutcome {
        let removed = {
            let mut shard = self.shard(key);
            if shard.is_destaging(key) {
                return DropOutcome::Destaging;
            }
            let Some(at) = shard.find(key) else { return DropOutcome::Absent };
            shard.remove(at)
        };
        let Removed { content, counted } = removed;
        drop(content);
        DropOutcome::Dropped(self.forgotten(key.backing, counted.as_slice()))
    }

    /// Drops all slots of a backing, or of a range of its tracks, dirty, failed or not. Destages in flight
    /// may still reach the drive but change no slot; until one has ended, [`next_dirty`] offers no
    /// other of its track and [`drop_slot`] says so. The caller holds the claim of the tracks.
    ///
    /// [`next_dirty`]: Self::next_dirty
    /// [`drop_slot`]: Self::drop_slot
    ///
    /// # Panics
    ///
    /// If a writer has one of the slots.
    pub fn purge(&self, backing: BackingId, tracks: Option<TrackRange>) -> Wakes {
        const FEW_TRACKS: u64 = 64;
        let mut dirty = Vec::new();
        let mut remove = |shard: &mut Shard, at| {
            let Removed { content, counted } = shard.remove(at);
            drop(content);
            dirty.extend(counted);
        };
        if let Some(range) = tracks.filter(|range| range.count() <= FEW_TRACKS) {
            for track in range.iter() {
                let key = SlotKey { backing, track };
                let mut shard = self.shard(key);
                if let Some(at) = shard.find(key) {
                    remove(&mut shard, at);
                }
            }
        } else {
            let wanted = |key: &SlotKey| {
                key.backing == backing && tracks.is_none_or(|range| range.contains(key.track))
            };
            for shard in &self.shards {
                let mut shard = shard.lock();
                let keys: Vec<SlotKey> = shard.keys().filter(wanted).collect();
                for key in keys {
                    let at = shard.find(key).expect("the shard is locked");
                    remove(&mut shard, at);
                }
            }
        }
        self.forgotten(backing, &dirty)
    }

    /// Counts of what is in it and what was done.
    pub fn counts(&self) -> CacheCounts {
        let waiting = self.room.lock();
        let mut counts = CacheCounts {
            buffers: self.pool.used() - waiting.stock,
            waiters: waiting.waiters(),
            ..CacheCounts::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            counts.slots += shard.len();
            counts.dirty_slots += shard.dirty_slots;
            counts.failed_slots += shard.failed_slots;
            counts.hits += shard.hits;
            counts.misses += shard.misses;
            counts.evictions += shard.evictions;
        }
        counts.dirty_permits = waiting.dirty_used + counts.failed_slots - counts.dirty_slots;
        counts
    }

    /// Whether anything but idle time asks for destaging: [`DestageNeed::is_pressing`], without a look
    /// at the slots. Places promised for dirty slots count as used, failed slots do not.
    pub fn is_pressed(&self) -> bool {
        let waiting = self.room.lock();
        waiting.waiters() > 0 || waiting.dirty_used > self.config.low_watermark_slots()
    }

    /// The part of the write-pending limit that is in use, in percent rounded down: 100 while anybody
    /// waits for room. Places promised for dirty slots count as used, failed slots do not.
    pub fn write_pending_percent(&self) -> u8 {
        let waiting = self.room.lock();
        if waiting.room_waiters() > 0 {
            return 100;
        }
        // Failed slots that are to be tried again may be more than the limit.
        (waiting.dirty_used * 100 / self.config.write_pending_limit_slots).min(100) as u8
    }

    /// What asks for destaging.
    pub fn needs_destage(&self) -> DestageNeed {
        let waiting = self.room.lock();
        let mut need = DestageNeed {
            room_waiters: waiting.room_waiters(),
            clean_upto: waiting.flushes.upto(),
            ..DestageNeed::default()
        };
        for shard in &self.shards {
            let shard = shard.lock();
            need.dirty_slots += shard.dirty_slots - shard.failed_slots;
            shard.add_needs(&mut need.queues);
        }
        need.oldest_mark = need.queues.iter().filter_map(|queue| queue.oldest_mark).min();
        need.offered_mark = need.queues.iter().filter_map(|queue| queue.offered_mark).min();
        need.over_low_watermark = need.dirty_slots > self.config.low_watermark_slots();
        need
    }

    /// The mark as of now: every slot that is dirty now has this mark or an earlier one.
    pub fn dirty_mark(&self) -> u64 {
        self.marks.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("config", &self.config).finish_non_exhaustive()
    }
}
