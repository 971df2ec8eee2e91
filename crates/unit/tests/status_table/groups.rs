//! A command for a group of two pairs, by the status of the first; the second allows it.

use crate::bench::{Bench, STATUSES, split};
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

/// Two levels are one instant: what the second comes to goes by what the first was then, whatever the
/// order they are named in. Only a first level that held no image leaves the second nothing to keep.
#[test]
fn two_levels_at_once() {
    let mut text = String::new();
    for resynced in [false, true] {
        for first_named in [true, false] {
            let mut bench = Bench::new();
            split(&mut bench);
            bench.accept(CommandCode::Create, 1, 2);
            bench.settle();
            bench.write(ldev(1), 3);
            if resynced {
                bench.accept(CommandCode::Resync, 0, 1);
            }
            let mut pairs = vec![(ldev(0), ldev(1)), (ldev(1), ldev(2))];
            if !first_named {
                pairs.reverse();
            }
            let (before, below) = (bench.shown(), bench.shown_of(1, 2));
            bench.group(&GroupCommand::new(CommandCode::Suspend, pairs));
            let (first, second) = (bench.shown(), bench.shown_of(1, 2));
            writeln!(text, "{before} -> {first}; {below} -> {second}").unwrap();
        }
    }
    insta::assert_snapshot!(text, @r"
    split C=0 DP=1 DS=2 A=6 -> suspend C=0 DP=1 DS=2 A=6; duplex C=1 DP=0 DS=0 A=6 -> suspend C=1 DP=0 DS=0 A=6
    split C=0 DP=1 DS=2 A=6 -> suspend C=0 DP=1 DS=2 A=6; duplex C=1 DP=0 DS=0 A=6 -> suspend C=1 DP=0 DS=0 A=6
    re-sync C=3 DP=0 DS=0 A=3 -> suspend C=3 DP=0 DS=0 A=3; duplex C=1 DP=0 DS=0 A=6 -> suspend C=6 DP=0 DS=0 A=6
    re-sync C=3 DP=0 DS=0 A=3 -> suspend C=3 DP=0 DS=0 A=3; duplex C=1 DP=0 DS=0 A=6 -> suspend C=6 DP=0 DS=0 A=6
    ");
}
