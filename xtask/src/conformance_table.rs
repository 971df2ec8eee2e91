//! What came of the tests of the conformance suite, and `docs/conformance.md`.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// Tests that nobody can pass, and why.
const EXCEPTIONS: &[(&str, &str)] = &[(
    "iSCSITMF.LUNResetSimpleAsync",
    "looks for the answer to the reset before it has read any: an assertion that fails against every target",
)];

/// Tests that pass on one kind of logical unit and have to fail on others, and why.
const NOT_FOR_ALL: &[(&str, &str)] = &[(
    "WriteSame10.UnmapUntilEnd",
    "sends a block of FFh to be unmapped and looks for zeroes: such a block is written as it is. Where \
     WSNZ says that a length of 0 is refused, it looks for that instead",
)];

/// What came of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Fail,
    /// It, or a part of it, was skipped. The suite itself counts it as passed.
    Skip,
    Hang,
    Crash,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Fail => "FAIL",
            Self::Skip => "SKIP",
            Self::Hang => "HANG",
            Self::Crash => "CRASH",
        }
    }

    /// From the exit code (none of both: killed by the time limit, or by a signal) and what it said.
    fn of(code: Option<Option<i32>>, said: &str) -> Self {
        let Some(code) = code else { return Self::Hang };
        // `tests  1  1  1  0  0`: total, ran, passed, failed, inactive.
        let mut counts = said.lines().filter_map(|line| line.trim_start().strip_prefix("tests "));
        let failed = counts.next_back().and_then(|counts| counts.split_whitespace().nth(3));
        match (code, failed) {
            (None, _) | (_, None) => Self::Crash,
            (_, Some("0")) if body(said).contains("[SKIPPED]") => Self::Skip,
            (_, Some("0")) => Self::Pass,
            (_, Some(_)) => Self::Fail,
        }
    }
}

/// What the test said, without what the suite says before it.
fn body(said: &str) -> &str {
    said.find("  Test: ").map_or(said, |from| &said[from..])
}

/// One test that was run.
#[derive(Debug)]
pub(crate) struct Run {
    name: String,
    kind: &'static str,
    seconds: f64,
    pub(crate) verdict: Verdict,
    /// The first thing that it complained of.
    reason: String,
    /// Where it failed before it passed.
    elsewhere: Vec<Run>,
}

impl Run {
    pub(crate) fn new(
        name: &str,
        kind: &'static str,
        seconds: f64,
        code: Option<Option<i32>>,
        said: &str,
    ) -> Self {
        let verdict = Verdict::of(code, said);
        let complains = |line: &&str| {
            let is_assertion = line.trim_start().starts_with("1. ");
            is_assertion || line.contains("[FAILED]") || line.contains("[SKIPPED]")
        };
        let reason = body(said).lines().find(complains).unwrap_or_default();
        let reason = reason.split_once('[').map_or(reason, |(_, reason)| reason);
        let reason = reason.split_once(']').map_or(reason, |(_, reason)| reason).trim();
        let reason = reason.chars().take(120).collect();
        Self { name: name.to_owned(), kind, seconds, verdict, reason, elsewhere: Vec::new() }
    }

    /// What counts of the runs of a test, the last of which may have passed: that, or the first that
    /// failed, or that it is skipped everywhere.
    pub(crate) fn of_all(mut runs: Vec<Self>) -> Option<Self> {
        let rank = |run: &Self| match run.verdict {
            Verdict::Pass => 0,
            Verdict::Skip => 2,
            _ => 1,
        };
        // The first of several that are equal.
        let no = (0..runs.len()).min_by_key(|no| rank(&runs[*no]))?;
        let mut counts = runs.remove(no);
        runs.retain(|run| run.verdict != Verdict::Skip);
        counts.elsewhere = runs;
        Some(counts)
    }

    /// It passes, and fails on another kind of logical unit.
    fn fails_elsewhere(&self) -> bool {
        self.verdict == Verdict::Pass && !self.elsewhere.is_empty()
    }

    /// It fails, and may not.
    pub(crate) fn is_failure(&self) -> bool {
        match self.verdict {
            Verdict::Pass => self.fails_elsewhere() && self.why_not_for_all().is_none(),
            Verdict::Skip => false,
            _ => !self.is_excepted(),
        }
    }

    fn why_not_for_all(&self) -> Option<&'static str> {
        NOT_FOR_ALL.iter().find(|(name, _)| *name == self.name).map(|(_, why)| *why)
    }

    /// It fails, and nobody can pass it.
    pub(crate) fn is_excepted(&self) -> bool {
        self.verdict != Verdict::Pass && EXCEPTIONS.iter().any(|(name, _)| *name == self.name)
    }

    fn suite(&self) -> &str {
        self.name.split_once('.').map_or(&self.name, |(suite, _)| suite)
    }
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, kind, seconds, verdict, reason, .. } = self;
        write!(f, "{} {name} ({kind}, {seconds:.1} s) {reason}", verdict.word())?;
        for run in self.elsewhere.iter().filter(|_| self.fails_elsewhere()) {
            write!(f, "; {} ({}) {}", run.verdict.word(), run.kind, run.reason)?;
        }
        Ok(())
    }
}

