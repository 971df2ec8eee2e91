//! Settings of a control unit.

use diptych_cache::CacheConfig;
use diptych_shared::Limits;

/// Settings of a control unit. All limits are here: no queue, buffer or table grows past them.
#[derive(Debug, Clone)]
pub struct UnitConfig {
    /// Cache memory.
    pub cache: CacheConfig,
    /// Shared memory.
    pub limits: Limits,
    /// The most secondaries of one primary.
    pub secondaries_max: usize,
    /// Whether a secondary must be reserved before it is paired.
    pub needs_reserve: bool,
    /// Entries of the history; the oldest go first.
    pub history_max: usize,
    /// Rest after an elemental copy of `n` tracks: 15 - n times this many nanoseconds. Fast (15)
    /// never rests.
    pub copy_rest_ns: u64,
    /// Destage jobs at once.
    pub destage_jobs: usize,
    /// Tracks that one destage job writes.
    pub destage_batch_tracks: usize,
    /// How long a track may stay dirty when nothing else asks for its destage.
    pub destage_delay_ns: u64,
    /// The atomic unit of a host change, in blocks; longer requests are chunks done in order.
    pub chunk_blocks: u64,
}

impl UnitConfig {
    /// 1 MiB: what is advertised to hosts as the transfer limit.
    pub const CHUNK_BLOCKS: u64 = 2048;

    /// A unit with `slots` cache slots of `track_bytes` bytes, everything else as usual.
    pub fn with_cache(slots: usize, track_bytes: usize) -> Self {
        Self {
            cache: CacheConfig::new(slots, track_bytes),
            limits: Limits::default(),
            secondaries_max: 16,
            needs_reserve: true,
            history_max: 100_000,
            copy_rest_ns: 100_000,
            destage_jobs: 2,
            destage_batch_tracks: 16,
            destage_delay_ns: 1_000_000_000,
            chunk_blocks: Self::CHUNK_BLOCKS,
        }
    }
}
