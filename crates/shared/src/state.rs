//! All that shared memory knows at one instant, for checkpoints.

use crate::family::Family;
use crate::memory::Directory;
use crate::pair_numbers::PairNumbers;
use crate::{FamilyState, Pair, SharedMemory, StateError, TrackMap, Volume};
use diptych_format::BackingId;
use diptych_sync::{Arc, MutexGuard};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};

/// What [`SharedMemory::snapshot`] found. Claims, what is settling and when hosts wrote are not in it:
/// they end with the unit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// All volumes, ascending.
    pub volumes: Vec<Volume>,
    /// All pairs, ascending.
    pub pairs: Vec<Pair>,
    /// For each pair number that was ever given out the epoch that it has, or has next if it is in no
    /// pair; `None` if it has no epoch left.
    pub pair_numbers: Vec<Option<u32>>,
}

impl SharedMemory {
    /// Everything, at one instant: `at` runs while all families are locked and no volume comes or goes.
    /// What is recorded before it is in the state, and what is recorded after it is not. `at` may not
    /// ask for shared memory.
    pub fn snapshot<R>(&self, at: impl FnOnce() -> R) -> (State, R) {
        loop {
            let families = self.families();
            let locked: Vec<MutexGuard<'_, FamilyState>> =
                families.iter().map(|family| family.state.lock()).collect();
            let directory = self.directory.read();
            // A volume was added, or a family fell apart, between the look-up and the locks.
            if !directory.is_among(&families) {
                continue;
            }
            let mut state = State::default();
            for family in &locked {
                state.volumes.extend(family.volumes().iter().map(lasting_volume));
                state.pairs.extend(family.pairs().iter().map(lasting_pair));
            }
            let result = at();
            drop(directory);
            state.volumes.sort_by_key(|volume| volume.ldev);
            state.pairs.sort_by_key(|pair| pair.id);
            let is_pair = |id| state.pairs.binary_search_by_key(&id, |pair| pair.id).is_ok();
            // A number is given out before its pair is there, and given back after it is gone.
            state.pair_numbers = self.pair_numbers.lock().epochs(is_pair);
            return (state, result);
        }
    }

    /// Becomes what the state says. Nothing of it is recorded. If it cannot be, nothing changes.
    ///
    /// # Errors
    ///
    /// [`StateError`]: there are volumes, or the state is none that a memory can have.
    pub fn restore(&self, state: State) -> Result<(), StateError> {
        let State { volumes, pairs, pair_numbers } = state;
        let mut built = Self::with_recording(self.limits, self.recorder.clone());
        built.watcher = self.watcher.clone();
        built.directory.write().continue_from(&self.directory.read());
        let (asked, limit) = (pair_numbers.len(), self.limits.pairs);
        if asked > limit {
            return Err(StateError::TooManyPairs { asked, limit });
        }
        let mut numbers = PairNumbers::of_epochs(limit, &pair_numbers);
        let mut backings: FxHashSet<BackingId> = FxHashSet::default();
        for volume in volumes {
            let backing = volume.backing;
            if !backings.insert(backing) {
                return Err(StateError::BackingTwice { backing });
            }
            built.replay_volume_added(lasting_volume(&volume))?;
        }
        for pair in pairs {
            built.join_pair(&lasting_pair(&pair), |id| numbers.take_exactly(id))?;
        }
        let mut directory = self.directory.write();
        let volume_count = directory.families.len();
        if volume_count > 0 {
            return Err(StateError::NotEmpty { volume_count });
        }
        *directory = std::mem::take(&mut *built.directory.write());
        drop(directory);
        *self.pair_numbers.lock() = numbers;
        Ok(())
    }

    /// All families, in the order in which they are locked.
    pub(crate) fn families(&self) -> Vec<Arc<Family>> {
        let mut families: Vec<_> = self.directory.read().families.values().cloned().collect();
        families.sort_by_key(|family| family.id);
        families.dedup_by_key(|family| family.id);
        families
    }
}

impl Directory {
    /// Whether all families are among these, which are ascending.
    fn is_among(&self, families: &[Arc<Family>]) -> bool {
        let known = |id| families.binary_search_by_key(&id, |family| family.id).is_ok();
        self.families.values().all(|family| known(family.id))
    }
}

fn lasting_volume(volume: &Volume) -> Volume {
    Volume { host_wrote_at: None, ..volume.clone() }
}

fn lasting_pair(pair: &Pair) -> Pair {
    Pair { settling: TrackMap::new(pair.c.track_count()), ..pair.clone() }
}
