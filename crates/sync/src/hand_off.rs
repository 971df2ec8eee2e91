//! State that one thread at a time owns.

use std::fmt;
use std::sync::{Mutex, PoisonError};

/// A cell for state that is never contended: one thread at a time owns it, and it goes from thread
/// to thread together with something that the checkers do see (a queue under a [`crate::Mutex`]).
///
/// It is a `std` mutex in every build, so a model spends no scheduling points on it. Using it for
/// state that two threads reach at once hides a race from the checkers; [`HandOff::with`] panics
/// when it meets one.
#[derive(Default)]
pub struct HandOff<T>(Mutex<T>);

impl<T> HandOff<T> {
    /// A cell around `value`.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Runs `body` on the state.
    ///
    /// # Panics
    ///
    /// If another thread is inside `with` at this moment: the state was not handed over.
    #[track_caller]
    #[inline]
    pub fn with<R>(&self, body: impl FnOnce(&mut T) -> R) -> R {
        let mut guard = match self.0.try_lock() {
            Ok(guard) => guard,
            // The owner panicked; whoever cleans up after it may still look.
            Err(std::sync::TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(std::sync::TryLockError::WouldBlock) => {
                panic!("two threads use state that one thread at a time owns")
            }
        };
        body(&mut guard)
    }
}

impl<T> fmt::Debug for HandOff<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandOff")
    }
}

#[cfg(test)]
mod tests {
    use super::HandOff;

    #[test]
    fn re_entry_is_noticed() {
        let cell = HandOff::new(1);
        cell.with(|n| *n += 1);
        assert_eq!(cell.with(|n| *n), 2);
        let twice = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cell.with(|_| cell.with(|_| ()));
        }));
        assert!(twice.is_err());
    }
}
