//! Extents against a plain set of tracks, and a volume so large that its tracks cannot be walked.

use super::*;
use diptych_format::{Emulation, PairId, TrackNo};
use diptych_shared::PairOptions;
use proptest::prelude::*;
use std::collections::BTreeSet;

const IMAGE: ImageNo = ImageNo(9);
const PREVIOUS: ImageNo = ImageNo(5);

/// A pair that holds the image 9, made after 5, with these tracks set in one of its maps.
fn pair_with(geometry: Geometry, map: ChangedMap, tracks: impl Iterator<Item = u64>) -> Pair {
    let (primary, secondary) = (LdevId::new(0, 0), LdevId::new(0, 1));
    let (id, options) = (PairId::default(), PairOptions::default());
    let mut pair = Pair::new(id, primary, secondary, geometry.track_count(), options, true);
    (pair.image, pair.a_from) = (IMAGE, PREVIOUS);
    pair.a.clear_all();
    let map = match map {
        ChangedMap::A => &mut pair.a,
        ChangedMap::Dp => &mut pair.dp,
        ChangedMap::Ds => &mut pair.ds,
    };
    for track in tracks {
        map.set(TrackNo(track));
    }
    pair
}

/// The image that a map of [`pair_with`] leads from.
fn from_of(map: ChangedMap) -> Option<ImageNo> {
    Some(if map == ChangedMap::A { PREVIOUS } else { IMAGE })
}

/// Everything there is to read, answer by answer.
fn read_on(pair: &Pair, geometry: Geometry, mut query: ChangedQuery) -> Vec<BlockRange> {
    let mut extents = Vec::new();
    loop {
        let part = answer(pair, geometry, &query);
        assert!(!part.everything && part.extents.len() <= query.extents_max);
        assert_eq!(part.next.is_some(), part.next.is_some_and(|next| query.blocks.contains(next)));
        extents.extend(part.extents);
        let Some(next) = part.next else { return extents };
        query = query.from_block(next);
    }
}

proptest! {
    #[test]
    fn extents_are_a_set_of_tracks(
        map in prop::sample::select(ChangedMap::ALL.as_slice()),
        blocks_per_track in 1..=5_u64,
        track_count in prop::sample::select([1, 2, 63, 64, 65, 200, 4_096, 9_000].as_slice()),
        places in prop::collection::vec((any::<u64>(), 1..70_u64), 0..40),
        (start, count) in (any::<u64>(), any::<u64>()),
        extents_max in 1..6_usize,
    ) {
        let geometry = Geometry::with_tracks(blocks_per_track, track_count);
        let run = |(at, count): (u64, u64)| {
            let at = at % track_count;
            at..(at + count).min(track_count)
        };
        let tracks: BTreeSet<u64> = places.into_iter().flat_map(run).collect();
        let pair = pair_with(geometry, map, tracks.iter().copied());
        let start = start % (geometry.block_count() + 3);
        let blocks = BlockRange::new(BlockNo(start), count % (geometry.block_count() + 3));
        let query = ChangedQuery { blocks, extents_max, ..ChangedQuery::new(map, from_of(map)) };

        let extents = read_on(&pair, geometry, query);
        let found: Vec<_> = extents.iter().flat_map(|extent| extent.iter()).collect();
        let changed = |block: &BlockNo| {
            block.0 < geometry.block_count() && tracks.contains(&geometry.track_of(*block).0)
        };
        prop_assert_eq!(found, blocks.iter().filter(changed).collect::<Vec<_>>());
        prop_assert!(extents.iter().all(|extent| !extent.is_empty()));
        prop_assert!(extents.is_sorted_by(|one, next| one.end < next.start), "{:?}", extents);
    }
}

#[test]
fn a_reader_with_another_image_gets_everything() {
    let geometry = Geometry::with_tracks(4, 6);
    let check = |pair: &Pair, map, since: Option<u64>, from: Option<u64>, everything| {
        let query = ChangedQuery::new(map, since.map(ImageNo));
        let changed = answer(pair, geometry, &query);
        let asked = format!("{map:?} since {since:?}");
        assert_eq!((changed.image, changed.from), (IMAGE, from.map(ImageNo)), "{asked}");
        assert_eq!(changed.everything, everything, "{asked}");
        let expected = if everything { 0..24 } else { 8..12 };
        let expected = BlockRange { start: BlockNo(expected.start), end: BlockNo(expected.end) };
        assert_eq!((changed.extents, changed.next), (vec![expected], None), "{asked}");
    };
    for (map, from) in [(ChangedMap::A, 5), (ChangedMap::Dp, 9), (ChangedMap::Ds, 9)] {
        let pair = pair_with(geometry, map, [2].into_iter());
        check(&pair, map, Some(from), Some(from), false);
        for since in [None, Some(0), Some(4), Some(14 - from), Some(10)] {
            check(&pair, map, since, Some(from), true);
        }
    }
    // The first image of a pair leads from nothing, whatever the reader has.
    let mut first = pair_with(geometry, ChangedMap::A, [2].into_iter());
    first.a_from = ImageNo(0);
    for since in [None, Some(0), Some(5), Some(9)] {
        check(&first, ChangedMap::A, since, None, true);
    }
}

/// Track by track this would take hours.
#[test]
fn even_maps_of_a_large_volume_are_read_in_steps() {
    let geometry = Geometry::new(Emulation::OpenV, 1 << 35).expect("16 TiB");
    let (empty, map) = (pair_with(geometry, ChangedMap::A, [].into_iter()), ChangedMap::A);
    let mut full = empty.clone();
    full.a.set_all();
    let last = geometry.track_count() - 1;
    let ends = pair_with(geometry, map, [0, last].into_iter());
    let query = ChangedQuery::new(map, from_of(map));
    for _ in 0..10_000 {
        assert_eq!(answer(&empty, geometry, &query).extents, []);
        assert_eq!(answer(&full, geometry, &query).extents, [geometry.all_blocks()]);
        let track = |no| BlockRange::new(geometry.first_block(TrackNo(no)), 128);
        assert_eq!(answer(&ends, geometry, &query).extents, [track(0), track(last)]);
    }
}

#[test]
fn an_answer_is_bounded() {
    let tracks = 4 * Changed::EXTENTS_MAX as u64;
    let geometry = Geometry::with_tracks(2, tracks);
    let map = ChangedMap::Ds;
    let pair = pair_with(geometry, map, (0..tracks).step_by(2));
    let query = ChangedQuery { extents_max: usize::MAX, ..ChangedQuery::new(map, from_of(map)) };
    let changed = answer(&pair, geometry, &query);
    assert_eq!(changed.extents.len(), Changed::EXTENTS_MAX);
    assert_eq!(changed.next, Some(geometry.first_block(TrackNo(tracks / 2))));
    assert_eq!(read_on(&pair, geometry, query).len() as u64, tracks / 2);
}
