//! Track maps, states and changes, read by shared memory.
//!
//! The first byte of an input says what follows: 0 a track map; 1 two track maps, each behind its length;
//! else a state behind its length, and changes, each with the volume it was recorded of.

use super::input::Input;
use diptych_format::{LdevId, TrackNo};
use diptych_shared::{Change, Limits, SharedMemory, State, TrackMap};

pub(super) const MAP: u8 = 0;
pub(super) const MAPS: u8 = 1;
pub(super) const STATE: u8 = 2;

const LIMITS: Limits = Limits { volumes: 64, pairs: 64, queued_claims: 8 };
/// Runs of a map that are looked at.
const RUNS_MAX: usize = 100;

pub(super) fn run(bytes: &[u8]) -> bool {
    let mut input = Input(bytes);
    match input.byte() {
        MAP => map(input.0).is_some(),
        MAPS => maps(input.counted(), input.0),
        _ => state(input.counted(), input.0),
    }
}

/// What is read is written so that the same is read.
fn map(bytes: &[u8]) -> Option<TrackMap> {
    let map = TrackMap::from_bytes(bytes).ok()?;
    let again = TrackMap::from_bytes(&map.to_bytes());
    assert_eq!(again.as_ref(), Ok(&map), "what is written is read");
    assert_eq!(map.is_empty(), map.next_set(TrackNo(0)).is_none());
    assert_eq!(map.is_full(), map.next_clear(TrackNo(0)).is_none());
    let runs: Vec<_> = map.runs().take(RUNS_MAX).collect();
    if runs.len() < RUNS_MAX {
        assert_eq!(runs.iter().map(|run| run.count()).sum::<u64>(), map.count());
    }
    for run in runs {
        assert!(!run.is_empty() && run.end.0 <= map.track_count(), "{run} of {map:?}");
        assert!(map.get(run.start) && map.get(TrackNo(run.end.0 - 1)), "{run} of {map:?}");
    }
    Some(map)
}

/// Two maps joined hold what is in either.
fn maps(one: &[u8], other: &[u8]) -> bool {
    let (Some(one), Some(other)) = (map(one), map(other)) else { return false };
    if one.track_count() != other.track_count() {
        return false;
    }
    let mut both = one.clone();
    both.or_assign(&other);
    assert!(map(&both.to_bytes()).is_some(), "{both:?}");
    let at = TrackNo(0);
    assert_eq!(one.next_set_except(at, &both), None, "{one:?} in {both:?}");
    assert_eq!(other.next_set_except(at, &both), None, "{other:?} in {both:?}");
    assert_eq!(both.next_set_except_both(at, &one, &other), None, "{both:?}");
    true
}

/// What shared memory takes, it gives back, and takes again.
fn state(bytes: &[u8], mut changes: &[u8]) -> bool {
    let Ok((state, _)) = postcard::take_from_bytes::<State>(bytes) else { return false };
    let memory = SharedMemory::new(LIMITS);
    if memory.restore(state).is_err() {
        return false;
    }
    check_state(&memory);
    while let Ok(((of, change), rest)) = postcard::take_from_bytes::<(LdevId, Change)>(changes) {
        // One that is impossible is refused, and nothing happens.
        let before = memory.snapshot(|| ()).0;
        if memory.replay(of, change).is_err() {
            assert_eq!(memory.snapshot(|| ()).0, before, "a change that was refused");
        }
        changes = rest;
    }
    check_state(&memory);
    true
}

fn check_state(memory: &SharedMemory) {
    let (state, ()) = memory.snapshot(|| ());
    let bytes = postcard::to_allocvec(&state).expect("memory takes any encoding");
    let read: State = postcard::from_bytes(&bytes).expect("what is written is read");
    assert_eq!(read, state);
    let again = SharedMemory::new(LIMITS);
    again.restore(read).expect("what was a state is one");
    assert_eq!(again.snapshot(|| ()).0, state);
}
