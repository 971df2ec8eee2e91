//! Changes that depend on what the blocks hold: compare and write, OR write.

use crate::bench::*;
use bytes::Bytes;
use diptych_cha::{CommandCode, Forbidden, HostError, HostOp, HostReply, Tried};
use diptych_device::{FaultKind, FaultRule, Op};
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, Geometry, OwnerId};
use diptych_shared::{MapName, Pace, PairOptions};
use diptych_testkit::{Choices, Setup, Tag, explore, ldev};

fn data(start: u64, tags: &[u64]) -> Bytes {
    let blocks = (start..).map(BlockNo).zip(tags);
    blocks.flat_map(|(block, tag)| Tag(*tag).block(block)).collect()
}

/// Writes `tag` if the blocks hold `expected`.
fn swap_of(volume: u8, start: u64, expected: &[u64], tag: u64) -> HostOp {
    let tags = vec![tag; expected.len()];
    let (ldev, block) = (ldev(volume), BlockNo(start));
    let (expected, data) = (data(start, expected), data(start, &tags));
    HostOp::CompareAndWrite { ldev, block, expected, data }
}

fn or_of(volume: u8, start: u64, data: impl Into<Bytes>) -> HostOp {
    HostOp::OrWrite { ldev: ldev(volume), block: BlockNo(start), data: data.into() }
}

const QUICK: PairOptions = PairOptions { pace: Pace::SLOW, lanes: 1, quick: true, limit: None };

/// Volume 1 is there to drive volume 0 out of the cache.
fn small_cache() -> Bench {
    Bench::with_shapes(1, config(8), &[shape(), Geometry::with_tracks(BLOCKS_PER_TRACK, 12)])
}

#[test]
fn blocks_are_written_if_they_hold_what_is_expected() {
    #[track_caller]
    fn check(start: u64, expected: &[u64], differs: Option<u64>) {
        for evicted in [false, true] {
            let mut bench = small_cache();
            assert_eq!(bench.write(0, 2, 9, 7), HostReply::Done);
            if evicted {
                bench.evict(1);
            }
            let mut held = [&[0; 2][..], &[7; 9], &[0; 13]].concat();
            let reply = bench.run(swap_of(0, start, expected, 9));
            match differs {
                Some(at_bytes) => assert_eq!(reply, HostReply::Miscompare { at_bytes }),
                None => {
                    assert_eq!(reply, HostReply::Done);
                    held[start as usize..start as usize + expected.len()].fill(9);
                }
            }
            assert_eq!(bench.read(0, 0, 24), Ok(held), "evicted: {evicted}");
            bench.settle();
        }
    }
    check(2, &[7], None);
    check(0, &[0, 0, 7, 7], None); // a whole track
    check(1, &[0, 7, 7, 7, 7, 7, 7, 7, 7, 7, 0, 0], None); // over four tracks
    check(12, &[0, 0, 0, 0], None); // a track without storage
    check(15, &[0, 0], None);
    check(2, &[8], Some(0));
    check(0, &[0, 0, 7, 8], Some(3 * 512));
    check(3, &[7, 7, 7, 7, 7, 7, 7, 7, 7], Some(8 * 512));
    check(12, &[0, 0, 0, 1], Some(3 * 512));
    check(5, &[], None);
}

#[test]
fn the_first_byte_that_differs_is_named() {
    let mut bench = Bench::new(1, config(12), 1);
    bench.fill(0, 3);
    let mut expected = data(5, &[3, 3]).to_vec();
    expected[700] ^= 0x10;
    expected[900] ^= 0x10;
    let data = data(5, &[4, 4]);
    let op = HostOp::CompareAndWrite {
        ldev: ldev(0),
        block: BlockNo(5),
        expected: expected.into(),
        data,
    };
    assert_eq!(bench.alone(op), HostReply::Miscompare { at_bytes: 700 });
}

