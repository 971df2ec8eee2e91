//! Configurations of a search, and the rules that can be broken on purpose.

use super::state::{Left, PAIRS, State, Status};

/// How the pairs hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One pair.
    Pair,
    /// Two secondaries of one primary.
    Siblings,
    /// A secondary that is a primary.
    Cascade,
}

/// What may survive a crash of a track whose drive write was not flushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survivors {
    /// Every subset of the writes, torn or whole.
    Each,
    /// The worst of them: a torn track, equal to nothing.
    Torn,
}

/// What is searched, and how much may happen in it. Destages, lanes, flushes and what else the unit does
/// of itself has no bound.
#[derive(Debug, Clone, Copy)]
pub struct SearchConfig {
    name: &'static str,
    pub(super) shape: Shape,
    pub(super) tracks: usize,
    pub(super) writes: u8,
    pub(super) commands: u8,
    pub(super) crashes: u8,
    pub(super) errors: u8,
    /// Quick copies and quick restores.
    pub(super) quick: bool,
    pub(super) survivors: Survivors,
    /// A crash may lose the maps, or all that is known of the pairs.
    pub(super) losses: bool,
}

/// What is searched with all rules kept, the smallest first.
const CONFIGS: &[SearchConfig] = &[
    SearchConfig {
        name: "track",
        shape: Shape::Pair,
        tracks: 1,
        writes: 3,
        commands: 6,
        crashes: 2,
        errors: 1,
        quick: true,
        survivors: Survivors::Each,
        losses: true,
    },
    SearchConfig {
        name: "pair",
        shape: Shape::Pair,
        tracks: 2,
        writes: 2,
        commands: 4,
        crashes: 1,
        errors: 1,
        quick: true,
        survivors: Survivors::Each,
        losses: true,
    },
    SearchConfig {
        name: "siblings",
        shape: Shape::Siblings,
        tracks: 1,
        writes: 2,
        commands: 5,
        crashes: 1,
        errors: 1,
        quick: true,
        survivors: Survivors::Torn,
        losses: true,
    },
    SearchConfig {
        name: "cascade",
        shape: Shape::Cascade,
        tracks: 1,
        writes: 2,
        commands: 6,
        crashes: 1,
        errors: 1,
        quick: true,
        survivors: Survivors::Torn,
        losses: true,
    },
    SearchConfig {
        name: "siblings-commands",
        shape: Shape::Siblings,
        tracks: 2,
        writes: 1,
        commands: 6,
        crashes: 1,
        errors: 1,
        quick: false,
        survivors: Survivors::Torn,
        losses: false,
    },
    SearchConfig {
        name: "cascade-commands",
        shape: Shape::Cascade,
        tracks: 2,
        writes: 1,
        commands: 7,
        crashes: 1,
        errors: 1,
        quick: false,
        survivors: Survivors::Torn,
        losses: false,
    },
    SearchConfig {
        name: "siblings-tracks",
        shape: Shape::Siblings,
        tracks: 2,
        writes: 2,
        commands: 4,
        crashes: 1,
        errors: 1,
        quick: false,
        survivors: Survivors::Torn,
        losses: false,
    },
    SearchConfig {
        name: "cascade-tracks",
        shape: Shape::Cascade,
        tracks: 2,
        writes: 2,
        commands: 5,
        crashes: 1,
        errors: 1,
        quick: false,
        survivors: Survivors::Torn,
        losses: false,
    },
];

/// What is enough to find a broken rule.
const SMALL: &[SearchConfig] = &[
    small("small-track", Shape::Pair, 1, 5),
    small("small-pair", Shape::Pair, 2, 3),
    small("small-siblings", Shape::Siblings, 1, 5),
    small("small-cascade", Shape::Cascade, 1, 6),
];

const fn small(name: &'static str, shape: Shape, tracks: usize, commands: u8) -> SearchConfig {
    SearchConfig {
        name,
        shape,
        tracks,
        writes: 2,
        commands,
        crashes: 1,
        errors: (tracks == 1 && matches!(shape, Shape::Pair)) as u8,
        quick: tracks == 1 && matches!(shape, Shape::Pair),
        survivors: Survivors::Torn,
        losses: tracks == 2,
    }
}

