//! Steps, what each came to, and the closing line.

use crate::Error;
use std::ops::AddAssign;
use std::process::ExitCode;
use std::time::Instant;

/// Counted tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

impl Tally {
    /// Reads a line of the test harness: `test result: ok. 3 passed; 0 failed; 1 ignored; ...`.
    pub(crate) fn of_line(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let mut tally = Self::default();
        for part in counts.split("; ") {
            let Some((count, what)) = part.split_once(' ') else { continue };
            let place = match what {
                "passed" => &mut tally.passed,
                "failed" => &mut tally.failed,
                "ignored" => &mut tally.skipped,
                _ => continue,
            };
            *place = count.parse().ok()?;
        }
        Some(tally)
    }
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Outcome {
    tally: Tally,
    ok: bool,
}

impl Outcome {
    /// A step that is one check.
    pub(crate) fn of_check(ok: bool) -> Self {
        let tally = Tally { passed: ok.into(), failed: (!ok).into(), skipped: 0 };
        Self { tally, ok }
    }

    /// A run of test programs. One that failed without a failed test (it did not build, or
    /// died) counts as one failure: a crash may not look like a shorter run.
    pub(crate) fn of_tests(ok: bool, mut tally: Tally) -> Self {
        if !ok && tally.failed == 0 {
            tally.failed = 1;
        }
        Self { tally, ok: ok && tally.failed == 0 }
    }
}

/// All steps of a run.
#[derive(Debug, Default)]
pub(crate) struct Report {
    tally: Tally,
    failed: Vec<String>,
}

impl Report {
    /// Runs a step, whatever came of the ones before.
    pub(crate) fn step(&mut self, name: &str, run: impl FnOnce() -> Result<Outcome, Error>) {
        println!("==> {name}");
        let started = Instant::now();
        let outcome = run().unwrap_or_else(|error| {
            println!("{error}");
            Outcome::of_check(false)
        });
        let word = if outcome.ok { "ok" } else { "FAILED" };
        println!("    {word} after {:.1} s", started.elapsed().as_secs_f64());
        self.note(name, outcome);
    }

    /// Says that a step is left out, and counts it.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        println!("==> {name}: skipped, {why}");
        self.tally.skipped += 1;
    }

    fn note(&mut self, name: &str, outcome: Outcome) {
        self.tally += outcome.tally;
        if !outcome.ok {
            self.failed.push(name.to_owned());
        }
    }

    /// How many steps have failed so far.
    pub(crate) fn failed_count(&self) -> usize {
        self.failed.len()
    }

    /// Prints the failed steps and the closing line.
    pub(crate) fn close(self) -> ExitCode {
        print!("{}", self.closing());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn closing(&self) -> String {
        let mut text = String::new();
        if !self.failed.is_empty() {
            text.push_str("\nfailed steps:\n");
            for name in &self.failed {
                text.push_str(&format!("  {name}\n"));
            }
        }
        let Tally { passed, failed, skipped } = self.tally;
        text.push_str(&format!("\n{passed} passed, {failed} failed, {skipped} skipped\n"));
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: Option<(usize, usize, usize)>) {
        let expected = expected.map(|(passed, failed, skipped)| Tally { passed, failed, skipped });
        assert_eq!(Tally::of_line(line), expected, "{line}");
    }

    #[test]
    fn lines_of_the_harness() {
        let tail = "0 measured; 4 filtered out; finished in 0.00s";
        check(
            &format!("test result: ok. 12 passed; 0 failed; 1 ignored; {tail}"),
            Some((12, 0, 1)),
        );
        check(
            &format!("test result: FAILED. 1 passed; 2 failed; 0 ignored; {tail}"),
            Some((1, 2, 0)),
        );
        check("test result: ok. many passed; 0 failed", None);
        check("test claims::fifo ... ok", None);
    }

    #[test]
    fn a_crash_is_a_failure() {
        let seven = Tally { passed: 7, failed: 0, skipped: 0 };
        let crashed = Outcome::of_tests(false, seven);
        assert_eq!(crashed.tally, Tally { failed: 1, ..seven });
        let wrong_exit = Outcome::of_tests(true, Tally { failed: 2, ..seven });
        assert!(!wrong_exit.ok, "a failed test is a failure whatever the exit code says");
    }

    #[test]
    fn the_closing_line_stands_alone_and_last() {
        let mut report = Report::default();
        report.note("tests", Outcome::of_tests(true, Tally { passed: 5, failed: 0, skipped: 1 }));
        report.note("fmt", Outcome::of_check(true));
        assert_eq!(report.closing(), "\n6 passed, 0 failed, 1 skipped\n");
        report.note("layers", Outcome::of_check(false));
        assert_eq!(report.failed_count(), 1);
        assert_eq!(
            report.closing(),
            "\nfailed steps:\n  layers\n\n6 passed, 1 failed, 1 skipped\n"
        );
    }
}
