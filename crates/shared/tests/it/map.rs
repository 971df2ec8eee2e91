//! Track maps against a vector of booleans.

use crate::tracks;
use diptych_format::{TrackNo, TrackRange};
use diptych_shared::TrackMap;
use proptest::prelude::*;

/// Sizes on both sides of the borders of words, pages and levels.
const SIZES: [u64; 14] =
    [1, 2, 63, 64, 65, 4_095, 4_096, 4_097, 8_192, 50_070, 262_143, 262_144, 262_145, 300_000];

#[derive(Debug, Clone, Copy)]
enum Op {
    Set(u64),
    Clear(u64),
    SetRange(u64, u64),
    ClearRange(u64, u64),
    SetAll,
    ClearAll,
    OrPage(u64),
    Take,
}

fn op() -> impl Strategy<Value = Op> {
    let at = any::<u64>;
    prop_oneof![
        8 => at().prop_map(Op::Set),
        8 => at().prop_map(Op::Clear),
        4 => (at(), at()).prop_map(|(a, b)| Op::SetRange(a, b)),
        4 => (at(), at()).prop_map(|(a, b)| Op::ClearRange(a, b)),
        1 => Just(Op::SetAll),
        1 => Just(Op::ClearAll),
        2 => at().prop_map(Op::OrPage),
        1 => Just(Op::Take),
    ]
}

/// Two places, often at borders of words and pages, in order.
fn range(size: u64, a: u64, b: u64) -> TrackRange {
    let place = |n: u64| match n % 3 {
        0 => n / 3 % (size + 1),
        1 => (n / 3 % (size / 64 + 2) * 64).min(size),
        _ => (n / 3 % (size / 4_096 + 2) * 4_096).min(size),
    };
    let (a, b) = (place(a), place(b));
    tracks(a.min(b), a.max(b))
}

fn apply(op: Op, size: u64, map: &mut TrackMap, model: &mut [bool]) {
    let change = |model: &mut [bool], tracks: TrackRange, value: bool| -> u64 {
        let part = &mut model[tracks.start.0 as usize..tracks.end.0 as usize];
        let changed = part.iter().filter(|&&bit| bit != value).count() as u64;
        part.fill(value);
        changed
    };
    let all = tracks(0, size);
    match op {
        Op::Set(at) => {
            let one = TrackRange::one(TrackNo(at % size));
            assert_eq!(map.set(one.start), change(model, one, true) == 1);
        }
        Op::Clear(at) => {
            let one = TrackRange::one(TrackNo(at % size));
            assert_eq!(map.clear(one.start), change(model, one, false) == 1);
        }
        Op::SetRange(a, b) => {
            let range = range(size, a, b);
            assert_eq!(map.set_range(range), change(model, range, true));
        }
        Op::ClearRange(a, b) => {
            let range = range(size, a, b);
            assert_eq!(map.clear_range(range), change(model, range, false));
        }
        Op::SetAll => {
            map.set_all();
            change(model, all, true);
        }
        Op::ClearAll => {
            map.clear_all();
            change(model, all, false);
        }
        Op::OrPage(at) => {
            let start = at % size / 4_096 * 4_096;
            let mut other = TrackMap::new(size);
            for part in [tracks(start, (start + 4_000).min(size)), tracks(size - 1, size)] {
                other.set_range(part);
                change(model, part, true);
            }
            map.or_assign(&other);
        }
        Op::Take => {
            let taken = map.take();
            assert!(map.is_empty() && map.track_count() == size);
            *map = taken;
        }
    }
}

