//! `cargo xtask faults`: the n-th request to a device goes wrong, for every n.
//!
//! The runs are an example program of testkit, so that this door opens when nothing behind it builds. Its
//! progress bar is on standard error, and only if that is a terminal.

use crate::cargo::Cargo;
use crate::report::{Outcome, Report};
use crate::workspace::Workspace;

/// Makes the runs with these flags of the program.
pub(crate) fn run(workspace: &Workspace, flags: &[String], report: &mut Report) {
    report.step("faults", || {
        let program =
            ["run", "--quiet", "--release", "-p", "diptych-testkit", "--example", "faults", "--"];
        let cargo = Cargo::new(&workspace.root, &program);
        let cargo = flags.iter().fold(cargo, |cargo, flag| cargo.arg(flag));
        Ok(Outcome::of_check(cargo.run()?))
    });
}
