//! What can go wrong in setting up a control unit.

use diptych_cache::CacheError;
use diptych_dka::DkaError;
use diptych_format::LdevId;
use diptych_shared::SharedError;

/// An error of a control unit's own operations. Host operations and commands have their own answers.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnitError {
    /// The cache cannot be made.
    #[error("cache memory: {0}")]
    Cache(#[from] CacheError),
    /// Shared memory refused.
    #[error(transparent)]
    Shared(#[from] SharedError),
    /// A disk adapter refused.
    #[error(transparent)]
    Dka(#[from] DkaError),
    /// A track of the volume does not fit a cache slot.
    #[error("a track of volume {ldev} has {track_bytes} bytes, a cache slot {slot_bytes}")]
    TrackTooLarge {
        /// The volume.
        ldev: LdevId,
        /// Bytes of its tracks.
        track_bytes: usize,
        /// Bytes of a slot.
        slot_bytes: usize,
    },
    /// No pair of these volumes.
    #[error("volumes {primary} and {secondary} are no pair")]
    NoPair {
        /// The primary named.
        primary: LdevId,
        /// The secondary named.
        secondary: LdevId,
    },
    /// The attribute of a paired volume stays as it is.
    #[error("volume {ldev} is in a pair: its reserve attribute stays")]
    Paired {
        /// The volume.
        ldev: LdevId,
    },
    /// All backing ids are used up: 2^32 volumes were made.
    #[error("all backing ids are used up")]
    NoBackings,
}
