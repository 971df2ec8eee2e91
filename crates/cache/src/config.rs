//! How large a cache is.

use crate::CacheError;
use diptych_format::{BLOCK_BYTES, MAX_BLOCKS_PER_TRACK};

/// How large a cache is, and how it is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheConfig {
    /// Track buffers. Slots that share a buffer count once.
    pub capacity_slots: usize,
    /// Bytes of a buffer: the largest track.
    pub track_bytes: usize,
    /// Parts of the directory, each under a lock of its own: a power of two.
    pub shards: usize,
    /// The most slots that are dirty or may become so by admissions granted. Slots whose destage
    /// failed are not counted.
    pub write_pending_limit_slots: usize,
    /// The most owners that wait, or were granted room and have not fetched it.
    pub waiters_max: usize,
}

impl CacheConfig {
    /// The most shards.
    pub(crate) const SHARDS_MAX: usize = 1024;
    /// Slots are numbered in 32 bits, and shared buffers allow more slots than buffers.
    pub(crate) const CAPACITY_MAX: usize = 1 << 30;

    /// The usual division of `capacity_slots` buffers of `track_bytes` bytes: 16 shards, and 70 % may
    /// be dirty.
    pub fn new(capacity_slots: usize, track_bytes: usize) -> Self {
        Self {
            capacity_slots,
            track_bytes,
            shards: 16,
            write_pending_limit_slots: (capacity_slots / 10 * 7).max(1),
            waiters_max: 65_536,
        }
    }

    /// From here on destaging should not wait for idle time: half of the write-pending limit.
    pub const fn low_watermark_slots(&self) -> usize {
        self.write_pending_limit_slots / 2
    }

    /// The most slots of one shard before it sheds clean ones. Slots that share buffers can be more
    /// than the buffers; twice as many are let be, and small caches are not squeezed by bad luck in
    /// hashing.
    pub(crate) fn shard_slots_max(&self) -> usize {
        (2 * self.capacity_slots).div_ceil(self.shards).max(64)
    }

    pub(crate) fn validate(&self) -> Result<(), CacheError> {
        let Self { capacity_slots, track_bytes, shards, .. } = *self;
        let limit = self.write_pending_limit_slots;
        if !shards.is_power_of_two() || shards > Self::SHARDS_MAX {
            return Err(CacheError::Shards { shards, max: Self::SHARDS_MAX });
        }
        let blocks = track_bytes / BLOCK_BYTES;
        let whole = track_bytes.is_multiple_of(BLOCK_BYTES);
        if !whole || blocks == 0 || blocks > MAX_BLOCKS_PER_TRACK as usize {
            return Err(CacheError::TrackBytes { track_bytes });
        }
        if capacity_slots == 0 || capacity_slots > Self::CAPACITY_MAX {
            return Err(CacheError::Capacity { capacity_slots, max: Self::CAPACITY_MAX });
        }
        if limit == 0 || limit > capacity_slots {
            return Err(CacheError::WritePendingLimit { limit, capacity_slots });
        }
        Ok(())
    }
}
