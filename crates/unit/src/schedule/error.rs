//! What is wrong with a schedule.

use super::{ScheduleId, Utc};
use crate::{ControlFull, LogBusy};
use diptych_cha::GroupName;
use diptych_format::LdevId;
use diptych_log::LogError;

/// Why a schedule is not taken, or not found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// There are as many as there may be.
    #[error("there are {most} schedules already")]
    TooMany {
        /// The most there can be.
        most: usize,
    },
    /// The log keeps no room for so much more control state.
    #[error(transparent)]
    ControlFull(#[from] ControlFull),
    /// The log has no room for this just now.
    #[error(transparent)]
    LogBusy(#[from] LogBusy),
    /// No schedule has this number.
    #[error("there is no schedule {id}")]
    Unknown {
        /// The number asked for.
        id: ScheduleId,
    },
    /// It acts on volumes that are no pair.
    #[error("volumes {primary} and {secondary} are no pair")]
    NoPair {
        /// The primary named.
        primary: LdevId,
        /// The secondary named.
        secondary: LdevId,
    },
    /// It acts on a consistency group that is not there.
    #[error("there is no consistency group {name}")]
    NoGroup {
        /// The group named.
        name: GroupName,
    },
    /// A group is named twice.
    #[error("group {name} is named twice")]
    GroupTwice {
        /// The group.
        name: GroupName,
    },
    /// A rotation keeps one image at least.
    #[error("a rotation keeps at least one image")]
    NoImages,
    /// While one secondary, or group, is copied, the others have to hold the images.
    #[error("{images} images need {} to take turns, not {found}", images + 1)]
    TooFew {
        /// Images to be kept.
        images: usize,
        /// Secondaries, or groups, named.
        found: usize,
    },
    /// A primary cannot have so many.
    #[error("a primary has at most {most} secondaries, not {found}")]
    TooManySecondaries {
        /// Secondaries, or groups, named.
        found: usize,
        /// The most there can be.
        most: usize,
    },
    /// A secondary is named twice.
    #[error("volume {ldev} is named twice")]
    Twice {
        /// The secondary.
        ldev: LdevId,
    },
    /// A copy has at least one lane, and not more than there can be.
    #[error("a pair has 1 to {most} lanes, not {asked}")]
    Lanes {
        /// Lanes asked for.
        asked: u8,
        /// The most there can be.
        most: u8,
    },
    /// No tick is left.
    #[error("no tick comes after {now}")]
    Over {
        /// The civil time.
        now: Utc,
    },
    /// The durable log has failed.
    #[error("the log: {0}")]
    Log(LogError),
}
