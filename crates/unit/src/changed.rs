//! What changed between two images, or since the last one, as extents of blocks: what an incremental
//! backup from the secondary has to read.
//!
//! | map | leads from | to |
//! |---|---|---|
//! | A | the previous image, `a_from` of the pair | the image that the secondary holds |
//! | DP | the image that the secondary holds | the primary as it is |
//! | DS | the image that the secondary holds | the secondary as it is |
//!
//! A reader names the image it has. If the map leads from another one, nobody knows what the reader
//! lacks, and it gets everything.
//!
//! Invariants:
//! - A block that differs between the two states is in an extent. Whole tracks are: blocks that do not
//!   differ may be as well.
//! - The answer is bounded, and costs what is in it: even parts of the map are passed in one step.

use crate::UnitError;
use crate::core::Core;
use diptych_format::{BlockNo, BlockRange, Geometry, ImageNo, LdevId};
use diptych_shared::{FamilyState, Pair, PairStatus, TrackMap};

/// Which changes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ChangedMap {
    /// A: between the previous image and this one.
    A,
    /// DP: of the primary, since this image.
    Dp,
    /// DS: of the secondary, since this image.
    Ds,
}

impl ChangedMap {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::A, Self::Dp, Self::Ds];

    /// The map, and the image it leads from; `None` if it leads from nothing.
    fn of(self, pair: &Pair) -> (&TrackMap, Option<ImageNo>) {
        let (map, from) = match self {
            Self::A => (&pair.a, pair.a_from),
            Self::Dp => (&pair.dp, pair.image),
            Self::Ds => (&pair.ds, pair.image),
        };
        (map, Some(from).filter(|from| *from != ImageNo(0)))
    }
}

/// A question for what changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangedQuery {
    /// Which changes.
    pub map: ChangedMap,
    /// The image that the reader has; `None` if it has none.
    pub since: Option<ImageNo>,
    /// Where to look; what lies past the volume's end is left out. A reader that goes on starts at
    /// [`Changed::next`].
    pub blocks: BlockRange,
    /// The most extents of the answer, at least 1; never more than [`Changed::EXTENTS_MAX`].
    pub extents_max: usize,
}

impl ChangedQuery {
    /// All that changed on the whole volume since this image, as much of it as fits one answer.
    pub fn new(map: ChangedMap, since: Option<ImageNo>) -> Self {
        let blocks = BlockRange { start: BlockNo(0), end: BlockNo(u64::MAX) };
        Self { map, since, blocks, extents_max: Changed::EXTENTS_MAX }
    }

    /// The same question, from this block on.
    #[must_use]
    pub fn from_block(self, start: BlockNo) -> Self {
        Self { blocks: BlockRange { start, ..self.blocks }, ..self }
    }
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The image that the secondary holds or will hold. If it is another one than in the answer before,
    /// the pair was copied again meanwhile: the reader begins anew.
    pub image: ImageNo,
    /// The image that the map leads from; `None` if it leads from nothing.
    pub from: Option<ImageNo>,
    /// The reader does not have the image that the map leads from: the extents are all that was asked
    /// for.
    pub everything: bool,
    /// What changed, in ascending order. No two of them touch.
    pub extents: Vec<BlockRange>,
    /// Where the next extent begins that is not in this answer; `None` at the end.
    pub next: Option<BlockNo>,
}

impl Changed {
    /// The most extents of one answer: hosts wait while it is made.
    pub const EXTENTS_MAX: usize = 4_096;
}

/// Answers a question for what changed on a pair.
pub(crate) fn changed(
    core: &Core,
    primary: LdevId,
    secondary: LdevId,
    query: &ChangedQuery,
) -> Result<Changed, UnitError> {
    if query.extents_max == 0 {
        return Err(UnitError::Zero { setting: "extents_max" });
    }
    core.shared.with_family(primary, |family: &mut FamilyState| {
        let pair = family.pair_between(primary, secondary);
        let pair = pair.ok_or(UnitError::NoPair { primary, secondary })?;
        match pair.status {
            PairStatus::CopyInProgress | PairStatus::Copied => {}
            status @ (PairStatus::PairedNotCopied
            | PairStatus::Restoring
            | PairStatus::Suspended) => {
                return Err(UnitError::NoImage { primary, secondary, status });
            }
        }
        let volume = family.volume(primary).expect("the primary is in its family");
        Ok(answer(pair, volume.geometry, query))
    })?
}

/// The answer of a pair whose secondary holds an image.
fn answer(pair: &Pair, geometry: Geometry, query: &ChangedQuery) -> Changed {
    let (map, from) = query.map.of(pair);
    let everything = from.is_none() || query.since != from;
    let blocks = query.blocks.intersection(geometry.all_blocks());
    let (extents, next) = if everything {
        (Some(blocks).filter(|blocks| !blocks.is_empty()).into_iter().collect(), None)
    } else {
        extents_of(map, geometry, blocks, query.extents_max.min(Changed::EXTENTS_MAX))
    };
    Changed { image: pair.image, from, everything, extents, next }
}

/// The first `most` extents of a map among these blocks of the volume, and where the next one begins.
fn extents_of(
    map: &TrackMap,
    geometry: Geometry,
    blocks: BlockRange,
    most: usize,
) -> (Vec<BlockRange>, Option<BlockNo>) {
    let mut extents = map.runs_in(geometry.tracks_of(blocks)).map(|run| {
        let (start, end) = (geometry.first_block(run.start), geometry.first_block(run.end));
        BlockRange { start, end }.intersection(blocks)
    });
    let first = extents.by_ref().take(most).collect();
    (first, extents.next().map(|extent| extent.start))
}

#[cfg(test)]
mod tests;
