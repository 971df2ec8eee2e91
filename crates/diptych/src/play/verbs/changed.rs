//! What changed between two images, as an incremental backup asks for it.

use super::option;
use crate::play::PlayError;
use crate::play::answer::{Answer, Expect};
use crate::play::stage::Stage;
use crate::play::verb::{Act, Happened};
use crate::play::words::{PairName, Tracks, TracksWanted};
use diptych::format::{BlockRange, Geometry};
use diptych::shared::TrackMap;
use diptych::unit::{ChangedMap, ChangedQuery, UnitError};
use serde::Deserialize;
use std::fmt;

/// Extents of one answer: few, so that several answers are asked for.
const EXTENTS: usize = 4;

/// Asks what changed since the image that a reader has: the one of a mark.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WhatChanged {
    changed: PairName,
    #[serde(default)]
    map: Map,
    since: Option<String>,
    tracks: Option<TracksWanted>,
    everything: Option<bool>,
}

/// Changes between which states.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum Map {
    /// The previous image and this one.
    #[default]
    A,
    /// This image and the primary.
    #[serde(rename = "DP")]
    Dp,
    /// This image and the secondary.
    #[serde(rename = "DS")]
    Ds,
}

impl Map {
    fn of_unit(self) -> ChangedMap {
        match self {
            Self::A => ChangedMap::A,
            Self::Dp => ChangedMap::Dp,
            Self::Ds => ChangedMap::Ds,
        }
    }
}

impl WhatChanged {
    fn question(&self, stage: &Stage) -> Result<ChangedQuery, PlayError> {
        let since = match &self.since {
            None => None,
            Some(name) => {
                let mark = stage.marks.get(name);
                let mark = mark.ok_or_else(|| PlayError::NoMark { name: name.clone() })?;
                Some(mark.image.ok_or_else(|| PlayError::NoImage { name: name.clone() })?)
            }
        };
        let question = ChangedQuery::new(self.map.of_unit(), since);
        Ok(ChangedQuery { extents_max: EXTENTS, ..question })
    }

    /// All extents, answer by answer, and whether they are everything.
    fn extents(
        &self,
        stage: &Stage,
        mut question: ChangedQuery,
    ) -> Result<(Vec<BlockRange>, bool), UnitError> {
        let (mut extents, PairName { primary, secondary }) = (Vec::new(), self.changed);
        loop {
            let mut answer = stage.unit().changed(primary, secondary, &question)?;
            extents.append(&mut answer.extents);
            match answer.next {
                Some(next) => question = question.from_block(next),
                None => return Ok((extents, answer.everything)),
            }
        }
    }
}

fn tracks_of(geometry: Geometry, extents: &[BlockRange]) -> TrackMap {
    let mut tracks = TrackMap::new(geometry.track_count());
    for extent in extents {
        tracks.set_range(geometry.tracks_of(*extent));
    }
    tracks
}

impl Act for WhatChanged {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let (extents, everything) = match self.extents(stage, self.question(stage)?) {
            Ok(found) => found,
            Err(error) => return Ok(Answer::of_operator(Err(error)).into()),
        };
        let geometry = stage.volume(self.changed.primary)?.geometry;
        let tracks = tracks_of(geometry, &extents);
        let mut happened = Happened::from(Answer::Done);
        let blocks: u64 = extents.iter().map(|extent| extent.count()).sum();
        happened.found = format!(
            "tracks {}, {blocks} blocks in {} extents",
            Tracks::of_map(&tracks),
            extents.len()
        );
        if let Some(wanted) = &self.tracks {
            happened.compare(wanted.difference("changed", &tracks));
        }
        if let Some(wanted) = self.everything {
            let other = everything != wanted;
            let difference = format!("everything is {everything}, expected {wanted}");
            happened.compare(other.then_some(difference));
        }
        Ok(happened)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl fmt::Display for WhatChanged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "changed {} {:?}", self.changed, self.map.of_unit())?;
        option(f, "since", self.since.as_ref())
    }
}
