//! The history: what is in it after this and that.

use crate::bench::*;
use diptych_cha::{CommandCode, HostOp, HostReply, Who};
use diptych_device::{FaultKind, FaultRule, Op};
use diptych_format::Time;
use diptych_shared::{Pace, PairOptions};
use diptych_testkit::ldev;
use diptych_unit::HistoryQuery;

#[test]
fn what_is_no_command_is_in_the_history_too() {
    let mut bench = Bench::new(1, config(8), 2);
    bench.fill(0, 1);
    let now = Time::from_ns(1_000_000);
    bench.hand.advance(now);
    for reserved in [true, false] {
        bench.unit().set_reserved(ldev(1), reserved, now).expect("no pair yet");
    }
    bench.accept(command(CommandCode::Create, 0, 1));
    let fast = PairOptions { pace: Pace::FAST, ..PairOptions::default() };
    bench.unit().change_pace(ldev(0), ldev(1), fast, now).expect("the pair");
    bench.settle();
    assert_eq!(bench.write(0, 0, 1, 2), HostReply::Done);
    bench.accept(command(CommandCode::Copy, 0, 1));
    bench.settle();
    assert_eq!(bench.write(0, 8, 1, 3), HostReply::Done);
    bench.accept(command(CommandCode::Resync, 0, 1));
    bench.settle();
    bench.accept(command(CommandCode::Delete, 0, 1));
    bench.drives[0].goes_wrong(FaultRule::new(Op::Write, FaultKind::StorageFull));
    assert_eq!(bench.write(0, 4, 1, 4), HostReply::Done);
    bench.settle();
    bench.unit().release_volume(ldev(0), bench.hand.now()).expect("the volume");
    let without_time =
        |line: &str| line.split_once(' ').expect("the time comes first").1.to_owned();
    let shown: Vec<_> = bench.history().lines().map(without_time).collect();
    insta::assert_snapshot!(shown.join("\n"), @r"
    2003 information 00:01 -> - reserved
    2005 information 00:01 -> - no longer reserved
    1000 information 00:00 -> 00:01 [no pair -> paired and not copied] create accepted
    2002 information 00:00 -> 00:01 pace changed
    2001 information 00:00 -> 00:01 the secondary has caught up (6 tracks in 0.000000 s)
    1002 information 00:00 -> 00:01 [paired and not copied -> paired and copy in progress] copy accepted
    2000 information 00:00 -> 00:01 [paired and copy in progress -> paired and copied] copy ended (1 track in 0.000000 s)
    1003 information 00:00 -> 00:01 [paired and copied -> paired and not copied] resync accepted
    2001 information 00:00 -> 00:01 the secondary has caught up (1 track in 0.000000 s)
    1001 information 00:00 -> 00:01 [paired and not copied -> no pair] delete accepted (1 track)
    3003 error       00:00 -> - track 1 cannot be destaged
    2004 information 00:00 -> - released
    ");
}

/// A command that waits for what hosts have under way says who gave it and how long it took, and the
/// copy that it ends how far that had come.
#[test]
fn a_command_says_who_gave_it_and_how_long_it_took() {
    const MS: u64 = 1_000_000;
    let mut bench = Bench::new(1, config(8), 2);
    bench.fill(0, 1);
    bench.accept(command(CommandCode::Create, 0, 1).by(Who::Operator));
    bench.begin(HostOp::Command(command(CommandCode::Copy, 0, 1).by(Who::Operator)));
    let write = bench.begin_to_effect(write_of(0, 0, 1, 2), 0);
    bench.hand.advance(Time::from_ns(5 * MS));
    let suspend = command(CommandCode::Suspend, 0, 1).by(Who::Schedule);
    let suspend = bench.begin(HostOp::Command(suspend));
    bench.hand.advance(Time::from_ns(12 * MS));
    for id in [write, suspend] {
        bench.turn(id);
        bench.reply(id);
    }
    let entries = bench.unit().history(&HistoryQuery::newest(2)).entries;
    let entries = entries.iter().map(|entry| {
        let code = entry.message.code();
        (code, entry.who, entry.at.ns, entry.tracks, entry.duration_ns)
    });
    assert_eq!(
        entries.collect::<Vec<_>>(),
        [
            (1004, Who::Schedule, 12 * MS, Some(1), Some(7 * MS)),
            (1002, Who::Operator, 0, None, Some(0)),
        ]
    );
}
