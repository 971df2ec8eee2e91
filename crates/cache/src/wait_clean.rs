//! Waiting until what was dirty is on the drives (a flush).

use crate::room::Waiting;
use crate::{Cache, CacheError, SlotKey, Wakes};
use diptych_format::{Answer, OwnerId};

/// Waits until no slot has this mark or an earlier one.
#[derive(Debug)]
pub(crate) struct CleanWaiter {
    pub(crate) owner: OwnerId,
    upto: u64,
}

/// The oldest marks of the cache.
struct Oldest {
    dirty: Option<u64>,
    failed: Option<(u64, SlotKey)>,
}

impl Waiting {
    /// The latest mark that is waited for.
    pub(crate) fn clean_upto(&self) -> Option<u64> {
        self.clean.iter().map(|waiter| waiter.upto).max()
    }
}

impl Cache {
    /// Whether every slot that was dirty at mark `upto` is clean. If not, the owner is queued and is
    /// told [`Answer::Granted`] when they are, [`Answer::Cancelled`] if the destage of one fails.
    /// Take `upto` from [`Cache::dirty_mark`]; give [`Cache::next_dirty`] the same to hurry.
    ///
    /// # Errors
    ///
    /// If the destage of one has failed already, or too many wait.
    pub fn wait_clean(&self, owner: OwnerId, upto: u64) -> Result<bool, CacheError> {
        let mut waiting = self.room.lock();
        // Shard by shard is right: a slot that becomes dirty meanwhile has a later mark, or held
        // its mark already.
        let oldest = self.oldest();
        match oldest.failed {
            Some((mark, key)) if mark <= upto => return Err(CacheError::DestageFailed { key }),
            _ => {}
        }
        if oldest.dirty.is_none_or(|mark| mark > upto) {
            return Ok(true);
        }
        waiting.check_limit(self.config.waiters_max)?;
        waiting.clean.push(CleanWaiter { owner, upto });
        Ok(false)
    }

    /// Answers those whose wait for clean slots is over.
    pub(crate) fn answer_clean(&self, waiting: &mut Waiting, wakes: &mut Wakes) {
        if waiting.clean.is_empty() {
            return;
        }
        let oldest = self.oldest();
        waiting.clean.retain(|waiter| {
            let covered = |mark: u64| mark <= waiter.upto;
            let answer = if oldest.failed.is_some_and(|(mark, _)| covered(mark)) {
                Answer::Cancelled
            } else if oldest.dirty.is_some_and(covered) {
                return true;
            } else {
                Answer::Granted
            };
            wakes.push((waiter.owner, answer));
            false
        });
    }

    fn oldest(&self) -> Oldest {
        let mut oldest = Oldest { dirty: None, failed: None };
        for shard in &self.shards {
            let shard = shard.lock();
            oldest.dirty = oldest.dirty.into_iter().chain(shard.oldest_mark()).min();
            oldest.failed = oldest.failed.into_iter().chain(shard.oldest_failed()).min();
        }
        oldest
    }
}
