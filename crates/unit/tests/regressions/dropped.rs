//! Jobs that are dropped where they stand give back all they hold, wherever that is.

use crate::bench::*;
use diptych_cha::{CommandCode, HostOp, HostReply};
use diptych_format::{BlockNo, BlockRange, Geometry, OwnerId};
use diptych_shared::{Pace, PairOptions, PairStatus, Phase};
use diptych_testkit::ldev;

const SLOTS: usize = 8;
/// A volume that fills the whole cache in one write.
const SCRATCH: u8 = 4;

/// Four volumes, 0 -> 1 following, 0 -> 2 quick with its image being copied, and one operation of each
/// kind to be started. One lane a pair and one destage job: one that is lost stops everything.
fn busy(seed: u64) -> Bench {
    let mut config = config(SLOTS);
    config.destage_jobs = 1;
    config.chunk_blocks = SLOTS as u64 * BLOCKS_PER_TRACK;
    let scratch = Geometry::with_tracks(BLOCKS_PER_TRACK, SLOTS as u64);
    let mut bench =
        Bench::with_shapes(seed, config, &[shape(), shape(), shape(), shape(), scratch]);
    bench.fill(0, 1);
    bench.evict(SCRATCH);
    bench.accept(command(CommandCode::Create, 0, 1));
    let quick = PairOptions { pace: Pace::SLOW, quick: true, ..PairOptions::default() };
    bench.accept(command(CommandCode::Create, 0, 2).without_initial_copy());
    bench.alone(HostOp::Command(command(CommandCode::Copy, 0, 2).with_options(quick)));
    let unmapped = BlockRange::new(BlockNo(10), 7);
    for op in [
        write_of(0, 2, 6, 2),
        read_of(2, 9, 4),
        HostOp::Flush { ldev: ldev(0) },
        write_of(2, 13, 2, 3),
        HostOp::Unmap { ldev: ldev(0), blocks: unmapped },
        HostOp::Command(command(CommandCode::Create, 0, 3)),
        read_of(0, 0, 24),
        HostOp::Command(command(CommandCode::Suspend, 0, 1)),
        write_of(0, 16, 4, 4),
        HostOp::Flush { ldev: ldev(2) },
    ] {
        bench.hand.start(op);
    }
    bench
}

/// Nothing is lost: everything ends, whoever comes gets the whole cache and the whole family, and
/// copies and flushes end.
#[track_caller]
fn check_whole(bench: &mut Bench, what: &str) {
    let settled = bench.hand.settle(&mut bench.choices);
    settled.unwrap_or_else(|v| panic!("{what}: {v}"));
    bench.hand.check_room().unwrap_or_else(|v| panic!("{what}: {v}"));
    bench.hand.check_copies_ended().unwrap_or_else(|v| panic!("{what}: {v}"));
    for volume in 0..=SCRATCH {
        assert_eq!(bench.flush(volume), HostReply::Done, "{what}: volume {volume}");
    }
    let counts = bench.unit().cache_counts();
    assert_eq!((counts.waiters, counts.dirty_slots), (0, 0), "{what}: {counts:?}");
    assert!(counts.buffers <= counts.slots, "{what}: {counts:?}");
    // No slot is pinned, and every buffer can be had.
    let all = SLOTS as u64 * BLOCKS_PER_TRACK;
    assert_eq!(bench.write(SCRATCH, 0, all, 9), HostReply::Done, "{what}");
    bench.settle();
    // No claim is held: commands get the whole family.
    for pair in bench.unit().pairs() {
        for code in [CommandCode::Suspend, CommandCode::Resync] {
            let (primary, secondary) = (pair.primary.ldev, pair.secondary.ldev);
            let outcome = bench.give(command(code, primary, secondary));
            let already = code == CommandCode::Suspend && pair.status == PairStatus::Suspended;
            let accepted = matches!(outcome, diptych_cha::Outcome::Accepted { .. });
            assert!(accepted || already, "{what}: {code}: {outcome:?}");
        }
    }
    bench.settle();
    for pair in bench.unit().pairs() {
        assert_eq!(pair.phase, Phase::Duplex, "{what}: {} -> {}", pair.primary, pair.secondary);
        assert!(pair.c.is_empty(), "{what}: {} -> {}", pair.primary, pair.secondary);
    }
    let quiet = bench.hand.quiesce(&mut bench.choices);
    quiet.unwrap_or_else(|v| panic!("{what}: {v}"));
    bench.hand.check_stored().unwrap_or_else(|v| panic!("{what}: {v}"));
}

/// The scenario after so many moves; `None` if it has fewer.
fn after(seed: u64, moves: u64) -> Option<Bench> {
    let mut bench = busy(seed);
    let made = bench.hand.run_random(&mut bench.choices, moves);
    (made == moves).then_some(bench)
}

#[test]
fn whichever_job_is_dropped_wherever_it_stands_nothing_is_lost() {
    let mut dropped_count = 0;
    for seed in 0..3 {
        check_whole(&mut busy(seed), &format!("seed {seed}, nothing dropped"));
        for moves in 0.. {
            let Some(bench) = after(seed, moves) else { break };
            for id in bench.jobs() {
                let mut bench = after(seed, moves).expect("as before");
                bench.hand.cancel(id);
                check_whole(&mut bench, &format!("seed {seed}, move {moves}, job {id} dropped"));
                dropped_count += 1;
            }
        }
    }
    assert!(dropped_count > 1_000, "only {dropped_count} jobs were dropped");
}

#[test]
fn all_jobs_dropped_at_once_lose_nothing() {
    for seed in 0..3 {
        for moves in 0.. {
            let Some(mut bench) = after(seed, moves) else { break };
            let jobs: Vec<OwnerId> = bench.jobs();
            for id in jobs {
                bench.hand.cancel(id);
            }
            check_whole(&mut bench, &format!("seed {seed}, move {moves}, all dropped"));
        }
    }
}

#[test]
fn a_place_is_given_back_though_the_last_destage_of_its_volume_is_dropped() {
    let mut bench = Bench::new(1, config(8), 1);
    let shape = || Geometry::with_tracks(BLOCKS_PER_TRACK, 100);
    let free = (1_u8..).take_while(|no| bench.unit().add_volume(ldev(*no), shape(), 0).is_ok());
    let last = free.last().expect("room for more than one");
    assert_eq!(bench.alone(write_of(last, 0, 4, 1)), HostReply::Done);
    let flush = bench.begin(HostOp::Flush { ldev: ldev(last) });
    let destage = bench.due()[0];
    bench.turn_to_effect(destage, 0);
    bench.hand.cancel(flush);
    assert_eq!(bench.unit().remove_volume(ldev(last)), Ok(vec![]));
    assert!(bench.unit().add_volume(ldev(last), shape(), 0).is_err(), "the drive is at work there");
    bench.hand.cancel(destage);
    assert_eq!(bench.unit().add_volume(ldev(last), shape(), 0), Ok(()));
    bench.settle();
    assert_eq!(bench.read(last, 0, 4), Ok(vec![0; 4]));
}
