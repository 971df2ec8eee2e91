//! What the history says of schedules.

use super::ScheduleId;
use crate::history::{MessageType, Reason};
use diptych_cha::{Refusal, Who};
use diptych_shared::PairStatus;
use std::fmt;

/// What happened to a schedule, or at one of its ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScheduleEvent {
    /// A secondary got the image of this instant.
    Image,
    /// The operator made the schedule.
    Added,
    /// The operator took it back.
    Removed,
    /// Its last tick is over: the schedule is gone.
    Ended,
    /// The tick is taken later than its time: the unit was down, or busy.
    Late {
        /// By so many seconds.
        late_s: u64,
        /// Ticks between it and now, which are left out. By the calendar, 1000 stands for that many or
        /// more.
        left_out: u64,
    },
    /// A secondary whose turn it was is passed over.
    PassedOver(Passed),
    /// No secondary is free: no image was made.
    NoneFree,
    /// A rule of the commands forbids the copy: no image was made.
    Refused(Refusal),
}

/// Why a secondary is passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Passed {
    /// There is no such consistency group.
    NoGroup,
    /// It is in no pair with the primary.
    NoPair,
    /// A host uses it.
    InUse,
    /// The copy of its last image has not ended, or its pair is suspended or restoring.
    Status(PairStatus),
}

impl ScheduleEvent {
    /// The stable code.
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Image => 4000,
            Self::Added => 4001,
            Self::Removed => 4002,
            Self::Ended => 4003,
            Self::Late { .. } => 4100,
            Self::PassedOver(Passed::NoPair) => 4101,
            Self::PassedOver(Passed::NoGroup) => 4104,
            Self::PassedOver(Passed::InUse) => 4102,
            Self::PassedOver(Passed::Status(_)) => 4103,
            Self::NoneFree => 4200,
            Self::Refused(_) => 4201,
        }
    }

    /// The type of the message.
    pub(crate) fn message_type(self) -> MessageType {
        match self {
            Self::Image | Self::Added | Self::Removed | Self::Ended => MessageType::Information,
            Self::Late { .. } | Self::PassedOver(_) => MessageType::Warning,
            Self::NoneFree | Self::Refused(_) => MessageType::Error,
        }
    }

    /// Why, where there is a reason.
    pub(crate) fn reason(self) -> Option<Reason> {
        match self {
            Self::PassedOver(why) => Some(Reason::PassedOver(why)),
            Self::Refused(why) => Some(Reason::Refused(why)),
            Self::Image
            | Self::Added
            | Self::Removed
            | Self::Ended
            | Self::Late { .. }
            | Self::NoneFree => None,
        }
    }

    /// Who asks for such things.
    pub(crate) fn usually_by(self) -> Who {
        match self {
            Self::Added | Self::Removed => Who::Operator,
            _ => Who::Schedule,
        }
    }

    /// The text, after the number of the schedule.
    pub(crate) fn write(self, id: ScheduleId, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schedule {id}")?;
        match self {
            Self::Image => f.write_str(": an image is made"),
            Self::Added => f.write_str(" added"),
            Self::Removed => f.write_str(" removed"),
            Self::Ended => f.write_str(" is over"),
            Self::Late { late_s, left_out } => {
                write!(f, ": a tick is taken {late_s} s late, ticks left out: {left_out}")
            }
            Self::PassedOver(why) => write!(f, ": passed over, {why}"),
            Self::NoneFree => f.write_str(": no secondary is free, no image is made"),
            Self::Refused(why) => write!(f, ": no image is made, {why}"),
        }
    }
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoGroup => f.write_str("there is no such group"),
            Self::NoPair => f.write_str("it is in no pair with the primary"),
            Self::InUse => f.write_str("a host uses it"),
            Self::Status(status) => write!(f, "its pair is {status}"),
        }
    }
}
