//! A short storm of splits, and storms that are wrong on purpose. The long one is `cargo xtask storm`.

use diptych_testkit::{Flaw, Storm, StormReport, run_storm};

/// Splits of the short storm.
const SPLITS: u64 = 400;

fn run(storm: Storm) -> StormReport {
    run_storm(storm, |_| ()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn every_image_is_its_primary_at_one_instant() {
    let report = run(Storm { seed: 1_000, splits: SPLITS, flaw: None });
    if let Some(wrong) = report.first_wrong {
        panic!("{} wrong blocks: {wrong}", report.wrong_blocks);
    }
    assert_eq!(report.splits, SPLITS);
    // There was a load, and images that depended on it.
    assert!(report.writes > 20 * SPLITS, "{report:?}");
    assert!(report.protected_tracks > SPLITS, "{report:?}");
    assert!(report.blocks > 50 * SPLITS, "{report:?}");
    // And a second level, and ways back.
    assert!(report.images_below > SPLITS / 50 && report.restores > SPLITS / 50, "{report:?}");
}

#[test]
fn a_storm_that_is_wrong_on_purpose_is_found_out() {
    for flaw in Flaw::ALL {
        let storm = Storm { seed: 1, splits: SPLITS, flaw: Some(flaw) };
        let report = run(storm);
        let wrong = report.first_wrong.unwrap_or_else(|| panic!("{flaw:?} was not found"));
        // Its seed finds it again, at once.
        let again = run(Storm { seed: wrong.seed, ..storm });
        assert_eq!(again.first_wrong, Some(wrong), "{flaw:?}");
        assert!(again.splits <= 50, "{flaw:?}: {again:?}");
    }
}

#[test]
fn a_seed_makes_one_storm() {
    let storm = Storm { seed: 7, splits: 60, flaw: None };
    let mut seen = Vec::new();
    let first = run_storm(storm, |report| seen.push(report.splits));
    assert_eq!(seen, [50, 60]);
    assert_eq!(first, run_storm(storm, |_| ()));
}
