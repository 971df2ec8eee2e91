//! Pair commands (Fig. 2) and what they come to.

use crate::NameError;
use diptych_format::{LdevId, PairId};
use diptych_shared::{PairOptions, PairStatus};
use std::fmt;
use std::str::FromStr;

/// The commands of Fig. 2, suspend (Fig. 11A: 1509), and the two that bring a secondary's content back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CommandCode {
    /// Create pair 211.
    Create,
    /// Delete pair 212.
    Delete,
    /// Copy 213; people call it split.
    Copy,
    /// Re-synchronize 214.
    Resync,
    /// Suspend 1509.
    Suspend,
    /// Restore: the primary takes the secondary's content, track by track. No figure has it.
    Restore,
    /// Quick restore: the volumes exchange their backings. No figure has it.
    QuickRestore,
}

impl CommandCode {
    /// All commands.
    pub const ALL: [Self; 7] = [
        Self::Create,
        Self::Delete,
        Self::Copy,
        Self::Resync,
        Self::Suspend,
        Self::Restore,
        Self::QuickRestore,
    ];

    /// The word of the command.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::Copy => "copy",
            Self::Resync => "resync",
            Self::Suspend => "suspend",
            Self::Restore => "restore",
            Self::QuickRestore => "quick-restore",
        }
    }

    /// The number of the command in the figures; a command block carries it as its code 701. Those that
    /// no figure has are numbered on from the last of Fig. 2.
    pub const fn number(self) -> u16 {
        match self {
            Self::Create => 211,
            Self::Delete => 212,
            Self::Copy => 213,
            Self::Resync => 214,
            Self::Suspend => 1509,
            Self::Restore => 215,
            Self::QuickRestore => 216,
        }
    }

    /// The command with this number.
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }
}

impl fmt::Display for CommandCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for CommandCode {
    type Err = NameError;

    /// The command called so, in either case; `split` is another word for copy.
    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.eq_ignore_ascii_case("split") {
            return Ok(Self::Copy);
        }
        let same = |code: &Self| code.name().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(same).ok_or(NameError::NotCommand)
    }
}

/// Who asked for something: what the history says of it (Fig. 11D).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Who {
    /// A host, by a command block.
    #[default]
    Host,
    /// An operator, by the console or the command line.
    Operator,
    /// A schedule, at its time.
    Schedule,
    /// The control unit itself.
    Unit,
}

impl Who {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Host, Self::Operator, Self::Schedule, Self::Unit];

    /// The word for them.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Operator => "operator",
            Self::Schedule => "schedule",
            Self::Unit => "unit",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Who {
    type Err = NameError;

    /// The one called so, in either case.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let same = |who: &Self| who.name().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(same).ok_or(NameError::NotWho)
    }
}

/// A pair command: code 701, primary 702, secondary 703, and the options of Figs. 11C and 11E.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command {
    /// What to do.
    pub code: CommandCode,
    /// The primary volume.
    pub primary: LdevId,
    /// The secondary volume.
    pub secondary: LdevId,
    /// Pace, lanes, quick. Create, copy, resync and the two restores take them.
    pub options: PairOptions,
    /// Create only: whether the initial copy starts at once.
    pub initial_copy: bool,
    /// Create only: the copy command is given in the same record (Fig. 11E), so that the pair is
    /// never seen in 802.
    pub and_copy: bool,
    /// Quick restore only: the pair stays split, the secondary holds the primary's old content.
    pub freeze: bool,
    /// Delete only: also while restoring; the primary's contents are undefined then.
    pub force: bool,
    /// Who gives it. A command block does not say: what comes by one comes from a host.
    pub who: Who,
}

impl Command {
    /// A command of a host, with the default options and an initial copy.
    pub fn new(code: CommandCode, primary: LdevId, secondary: LdevId) -> Self {
        Self {
            code,
            primary,
            secondary,
            options: PairOptions::default(),
            initial_copy: true,
            and_copy: false,
            freeze: false,
            force: false,
            who: Who::Host,
        }
    }

    /// The same command, given by somebody else.
    #[must_use]
    pub fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// The same command with other options.
    #[must_use]
    pub fn with_options(self, options: PairOptions) -> Self {
        Self { options, ..self }
    }

    /// The same create command, its copier left off.
    #[must_use]
    pub fn without_initial_copy(self) -> Self {
        Self { initial_copy: false, ..self }
    }

