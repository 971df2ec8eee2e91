//! What slots, queues and limits do, one rule a test.
#![cfg(not(diptych_loom))]

use diptych_cache::{
    Admission, Admit, Cache, CacheConfig, CacheError, DropOutcome, SlotKey, SlotState, Wakes,
};
use diptych_format::{
    Answer, BLOCK_BYTES, BackingId, BlockMask, BlockNo, BlockRange, CheckArea, CheckField,
    Generation, LogicalAddress, OwnerId, TrackNo, TrackRange,
};
use diptych_sync::Arc;

const BLOCKS: u64 = 4;
const TRACK_BYTES: usize = BLOCKS as usize * BLOCK_BYTES;

fn config(capacity_slots: usize, write_pending_limit_slots: usize) -> CacheConfig {
    CacheConfig {
        capacity_slots,
        track_bytes: TRACK_BYTES,
        shards: 1,
        write_pending_limit_slots,
        waiters_max: 4,
    }
}

fn cache(capacity_slots: usize) -> Cache {
    Cache::new(config(capacity_slots, capacity_slots)).unwrap()
}

const A: BackingId = BackingId(1);
const B: BackingId = BackingId(2);

fn key(track: u64) -> SlotKey {
    SlotKey { backing: A, track: TrackNo(track) }
}

fn key_of(backing: BackingId, track: u64) -> SlotKey {
    SlotKey { backing, track: TrackNo(track) }
}

fn blocks(start: u64, end: u64) -> BlockMask {
    BlockMask::of(BlockRange { start: BlockNo(start), end: BlockNo(end) })
}

fn all() -> BlockMask {
    BlockMask::first(BLOCKS)
}

fn room(cache: &Cache, buffers: usize, dirty: usize) -> Admission {
    match cache.admit(OwnerId(0), buffers, dirty).unwrap() {
        Admit::Granted(room) => room,
        Admit::Queued => panic!("no room for {buffers} and {dirty}"),
    }
}

fn field(value: u8) -> CheckField {
    let la = LogicalAddress { backing: BackingId(1), block: BlockNo(u64::from(value)) };
    CheckField::of(&[value; BLOCK_BYTES], la, Generation(u64::from(value)))
}

/// Fills blocks and their check fields with `value`; says whether it was done in place.
fn write(cache: &Cache, key: SlotKey, mask: BlockMask, value: u8) -> bool {
    let mut room = room(cache, 1, 1);
    let mut write = cache.begin_write(key, BLOCKS, &mut room);
    for index in mask.iter() {
        let at = index as usize * BLOCK_BYTES;
        write.data_mut()[at..at + BLOCK_BYTES].fill(value);
        write.set_check(index, field(value));
    }
    let in_place = write.is_in_place();
    assert_eq!(cache.commit_write(write, mask, &mut room), []);
    assert_eq!(cache.return_room(room), []);
    in_place
}

fn write_each<const N: usize>(cache: &Cache, tracks: [u64; N], mask: BlockMask) {
    for track in tracks {
        write(cache, key(track), mask, 1);
    }
}

fn stage(cache: &Cache, key: SlotKey, mask: BlockMask, value: u8) {
    let mut room = room(cache, 1, 0);
    let mut data = cache.buffer(&mut room);
    let mut checks = CheckArea::zeroed(BLOCKS);
    data.bytes_mut().fill(value);
    (0..BLOCKS).for_each(|index| checks.set(index, field(value)));
    assert_eq!(cache.install(key, data, checks, mask), []);
    assert_eq!(cache.return_room(room), []);
}

/// The value of each block: its first byte, which its check field must agree with; `.` if not valid.
fn show(cache: &Cache, key: SlotKey) -> String {
    let Some(pin) = cache.pin(key) else { return "-".to_owned() };
    let text = (0..BLOCKS).map(|index| {
        let value = pin.data()[index as usize * BLOCK_BYTES];
        if !pin.valid().has(index) {
            return '.';
        }
        assert_eq!(pin.checks().get(index), field(value));
        char::from(b'0' + value)
    });
    let text = text.collect();
    assert_eq!(cache.unpin(pin), []);
    text
}

