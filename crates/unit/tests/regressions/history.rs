//! The history: codes, types and texts that operators and programs rely on.

use crate::bench::*;
use diptych_cha::{CommandCode, HostReply, Refusal};
use diptych_device::{FaultKind, FaultRule, Op};
use diptych_format::{Time, TrackNo};
use diptych_shared::{Pace, PairOptions};
use diptych_testkit::ldev;
use diptych_unit::Message;
use std::fmt::Write as _;

#[test]
fn every_message_has_its_code_type_and_text() {
    let refused: fn(CommandCode) -> Message = |code| Message::Refused(code, Refusal::Busy);
    let of_commands = [Message::Accepted, Message::Nothing, refused];
    let others = [
        Message::CopyEnded,
        Message::CaughtUp,
        Message::PaceChanged,
        Message::Reserved(true),
        Message::Reserved(false),
        Message::Released,
        Message::SourceUnreadable(TrackNo(7)),
        Message::SuspendedBySource(TrackNo(7)),
        Message::SuspendedByTarget(TrackNo(7)),
        Message::DestageFailed(TrackNo(7)),
    ];
    let messages = of_commands.into_iter().flat_map(|of| CommandCode::ALL.map(of)).chain(others);
    let mut text = String::new();
    for message in messages {
        let (code, kind) = (message.code(), message.message_type());
        writeln!(text, "{code} {kind:<11} {message}").unwrap();
    }
    insta::assert_snapshot!(text, @r"
    1000 information create accepted
    1001 information delete accepted
    1002 information copy accepted
    1003 information resync accepted
    1004 information suspend accepted
    1100 warning     create: nothing to do
    1101 warning     delete: nothing to do
    1102 warning     copy: nothing to do
    1103 warning     resync: nothing to do
    1104 warning     suspend: nothing to do
    1200 warning     create refused: too many requests wait already
    1201 warning     delete refused: too many requests wait already
    1202 warning     copy refused: too many requests wait already
    1203 warning     resync refused: too many requests wait already
    1204 warning     suspend refused: too many requests wait already
    2000 information copy ended
    2001 information the secondary has caught up
    2002 information pace changed
    2003 information reserved
    2003 information no longer reserved
    2004 information released
    3000 error       track 7 cannot be read
    3001 error       suspended: track 7 of the primary cannot be read
    3002 error       suspended: track 7 of the secondary cannot be written
    3003 error       track 7 cannot be destaged
    ");
}

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
    2003 information 00:01 -> - no longer reserved
    1000 information 00:00 -> 00:01 [no pair -> paired and not copied] create accepted
    2002 information 00:00 -> 00:01 pace changed
    2001 information 00:00 -> 00:01 the secondary has caught up
    1002 information 00:00 -> 00:01 [paired and not copied -> paired and copy in progress] copy accepted
    2000 information 00:00 -> 00:01 [paired and copy in progress -> paired and copied] copy ended
    1003 information 00:00 -> 00:01 [paired and copied -> paired and not copied] resync accepted
    2001 information 00:00 -> 00:01 the secondary has caught up
    1001 information 00:00 -> 00:01 [paired and not copied -> no pair] delete accepted
    3003 error       00:00 -> - track 1 cannot be destaged
    2004 information 00:00 -> - released
    ");
}