#[test]
fn what_cannot_be_one_step_is_refused() {
    let mut bench = Bench::new(1, config(24), 1);
    #[track_caller]
    fn check(bench: &mut Bench, start: u64, bytes: [usize; 2], expected: HostError) {
        let [expected_bytes, data_bytes] = bytes.map(|bytes| Bytes::from(vec![0; bytes]));
        let (ldev, block) = (ldev(0), BlockNo(start));
        let data = data_bytes.clone();
        let op = HostOp::CompareAndWrite { ldev, block, expected: expected_bytes, data };
        assert_eq!(bench.alone(op), HostReply::Failed(expected));
    }
    let ldev = ldev(0);
    check(&mut bench, 0, [100, 100], HostError::NotWholeBlocks { bytes: 100 });
    let error = HostError::NotAsMany { expected_bytes: 512, data_bytes: 1024 };
    check(&mut bench, 0, [512, 1024], error);
    let most_blocks = 3 * BLOCKS_PER_TRACK;
    let error = HostError::TooLarge { blocks: most_blocks + 1, most_blocks };
    check(&mut bench, 0, [13 * 512; 2], error);
    let blocks = BlockRange::new(BlockNo(23), 2);
    let error = HostError::OutOfRange { ldev, blocks, block_count: 24 };
    check(&mut bench, 23, [1024; 2], error);
    let or = or_of(0, 0, vec![1; 100]);
    let error = HostError::NotWholeBlocks { bytes: 100 };
    assert_eq!(bench.alone(or), HostReply::Failed(error));
}

#[test]
fn bits_that_were_set_stay_set() {
    let mut bench = small_cache();
    let blocks = |bytes: [u8; 3]| bytes.map(|byte| [byte; BLOCK_BYTES]).concat();
    let write = HostOp::Write { ldev: ldev(0), block: BlockNo(3), data: blocks([1, 6, 8]).into() };
    assert_eq!(bench.run(write), HostReply::Done);
    bench.evict(1);
    assert_eq!(bench.run(or_of(0, 2, blocks([0x80, 2, 0x11]))), HostReply::Done);
    let HostReply::Data(data) = bench.run(read_of(0, 2, 4)) else { panic!("no data") };
    let found: Vec<u8> = data.chunks(BLOCK_BYTES).map(|block| block[BLOCK_BYTES - 1]).collect();
    assert_eq!(found, [0x80, 3, 0x17, 8]);
    // In chunks, of which each holds what was there.
    assert_eq!(bench.run(or_of(0, 0, vec![0x20; 24 * BLOCK_BYTES])), HostReply::Done);
    let HostReply::Data(data) = bench.run(read_of(0, 0, 24)) else { panic!("no data") };
    let found: Vec<u8> = data.chunks(BLOCK_BYTES).map(|block| block[0]).collect();
    let mut expected = [0x20; 24];
    expected[2..6].copy_from_slice(&[0xA0, 0x23, 0x37, 0x28]);
    assert_eq!(found, expected);
}

/// Every change passes Fig. 9, this one too; one that is not made does not.
#[test]
fn an_image_keeps_what_was_compared() {
    for (expected, done, protected) in [(1, HostReply::Done, true), (2, DIFFERS, false)] {
        let mut bench = Bench::new(3, config(12), 3);
        bench.fill(0, 1);
        bench.accept(command(CommandCode::Create, 0, 1).without_initial_copy());
        bench.accept(command(CommandCode::Copy, 0, 1));
        let id = bench.begin(swap_of(0, 6, &[expected], 9));
        assert_eq!(bench.reply(id), done);
        let pair = bench.pair(0, 1);
        assert_eq!(!pair.c.get(diptych_format::TrackNo(1)), protected);
        assert_eq!(tracks(&pair, MapName::Dp).contains(&1), protected);
        bench.settle();
        assert_eq!(bench.read(1, 0, 24), Ok(vec![1; 24]));
        bench.accept(command(CommandCode::Resync, 0, 1));
        bench.settle();
        bench.accept(command(CommandCode::Copy, 0, 1));
        let mut now = vec![1; 24];
        now[6] = if protected { 9 } else { 1 };
        assert_eq!(bench.read(1, 0, 24), Ok(now));
    }
}

const DIFFERS: HostReply = HostReply::Miscompare { at_bytes: 0 };

