//! `cargo xtask loom`: the models of loom and shuttle, each with its mutants, and their table.
//!
//! A crate's models are in `tests/loom.rs` and `tests/shuttle.rs`; each prints `model|` lines
//! ([`crate::model_table`]). The cfg reaches every crate, so each checker has a target directory of
//! its own, and the build is a release build, which keeps the assertions.

use crate::Error;
use crate::cargo::Cargo;
use crate::flags::LoomOptions;
use crate::model_table::{self, Row};
use crate::report::{Outcome, Report, Tally};
use crate::workspace::{Member, Workspace};

/// A model checker.
#[derive(Debug, Clone, Copy)]
struct Checker {
    /// Name of the test program, and of the target directory.
    name: &'static str,
    cfg: &'static str,
    /// Random schedules need no mutant to show that they explore anything.
    wants_mutants: bool,
}

const CHECKERS: [Checker; 2] = [
    Checker { name: "loom", cfg: "diptych_loom", wants_mutants: true },
    Checker { name: "shuttle", cfg: "diptych_shuttle", wants_mutants: false },
];

/// Runs the models; writes the table when asked and when all of them hold.
pub(crate) fn run(workspace: &Workspace, options: &LoomOptions, report: &mut Report) {
    let failed_before = report.failed_count();
    let mut rows = Vec::new();
    for checker in CHECKERS {
        for member in workspace.with_test(checker.name) {
            report.step(&format!("{} {}", checker.name, member.name), || {
                models(workspace, checker, member, options, &mut rows)
            });
        }
    }
    report.step("some model ran", || Ok(Outcome::of_check(!rows.is_empty())));
    if options.filter.is_some() {
        return;
    }
    let doc = workspace.root.join("docs/loom.md");
    if !(options.deep || options.write) {
        report.step("docs/loom.md lists these models", || {
            let differences = model_table::differences(&doc, &rows)?;
            for difference in &differences {
                println!("{difference}");
            }
            Ok(Outcome::of_check(differences.is_empty()))
        });
    } else if report.failed_count() == failed_before {
        report.step("docs/loom.md", || {
            model_table::write(&doc, &rows)?;
            Ok(Outcome::of_check(true))
        });
    } else {
        println!("docs/loom.md is left as it was: a table shows only runs that hold");
    }
}

/// Runs one crate's models and adds their rows.
fn models(
    workspace: &Workspace,
    checker: Checker,
    member: &Member,
    options: &LoomOptions,
    rows: &mut Vec<Row>,
) -> Result<Outcome, Error> {
    let target_dir = workspace.target_dir.join(checker.name);
    let base = ["test", "--release", "-p", &member.name, "--test", checker.name];
    let mut cargo = Cargo::new(&workspace.root, &base)
        .cfg(checker.cfg)
        .arg("--target-dir")
        .arg(&target_dir.to_string_lossy())
        // Every mutant dies by a panic, as it should: a page of stack each hides the verdicts.
        .env("RUST_BACKTRACE", "0");
    if options.deep {
        cargo = cargo.env("DIPTYCH_DEEP", "1");
    }
    for arg in
        ["--", "--nocapture", "--test-threads=1"].into_iter().chain(options.filter.as_deref())
    {
        cargo = cargo.arg(arg);
    }
    let mut tally = Tally::default();
    let mut found = Vec::new();
    let mut complaints = Vec::new();
    let ok = cargo.run_reading(|line| {
        tally += Tally::of_line(line).unwrap_or_default();
        match Row::of_line(checker.name, &member.name, line) {
            None => {}
            Some(Ok(row)) => found.push(row),
            Some(Err(malformed)) => complaints.push(malformed),
        }
    })?;
    complaints.extend(model_table::faults(&found, checker.wants_mutants));
    if found.is_empty() && options.filter.is_none() {
        complaints.push(model_table::Fault::NoModel);
    }
    for complaint in &complaints {
        println!("{}: {complaint}", member.name);
    }
    rows.append(&mut found);
    Ok(Outcome::of_tests(ok && complaints.is_empty(), tally))
}
