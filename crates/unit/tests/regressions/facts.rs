//! What hosts are told of a volume beside its blocks.

use crate::bench::*;
use diptych_cha::{
    ALLOCATION_RUNS_MAX, AllocatedRun, CommandCode, Forbidden, HostError, HostOp, HostReply,
    PairFacts, PairTable, PairsOf, Tried, VolumeFacts,
};
use diptych_format::{BlockNo, BlockRange, Geometry};
use diptych_shared::{Pace, PairOptions, PairStatus};
use diptych_testkit::ldev;
use diptych_unit::UnitConfig;

fn allocation(bench: &mut Bench, volume: u8, start: u64, count: u64) -> Vec<(u64, u64, bool)> {
    let blocks = BlockRange::new(BlockNo(start), count);
    match bench.alone(HostOp::Allocation { ldev: ldev(volume), blocks }) {
        HostReply::Allocation(runs) => {
            let shown = |run: AllocatedRun| (run.blocks.start.0, run.blocks.end.0, run.allocated);
            runs.into_iter().map(shown).collect()
        }
        other => panic!("answered {other:?}"),
    }
}

fn describe(bench: &mut Bench, volume: u8) -> VolumeFacts {
    match bench.alone(HostOp::Describe { ldev: ldev(volume) }) {
        HostReply::Volume(facts) => facts,
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn tracks_that_were_written_have_storage() {
    let mut bench = Bench::new(1, config(12), 2);
    assert_eq!(allocation(&mut bench, 0, 0, 24), [(0, 24, false)]);
    bench.write(0, 5, 1, 1);
    bench.write(0, 12, 5, 1);
    // Dirty, and destaged.
    for _ in 0..2 {
        let runs = [(0, 4, false), (4, 8, true), (8, 12, false), (12, 20, true), (20, 24, false)];
        assert_eq!(allocation(&mut bench, 0, 0, 24), runs);
        assert_eq!(allocation(&mut bench, 0, 6, 9), [(6, 8, true), (8, 12, false), (12, 15, true)]);
        assert_eq!(allocation(&mut bench, 0, 9, 2), [(9, 11, false)]);
        assert_eq!(allocation(&mut bench, 0, 9, 0), []);
        bench.evict(1);
    }
    let blocks = BlockRange::new(BlockNo(12), 6);
    assert_eq!(bench.run(HostOp::Unmap { ldev: ldev(0), blocks }), HostReply::Done);
    let runs = [(0, 4, false), (4, 8, true), (8, 16, false), (16, 20, true), (20, 24, false)];
    assert_eq!(allocation(&mut bench, 0, 0, 24), runs);
}

#[test]
fn an_answer_has_a_limit() {
    let tracks = 2 * ALLOCATION_RUNS_MAX as u64;
    let config = UnitConfig { chunk_blocks: 12, ..config(40) };
    let mut bench = Bench::with_shapes(1, config, &[Geometry::with_tracks(4, tracks)]);
    for track in (0..tracks).step_by(2) {
        assert_eq!(bench.write(0, 4 * track, 1, 1), HostReply::Done);
    }
    let runs = allocation(&mut bench, 0, 0, 4 * tracks);
    assert_eq!(runs.len(), ALLOCATION_RUNS_MAX);
    assert_eq!(runs.last(), Some(&(2 * tracks - 4, 2 * tracks, false)));
    assert_eq!(allocation(&mut bench, 0, 2 * tracks, 2 * tracks).len(), ALLOCATION_RUNS_MAX);
}

/// A quick secondary shows the storage of its image, not what is in it so far; so does a primary that is
/// being restored.
#[test]
fn tracks_that_are_still_to_come_count_as_what_they_will_be() {
    let mut bench = Bench::new(2, config(16), 2);
    bench.write(0, 4, 8, 1);
    let quick = PairOptions { pace: Pace::SLOW, lanes: 1, quick: true, limit: None };
    bench.accept(command(CommandCode::Create, 0, 1).without_initial_copy());
    bench.accept(command(CommandCode::Copy, 0, 1).with_options(quick));
    bench.write(1, 20, 1, 2);
    let image = [(0, 4, false), (4, 12, true), (12, 20, false), (20, 24, true)];
    assert_eq!(allocation(&mut bench, 1, 0, 24), image);
    bench.settle();
    assert_eq!(allocation(&mut bench, 1, 0, 24), image);
    bench.write(0, 0, 1, 3);
    bench.accept(command(CommandCode::Restore, 0, 1));
    assert_eq!(allocation(&mut bench, 0, 0, 24), image);
    bench.settle();
    assert_eq!(allocation(&mut bench, 0, 0, 24), image);
}

#[test]
fn who_may_not_read_is_not_told_what_has_storage() {
    let mut bench = Bench::new(1, config(12), 2);
    bench.accept(command(CommandCode::Create, 0, 1));
    let failed = HostReply::Failed;
    let mut check = |volume: u8, count: u64, expected: HostReply| {
        let blocks = BlockRange::new(BlockNo(0), count);
        assert_eq!(bench.alone(HostOp::Allocation { ldev: ldev(volume), blocks }), expected);
    };
    let why = Forbidden::Secondary(PairStatus::PairedNotCopied);
    check(1, 1, failed(HostError::Access { ldev: ldev(1), tried: Tried::Read, why }));
    let blocks = BlockRange::new(BlockNo(0), 25);
    check(0, 25, failed(HostError::OutOfRange { ldev: ldev(0), blocks, block_count: 24 }));
    check(7, 1, failed(HostError::NoVolume { ldev: ldev(7) }));
}

#[test]
fn facts_of_volumes() {
    let mut bench = Bench::new(1, config(12), 4);
    bench.unit().set_reserved(ldev(2), true, bench.hand.now()).expect("no pair");
    bench.accept(command(CommandCode::Create, 0, 1));
    let plain = VolumeFacts {
        ldev: ldev(0),
        block_count: 24,
        blocks_per_track: 4,
        contents_defined: true,
        blocked: false,
        reserved: false,
        read: None,
        write: None,
    };
    assert_eq!(describe(&mut bench, 0), plain);
    let why = Some(Forbidden::Secondary(PairStatus::PairedNotCopied));
    let secondary = VolumeFacts { ldev: ldev(1), read: why, write: why, ..plain };
    assert_eq!(describe(&mut bench, 1), secondary);
    let write = Some(Forbidden::Reserved);
    let reserved = VolumeFacts { ldev: ldev(2), reserved: true, write, ..plain };
    assert_eq!(describe(&mut bench, 2), reserved);
    bench.accept(command(CommandCode::Delete, 0, 1));
    let undefined = VolumeFacts { ldev: ldev(1), contents_defined: false, ..plain };
    assert_eq!(describe(&mut bench, 1), undefined);
    let none = HostReply::Failed(HostError::NoVolume { ldev: ldev(9) });
    assert_eq!(bench.alone(HostOp::Describe { ldev: ldev(9) }), none);
}

fn pairs(bench: &mut Bench, of: PairsOf) -> PairTable {
    match bench.alone(HostOp::Pairs { of }) {
        HostReply::Pairs(table) => table,
        other => panic!("answered {other:?}"),
    }
}

#[test]
fn facts_of_pairs() {
    let mut bench = Bench::new(1, config(12), 4);
    let volumes = |primary, secondary| PairsOf::Volumes {
        primary: ldev(primary),
        secondary: ldev(secondary),
    };
    let all = PairsOf::Numbers { first: 0, last: u16::MAX };
    assert_eq!(pairs(&mut bench, all.clone()), PairTable::default());
    for secondary in [1, 2] {
        bench.accept(command(CommandCode::Create, 0, secondary));
    }
    bench.settle();
    bench.accept(command(CommandCode::Copy, 0, 2));
    bench.write(0, 4, 8, 1);
    bench.write(2, 20, 1, 2);
    let found = pairs(&mut bench, all);
    assert_eq!((found.count, found.numbers_end, found.pairs.len()), (2, 2, 2));
    assert_eq!(found.pairs[1], PairFacts::of(&bench.pair(0, 2)));
    let PairFacts { status, tracks, c_tracks, dp_tracks, ds_tracks, .. } = found.pairs[1];
    assert_eq!(status, PairStatus::Copied);
    assert_eq!((tracks, c_tracks, dp_tracks, ds_tracks), (6, 0, 2, 1));
    // One of them, by its volumes or its number.
    assert_eq!(pairs(&mut bench, volumes(0, 2)).pairs, found.pairs[1..]);
    let one = pairs(&mut bench, PairsOf::Numbers { first: 1, last: 9 });
    assert_eq!((one.count, one.pairs), (2, found.pairs[1..].to_vec()));
    for (primary, secondary) in [(2, 0), (0, 3), (9, 1)] {
        assert_eq!(pairs(&mut bench, volumes(primary, secondary)), PairTable::default());
    }
}