/// Destages everything that is offered; in which order.
fn destage_all(cache: &Cache) -> Vec<u64> {
    std::iter::from_fn(|| {
        let destage = cache.next_dirty(None)?;
        let track = destage.key().track.0;
        cache.destage_done(destage, true);
        Some(track)
    })
    .collect()
}

#[test]
fn a_write_is_in_place_only_where_nobody_else_looks() {
    let cache = cache(8);
    assert!(!write(&cache, key(1), blocks(0, 2), 1), "a new slot");
    assert!(write(&cache, key(1), blocks(1, 3), 2), "nobody looks");
    assert_eq!(show(&cache, key(1)), "122.");
    let pin = cache.read(key(1), blocks(0, 3)).unwrap();
    assert!(!write(&cache, key(1), blocks(0, 1), 3), "pinned");
    assert_eq!(pin.data()[0], 1, "the pin keeps what it saw");
    assert_eq!(show(&cache, key(1)), "322.");
    assert!(write(&cache, key(1), blocks(0, 1), 4), "the pin is of the old data");
    assert_eq!(cache.unpin(pin), []);
    cache.mark_shared(key(1));
    assert!(!write(&cache, key(1), blocks(0, 1), 5), "in another slot too");
    assert!(write(&cache, key(1), blocks(0, 1), 6), "the copy is its own");
    assert_eq!(cache.counts().buffers, 1);
}

#[test]
fn a_read_hits_only_where_all_is_valid() {
    let cache = cache(8);
    write(&cache, key(1), blocks(1, 3), 1);
    assert!(cache.read(key(1), blocks(0, 2)).is_none());
    assert!(cache.read(key(2), blocks(0, 1)).is_none());
    let pin = cache.read(key(1), blocks(1, 3)).unwrap();
    cache.unpin(pin);
    let mut room = room(&cache, 1, 1);
    let write = cache.begin_write(key(1), BLOCKS, &mut room);
    assert!(cache.read(key(1), blocks(1, 2)).is_none(), "a writer has it in place");
    cache.commit_write(write, BlockMask::NONE, &mut room);
    cache.return_room(room);
    assert_eq!(show(&cache, key(1)), ".11.");
    assert_eq!((cache.counts().hits, cache.counts().misses), (1, 3));
}

#[test]
fn staging_never_overwrites_valid_blocks() {
    let cache = cache(8);
    write(&cache, key(1), blocks(1, 2), 7);
    let pin = cache.read(key(1), blocks(1, 2)).unwrap();
    stage(&cache, key(1), blocks(0, 3), 2);
    assert_eq!(show(&cache, key(1)), "272.");
    stage(&cache, key(1), all(), 3);
    assert_eq!(show(&cache, key(1)), "2723");
    assert_eq!(pin.valid(), blocks(1, 2), "the pin keeps what it saw");
    cache.unpin(pin);
    assert_eq!(cache.state(key(1)).unwrap().dirty, blocks(1, 2));
    stage(&cache, key(2), all(), 4);
    assert_eq!(show(&cache, key(2)), "4444");
    assert_eq!(cache.counts().buffers, 2);
}

#[test]
fn clean_slots_are_evicted_least_recently_used_first() {
    let cache = cache(3);
    (1..=3).for_each(|track| stage(&cache, key(track), all(), 1));
    let pinned = cache.read(key(1), all()).unwrap();
    cache.unpin(cache.read(key(2), all()).unwrap());
    stage(&cache, key(4), all(), 1);
    assert_eq!(cache.state(key(3)), None, "1 is pinned, 2 was read later");
    stage(&cache, key(5), all(), 1);
    assert_eq!(cache.state(key(2)), None);
    cache.unpin(pinned);
    write(&cache, key(5), all(), 2);
    stage(&cache, key(6), all(), 1);
    assert_eq!(cache.state(key(4)), None, "1 was pinned until now, 5 is dirty");
    assert_eq!(cache.counts().evictions, 4 - 1);
}