impl SearchConfig {
    /// All that are searched with all rules kept, the smallest first.
    pub fn all() -> impl Iterator<Item = Self> {
        CONFIGS.iter().copied()
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::all().chain(SMALL.iter().copied()).find(|config| config.name == name)
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn volumes(&self) -> usize {
        self.pairs() + 1
    }

    pub(super) fn pairs(&self) -> usize {
        if self.shape == Shape::Pair { 1 } else { PAIRS }
    }

    pub(super) fn start(&self) -> State {
        let Self { writes, commands, crashes, errors, .. } = *self;
        let left = Left { writes, commands, crashes, errors };
        State::new(left, self.volumes(), self.tracks)
    }

    /// The volume that a pair copies from; the secondary of pair n is volume n + 1.
    pub(super) fn primary(&self, pair: usize) -> usize {
        if self.shape == Shape::Cascade { pair } else { 0 }
    }
}

macro_rules! broken_rules {
    ($($(#[$meaning:meta])* $rule:ident = $name:literal in $config:literal,)*) => {
        /// A rule that is broken on purpose: the search has to find out.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum BrokenRule {
            $($(#[$meaning])* $rule,)*
        }

        impl BrokenRule {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$rule),*];

            /// What it is called.
            pub fn name(self) -> &'static str {
                match self { $(Self::$rule => $name),* }
            }

            /// The configuration it is searched in.
            pub fn config(self) -> SearchConfig {
                let name = match self { $(Self::$rule => $config),* };
                SearchConfig::named(name).expect("a rule names a configuration")
            }
        }
    };
}

broken_rules! {
    /// I7 reversed: the primary is overwritten before the record of the copy.
    PrimaryBeforeCopy = "primary-before-copy" in "small-track",
    /// The maps are marked after the write was recorded and answered.
    MarkAfterAnswer = "mark-after-answer" in "small-track",
    /// A host's write is answered before it is recorded.
    AnswerBeforeRecord = "answer-before-record" in "small-track",
    /// A command is answered before its record is durable.
    CommandBeforeRecord = "command-before-record" in "small-track",
    /// C clears without a flush of the drive.
    SettleWithoutFlush = "settle-without-flush" in "small-track",
    /// What a lane writes is settling from before the write.
    SettlingBeforeWrite = "settling-before-write" in "small-track",
    /// A change of the primary leaves its track settling.
    SettlingSurvivesChange = "settling-survives-change" in "small-track",
    /// C clears of tracks that a lane wrote again since the flush.
    SettleClearsLaterCopies = "settle-clears-later-copies" in "small-track",
    /// A settle record leaves older data records of its tracks to be replayed.
    SettleKeepsRecords = "settle-keeps-records" in "small-track",
    /// Recovery takes what lies below the copy pointer as copied.
    ResumeAtPointer = "resume-at-pointer" in "small-track",
    /// A lane writes the drive before the record of the data is durable.
    LaneBeforeRecord = "lane-before-record" in "small-track",
    /// A lane writes in the direction of a status that is not durable.
    LaneBeforeStatus = "lane-before-status" in "small-pair",
    /// A lane leaves the target's slot, with what stood there before.
    LaneKeepsSlot = "lane-keeps-slot" in "small-track",
    /// A lane writes the drive while a destage of the track is in flight.
    LaneBesideDestage = "lane-beside-destage" in "small-track",
    /// A slot is destaged before its record is durable.
    DestageBeforeRecord = "destage-before-record" in "small-track",
    /// The log is trimmed of destaged data that no flush has covered.
    TrimBeforeFlush = "trim-before-flush" in "small-track",
    /// The log is trimmed of a record whose data is on its way to a slot.
    TrimUnseenRecord = "trim-unseen-record" in "small-track",
    /// A resync is recorded in two parts: the maps it takes from, then the map it adds to.
    MergeInTwoRecords = "merge-in-two-records" in "small-track",
    /// A whole-track write to a quick secondary is recorded in two parts: C, then the data.
    QuickWriteInTwoRecords = "quick-write-in-two-records" in "small-track",
    /// A copy before a write clears C before it is in its slot.
    ClearBeforeSlot = "clear-before-slot" in "small-track",
    /// A command does not wait for the lanes.
    CommandBesideLane = "command-beside-lane" in "small-track",
    /// The end of a restore forgets what hosts wrote meanwhile.
    RestoreForgetsWrites = "restore-forgets-writes" in "small-pair",
    /// When the maps are lost, an image that was being made goes on with all tracks to copy.
    LossKeepsCopying = "loss-keeps-copying" in "small-pair",
    /// A lane that could not write its track has it settle all the same.
    FailedCopySettles = "failed-copy-settles" in "small-track",
    /// A destage that failed leaves its slot clean.
    FailedDestageCleans = "failed-destage-cleans" in "small-track",
    /// A secondary that lacks tracks is not marked undefined when its pair is deleted.
    DeleteLeavesDefined = "delete-leaves-defined" in "small-track",
    /// The contents of a volume are accepted with its drive not flushed.
    AcceptWithoutFlush = "accept-without-flush" in "small-track",
    /// The contents of a volume are accepted, and older records of it are replayed all the same.
    AcceptKeepsRecords = "accept-keeps-records" in "small-track",
    /// Only the first pair of a primary is protected.
    ProtectsFirstPair = "protects-first-pair" in "small-siblings",
    /// A restore leaves the maps of the primary's other pairs.
    RestoreForgetsSiblings = "restore-forgets-siblings" in "small-siblings",
    /// A restore does not look at the primary's other pairs.
    RestoreBesideCopy = "restore-beside-copy" in "small-siblings",
    /// A second-level pair is split while the first level copies.
    CopiesFromUnsplit = "copies-from-unsplit" in "small-cascade",
    /// A pair that followed a primary without meaning is suspended as if it were equal to it.
    SuspendTrustsFirstLevel = "suspend-trusts-first-level" in "small-cascade",
    /// A lane changes a primary without a look at the pairs below.
    LaneForgetsBelow = "lane-forgets-below" in "small-cascade",
    /// A lane waits for the record of what it reads, and not for those of the pairs below its target.
    LaneBeforeMarksBelow = "lane-before-marks-below" in "small-cascade",
    /// A lane of the second level copies what the first level is about to bring again.
    SecondLevelCopiesUnsettled = "second-level-copies-unsettled" in "small-cascade",
    /// A lane of the second level copies what the first level was to bring before it was given up.
    SecondLevelCopiesSuspended = "second-level-copies-suspended" in "small-cascade",
}

/// What is searched: a configuration, and at most one broken rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) config: SearchConfig,
    pub(super) broken: Option<BrokenRule>,
}

