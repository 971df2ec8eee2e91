//! `cargo xtask check`: everything that is decided without running the code.

use crate::cargo::Cargo;
use crate::report::{Outcome, Report};
use crate::workspace::Workspace;
use crate::{layers, tidy};

/// Runs every check, whatever came of the ones before.
pub(crate) fn run(workspace: &Workspace, report: &mut Report) {
    let root = &workspace.root;
    let cargo = |args: &[&str]| Cargo::new(root, args);
    let checked = |cargo: Cargo| Ok(Outcome::of_check(cargo.run()?));

    report.step("fmt", || checked(cargo(&["fmt", "--all", "--", "--check"])));
    report.step("layers", || layers::outcome(workspace));
    report.step("tidy", || tidy::outcome(root));
    report.step("clippy", || {
        let all =
            ["clippy", "--workspace", "--all-targets", "--keep-going", "--", "-D", "warnings"];
        checked(cargo(&all))
    });
    for (package, feature) in workspace.features() {
        report.step(&format!("clippy {package} with {feature}"), || {
            let own = ["clippy", "-p", package, "--features", feature, "--all-targets", "--"];
            checked(cargo(&own).arg("-D").arg("warnings"))
        });
    }
    report.step("docs", || {
        let doc = cargo(&["doc", "--workspace", "--no-deps", "--keep-going"]);
        checked(doc.env("RUSTDOCFLAGS", "-D warnings"))
    });
}
