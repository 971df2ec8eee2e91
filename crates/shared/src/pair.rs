//! Pair information 300 (Fig. 3) with the track maps of the pair (Fig. 4).

use crate::pair_bytes::no_tracks;
use crate::{Pace, PaceLimit, TrackMap};
use diptych_format::{ImageNo, LdevId, PairId, Time, TrackNo};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What Fig. 11 shows for a volume that is in no pair.
pub const SIMPLEX: &str = "simplex";

/// The pair status 302 (Fig. 8), and the two that practice adds. "No pair" 801 is the absence of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PairStatus {
    /// 802: the secondary follows the primary and is no usable image.
    PairedNotCopied,
    /// 803: the image is the primary at the instant the copy command was accepted.
    CopyInProgress,
    /// 804: the image is complete; changes of both sides are tracked.
    Copied,
    /// The primary takes the secondary's content.
    Restoring,
    /// Copying stopped, by command or failure; changes are tracked.
    Suspended,
}

impl PairStatus {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::PairedNotCopied,
        Self::CopyInProgress,
        Self::Copied,
        Self::Restoring,
        Self::Suspended,
    ];

    /// Whether tracks are copied in this status, if there are any to copy and the copier is on.
    pub const fn is_copying(self) -> bool {
        match self {
            Self::PairedNotCopied | Self::CopyInProgress | Self::Restoring => true,
            Self::Copied | Self::Suspended => false,
        }
    }

    /// The number in Fig. 8; `None` for those the figure does not have.
    pub const fn code(self) -> Option<u16> {
        match self {
            Self::PairedNotCopied => Some(802),
            Self::CopyInProgress => Some(803),
            Self::Copied => Some(804),
            Self::Restoring | Self::Suspended => None,
        }
    }

    /// The status as Fig. 11 names it; the phase counts in 802 alone. A volume in no pair is [`SIMPLEX`].
    pub const fn shown_as(self, phase: Phase) -> &'static str {
        match (self, phase) {
            (Self::PairedNotCopied, Phase::Idle) => "idle",
            (Self::PairedNotCopied, Phase::Pending) => "pending",
            (Self::PairedNotCopied, Phase::Resync) => "re-sync",
            (Self::PairedNotCopied, Phase::Duplex) => "duplex",
            (Self::CopyInProgress, _) => "SP-pending",
            (Self::Copied, _) => "split",
            (Self::Restoring, _) => "resync-reverse",
            (Self::Suspended, _) => "suspend",
        }
    }
}

impl fmt::Display for PairStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::PairedNotCopied => "paired and not copied",
            Self::CopyInProgress => "paired and copy in progress",
            Self::Copied => "paired and copied",
            Self::Restoring => "restoring",
            Self::Suspended => "suspended",
        })
    }
}

/// The stored phase of "paired and not copied" 802. Elsewhere it has no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Phase {
    /// Created without copying.
    Idle,
    /// The first copy is under way.
    Pending,
    /// A later copy, after resync or restore, is under way.
    Resync,
    /// C was empty once. Later changes leave it so.
    Duplex,
}

/// What the operator may choose about a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PairOptions {
    /// Tracks an elemental copy.
    pub pace: Pace,
    /// Jobs that copy for the pair at once; at least 1.
    pub lanes: u8,
    /// Whether hosts may use the secondary while 803 lasts.
    pub quick: bool,
    /// What holds the copy back beyond its pace.
    pub limit: Option<PaceLimit>,
}

impl Default for PairOptions {
    /// Medium pace, one lane, not quick, no limit.
    fn default() -> Self {
        Self { pace: Pace::MEDIUM, lanes: 1, quick: false, limit: None }
    }
}

/// One of the four maps of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MapName {
    /// Tracks still to be copied.
    C,
    /// Tracks of the primary changed since the image.
    Dp,
    /// Tracks of the secondary changed since the image.
    Ds,
    /// Tracks changed between the previous image and this one.
    A,
}

impl MapName {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::C, Self::Dp, Self::Ds, Self::A];
}

impl fmt::Display for MapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::C => "C",
            Self::Dp => "DP",
            Self::Ds => "DS",
            Self::A => "A",
        })
    }
}

