//! What is going to happen, and when.

use diptych_format::Time;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// A place in the order of a run: by time, then by when it was planned. No two are alike, so a run
/// has one order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment {
    pub(crate) at: Time,
    sequence: u64,
}

/// What happens. The numbers are places in the driver's tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A host's request reaches the unit.
    Request { place: u32 },
    /// A resource is done with an effect of a batch.
    Effect { place: u32, index: u32 },
    /// [`diptych_unit::Unit::due`] is to be asked.
    Due,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    moment: Moment,
    event: Event,
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.moment == other.moment
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        self.moment.cmp(&other.moment)
    }
}

/// The events to come. The unit's deadline is kept beside the heap: there is one, and it is often
/// replaced.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    heap: BinaryHeap<Reverse<Entry>>,
    deadline: Option<Moment>,
    next_sequence: u64,
}

impl Agenda {
    fn moment(&mut self, at: Time) -> Moment {
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Moment { at, sequence }
    }

    pub(crate) fn plan(&mut self, at: Time, event: Event) {
        let moment = self.moment(at);
        self.heap.push(Reverse(Entry { moment, event }));
    }

    /// Replaces the unit's deadline.
    pub(crate) fn set_deadline(&mut self, at: Option<Time>) {
        self.deadline = at.map(|at| self.moment(at));
    }

    /// When the next event is.
    #[inline]
    pub(crate) fn next_at(&self) -> Option<Time> {
        let first = self.heap.peek().map(|entry| entry.0.moment.at);
        match (first, self.deadline) {
            (Some(first), Some(deadline)) => Some(first.min(deadline.at)),
            (first, deadline) => first.or(deadline.map(|d| d.at)),
        }
    }

    /// Takes the next event.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<(Time, Event)> {
        if let Some(deadline) = self.deadline
            && self.heap.peek().is_none_or(|entry| deadline < entry.0.moment)
        {
            self.deadline = None;
            return Some((deadline.at, Event::Due));
        }
        self.heap.pop().map(|entry| (entry.0.moment.at, entry.0.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_then_in_the_order_planned() {
        let mut agenda = Agenda::default();
        for (ns, place) in [(30, 1), (10, 2), (30, 3), (20, 4)] {
            agenda.plan(Time::from_ns(ns), Event::Request { place });
        }
        agenda.set_deadline(Some(Time::from_ns(5)));
        agenda.set_deadline(Some(Time::from_ns(30)));
        agenda.plan(Time::from_ns(30), Event::Effect { place: 1, index: 0 });
        assert_eq!(agenda.next_at(), Some(Time::from_ns(10)));
        let order: Vec<_> =
            std::iter::from_fn(|| agenda.take()).map(|(at, event)| (at.ns, event)).collect();
        assert_eq!(
            order,
            [
                (10, Event::Request { place: 2 }),
                (20, Event::Request { place: 4 }),
                (30, Event::Request { place: 1 }),
                (30, Event::Request { place: 3 }),
                (30, Event::Due),
                (30, Event::Effect { place: 1, index: 0 }),
            ]
        );
    }
}
