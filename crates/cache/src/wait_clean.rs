//! Waiting until what was dirty of a backing is on its drive (a flush).

use crate::{Cache, CacheError, SlotKey, Wakes};
use diptych_format::{Answer, BackingId, OwnerId};
use diptych_sync::mutant;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;

/// Who waits for dirty slots of which backing: under the room's lock.
#[derive(Debug, Default)]
pub(crate) struct Flushes(FxHashMap<BackingId, OfBacking>);

/// Those who wait for one backing; there is at least one.
#[derive(Debug, Default)]
struct OfBacking {
    /// The mark up to which all is to be clean, and who waits for that.
    waiters: BTreeSet<(u64, OwnerId)>,
    /// Marks of what is not on the drive: all of the backing up to the last of `waiters`, but for
    /// what is purged and not struck out yet. A dirty slot has two at most.
    due: BTreeSet<u64>,
}

impl Flushes {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.0.values().map(|of| of.waiters.len()).sum()
    }

    /// The latest mark that is waited for.
    pub(crate) fn upto(&self) -> Option<u64> {
        self.0.values().filter_map(OfBacking::upto).max()
    }

    /// An owner waits for nothing any more.
    pub(crate) fn cancel(&mut self, owner: OwnerId) {
        self.0.retain(|_, of| {
            of.waiters.retain(|(_, other)| *other != owner);
            !of.waiters.is_empty()
        });
    }

    /// Nobody waits any more: those who did.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = OwnerId> + use<> {
        let all = std::mem::take(&mut self.0);
        all.into_values().flat_map(|of| of.waiters).map(|(_, owner)| owner)
    }

    /// Strikes out what is on the drive, or is not to get there, and grants those who waited for
    /// nothing else.
    pub(crate) fn strike(&mut self, backing: BackingId, marks: &[u64], wakes: &mut Wakes) {
        let Some(of) = self.0.get_mut(&backing) else { return };
        for mark in marks {
            of.due.remove(mark);
        }
        while let Some(&(upto, owner)) = of.waiters.first()
            && of.due.first().is_none_or(|&mark| mark > upto)
        {
            of.waiters.pop_first();
            wakes.push((owner, Answer::Granted));
        }
        if of.waiters.is_empty() {
            self.0.remove(&backing);
        }
    }

    /// What has these marks cannot be written: cancels those who wait for it.
    pub(crate) fn fail(&mut self, backing: BackingId, marks: &[u64], wakes: &mut Wakes) {
        let Some(of) = self.0.get_mut(&backing) else { return };
        let oldest = marks.iter().copied().min().unwrap_or(u64::MAX);
        let cancelled = of.waiters.split_off(&(oldest, OwnerId(0)));
        wakes.extend(cancelled.into_iter().map(|(_, owner)| (owner, Answer::Cancelled)));
        self.strike(backing, marks, wakes);
    }
}

impl OfBacking {
    fn upto(&self) -> Option<u64> {
        self.waiters.last().map(|&(upto, _)| upto)
    }
}

/// What is dirty of one backing, as a flush finds it.
#[derive(Debug, Default)]
struct Dirty {
    marks: Vec<u64>,
    oldest_failed: Option<(u64, SlotKey)>,
}

impl Cache {
    /// Whether every slot of a backing that was dirty at mark `upto` is clean. If not, the owner is
    /// queued and is told [`Answer::Granted`] when what was dirty then is written or purged,
    /// [`Answer::Cancelled`] if the destage of some of it fails. Other backings do not matter. Take
    /// `upto` from [`Cache::dirty_mark`], and give [`Cache::next_dirty`] the same to hurry.
    ///
    /// It looks once at the backing's dirty slots; afterwards each is struck out when it is written.
    ///
    /// # Errors
    ///
    /// If the destage of such a slot of the backing has failed already, or too many wait.
    ///
    /// # Panics
    ///
    /// If the owner waits for that already.
    pub fn wait_clean(
        &self,
        owner: OwnerId,
        backing: BackingId,
        upto: u64,
    ) -> Result<bool, CacheError> {
        let mut waiting = self.room.lock();
        // No later than now: what becomes dirty from here on is not waited for.
        let upto = upto.min(self.dirty_mark());
        let of = waiting.flushes.0.get(&backing);
        let known = of.and_then(OfBacking::upto).unwrap_or(0);
        let dirty = self.dirty_of(backing, known, upto);
        if let Some((_, key)) = dirty.oldest_failed {
            return Err(CacheError::DestageFailed { key });
        }
        if mutant::removed("flush-one-look") {
            drop(waiting);
            waiting = self.room.lock();
        }
        let of = waiting.flushes.0.get(&backing);
        let due = of.and_then(|of| of.due.first().copied());
        if dirty.marks.is_empty() && due.is_none_or(|mark| mark > upto) {
            return Ok(true);
        }
        waiting.check_limit(self.config.waiters_max)?;
        let of = waiting.flushes.0.entry(backing).or_default();
        of.due.extend(dirty.marks);
        let first = of.waiters.insert((upto, owner));
        assert!(first, "an owner waits for one thing at a time");
        Ok(false)
    }

    /// Looks at the dirty slots of a backing up to mark `upto`; their marks up to `known` are known.
    ///
    /// Shard by shard is right: what becomes dirty meanwhile has a later mark, what fails or is
    /// written meanwhile ends under the room's lock, and what is purged is struck out afterwards.
    fn dirty_of(&self, backing: BackingId, known: u64, upto: u64) -> Dirty {
        let mut found = Dirty::default();
        for shard in &self.shards {
            for slot in shard.lock().dirty_of(backing) {
                if slot.is_failed() {
                    let failed = Some((slot.mark, slot.key)).filter(|&(mark, _)| mark <= upto);
                    found.oldest_failed = found.oldest_failed.into_iter().chain(failed).min();
                    continue;
                }
                let new = |mark: &u64| known < *mark && *mark <= upto;
                let queued = Some(slot.mark).filter(|_| slot.is_queued());
                let in_flight = Some(slot.destage_mark).filter(|_| slot.destage_no != 0);
                found.marks.extend(queued.into_iter().chain(in_flight).filter(new));
            }
        }
        found
    }
}
