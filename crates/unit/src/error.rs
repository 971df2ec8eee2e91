//! What can go wrong in setting up a control unit.

use crate::{ControlFull, LogBusy, RecoveryError};
use diptych_cache::CacheError;
use diptych_dka::DkaError;
use diptych_format::LdevId;
use diptych_log::LogError;
use diptych_shared::{PairStatus, SharedError};

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
    /// Changes since an image were asked for, and there is none.
    #[error("the pair of {primary} and {secondary} is {status}: the secondary holds no image")]
    NoImage {
        /// The primary named.
        primary: LdevId,
        /// The secondary named.
        secondary: LdevId,
        /// What the pair is.
        status: PairStatus,
    },
    /// The attribute of a paired volume stays as it is.
    #[error("volume {ldev} is in a pair: its reserve attribute stays")]
    Paired {
        /// The volume.
        ldev: LdevId,
    },
    /// A consistency group has at least one pair, and not more than there can be.
    #[error("a group has 1 to {most} pairs, not {asked}")]
    GroupSize {
        /// Pairs it was to have.
        asked: usize,
        /// The most there can be.
        most: usize,
    },
    /// A consistency group names a pair twice.
    #[error("the pair of {primary} and {secondary} is in the group twice")]
    GroupTwice {
        /// The primary named.
        primary: LdevId,
        /// The secondary named.
        secondary: LdevId,
    },
    /// There are as many consistency groups as there can be.
    #[error("there are {most} groups already")]
    TooManyGroups {
        /// The most there can be.
        most: usize,
    },
    /// The name of a kept value is too short or too long.
    #[error("the name of a kept value has 1 to {most} bytes, not {bytes}")]
    KeptName {
        /// Bytes it has.
        bytes: usize,
        /// The most there can be.
        most: usize,
    },
    /// A value to be kept is too long.
    #[error("a kept value has at most {most} bytes, not {bytes}")]
    KeptValue {
        /// Bytes it has.
        bytes: usize,
        /// The most there can be.
        most: usize,
    },
    /// There are as many kept values as there can be.
    #[error("there are {most} kept values already")]
    TooManyKept {
        /// The most there can be.
        most: usize,
    },
    /// All kept values together would be too much.
    #[error("kept values have at most {most} bytes together, not {bytes}")]
    KeptFull {
        /// Bytes there would be.
        bytes: usize,
        /// The most there can be.
        most: usize,
    },
    /// The volume is open for writing as often as it can be.
    #[error("volume {ldev} is open for writing {most} times already")]
    TooManyWriters {
        /// The volume.
        ldev: LdevId,
        /// The most there can be.
        most: u32,
    },
    /// A setting must be at least 1.
    #[error("{setting} must be at least 1")]
    Zero {
        /// Which one.
        setting: &'static str,
    },
    /// A setting is more than it can be.
    #[error("{setting} must be at most {most}, not {asked}")]
    TooMuch {
        /// Which one.
        setting: &'static str,
        /// What was asked for.
        asked: u64,
        /// The most it can be.
        most: u64,
    },
    /// Copies slow down between two marks of the cache's write-pending limit.
    #[error(
        "copies slow down between two marks up to 100 %, not {slows_at_percent} to {floor_at_percent}"
    )]
    WritePendingMarks {
        /// Where they begin to.
        slows_at_percent: u8,
        /// Where they are at the floor.
        floor_at_percent: u8,
    },
    /// Pair numbers have 16 bits.
    #[error("there are at most {most} pairs, not {asked}")]
    TooManyPairs {
        /// Pairs asked for.
        asked: usize,
        /// The most there can be.
        most: usize,
    },
    /// A pair has at least one lane, and not more than there can be.
    #[error("a pair has 1 to {most} lanes, not {asked}")]
    Lanes {
        /// Lanes asked for.
        asked: u8,
        /// The most there can be.
        most: u8,
    },
    /// The durable log has failed: nothing can be kept any more.
    #[error("the log: {0}")]
    Log(#[from] LogError),
    /// What the log holds makes no whole.
    #[error(transparent)]
    Recovery(#[from] RecoveryError),
    /// The log keeps no room for so much more control state.
    #[error(transparent)]
    ControlFull(#[from] ControlFull),
    /// The log has no room for this just now.
    #[error(transparent)]
    LogBusy(#[from] LogBusy),
    /// All backing ids are used up: 2^32 volumes were made.
    #[error("all backing ids are used up")]
    NoBackings,
}
