//! Civil time: what people mean by a date and an hour, and how it maps to the driver's time.
//!
//! Ticks are whole seconds of UTC. No time zone is looked up and no clock is read: `jiff` is taken
//! without its standard-library half, which has both.

use diptych_format::Time;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::Offset;
use std::fmt;
use std::str::FromStr;

const NS: u64 = 1_000_000_000;

/// An instant of civil time: seconds since 1970-01-01T00:00:00Z.
///
/// ```
/// use diptych_unit::Utc;
///
/// let at: Utc = "2026-02-01T02:00:00Z".parse()?;
/// assert_eq!(at.seconds, 1_769_911_200);
/// assert_eq!(at.to_string(), "2026-02-01T02:00:00Z");
/// # Ok::<(), diptych_unit::UtcError>(())
/// ```
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Utc {
    /// Seconds since 1970-01-01T00:00:00Z, without leap seconds.
    pub seconds: i64,
}

impl Utc {
    /// 1970-01-01T00:00:00Z.
    pub const EPOCH: Self = Self { seconds: 0 };

    /// So many seconds after 1970-01-01T00:00:00Z.
    pub const fn from_seconds(seconds: i64) -> Self {
        Self { seconds }
    }

    /// The second in which `now` lies, where the driver's time began at `self`.
    pub(crate) fn at(self, now: Time) -> Self {
        // 584 years of nanoseconds are few seconds for 64 bits.
        Self { seconds: self.seconds.saturating_add_unsigned(now.ns / NS) }
    }

    /// The driver's time at which `at` begins, where it began at `self`; [`Time::ZERO`] if that was
    /// before.
    pub(crate) fn time_of(self, at: Self) -> Time {
        match u64::try_from(at.seconds.saturating_sub(self.seconds)) {
            Ok(seconds) => Time::from_ns(seconds.saturating_mul(NS)),
            Err(_) => Time::ZERO,
        }
    }

    /// The date and the time of day; `None` in years that have no four digits.
    pub(crate) fn civil(self) -> Option<DateTime> {
        Timestamp::from_second(self.seconds).ok().map(|at| Offset::UTC.to_datetime(at))
    }

    /// The instant of a date and a time of day.
    pub(crate) fn of_civil(civil: DateTime) -> Option<Self> {
        let at = Offset::UTC.to_timestamp(civil).ok()?;
        Some(Self { seconds: at.as_second() })
    }
}

impl fmt::Display for Utc {
    /// As RFC 3339 has it; the bare number where there is no such date.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Timestamp::from_second(self.seconds) {
            Ok(at) => f.pad(&at.to_string()),
            Err(_) => write!(f, "{} s", self.seconds),
        }
    }
}

/// A text is no civil time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written as a date, an hour and an offset, to the second: 2026-02-01T02:00:00Z")]
pub struct UtcError;

impl FromStr for Utc {
    type Err = UtcError;

    /// A time as RFC 3339 has it, in whole seconds.
    fn from_str(text: &str) -> Result<Self, UtcError> {
        let at: Timestamp = text.parse().map_err(|_| UtcError)?;
        let whole = at.subsec_nanosecond() == 0;
        if whole { Ok(Self { seconds: at.as_second() }) } else { Err(UtcError) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_times() {
        fn check(text: &str, expected: Result<i64, UtcError>) {
            assert_eq!(text.parse().map(|at: Utc| at.seconds), expected, "{text:?}");
        }
        check("1970-01-01T00:00:00Z", Ok(0));
        check("1969-12-31T23:59:59Z", Ok(-1));
        check("2000-02-29T12:00:00Z", Ok(951_825_600));
        check("2026-02-01T03:30:00+01:30", Ok(1_769_911_200));
        check("2026-02-01T02:00:00.5Z", Err(UtcError));
        check("2026-02-30T02:00:00Z", Err(UtcError));
        check("2026-02-01T02:00:00", Err(UtcError));
        check("2026-02-01", Err(UtcError));
        check("now", Err(UtcError));
        check("", Err(UtcError));
    }

    #[test]
    fn times_of_the_driver() {
        fn check(start: i64, ns: u64, expected: i64) {
            assert_eq!(Utc::from_seconds(start).at(Time::from_ns(ns)).seconds, expected);
        }
        check(0, 0, 0);
        check(0, NS - 1, 0);
        check(100, NS, 101);
        check(-1, NS, 0);
        check(i64::MAX, NS, i64::MAX);
        fn back(start: i64, at: i64, expected: Time) {
            let start = Utc::from_seconds(start);
            assert_eq!(start.time_of(Utc::from_seconds(at)), expected);
        }
        back(100, 100, Time::ZERO);
        back(100, 99, Time::ZERO);
        back(100, 103, Time::from_ns(3 * NS));
        back(0, i64::MAX, Time::MAX);
        back(i64::MIN, i64::MAX, Time::MAX);
    }

    #[test]
    fn what_has_no_date_is_a_number() {
        assert_eq!(Utc::from_seconds(i64::MAX).to_string(), "9223372036854775807 s");
        assert_eq!(Utc::from_seconds(i64::MAX).civil(), None);
        assert_eq!(Utc::EPOCH.to_string(), "1970-01-01T00:00:00Z");
    }
}
