//! What an entry says: its code, its type, its text, and the reason.

use crate::{Passed, ScheduleEvent, ScheduleId};
use diptych_cha::{CommandCode, Refusal, Who};
use diptych_format::TrackNo;
use std::fmt;

/// The type of a message (Fig. 11D: 1540).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MessageType {
    /// Something went as asked.
    Information,
    /// Something was not done.
    Warning,
    /// Something failed.
    Error,
}

impl MessageType {
    /// All of them, the least serious first.
    pub const ALL: [Self; 3] = [Self::Information, Self::Warning, Self::Error];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// A command was carried out.
    Accepted(CommandCode),
    /// A command met a status in which there is nothing to do.
    Nothing(CommandCode),
    /// A command was refused.
    Refused(CommandCode, Refusal),
    /// The copy ended: C is empty (step 504).
    CopyEnded,
    /// The initial copy, or a resync, has caught up with the primary for the first time.
    CaughtUp,
    /// Pace or lanes were changed.
    PaceChanged,
    /// The reserve attribute was set or reset (Fig. 11A: 1516).
    Reserved(bool),
    /// The operator released a blocked volume.
    Released,
    /// A volume was formatted.
    Formatted,
    /// The operator accepted the contents of a volume as they are.
    ContentsAccepted,
    /// A track of the primary cannot be read; it stays to be copied and no image depends on it.
    SourceUnreadable(TrackNo),
    /// A track of the primary could not be read while an image needed it: the pair is suspended.
    SuspendedBySource(TrackNo),
    /// A track of the secondary could not be written: the pair is suspended.
    SuspendedByTarget(TrackNo),
    /// A destage failed: the volume is blocked.
    DestageFailed(TrackNo),
    /// The log was damaged: what volumes hold and what pairs are is not provably what was answered.
    ControlStateLost,
    /// Something happened to a schedule, or at one of its ticks.
    Schedule(ScheduleId, ScheduleEvent),
}

impl Message {
    /// The stable code: 1xxx commands (10xx accepted, 11xx nothing to do, 12xx refused), 2xxx what
    /// happens in the course of things, 3xxx failures, 4xxx schedules. No two messages have one code, but for what is
    /// in them: the reason of a refusal, the number of a track.
    pub fn code(&self) -> u16 {
        let command = |code: &CommandCode| match code {
            CommandCode::Create => 0,
            CommandCode::Delete => 1,
            CommandCode::Copy => 2,
            CommandCode::Resync => 3,
            CommandCode::Suspend => 4,
            CommandCode::Restore => 5,
            CommandCode::QuickRestore => 6,
        };
        match self {
            Self::Accepted(code) => 1000 + command(code),
            Self::Nothing(code) => 1100 + command(code),
            Self::Refused(code, _) => 1200 + command(code),
            Self::CopyEnded => 2000,
            Self::CaughtUp => 2001,
            Self::PaceChanged => 2002,
            Self::Reserved(true) => 2003,
            Self::Released => 2004,
            Self::Reserved(false) => 2005,
            Self::Formatted => 2010,
            Self::ContentsAccepted => 2011,
            Self::SourceUnreadable(_) => 3000,
            Self::SuspendedBySource(_) => 3001,
            Self::SuspendedByTarget(_) => 3002,
            Self::DestageFailed(_) => 3003,
            Self::ControlStateLost => 3004,
            Self::Schedule(_, event) => event.code(),
        }
    }

