//! What a pair may do by the status of a pair that is related to it: another secondary of its primary,
//! the level above, the level below.

use crate::bench::{Bench, Reach, STATUSES, outcome, split, undefine_primary};
use diptych_cha::{Command, CommandCode, Outcome};
use diptych_testkit::ldev;
use std::fmt::Write as _;

/// Commands, and whether they are for a pair in 804. The others are for one in 802.
const COMMANDS: [(&str, CommandCode, bool); 7] = [
    ("copy", CommandCode::Copy, false),
    ("resync", CommandCode::Resync, true),
    ("restore", CommandCode::Restore, true),
    ("quick restore", CommandCode::QuickRestore, true),
    ("freeze", CommandCode::QuickRestore, true),
    ("suspend", CommandCode::Suspend, true),
    ("delete", CommandCode::Delete, true),
];

/// Makes this pair split.
fn split_of(b: &mut Bench, primary: u8, secondary: u8) {
    b.accept(CommandCode::Create, primary, secondary);
    b.settle();
    b.accept(CommandCode::Copy, primary, secondary);
}

/// A line for each outcome of each command of a pair, with the statuses of its relative in which it
/// comes to that. `before` makes both pairs as far as the pair needs it, the statuses bring the
/// relative where it is to be.
fn table(statuses: &[(&str, Reach)], before: Reach, (primary, secondary): (u8, u8)) -> String {
    let mut text = String::new();
    for (name, code, is_split) in COMMANDS {
        writeln!(text, "{name}").unwrap();
        let mut seen: Vec<(String, Vec<&str>)> = Vec::new();
        for (status, reach) in statuses {
            let mut bench = Bench::new();
            before(&mut bench);
            reach(&mut bench);
            let of = |code| Command::new(code, ldev(primary), ldev(secondary));
            if !is_split {
                let outcome = bench.command(of(CommandCode::Resync));
                if !matches!(outcome, Outcome::Accepted { .. }) {
                    continue; // it cannot be in 802 then
                }
            }
            let command = if name == "freeze" { of(code).frozen() } else { of(code) };
            let came_to = outcome(bench.command(command));
            match seen.iter_mut().find(|(other, _)| *other == came_to) {
                Some((_, statuses)) => statuses.push(status),
                None => seen.push((came_to, vec![status])),
            }
        }
        for (came_to, statuses) in seen {
            writeln!(text, "  {came_to}: {}", statuses.join("; ")).unwrap();
        }
    }
    text
}

