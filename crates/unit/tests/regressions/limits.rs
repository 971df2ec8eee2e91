//! Queues that are full, requests that are too large or reach past the end, lanes that cannot be.

use crate::bench::*;
use bytes::Bytes;
use diptych_cha::{CommandCode, HostError, HostOp, HostReply, Outcome, Refusal};
use diptych_format::{
    BLOCK_BYTES, BlockNo, BlockRange, Geometry, OwnerId, Time, TrackNo, TrackRange, Wait,
};
use diptych_shared::{MapName, Pace, PairOptions, PairStatus, Phase};
use diptych_testkit::ldev;
use diptych_unit::UnitError;

const BUSY: HostReply = HostReply::Failed(HostError::Busy);

/// Gives the lanes every occasion, and time, to go on; these jobs stand still.
fn long_time_without(bench: &mut Bench, held: &[OwnerId]) {
    for _ in 0..50 {
        bench.run_without(held);
        bench.hand.advance_to_deadline();
        bench.hand.start_due();
    }
}

#[test]
fn where_claims_cannot_be_queued_who_asks_is_told_and_lanes_come_again() {
    let mut config = config(6);
    config.limits.queued_claims = 1;
    let mut bench = Bench::new(1, config, 4);
    bench.fill(0, 1);
    bench.evict(3);
    bench.alone(HostOp::Command(command(CommandCode::Create, 0, 1)));
    // A read that misses holds track 2; one may queue behind it.
    let reader = bench.begin_to_effect(read_of(0, 8, 4), 0);
    let first = bench.begin(read_of(0, 9, 1));
    assert_eq!(bench.hand.waiting().collect::<Vec<_>>(), [(first, Wait::Claim)]);
    assert_eq!(bench.alone(write_of(0, 9, 1, 3)), BUSY);
    assert_eq!(bench.alone(read_of(0, 8, 1)), BUSY);
    let unmapped = BlockRange::new(BlockNo(8), 4);
    assert_eq!(bench.alone(HostOp::Unmap { ldev: ldev(0), blocks: unmapped }), BUSY);
    for (code, secondary) in [(CommandCode::Suspend, 1), (CommandCode::Create, 2)] {
        let reply = bench.alone(HostOp::Command(command(code, 0, secondary)));
        assert_eq!(reply, HostReply::Outcome(Outcome::Refused(Refusal::Busy)), "{code}");
    }
    long_time_without(&mut bench, &[reader]);
    assert_eq!(tracks(&bench.pair(0, 1), MapName::C), [2], "the lane copies what it gets");
    bench.settle();
    for (id, start, count) in [(reader, 8, 4), (first, 9, 1)] {
        let read = bench.reply(id);
        assert_eq!(tags_of(start, read), Ok(vec![1; count]));
    }
    assert_eq!(bench.pair(0, 1).phase, Phase::Duplex);
    assert!(bench.pair(0, 1).c.is_empty());
    bench.accept(command(CommandCode::Copy, 0, 1));
    assert_eq!(bench.read(1, 8, 4), Ok(vec![1; 4]));
}

#[test]
fn where_nobody_more_may_wait_for_room_who_asks_is_told_and_lanes_come_again() {
    let mut config = config(6);
    config.cache.waiters_max = 1;
    config.chunk_blocks = TRACKS * BLOCKS_PER_TRACK;
    let mut bench = Bench::new(1, config, 3);
    bench.fill(0, 1);
    bench.evict(2);
    bench.alone(HostOp::Command(command(CommandCode::Create, 0, 1)));
    let lane = bench.due()[0];
    // The cache is full of what is dirty, and its destages stand still; one may wait for room.
    assert_eq!(bench.alone(write_of(2, 0, TRACKS * BLOCKS_PER_TRACK, 2)), HostReply::Done);
    let destages: Vec<_> = bench.due();
    for destage in &destages {
        bench.turn_to_effect(*destage, 0);
    }
    let first = bench.begin(write_of(2, 9, 1, 3));
    let waiting: Vec<_> = bench.hand.waiting().map(|(id, _)| id).collect();
    assert_eq!(waiting, [first]);
    assert_eq!(bench.alone(write_of(0, 0, 1, 4)), BUSY);
    assert_eq!(bench.alone(read_of(0, 0, 4)), BUSY);
    assert_eq!(bench.alone(HostOp::Flush { ldev: ldev(2) }), BUSY);
    bench.turn(lane);
    long_time_without(&mut bench, &destages);
    assert_eq!(bench.pair(0, 1).c.count(), TRACKS, "there is no room for the copy");
    bench.settle();
    assert_eq!(bench.reply(first), HostReply::Done);
    assert_eq!(bench.pair(0, 1).phase, Phase::Duplex);
    assert!(bench.pair(0, 1).c.is_empty());
    bench.hand.quiesce(&mut bench.choices).expect("flushes may wait again");
    bench.hand.check_stored().expect("whole volumes");
}