fn check(map: &TrackMap, model: &[bool], probes: &[u64]) {
    let size = model.len() as u64;
    let set = model.iter().filter(|&&bit| bit).count() as u64;
    assert_eq!(map.count(), set);
    assert_eq!((map.is_empty(), map.is_full()), (set == 0, set == size));
    let mut again = vec![false; model.len()];
    let mut last_end = None;
    for run in map.runs() {
        assert!(!run.is_empty() && last_end.is_none_or(|end| end < run.start), "{run} touches");
        again[run.start.0 as usize..run.end.0 as usize].fill(true);
        last_end = Some(run.end);
    }
    assert!(again == model, "runs differ: {map:?}");
    for &probe in probes {
        let at = (probe % size) as usize;
        assert_eq!(map.get(TrackNo(at as u64)), model[at]);
        let next = |value| {
            let found = model[at..].iter().position(|&bit| bit == value);
            found.map(|offset| TrackNo((at + offset) as u64))
        };
        assert_eq!(map.next_set(TrackNo(at as u64)), next(true));
        assert_eq!(map.next_clear(TrackNo(at as u64)), next(false));
        assert_eq!(map.any_in(tracks(at as u64, size)), next(true).is_some());
    }
    for pair in probes.chunks_exact(2) {
        let part = range(size, pair[0], pair[1]);
        let in_runs: Vec<_> = map.runs_in(part).flat_map(TrackRange::iter).collect();
        let in_part: Vec<_> = part.iter().filter(|track| model[track.0 as usize]).collect();
        assert_eq!(in_runs, in_part, "runs in {part}");
        let whole = map.runs().map(|run| run.intersection(part)).filter(|run| !run.is_empty());
        assert!(map.runs_in(part).eq(whole), "runs in {part} are not those of the whole");
    }
    for every in [2, 3, 4_096] {
        let (mut except, mut left) = (TrackMap::new(size), Vec::new());
        for (at, &bit) in model.iter().enumerate() {
            if at / every % 2 == 0 {
                except.set(TrackNo(at as u64));
            } else if bit {
                left.push(TrackNo(at as u64));
            }
        }
        let next = |from| map.next_set_except(from, &except);
        let found = std::iter::successors(next(TrackNo(0)), |t| next(TrackNo(t.0 + 1)));
        assert_eq!(found.collect::<Vec<_>>(), left);
        let mut other = TrackMap::new(size);
        other.set_range(tracks(size / 3, size / 2 + 1));
        let next = |from| map.next_set_except_both(from, &except, &other);
        let found = std::iter::successors(next(TrackNo(0)), |t| next(TrackNo(t.0 + 1)));
        let left = left.iter().copied().filter(|track| !other.get(*track));
        assert!(found.eq(left), "two exceptions");
    }
    assert_eq!(map.next_set_except(TrackNo(0), &TrackMap::full(size)), None);
    assert_eq!(map.next_set(TrackNo(size)), None);
    assert_eq!(map.next_clear(TrackNo(size)), None);
    // The form is canonical: whichever way a set was made, it is the same tree.
    let mut rebuilt = TrackMap::new(size);
    for run in map.runs() {
        rebuilt.set_range(run);
    }
    assert!(*map == rebuilt, "another form: {map:?}");
    assert_eq!(map.memory_bytes(), rebuilt.memory_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_map_is_a_vector_of_booleans(
        size in prop::sample::select(SIZES.as_slice()),
        ops in prop::collection::vec(op(), 1..24),
        probes in prop::collection::vec(any::<u64>(), 8),
    ) {
        let mut map = TrackMap::new(size);
        let mut model = vec![false; size as usize];
        for op in ops {
            apply(op, size, &mut map, &mut model);
            check(&map, &model, &probes);
        }
    }
}

#[test]
fn every_size_is_full_and_empty() {
    for size in SIZES {
        let probes = [0, size - 1, size / 2];
        check(&TrackMap::new(size), &vec![false; size as usize], &probes);
        check(&TrackMap::full(size), &vec![true; size as usize], &probes);
    }
}

#[test]
fn even_maps_cost_bytes() {
    for size in [1, 4_097, 1 << 28, (1 << 30) - 1, 1 << 30, 1 << 48] {
        assert!(TrackMap::new(size).memory_bytes() < 200, "empty, {size}");
        assert!(TrackMap::full(size).memory_bytes() < 200, "full, {size}");
        assert_eq!(TrackMap::full(size).runs().collect::<Vec<_>>(), [tracks(0, size)]);
    }
}

#[test]
fn scattered_changes_collapse_again() {
    let size = 1 << 30;
    let scattered = || (0..1_000).map(|n| TrackNo(n * 1_073_741 % size));
    let (mut low, mut high) = (TrackMap::new(size), TrackMap::full(size));
    for track in scattered() {
        assert!(low.set(track) && high.clear(track));
    }
    assert_eq!((low.count(), high.count()), (1_000, size - 1_000));
    assert!(low.memory_bytes() > 500_000, "1,000 pages of 512 bytes");
    for track in scattered() {
        assert!(low.clear(track) && high.set(track));
    }
    assert_eq!(low, TrackMap::new(size));
    assert_eq!(high, TrackMap::full(size));
    assert!(low.memory_bytes() < 200 && high.memory_bytes() < 200);
}

#[test]
fn debug_shows_the_first_runs() {
    let mut map = TrackMap::new(1_000);
    map.set_range(tracks(3, 9));
    map.set(TrackNo(999));
    insta::assert_snapshot!(format!("{map:?}"), @"TrackMap(7 of 1000: 3..9 999..1000)");
    for track in (0..1_000).step_by(2) {
        map.set(TrackNo(track));
    }
    insta::assert_snapshot!(format!("{map:?}"), @"TrackMap(504 of 1000: 0..1 2..9 10..11 12..13 14..15 16..17 18..19 20..21 ...)");
}

#[test]
#[should_panic(expected = "tracks 4..6 of a map of 5")]
fn tracks_past_the_end_are_refused() {
    TrackMap::new(5).set_range(tracks(4, 6));
}
