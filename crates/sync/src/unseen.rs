//! State that threads share and the checkers need not see.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A cell that any number of threads reach, one after the other, and that is no part of what is
/// checked: in every build a `std` mutex, so a model spends no scheduling points on it.
///
/// Nothing that the checked code decides may rest on the order in which threads come here: that
/// order is not explored. The sibling for state that is never contended is [`crate::HandOff`].
#[derive(Default)]
pub struct Unseen<T>(Mutex<T>);

impl<T> Unseen<T> {
    /// A cell around `value`.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits until no other thread is inside `with`, and runs `body` on the state.
    ///
    /// The body takes no lock and touches no atomic that the checkers see: they run all threads of a
    /// model on one, so a thread that they suspend in here would have the next one wait for ever.
    /// After a body that panicked the state is as it was left.
    #[inline]
    pub fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        body(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T> fmt::Debug for Unseen<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unseen")
    }
}

#[cfg(test)]
mod tests {
    use super::Unseen;

    #[test]
    fn threads_take_turns() {
        let cell = Unseen::new(0_u64);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        cell.with(|n| *n += 1);
                    }
                });
            }
        });
        assert_eq!(cell.with(|n| *n), 40_000);
    }
}