#[test]
fn another_secondary_of_the_primary() {
    let text = table(&STATUSES, |b| split_of(b, 0, 2), (0, 2));
    insta::assert_snapshot!(text, @r"
    copy
      accepted: no pair; 802 idle; 802 pending; 802 duplex; 802 re-sync; 803; 803 quick; 804; 804 frozen; suspended; suspended in 803
    resync
      accepted: no pair; 802 idle; 802 pending; 802 duplex; 802 re-sync; 803; 803 quick; 804; 804 frozen; suspended; suspended in 803
      refused: the pair is restoring: wait for its end: restoring
      refused: the contents of volume 00:00 are undefined: 804, primary undefined; suspended, primary undefined
    restore
      accepted: no pair; 804; 804 frozen; suspended; suspended in 803; 804, primary undefined; suspended, primary undefined
      refused: the pair of secondary 00:01 is paired and not copied, it has to be split or suspended: 802 idle; 802 pending; 802 duplex; 802 re-sync
      refused: the pair of secondary 00:01 is paired and copy in progress, it has to be split or suspended: 803; 803 quick
      refused: the pair of secondary 00:01 is restoring, it has to be split or suspended: restoring
    quick restore
      accepted: no pair; 804; 804 frozen; suspended; suspended in 803; 804, primary undefined; suspended, primary undefined
      refused: the pair of secondary 00:01 is paired and not copied, it has to be split or suspended: 802 idle; 802 pending; 802 duplex; 802 re-sync
      refused: the pair of secondary 00:01 is paired and copy in progress, it has to be split or suspended: 803; 803 quick
      refused: the pair of secondary 00:01 is restoring, it has to be split or suspended: restoring
    freeze
      accepted: no pair; 804; 804 frozen; suspended; suspended in 803
      refused: the pair of secondary 00:01 is paired and not copied, it has to be split or suspended: 802 idle; 802 pending; 802 duplex; 802 re-sync
      refused: the pair of secondary 00:01 is paired and copy in progress, it has to be split or suspended: 803; 803 quick
      refused: the pair of secondary 00:01 is restoring, it has to be split or suspended: restoring
      refused: the contents of volume 00:00 are undefined: 804, primary undefined; suspended, primary undefined
    suspend
      accepted: no pair; 802 idle; 802 pending; 802 duplex; 802 re-sync; 803; 803 quick; 804; 804 frozen; restoring; suspended; suspended in 803; 804, primary undefined; suspended, primary undefined
    delete
      accepted: no pair; 802 idle; 802 pending; 802 duplex; 802 re-sync; 803; 803 quick; 804; 804 frozen; restoring; suspended; suspended in 803; 804, primary undefined; suspended, primary undefined
    ");
}

/// Pair 1 -> 2, by the status of pair 0 -> 1.
#[test]
fn the_level_above() {
    let statuses: [(&str, Reach); 10] = [
        ("no pair", |b| b.accept(CommandCode::Delete, 0, 1)),
        ("no pair, primary undefined", |b| {
            b.accept(CommandCode::Resync, 0, 1);
            b.accept(CommandCode::Delete, 0, 1);
        }),
        ("802", |b| b.accept(CommandCode::Resync, 0, 1)),
        ("803", |b| {
            b.accept(CommandCode::Resync, 0, 1);
            b.accept(CommandCode::Copy, 0, 1);
        }),
        ("804", |_| {}),
        ("804 frozen", |b| {
            let quick = Command::new(CommandCode::QuickRestore, ldev(0), ldev(1));
            b.command(quick.frozen());
        }),
        ("804, its primary undefined", undefine_primary),
        ("restoring", |b| b.accept(CommandCode::Restore, 0, 1)),
        ("802 after a quick restore", |b| b.accept(CommandCode::QuickRestore, 0, 1)),
        ("suspended", |b| b.accept(CommandCode::Suspend, 0, 1)),
    ];
    let both: Reach = |b| {
        split(b);
        split_of(b, 1, 2);
    };
    insta::assert_snapshot!(table(&statuses, both, (1, 2)), @r"
    copy
      accepted: no pair; 804; 804 frozen; 804, its primary undefined
      refused: the first-level pair is paired and not copied, it has to be paired and copied: 802; 802 after a quick restore
      refused: the first-level pair is paired and copy in progress, it has to be paired and copied: 803
      refused: the first-level pair is restoring, it has to be paired and copied: restoring
      refused: the first-level pair is suspended, it has to be paired and copied: suspended
    resync
      accepted: no pair; 802; 803; 804; 804 frozen; 804, its primary undefined; restoring; 802 after a quick restore; suspended
      refused: the contents of volume 00:01 are undefined: no pair, primary undefined
    restore
      accepted: no pair; no pair, primary undefined
      refused: volume 00:01 is a secondary: a restore may not write it: 802; 803; 804; 804 frozen; 804, its primary undefined; restoring; 802 after a quick restore; suspended
    quick restore
      accepted: no pair; no pair, primary undefined
      refused: volume 00:01 is a secondary: a restore may not write it: 802; 803; 804; 804 frozen; 804, its primary undefined; restoring; 802 after a quick restore; suspended
    freeze
      accepted: no pair
      refused: the contents of volume 00:01 are undefined: no pair, primary undefined
      refused: volume 00:01 is a secondary: a restore may not write it: 802; 803; 804; 804 frozen; 804, its primary undefined; restoring; 802 after a quick restore; suspended
    suspend
      accepted: no pair; no pair, primary undefined; 802; 803; 804; 804 frozen; 804, its primary undefined; restoring; 802 after a quick restore; suspended
    delete
      accepted: no pair; no pair, primary undefined; 802; 803; 804; 804 frozen; 804, its primary undefined; restoring; 802 after a quick restore; suspended
    ");
}

/// Pair 0 -> 1, by the status of pair 1 -> 2.
#[test]
fn the_level_below() {
    let statuses: [(&str, Reach); 6] = [
        ("no pair", |_| {}),
        ("802", |b| b.accept(CommandCode::Create, 1, 2)),
        ("803", |b| {
            b.accept(CommandCode::Create, 1, 2);
            b.accept(CommandCode::Copy, 1, 2);
        }),
        ("804", |b| split_of(b, 1, 2)),
        ("804 frozen", |b| {
            split_of(b, 1, 2);
            b.command(Command::new(CommandCode::QuickRestore, ldev(1), ldev(2)).frozen());
        }),
        ("suspended", |b| {
            split_of(b, 1, 2);
            b.accept(CommandCode::Suspend, 1, 2);
        }),
    ];
    insta::assert_snapshot!(table(&statuses, split, (0, 1)), @r"
    copy
      accepted: no pair; 802; 803; 804; 804 frozen; suspended
    resync
      accepted: no pair; 802; 803; 804; 804 frozen; suspended
    restore
      accepted: no pair; 804; 804 frozen; suspended
      refused: the pair of secondary 00:02 is paired and not copied, it has to be split or suspended: 802
      refused: the pair of secondary 00:02 is paired and copy in progress, it has to be split or suspended: 803
    quick restore
      accepted: no pair; 804; 804 frozen; suspended
      refused: the pair of secondary 00:02 is paired and not copied, it has to be split or suspended: 802
      refused: the pair of secondary 00:02 is paired and copy in progress, it has to be split or suspended: 803
    freeze
      accepted: no pair; 804; 804 frozen; suspended
      refused: the pair of secondary 00:02 is paired and not copied, it has to be split or suspended: 802
      refused: the pair of secondary 00:02 is paired and copy in progress, it has to be split or suspended: 803
    suspend
      accepted: no pair; 802; 803; 804; 804 frozen; suspended
    delete
      accepted: no pair; 802; 803; 804; 804 frozen; suspended
    ");
}
