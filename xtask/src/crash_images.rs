//! `cargo xtask crash-images`: every image that a cut of power can leave, and a unit that comes back on it.
//!
//! The making of images is an example program of testkit, so that this door opens when nothing behind it
//! builds. Its progress bar is on standard error, and only if that is a terminal.

use crate::cargo::Cargo;
use crate::report::{Outcome, Report};
use crate::workspace::Workspace;

/// Makes images with these flags of the program.
pub(crate) fn run(workspace: &Workspace, flags: &[String], report: &mut Report) {
    report.step("crash-images", || {
        let program = [
            "run",
            "--quiet",
            "--release",
            "-p",
            "diptych-testkit",
            "--example",
            "crash_images",
            "--",
        ];
        let cargo = Cargo::new(&workspace.root, &program);
        let cargo = flags.iter().fold(cargo, |cargo, flag| cargo.arg(flag));
        Ok(Outcome::of_check(cargo.run()?))
    });
}
