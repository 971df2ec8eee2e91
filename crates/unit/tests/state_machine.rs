//! Random programs against the unit: hosts, commands and background jobs interleaved by seed.

use diptych_testkit::{
    Program, SEED_VARIABLE, Violation, run_concurrent, run_programs, run_sequential,
};

/// Runs `cases` programs, or as many as `PROPTEST_CASES` says. A failing one is shrunk; `DIPTYCH_SEED`
/// replays it alone.
#[track_caller]
fn check(cases: u64, length_max: usize, run: fn(&Program) -> Result<(), Violation>) {
    let asked = std::env::var("PROPTEST_CASES").ok();
    let cases = asked.map_or(cases, |text| text.parse().expect("a number of cases"));
    if let Err(failure) = run_programs(cases, length_max, run) {
        panic!(
            "{SEED_VARIABLE}={} replays this: {}\n{}",
            failure.seed, failure.reason, failure.program
        );
    }
}

#[test]
fn one_operation_at_a_time_is_as_the_model_says() {
    check(10_000, 60, run_sequential);
}

#[test]
fn operations_in_flight_are_as_their_history_allows() {
    check(10_000, 60, run_concurrent);
}
