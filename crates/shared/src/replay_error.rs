//! Why what was recorded cannot come back.

use crate::PairStatus;
use diptych_format::{BackingId, LdevId, PairId, TrackRange};

/// Why a recorded change cannot be applied: it is not of this history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// There is no such volume.
    #[error("there is no volume {ldev}")]
    NoVolume {
        /// The volume named.
        ldev: LdevId,
    },
    /// The volume is there already.
    #[error("there is a volume {ldev} already")]
    VolumeExists {
        /// The volume to be added.
        ldev: LdevId,
    },
    /// The volume is in a pair.
    #[error("volume {ldev} is in pair {pair}")]
    VolumePaired {
        /// The volume to be removed.
        ldev: LdevId,
        /// One of its pairs.
        pair: PairId,
    },
    /// No room for another volume.
    #[error("there are {limit} volumes, the most there can be")]
    TooManyVolumes {
        /// The limit.
        limit: usize,
    },
    /// The map of allocated tracks is not of the volume's size.
    #[error("volume {ldev} has {track_count} tracks, but a map of {mapped}")]
    VolumeMap {
        /// The volume.
        ldev: LdevId,
        /// Its tracks.
        track_count: u64,
        /// Those of its map.
        mapped: u64,
    },
    /// There is no such pair.
    #[error("there is no pair {pair}")]
    NoPair {
        /// The pair named.
        pair: PairId,
    },
    /// The pair is there already.
    #[error("there is a pair {pair} already")]
    PairExists {
        /// The pair to be added.
        pair: PairId,
    },
    /// The number is another pair's, this use of it is over, or there is no such number.
    #[error("number and epoch of pair {pair} cannot be used")]
    PairNumber {
        /// The pair to be added.
        pair: PairId,
    },
    /// A pair of a volume with itself.
    #[error("volume {ldev} would be paired with itself")]
    SameVolume {
        /// The volume.
        ldev: LdevId,
    },
    /// A pair of volumes of two sizes.
    #[error("pair {pair} is of volumes of {primary_tracks} and {secondary_tracks} tracks")]
    UnequalVolumes {
        /// The pair to be added.
        pair: PairId,
        /// Tracks of its primary.
        primary_tracks: u64,
        /// Tracks of its secondary.
        secondary_tracks: u64,
    },
    /// A secondary of two pairs.
    #[error("volume {ldev} is a secondary already")]
    SecondaryTwice {
        /// The volume.
        ldev: LdevId,
    },
    /// The pair would close a circle.
    #[error("pair {pair} leads back to its primary")]
    Cycle {
        /// The pair to be added.
        pair: PairId,
    },
    /// Status, maps and numbers of a pair do not belong together.
    #[error("status, maps and numbers of pair {pair} contradict each other")]
    NotWhole {
        /// The pair to be added.
        pair: PairId,
    },
    /// A volume that is no secondary would change as one.
    #[error("volume {ldev} is no secondary")]
    NotSecondary {
        /// The volume.
        ldev: LdevId,
    },
    /// Tracks past the end.
    #[error("tracks {tracks} of volumes of {track_count}")]
    Tracks {
        /// The tracks named.
        tracks: TrackRange,
        /// How many there are.
        track_count: u64,
    },
    /// Not in this status.
    #[error("pair {pair} is {status}, which does not allow it")]
    Status {
        /// The pair.
        pair: PairId,
        /// The status it has.
        status: PairStatus,
    },
    /// Tracks that are not to be copied were copied, or some of them twice.
    #[error("tracks {tracks} of pair {pair} are not all to be copied")]
    NotToCopy {
        /// The pair.
        pair: PairId,
        /// The tracks named.
        tracks: TrackRange,
    },
    /// Tracks would change that an image needs (I1).
    #[error("tracks {tracks} change before pair {pair} has copied them")]
    BeforeItsCopy {
        /// The pair.
        pair: PairId,
        /// The tracks named.
        tracks: TrackRange,
    },
    /// A copy would be accepted while there are differences outside C (I2).
    #[error("pair {pair} has differences that are not to be copied")]
    Differences {
        /// The pair.
        pair: PairId,
    },
    /// Options without a lane.
    #[error("pair {pair} would have no lane")]
    NoLane {
        /// The pair.
        pair: PairId,
    },
}

/// Why a state cannot be restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// There are volumes.
    #[error("a state is restored into an empty memory, not one of {volume_count} volumes")]
    NotEmpty {
        /// How many.
        volume_count: usize,
    },
    /// Two volumes have one storage.
    #[error("two volumes lie on backing {backing}")]
    BackingTwice {
        /// The storage.
        backing: BackingId,
    },
    /// More pair numbers than there can be.
    #[error("{asked} pair numbers, but there can be {limit}")]
    TooManyPairs {
        /// Numbers of the state.
        asked: usize,
        /// The limit.
        limit: usize,
    },
    /// A volume or a pair that cannot be.
    #[error(transparent)]
    Impossible(#[from] ReplayError),
}
