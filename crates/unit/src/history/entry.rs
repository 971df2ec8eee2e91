//! One entry of the history.

use super::Message;
use diptych_cha::Who;
use diptych_format::{LdevId, PairId, Time};
use diptych_shared::{Pair, PairStatus};
use std::fmt;

/// One entry of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryEntry {
    /// The number of the entry, from 1, without gaps.
    pub sequence: u64,
    /// When, as the driver said.
    pub at: Time,
    /// What happened.
    pub message: Message,
    /// Who asked for it.
    pub who: Who,
    /// The pair, if it is about one.
    pub pair: Option<PairId>,
    /// The primary volume; the volume, if it is about no pair.
    pub primary: Option<LdevId>,
    /// The secondary volume.
    pub secondary: Option<LdevId>,
    /// The status before; `None` is *no pair*.
    pub from: Option<PairStatus>,
    /// The status after; `None` is *no pair*.
    pub to: Option<PairStatus>,
    /// Where a copy ended, of itself or not: the tracks copied since the command that began it.
    pub tracks: Option<u64>,
    /// How long it took, in nanoseconds: a command from its arrival to its acceptance or refusal, a
    /// copy that ended without a command from the acceptance of the command that began it.
    pub duration_ns: Option<u64>,
}

impl HistoryEntry {
    /// An entry about nothing in particular yet. Its number comes when it is recorded.
    pub(crate) fn new(at: Time, message: Message) -> Self {
        Self {
            sequence: 0,
            at,
            message,
            who: message.usually_by(),
            pair: None,
            primary: None,
            secondary: None,
            from: None,
            to: None,
            tracks: None,
            duration_ns: None,
        }
    }

    /// Something that somebody else than usual asked for.
    pub(crate) fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// Something about a volume.
    pub(crate) fn of_volume(self, ldev: LdevId) -> Self {
        Self { primary: Some(ldev), ..self }
    }

    /// Something about two volumes.
    pub(crate) fn of_volumes(self, primary: LdevId, secondary: LdevId) -> Self {
        Self { primary: Some(primary), secondary: Some(secondary), ..self }
    }

    /// Something about a pair.
    pub(crate) fn of_pair(self, pair: &Pair) -> Self {
        Self { pair: Some(pair.id), ..self.of_volumes(pair.primary, pair.secondary) }
    }

    /// Something that met one status and left another.
    pub(crate) fn statuses(self, from: Option<PairStatus>, to: Option<PairStatus>) -> Self {
        Self { from, to, ..self }
    }

    /// Something that took this long.
    pub(crate) fn took(self, duration_ns: u64) -> Self {
        Self { duration_ns: Some(duration_ns), ..self }
    }

    /// The end of a copy of this pair.
    pub(crate) fn of_copy(self, pair: &Pair) -> Self {
        Self { tracks: Some(pair.tracks_since_begun()), ..self }
    }

    /// The word for a status; `None` if the entry is about no pair's status.
    pub(crate) fn status_name(&self, status: Option<PairStatus>) -> Option<String> {
        match status {
            Some(status) => Some(status.to_string()),
            None => self.pair.map(|_| "no pair".to_owned()),
        }
    }
}

impl fmt::Display for HistoryEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = |s: Option<PairStatus>| self.status_name(s).unwrap_or_default();
        let volume = |v: Option<LdevId>| v.map_or("-".to_owned(), |v| v.to_string());
        write!(f, "{} {:04} {:<11} ", self.at, self.message.code(), self.message.message_type())?;
        write!(f, "{} -> {} ", volume(self.primary), volume(self.secondary))?;
        if self.from != self.to {
            write!(f, "[{} -> {}] ", status(self.from), status(self.to))?;
        }
        write!(f, "{}", self.message)?;
        let Some(tracks) = self.tracks else { return Ok(()) };
        write!(f, " ({tracks} {}", if tracks == 1 { "track" } else { "tracks" })?;
        // A command's duration is its own.
        match (self.duration_ns, self.message) {
            (_, Message::Accepted(_)) | (None, _) => f.write_str(")"),
            (Some(ns), _) => write!(f, " in {} s)", Time::from_ns(ns)),
        }
    }
}
