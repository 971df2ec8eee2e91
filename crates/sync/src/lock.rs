//! Locks without poison in their signatures.

use crate::source;
use std::fmt;
use std::time::Duration;

/// What `Mutex::lock` returns.
pub type MutexGuard<'a, T> = source::MutexGuard<'a, T>;
/// What `RwLock::read` returns.
pub type RwLockReadGuard<'a, T> = source::RwLockReadGuard<'a, T>;
/// What `RwLock::write` returns.
pub type RwLockWriteGuard<'a, T> = source::RwLockWriteGuard<'a, T>;

const POISONED: &str = "a thread panicked while it held this lock: its state cannot be trusted";

/// A mutual exclusion lock.
#[derive(Default)]
pub struct Mutex<T>(source::Mutex<T>);

impl<T> Mutex<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> Self {
        Self(source::Mutex::new(value))
    }

    /// Waits for the lock.
    ///
    /// # Panics
    ///
    /// If a thread panicked while it held the lock.
    #[track_caller]
    #[inline]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().expect(POISONED)
    }

    /// The value, without locking: `&mut self` shows that nobody else has it.
    ///
    /// # Panics
    ///
    /// If a thread panicked while it held the lock.
    pub fn get_mut(&mut self) -> &mut T {
        self.0.get_mut().expect(POISONED)
    }
}

impl<T> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mutex")
    }
}

/// A lock that many readers or one writer hold.
#[derive(Default)]
pub struct RwLock<T>(source::RwLock<T>);

impl<T> RwLock<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> Self {
        Self(source::RwLock::new(value))
    }

    /// Waits until no writer holds the lock.
    ///
    /// # Panics
    ///
    /// If a thread panicked while it held the lock for writing.
    #[track_caller]
    #[inline]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().expect(POISONED)
    }

    /// Waits until nobody holds the lock.
    ///
    /// # Panics
    ///
    /// If a thread panicked while it held the lock for writing.
    #[track_caller]
    #[inline]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().expect(POISONED)
    }
}

impl<T> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RwLock")
    }
}

/// A condition variable for use with [`Mutex`].
#[derive(Default)]
pub struct Condvar(source::Condvar);

impl Condvar {
    /// A condition nobody waits for.
    pub fn new() -> Self {
        Self(source::Condvar::new())
    }

    /// Releases the lock, waits for a notification and locks again. Wake-ups may be spurious.
    ///
    /// # Panics
    ///
    /// If a thread panicked while it held the lock.
    #[track_caller]
    pub fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        self.0.wait(guard).expect(POISONED)
    }

    /// As [`wait`](Self::wait), but returns after `timeout` at the latest. The checkers have no
    /// clock: under loom it never times out, so a model must not depend on it.
    ///
    /// # Panics
    ///
    /// If a thread panicked while it held the lock.
    #[track_caller]
    pub fn wait_for<'a, T>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> MutexGuard<'a, T> {
        self.0.wait_timeout(guard, timeout).expect(POISONED).0
    }

    /// Wakes one waiter, if there is one.
    pub fn notify_one(&self) {
        self.0.notify_one();
    }

    /// Wakes all waiters.
    pub fn notify_all(&self) {
        self.0.notify_all();
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condvar")
    }
}
