//! Where the primitives come from: the only file that names std, loom and shuttle side by side.

#[cfg(not(any(diptych_loom, diptych_shuttle)))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(not(any(diptych_loom, diptych_shuttle)))]
pub use std::{
    sync::{Arc, atomic},
    thread, thread_local,
};

#[cfg(diptych_loom)]
pub(crate) use loom::sync::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
#[cfg(diptych_loom)]
pub use loom::{
    sync::{Arc, atomic},
    thread, thread_local,
};

#[cfg(all(diptych_shuttle, not(diptych_loom)))]
pub(crate) use shuttle::sync::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
#[cfg(all(diptych_shuttle, not(diptych_loom)))]
pub use shuttle::{
    sync::{Arc, atomic},
    thread, thread_local,
};