#[test]
fn destaging_goes_by_age_and_one_at_a_time() {
    let cache = cache(8);
    write_each(&cache, [3, 1, 2], all());
    write(&cache, key(3), all(), 2);
    let first = cache.next_dirty(None).unwrap();
    assert_eq!(first.key(), key(3), "when it became dirty counts, not when it was changed last");
    write(&cache, key(3), blocks(0, 1), 3);
    assert_eq!(first.pin().data()[0], 2, "a snapshot");
    let second = cache.next_dirty(None).unwrap();
    let third = cache.next_dirty(None).unwrap();
    assert_eq!((second.key(), third.key()), (key(1), key(2)));
    assert!(cache.next_dirty(None).is_none(), "3 is dirty again but in flight");
    cache.destage_done(first, true);
    assert_eq!(cache.counts().dirty_slots, 3, "changed meanwhile");
    cache.put_back(second);
    cache.destage_done(third, true);
    assert_eq!(destage_all(&cache), [1, 3], "put back: as old as before");
    assert_eq!(cache.counts().dirty_slots, 0);
}

#[test]
fn a_failed_destage_keeps_the_data_until_it_is_tried_again() {
    let cache = cache(8);
    write_each(&cache, [1, 2], all());
    let upto = cache.dirty_mark();
    write(&cache, key(3), all(), 1);
    assert_eq!(cache.wait_clean(OwnerId(1), A, upto), Ok(false));
    assert_eq!(cache.needs_destage().clean_upto, Some(upto));
    let destage = cache.next_dirty(None).unwrap();
    assert_eq!(cache.destage_done(destage, false), [(OwnerId(1), Answer::Cancelled)]);
    let failed = CacheError::DestageFailed { key: key(1) };
    assert_eq!(cache.wait_clean(OwnerId(2), A, upto), Err(failed));
    assert_eq!(destage_all(&cache), [2, 3], "a failed slot is not offered");
    let state =
        SlotState { valid: all(), dirty: all(), destaging: false, pinned: false, failed: true };
    assert_eq!(cache.state(key(1)), Some(state));
    assert_eq!(cache.retry_failed(B), 0);
    assert_eq!(cache.retry_failed(A), 1);
    assert_eq!(cache.wait_clean(OwnerId(2), A, upto), Ok(false));
    let destage = cache.next_dirty(Some(upto)).unwrap();
    assert_eq!(cache.destage_done(destage, true), [(OwnerId(2), Answer::Granted)]);
    assert_eq!(cache.wait_clean(OwnerId(3), A, upto), Ok(true));
}

