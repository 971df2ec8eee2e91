//! Counts for those who look on.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count that grows, by one relaxed addition, and orders nothing: in every build a `std` atomic, so a
/// model spends no scheduling points on it.
///
/// Nothing that the checked code decides may rest on it.
#[derive(Debug, Default)]
pub struct Tally(AtomicU64);

impl Tally {
    /// A count of nothing.
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// Counts so many more.
    #[inline]
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// What was counted so far.
    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn no_count_is_lost() {
        let tally = Tally::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..10_000).for_each(|_| tally.add(2)));
            }
        });
        assert_eq!(tally.get(), 80_000);
    }
}