/// A quick secondary, and a primary that is being restored, hold what is brought to them: also where whole
/// tracks are written.
#[test]
fn tracks_are_brought_before_they_are_compared() {
    for whole in [false, true] {
        let (start, count) = if whole { (4, 4) } else { (5, 1) };
        let mut bench = Bench::new(5, config(12), 2);
        bench.fill(0, 1);
        bench.accept(command(CommandCode::Create, 0, 1).without_initial_copy());
        bench.accept(command(CommandCode::Copy, 0, 1).with_options(QUICK));
        let [held, other] = [1, 2].map(|tag| vec![tag; count]);
        assert_eq!(bench.alone(swap_of(1, start, &other, 3)), DIFFERS, "whole: {whole}");
        assert_eq!(bench.alone(swap_of(1, start, &held, 3)), HostReply::Done, "whole: {whole}");
        bench.settle();
        assert_eq!(bench.read(0, start, count as u64), Ok(held.clone()));
        assert_eq!(bench.read(1, start, count as u64), Ok(vec![3; count]));
        // The other way.
        bench.accept(command(CommandCode::Restore, 0, 1));
        assert_eq!(bench.alone(swap_of(0, start, &held, 4)), DIFFERS, "whole: {whole}");
        let restored = vec![3; count];
        assert_eq!(bench.alone(swap_of(0, start, &restored, 4)), HostReply::Done);
        bench.settle();
        assert_eq!(bench.read(0, start, count as u64), Ok(vec![4; count]));
    }
}

#[test]
fn who_may_not_write_may_not_compare_either() {
    let mut bench = Bench::new(1, config(12), 2);
    bench.unit().set_reserved(ldev(1), true, bench.hand.now()).expect("no pair");
    let why = Forbidden::Reserved;
    let error = HostError::Access { ldev: ldev(1), tried: Tried::Write, why };
    assert_eq!(bench.alone(swap_of(1, 0, &[1], 2)), HostReply::Failed(error));
    assert_eq!(bench.alone(or_of(1, 0, vec![1; 512])), HostReply::Failed(error));
}

#[test]
fn what_cannot_be_read_is_not_changed() {
    let mut bench = small_cache();
    bench.fill(0, 1);
    bench.evict(1);
    bench.drives[0]
        .goes_wrong(FaultRule::new(Op::Read, FaultKind::LatentError).touching(sectors(2)));
    for op in [swap_of(0, 8, &[1], 2), or_of(0, 8, vec![1; 512])] {
        let reply = bench.run(op);
        let failed =
            matches!(reply, HostReply::Failed(HostError::Medium { .. } | HostError::Drive { .. }));
        assert!(failed, "{reply:?}");
    }
    bench.drives[0].heal();
    assert_eq!(bench.read(0, 0, 24), Ok(vec![1; 24]));
}

/// Two that expect the same: whichever is first changes it, whatever they wait for between their steps.
#[test]
fn of_two_that_expect_the_same_one_succeeds() {
    let explored = explore(60_000, |choices| {
        let setup = Setup::new(2, 2, 8, 2);
        let mut hand = Setup { needs_reserve: false, ..setup }.build();
        let mut quiet = Choices::from_seed(0);
        let first = write_of(0, 0, 2, 1);
        assert_eq!(hand.run(first, &mut quiet), Ok(HostReply::Done));
        // Out of the cache: a read of the drive is one more moment for the others.
        assert_eq!(hand.run(write_of(1, 0, 16, 1), &mut quiet), Ok(HostReply::Done));
        hand.quiesce(&mut quiet).expect("nothing is under way");
        let ids = [2, 3].map(|tag| hand.start(swap_of(0, 0, &[1], tag)));
        // The other block of the same track: what is not compared is not lost either.
        let beside = hand.start(write_of(0, 1, 1, 4));
        let mut replies = Vec::new();
        while replies.len() < 3 {
            assert!(hand.make_any(choices), "every job ends");
            let ended: Vec<OwnerId> = hand.ended().collect();
            replies.extend(ended.into_iter().map(|id| (id, hand.take_reply(id).expect("ended"))));
        }
        let reply = |id: OwnerId| &replies.iter().find(|(of, _)| *of == id).expect("all").1;
        assert_eq!(reply(beside), &HostReply::Done);
        let [second, third] = ids.map(reply);
        let winner = match (second, third) {
            (HostReply::Done, HostReply::Miscompare { .. }) => 2,
            (HostReply::Miscompare { .. }, HostReply::Done) => 3,
            both => panic!("two of one kind: {both:?}"),
        };
        let found = hand.run(read_of(0, 0, 2), &mut quiet).expect("an answer");
        assert_eq!(tags_of(0, found), Ok(vec![winner, 4]));
    });
    assert!(explored.runs > 100, "{explored:?}");
}
