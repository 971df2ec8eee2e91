//! Whose access changes, by status and command: where a unit attention is due.

use crate::bench::{Bench, PRIMARY, SECONDARY, STATUSES};
use crate::commands::COMMANDS;
use diptych_cha::{Forbidden, HostOp, HostReply};
use diptych_format::{LdevId, Time};
use std::fmt::Write as _;

/// What hosts may do with a volume, and how often that has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    forbidden: [Option<Forbidden>; 2],
    epoch: u64,
}

fn seen(bench: &mut Bench) -> [Seen; 2] {
    [PRIMARY, SECONDARY].map(|ldev| {
        let HostReply::Volume(facts) = bench.run(HostOp::Describe { ldev }) else {
            panic!("{ldev} is not described");
        };
        let epoch = bench.hand.unit().access_board().epoch(ldev);
        Seen { forbidden: [facts.read, facts.write], epoch }
    })
}

/// Which sides moved. What is allowed never changes without.
fn moved(before: [Seen; 2], after: [Seen; 2]) -> String {
    let mut sides = Vec::new();
    for (side, (before, after)) in
        ["primary", "secondary"].into_iter().zip(before.into_iter().zip(after))
    {
        let allowed = |seen: Seen| seen.forbidden.map(|why| why.is_none());
        let has_moved = before.epoch != after.epoch;
        assert!(has_moved || allowed(before) == allowed(after), "{side}: {before:?}, {after:?}");
        if has_moved {
            sides.push(side);
        }
    }
    if sides.is_empty() { "-".to_owned() } else { sides.join(", ") }
}

#[test]
fn epochs_by_status_and_command() {
    let mut text = String::new();
    for (status, reach) in STATUSES {
        writeln!(text, "{status}:").unwrap();
        for (name, command) in COMMANDS {
            let mut bench = Bench::new();
            reach(&mut bench);
            let before = seen(&mut bench);
            bench.command(command());
            let at_once = seen(&mut bench);
            bench.settle();
            let (first, then) = (moved(before, at_once), moved(at_once, seen(&mut bench)));
            if (&*first, &*then) != ("-", "-") {
                writeln!(text, "  {name:<18} {first:<18} then {then}").unwrap();
            }
        }
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_is_no_change_of_access_moves_nothing() {
    let mut bench = Bench::new();
    let before = seen(&mut bench);
    bench.write(PRIMARY, 2);
    bench.format(PRIMARY);
    bench.format(SECONDARY);
    bench.settle();
    assert_eq!(seen(&mut bench), before);
}

#[test]
fn operators_move_epochs_too() {
    let bench = Bench::new();
    let epoch = |bench: &Bench, ldev: LdevId| bench.hand.unit().access_board().epoch(ldev);
    let start = epoch(&bench, PRIMARY);
    for (reserved, expected) in [(true, 1), (true, 1), (false, 2), (false, 2)] {
        bench.hand.unit().set_reserved(PRIMARY, reserved, Time::ZERO).expect("no pair");
        assert_eq!(epoch(&bench, PRIMARY) - start, expected);
    }
    // Another of the same name begins anew.
    let ldev = diptych_testkit::ldev(9);
    let geometry = diptych_format::Geometry::with_tracks(1, 6);
    for _ in 0..2 {
        bench.hand.unit().add_metadata_volume(ldev, geometry).expect("no such volume");
        assert_eq!(epoch(&bench, ldev), 0);
        bench.hand.unit().set_reserved(ldev, true, Time::ZERO).expect("no pair");
        assert_eq!(epoch(&bench, ldev), 1);
        drop(bench.hand.unit().remove_volume(ldev).expect("in no pair"));
    }
}
