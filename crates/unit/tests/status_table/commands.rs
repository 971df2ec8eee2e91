//! The table itself: what each command, with each of its options, comes to in each status.

use crate::bench::{Bench, PRIMARY, QUICK, SECONDARY, STATUSES, outcome};
use diptych_cha::{Command, CommandCode};
use std::fmt::Write as _;

pub(crate) type Asked = fn() -> Command;

/// Commands of the first pair, with all that each may say.
pub(crate) const COMMANDS: [(&str, Asked); 15] = [
    ("create", || of(CommandCode::Create)),
    ("create idle", || of(CommandCode::Create).without_initial_copy()),
    ("create, copy", || of(CommandCode::Create).and_copy()),
    ("create, quick copy", || of(CommandCode::Create).and_copy().with_options(QUICK)),
    ("create idle, copy", || of(CommandCode::Create).without_initial_copy().and_copy()),
    ("copy", || of(CommandCode::Copy)),
    ("copy quick", || of(CommandCode::Copy).with_options(QUICK)),
    ("resync", || of(CommandCode::Resync)),
    ("resync quick", || of(CommandCode::Resync).with_options(QUICK)),
    ("restore", || of(CommandCode::Restore)),
    ("quick restore", || of(CommandCode::QuickRestore)),
    ("freeze", || of(CommandCode::QuickRestore).frozen()),
    ("suspend", || of(CommandCode::Suspend)),
    ("delete", || of(CommandCode::Delete)),
    ("delete forced", || of(CommandCode::Delete).forced()),
];

fn of(code: CommandCode) -> Command {
    Command::new(code, PRIMARY, SECONDARY)
}

#[test]
fn status_by_command() {
    let mut text = String::new();
    for (status, reach) in STATUSES {
        let mut bench = Bench::new();
        reach(&mut bench);
        writeln!(text, "{status}: {}", bench.shown()).unwrap();
        for (name, command) in COMMANDS {
            let mut bench = Bench::new();
            reach(&mut bench);
            let came_to = outcome(bench.command(command()));
            writeln!(text, "  {name:<18} {came_to:<8} -> {}", bench.shown()).unwrap();
        }
        let mut bench = Bench::new();
        reach(&mut bench);
        let came_to = outcome(bench.create_any());
        writeln!(text, "  {:<18} {came_to}", "create any").unwrap();
    }
    insta::assert_snapshot!(text);
}

/// What is left when everything that goes on has ended.
#[test]
fn status_by_command_and_then_quiet() {
    let mut text = String::new();
    for (status, reach) in STATUSES {
        write!(text, "{status}:").unwrap();
        for (name, command) in COMMANDS {
            let mut bench = Bench::new();
            reach(&mut bench);
            let before = bench.shown();
            bench.command(command());
            let at_once = bench.shown();
            bench.settle();
            if before != at_once && bench.shown() != at_once {
                write!(text, "\n  {name:<18} {}", bench.shown()).unwrap();
            }
        }
        text.push('\n');
    }
    insta::assert_snapshot!(text);
}
