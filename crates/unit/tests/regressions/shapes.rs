//! Volumes of other shapes, without payload, and of a name that another volume had before.

use crate::bench::*;
use diptych_cha::{Command, CommandCode, HostError, HostOp, HostReply};
use diptych_format::{Answer, BlockNo, BlockRange, Geometry, Need, OwnerId, Step, Time, Wait};
use diptych_shared::{Pace, PairOptions, PairStatus, Phase};
use diptych_testkit::ldev;
use diptych_unit::{Job, Plant, Reply, UnitConfig};

const QUICK: PairOptions = PairOptions { pace: Pace::SLOW, lanes: 1, quick: true, limit: None };
const NO_VOLUME: HostReply = HostReply::Failed(HostError::NoVolume { ldev: ldev(0) });

/// OPEN-3 and OPEN-V side by side: tracks of 48 and 64 KiB in slots of 64 KiB. Volume 5 is there to
/// drive the others out of the cache.
fn mixed(seed: u64) -> Bench {
    let (short, whole) = (Geometry::with_tracks(96, 6), Geometry::with_tracks(128, 6));
    let scratch = Geometry::with_tracks(128, 30);
    let mut config = UnitConfig::with_cache(30, whole.track_bytes());
    config.needs_reserve = false;
    Bench::with_shapes(seed, config, &[short, short, short, whole, whole, scratch])
}

/// What a volume of tag `tag` holds after these writes of (first block, count, tag).
fn expected(block_count: u64, tag: u64, writes: &[(u64, u64, u64)]) -> Vec<u64> {
    let mut tags = vec![tag; block_count as usize];
    for &(start, count, tag) in writes {
        tags[start as usize..(start + count) as usize].fill(tag);
    }
    tags
}

#[test]
fn tracks_smaller_than_a_slot_are_copied_whole() {
    for seed in 0..40 {
        let mut bench = mixed(seed);
        let (short, whole) = (6 * 96, 6 * 128);
        bench.fill(0, 1);
        bench.fill(3, 2);
        if seed % 2 == 0 {
            bench.evict(5); // otherwise copies are by reference to what is in cache
        }
        bench.accept(command(CommandCode::Create, 0, 1)); // follows
        for (primary, secondary) in [(0, 2), (3, 4)] {
            let create = command(CommandCode::Create, primary, secondary);
            bench.accept(create.without_initial_copy());
            bench.accept(command(CommandCode::Copy, primary, secondary).with_options(QUICK));
        }
        // Part of a track, a whole track, and the end of one with the start of the next.
        let of_short = [(5, 3, 3), (96, 96, 4), (2 * 96 + 90, 12, 5)];
        let of_whole = [(125, 6, 6), (256, 128, 7)];
        for (start, count, tag) in of_short {
            assert_eq!(bench.write(0, start, count, tag), HostReply::Done, "seed {seed}");
        }
        for (start, count, tag) in of_whole {
            assert_eq!(bench.write(3, start, count, tag), HostReply::Done, "seed {seed}");
        }
        // Quick reads bring tracks, in whole and in part.
        assert_eq!(bench.read(2, 4 * 96 - 1, 98), Ok(vec![1; 98]), "seed {seed}");
        assert_eq!(bench.read(4, 3 * 128 - 1, 130), Ok(vec![2; 130]), "seed {seed}");
        assert_eq!(bench.write(2, 5 * 96 + 95, 1, 8), HostReply::Done, "seed {seed}");
        // The buffer of a copy by reference is shared until one side changes.
        assert_eq!(bench.write(0, 4 * 96 + 10, 2, 9), HostReply::Done, "seed {seed}");
        bench.settle();
        bench.hand.check_copies_ended().unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        let primary = expected(short, 1, &[of_short.as_slice(), &[(4 * 96 + 10, 2, 9)]].concat());
        let check = |bench: &mut Bench, volume, tags: &[u64]| {
            let read = bench.read(volume, 0, tags.len() as u64);
            assert_eq!(read.as_deref(), Ok(tags), "seed {seed}, volume {volume}");
        };
        bench.accept(command(CommandCode::Copy, 0, 1));
        for _ in ["in cache", "staged"] {
            check(&mut bench, 0, &primary);
            check(&mut bench, 1, &primary);
            check(&mut bench, 2, &expected(short, 1, &[(5 * 96 + 95, 1, 8)]));
            check(&mut bench, 3, &expected(whole, 2, &of_whole));
            check(&mut bench, 4, &expected(whole, 2, &[]));
            bench.evict(5);
        }
        bench.hand.quiesce(&mut bench.choices).unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        bench.hand.check_stored().unwrap_or_else(|v| panic!("seed {seed}: {v}"));
    }
}

