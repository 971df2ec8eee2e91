//! Where it says that hosts' access to a volume has changed.

use diptych_format::LdevId;
use diptych_sync::RwLock;
use diptych_sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;
use std::fmt;

/// A counter for each volume of the changes of what hosts may do with it.
///
/// The control unit counts, under the lock under which access is decided; who serves a host compares the
/// count with the one that the host was last told of, and raises a unit attention. There is an entry for
/// each volume whose access has ever changed, so at most one for each volume there is.
///
/// ```
/// use diptych_cha::AccessBoard;
/// use diptych_format::LdevId;
///
/// let (board, ldev) = (AccessBoard::new(), LdevId::new(0, 0x1A));
/// let told = board.epoch(ldev);
/// assert_eq!(told, 0);
/// board.changed(ldev);
/// assert_ne!(board.epoch(ldev), told, "a unit attention is due");
/// ```
#[derive(Default)]
pub struct AccessBoard {
    epochs: RwLock<BTreeMap<LdevId, AtomicU64>>,
}

impl AccessBoard {
    /// A board on which nothing has changed.
    pub fn new() -> Self {
        Self::default()
    }

    /// What hosts may do with the volume has changed.
    pub fn changed(&self, ldev: LdevId) {
        if let Some(epoch) = self.epochs.read().get(&ldev) {
            epoch.fetch_add(1, Ordering::AcqRel);
            return;
        }
        let mut epochs = self.epochs.write();
        epochs.entry(ldev).or_insert_with(|| AtomicU64::new(0)).fetch_add(1, Ordering::AcqRel);
    }

    /// How often it has changed; 0 if never.
    pub fn epoch(&self, ldev: LdevId) -> u64 {
        self.epochs.read().get(&ldev).map_or(0, |epoch| epoch.load(Ordering::Acquire))
    }

    /// The volume is gone; another of its name begins at 0.
    pub fn forget(&self, ldev: LdevId) {
        self.epochs.write().remove(&ldev);
    }
}

impl fmt::Debug for AccessBoard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let epochs = self.epochs.read();
        let shown = epochs.iter().map(|(ldev, epoch)| (*ldev, epoch.load(Ordering::Acquire)));
        f.debug_map().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_sync::{Arc, thread};

    #[test]
    fn each_volume_has_its_own_count() {
        let [one, other] = [LdevId::new(0, 1), LdevId::new(0, 2)];
        let board = AccessBoard::new();
        board.changed(one);
        board.changed(one);
        assert_eq!((board.epoch(one), board.epoch(other)), (2, 0));
        assert_eq!(format!("{board:?}"), format!("{{{one:?}: 2}}"));
        board.forget(one);
        assert_eq!(board.epoch(one), 0);
    }

    #[test]
    fn no_change_is_lost() {
        let (board, ldev) = (Arc::new(AccessBoard::new()), LdevId::new(0, 1));
        let changes = [0, 1].map(|_| {
            let board = board.clone();
            thread::spawn(move || (0..1_000).for_each(|_| board.changed(ldev)))
        });
        changes.into_iter().for_each(|thread| thread.join().expect("a thread"));
        assert_eq!(board.epoch(ldev), 2_000);
    }
}
