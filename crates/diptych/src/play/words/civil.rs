//! Dates and times of day, and times by the calendar.

use diptych::unit::{Cron, CronError, Utc, UtcError};
use std::fmt;

/// A civil time, as `"2026-02-01T02:00:00Z"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct UtcWord(pub(crate) Utc);

impl TryFrom<String> for UtcWord {
    type Error = UtcError;

    fn try_from(text: String) -> Result<Self, UtcError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for UtcWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Times by the calendar, as `"30 2 * * MON-FRI"`.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct CronWord(pub(crate) Cron);

impl TryFrom<String> for CronWord {
    type Error = CronError;

    fn try_from(text: String) -> Result<Self, CronError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for CronWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