#[test]
fn slots_that_failed_hold_up_no_other_volume() {
    let cache = Cache::new(config(8, 3)).unwrap();
    write_each(&cache, [1, 2, 3], all());
    assert!(matches!(cache.admit(OwnerId(1), 1, 1), Ok(Admit::Queued)), "at the limit");
    let failing: Vec<_> = std::iter::from_fn(|| cache.next_dirty(None)).collect();
    let wakes: Wakes = failing.into_iter().flat_map(|d| cache.destage_done(d, false)).collect();
    assert_eq!(wakes, [(OwnerId(1), Answer::Granted)], "a place is free with the first");
    assert_eq!(cache.return_room(cache.admitted(OwnerId(1))), []);
    let need = cache.needs_destage();
    assert_eq!((need.dirty_slots, need.offered_mark, cache.is_pressed()), (0, None, false));
    for track in 0..9 {
        write(&cache, key_of(B, track), all(), 1);
        assert_eq!(destage_all(&cache), [track]);
    }
    write(&cache, key(1), blocks(0, 1), 2);
    let counts = cache.counts();
    assert_eq!((counts.dirty_slots, counts.failed_slots, counts.dirty_permits), (3, 3, 0));
    // Two of B are dirty when the three are tried again: more than the limit, for a while.
    for track in 0..2 {
        write(&cache, key_of(B, track), all(), 2);
    }
    assert_eq!(cache.retry_failed(A), 3);
    assert!(matches!(cache.admit(OwnerId(2), 1, 1), Ok(Admit::Queued)));
    let mut order = Vec::new();
    while let Some(destage) = cache.next_dirty(None) {
        order.push(destage.key().track.0);
        let granted = [(OwnerId(2), Answer::Granted)];
        let expected = if order.len() == 3 { &granted[..] } else { &[] };
        assert_eq!(cache.destage_done(destage, true), expected, "two are left");
    }
    assert_eq!(order, [1, 2, 3, 0, 1], "the failed ones are the oldest");
    assert_eq!(cache.return_room(cache.admitted(OwnerId(2))), []);
    assert_eq!((cache.counts().dirty_slots, cache.counts().failed_slots), (0, 0));
}

/// Nobody but an operator has failed slots tried again, so who needs their buffers would wait for ever.
#[test]
fn nobody_waits_for_buffers_that_failed_slots_keep() {
    let cache = Cache::new(config(4, 4)).unwrap();
    write_each(&cache, [1, 2], all());
    let failing = cache.next_dirty(None).unwrap();
    assert!(matches!(cache.admit(OwnerId(1), 4, 1), Ok(Admit::Queued)), "all can be had still");
    assert!(matches!(cache.admit(OwnerId(2), 3, 1), Ok(Admit::Queued)));
    assert_eq!(cache.destage_done(failing, false), [(OwnerId(1), Answer::Cancelled)]);
    let (buffers, dirty, buffers_max, dirty_max) = (4, 1, 3, 4);
    let never = CacheError::NeverFits { buffers, dirty, buffers_max, dirty_max };
    assert_eq!(cache.admit(OwnerId(1), 4, 1).unwrap_err(), never);
    let last = cache.next_dirty(None).unwrap();
    assert_eq!(cache.destage_done(last, true), [(OwnerId(2), Answer::Granted)]);
    assert_eq!(cache.return_room(cache.admitted(OwnerId(2))), []);
    assert_eq!(cache.retry_failed(A), 1);
    assert!(matches!(cache.admit(OwnerId(1), 4, 1), Ok(Admit::Queued)), "it may be had again");
    let tried = cache.next_dirty(None).unwrap();
    assert_eq!(cache.destage_done(tried, true), [(OwnerId(1), Answer::Granted)]);
    assert_eq!(cache.return_room(cache.admitted(OwnerId(1))), []);
}

#[test]
fn purging_failed_slots_frees_their_buffers_alone() {
    let cache = Cache::new(config(3, 2)).unwrap();
    for track in 0..2 {
        write(&cache, key(track), all(), 1);
        let destage = cache.next_dirty(None).unwrap();
        assert_eq!(cache.destage_done(destage, false), []);
    }
    let held = room(&cache, 1, 1);
    assert!(matches!(cache.admit(OwnerId(1), 1, 1), Ok(Admit::Queued)), "every buffer is kept");
    assert!(matches!(cache.drop_slot(key(0)), DropOutcome::Dropped(wakes) if wakes.len() == 1));
    assert_eq!(cache.purge(A, None), []);
    assert_eq!(cache.return_room(held), []);
    cache.return_room(cache.admitted(OwnerId(1)));
    let counts = cache.counts();
    assert_eq!((counts.slots, counts.failed_slots, counts.dirty_permits), (0, 0, 0));
}

