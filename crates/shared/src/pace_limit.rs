//! The limit of a copy: what holds it back beyond its pace.

use crate::SharedError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::num::{NonZeroU32, NonZeroU64};
use std::str::FromStr;

/// A limit of a pair's copying, over all its lanes together.
///
/// As text, `200/s` is a ceiling and `500us` a target; a target may also be in `ns`, `ms` or `s`.
///
/// ```
/// use diptych_shared::PaceLimit;
///
/// let limit: PaceLimit = "2ms".parse().unwrap();
/// assert_eq!(limit.to_string(), "2ms");
/// assert_eq!("200/s".parse::<PaceLimit>().unwrap().to_string(), "200/s");
/// assert!("0/s".parse::<PaceLimit>().is_err(), "every copy ends");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PaceLimit {
    /// A ceiling: at most so many tracks a second.
    TracksPerSecond(NonZeroU32),
    /// A target: a host's request waits at most so many nanoseconds longer because the pair is
    /// copied.
    AddedLatencyNs(NonZeroU64),
}

/// Units of a target, the largest first: the word and its nanoseconds.
const UNITS: [(&str, u64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

impl FromStr for PaceLimit {
    type Err = SharedError;

    fn from_str(text: &str) -> Result<Self, SharedError> {
        let unknown = || SharedError::UnknownPaceLimit;
        if let Some(tracks) = text.strip_suffix("/s") {
            return tracks.parse().map(Self::TracksPerSecond).map_err(|_| unknown());
        }
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let word = &text[digits.len()..];
        let unit_ns = UNITS.into_iter().find(|(name, _)| *name == word).ok_or_else(unknown)?.1;
        let target_ns = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit_ns));
        target_ns.and_then(NonZeroU64::new).map(Self::AddedLatencyNs).ok_or_else(unknown)
    }
}

impl fmt::Display for PaceLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let target_ns = match self {
            Self::TracksPerSecond(tracks) => return f.pad(&format!("{tracks}/s")),
            Self::AddedLatencyNs(target_ns) => target_ns.get(),
        };
        let whole = UNITS.into_iter().find(|(_, unit_ns)| target_ns.is_multiple_of(*unit_ns));
        let (word, unit_ns) = whole.expect("every number is whole in nanoseconds");
        f.pad(&format!("{}{word}", target_ns / unit_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_limits() {
        let check = |text: &str, expected: Option<PaceLimit>| {
            assert_eq!(text.parse().ok(), expected, "{text:?}");
            if let Some(limit) = expected {
                assert_eq!(limit.to_string().parse(), Ok(limit), "{text:?}");
            }
        };
        let ceiling = |tracks| NonZeroU32::new(tracks).map(PaceLimit::TracksPerSecond);
        let target = |ns| NonZeroU64::new(ns).map(PaceLimit::AddedLatencyNs);
        check("1/s", ceiling(1));
        check("4294967295/s", ceiling(u32::MAX));
        check("4294967296/s", None);
        check("0/s", None);
        check("1500us", target(1_500_000));
        check("2s", target(2_000_000_000));
        check("18446744073709551615ns", target(u64::MAX));
        check("18446744074s", None);
        check("0ms", None);
        check("5", None);
        check("5 ms", None);
        check("ms", None);
        check("-1ms", None);
        check("5MS", None);
    }
}
