//! The storm of splits with protections of the unit removed: each has to be found.
//!
//! A storm has one thread, so there is one schedule; each execution is another storm.
#![cfg(diptych_shuttle)]

use diptych_sync::model::{Bound, Model, Mutant};
use diptych_testkit::{Storm, run_storm};
// Numbers the executions; the schedule is no matter of it.
use std::sync::atomic::{AtomicU64, Ordering};

/// The protections that an image depends on when hosts and lanes take turns.
const MUTANTS: [Mutant; 6] = [
    mutant("protect-before-write", "invariant I1"),
    mutant("protect-every-pair", "invariant I1"),
    mutant("protect-every-track", "invariant I1"),
    mutant("bring-before-use", "of the image of"),
    mutant("mark-changes", "of the image of"),
    mutant("mark-secondary-changes", "of the image of"),
];

const fn mutant(name: &'static str, dies_by: &'static str) -> Mutant {
    Mutant { name, dies_by }
}

#[test]
fn splits_under_load() {
    let model = Model {
        name: "splits-under-load",
        protocol: "every image is its primary at one instant",
        bounds: &[Bound::Random(150)],
        deep: &[Bound::Random(1_000)],
        floor: 150,
        mutants: &MUTANTS,
    };
    let next_seed = AtomicU64::new(0);
    model.check(move || {
        let seed = next_seed.fetch_add(1, Ordering::Relaxed);
        let report = run_storm(Storm { seed, splits: 12, flaw: None }, |_| ());
        let report = report.unwrap_or_else(|error| panic!("{error}"));
        if let Some(wrong) = report.first_wrong {
            panic!("{wrong}");
        }
    });
}