    /// The type of the message.
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Nothing(_) | Self::Refused(..) => MessageType::Warning,
            Self::SourceUnreadable(_)
            | Self::SuspendedBySource(_)
            | Self::SuspendedByTarget(_)
            | Self::DestageFailed(_)
            | Self::ControlStateLost => MessageType::Error,
            Self::Schedule(_, event) => event.message_type(),
            Self::Accepted(_)
            | Self::CopyEnded
            | Self::CaughtUp
            | Self::PaceChanged
            | Self::Reserved(_)
            | Self::Released
            | Self::Formatted
            | Self::ContentsAccepted => MessageType::Information,
        }
    }

    /// Why, where the message has a reason of its own.
    pub fn reason(&self) -> Option<Reason> {
        match *self {
            Self::Refused(_, why) => Some(Reason::Refused(why)),
            Self::SourceUnreadable(track) | Self::SuspendedBySource(track) => {
                Some(Reason::SourceUnreadable(track))
            }
            Self::SuspendedByTarget(track) => Some(Reason::TargetUnwritable(track)),
            Self::DestageFailed(track) => Some(Reason::NotDestaged(track)),
            Self::Schedule(_, event) => event.reason(),
            Self::Accepted(_)
            | Self::Nothing(_)
            | Self::CopyEnded
            | Self::CaughtUp
            | Self::PaceChanged
            | Self::Reserved(_)
            | Self::Released
            | Self::Formatted
            | Self::ContentsAccepted
            | Self::ControlStateLost => None,
        }
    }

    /// Who asks for such things, if nobody else is named.
    pub(crate) fn usually_by(&self) -> Who {
        match self {
            Self::Accepted(_) | Self::Nothing(_) | Self::Refused(..) => Who::Host,
            Self::PaceChanged
            | Self::Reserved(_)
            | Self::Released
            | Self::Formatted
            | Self::ContentsAccepted => Who::Operator,
            Self::Schedule(_, event) => event.usually_by(),
            Self::CopyEnded
            | Self::CaughtUp
            | Self::SourceUnreadable(_)
            | Self::SuspendedBySource(_)
            | Self::SuspendedByTarget(_)
            | Self::DestageFailed(_)
            | Self::ControlStateLost => Who::Unit,
        }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(code) => write!(f, "{code} accepted"),
            Self::Nothing(code) => write!(f, "{code}: nothing to do"),
            Self::Refused(code, why) => write!(f, "{code} refused: {why}"),
            Self::CopyEnded => f.write_str("copy ended"),
            Self::CaughtUp => f.write_str("the secondary has caught up"),
            Self::PaceChanged => f.write_str("pace changed"),
            Self::Reserved(true) => f.write_str("reserved"),
            Self::Reserved(false) => f.write_str("no longer reserved"),
            Self::Released => f.write_str("released"),
            Self::Formatted => f.write_str("formatted"),
            Self::ContentsAccepted => f.write_str("contents accepted as they are"),
            Self::SourceUnreadable(track) => write!(f, "{}", Reason::SourceUnreadable(*track)),
            Self::SuspendedBySource(track) => {
                write!(f, "suspended: {}", Reason::SourceUnreadable(*track))
            }
            Self::SuspendedByTarget(track) => {
                write!(f, "suspended: {}", Reason::TargetUnwritable(*track))
            }
            Self::DestageFailed(track) => write!(f, "{}", Reason::NotDestaged(*track)),
            Self::ControlStateLost => f.write_str(
                "the log is damaged: the pair is suspended, all different; the volume is blocked",
            ),
            Self::Schedule(id, event) => event.write(*id, f),
        }
    }
}

/// Why something was not done, or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// A rule of the commands.
    Refused(Refusal),
    /// A track of the primary cannot be read.
    SourceUnreadable(TrackNo),
    /// A track of the secondary cannot be written.
    TargetUnwritable(TrackNo),
    /// A track of the volume cannot be destaged.
    NotDestaged(TrackNo),
    /// A schedule cannot take the volume.
    PassedOver(Passed),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "{why}"),
            Self::SourceUnreadable(track) => {
                write!(f, "track {track} of the primary cannot be read")
            }
            Self::TargetUnwritable(track) => {
                write!(f, "track {track} of the secondary cannot be written")
            }
            Self::NotDestaged(track) => write!(f, "track {track} cannot be destaged"),
            Self::PassedOver(why) => write!(f, "{why}"),
        }
    }
}
