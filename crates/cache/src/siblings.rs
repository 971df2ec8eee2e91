//! The dirty slots of each backing, within a shard: what a flush of one volume has to look at.

use crate::list::NOWHERE;
use crate::slot::Slot;
use diptych_format::BackingId;
use rustc_hash::FxHashMap;

/// The first dirty slot of each backing that has one; the links are in the slots. In no order.
#[derive(Debug, Default)]
pub(crate) struct Siblings(FxHashMap<BackingId, u32>);

impl Siblings {
    /// A slot became dirty.
    pub(crate) fn link(&mut self, slots: &mut [Slot], at: u32) {
        let slot = &mut slots[at as usize];
        let next = self.0.insert(slot.key.backing, at).unwrap_or(NOWHERE);
        (slot.sibling_previous, slot.sibling_next) = (NOWHERE, next);
        if next != NOWHERE {
            slots[next as usize].sibling_previous = at;
        }
    }

    /// A slot became clean, or goes.
    pub(crate) fn unlink(&mut self, slots: &mut [Slot], at: u32) {
        let slot = &slots[at as usize];
        let (backing, previous, next) =
            (slot.key.backing, slot.sibling_previous, slot.sibling_next);
        match (previous, next) {
            (NOWHERE, NOWHERE) => drop(self.0.remove(&backing)),
            (NOWHERE, _) => drop(self.0.insert(backing, next)),
            _ => slots[previous as usize].sibling_next = next,
        }
        if next != NOWHERE {
            slots[next as usize].sibling_previous = previous;
        }
    }

    /// The dirty slots of a backing.
    pub(crate) fn iter<'a>(
        &self,
        backing: BackingId,
        slots: &'a [Slot],
    ) -> impl Iterator<Item = u32> + use<'a> {
        let next = |&at: &u32| Some(slots[at as usize].sibling_next).filter(|&at| at != NOWHERE);
        std::iter::successors(self.0.get(&backing).copied(), next)
    }
}
