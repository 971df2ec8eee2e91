//! Hosts as they are: programs of others on the volumes of a unit, mostly of `diptych serve`. And operators:
//! the commands of this program against such a unit.
//!
//! A test whose tool is missing is skipped, and counted so. `cargo xtask test --install` installs the
//! tools. Everything is on loopback and on free ports, and bounded in count and time.
#![allow(missing_docs)] // a test program has no public items

mod command_device;
mod copies;
mod inband;
mod inside;
mod iscsi;
mod nbd;
mod operators;
mod process;
mod served;
mod tool;

use libtest_mimic::{Arguments, Trial};
use std::process::ExitCode;

/// A test, by name, with the tools that it wants.
type Case = (&'static str, &'static [&'static str], fn());

fn main() -> ExitCode {
    let cases = [
        process::CASES,
        nbd::CASES,
        iscsi::CASES,
        command_device::CASES,
        copies::CASES,
        operators::CASES,
        inband::CASES,
    ]
    .concat();
    let trial = |(name, tools, run): Case| {
        let missing: Vec<_> = tools.iter().filter(|tool| !tool::is_there(tool)).collect();
        let trial = Trial::test(name, move || {
            run();
            Ok(())
        });
        let name = trial.name().to_owned();
        let trial = trial.with_ignored_flag(!missing.is_empty());
        if missing.is_empty() {
            return trial;
        }
        // The name says why: nothing else is printed of what is skipped.
        Trial::test(format!("{name} (wants {missing:?})"), || Ok(())).with_ignored_flag(true)
    };
    libtest_mimic::run(&Arguments::from_args(), cases.into_iter().map(trial).collect()).exit_code()
}
