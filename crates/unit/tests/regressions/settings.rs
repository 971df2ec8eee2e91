//! Settings that no unit can have.

use crate::bench::{Bench, command, config};
use diptych_cache::CacheError;
use diptych_cha::CommandCode;
use diptych_device::MemoryDrive;
use diptych_dka::Drives;
use diptych_shared::{Pace, PairOptions};
use diptych_unit::{Plant, Unit, UnitConfig, UnitError};

fn made(config: UnitConfig) -> Result<(), UnitError> {
    let plant = Plant::new(Drives::new(vec![(0, Box::new(MemoryDrive::new(1 << 10)))]));
    Unit::new(config, &plant).map(drop)
}

type Change = fn(&mut UnitConfig);
type Is = fn(&CacheError) -> bool;

#[test]
fn each_setting_that_may_not_be_zero_is_named() {
    let zeros: [(&str, Change); 11] = [
        ("secondaries_max", |c| c.secondaries_max = 0),
        ("copy_floor_ns", |c| c.copy_floor_ns = 0),
        ("destage_jobs", |c| c.destage_jobs = 0),
        ("destage_batch_tracks", |c| c.destage_batch_tracks = 0),
        ("chunk_blocks", |c| c.chunk_blocks = 0),
        ("request_blocks_max", |c| c.request_blocks_max = 0),
        ("lanes_max", |c| c.lanes_max = 0),
        ("limits.pairs", |c| c.limits.pairs = 0),
        ("limits.volumes", |c| c.limits.volumes = 0),
        ("limits.queued_claims", |c| c.limits.queued_claims = 0),
        ("cache.waiters_max", |c| c.cache.waiters_max = 0),
    ];
    assert_eq!(made(config(8)), Ok(()));
    for (setting, change) in zeros {
        let mut config = config(8);
        change(&mut config);
        let error = made(config).expect_err(setting);
        assert_eq!(error, UnitError::Zero { setting });
        assert_eq!(error.to_string(), format!("{setting} must be at least 1"));
    }
}

#[test]
fn zeros_that_mean_something_are_taken() {
    let zeros: [Change; 3] =
        [|c| c.copy_rest_ns = 0, |c| c.destage_delay_ns = 0, |c| c.history_max = 0];
    for change in zeros {
        let mut config = config(8);
        change(&mut config);
        assert_eq!(made(config), Ok(()));
    }
}

#[test]
fn copies_slow_down_between_two_marks() {
    let check = |slows_at_percent: u8, floor_at_percent: u8, possible: bool| {
        let mut config = config(8);
        config.copy_slows_at_percent = slows_at_percent;
        config.copy_floor_at_percent = floor_at_percent;
        let refused = UnitError::WritePendingMarks { slows_at_percent, floor_at_percent };
        assert_eq!(made(config), if possible { Ok(()) } else { Err(refused) });
    };
    check(0, 1, true);
    check(99, 100, true);
    check(60, 60, false);
    check(61, 60, false);
    check(60, 101, false);
    let error = UnitError::WritePendingMarks { slows_at_percent: 80, floor_at_percent: 60 };
    let expected = "copies slow down between two marks up to 100 %, not 80 to 60";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn the_cache_refuses_its_own() {
    let zeros: [(Change, Is); 4] = [
        (|c| c.cache.capacity_slots = 0, |e| matches!(e, CacheError::Capacity { .. })),
        (|c| c.cache.track_bytes = 0, |e| matches!(e, CacheError::TrackBytes { .. })),
        (|c| c.cache.shards = 0, |e| matches!(e, CacheError::Shards { .. })),
        (
            |c| c.cache.write_pending_limit_slots = 0,
            |e| matches!(e, CacheError::WritePendingLimit { .. }),
        ),
    ];
    for (change, expected) in zeros {
        let mut config = config(8);
        change(&mut config);
        let error = made(config).expect_err("a cache of nothing");
        assert!(matches!(&error, UnitError::Cache(e) if expected(e)), "{error}");
    }
}

#[test]
fn there_are_no_more_pairs_than_pair_numbers() {
    let mut config = config(8);
    config.limits.pairs = 1 << 16;
    assert_eq!(made(config.clone()), Ok(()));
    config.limits.pairs += 1;
    assert_eq!(made(config), Err(UnitError::TooManyPairs { asked: 65_537, most: 65_536 }));
}

/// A chunk is what is advertised to hosts as the transfer limit, or less.
#[test]
fn a_chunk_is_at_most_one_mebibyte() {
    let most = UnitConfig::CHUNK_BLOCKS;
    for (chunk_blocks, possible) in [(most, true), (most + 1, false), (u64::MAX, false)] {
        let mut config = config(8);
        config.chunk_blocks = chunk_blocks;
        let refused = UnitError::TooMuch { setting: "chunk_blocks", asked: chunk_blocks, most };
        assert_eq!(made(config), if possible { Ok(()) } else { Err(refused) });
    }
    let error = UnitError::TooMuch { setting: "chunk_blocks", asked: 2_049, most };
    assert_eq!(error.to_string(), "chunk_blocks must be at most 2048, not 2049");
}

/// What a host's write may have to copy ahead has room in the log.
#[test]
fn a_primary_has_sixteen_secondaries_at_most() {
    let mut config = config(8);
    config.secondaries_max = 16;
    assert_eq!(made(config.clone()), Ok(()));
    config.secondaries_max = 17;
    let refused = UnitError::TooMuch { setting: "secondaries_max", asked: 17, most: 16 };
    assert_eq!(made(config), Err(refused));
}

/// Times as long as can be mean never.
#[test]
fn the_longest_times_are_taken() {
    let mut config = config(8);
    config.copy_rest_ns = u64::MAX;
    config.copy_floor_ns = u64::MAX;
    config.drain_limit_ns = u64::MAX;
    config.destage_delay_ns = u64::MAX;
    config.request_blocks_max = u64::MAX;
    let mut bench = Bench::new(1, config, 2);
    bench.fill(0, 1);
    let limit = "1ms".parse().ok();
    for (pace, limit, copied) in
        [(Pace::SLOW, None, 1), (Pace::FAST, None, 6), (Pace::SLOW, limit, 1)]
    {
        let options = PairOptions { pace, limit, ..PairOptions::default() };
        bench.accept(command(CommandCode::Create, 0, 1).with_options(options));
        bench.run_without(&[]);
        assert_eq!(bench.pair(0, 1).copied_tracks, copied, "{options:?}");
        bench.accept(command(CommandCode::Delete, 0, 1));
    }
}
