//! The one switch between `std`, loom and shuttle.
//!
//! Every crate of the workspace takes its locks, atomics, shared handles and threads from here and
//! from nowhere else, so that the code which ships is the code that the model checkers run:
//!
//! | build | locks, atomics, `Arc`, threads come from | used for |
//! |---|---|---|
//! | ordinary | `std` | everything |
//! | `RUSTFLAGS="--cfg diptych_loom"` | loom | exhaustive checking of small models |
//! | `RUSTFLAGS="--cfg diptych_shuttle"` | shuttle | random schedules of the whole control unit |
//!
//! The cfg is namespaced because a plain `loom` would reach third-party crates, and it does not
//! depend on `test` because `test` is set only for the crate under test and not for those below it.
//!
//! Invariants:
//! - Nothing else in the workspace names `std::sync::Mutex`, `loom` or `shuttle`.
//! - Locking never returns a poison error: a panic under a lock is a broken invariant, and the next
//!   locker panics too rather than going on with a half-made change.
//!
//! # Example
//!
//! ```
//! use diptych_sync::{Arc, Mutex, thread};
//!
//! let sum = Arc::new(Mutex::new(0));
//! let other = sum.clone();
//! let worker = thread::spawn(move || *other.lock() += 1);
//! *sum.lock() += 1;
//! worker.join().unwrap();
//! assert_eq!(*sum.lock(), 2);
//! ```

mod hand_off;
mod lock;
pub mod mutant;
mod source;
mod tally;
mod unseen;

#[cfg(any(diptych_loom, diptych_shuttle))]
pub mod model;

pub use hand_off::HandOff;
pub use lock::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use source::{Arc, atomic, thread, thread_local};
pub use tally::Tally;
pub use unseen::Unseen;
