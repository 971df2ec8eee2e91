//! Running random programs by seed: a failing one is shrunk, printed, and replayed exactly.

use crate::{Program, Violation, programs};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

/// The environment variable that names the one seed to run.
pub const SEED_VARIABLE: &str = "DIPTYCH_SEED";

/// The most programs tried while a failing one is shrunk.
const SHRINKS_MAX: u32 = 4_000;

/// A program that failed, as small as it could be made.
#[derive(Debug)]
pub struct Failure {
    /// The seed that leads to it.
    pub seed: u64,
    /// The program.
    pub program: Program,
    /// What it came to.
    pub reason: String,
}

/// Runs the random programs of seeds 0 to `cases`, or of the one seed that [`SEED_VARIABLE`] names.
/// The first that fails is shrunk.
///
/// # Errors
///
/// The program that fails.
///
/// # Panics
///
/// If the variable names no seed.
pub fn run_programs(
    cases: u64,
    length_max: usize,
    run: impl Fn(&Program) -> Result<(), Violation>,
) -> Result<(), Box<Failure>> {
    let seeds = match std::env::var(SEED_VARIABLE) {
        Ok(text) => {
            let seed: u64 = text.parse().expect("the variable names a seed, a number");
            seed..=seed
        }
        Err(_) => 0..=cases - 1,
    };
    seeds.into_iter().try_for_each(|seed| run_seed(seed, length_max, &run))
}

fn run_seed(
    seed: u64,
    length_max: usize,
    run: impl Fn(&Program) -> Result<(), Violation>,
) -> Result<(), Box<Failure>> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config =
        Config { failure_persistence: None, max_shrink_iters: SHRINKS_MAX, ..Config::default() };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let tree = programs(length_max).new_tree(&mut runner).expect("nothing is filtered");
    let test = |program: Program| {
        run(&program).map_err(|violation| TestCaseError::fail(violation.to_string()))
    };
    match runner.run_one(tree, test) {
        Ok(_) => Ok(()),
        Err(TestError::Fail(reason, program)) => {
            Err(Box::new(Failure { seed, program, reason: reason.message().to_owned() }))
        }
        Err(TestError::Abort(reason)) => panic!("seed {seed}: {reason}"),
    }
}