#[test]
fn a_flush_waits_for_its_own_volume_alone() {
    let cache = cache(8);
    write(&cache, key_of(A, 1), all(), 1);
    write(&cache, key_of(B, 1), all(), 1);
    write(&cache, key_of(B, 2), all(), 1);
    let upto = cache.dirty_mark();
    assert_eq!(cache.wait_clean(OwnerId(1), A, upto), Ok(false));
    assert_eq!(cache.wait_clean(OwnerId(2), B, upto), Ok(false));
    assert_eq!(cache.wait_clean(OwnerId(3), BackingId(3), upto), Ok(true), "nothing is dirty");
    let [of_a, of_b, last] = std::array::from_fn(|_| cache.next_dirty(None).unwrap());
    assert_eq!(cache.destage_done(of_b, false), [(OwnerId(2), Answer::Cancelled)]);
    let failed = CacheError::DestageFailed { key: key_of(B, 1) };
    assert_eq!(cache.wait_clean(OwnerId(2), B, upto), Err(failed));
    assert_eq!(cache.wait_clean(OwnerId(4), A, upto), Ok(false));
    let both = [(OwnerId(1), Answer::Granted), (OwnerId(4), Answer::Granted)];
    assert_eq!(cache.destage_done(of_a, true), both);
    assert_eq!(cache.wait_clean(OwnerId(1), A, upto), Ok(true));
    assert_eq!((cache.destage_done(last, true), cache.counts().waiters), (vec![], 0));
}

#[test]
fn a_failed_destage_cancels_those_who_wait_for_it() {
    let cache = cache(8);
    write(&cache, key(1), all(), 1);
    let first = cache.dirty_mark();
    write(&cache, key(2), all(), 1);
    let second = cache.dirty_mark();
    assert_eq!(cache.wait_clean(OwnerId(1), A, first), Ok(false));
    assert_eq!(cache.wait_clean(OwnerId(2), A, second), Ok(false));
    let [one, two] = std::array::from_fn(|_| cache.next_dirty(None).unwrap());
    write(&cache, key(2), all(), 2);
    let third = cache.dirty_mark();
    assert_eq!(cache.wait_clean(OwnerId(3), A, third), Ok(false));
    let cancelled = [(OwnerId(2), Answer::Cancelled), (OwnerId(3), Answer::Cancelled)];
    assert_eq!(cache.destage_done(two, false), cancelled);
    assert_eq!(cache.wait_clean(OwnerId(4), A, first), Ok(false), "that failed later");
    assert_eq!(cache.wait_clean(OwnerId(5), A, u64::MAX).map_err(|_| ()), Err(()));
    let both = [(OwnerId(1), Answer::Granted), (OwnerId(4), Answer::Granted)];
    assert_eq!(cache.destage_done(one, true), both);
    assert_eq!(cache.retry_failed(A), 1);
    assert_eq!(cache.wait_clean(OwnerId(6), A, u64::MAX), Ok(false));
    assert_eq!(cache.wait_clean(OwnerId(7), A, second), Ok(false), "one destage writes both");
    let again = cache.next_dirty(Some(second)).unwrap();
    let both = [(OwnerId(7), Answer::Granted), (OwnerId(6), Answer::Granted)];
    assert_eq!(cache.destage_done(again, true), both);
}

#[test]
fn a_flush_ends_when_what_it_waits_for_goes() {
    type Go = fn(&Cache) -> Wakes;
    let go: [Go; 3] = [
        |cache| cache.purge(A, None),
        |cache| cache.purge(A, Some(TrackRange::one(TrackNo(1)))),
        |cache| match cache.drop_slot(key(1)) {
            DropOutcome::Dropped(wakes) => wakes,
            other => panic!("{other:?}"),
        },
    ];
    for go in go {
        let cache = cache(4);
        write_each(&cache, [1], all());
        assert_eq!(cache.wait_clean(OwnerId(1), A, cache.dirty_mark()), Ok(false));
        assert_eq!(go(&cache), [(OwnerId(1), Answer::Granted)]);
        // The track's next content is another one.
        write_each(&cache, [1], all());
        assert_eq!(cache.wait_clean(OwnerId(2), A, cache.dirty_mark()), Ok(false));
        let destage = cache.next_dirty(None).unwrap();
        assert_eq!(cache.destage_done(destage, true), [(OwnerId(2), Answer::Granted)]);
    }
}

