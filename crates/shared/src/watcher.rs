//! Who is told when what hosts may do with a volume changes.

use crate::{Change, FamilyState, Pair, Transition, Volume};
use diptych_format::LdevId;
use diptych_sync::Arc;
use std::fmt;

/// Knows what hosts may do with a volume, and is told when that changes.
///
/// It is asked and told under a lock of shared memory: it must be quick, and may not ask for shared memory
/// itself. What is replayed is not told.
pub trait Watcher: Send + Sync + fmt::Debug {
    /// What hosts may do with a volume of the family now: a number for each answer.
    fn rights(&self, family: &FamilyState, volume: &Volume) -> u8;

    /// The volume has other rights now.
    fn rights_changed(&self, ldev: LdevId);
}

/// The watcher of a memory. Loom's handle cannot be one of a trait object, so there is a box in it.
pub(crate) type Watching = Arc<Box<dyn Watcher>>;

/// The volumes that a change may give other rights, and the rights they have.
type Rights = [Option<(LdevId, u8)>; 2];

impl FamilyState {
    /// Applies a change, and tells whose rights it changed.
    pub(crate) fn apply_watched(&mut self, change: &Change) -> Option<Transition> {
        if self.watcher.is_none() {
            return self.apply(change);
        }
        let before = self.concerned(change).map(|ldevs| self.rights_of(ldevs));
        let transition = self.apply(change);
        let before = before.or_else(|| transition.map(|ended| self.rights_before(ended)));
        for (ldev, rights) in before.into_iter().flatten().flatten() {
            let [now, _] = self.rights_of([Some(ldev), None]);
            if let Some(watcher) = self.watcher.as_ref().filter(|_| now != Some((ldev, rights))) {
                watcher.rights_changed(ldev);
            }
        }
        transition
    }

    fn rights_of(&self, ldevs: [Option<LdevId>; 2]) -> Rights {
        let rights = |ldev| {
            let (watcher, volume) = (self.watcher.as_ref()?, self.volume(ldev)?);
            Some((ldev, watcher.rights(self, volume)))
        };
        ldevs.map(|ldev| ldev.and_then(rights))
    }

    /// The rights of a pair's volumes before the end of a copy changed the pair's status and nothing else.
    fn rights_before(&mut self, ended: Transition) -> Rights {
        let Transition { pair: id, from, to } = ended;
        let ldevs = self.pair(id).map(|pair| [Some(pair.primary), Some(pair.secondary)]);
        self.pretend(id, from);
        let rights = self.rights_of(ldevs.unwrap_or_default());
        self.pretend(id, to);
        rights
    }

    /// The volumes whose rights may be others after a change, if it is not one of the many that are made
    /// for each track.
    fn concerned(&self, change: &Change) -> Option<[Option<LdevId>; 2]> {
        let both = |pair: &Pair| Some([Some(pair.primary), Some(pair.secondary)]);
        match *change {
            Change::AddPair(ref pair) => both(pair),
            Change::RemovePair(pair)
            | Change::Copy { pair, .. }
            | Change::Resync { pair, .. }
            | Change::Restore { pair, .. }
            | Change::AbandonRestore { pair }
            | Change::Exchange { pair, .. }
            | Change::Suspend { pair, .. }
            | Change::Options { pair, .. } => both(self.pair(pair)?),
            Change::Reserve { ldev, .. } | Change::VolumeState { ldev, .. } => {
                Some([Some(ldev), None])
            }
            _ => None,
        }
    }
}