    /// The same create command, a copy command with it.
    #[must_use]
    pub fn and_copy(self) -> Self {
        Self { and_copy: true, ..self }
    }

    /// The same quick restore command, the pair staying split.
    #[must_use]
    pub fn frozen(self) -> Self {
        Self { freeze: true, ..self }
    }

    /// The same delete command, whatever it costs.
    #[must_use]
    pub fn forced(self) -> Self {
        Self { force: true, ..self }
    }
}

/// A create command that leaves the choice of the secondary to the unit (Fig. 11C: 1524 on *Auto*).
///
/// The unit takes the reserved volumes of the primary's size and type that are in no pair, the lowest
/// LDEV number first, until one can be paired. The answer is [`Outcome::Chosen`], with the volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreateAuto {
    /// The primary volume.
    pub primary: LdevId,
    /// Pace, lanes, quick.
    pub options: PairOptions,
    /// Whether the initial copy starts at once.
    pub initial_copy: bool,
    /// Whether a copy command comes with it.
    pub and_copy: bool,
    /// Who gives it, as of a [`Command`].
    pub who: Who,
}

impl CreateAuto {
    /// A command of a host, with the default options and an initial copy.
    pub fn new(primary: LdevId) -> Self {
        let (options, who) = (PairOptions::default(), Who::Host);
        Self { primary, options, initial_copy: true, and_copy: false, who }
    }

    /// The same command, given by somebody else.
    #[must_use]
    pub fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// The create command that names this secondary.
    pub fn choose(self, secondary: LdevId) -> Command {
        let Self { primary, options, initial_copy, and_copy, who } = self;
        let command = Command::new(CommandCode::Create, primary, secondary);
        Command { options, initial_copy, and_copy, who, ..command }
    }
}

/// What a command came to. It names the status it met, `None` being *no pair* (801).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Carried out.
    Accepted {
        /// The pair; after a delete, the pair that was.
        pair: PairId,
        /// The status met.
        from: Option<PairStatus>,
        /// The status now.
        to: Option<PairStatus>,
    },
    /// A pair was created, and the unit chose its secondary: the answer to a [`CreateAuto`] that was
    /// carried out. No pair was met.
    Chosen {
        /// The pair.
        pair: PairId,
        /// The volume chosen.
        secondary: LdevId,
        /// The status now.
        to: PairStatus,
    },
    /// Nothing to do in this status (Fig. 2 has no action there); nothing changed.
    Nothing {
        /// The status met.
        met: Option<PairStatus>,
    },
    /// Not allowed; nothing changed.
    Refused(Refusal),
}