#[test]
fn a_flush_waits_for_what_was_put_back() {
    let cache = cache(4);
    write_each(&cache, [1], all());
    let before = cache.dirty_mark();
    let destage = cache.next_dirty(None).unwrap();
    write_each(&cache, [1], all());
    assert_eq!(cache.wait_clean(OwnerId(1), A, before), Ok(false));
    assert_eq!(cache.wait_clean(OwnerId(2), A, cache.dirty_mark()), Ok(false));
    assert_eq!(cache.put_back(destage), []);
    let destage = cache.next_dirty(Some(before)).unwrap();
    write_each(&cache, [1], all());
    assert_eq!(cache.wait_clean(OwnerId(3), A, cache.dirty_mark()), Ok(false));
    assert_eq!(cache.cancel(OwnerId(1)), []);
    assert_eq!(cache.destage_done(destage, true), [(OwnerId(2), Answer::Granted)]);
    let destage = cache.next_dirty(None).unwrap();
    assert_eq!(cache.destage_done(destage, true), [(OwnerId(3), Answer::Granted)]);
    assert_eq!(cache.counts().waiters, 0);
}

#[test]
fn a_flush_waits_for_what_was_written_during_a_destage() {
    let cache = cache(8);
    write(&cache, key(1), all(), 1);
    let in_flight = cache.next_dirty(None).unwrap();
    let before = cache.dirty_mark();
    write(&cache, key(1), all(), 2);
    let after = cache.dirty_mark();
    write(&cache, key(2), all(), 1);
    assert_eq!(cache.wait_clean(OwnerId(1), A, before), Ok(false));
    assert_eq!(cache.wait_clean(OwnerId(2), A, after), Ok(false));
    assert_eq!(cache.destage_done(in_flight, true), [(OwnerId(1), Answer::Granted)]);
    assert!(cache.next_dirty(Some(before)).is_none());
    let again = cache.next_dirty(Some(after)).unwrap();
    assert_eq!(cache.destage_done(again, true), [(OwnerId(2), Answer::Granted)]);
    assert_eq!(cache.counts().dirty_slots, 1);
}

#[test]
fn room_is_granted_in_the_order_of_asking() {
    let cache = cache(2);
    let first = room(&cache, 1, 1);
    assert!(matches!(cache.admit(OwnerId(1), 2, 0), Ok(Admit::Queued)));
    assert!(matches!(cache.admit(OwnerId(2), 1, 0), Ok(Admit::Queued)), "no overtaking");
    assert!(matches!(cache.admit(OwnerId(3), 1, 0), Ok(Admit::Queued)));
    assert_eq!(cache.return_room(first), [(OwnerId(1), Answer::Granted)]);
    assert_eq!(cache.counts().waiters, 2);
    // Granted, not fetched, and cancelled: the room goes on.
    let both = [(OwnerId(2), Answer::Granted), (OwnerId(3), Answer::Granted)];
    assert_eq!(cache.cancel(OwnerId(1)), both);
    assert!(matches!(cache.admit(OwnerId(4), 2, 0), Ok(Admit::Queued)));
    assert!(matches!(cache.admit(OwnerId(5), 0, 1), Ok(Admit::Queued)));
    let tail = [(OwnerId(5), Answer::Granted)];
    assert_eq!(cache.cancel(OwnerId(4)), tail, "who waited behind it goes on");
    for owner in [2, 3, 5] {
        let admission = cache.admitted(OwnerId(owner));
        assert_eq!(cache.return_room(admission), []);
    }
    assert_eq!((cache.counts().buffers, cache.counts().dirty_permits), (0, 0));
}

