//! Intrusive lists over the slots of a shard. A slot is on at most one.

use crate::QueueNo;
use crate::slot::Slot;

/// No slot.
pub(crate) const NOWHERE: u32 = u32::MAX;

/// The lists of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListKind {
    /// Clean slots nobody uses, least recently used first: these may be evicted.
    Clean,
    /// Dirty slots whose destage failed, in the order of their marks.
    Failed,
    /// Dirty slots to destage, in the order of their marks: a list for each queue.
    Dirty,
}

#[derive(Debug, Clone, Copy)]
struct Ends {
    first: u32,
    last: u32,
}

const NO_ENDS: Ends = Ends { first: NOWHERE, last: NOWHERE };

/// The ends of all lists of a shard; the links are in the slots. Clean, failed, then the dirty ones by
/// their queues.
#[derive(Debug)]
pub(crate) struct Lists(Vec<Ends>);

/// Where a list is among all.
fn no_of(kind: ListKind, queue: QueueNo) -> usize {
    match kind {
        ListKind::Dirty => kind as usize + usize::from(queue.0),
        ListKind::Clean | ListKind::Failed => kind as usize,
    }
}

impl Lists {
    pub(crate) fn new() -> Self {
        let mut lists = Self(vec![NO_ENDS; ListKind::Dirty as usize]);
        lists.add_queue(QueueNo::default());
        lists
    }

    /// There is a list for this queue from here on, and for those before it.
    pub(crate) fn add_queue(&mut self, queue: QueueNo) {
        let least = no_of(ListKind::Dirty, queue) + 1;
        self.0.resize(self.0.len().max(least), NO_ENDS);
    }

    /// How many queues there are.
    pub(crate) fn queue_count(&self) -> usize {
        self.0.len() - ListKind::Dirty as usize
    }

    /// All queues.
    pub(crate) fn queues(&self) -> impl Iterator<Item = QueueNo> + use<> {
        (0..=u16::MAX).map(QueueNo).take(self.queue_count())
    }

    fn ends(&mut self, kind: ListKind, queue: QueueNo) -> &mut Ends {
        &mut self.0[no_of(kind, queue)]
    }

    fn first_of(&self, kind: ListKind, queue: QueueNo) -> Option<u32> {
        let first = self.0.get(no_of(kind, queue))?.first;
        (first != NOWHERE).then_some(first)
    }

    /// The least recently used clean slot.
    pub(crate) fn first_clean(&self) -> Option<u32> {
        self.first_of(ListKind::Clean, QueueNo::default())
    }

    /// The first slot of a queue of dirty ones.
    pub(crate) fn first_dirty(&self, queue: QueueNo) -> Option<u32> {
        self.first_of(ListKind::Dirty, queue)
    }

    /// The last failed slot, or [`NOWHERE`].
    pub(crate) fn last_failed(&self) -> u32 {
        self.0[ListKind::Failed as usize].last
    }

    /// The failed slots, in order.
    pub(crate) fn failed<'a>(&self, slots: &'a [Slot]) -> impl Iterator<Item = u32> + use<'a> {
        iter_from(self.first_of(ListKind::Failed, QueueNo::default()), slots)
    }

    /// The slots of a queue of dirty ones, in order.
    pub(crate) fn dirty<'a>(
        &self,
        queue: QueueNo,
        slots: &'a [Slot],
    ) -> impl Iterator<Item = u32> + use<'a> {
        iter_from(self.first_dirty(queue), slots)
    }

    /// Takes a slot off its list, if it is on one.
    pub(crate) fn unlink(&mut self, slots: &mut [Slot], at: u32) {
        let slot = &mut slots[at as usize];
        let Some(kind) = slot.list.take() else { return };
        let (previous, next, queue) = (slot.previous, slot.next, slot.queue);
        let ends = self.ends(kind, queue);
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
        let last = self.ends(kind, slots[at as usize].queue).last;
        self.insert_after(last, kind, slots, at);
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
        let Slot { mark, queue, .. } = slots[at as usize];
        let mut previous = near;
        while previous != NOWHERE && slots[previous as usize].mark > mark {
            previous = slots[previous as usize].previous;
        }
        loop {
            let next = match previous {
                NOWHERE => self.ends(kind, queue).first,
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
        let ends = self.ends(kind, slots[at as usize].queue);
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

fn iter_from(first: Option<u32>, slots: &[Slot]) -> impl Iterator<Item = u32> + use<'_> {
    let next = |at: u32| Some(slots[at as usize].next).filter(|&next| next != NOWHERE);
    std::iter::successors(first, move |&at| next(at))
}
