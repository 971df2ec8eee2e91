//! Who is told of all that changes, so that shared memory can come back.

use crate::{Change, FamilyState, Volume};
use diptych_format::{BackingId, LdevId};
use diptych_sync::Arc;
use std::fmt;

/// Is told of every change, in the order of the changes.
///
/// It is called under a lock of shared memory, so what it puts down has the order of memory; it must
/// be quick and may not ask for shared memory itself. A visit to a family that panics tells nothing.
pub trait Recorder: Send + Sync + fmt::Debug {
    /// What one visit to a family changed and nobody took ([`FamilyState::take_changes`]), in order and
    /// never nothing. `of` is a volume of the family. What is left in `changes` is dropped.
    fn changed(&self, of: LdevId, changes: &mut Vec<Change>);

    /// A volume is about to be there.
    fn volume_added(&self, volume: &Volume);

    /// A volume is gone; its name is about to be free.
    fn volume_removed(&self, ldev: LdevId, backing: BackingId);
}

impl<R: Recorder + ?Sized> Recorder for Arc<R> {
    fn changed(&self, of: LdevId, changes: &mut Vec<Change>) {
        (**self).changed(of, changes);
    }

    fn volume_added(&self, volume: &Volume) {
        (**self).volume_added(volume);
    }

    fn volume_removed(&self, ldev: LdevId, backing: BackingId) {
        (**self).volume_removed(ldev, backing);
    }
}

/// The recorder of a memory. Loom's handle cannot be one of a trait object, so there is a box in it.
pub(crate) type Recording = Arc<Box<dyn Recorder>>;

/// The changes of a visit that nobody has taken. Empty between visits.
#[derive(Debug)]
pub(crate) struct Visit {
    recorded: bool,
    changes: Vec<Change>,
}

impl Visit {
    pub(crate) fn new(recorded: bool) -> Self {
        Self { recorded, changes: Vec::new() }
    }

    pub(crate) fn note(&mut self, change: Change) {
        if self.recorded && !change.is_volatile() {
            self.changes.push(change);
        }
    }
}

impl FamilyState {
    /// Takes the changes of this visit so far away from the [`Recorder`], for who records them together
    /// with something else. None if nothing is recorded.
    #[must_use = "changes that are taken and not recorded are lost"]
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.visit.changes)
    }

    /// The end of a visit.
    pub(crate) fn hand_over(&mut self, recorder: &dyn Recorder) {
        if self.visit.changes.is_empty() {
            return;
        }
        let of = self.volumes().first().expect("what was changed has a volume").ldev;
        recorder.changed(of, &mut self.visit.changes);
        self.visit.changes.clear();
    }
}
