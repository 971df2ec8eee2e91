//! The history as lines of JSON, for programs. One object a line, with every key in this order:
//!
//! | key | value |
//! |---|---|
//! | `sequence` | the number of the entry, from 1, without gaps |
//! | `at_ns` | when, in nanoseconds since the unit was started |
//! | `code` | the code of the message |
//! | `type` | `information`, `warning` or `error` |
//! | `who` | `host`, `operator`, `schedule` or `unit` |
//! | `message` | the text of the message, with its reason |
//! | `primary` | the primary volume, as `00:1A`; the volume, if it is about no pair |
//! | `secondary` | the secondary volume |
//! | `pair` | the pair number, a point, which use of the number it is |
//! | `from` | the status before, in words; `no pair` where there was none |
//! | `to` | the status after |
//! | `tracks` | where a copy ended: tracks copied since the command that began it |
//! | `duration_ns` | how long the command, or the copy, took |
//! | `reason` | why, in words |
//!
//! What does not apply is `null`. Keys are added at the end and never change their meaning; texts may
//! become clearer, codes stay.

use super::HistoryEntry;
use serde::{Serialize, Serializer};

/// An entry, as it is written.
#[derive(Serialize)]
struct Line {
    sequence: u64,
    at_ns: u64,
    code: u16,
    r#type: &'static str,
    who: &'static str,
    message: String,
    primary: Option<String>,
    secondary: Option<String>,
    pair: Option<String>,
    from: Option<String>,
    to: Option<String>,
    tracks: Option<u64>,
    duration_ns: Option<u64>,
    reason: Option<String>,
}

impl Serialize for HistoryEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Line {
            sequence: self.sequence,
            at_ns: self.at.ns,
            code: self.message.code(),
            r#type: self.message.message_type().name(),
            who: self.who.name(),
            message: self.message.to_string(),
            primary: self.primary.map(|ldev| ldev.to_string()),
            secondary: self.secondary.map(|ldev| ldev.to_string()),
            pair: self.pair.map(|pair| pair.to_string()),
            from: self.status_name(self.from),
            to: self.status_name(self.to),
            tracks: self.tracks,
            duration_ns: self.duration_ns,
            reason: self.message.reason().map(|reason| reason.to_string()),
        }
        .serialize(serializer)
    }
}

impl HistoryEntry {
    /// The entry as a line of JSON, without the end of the line.
    ///
    /// # Panics
    ///
    /// Never: an entry is numbers and texts.
    pub fn json_line(&self) -> String {
        serde_json::to_string(self).expect("numbers and texts can be written")
    }
}
