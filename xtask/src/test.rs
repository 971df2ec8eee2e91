//! `cargo xtask test`: the whole test run, as a person, a hook and a CI machine start it.

use crate::cargo::Cargo;
use crate::flags::{ConformanceOptions, LoomOptions, TestOptions};
use crate::report::{Outcome, Report, Tally};
use crate::workspace::Workspace;
use crate::{Error, check, conformance, loom, tools};

/// Runs everything, unless the models are left out.
pub(crate) fn run(workspace: &Workspace, options: &TestOptions, report: &mut Report) {
    if options.install {
        tools::install(&workspace.target_dir, report);
    }
    check::run(workspace, report);
    let root = &workspace.root;
    let cargo = |args: &[&str]| Cargo::new(root, args);

    report.step("tests", || {
        // Benches are left out: clippy has compiled them, and running one proves nothing.
        let kinds = ["--lib", "--bins", "--tests", "--examples"];
        let mut all = cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]);
        for kind in kinds {
            all = all.arg(kind);
        }
        counted(all)
    });
    report.step("doc tests", || {
        let all = ["test", "--workspace", "--all-features", "--no-fail-fast", "--doc"];
        counted(cargo(&all))
    });
    conformance::run(workspace, &ConformanceOptions::default(), report);
    // Features only add: without them it has to build. A crate that builds only among the others borrows a feature from them.
    for member in &workspace.members {
        let package = member.name.as_str();
        report.step(&format!("{package} alone"), || {
            Ok(Outcome::of_check(cargo(&["check", "-p", package]).run()?))
        });
    }
    if options.no_loom {
        report.skip("loom", "as asked");
        report.skip("shuttle", "as asked");
    } else {
        loom::run(workspace, &LoomOptions::default(), report);
    }
    tools::name_missing(&workspace.target_dir);
}

/// Runs cargo and sums what its test programs say.
fn counted(cargo: Cargo) -> Result<Outcome, Error> {
    let mut tally = Tally::default();
    let ok = cargo.run_reading(|line| tally += Tally::of_line(line).unwrap_or_default())?;
    Ok(Outcome::of_tests(ok, tally))
}