impl Rules {
    pub(super) fn breaks(&self, rule: BrokenRule) -> bool {
        self.broken == Some(rule)
    }

    /// Primary and secondary.
    pub(super) fn ends(&self, pair: usize) -> (usize, usize) {
        (self.config.primary(pair), pair + 1)
    }

    /// The volume that a copy of the pair writes to, and the one it reads.
    pub(super) fn target_and_source(&self, state: &State, pair: usize) -> (usize, usize) {
        let (primary, secondary) = self.ends(pair);
        match state.pairs[pair].status {
            Status::Restoring => (primary, secondary),
            _ => (secondary, primary),
        }
    }

    /// The pairs of a primary.
    pub(super) fn pairs_of(
        &self,
        state: &State,
        volume: usize,
    ) -> impl Iterator<Item = usize> + use<> {
        let (config, pairs) = (self.config, state.pairs);
        (0..config.pairs()).filter(move |&pair| {
            config.primary(pair) == volume && pairs[pair].status != Status::NoPair
        })
    }

    /// The pair of a secondary.
    pub(super) fn pair_of_secondary(&self, state: &State, volume: usize) -> Option<usize> {
        let pair = volume.checked_sub(1)?;
        (pair < self.config.pairs() && state.pairs[pair].status != Status::NoPair).then_some(pair)
    }

    /// The bits of all tracks.
    pub(super) fn all_tracks(&self) -> u8 {
        (1 << self.config.tracks) - 1
    }
}
