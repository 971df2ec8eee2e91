//! A short storm of crashes, and storms that are wrong on purpose. The long one is
//! `cargo xtask storm --seeds N`.

use diptych_testkit::{CrashFlaw, CrashReport, run_crashes};

/// Units of the short storm.
const SEEDS: u64 = 300;

fn run(seeds: std::ops::Range<u64>) -> CrashReport {
    let mut report = CrashReport::default();
    for seed in seeds {
        report.add(&run_crashes(seed, None, 0).unwrap_or_else(|found| panic!("{found}")));
    }
    report
}

#[test]
fn what_was_answered_outlives_every_crash() {
    let report = run(1_000_000..1_000_000 + SEEDS);
    assert!(report.kills > SEEDS && report.cuts > SEEDS, "{report:?}");
    assert!(report.in_recovery > SEEDS / 2, "{report:?}");
    assert!(report.commands > 10 * SEEDS && report.images > 5 * SEEDS, "{report:?}");
    assert!(report.found_accepted > SEEDS / 20, "{report:?}");
    assert!(report.blocks > 400 * SEEDS, "{report:?}");
}

/// Below a pair that was being restored a pair waited for tracks that nobody brought.
#[test]
fn a_restore_keeps_nothing_from_the_level_below() {
    for seed in [104_576, 106_212, 113_904] {
        run(seed..seed + 1);
    }
}

/// A slot that was written again while a checkpoint destaged it was left to nobody.
#[test]
fn what_a_checkpoint_had_in_hand_is_destaged() {
    run(614_121..614_122);
}

/// A pair that waited for its primary to mean something again was not told of its format.
#[test]
fn a_format_lets_the_level_below_go_on() {
    run(615_348..615_349);
}

#[test]
fn a_unit_that_forgets_is_found_out() {
    for flaw in CrashFlaw::ALL {
        let found = (1..200).find_map(|seed| run_crashes(seed, Some(flaw), 0).err());
        let found = found.unwrap_or_else(|| panic!("{flaw:?} was not found"));
        // Its seed finds it again.
        let again = run_crashes(found.seed, Some(flaw), 0);
        assert_eq!(again.expect_err("a seed makes one storm").wrong, found.wrong, "{flaw:?}");
    }
}

#[test]
fn a_seed_makes_one_storm() {
    assert_eq!(run(7..10), run(7..10));
}
