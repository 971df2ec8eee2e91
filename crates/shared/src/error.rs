//! What a caller of this crate may be told.

use diptych_format::{LdevId, PairId, TrackRange};

/// Why shared memory refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SharedError {
    /// There is no such volume.
    #[error("there is no volume {ldev}")]
    UnknownVolume {
        /// The volume asked for.
        ldev: LdevId,
    },
    /// The volume is there already.
    #[error("there is a volume {ldev} already")]
    VolumeExists {
        /// The volume that was to be added.
        ldev: LdevId,
    },
    /// The volume is the primary or the secondary of a pair.
    #[error("volume {ldev} is in pair {pair}")]
    VolumePaired {
        /// The volume that was to be removed.
        ldev: LdevId,
        /// One of its pairs.
        pair: PairId,
    },
    /// Tracks of the volume's family are claimed, or a claim is queued.
    #[error("volume {ldev} is in use: {held_count} claims held, {queued_count} queued")]
    VolumeClaimed {
        /// The volume that was to be removed.
        ldev: LdevId,
        /// Claims held in its family.
        held_count: usize,
        /// Claims queued in its family.
        queued_count: usize,
    },
    /// A claim needs at least one track, all of them of the volume.
    #[error("tracks {tracks} cannot be claimed of {ldev}, which has {track_count}")]
    TracksOutOfRange {
        /// The volume.
        ldev: LdevId,
        /// The tracks asked for.
        tracks: TrackRange,
        /// Tracks of the volume.
        track_count: u64,
    },
    /// No room for another volume.
    #[error("there are {limit} volumes, the most there can be")]
    TooManyVolumes {
        /// The limit.
        limit: usize,
    },
    /// No room for another pair.
    #[error("there are {limit} pairs, the most there can be")]
    TooManyPairs {
        /// The limit.
        limit: usize,
    },
    /// The family's queue of claims is full: ask again later.
    #[error("{limit} claims are queued, the most there can be")]
    TooManyQueued {
        /// The limit.
        limit: usize,
    },
    /// A pace is 1 to 15 tracks.
    #[error("a pace is 1 to 15 tracks an elemental copy, not {asked}")]
    PaceOutOfRange {
        /// The pace asked for, in tracks.
        asked: u8,
    },
    /// A text that names no pace.
    #[error("a pace is slow, medium, fast or 1 to 15 tracks an elemental copy")]
    UnknownPace,
    /// A text that names no limit of a pace.
    #[error("a limit is tracks a second, as 200/s, or added latency, as 500us, and not zero")]
    UnknownPaceLimit,
}
