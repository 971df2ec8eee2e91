//! Tracks, blocks and counts: alone, from one to another, and several.

use super::{WordError, number_or_text};
use diptych::format::{BlockNo, BlockRange, Geometry, TrackNo};
use diptych::shared::TrackMap;
use serde::de::{Deserialize, Deserializer};
use std::fmt;
use std::str::FromStr;

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
