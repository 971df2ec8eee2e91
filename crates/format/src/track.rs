//! Track buffers and the bounded pool they come from.

use diptych_sync::atomic::{AtomicUsize, Ordering};
use diptych_sync::{Arc, Mutex};
use std::fmt;

/// The user data of one track, in a buffer that goes back to its pool when it is dropped.
pub struct TrackBuf {
    // Empty only while it is dropped.
    data: Box<[u8]>,
    home: Arc<Home>,
}

impl TrackBuf {
    /// The bytes.
    #[inline]
    pub fn bytes(&self) -> &[u8] {
        &self.data
    }

    /// The bytes, to change them: the handle must be the only one.
    #[inline]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }
}

impl Drop for TrackBuf {
    fn drop(&mut self) {
        let data = std::mem::take(&mut self.data);
        self.home.free.lock().push(data);
        self.home.used.fetch_sub(1, Ordering::AcqRel);
    }
}

impl fmt::Debug for TrackBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrackBuf({} bytes)", self.bytes().len())
    }
}

struct Home {
    buffer_bytes: usize,
    capacity: usize,
    /// Buffers in use and buffers promised by [`TrackPool::reserve`].
    used: AtomicUsize,
    /// Buffers that were used before. A buffer that was never used has no memory yet.
    free: Mutex<Vec<Box<[u8]>>>,
}

/// A bounded pool of track buffers. Memory is taken when a buffer is first used, so a large pool
/// that is not used costs nothing.
///
/// Room is reserved first and taken afterwards: who holds a reservation never waits for a buffer.
///
/// ```
/// use diptych_format::TrackPool;
/// let pool = TrackPool::new(2, 4096);
/// assert!(pool.reserve(2));
/// assert!(!pool.reserve(1));
/// let buffer = pool.take_reserved();
/// pool.cancel(1);
/// assert_eq!(pool.used(), 1);
/// drop(buffer);
/// assert_eq!(pool.used(), 0);
/// ```
#[derive(Clone)]
pub struct TrackPool(Arc<Home>);

impl TrackPool {
    /// A pool of at most `capacity` buffers of `buffer_bytes` bytes.
    pub fn new(capacity: usize, buffer_bytes: usize) -> Self {
        let (used, free) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
        Self(Arc::new(Home { buffer_bytes, capacity, used, free }))
    }

    /// The most buffers there can be.
    pub fn capacity(&self) -> usize {
        self.0.capacity
    }

    /// Bytes of one buffer.
    pub fn buffer_bytes(&self) -> usize {
        self.0.buffer_bytes
    }

    /// Buffers in use or reserved.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Acquire)
    }

    /// Reserves `count` buffers; `false`, and none reserved, if there is no room.
    #[must_use]
    pub fn reserve(&self, count: usize) -> bool {
        let add = |used: usize| (count <= self.0.capacity - used).then(|| used + count);
        self.0.used.fetch_update(Ordering::AcqRel, Ordering::Acquire, add).is_ok()
    }

    /// Gives up `count` reserved buffers.
    ///
    /// # Panics
    ///
    /// If fewer are reserved or in use.
    pub fn cancel(&self, count: usize) {
        let used = self.0.used.fetch_sub(count, Ordering::AcqRel);
        assert!(count <= used, "more room given back than was reserved");
    }

    /// Takes one reserved buffer. Its content is whatever its last user left.
    pub fn take_reserved(&self) -> TrackBuf {
        let used_before = self.0.free.lock().pop();
        let fresh = || vec![0; self.0.buffer_bytes].into_boxed_slice();
        TrackBuf { data: used_before.unwrap_or_else(fresh), home: self.0.clone() }
    }
}

impl fmt::Debug for TrackPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TrackPool({} of {} used)", self.used(), self.0.capacity)
    }
}
