//! What the cache refuses.

use crate::SlotKey;

/// What the cache refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The directory is divided by a power of two.
    #[error("{shards} shards: not a power of two up to {max}")]
    Shards {
        /// The shards asked for.
        shards: usize,
        /// The most there can be.
        max: usize,
    },
    /// A track is 1 to 128 whole blocks.
    #[error("a track of {track_bytes} bytes: not 1 to 128 blocks of 512 bytes")]
    TrackBytes {
        /// The track size asked for, in bytes.
        track_bytes: usize,
    },
    /// The capacity is nothing, or more than can be numbered.
    #[error("a capacity of {capacity_slots} slots: not between 1 and {max}")]
    Capacity {
        /// The capacity asked for, in slots.
        capacity_slots: usize,
        /// The most slots there can be.
        max: usize,
    },
    /// At least one slot and at most all may be dirty.
    #[error("a write-pending limit of {limit} slots: not between 1 and {capacity_slots}")]
    WritePendingLimit {
        /// The limit asked for, in slots.
        limit: usize,
        /// The capacity, in slots.
        capacity_slots: usize,
    },
    /// More room than the cache could ever give: ask for less.
    #[error(
        "{buffers} buffers and {dirty} dirty slots never fit: at most {buffers_max} and \
             {dirty_max}"
    )]
    NeverFits {
        /// Buffers asked for.
        buffers: usize,
        /// Dirty slots asked for.
        dirty: usize,
        /// The most buffers one admission can have.
        buffers_max: usize,
        /// The most dirty slots one admission can have.
        dirty_max: usize,
    },
    /// The queue of waiters is full: try again later.
    #[error("{waiters_max} wait already")]
    TooManyWaiters {
        /// The most that may wait.
        waiters_max: usize,
    },
    /// The slot cannot become clean: its destage failed.
    #[error("backing {} track {} could not be destaged", key.backing, key.track)]
    DestageFailed {
        /// The oldest such slot of the backing.
        key: SlotKey,
    },
}