#[test]
fn a_request_that_is_too_large_is_refused_whole() {
    let mut config = config(8);
    config.request_blocks_max = 10;
    let mut bench = Bench::new(1, config, 1);
    assert_eq!(bench.write(0, 0, 10, 1), HostReply::Done);
    let too_large = |blocks| HostError::TooLarge { blocks, most_blocks: 10 };
    assert_eq!(bench.write(0, 0, 11, 2), HostReply::Failed(too_large(11)));
    assert_eq!(bench.read(0, 0, 24), Err(too_large(24)));
    assert_eq!(bench.read(0, 0, 10), Ok(vec![1; 10]), "nothing was written");
}

#[test]
fn what_reaches_past_the_end_is_refused_wherever_it_starts() {
    let block_count = TRACKS * BLOCKS_PER_TRACK;
    let mut bench = Bench::new(1, config(8), 1);
    let most = u64::MAX;
    // The first block, how many, and the end as it is answered.
    for (start, count, end) in [
        (block_count, 1, block_count + 1),
        (block_count - 1, 2, block_count + 1),
        (0, block_count + 1, block_count + 1),
        (most - 1, 1, most),
        (most, 1, most),
        (most - 3, 8, most),
        (most, 0, most),
        (1 << 63, 4, (1 << 63) + 4),
    ] {
        let (ldev, blocks) = (ldev(0), BlockRange { start: BlockNo(start), end: BlockNo(end) });
        let out = HostReply::Failed(HostError::OutOfRange { ldev, blocks, block_count });
        let data = Bytes::from(vec![7; count as usize * BLOCK_BYTES]);
        let write = bench.alone(HostOp::Write { ldev, block: BlockNo(start), data });
        assert_eq!(write, out, "write {start}+{count}");
        assert_eq!(bench.alone(HostOp::Read { ldev, blocks }), out, "read {blocks}");
        assert_eq!(bench.alone(HostOp::Unmap { ldev, blocks }), out, "unmap {blocks}");
    }
    // A range that ends before it starts has no blocks.
    let (start, end) = (BlockNo(20), BlockNo(4));
    let blocks = BlockRange { start, end };
    assert_eq!(bench.alone(HostOp::Unmap { ldev: ldev(0), blocks }), HostReply::Done);
    let read = bench.alone(HostOp::Read { ldev: ldev(0), blocks });
    assert_eq!(tags_of(20, read), Ok(vec![]));
    assert_eq!(bench.read(0, 0, block_count), Ok(vec![0; block_count as usize]));
}

#[test]
fn lanes_that_cannot_be_are_refused_and_nothing_is_broken() {
    let mut config = config(24);
    config.lanes_max = 4;
    let most = config.lanes_max;
    let mut bench = Bench::new(1, config, 3);
    bench.fill(0, 1);
    bench.split(0, 1);
    let options = |lanes| PairOptions { lanes, pace: Pace::FAST, ..PairOptions::default() };
    for asked in [0, 5, u8::MAX] {
        let refused = Outcome::Refused(Refusal::Lanes { asked, most });
        for code in CommandCode::ALL {
            let (before, secondary) =
                (bench.unit().pairs(), u8::from(code != CommandCode::Create) + 1);
            let given = command(code, 0, 3 - secondary).with_options(options(asked));
            assert_eq!(bench.give(given), refused, "{code}, {asked} lanes");
            assert_eq!(bench.unit().pairs(), before, "{code}, {asked} lanes");
        }
        let changed = bench.unit().change_pace(ldev(0), ldev(1), options(asked), Time::ZERO);
        assert_eq!(changed, Err(UnitError::Lanes { asked, most }));
    }
    // Everybody goes on.
    assert_eq!(bench.write(0, 3, 9, 2), HostReply::Done);
    bench.accept(command(CommandCode::Resync, 0, 1).with_options(options(most)));
    assert_eq!(bench.unit().change_pace(ldev(0), ldev(1), options(1), Time::ZERO), Ok(()));
    bench.settle();
    assert_eq!(bench.pair(0, 1).phase, Phase::Duplex);
    bench.accept(command(CommandCode::Create, 0, 2).with_options(options(most)));
    bench.settle();
    bench.accept(command(CommandCode::Copy, 0, 2));
    assert_eq!(bench.pair(0, 2).status, PairStatus::Copied);
    let none = bench.unit().change_pace(ldev(1), ldev(0), options(1), Time::ZERO);
    assert_eq!(none, Err(UnitError::NoPair { primary: ldev(1), secondary: ldev(0) }));
}

