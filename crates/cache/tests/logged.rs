//! What a slot knows of the records of its data, one rule a row.
#![cfg(not(diptych_loom))]

use Do::{Again, Failed, Purge, Put, PutBack, Retry, Says, Stuck, Take, Write, Written};
use diptych_cache::{Admission, Admit, Cache, CacheConfig, Destage, LogHolders, QueueNo, SlotKey};
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, BlockNo, BlockRange, CheckArea, OwnerId, TrackNo,
};
use diptych_sync::Arc;

const BLOCKS: u64 = 2;

/// What is done to a track.
#[derive(Debug, Clone, Copy)]
enum Do {
    /// Block 0 is written, with this record.
    Write(u64),
    /// The whole track is put, with this record.
    Put(u64),
    /// A destage takes its snapshot, whose last record is this.
    Take(u64),
    Written,
    Failed,
    PutBack,
    Retry,
    Purge,
    /// All that is dirty is in these records, too.
    Again(u64, u64),
    /// The records that the slot says: the last of its data, the oldest that is needed.
    Says(u64, Option<u64>),
    /// Whether it is stuck, with this record, be its queue late or not.
    Stuck(Option<u64>, Option<u64>),
}

fn key() -> SlotKey {
    SlotKey { backing: BackingId(1), track: TrackNo(0) }
}

fn room(cache: &Cache, sequence: u64) -> Admission {
    let Admit::Granted(mut room) = cache.admit(OwnerId(1), 1, 1).expect("a queue") else {
        panic!("room");
    };
    room.logged_as(sequence);
    room
}

fn act(cache: &Cache, destage: &mut Option<Destage>, step: Do, rule: &str) {
    let mut end = || destage.take().expect("a destage in flight");
    match step {
        Write(sequence) => {
            let mut room = room(cache, sequence);
            let write = cache.begin_write(key(), BLOCKS, &mut room);
            let block = BlockMask::of(BlockRange { start: BlockNo(0), end: BlockNo(1) });
            drop(cache.commit_write(write, block, &mut room));
            drop(cache.return_room(room));
        }
        Put(sequence) => {
            let mut room = room(cache, sequence);
            let data = Arc::new(cache.buffer(&mut room));
            let (checks, all) = (Arc::new(CheckArea::zeroed(BLOCKS)), BlockMask::first(BLOCKS));
            drop(cache.put(key(), data, checks, all, true, false, &mut room));
            drop(cache.return_room(room));
        }
        Take(last) => {
            let taken = cache.next_dirty(None).expect("a dirty slot");
            assert_eq!(taken.logged(), last, "{rule}");
            *destage = Some(taken);
        }
        Written => drop(cache.destage_done(end(), true)),
        Failed => drop(cache.destage_done(end(), false)),
        PutBack => drop(cache.put_back(end())),
        Retry => assert_eq!(cache.retry_failed(BackingId(1)), 1),
        Purge => drop(cache.purge(BackingId(1), None)),
        Again(first, last) => cache.logged_again(key(), first, last),
        Stuck(late, in_time) => {
            for (queue, expected) in [(QueueNo(3), late), (QueueNo(2), in_time)] {
                let LogHolders { oldest, stuck } = cache.log_holders(|of| of == queue);
                let stuck: Vec<u64> = stuck.iter().map(|(first, _)| *first).collect();
                assert_eq!(stuck, Vec::from_iter(expected), "stuck: {rule}");
                let others = cache.oldest_logged().filter(|_| expected.is_none());
                assert_eq!(oldest, others, "not stuck: {rule}");
            }
        }
        Says(last, oldest) => {
            let pin = cache.pin(key());
            assert_eq!(
                pin.as_ref().map_or(0, diptych_cache::Pin::logged),
                last,
                "the last: {rule}"
            );
            pin.into_iter().for_each(|pin| drop(cache.unpin(pin)));
            assert_eq!(cache.oldest_logged(), oldest, "the oldest: {rule}");
        }
    }
}

#[track_caller]
fn check(rule: &str, steps: &[Do]) {
    let cache = CacheConfig { shards: 1, ..CacheConfig::new(16, 2 * BLOCK_BYTES) };
    let cache = Cache::new(cache).expect("a cache");
    cache.set_queue(BackingId(1), QueueNo(3));
    let mut destage = None;
    for step in steps {
        act(&cache, &mut destage, *step, rule);
    }
    if let Some(destage) = destage {
        drop(cache.put_back(destage));
    }
}

#[test]
fn a_slot_knows_the_last_record_and_the_oldest_that_is_needed() {
    check("nothing needs none", &[Says(0, None)]);
    check("no log, no record", &[Write(0), Says(0, None), Take(0), Written, Says(0, None)]);
    check(
        "from the first write to the end of the destage",
        &[Write(5), Write(7), Says(7, Some(5)), Take(7), Says(7, Some(5)), Written, Says(0, None)],
    );
    check(
        "what is written during a destage is needed when it ends",
        &[
            Write(5),
            Take(5),
            Write(7),
            Write(9),
            Says(9, Some(5)),
            Written,
            Says(9, Some(7)),
            Take(9),
            Written,
            Says(0, None),
        ],
    );
    check(
        "a destage that writes nothing keeps the older one",
        &[Write(5), Take(5), Write(7), PutBack, Says(7, Some(5)), Take(7), Written, Says(0, None)],
    );
    check(
        "so does one that fails",
        &[
            Write(5),
            Take(5),
            Failed,
            Says(5, Some(5)),
            Write(7),
            Says(7, Some(5)),
            Retry,
            Says(7, Some(5)),
            Take(7),
            Write(8),
            Written,
            Says(8, Some(8)),
        ],
    );
}

#[test]
fn a_whole_track_needs_no_older_record() {
    check(
        "a whole track needs its own record alone",
        &[Write(5), Put(7), Says(7, Some(7)), Write(9), Says(9, Some(7))],
    );
    check(
        "but for the destage in flight",
        &[Write(5), Take(5), Put(7), Says(7, Some(5)), Written, Says(7, Some(7))],
    );
    check("and for one that failed later", &[Write(5), Take(5), Put(7), Failed, Says(7, Some(5))]);
    check(
        "a whole track without a record leaves the older one",
        &[Write(5), Put(0), Says(5, Some(5)), Write(6), Says(6, Some(5))],
    );
    check(
        "a purged slot needs nothing, even in flight",
        &[Write(5), Take(5), Write(7), Purge, Says(0, None), Write(9), Written, Says(9, Some(9))],
    );
    check("a clean slot begins anew", &[Write(5), Take(5), Written, Write(7), Says(7, Some(7))]);
}

#[test]
fn what_is_put_into_the_log_again_is_needed_from_there_on() {
    check(
        "queued",
        &[Write(5), Write(7), Stuck(Some(5), None), Again(9, 10), Says(10, Some(9)), Take(10)],
    );
    check(
        "in flight, and not changed since",
        &[
            Write(5),
            Take(5),
            Stuck(Some(5), None),
            Again(9, 9),
            Says(9, Some(9)),
            PutBack,
            Says(9, Some(9)),
        ],
    );
    check(
        "in flight, and changed since",
        &[
            Write(5),
            Take(5),
            Write(7),
            Stuck(Some(5), None),
            Again(9, 9),
            Stuck(Some(9), None),
            Written,
            Says(9, Some(9)),
        ],
    );
    check(
        "failed",
        &[Write(5), Take(5), Failed, Stuck(Some(5), Some(5)), Again(9, 9), Says(9, Some(9))],
    );
    check("clean meanwhile", &[Write(5), Take(5), Written, Again(9, 9), Says(0, None)]);
}
