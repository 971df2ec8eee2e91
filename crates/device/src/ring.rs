//! A record of the latest events.

use std::collections::VecDeque;

/// The latest `capacity` items, and how many there were before them.
pub(crate) struct Ring<T> {
    items: VecDeque<T>,
    capacity: usize,
    dropped_count: u64,
}

impl<T: Clone> Ring<T> {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { items: VecDeque::new(), capacity, dropped_count: 0 }
    }

    pub(crate) fn push(&mut self, item: T) {
        self.items.push_back(item);
        if self.items.len() > self.capacity {
            self.items.pop_front();
            self.dropped_count += 1;
        }
    }

    /// The items, the oldest first.
    pub(crate) fn to_vec(&self) -> Vec<T> {
        self.items.iter().cloned().collect()
    }

    pub(crate) fn dropped_count(&self) -> u64 {
        self.dropped_count
    }
}
