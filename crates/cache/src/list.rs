//! Intrusive lists over the slots of a shard. A slot is on at most one.

use crate::slot::Slot;

/// No slot.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// The lists of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Clean slots nobody uses, least recently used first: these may be evicted.
    Clean,
    /// Dirty slots to destage, in the order of their marks.
    Dirty,
    /// Dirty slots whose destage failed, in the order of their marks.
    Failed,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

/// The ends of all lists of a shard; the links are in the slots.
#[derive(Debug)]
pub(crate) struct Lists([Ends; 3]);

impl Lists {
    pub(crate) fn new() -> Self {
        Self([Ends { first: NOWHERE, last: NOWHERE }; 3])
    }

    pub(crate) fn first(&self, kind: ListKind) -> Option<u32> {
        let first = self.0[kind as usize].first;
        (first != NOWHERE).then_some(first)
    }

    /// The last slot of a list, or [`NOWHERE`].
    pub(crate) fn last(&self, kind: ListKind) -> u32 {
        self.0[kind as usize].last
    }

    /// The slots of a list, in order.
    pub(crate) fn iter<'a>(
        &self,
        kind: ListKind,
        slots: &'a [Slot],
    ) -> impl Iterator<Item = u32> + use<'a> {
        let next = |at: u32| Some(slots[at as usize].next).filter(|&next| next != NOWHERE);
        std::iter::successors(self.first(kind), move |&at| next(at))
    }

    /// Takes a slot off its list, if it is on one.
    pub(crate) fn unlink(&mut self, slots: &mut [Slot], at: u32) {
        let slot = &mut slots[at as usize];
        let Some(kind) = slot.list.take() else { return };
        let (previous, next) = (slot.previous, slot.next);
        let ends = &mut self.0[kind as usize];
        match previous {
            NOWHERE => ends.first = next,
            _ => slots[previous as usize].next = next,
        }
        match next {
            NOWHERE => ends.last = previous,
            _ => slots[next as usize].previous = previous,
        }
    }

    /// Puts a slot at the end of a list: the most recently used, the latest mark.
    pub(crate) fn push_back(&mut self, kind: ListKind, slots: &mut [Slot], at: u32) {
        self.insert_after(self.0[kind as usize].last, kind, slots, at);
    }

    /// Puts a slot where its mark belongs, looked for from slot `near` of the list both ways;
    /// [`NOWHERE`] is before its front.
    pub(crate) fn insert_by_mark(
        &mut self,
        kind: ListKind,
        slots: &mut [Slot],
        at: u32,
        near: u32,
    ) {
        let mark = slots[at as usize].mark;
        let mut previous = near;
        while previous != NOWHERE && slots[previous as usize].mark > mark {
            previous = slots[previous as usize].previous;
        }
        loop {
            let next = match previous {
                NOWHERE => self.0[kind as usize].first,
                _ => slots[previous as usize].next,
            };
            if next == NOWHERE || slots[next as usize].mark > mark {
                break;
            }
            previous = next;
        }
        self.insert_after(previous, kind, slots, at);
    }

    fn insert_after(&mut self, previous: u32, kind: ListKind, slots: &mut [Slot], at: u32) {
        let ends = &mut self.0[kind as usize];
        let next = match previous {
            NOWHERE => std::mem::replace(&mut ends.first, at),
            _ => std::mem::replace(&mut slots[previous as usize].next, at),
        };
        match next {
            NOWHERE => ends.last = at,
            _ => slots[next as usize].previous = at,
        }
        let slot = &mut slots[at as usize];
        assert!(slot.list.is_none(), "a slot is on one list");
        (slot.list, slot.previous, slot.next) = (Some(kind), previous, next);
    }
}