#[test]
fn a_cache_dirty_through_and_through_makes_progress() {
    let cache = cache(3);
    write_each(&cache, [1, 2, 3], blocks(0, 1));
    assert!(matches!(cache.admit(OwnerId(1), 3, 3), Ok(Admit::Queued)));
    assert_eq!(cache.needs_destage().room_waiters, 1);
    let mut wakes = Wakes::new();
    while let Some(destage) = cache.next_dirty(None) {
        wakes.extend(cache.destage_done(destage, true));
    }
    assert_eq!(wakes, [(OwnerId(1), Answer::Granted)]);
    let admission = cache.admitted(OwnerId(1));
    assert_eq!((admission.buffers(), admission.dirty(), cache.counts().slots), (3, 3, 0));
    cache.return_room(admission);
}

#[test]
fn unpinning_wakes_who_waits_for_the_buffer() {
    let cache = cache(1);
    stage(&cache, key(1), all(), 1);
    let pin = cache.read(key(1), all()).unwrap();
    assert!(matches!(cache.admit(OwnerId(1), 1, 0), Ok(Admit::Queued)));
    assert_eq!(cache.unpin(pin), [(OwnerId(1), Answer::Granted)]);
    assert_eq!(cache.state(key(1)), None);
    cache.return_room(cache.admitted(OwnerId(1)));
}

#[test]
fn slots_by_reference_share_a_buffer() {
    let cache = cache(4);
    write(&cache, key(1), all(), 1);
    let pin = cache.pin(key(1)).unwrap();
    let mut room = room(&cache, 0, 1);
    let copy = SlotKey { backing: BackingId(2), track: TrackNo(1) };
    cache.mark_shared(key(1));
    cache.put(copy, pin.handle(), pin.checks_handle(), all(), true, true, &mut room);
    cache.unpin(pin);
    cache.return_room(room);
    assert_eq!((cache.counts().slots, cache.counts().buffers), (2, 1));
    assert!(!write(&cache, key(1), blocks(0, 1), 2));
    assert_eq!((show(&cache, key(1)), show(&cache, copy)), ("2111".into(), "1111".into()));
    assert!(!write(&cache, copy, blocks(3, 4), 3));
    assert_eq!((show(&cache, key(1)), show(&cache, copy)), ("2111".into(), "1113".into()));
    assert_eq!(cache.counts().buffers, 2);
}

#[test]
fn slots_that_share_buffers_are_bounded_too() {
    let cache = cache(4);
    write(&cache, key(0), all(), 1);
    destage_all(&cache);
    let pin = cache.pin(key(0)).unwrap();
    let mut room = room(&cache, 0, 0);
    cache.mark_shared(key(0));
    for track in 1..200 {
        let (data, checks) = (pin.handle(), pin.checks_handle());
        cache.put(key(track), data, checks, all(), false, true, &mut room);
    }
    cache.unpin(pin);
    cache.return_room(room);
    assert_eq!((cache.counts().slots, cache.counts().buffers), (64, 1));
}

#[test]
fn a_slot_is_not_dropped_under_a_destage() {
    let cache = cache(4);
    assert_eq!(cache.drop_slot(key(1)), DropOutcome::Absent);
    write(&cache, key(1), all(), 1);
    let destage = cache.next_dirty(None).unwrap();
    assert_eq!(cache.drop_slot(key(1)), DropOutcome::Destaging);
    cache.put_back(destage);
    assert_eq!(cache.drop_slot(key(1)), DropOutcome::Dropped(vec![]));
    assert_eq!((cache.counts().slots, cache.counts().dirty_slots), (0, 0));
}