#[test]
fn a_cache_smaller_than_the_copies_of_one_track_delays_a_change_and_does_not_refuse_it() {
    // Four secondaries, and below one of them as many again.
    for seed in 0..20 {
        let mut bench = Bench::new(seed, config(3), 10);
        bench.fill(0, 1);
        bench.split(0, 1);
        for (primary, secondary) in [(1, 6), (1, 7), (1, 8), (1, 9), (0, 2), (0, 3), (0, 4)] {
            let create = command(CommandCode::Create, primary, secondary);
            bench.accept(create.without_initial_copy());
        }
        for secondary in [6, 7, 8, 9] {
            bench.alone(HostOp::Command(command(CommandCode::Copy, 1, secondary)));
        }
        bench.alone(write_of(0, 0, 4, 2));
        bench.alone(write_of(0, 4, 4, 2));
        bench.alone(HostOp::Command(command(CommandCode::Resync, 0, 1)));
        for secondary in [1, 2, 3, 4] {
            bench.alone(HostOp::Command(command(CommandCode::Copy, 0, secondary)));
        }
        let read = bench.begin(read_of(4, 5, 1));
        assert_eq!(bench.write(0, 1, 6, 3), HostReply::Done, "seed {seed}");
        bench.settle();
        assert!(tags_of(5, bench.reply(read)).is_err(), "it is not quick");
        for secondary in [1, 2, 3, 4, 6, 7, 8, 9] {
            let tag = if secondary > 4 { 1 } else { 2 };
            assert_eq!(bench.read(secondary, 0, 8), Ok(vec![tag; 8]), "seed {seed}, {secondary}");
        }
        bench.hand.check_stored().expect("whole volumes");
    }
}

/// What is given up takes no memory: the largest volume is given up by one request, at once where it
/// has nothing.
#[test]
fn a_volume_is_given_up_by_one_request_however_large_it_is() {
    let largest = Geometry::with_tracks(128, 1 << 28); // 16 TiB
    let mut config = config(8);
    config.cache.track_bytes = largest.track_bytes();
    config.request_blocks_max = 1_000;
    let mut bench = Bench::with_shapes(1, config, &[shape()]);
    let unit = bench.unit();
    unit.add_metadata_volume(ldev(1), largest).expect("a new volume");
    let count = largest.block_count();
    for block in [0, 77_777_777, count / 2, count - 1] {
        assert_eq!(bench.write(1, block, 1, 1), HostReply::Done);
    }
    assert_eq!(bench.volume(1).allocated.count(), 4);
    let give_up = |start: u64, end: u64| {
        let blocks = BlockRange { start: BlockNo(start), end: BlockNo(end) };
        HostOp::Unmap { ldev: ldev(1), blocks }
    };
    assert_eq!(bench.run(give_up(5, count - 5)), HostReply::Done);
    let left: Vec<_> = bench.volume(1).allocated.runs().flat_map(TrackRange::iter).collect();
    assert_eq!(left, [TrackNo(0), TrackNo((1 << 28) - 1)], "in part only");
    assert_eq!(bench.run(give_up(0, count)), HostReply::Done);
    assert!(bench.volume(1).allocated.is_empty());
}

/// A track without storage is given up once more in a pair: its marks are those of any change.
#[test]
fn what_is_given_up_in_a_pair_is_marked() {
    let mut config = config(12);
    config.request_blocks_max = 5;
    let mut bench = Bench::new(1, config, 2);
    bench.split(0, 1);
    let blocks = BlockRange::new(BlockNo(2), 20);
    assert_eq!(bench.run(HostOp::Unmap { ldev: ldev(0), blocks }), HostReply::Done);
    assert_eq!(bench.pair(0, 1).dp.count(), 6);
}

/// Wherever a long request begins, what it gives up whole has no storage afterwards.
#[test]
fn whole_tracks_are_given_up_wherever_chunks_begin() {
    let geometry = Geometry::with_tracks(BLOCKS_PER_TRACK, 20);
    for (chunk_blocks, start) in [(10, 0), (10, 3), (3, 1), (4, 2), (80, 1)] {
        let mut config = config(24);
        config.chunk_blocks = chunk_blocks;
        let mut bench = Bench::with_shapes(1, config, &[geometry]);
        bench.fill(0, 1);
        let blocks = BlockRange { start: BlockNo(start), end: BlockNo(79) };
        assert_eq!(bench.run(HostOp::Unmap { ldev: ldev(0), blocks }), HostReply::Done);
        let left: Vec<_> = bench.volume(0).allocated.runs().flat_map(TrackRange::iter).collect();
        let first = (start > 0).then_some(TrackNo(0));
        let expected: Vec<_> = first.into_iter().chain([TrackNo(19)]).collect();
        assert_eq!(left, expected, "chunks of {chunk_blocks} from {start}");
        assert_eq!(bench.read(0, 79, 1), Ok(vec![1]));
        assert_eq!(bench.read(0, start, 79 - start), Ok(vec![0; 79 - start as usize]));
    }
}
