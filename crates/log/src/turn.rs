//! One flush at a time. Those who wait for its end are told all at once: were they to take a lock one after
//! the other, the next flush would begin only when the last of them had run.

use diptych_sync::{Condvar, Mutex, mutant};

/// Whose turn it is to flush.
#[derive(Debug)]
pub(crate) struct Turns {
    taken: Mutex<bool>,
    over: Condvar,
}

/// The turn of this thread, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a>(&'a Turns);

impl Turns {
    pub(crate) fn new() -> Self {
        Self { taken: Mutex::new(false), over: Condvar::new() }
    }

    /// Waits until it is this thread's turn; `None` if nothing is left to do before.
    pub(crate) fn take_unless(&self, done: impl Fn() -> bool) -> Option<Turn<'_>> {
        let mut taken = self.taken.lock();
        loop {
            if done() {
                return None;
            }
            if !*taken {
                *taken = true;
                return Some(Turn(self));
            }
            taken = self.over.wait(taken);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock() = false;
        if !mutant::removed("flush-tells") {
            self.0.over.notify_all();
        }
    }
}
