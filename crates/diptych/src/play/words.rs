//! The words of a scenario: volumes, pairs, tracks, times and sizes as people write them.
//!
//! Each is read from one TOML value. A message says how the word is written.

mod civil;
mod names;
mod tracks;
mod units;

pub(crate) use civil::{CronWord, UtcWord};
pub(crate) use names::{GroupWord, Ldev, NewPair, PairName, Target};
pub(crate) use tracks::{Blocks, CountWanted, Tracks, TracksWanted};
pub(crate) use units::{LimitWord, PaceWord, Size, Span};

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;
use std::marker::PhantomData;

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
    #[error(
        "a command is for a pair, as \"00:00 -> 00:01\", a list of pairs, or a group by its name"
    )]
    Target,
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

impl<'de, T> Deserialize<'de> for OneOrMany<T>
where
    T: TryFrom<String, Error: fmt::Display> + Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words<T>(PhantomData<T>);

        impl<'de, T> Visitor<'de> for Words<T>
        where
            T: TryFrom<String, Error: fmt::Display> + Deserialize<'de>,
        {
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
    use diptych::format::Geometry;

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
