//! The words of a scenario: volumes, pairs, tracks, times and sizes as people write them.
//!
//! Each is read from one TOML value. A message says how the word is written.

use diptych::format::{BlockNo, BlockRange, Geometry, LdevId, TrackNo};
use diptych::shared::{Pace, PaceLimit, TrackMap};
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;

/// A word that is not written as it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum WordError {
    #[error("a volume is written CU:LDEV in hexadecimal, as in \"00:1A\"")]
    Volume,
    #[error("a pair is written primary -> secondary, as in \"00:00 -> 00:01\"")]
    Pair,
    #[error(
        "a pair is written primary -> secondary, as in \"00:00 -> 00:01\" or \"00:00 -> auto\""
    )]
    NewPair,
    #[error("tracks are written as in 4, \"0-3\", \"0-3, 7\" or \"all\"")]
    Tracks,
    #[error("a count is written as in 8 or \"8-12\"")]
    Count,
    #[error("blocks are written as in 4 or \"96-103\"")]
    Blocks,
    #[error(
        "a time is written as in \"250 us\", \"10 ms\", \"2 s\", \"5 min\", \"1 h\" or \"7 d\""
    )]
    Span,
    #[error("a size is written as in \"768 KiB\", \"16 MiB\" or \"2 GiB\"")]
    Size,
    #[error("a pace is slow, medium, fast or 1 to 15")]
    Pace,
    #[error(
        "a limit is a number of tracks a second, as in \"200/s\", or an added latency, as in \"500us\""
    )]
    Limit,
}

/// A volume, as `"00:1A"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Ldev(pub(crate) LdevId);

impl TryFrom<String> for Ldev {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        text.parse().map(Self).map_err(|_| WordError::Volume)
    }
}

impl fmt::Display for Ldev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A pair, as `"00:00 -> 00:01"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PairName {
    pub(crate) primary: LdevId,
    pub(crate) secondary: LdevId,
}

impl TryFrom<String> for PairName {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        let (primary, secondary) = text.split_once("->").ok_or(WordError::Pair)?;
        let volume = |text: &str| text.trim().parse().map_err(|_| WordError::Pair);
        Ok(Self { primary: volume(primary)?, secondary: volume(secondary)? })
    }
}

impl fmt::Display for PairName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.primary, self.secondary)
    }
}

/// A pair to create: `"00:00 -> 00:01"`, or `"00:00 -> auto"`, where the unit chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum NewPair {
    Named(PairName),
    Auto(LdevId),
}

impl TryFrom<String> for NewPair {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        match text.split_once("->") {
            Some((primary, "auto" | " auto")) => {
                primary.trim().parse().map(Self::Auto).map_err(|_| WordError::NewPair)
            }
            _ => text.try_into().map(Self::Named).map_err(|_| WordError::NewPair),
        }
    }
}

impl fmt::Display for NewPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(pair) => pair.fmt(f),
            Self::Auto(primary) => write!(f, "{primary} -> auto"),
        }
    }
}

/// From first to last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    first: u64,
    last: u64,
}

impl FromStr for Run {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let number = |text: &str| text.trim().parse::<u64>().map_err(drop);
        let (first, last) = match text.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(text)?, number(text)?),
        };
        if first <= last && last < u64::MAX { Ok(Self { first, last }) } else { Err(()) }
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { first.fmt(f) } else { write!(f, "{first}-{last}") }
    }
}

/// Tracks of a volume: `4`, `"0-3"`, `"0-3, 7"` or `"all"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tracks {
    All,
    These(Vec<TrackRun>),
}

/// Tracks that follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TrackRun(Run);

impl Tracks {
    fn one(track: u64) -> Self {
        Self::These(vec![TrackRun(Run { first: track, last: track })])
    }

    /// Whether the track is one of them.
    pub(crate) fn contains(&self, track: u64) -> bool {
        match self {
            Self::All => true,
            Self::These(runs) => runs.iter().any(|TrackRun(r)| (r.first..=r.last).contains(&track)),
        }
    }

    /// The blocks of these tracks, run by run; up to the last block of the volume where a run ends
    /// with its last track. A run past the end stays past the end.
    pub(crate) fn blocks(&self, geometry: Geometry) -> Vec<BlockRange> {
        let Self::These(runs) = self else { return vec![geometry.all_blocks()] };
        let (per_track, tracks) = (geometry.blocks_per_track(), geometry.track_count());
        let blocks = |&TrackRun(Run { first, last }): &TrackRun| {
            let start = first.saturating_mul(per_track);
            let end = if last + 1 == tracks {
                geometry.block_count()
            } else {
                (last + 1).saturating_mul(per_track)
            };
            BlockRange { start: BlockNo(start), end: BlockNo(end) }
        };
        runs.iter().map(blocks).collect()
    }

