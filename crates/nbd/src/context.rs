//! Contexts of block status: what is stored, and what has changed since an image.
//!
//! | context | of a block |
//! |---|---|
//! | `base:allocation` | 3 (a hole, and zero): no storage; 0: storage |
//! | `diptych:changed:PRIMARY-SECONDARY:IMAGE` | 1: changed since that image of the pair, or nobody knows; 0: not changed |
//!
//! The pair is named by its volumes, as `00:00-00:02`, and the image by its number. The context can be had
//! on both volumes: on the primary it leads from the image to the primary as it is, on the secondary to
//! the secondary as it is. For the image that the secondary holds, and for the one before, that is known;
//! for any other all blocks have changed.

use crate::export::Export;
use diptych_format::{BlockNo, BlockRange, ImageNo, LdevId};
use diptych_rt::Rt;
use diptych_unit::{Changed, ChangedMap, ChangedQuery, Unit, UnitError};
use std::fmt;

/// The most contexts that a client can choose.
pub(crate) const CONTEXTS_MAX: usize = 16;
/// The most descriptors of a context in one answer.
const RUNS_MAX: usize = 256;

const CHANGED: &str = "diptych:changed:";
const ALLOCATION: &str = "base:allocation";

/// What can be asked of blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Context {
    Allocation,
    Changed(ChangedSince),
}

/// What has changed since an image of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChangedSince {
    primary: LdevId,
    secondary: LdevId,
    image: ImageNo,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allocation => f.write_str(ALLOCATION),
            Self::Changed(ChangedSince { primary, secondary, image: ImageNo(image) }) => {
                write!(f, "{CHANGED}{primary}-{secondary}:{image}")
            }
        }
    }
}

/// Blocks, and whether what the context says is so of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) blocks: BlockRange,
    pub(crate) flags: u32,
}

impl Context {
    /// The context of this name.
    fn parse(name: &str) -> Option<Self> {
        if name == ALLOCATION {
            return Some(Self::Allocation);
        }
        let (primary, rest) = name.strip_prefix(CHANGED)?.split_once('-')?;
        let (secondary, image) = rest.rsplit_once(':')?;
        let [primary, secondary] = [primary.parse().ok()?, secondary.parse().ok()?];
        Some(Self::Changed(ChangedSince {
            primary,
            secondary,
            image: ImageNo(image.parse().ok()?),
        }))
    }

    /// The context that a query chooses of this volume, if it names one.
    pub(crate) fn chosen(rt: &Rt, export: &Export, query: &[u8]) -> Option<Self> {
        let context = Self::parse(std::str::from_utf8(query).ok()?)?;
        let is_there = match context {
            Self::Allocation => true,
            Self::Changed(ChangedSince { primary, secondary, .. }) => {
                let is_its = export.ldev == primary || export.ldev == secondary;
                is_its && rt.unit().pair(primary, secondary).is_some()
            }
        };
        is_there.then_some(context)
    }

    /// The contexts of this volume that a query lists: those that begin so, if it ends with a colon. Of
    /// images, only those that are told from others.
    pub(crate) fn listed(rt: &Rt, export: &Export, query: &[u8]) -> Vec<Self> {
        if !query.ends_with(b":") {
            return Self::chosen(rt, export, query).into_iter().collect();
        }
        let mut all = Self::all(rt, export);
        all.retain(|context| context.to_string().as_bytes().starts_with(query));
        all
    }

    /// All contexts of this volume.
    pub(crate) fn all(rt: &Rt, export: &Export) -> Vec<Self> {
        let mut all = vec![Self::Allocation];
        for pair in rt.unit().pairs() {
            let (primary, secondary) = (pair.primary, pair.secondary);
            if export.ldev == primary || export.ldev == secondary {
                let images = [pair.image, pair.a_from].into_iter();
                let images = images.filter(|image| *image != ImageNo(0));
                let context = |image| Self::Changed(ChangedSince { primary, secondary, image });
                all.extend(images.map(context));
            }
        }
        all.dedup();
        all
    }
}

