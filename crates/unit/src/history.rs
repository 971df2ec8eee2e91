//! History: every command and every transition, as data (Fig. 11D: 1533).

use diptych_cha::{CommandCode, Outcome, Refusal};
use diptych_format::{LdevId, PairId, Time, TrackNo};
use diptych_shared::PairStatus;
use std::collections::VecDeque;
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

impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Information => "information",
            Self::Warning => "warning",
            Self::Error => "error",
        })
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
    /// A track of the primary cannot be read; it stays to be copied and no image depends on it.
    SourceUnreadable(TrackNo),
    /// A track of the primary could not be read while an image needed it: the pair is suspended.
    SuspendedBySource(TrackNo),
    /// A track of the secondary could not be written: the pair is suspended.
    SuspendedByTarget(TrackNo),
    /// A destage failed: the volume is blocked.
    DestageFailed(TrackNo),
}

impl Message {
    /// The stable code: 1xxx commands, 2xxx transitions, 3xxx failures.
    pub fn code(&self) -> u16 {
        let command = |code: &CommandCode| match code {
            CommandCode::Create => 0,
            CommandCode::Delete => 1,
            CommandCode::Copy => 2,
            CommandCode::Resync => 3,
            CommandCode::Suspend => 4,
        };
        match self {
            Self::Accepted(code) => 1000 + command(code),
            Self::Nothing(code) => 1100 + command(code),
            Self::Refused(code, _) => 1200 + command(code),
            Self::CopyEnded => 2000,
            Self::CaughtUp => 2001,
            Self::PaceChanged => 2002,
            Self::Reserved(_) => 2003,
            Self::Released => 2004,
            Self::SourceUnreadable(_) => 3000,
            Self::SuspendedBySource(_) => 3001,
            Self::SuspendedByTarget(_) => 3002,
            Self::DestageFailed(_) => 3003,
        }
    }

    /// The type of the message.
    pub fn message_type(&self) -> MessageType {
        match self {
            Self::Nothing(_) | Self::Refused(..) => MessageType::Warning,
            Self::SourceUnreadable(_)
            | Self::SuspendedBySource(_)
            | Self::SuspendedByTarget(_)
            | Self::DestageFailed(_) => MessageType::Error,
            _ => MessageType::Information,
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
            Self::SourceUnreadable(track) => write!(f, "track {track} cannot be read"),
            Self::SuspendedBySource(track) => {
                write!(f, "suspended: track {track} of the primary cannot be read")
            }
            Self::SuspendedByTarget(track) => {
                write!(f, "suspended: track {track} of the secondary cannot be written")
            }
            Self::DestageFailed(track) => write!(f, "track {track} cannot be destaged"),
        }
    }
}

/// One entry of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HistoryEntry {
    /// When, as the driver said.
    pub at: Time,
    /// What happened.
    pub message: Message,
    /// The pair, if there is one.
    pub pair: Option<PairId>,
    /// The primary volume.
    pub primary: Option<LdevId>,
    /// The secondary volume.
    pub secondary: Option<LdevId>,
    /// The status before; `None` is *no pair*.
    pub from: Option<PairStatus>,
    /// The status after; `None` is *no pair*.
    pub to: Option<PairStatus>,
}

impl fmt::Display for HistoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = |s: Option<PairStatus>| s.map_or("no pair".to_owned(), |s| s.to_string());
        let volume = |v: Option<LdevId>| v.map_or("-".to_owned(), |v| v.to_string());
        write!(f, "{} {:04} {:<11} ", self.at, self.message.code(), self.message.message_type())?;
        write!(f, "{} -> {} ", volume(self.primary), volume(self.secondary))?;
        if self.from != self.to {
            write!(f, "[{} -> {}] ", status(self.from), status(self.to))?;
        }
        write!(f, "{}", self.message)
    }
}

/// The history: a bounded list, the oldest entry first.
#[derive(Debug)]
pub(crate) struct History {
    entries: VecDeque<HistoryEntry>,
    most: usize,
}

impl History {
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), most: most.max(1) }
    }

    pub(crate) fn record(&mut self, entry: HistoryEntry) {
        if self.entries.len() == self.most {
            self.entries.pop_front();
        }
        self.entries.push_back(entry);
    }

    pub(crate) fn entries(&self) -> Vec<HistoryEntry> {
        self.entries.iter().copied().collect()
    }
}

/// The message of a command's outcome, and the statuses it met and left.
pub(crate) fn of_outcome(
    code: CommandCode,
    outcome: Outcome,
) -> (Message, Option<PairId>, Option<PairStatus>, Option<PairStatus>) {
    match outcome {
        Outcome::Accepted { pair, from, to } => (Message::Accepted(code), Some(pair), from, to),
        Outcome::Nothing { met } => (Message::Nothing(code), None, met, met),
        Outcome::Refused(why) => (Message::Refused(code, why), None, None, None),
    }
}
