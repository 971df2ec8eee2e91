//! History: every command and every transition, as data (Fig. 11D: 1533).
//!
//! | noun | file |
//! |---|---|
//! | [`HistoryEntry`] | `entry` |
//! | [`Message`] and its code, [`MessageType`], [`Reason`] | `message` |
//! | [`HistoryQuery`], [`HistoryFilter`], [`HistoryColumn`], [`HistoryPage`] | `query` |
//! | lines of JSON, behind the feature `json` | `json` |
//!
//! Invariants:
//! - Entries are numbered from 1 without gaps; a number is never used again.
//! - A change of status is recorded under the lock of its family: the entries of one pair stand in the
//!   order in which things happened to it.
//! - The list is bounded, the oldest entries go first; a reader sees by the numbers what it missed.
//! - A reader never holds the lock for longer than it takes to copy a few entries.

mod entry;
#[cfg(feature = "json")]
mod json;
mod message;
mod query;
#[cfg(test)]
mod tests;

pub use entry::HistoryEntry;
pub use message::{Message, MessageType, Reason};
pub use query::{HistoryColumn, HistoryFilter, HistoryPage, HistoryQuery};

use std::collections::VecDeque;
use std::ops::Range;

/// The history: a bounded list, the oldest entry first.
#[derive(Debug)]
pub(crate) struct History {
    entries: VecDeque<HistoryEntry>,
    most: usize,
    /// The number of the next entry.
    next: u64,
}

impl History {
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), most: most.max(1), next: 1 }
    }

    /// Records an entry, which gets the next number.
    pub(crate) fn record(&mut self, entry: HistoryEntry) {
        if self.entries.len() == self.most {
            self.entries.pop_front();
        }
        self.entries.push_back(HistoryEntry { sequence: self.next, ..entry });
        self.next += 1;
    }

    /// The numbers of the entries that are there.
    fn numbers(&self) -> Range<u64> {
        self.next - self.entries.len() as u64..self.next
    }

    /// Those of these entries that are there, ascending.
    fn copy(&self, numbers: Range<u64>) -> Vec<HistoryEntry> {
        let held = self.numbers();
        let index = |number: u64| (number.clamp(held.start, held.end) - held.start) as usize;
        let (start, end) = (index(numbers.start), index(numbers.end));
        self.entries.range(start..end.max(start)).copied().collect()
    }
}