impl ChangedSince {
    /// What has changed of these blocks of the volume, from the first of them on; not always up to the
    /// last.
    pub(crate) fn runs(
        &self,
        unit: &Unit,
        ldev: LdevId,
        blocks: BlockRange,
    ) -> Result<Vec<Run>, UnitError> {
        let Self { primary, secondary, image } = *self;
        let ask = |map, since| {
            let query = ChangedQuery { map, since, blocks, extents_max: RUNS_MAX / 2 };
            unit.changed(primary, secondary, &query)
        };
        let own_map = if ldev == primary { ChangedMap::Dp } else { ChangedMap::Ds };
        let before = ask(ChangedMap::A, Some(image))?;
        let since = ask(own_map, Some(before.image))?;
        let is_held = image == before.image;
        // Copied again between the two questions: nobody knows what of which.
        if since.image != before.image || (before.everything && !is_held) {
            return Ok(vec![Run { blocks, flags: 1 }]);
        }
        let changes = if is_held { vec![&since] } else { vec![&before, &since] };
        Ok(union(blocks, &changes))
    }
}

/// What any of these says has changed, as far as all of them say something.
fn union(blocks: BlockRange, changes: &[&Changed]) -> Vec<Run> {
    let end = changes.iter().filter_map(|changed| changed.next).fold(blocks.end, BlockNo::min);
    let known = BlockRange { start: blocks.start, end };
    let extents = changes.iter().flat_map(|changed| &changed.extents);
    let mut extents: Vec<BlockRange> =
        extents.map(|extent| extent.intersection(known)).filter(|e| !e.is_empty()).collect();
    extents.sort_unstable_by_key(|extent| extent.start);
    let mut runs = Vec::new();
    let mut at = known.start;
    let push = |runs: &mut Vec<Run>, start: BlockNo, end: BlockNo, flags| match runs.last_mut() {
        Some(Run { blocks, flags: last }) if *last == flags => blocks.end = end,
        _ => runs.push(Run { blocks: BlockRange { start, end }, flags }),
    };
    for extent in extents {
        if extent.start > at {
            push(&mut runs, at, extent.start, 0);
        }
        if extent.end > at {
            push(&mut runs, at.max(extent.start), extent.end, 1);
            at = extent.end;
        }
    }
    if at < known.end {
        push(&mut runs, at, known.end, 0);
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        #[track_caller]
        fn check(name: &str, is_one: bool) {
            let context = Context::parse(name);
            assert_eq!(context.is_some(), is_one, "{name}");
            if let Some(context) = context {
                assert_eq!(context.to_string(), name);
            }
        }
        check("base:allocation", true);
        check("diptych:changed:00:00-00:1A:17", true);
        check("diptych:changed:00:00-00:1A:18446744073709551615", true);
        check("diptych:changed:00:00-00:1A:18446744073709551616", false);
        for name in [
            "",
            "base:",
            "base:allocation2",
            "diptych:changed:",
            "diptych:changed:00:00-00:1A",
            "diptych:changed:00:00-00:1A:",
            "diptych:changed:00:00:17",
            "diptych:changed:0-1:17",
        ] {
            check(name, false);
        }
    }

    #[test]
    fn what_changed_by_any_of_two_maps() {
        let range = |start, end| BlockRange { start: BlockNo(start), end: BlockNo(end) };
        let changed = |extents: &[(u64, u64)], next: Option<u64>| Changed {
            image: ImageNo(2),
            from: Some(ImageNo(1)),
            everything: false,
            extents: extents.iter().map(|(start, end)| range(*start, *end)).collect(),
            next: next.map(BlockNo),
        };
        let check = |a: &Changed, b: &Changed, expected: &[(u64, u64, u32)]| {
            let runs = union(range(10, 100), &[a, b]);
            let runs: Vec<_> =
                runs.iter().map(|r| (r.blocks.start.0, r.blocks.end.0, r.flags)).collect();
            assert_eq!(runs, expected);
        };
        let none = changed(&[], None);
        check(&none, &none, &[(10, 100, 0)]);
        check(&changed(&[(10, 100)], None), &none, &[(10, 100, 1)]);
        let some = changed(&[(10, 20), (40, 50)], None);
        check(&some, &none, &[(10, 20, 1), (20, 40, 0), (40, 50, 1), (50, 100, 0)]);
        let other = changed(&[(20, 30), (45, 60)], None);
        check(&some, &other, &[(10, 30, 1), (30, 40, 0), (40, 60, 1), (60, 100, 0)]);
        // What lies behind the end of one of the answers is not known.
        let short = changed(&[(12, 14)], Some(42));
        check(&some, &short, &[(10, 20, 1), (20, 40, 0), (40, 42, 1)]);
    }
}
