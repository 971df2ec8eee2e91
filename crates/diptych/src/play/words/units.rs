//! Times, sizes, paces and limits: numbers with a unit.

use super::{WordError, number_or_text};
use diptych::shared::{Pace, PaceLimit};
use serde::de::{Deserialize, Deserializer};
use std::fmt;

/// A time that passes, as `"10 ms"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Span {
    pub(crate) ns: u64,
}

const SECOND_NS: u64 = 1_000_000_000;
const SPANS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", SECOND_NS),
    ("min", 60 * SECOND_NS),
    ("h", 3_600 * SECOND_NS),
    ("d", 86_400 * SECOND_NS),
];

impl TryFrom<String> for Span {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        with_unit(&text, &SPANS).map(|ns| Self { ns }).ok_or(WordError::Span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.ns == 0 {
            return f.write_str("0 s");
        }
        let fits = |&&(_, unit): &&(&str, u64)| self.ns.is_multiple_of(unit);
        let (name, unit) = SPANS.iter().rev().find(fits).expect("nanoseconds always fit");
        write!(f, "{} {name}", self.ns / unit)
    }
}

/// Bytes, as `"768 KiB"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Size {
    pub(crate) bytes: u64,
}

impl TryFrom<String> for Size {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
        with_unit(&text, &units).map(|bytes| Self { bytes }).ok_or(WordError::Size)
    }
}

/// A whole number and one of these units.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    digits.trim().parse::<u64>().ok()?.checked_mul(*factor)
}

/// A pace: `"slow"`, `"medium"`, `"fast"`, or 1 to 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PaceWord(pub(crate) Pace);

impl<'de> Deserialize<'de> for PaceWord {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let bad = || WordError::Pace;
        let of_number = |n: u64| {
            let pace = u8::try_from(n).ok().and_then(|n| Pace::try_from(n).ok());
            pace.map(Self).ok_or_else(bad)
        };
        let of_text = |text: &str| text.parse().map(Self).map_err(|_| bad());
        number_or_text(from, WordError::Pace, of_number, of_text)
    }
}

/// A limit of a copy: `"200/s"` or `"500us"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct LimitWord(pub(crate) PaceLimit);

impl TryFrom<String> for LimitWord {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        text.parse().map(Self).map_err(|_| WordError::Limit)
    }
}
