//! What a checker or the model finds wrong.

use crate::{Content, Tag};
use diptych_cha::{GroupOutcome, HostReply, Outcome};
use diptych_device::DeviceError;
use diptych_format::{BlockError, BlockNo, Generation, ImageNo, LdevId, TrackNo};
use diptych_shared::{MapName, PairStatus, Phase};

/// Something that must not be. The invariants are those of the design, by their names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Violation {
    /// C is set in 803, and the primary no longer holds the image there.
    #[error(
        "invariant I1: pair {primary} -> {secondary}: track {track} of the primary is \
         not the image while its C is 1"
    )]
    PrimaryNotImage {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// The track.
        track: TrackNo,
    },
    /// What is stored, or was read, is not what it has to be. On a secondary that is the image.
    #[error("invariant I1: block {block} of volume {ldev} holds tag {found}, expected {expected}")]
    Content {
        /// The volume.
        ldev: LdevId,
        /// The block.
        block: BlockNo,
        /// What it holds.
        found: Tag,
        /// What it should hold.
        expected: Content,
    },
    /// Part of a write that came before, or of the same write, is missing in an image.
    #[error(
        "invariant I1: the image in {secondary} has tag {seen}, but block {block} is tag \
         {found}, from before tag {missing}"
    )]
    ImageTorn {
        /// The secondary.
        secondary: LdevId,
        /// The block that is too old.
        block: BlockNo,
        /// What it holds.
        found: Tag,
        /// The write that it lacks.
        missing: Tag,
        /// The write in the image that shows that.
        seen: Tag,
    },
    /// A read gave data that no write overlapping it could have left there.
    #[error(
        "invariant I1: block {block} of volume {ldev} was read as tag {found} in moments \
         {from} to {to}"
    )]
    Read {
        /// The volume.
        ldev: LdevId,
        /// The block.
        block: BlockNo,
        /// What was read.
        found: Tag,
        /// When the read was submitted.
        from: u64,
        /// When it was answered.
        to: u64,
    },
    /// The sides of a pair differ and no map says so.
    #[error(
        "invariant I2: pair {primary} -> {secondary} differs at block {block}: track \
         {track} is in none of C, DP, DS"
    )]
    Differs {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// The track.
        track: TrackNo,
        /// The first block that differs.
        block: BlockNo,
    },
    /// A copy has another generation than its source.
    #[error(
        "invariant I2: pair {primary} -> {secondary}: block {block} has generation \
         {of_primary} in the primary, {of_secondary} in the secondary"
    )]
    GenerationDiffers {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// The block.
        block: BlockNo,
        /// Generation in the primary.
        of_primary: Generation,
        /// Generation in the secondary.
        of_secondary: Generation,
    },
    /// Blocks changed in a volume that nobody may change any more.
    #[error(
        "invariant I3: block {block} of volume {ldev} changed from tag {before} to tag \
         {after} while nothing writes there"
    )]
    Changed {
        /// The volume.
        ldev: LdevId,
        /// The block.
        block: BlockNo,
        /// What it held.
        before: Tag,
        /// What it holds.
        after: Tag,
    },
    /// A stored block does not say where it lies, or its code does not hold.
    #[error("invariant I4: volume {ldev}: {source}")]
    Stored {
        /// The volume.
        ldev: LdevId,
        /// What is wrong.
        source: BlockError,
    },
    /// A block's data is not that of one write to that block.
    #[error("invariant I4: block {block} of volume {ldev} holds the data of no write to it")]
    Garbled {
        /// The volume.
        ldev: LdevId,
        /// The block.
        block: BlockNo,
    },
    /// A drive could not be read behind the unit's back.
    #[error("track {track} of volume {ldev} cannot be looked at: {source}")]
    Unreadable {
        /// The volume.
        ldev: LdevId,
        /// The track.
        track: TrackNo,
        /// What the drive said.
        source: DeviceError,
    },
    /// A job has no end.
    #[error(
        "invariant I6: {jobs} jobs have not ended after {moves} moves, {waiting} of them \
         wait for what never comes"
    )]
    NeverEnds {
        /// Jobs that are left.
        jobs: usize,
        /// Those of them that wait.
        waiting: usize,
        /// Moves made.
        moves: u64,
    },
    /// There is quiet, and room in the cache is still promised to somebody.
    #[error("invariant I6: room for {permits} dirty slots was never given back")]
    RoomLost {
        /// Dirty slots promised to nobody.
        permits: usize,
    },
    /// There is quiet, and a copier has left tracks that it could read.
    #[error("invariant I6: the copier of pair {primary} -> {secondary} has left {tracks} tracks")]
    CopyNotEnded {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// Tracks in C.
        tracks: u64,
    },
    /// The status of a pair does not fit its C.
    #[error("invariant: pair {primary} -> {secondary} is {status} with {tracks} tracks in C")]
    StatusAndC {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// The status.
        status: PairStatus,
        /// Tracks in C.
        tracks: u64,
    },
    /// The unit has other pairs than the model.
    #[error("the unit has {found} pairs, the model {expected}")]
    Pairs {
        /// Pairs of the unit.
        found: usize,
        /// Pairs of the model.
        expected: usize,
    },
    /// A pair that only one of both has.
    #[error("only one of unit and model has pair {primary} -> {secondary}")]
    Pair {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
    },
    /// A map bit is not what the model says.
    #[error(
        "pair {primary} -> {secondary}: {map} of track {track} is {found}, expected \
         {expected}"
    )]
    Map {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// Which map.
        map: MapName,
        /// The track.
        track: TrackNo,
        /// The bit in the unit.
        found: bool,
        /// The bit in the model.
        expected: bool,
    },
    /// A pair has another status than the model says.
    #[error(
        "pair {primary} -> {secondary} is {found} ({found_phase:?}), expected {expected} \
         ({expected_phase:?})"
    )]
    Status {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// Status in the unit.
        found: PairStatus,
        /// Its phase.
        found_phase: Phase,
        /// Status in the model.
        expected: PairStatus,
        /// Its phase.
        expected_phase: Phase,
    },
    /// A copier is on where it should be off, or the other way round; or options differ.
    #[error("pair {primary} -> {secondary} has another copier or other options than expected")]
    Options {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
    },
    /// The number of an image, or of the one that A leads from, is not what the model says.
    #[error(
        "pair {primary} -> {secondary}: image {image} and A from {a_from}, expected {} and \
         from {from}",
        expected.map_or_else(|| "a new one".to_owned(), |no| no.to_string())
    )]
    Image {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// The image of the unit's pair.
        image: ImageNo,
        /// The image that its A leads from.
        a_from: ImageNo,
        /// The image expected; `None` is one with a number that was not used before.
        expected: Option<ImageNo>,
        /// The image that A should lead from.
        from: ImageNo,
    },
    /// An attribute of a volume is not what the model says.
    #[error("volume {ldev}: reserved {reserved}, undefined {undefined}: expected the other")]
    Attributes {
        /// The volume.
        ldev: LdevId,
        /// Whether the unit has it reserved.
        reserved: bool,
        /// Whether the unit has its contents undefined.
        undefined: bool,
    },
    /// An answer that the model does not allow.
    #[error("answered {found:?}, expected {expected:?}")]
    Reply {
        /// The answer.
        found: Box<HostReply>,
        /// What the model says.
        expected: Box<HostReply>,
    },
    /// An outcome of a group command that the model does not allow.
    #[error("outcome {found:?}, expected {expected:?}")]
    GroupOutcome {
        /// The outcome.
        found: Box<GroupOutcome>,
        /// What the model says.
        expected: crate::ExpectedGroup,
    },
    /// An outcome that the model does not allow.
    #[error("outcome {found:?}, expected {expected:?}")]
    Outcome {
        /// The outcome.
        found: Outcome,
        /// What the model says.
        expected: crate::Expected,
    },
}