    /// The tracks of a map, as they are written here.
    pub(crate) fn of_map(map: &TrackMap) -> Self {
        if map.count() == map.track_count() {
            return Self::All;
        }
        let run = |range: diptych::format::TrackRange| {
            TrackRun(Run { first: range.start.0, last: range.end.0 - 1 })
        };
        Self::These(map.runs().map(run).collect())
    }
}

impl FromStr for Tracks {
    type Err = WordError;

    fn from_str(text: &str) -> Result<Self, WordError> {
        match text.trim() {
            "all" => Ok(Self::All),
            "none" => Ok(Self::These(Vec::new())),
            list => {
                let run = |text: &str| text.parse().map(TrackRun).map_err(|()| WordError::Tracks);
                list.split(',').map(run).collect::<Result<_, _>>().map(Self::These)
            }
        }
    }
}

impl fmt::Display for Tracks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::These(runs) if runs.is_empty() => f.write_str("none"),
            Self::These(runs) => {
                let runs: Vec<_> = runs.iter().map(|TrackRun(run)| run.to_string()).collect();
                f.write_str(&runs.join(", "))
            }
        }
    }
}

impl<'de> Deserialize<'de> for Tracks {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        number_or_text(from, WordError::Tracks, |n| Ok(Self::one(n)), str::parse)
    }
}

/// Blocks of a volume that follow each other: `4` or `"96-103"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Blocks(Run);

impl Blocks {
    pub(crate) fn range(self) -> BlockRange {
        BlockRange { start: BlockNo(self.0.first), end: BlockNo(self.0.last + 1) }
    }
}

impl fmt::Display for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Blocks {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let one = |n| if n < u64::MAX { Ok(Run { first: n, last: n }) } else { Err(()) };
        let bad = |()| WordError::Blocks;
        let text = |text: &str| text.parse().map(Self).map_err(bad);
        number_or_text(from, WordError::Blocks, |n| one(n).map(Self).map_err(bad), text)
    }
}

/// How many tracks of a map are set, as a number; or which, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TracksWanted {
    Count(u64),
    These(Tracks),
}

impl TracksWanted {
    /// What is found instead, if anything else is.
    pub(crate) fn difference(&self, name: &str, found: &TrackMap) -> Option<String> {
        match self {
            Self::Count(count) if *count == found.count() => None,
            Self::Count(count) => {
                let (of, tracks) = (found.count(), Tracks::of_map(found));
                Some(format!("{name} has {of} tracks ({tracks}), expected {count}"))
            }
            Self::These(tracks) => {
                let is_so = |no| tracks.contains(no) == found.get(TrackNo(no));
                let found_tracks = Tracks::of_map(found);
                (!(0..found.track_count()).all(is_so))
                    .then(|| format!("{name} is {found_tracks}, expected {tracks}"))
            }
        }
    }
}

impl<'de> Deserialize<'de> for TracksWanted {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = |text: &str| text.parse().map(Self::These);
        number_or_text(from, WordError::Tracks, |n| Ok(Self::Count(n)), text)
    }
}

/// A number, or from one number to another: `8`, `"8-12"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CountWanted(Run);

impl CountWanted {
    /// What is found instead, if anything else is.
    pub(crate) fn difference(self, name: &str, found: u64) -> Option<String> {
        let Run { first, last } = self.0;
        let other = !(first..=last).contains(&found);
        other.then(|| format!("{name} is {found}, expected {}", self.0))
    }
}

impl<'de> Deserialize<'de> for CountWanted {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let one = |n| Ok(Self(Run { first: n, last: n }));
        let text = |text: &str| text.parse().map(Self).map_err(|()| WordError::Count);
        number_or_text(from, WordError::Count, one, text)
    }
}

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

/// One word, or a list of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OneOrMany<T> {
    pub(crate) words: Vec<T>,
    /// Whether it is a list, be it of one.
    pub(crate) is_list: bool,
}

impl<T: fmt::Display> fmt::Display for OneOrMany<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.words.iter().map(ToString::to_string).collect();
        f.write_str(&words.join(", "))
    }
}