/// An entry of the pair information.
///
/// Invariants:
/// - in 803 C is not empty, in 804 it is: the change that empties it is the change of status;
/// - a track in `unreadable` is in C, so a pair with such a track never becomes duplex;
/// - a settling track is in C, of a pair that is copying, and has not changed since it was copied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(remote = "Self")]
pub struct Pair {
    /// The pair number 301, and which use of it this is.
    pub id: PairId,
    /// The pair status 302.
    pub status: PairStatus,
    /// What 802 is shown as.
    pub phase: Phase,
    /// The primary volume 303.
    pub primary: LdevId,
    /// The secondary volume 304.
    pub secondary: LdevId,
    /// The copy pointer 305: where a lane looks first. A hint; the end of a copy is an empty C.
    pub copy_pointer: TrackNo,
    /// What the operator chose.
    pub options: PairOptions,
    /// Whether lanes copy for the pair.
    pub copier: bool,
    /// Tracks still to be copied.
    pub c: TrackMap,
    /// Tracks of the primary changed since the image.
    pub dp: TrackMap,
    /// Tracks of the secondary changed since the image.
    pub ds: TrackMap,
    /// Tracks changed between the image `a_from` and this one, for incremental backup.
    pub a: TrackMap,
    /// The image the secondary holds or will hold; 0 while there is none (802, suspended).
    pub image: ImageNo,
    /// The image that A leads from; 0 means from nothing: A is everything.
    pub a_from: ImageNo,
    /// Tracks that could not be read, of the primary in 802 or of the secondary while restoring; lanes
    /// skip them.
    pub unreadable: TrackMap,
    /// Tracks written to the target's drive, which has not been flushed since. Lanes skip them.
    #[serde(skip, default = "no_tracks")]
    pub(crate) settling: TrackMap,
    /// Tracks copied since the pair was created, for whatever reason.
    pub copied_tracks: u64,
    /// How many of them were copied before a write (Fig. 9).
    pub protected_tracks: u64,
    /// When the last command that begins a copy was accepted ([`crate::Change::CopyBegins`]); in 803
    /// and 804 the instant of the image.
    pub begun_at: Time,
    /// What `copied_tracks` was then.
    pub begun_tracks: u64,
}

impl Pair {
    /// What the create pair command makes: 802, C and A all tracks, with the copier on (pending) or
    /// off (idle).
    pub fn new(
        id: PairId,
        primary: LdevId,
        secondary: LdevId,
        track_count: u64,
        options: PairOptions,
        copier: bool,
    ) -> Self {
        Self {
            id,
            status: PairStatus::PairedNotCopied,
            phase: if copier { Phase::Pending } else { Phase::Idle },
            primary,
            secondary,
            copy_pointer: TrackNo(0),
            options,
            copier,
            c: TrackMap::full(track_count),
            dp: TrackMap::new(track_count),
            ds: TrackMap::new(track_count),
            a: TrackMap::full(track_count),
            image: ImageNo(0),
            a_from: ImageNo(0),
            unreadable: TrackMap::new(track_count),
            settling: TrackMap::new(track_count),
            copied_tracks: 0,
            protected_tracks: 0,
            begun_at: Time::ZERO,
            begun_tracks: 0,
        }
    }

    /// Tracks copied since the last command that begins a copy, for whatever reason.
    pub fn tracks_since_begun(&self) -> u64 {
        self.copied_tracks - self.begun_tracks
    }

    /// The volume that is copied from, and the one that is copied to: a restore goes the other way.
    pub fn direction(&self) -> (LdevId, LdevId) {
        match self.status {
            PairStatus::Restoring => (self.secondary, self.primary),
            _ => (self.primary, self.secondary),
        }
    }

    /// Whether tracks are copied in this status, if there are any to copy and the copier is on.
    pub fn is_copying(&self) -> bool {
        self.status.is_copying()
    }

    /// The tracks of C that a lane has written to the target's drive and that have not changed since:
    /// their C clears ([`crate::Change::Settled`]) when the drive was flushed.
    pub fn settling(&self) -> &TrackMap {
        &self.settling
    }

    /// The tracks in which the sides of a split pair differ: DP or DS.
    pub fn differences(&self) -> TrackMap {
        let mut tracks = self.dp.clone();
        tracks.or_assign(&self.ds);
        tracks
    }

    /// The map of that name.
    pub fn map(&self, name: MapName) -> &TrackMap {
        match name {
            MapName::C => &self.c,
            MapName::Dp => &self.dp,
            MapName::Ds => &self.ds,
            MapName::A => &self.a,
        }
    }

    /// The status as Fig. 11 names it. A volume in no pair is [`SIMPLEX`].
    pub fn shown_as(&self) -> &'static str {
        self.status.shown_as(self.phase)
    }
}