/// Why a command is refused. Each variant is something else to put right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// No such volume.
    #[error("volume {ldev} does not exist")]
    NoVolume {
        /// The volume named.
        ldev: LdevId,
    },
    /// Primary and secondary are one volume.
    #[error("volume {ldev} cannot be its own secondary")]
    SameVolume {
        /// The volume named.
        ldev: LdevId,
    },
    /// The volumes differ in size.
    #[error("the primary has {primary_blocks} blocks, the secondary {secondary_blocks}")]
    SizeMismatch {
        /// Blocks of the primary.
        primary_blocks: u64,
        /// Blocks of the secondary.
        secondary_blocks: u64,
    },
    /// The volumes differ in emulation type.
    #[error("primary and secondary are of different emulation types")]
    TypeMismatch,
    /// The pairs would form a circle.
    #[error("volume {ldev} is already a copy made from the secondary: pairs may not form a circle")]
    Cycle {
        /// The primary named.
        ldev: LdevId,
    },
    /// A secondary of a secondary would get a secondary.
    #[error("volume {ldev} is the secondary of a secondary: there is no third level")]
    ThirdLevel {
        /// The primary named.
        ldev: LdevId,
    },
    /// A second-level pair needs its first-level pair split.
    #[error("the first-level pair is {status}, it has to be paired and copied")]
    FirstLevelNotCopied {
        /// Status of the first-level pair.
        status: PairStatus,
    },
    /// The secondary is a secondary already.
    #[error("volume {ldev} is the secondary of another pair")]
    SecondaryIsSecondary {
        /// The secondary named.
        ldev: LdevId,
    },
    /// The secondary is a primary.
    #[error("volume {ldev} is the primary of another pair")]
    SecondaryIsPrimary {
        /// The secondary named.
        ldev: LdevId,
    },
    /// The secondary does not have the reserve attribute.
    #[error("volume {ldev} is not reserved as a secondary")]
    NotReserved {
        /// The secondary named.
        ldev: LdevId,
    },
    /// The primary has as many secondaries as it may have.
    #[error("volume {ldev} has {most} secondaries already")]
    TooManySecondaries {
        /// The primary named.
        ldev: LdevId,
        /// The most there can be.
        most: usize,
    },
    /// There is no free entry in the pair information.
    #[error("all {most} pair numbers are in use")]
    TooManyPairs {
        /// The most there can be.
        most: usize,
    },
    /// The durable log keeps no room for the maps of one more such pair.
    #[error(
        "the log has room for {free_bytes} bytes more of control state, the pair takes {asked_bytes}"
    )]
    ControlFull {
        /// Bytes that the pair can come to.
        asked_bytes: u64,
        /// Bytes left.
        free_bytes: u64,
    },
    /// The primary's contents are undefined.
    #[error("the contents of volume {ldev} are undefined")]
    Undefined {
        /// The primary named.
        ldev: LdevId,
    },
    /// A volume is blocked.
    #[error("volume {ldev} is blocked")]
    Blocked {
        /// The volume.
        ldev: LdevId,
    },
    /// A host uses the volume that is to become a secondary.
    #[error("volume {ldev} is in use: a host wrote it a short time ago")]
    InUse {
        /// The secondary named.
        ldev: LdevId,
    },
    /// A pair of a primary that is being restored.
    #[error("the pair is restoring: wait for its end")]
    Restoring,
    /// The unit stops.
    #[error("the control unit is stopping")]
    Stopping,
    /// Too many requests wait already: ask again later.
    #[error("too many requests wait already")]
    Busy,
    /// A pair has at least one lane, and not more than there can be.
    #[error("a pair has 1 to {most} lanes, not {asked}")]
    Lanes {
        /// Lanes asked for.
        asked: u8,
        /// The most there can be.
        most: u8,
    },
    /// The unit was to choose the secondary, and there is none to choose.
    #[error("no reserved volume of the size and type of volume {ldev} is free")]
    NoneToChoose {
        /// The primary named.
        ldev: LdevId,
    },
    /// A restore writes the primary, which is the secondary of another pair.
    #[error("volume {ldev} is a secondary: a restore may not write it")]
    PrimaryIsSecondary {
        /// The primary named.
        ldev: LdevId,
    },
    /// A restore needs every other pair of its two volumes split or suspended.
    #[error("the pair of secondary {ldev} is {status}, it has to be split or suspended")]
    OtherPair {
        /// The secondary of that pair.
        ldev: LdevId,
        /// Its status.
        status: PairStatus,
    },
    /// A group command did not get its volumes to itself in time.
    #[error("requests under way took longer than the command may hold hosts up")]
    DrainLimit,
    /// A group is not created or deleted as one.
    #[error("pairs are created and deleted one by one")]
    NotForGroups,
    /// A group command has at least one pair, and not more than there can be.
    #[error("a group command has 1 to {most} pairs, not {asked}")]
    GroupSize {
        /// Pairs it has.
        asked: usize,
        /// The most there can be.
        most: usize,
    },
    /// A group command names a pair twice, or restores one volume from two.
    #[error("the command cannot be carried out for this pair and that of secondary {ldev}")]
    GroupConflict {
        /// The secondary of the other pair.
        ldev: LdevId,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_one_word_and_one_number() {
        for code in CommandCode::ALL {
            assert_eq!(code.to_string().parse(), Ok(code));
            assert_eq!(code.name().to_uppercase().parse(), Ok(code));
            assert_eq!(CommandCode::from_number(code.number()), Some(code));
        }
        let known = (0..=u16::MAX).filter_map(CommandCode::from_number);
        assert_eq!(known.count(), CommandCode::ALL.len());
    }

    #[test]
    fn everybody_has_one_word() {
        for who in Who::ALL {
            assert_eq!(who.to_string().to_uppercase().parse(), Ok(who));
        }
        assert_eq!("nobody".parse::<Who>(), Err(NameError::NotWho));
    }

    #[test]
    fn words_of_commands() {
        fn check(text: &str, expected: Result<CommandCode, NameError>) {
            assert_eq!(text.parse(), expected, "{text:?}");
        }
        check("split", Ok(CommandCode::Copy));
        check("", Err(NameError::NotCommand));
        check("quick-restore", Ok(CommandCode::QuickRestore));
        check("copy ", Err(NameError::NotCommand));
        check("211", Err(NameError::NotCommand));
    }
}
