//! `cargo xtask search`: every state that the rules of pairs can come to, crashes included.
//!
//! The search itself is an example program of testkit, so that this door opens when nothing behind it
//! builds. Its progress bar is on standard error, and only if that is a terminal.

use crate::cargo::Cargo;
use crate::report::{Outcome, Report};
use crate::workspace::Workspace;

/// Searches with these flags of the program.
pub(crate) fn run(workspace: &Workspace, flags: &[String], report: &mut Report) {
    report.step("search", || {
        let program =
            ["run", "--quiet", "--release", "-p", "diptych-testkit", "--example", "search", "--"];
        let cargo = Cargo::new(&workspace.root, &program);
        let cargo = flags.iter().fold(cargo, |cargo, flag| cargo.arg(flag));
        Ok(Outcome::of_check(cargo.run()?))
    });
}