#[test]
fn a_volume_without_payload_is_flushed_at_once() {
    let mut bench = Bench::new(1, config(8), 1);
    bench.unit().add_metadata_volume(ldev(1), shape()).expect("no such volume yet");
    assert_eq!(bench.write(1, 0, 4, 1), HostReply::Done);
    assert_eq!(bench.alone(HostOp::Flush { ldev: ldev(1) }), HostReply::Done);
    assert_eq!(bench.drives[0].requests(), 0);
}

/// Turns one job, which waits for nothing but drives, to its next wait or its end.
fn turn(job: &mut Job<HostReply>, plant: &Plant) -> Step<(), HostReply> {
    loop {
        match job.step(Time::ZERO) {
            Step::Done(reply) => return Step::Done(reply),
            Step::Wait(wait) => return Step::Wait(wait),
            Step::Do(effects) => {
                let events = effects.into_iter().map(|effect| plant.perform(effect)).collect();
                job.answer(Reply::Events(events));
            }
        }
    }
}

#[test]
fn a_flush_of_a_volume_that_is_removed_meanwhile_says_so() {
    let mut bench = Bench::new(1, config(8), 1);
    assert_eq!(bench.alone(write_of(0, 0, 4, 1)), HostReply::Done);
    let owner = OwnerId(u64::MAX);
    let mut flush = bench.unit().job(owner, HostOp::Flush { ldev: ldev(0) });
    let waits = turn(&mut flush, bench.hand.plant());
    assert!(matches!(waits, Step::Wait(Wait::Admit(Need::Clean { .. }))), "{waits:?}");
    let wakes = bench.unit().remove_volume(ldev(0)).expect("nobody uses it");
    assert_eq!(wakes, [(owner, Answer::Granted)]);
    flush.answer(Reply::Wait(Answer::Granted));
    let ended = turn(&mut flush, bench.hand.plant());
    assert!(matches!(ended, Step::Done(reply) if reply == NO_VOLUME));
}

/// A unit whose cache is full of what is dirty of volume 1, and jobs that wait for room for volume 0.
fn waiting_for_room(bench: &mut Bench, ops: &[HostOp]) -> Vec<OwnerId> {
    bench.fill(0, 1);
    bench.evict(1);
    let limit = bench.volume(1).geometry.block_count();
    assert_eq!(bench.alone(write_of(1, 0, limit, 2)), HostReply::Done);
    let waiting: Vec<_> = ops.iter().map(|op| bench.begin(op.clone())).collect();
    let waits: Vec<_> = bench.hand.waiting().map(|(id, _)| id).collect();
    assert_eq!(waits, waiting, "all of them wait");
    waiting
}

#[test]
fn a_request_that_waited_for_room_does_not_touch_the_next_volume_of_that_name() {
    let blocks = BlockRange::new(BlockNo(20), 4);
    let ops = [
        write_of(0, 20, 4, 3),
        write_of(0, 21, 1, 3),
        HostOp::Read { ldev: ldev(0), blocks },
        HostOp::Unmap { ldev: ldev(0), blocks: BlockRange::new(BlockNo(20), 3) },
    ];
    // The next volume has the tracks asked for, or has fewer.
    for tracks in [TRACKS, 2] {
        let mut config = config(6);
        config.chunk_blocks = TRACKS * BLOCKS_PER_TRACK;
        let mut bench = Bench::new(1, config, 2);
        let waiting = waiting_for_room(&mut bench, &ops);
        let wakes = bench.unit().remove_volume(ldev(0)).expect("nobody has claimed it");
        assert_eq!(wakes, [], "nothing of it is in cache");
        let next = Geometry::with_tracks(BLOCKS_PER_TRACK, tracks);
        bench.unit().add_volume(ldev(0), next, 0).expect("the place of the one before");
        bench.settle();
        for (id, op) in waiting.into_iter().zip(&ops) {
            assert_eq!(bench.reply(id), NO_VOLUME, "{op:?}, {tracks} tracks");
        }
        assert!(bench.volume(0).allocated.is_empty());
        assert_eq!(bench.read(0, 0, 8), Ok(vec![0; 8]));
        bench.hand.check_stored().expect("whole volumes");
    }
}

#[test]
fn a_pair_of_a_volume_without_payload_copies_what_is_allocated() {
    let mut bench = Bench::new(1, config(8), 1);
    for no in [1, 2] {
        bench.unit().add_metadata_volume(ldev(no), shape()).expect("no such volume yet");
    }
    assert_eq!(bench.write(1, 4, 8, 1), HostReply::Done);
    bench.accept(Command::new(CommandCode::Create, ldev(1), ldev(2)));
    bench.settle();
    assert_eq!(bench.pair(1, 2).phase, Phase::Duplex);
    assert_eq!(bench.volume(2).allocated, bench.volume(1).allocated);
    bench.accept(command(CommandCode::Copy, 1, 2));
    assert_eq!(bench.pair(1, 2).status, PairStatus::Copied);
    assert_eq!((bench.hand.unit().cache_counts().slots, bench.drives[0].requests()), (0, 0));
}
