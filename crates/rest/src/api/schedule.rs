//! Schedules.

use super::{CopyOptions, PairRef};
use serde::{Deserialize, Serialize};

/// What a schedule acts on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleScope {
    /// One pair: at each tick its secondary gets the image of that instant.
    Pair(PairRef),
    /// Secondaries of one primary take turns.
    Rotation {
        /// The primary.
        primary: String,
        /// The secondaries.
        secondaries: Vec<String>,
        /// How many complete images a tick must leave.
        images: usize,
    },
    /// A consistency group.
    Group {
        /// Its name.
        group: String,
    },
    /// Consistency groups take turns.
    Groups {
        /// Their names.
        groups: Vec<String>,
        /// How many groups with complete images a tick must leave.
        images: usize,
    },
}

/// When the ticks of a schedule come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ScheduleWhen {
    /// Once, at a time as RFC 3339 has it.
    At(String),
    /// Every so many seconds, first after that time from now.
    EverySeconds(u32),
    /// By the calendar, in UTC.
    Cron(String),
}

/// A schedule to be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSchedule {
    /// What it acts on.
    pub scope: ScheduleScope,
    /// When its ticks come.
    pub when: ScheduleWhen,
    /// How it is copied; without it, as each pair has it.
    #[serde(default)]
    pub options: Option<CopyOptions>,
}

/// A schedule as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleInfo {
    /// Its number.
    pub id: u32,
    /// What it acts on.
    pub scope: ScheduleScope,
    /// What it acts on, in words.
    pub scope_text: String,
    /// When its ticks come, in words.
    pub when: String,
    /// The next tick; `null` while the last one is under way.
    pub next: Option<String>,
    /// The last tick that was taken.
    pub last: Option<String>,
    /// Whether a tick is under way.
    pub running: bool,
}