/// The document: a table by suite, and what did not pass.
pub(crate) fn document(version: &str, runs: &[Run]) -> String {
    let mut suites: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    let mut all = [0; 5];
    for run in runs {
        let place = match run.verdict {
            Verdict::Pass => 1,
            Verdict::Fail => 2,
            Verdict::Skip => 3,
            Verdict::Hang | Verdict::Crash => 4,
        };
        for counts in [suites.entry(run.suite()).or_default(), &mut all] {
            counts[0] += 1;
            counts[place] += 1;
        }
    }
    let mut text = format!(
        "# Conformance\n\n\
         Written by `cargo xtask conformance --write`. libiscsi's `iscsi-test-cu` (libiscsi-bin {version}) \
         against `diptych serve`: every test in a process of its own, SANITIZE allowed, two portals. A \
         test counts on the kind of logical unit that it is for, the first on which it passes: thin, thin \
         with physical blocks of 4 KiB, removable, or write-protected. What is skipped is no pass.\n\n\
         | Suite | Tests | Pass | Fail | Skip | Hang or crash |\n|---|---|---|---|---|---|\n"
    );
    for (suite, counts) in suites.iter().chain([(&"**all**", &all)]) {
        let counts = counts.map(|count| count.to_string()).join(" | ");
        let _ = writeln!(text, "| {suite} | {counts} |");
    }
    let mut rest = runs.iter().filter(|run| run.verdict != Verdict::Pass).peekable();
    if rest.peek().is_some() {
        text.push_str("\n## What does not pass\n\n| Test | On | What | Why |\n|---|---|---|---|\n");
    }
    for run in rest {
        let exception = EXCEPTIONS.iter().find(|(name, _)| *name == run.name);
        let why = exception.map_or(run.reason.as_str(), |(_, why)| why).replace('|', "/");
        let _ = writeln!(text, "| {} | {} | {} | {why} |", run.name, run.kind, run.verdict.word());
    }
    let elsewhere = runs.iter().filter(|run| run.fails_elsewhere());
    let mut elsewhere = elsewhere.flat_map(|run| &run.elsewhere).peekable();
    if elsewhere.peek().is_some() {
        text.push_str(
            "\n## What passes, and fails on a kind that it is not for\n\n\
             | Test | On | What | Why |\n|---|---|---|---|\n",
        );
    }
    for run in elsewhere {
        let why = run.why_not_for_all().unwrap_or(&run.reason).replace('|', "/");
        let _ = writeln!(text, "| {} | {} | {} | {why} |", run.name, run.kind, run.verdict.word());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: &str =
        "Suite: A\n  Test: B ...passed\n   tests      1      1      1      0        0\n";
    const FAILED: &str =
        "Suite: A\n  Test: B ...    [FAILED] it is so\nFAILED\n    tests 1 1 0 1 0\n";

    #[test]
    fn verdicts() {
        #[track_caller]
        fn check(code: Option<Option<i32>>, said: &str, expected: Verdict) {
            assert_eq!(Verdict::of(code, said), expected, "{said}");
        }
        check(Some(Some(0)), PASSED, Verdict::Pass);
        check(Some(Some(0)), FAILED, Verdict::Fail);
        let skipped = PASSED.replace("passed", "[SKIPPED] not this one");
        check(Some(Some(0)), &skipped, Verdict::Skip);
        // What is skipped before the test begins is none of its business.
        check(Some(Some(0)), &format!("[SKIPPED] a probe\n{PASSED}"), Verdict::Pass);
        check(None, PASSED, Verdict::Hang);
        check(Some(None), PASSED, Verdict::Crash);
        check(Some(Some(10)), "cannot log in", Verdict::Crash);
    }

    #[test]
    fn the_document_counts_and_names() {
        let run = |name: &str, said: &str| Run::new(name, "thin", 0.5, Some(Some(0)), said);
        let excepted = "iSCSITMF.LUNResetSimpleAsync";
        let runs = [run("A.B", PASSED), run("A.C", FAILED), run(excepted, FAILED)];
        assert_eq!(runs.iter().map(Run::is_failure).collect::<Vec<_>>(), [false, true, false]);
        assert_eq!(runs[1].to_string(), "FAIL A.C (thin, 0.5 s) it is so");
        let text = document("1", &runs);
        for line in [
            "| A | 2 | 1 | 1 | 0 | 0 |",
            "| **all** | 3 | 1 | 2 | 0 | 0 |",
            "| A.C | thin | FAIL | it is so |",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(!document("1", &runs[..1]).contains("does not pass"));
        let skipped = PASSED.replace("passed", "[SKIPPED] no");
        let all = || vec![run("A.B", &skipped), run("A.B", FAILED)];
        let failed = Run::of_all(all()).expect("one");
        assert!(failed.is_failure() && !failed.fails_elsewhere());
        // What fails on one kind may not, unless it is known why.
        let passed = |name: &str| {
            let runs = vec![run(name, &skipped), run(name, FAILED), run(name, PASSED)];
            let passed = Run::of_all(runs).expect("one");
            assert!(passed.fails_elsewhere());
            passed
        };
        assert_eq!(passed("A.B").to_string(), "PASS A.B (thin, 0.5 s) ; FAIL (thin) it is so");
        assert!(passed("A.B").is_failure() && !passed(NOT_FOR_ALL[0].0).is_failure());
        assert!(document("1", &[passed("A.B")]).contains("| A.B | thin | FAIL | it is so |"));
    }
}
