//! A command for a group of two pairs, by the status of the first; the second allows it.

use crate::bench::{Bench, STATUSES};
use diptych_cha::{CommandCode, GroupCommand, GroupOutcome};
use diptych_testkit::ldev;
use std::fmt::Write as _;

/// Commands of a group, and whether with freeze.
const COMMANDS: [(&str, CommandCode, bool); 6] = [
    ("copy", CommandCode::Copy, false),
    ("resync", CommandCode::Resync, false),
    ("restore", CommandCode::Restore, false),
    ("quick restore", CommandCode::QuickRestore, false),
    ("freeze", CommandCode::QuickRestore, true),
    ("suspend", CommandCode::Suspend, false),
];

/// Pair 2 -> 3 in a status that allows the command.
fn other_pair(bench: &mut Bench, code: CommandCode) {
    bench.accept(CommandCode::Create, 2, 3);
    bench.settle();
    if code != CommandCode::Copy {
        bench.accept(CommandCode::Copy, 2, 3);
        bench.write(ldev(3), 0);
    }
}

fn outcome(outcome: &GroupOutcome) -> String {
    match outcome {
        GroupOutcome::Accepted { .. } => "accepted".to_owned(),
        GroupOutcome::Nothing { secondary, .. } => format!("nothing, for {secondary}"),
        GroupOutcome::Refused { why, .. } => format!("refused: {why}"),
    }
}

#[test]
fn status_by_group_command() {
    let mut text = String::new();
    for (status, reach) in STATUSES {
        writeln!(text, "{status}").unwrap();
        for (name, code, freeze) in COMMANDS {
            let mut bench = Bench::new();
            other_pair(&mut bench, code);
            reach(&mut bench);
            let before = bench.shown_of(2, 3);
            let pairs = vec![(ldev(0), ldev(1)), (ldev(2), ldev(3))];
            let command = GroupCommand { freeze, ..GroupCommand::new(code, pairs) };
            let came_to = outcome(&bench.group(&command));
            let (first, second) = (bench.shown(), bench.shown_of(2, 3));
            let with = if second == before { "the other as before" } else { "the other as well" };
            writeln!(text, "  {name:<13} {came_to:<22} -> {first}; {with}").unwrap();
        }
    }
    insta::assert_snapshot!(text);
}
