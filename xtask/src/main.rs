//! The one door: every check, test run, model and bench of the workspace is a command here, and a
//! person, a hook and a CI machine all type the same `cargo xtask <command>`.
//!
//! One file holds one command; this one only dispatches. The lists of steps, bans and rules are
//! data at the top of their files.
//!
//! Invariants:
//! - No crate of the workspace is a dependency: the door opens when nothing behind it builds.
//! - A run goes on after a failure and lists every one before it ends.
//! - Nothing here changes a file, but for `docs/loom.md` and `docs/conformance.md` when the command that
//!   makes it is told to, and installs nothing unless `cargo xtask test` is told to; a package of the machine
//!   is never removed.

#![expect(clippy::print_stdout, reason = "what a command prints is what it is for")]
#![expect(clippy::print_stderr, reason = "a refused command line is answered on stderr")]

mod bench;
mod block_driver;
mod cargo;
mod check;
mod conformance;
mod conformance_table;
mod crash_images;
mod error;
mod faults;
mod flags;
mod kill;
mod layers;
mod loom;
mod model_table;
mod report;
mod search;
mod storm;
mod test;
mod tidy;
mod tools;
mod workspace;

use error::Error;
use flags::Command;
use report::Report;
use std::process::ExitCode;
use workspace::Workspace;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let command = match flags::parse(&args) {
        Ok(command) => command,
        Err(refused) => {
            eprintln!("{refused}");
            return ExitCode::from(2);
        }
    };
    run(command)
}

fn run(command: Command) -> ExitCode {
    if let Command::Help(text) = command {
        print!("{text}");
        return ExitCode::SUCCESS;
    }
    let mut report = Report::default();
    let workspace = match Workspace::load() {
        Ok(workspace) => workspace,
        Err(error) => {
            // Whoever waits for the closing line gets one.
            report.step("workspace", || Err(error));
            return report.close();
        }
    };
    match command {
        Command::Help(_) => {}
        Command::Check => check::run(&workspace, &mut report),
        Command::Layers => report.step("layers", || layers::outcome(&workspace)),
        Command::Tidy => report.step("tidy", || tidy::outcome(&workspace.root)),
        Command::Test(options) => test::run(&workspace, &options, &mut report),
        Command::Loom(options) => loom::run(&workspace, &options, &mut report),
        Command::Bench(options) => bench::run(&workspace, &options, &mut report),
        Command::Conformance(options) => conformance::run(&workspace, &options, &mut report),
        Command::CrashImages(flags) => crash_images::run(&workspace, &flags, &mut report),
        Command::Faults(flags) => faults::run(&workspace, &flags, &mut report),
        Command::Storm(flags) => storm::run(&workspace, &flags, &mut report),
        Command::Search(flags) => search::run(&workspace, &flags, &mut report),
        Command::Kill(flags) => kill::run(&workspace, &flags, &mut report),
    }
    report.close()
}
