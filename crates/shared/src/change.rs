//! Changes: the only way in which anything in a family changes.

use crate::{MapName, Pair, PairOptions, PairStatus, VolumeState};
use diptych_format::{ImageNo, LdevId, PairId, Time, TrackNo, TrackRange};
use serde::{Deserialize, Serialize};

/// One change of a family's state, applied at once by [`crate::FamilyState::change`].
///
/// Changes are plain data, so that what is applied can also be recorded and applied again. Whether a
/// command is allowed is decided by who makes the change; an impossible one is a broken invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// A new entry of the pair information.
    AddPair(Box<Pair>),
    /// The entry goes: "no pair" 801.
    RemovePair(PairId),
    /// Bits of a map are set.
    Set {
        /// The pair.
        pair: PairId,
        /// Which map.
        map: MapName,
        /// Which tracks.
        tracks: TrackRange,
    },
    /// Bits of a map are cleared. Clearing the last of C ends the copy (step 504).
    Clear {
        /// The pair.
        pair: PairId,
        /// Which map.
        map: MapName,
        /// Which tracks.
        tracks: TrackRange,
    },
    /// A track was copied (Fig. 6: 609, 606, 607; Fig. 9: 907): its C is cleared, counted, and the copy
    /// pointer advances unless the copy was a protecting one. Clearing the last of C ends the copy.
    /// A pair that was suspended by a failure while the track was on its way stays suspended.
    Copied {
        /// The pair.
        pair: PairId,
        /// Which track; its C is set.
        track: TrackNo,
        /// Whether it was copied because a write was about to change it.
        protecting: bool,
    },
    /// A lane has written a track to the target's drive (605): C stays 1 and the track is settling
    /// until the drive was flushed. The copy pointer advances. Nothing, if the pair was suspended while
    /// the track was on its way: it is copied again. Whatever changes the track, or sets its C, takes
    /// it out of settling.
    Settling {
        /// The pair.
        pair: PairId,
        /// Which track; its C is set.
        track: TrackNo,
    },
    /// Copied tracks lie on the target's drive for good: as `Copied`, for all of them, but the copy
    /// pointer stays. Whoever makes it takes tracks that are settling since before the flush. That is
    /// not looked at here, so that it can be applied where nothing is known of settling.
    Settled {
        /// The pair.
        pair: PairId,
        /// Which tracks, ascending and apart; their C is set.
        tracks: Vec<TrackRange>,
    },
    /// Tracks of a primary are about to change (Fig. 9). For every pair of that primary: in 802 C and A
    /// are set, else DP. In 803 and while restoring the tracks must have been copied before.
    HostChange {
        /// The volume that changes. It may be in no pair.
        primary: LdevId,
        /// Which tracks.
        tracks: TrackRange,
    },
    /// Tracks of a secondary change by themselves, not by a copy: DS is set.
    SecondaryChange {
        /// The volume that changes; it is the secondary of a pair.
        secondary: LdevId,
        /// Which tracks.
        tracks: TrackRange,
    },
    /// A copy command is accepted: 802 becomes 803, with C as it is, and 804 at once if C is empty.
    /// Tracks noted as unreadable are tried again, since 803 has no track that stays behind.
    Copy {
        /// The pair.
        pair: PairId,
        /// The number of the image that the secondary will hold.
        image: ImageNo,
        /// The options from now on.
        options: PairOptions,
    },
    /// A resync command is accepted: 804 or suspended becomes 802. From 804 C = DP or DS and A = C,
    /// leading from the image there was; from suspended C and A only grow.
    Resync {
        /// The pair.
        pair: PairId,
        /// The options from now on.
        options: PairOptions,
    },
    /// A command that begins a copy is accepted at this time: what is copied from here on, and how long
    /// it takes, is counted from here. Made before the change that the command itself is.
    CopyBegins {
        /// The pair.
        pair: PairId,
        /// When.
        at: Time,
    },
    /// A restore command is accepted: 804 becomes restoring, C = DP or DS, and 802 at once if C is
    /// empty. A becomes everything. The other pairs of the primary get C into their DP, and the
    /// primary's contents are those of the secondary, so they are defined.
    Restore {
        /// The pair.
        pair: PairId,
        /// The options from now on.
        options: PairOptions,
    },
    /// A restore is given up: what was still to come back stands in DP, the pair is suspended, and the
    /// contents of the primary are undefined.
    AbandonRestore {
        /// The pair.
        pair: PairId,
    },
    /// A quick restore command is accepted in 804: the volumes exchange their backings. The pair is in
    /// 802 with C = DP or DS, or stays in 804 if it is frozen, with DP = DP or DS. A becomes everything.
    /// The other pairs of both volumes get what differed into their DP.
    Exchange {
        /// The pair.
        pair: PairId,
        /// The number of the image that the secondary holds from now on, if the pair is frozen.
        freeze: Option<ImageNo>,
        /// The options from now on.
        options: PairOptions,
    },
    /// Copying stops: the pair is suspended, its image abandoned. Not while restoring. No transition
    /// if it already was.
    Suspend {
        /// The pair.
        pair: PairId,
        /// Whether the sides must be taken to differ everywhere: C becomes all tracks.
        all_different: bool,
    },
    /// A track could not be read, of the primary in 802 or of the secondary while restoring: its C
    /// stays and lanes skip it.
    Unreadable {
        /// The pair.
        pair: PairId,
        /// Which track; its C is set.
        track: TrackNo,
    },
    /// Other options.
    Options {
        /// The pair.
        pair: PairId,
        /// The options from now on.
        options: PairOptions,
    },
    /// Tracks get storage.
    Allocate {
        /// The volume.
        ldev: LdevId,
        /// Which tracks.
        tracks: TrackRange,
    },
    /// Tracks lose their storage and read zero.
    Deallocate {
        /// The volume.
        ldev: LdevId,
        /// Which tracks.
        tracks: TrackRange,
    },
    /// The reserve attribute (Fig. 11A: 1516).
    Reserve {
        /// The volume.
        ldev: LdevId,
        /// Whether it is reserved from now on.
        reserved: bool,
    },
    /// Whether the contents mean anything.
    Undefined {
        /// The volume.
        ldev: LdevId,
        /// Whether they are undefined from now on.
        undefined: bool,
    },
    /// A host changes the volume.
    HostWrote {
        /// The volume.
        ldev: LdevId,
        /// When.
        at: Time,
    },
    /// The volume status.
    VolumeState {
        /// The volume.
        ldev: LdevId,
        /// The status from now on.
        state: VolumeState,
    },
}

impl Change {
    /// Whether it ends with the unit, and so is not recorded.
    pub(crate) fn is_volatile(&self) -> bool {
        matches!(self, Self::HostWrote { .. } | Self::Settling { .. })
    }
}

/// A change of pair status (Fig. 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// The pair.
    pub pair: PairId,
    /// The status it had.
    pub from: PairStatus,
    /// The status it has.
    pub to: PairStatus,
}