#[test]
fn a_purge_makes_destages_in_flight_harmless() {
    for (tracks, left) in [(None, 0), (Some((1, 2)), 1), (Some((0, 1000)), 0)] {
        let cache = cache(4);
        write_each(&cache, [1, 2, 3], all());
        assert!(matches!(cache.admit(OwnerId(1), 1, 3), Ok(Admit::Queued)));
        let destage = cache.next_dirty(None).unwrap();
        let tracks = tracks.map(|(start, count)| TrackRange::new(TrackNo(start), count));
        let wakes = cache.purge(BackingId(1), tracks);
        assert_eq!(wakes, [(OwnerId(1), Answer::Granted)]);
        cache.return_room(cache.admitted(OwnerId(1)));
        write(&cache, key(1), all(), 2);
        assert_eq!(cache.drop_slot(key(1)), DropOutcome::Destaging, "still on its way");
        let overtaking = cache.next_dirty(None).is_some_and(|other| {
            let overtaking = other.key() == key(1);
            cache.put_back(other);
            overtaking
        });
        assert!(!overtaking && cache.is_destaging(BackingId(1)));
        cache.destage_done(destage, true);
        assert!(!cache.is_destaging(BackingId(1)));
        assert_eq!(cache.counts().dirty_slots, left + 1, "the new slot is dirty");
        assert_eq!(cache.counts().buffers, left + 1);
    }
}

#[test]
fn a_whole_track_replaces_the_slot() {
    let cache = cache(4);
    write(&cache, key(1), blocks(0, 1), 1);
    let destage = cache.next_dirty(None).unwrap();
    let mut room = room(&cache, 1, 0);
    let mut data = cache.buffer(&mut room);
    data.bytes_mut().fill(0);
    let checks = Arc::new(CheckArea::zeroed(BLOCKS));
    cache.put(key(1), Arc::new(data), checks, all(), true, false, &mut room);
    cache.return_room(room);
    cache.destage_done(destage, true);
    assert_eq!(cache.state(key(1)).unwrap().dirty, all(), "newer than what was destaged");
    assert_eq!(destage_all(&cache), [1]);
}

#[test]
fn memory_is_taken_when_it_is_used() {
    let capacity_slots = (10 << 30) / (64 << 10);
    let cache = Cache::new(CacheConfig::new(capacity_slots, 64 << 10)).unwrap();
    let Ok(Admit::Granted(all)) = cache.admit(OwnerId(1), capacity_slots, 1) else {
        panic!("an empty cache has room");
    };
    assert_eq!(cache.counts().buffers, capacity_slots);
    cache.return_room(all);
    assert_eq!(cache.counts().buffers, 0);
}

#[test]
fn errors_say_what_was_asked_for_and_what_there_is() {
    let made = |config| Cache::new(config).map(|_| ()).unwrap_err().to_string();
    let base = config(4, 4);
    insta::assert_snapshot!(made(CacheConfig { shards: 3, ..base }), @"3 shards: not a power of two up to 1024");
    insta::assert_snapshot!(made(CacheConfig { track_bytes: 700, ..base }), @"a track of 700 bytes: not 1 to 128 blocks of 512 bytes");
    insta::assert_snapshot!(made(config(0, 1)), @"a capacity of 0 slots: not between 1 and 1073741824");
    insta::assert_snapshot!(made(config(4, 5)), @"a write-pending limit of 5 slots: not between 1 and 4");
    let cache = cache(4);
    let refused = |cache: &Cache, buffers| match cache.admit(OwnerId(9), buffers, 1) {
        Err(error) => error.to_string(),
        Ok(answer) => panic!("{answer:?}"),
    };
    insta::assert_snapshot!(refused(&cache, 5), @"5 buffers and 1 dirty slots never fit: at most 4 and 4");
    let all = room(&cache, 4, 4);
    for owner in 1..=4 {
        assert!(matches!(cache.admit(OwnerId(owner), 1, 1), Ok(Admit::Queued)));
    }
    insta::assert_snapshot!(refused(&cache, 1), @"4 wait already");
    insta::assert_snapshot!(CacheError::DestageFailed { key: key(7) }, @"backing 1 track 7 could not be destaged");
    cache.return_room(all);
}