impl<'de, T: TryFrom<String, Error = WordError> + Deserialize<'de>> Deserialize<'de>
    for OneOrMany<T>
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words<T>(PhantomData<T>);

        impl<'de, T: TryFrom<String, Error = WordError> + Deserialize<'de>> Visitor<'de> for Words<T> {
            type Value = OneOrMany<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a list of texts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<OneOrMany<T>, E> {
                let word = T::try_from(text.to_owned()).map_err(E::custom)?;
                Ok(OneOrMany { words: vec![word], is_list: false })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<OneOrMany<T>, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element()? {
                    words.push(word);
                }
                Ok(OneOrMany { words, is_list: true })
            }
        }

        from.deserialize_any(Words(PhantomData))
    }
}

/// Reads a word that is a number or a text.
fn number_or_text<'de, D, T>(
    from: D,
    otherwise: WordError,
    of_number: impl FnOnce(u64) -> Result<T, WordError>,
    of_text: impl FnOnce(&str) -> Result<T, WordError>,
) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
{
    struct Word<N, S> {
        otherwise: WordError,
        of_number: N,
        of_text: S,
    }

    impl<T, N, S> Visitor<'_> for Word<N, S>
    where
        N: FnOnce(u64) -> Result<T, WordError>,
        S: FnOnce(&str) -> Result<T, WordError>,
    {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.otherwise)
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
            let number = u64::try_from(number).map_err(|_| E::custom(&self.otherwise))?;
            (self.of_number)(number).map_err(E::custom)
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
            (self.of_number)(number).map_err(E::custom)
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
            (self.of_text)(text).map_err(E::custom)
        }
    }

    from.deserialize_any(Word { otherwise, of_number, of_text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct One<T> {
        x: T,
    }

    /// What the word is read as, shown again; or what is wrong with it.
    fn read<T: for<'de> Deserialize<'de>>(value: &str, show: impl Fn(T) -> String) -> String {
        match toml::from_str::<One<T>>(&format!("x = {value}")) {
            Ok(one) => show(one.x),
            Err(error) => error.message().to_owned(),
        }
    }

    #[test]
    fn words_are_read_as_people_write_them() {
        let tracks = |value, expected: &str| {
            assert_eq!(read(value, |word: Tracks| word.to_string()), expected, "{value}");
        };
        tracks("4", "4");
        tracks("\"0-3\"", "0-3");
        tracks("\" 0-3, 7,9-9\"", "0-3, 7, 9");
        tracks("\"all\"", "all");
        tracks("\"none\"", "none");
        let wrong = WordError::Tracks.to_string();
        for value in ["-1", "\"3-0\"", "\"1,,2\"", "\"\"", "\"a\""] {
            tracks(value, &wrong);
        }
        let span = |value, expected: &str| {
            assert_eq!(read(value, |word: Span| word.to_string()), expected, "{value}");
        };
        span("\"10 ms\"", "10 ms");
        span("\"10000us\"", "10 ms");
        span("\"48 h\"", "2 d");
        span("\"0 min\"", "0 s");
        span("\"90 min\"", "90 min");
        let wrong = WordError::Span.to_string();
        for value in ["\"10\"", "\"ms\"", "\"-1 s\"", "\"99999999 d\"", "\"1,5 s\""] {
            span(value, &wrong);
        }
        let pair = |value, expected: &str| {
            let show = |word: OneOrMany<PairName>| word.to_string();
            assert_eq!(read(value, show), expected, "{value}");
        };
        pair("\"00:00->00:1a\"", "00:00 -> 00:1A");
        pair("[\"00:00 -> 00:01\", \"01:00 -> 01:01\"]", "00:00 -> 00:01, 01:00 -> 01:01");
        pair("[]", "");
        pair("\"00:00\"", &WordError::Pair.to_string());
        let size = |word: Size| word.bytes.to_string();
        assert_eq!(read("\"768 KiB\"", size), "786432");
        assert_eq!(read("\"768\"", size), WordError::Size.to_string());
        let pace = |word: PaceWord| word.0.to_string();
        assert_eq!((read("7", pace), read("\"fast\"", pace)), ("7".to_owned(), "fast".to_owned()));
        assert_eq!(read("16", pace), WordError::Pace.to_string());
    }

    #[test]
    fn tracks_end_with_the_volume() {
        fn check(text: &str, expected: &[(u64, u64)]) {
            let geometry =
                Geometry::new(diptych::format::Emulation::OpenV, 128 * 3 + 10).expect("a size");
            let tracks: Tracks = text.parse().expect("tracks");
            let blocks = tracks.blocks(geometry);
            let found: Vec<_> = blocks.iter().map(|b| (b.start.0, b.end.0)).collect();
            assert_eq!(found, expected, "{text}");
        }
        check("all", &[(0, 394)]);
        check("0, 2-3", &[(0, 128), (256, 394)]);
        check("3-4", &[(384, 640)]);
    }
}
