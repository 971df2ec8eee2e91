//! Codes and texts that programs rely on, and what the history answers.

use super::*;
use crate::{Passed, ScheduleEvent, ScheduleId};
use diptych_cha::{CommandCode, Refusal, Who};
use diptych_format::{LdevId, PairId, Time, TrackNo};
use diptych_shared::PairStatus;
use diptych_sync::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write as _;

const MS: u64 = 1_000_000;

/// Every message there is.
fn messages() -> Vec<Message> {
    let refused: fn(CommandCode) -> Message = |code| Message::Refused(code, Refusal::Busy);
    let of_commands = [Message::Accepted, Message::Nothing, refused];
    let others = [
        Message::CopyEnded,
        Message::CaughtUp,
        Message::PaceChanged,
        Message::Reserved(true),
        Message::Released,
        Message::Formatted,
        Message::ContentsAccepted,
        Message::Reserved(false),
        Message::SourceUnreadable(TrackNo(7)),
        Message::SuspendedBySource(TrackNo(7)),
        Message::SuspendedByTarget(TrackNo(7)),
        Message::DestageFailed(TrackNo(7)),
        Message::ControlStateLost,
    ];
    let passed =
        [Passed::NoGroup, Passed::NoPair, Passed::InUse, Passed::Status(PairStatus::Suspended)];
    let events = [
        ScheduleEvent::Image,
        ScheduleEvent::Added,
        ScheduleEvent::Removed,
        ScheduleEvent::Ended,
        ScheduleEvent::Late { late_s: 7200, left_out: 1 },
        ScheduleEvent::NoneFree,
        ScheduleEvent::Refused(Refusal::Restoring),
    ];
    let events = events.into_iter().chain(passed.map(ScheduleEvent::PassedOver));
    let of_schedules = events.map(|event| Message::Schedule(ScheduleId(5), event));

    of_commands
        .into_iter()
        .flat_map(|of| CommandCode::ALL.map(of))
        .chain(others)
        .chain(of_schedules)
        .collect()
}

#[test]
fn every_message_has_its_code_type_and_text() {
    let mut text = String::new();
    for message in messages() {
        let (code, kind, who) = (message.code(), message.message_type(), message.usually_by());
        writeln!(text, "{code} {kind:<11} {who:<8} {message}").unwrap();
    }
    insta::assert_snapshot!(text, @r"
    1000 information host     create accepted
    1001 information host     delete accepted
    1002 information host     copy accepted
    1003 information host     resync accepted
    1004 information host     suspend accepted
    1005 information host     restore accepted
    1006 information host     quick-restore accepted
    1100 warning     host     create: nothing to do
    1101 warning     host     delete: nothing to do
    1102 warning     host     copy: nothing to do
    1103 warning     host     resync: nothing to do
    1104 warning     host     suspend: nothing to do
    1105 warning     host     restore: nothing to do
    1106 warning     host     quick-restore: nothing to do
    1200 warning     host     create refused: too many requests wait already
    1201 warning     host     delete refused: too many requests wait already
    1202 warning     host     copy refused: too many requests wait already
    1203 warning     host     resync refused: too many requests wait already
    1204 warning     host     suspend refused: too many requests wait already
    1205 warning     host     restore refused: too many requests wait already
    1206 warning     host     quick-restore refused: too many requests wait already
    2000 information unit     copy ended
    2001 information unit     the secondary has caught up
    2002 information operator pace changed
    2003 information operator reserved
    2004 information operator released
    2010 information operator formatted
    2011 information operator contents accepted as they are
    2005 information operator no longer reserved
    3000 error       unit     track 7 of the primary cannot be read
    3001 error       unit     suspended: track 7 of the primary cannot be read
    3002 error       unit     suspended: track 7 of the secondary cannot be written
    3003 error       unit     track 7 cannot be destaged
    3004 error       unit     the log is damaged: the pair is suspended, all different; the volume is blocked
    4000 information schedule schedule 5: an image is made
    4001 information operator schedule 5 added
    4002 information operator schedule 5 removed
    4003 information schedule schedule 5 is over
    4100 warning     schedule schedule 5: a tick is taken 7200 s late, ticks left out: 1
    4200 error       schedule schedule 5: no secondary is free, no image is made
    4201 error       schedule schedule 5: no image is made, the pair is restoring: wait for its end
    4104 warning     schedule schedule 5: passed over, there is no such group
    4101 warning     schedule schedule 5: passed over, it is in no pair with the primary
    4102 warning     schedule schedule 5: passed over, a host uses it
    4103 warning     schedule schedule 5: passed over, its pair is suspended
    ");
}

#[test]
fn no_code_is_used_twice() {
    let mut by_code = BTreeMap::new();
    for message in messages() {
        let other = by_code.insert(message.code(), message);
        assert_eq!(other, None, "code {}: {message}", message.code());
    }
}

/// Something of everything.
fn entries() -> Vec<HistoryEntry> {
    use PairStatus::{Copied, CopyInProgress, PairedNotCopied, Suspended};
    let ldev = |no| LdevId::new(0, no);
    let pair = |no| Some(PairId { no, epoch: 2 });
    let entry = |at, message| HistoryEntry::new(Time::from_ns(at), message);
    let of = |entry: HistoryEntry, no: u16, secondary, from, to| {
        let entry = entry.of_volumes(ldev(0x1A), ldev(secondary)).statuses(from, to);
        HistoryEntry { pair: pair(no), ..entry }
    };
    let create = entry(MS, Message::Accepted(CommandCode::Create)).took(40);
    let copy = entry(3 * MS, Message::Accepted(CommandCode::Copy)).by(Who::Schedule).took(900);
    let ended = HistoryEntry { tracks: Some(96), ..entry(8 * MS, Message::CopyEnded).took(5 * MS) };
    let refused = Message::Refused(CommandCode::Copy, Refusal::Undefined { ldev: ldev(0x1A) });
    let broken = entry(9 * MS, Message::SuspendedByTarget(TrackNo(12)));
    let broken = HistoryEntry { tracks: Some(1), ..broken.took(2 * MS) };
    let entries = vec![
        entry(0, Message::Reserved(true)).of_volume(ldev(3)),
        of(create, 0, 0x1B, None, Some(PairedNotCopied)),
        of(copy, 0, 0x1B, Some(PairedNotCopied), Some(CopyInProgress)),
        entry(3 * MS, refused).by(Who::Operator).of_volumes(ldev(0x1A), ldev(2)).took(30),
        of(ended, 0, 0x1B, Some(CopyInProgress), Some(Copied)),
        of(broken, 1, 3, Some(PairedNotCopied), Some(Suspended)),
        of(entry(9 * MS, Message::Accepted(CommandCode::Delete)), 0, 0x1B, Some(Copied), None),
    ];
    (1..).zip(entries).map(|(sequence, entry)| HistoryEntry { sequence, ..entry }).collect()
}

fn history_of(most: usize, entries: impl IntoIterator<Item = HistoryEntry>) -> Mutex<History> {
    let mut history = History::new(most);
    entries.into_iter().for_each(|entry| history.record(entry));
    Mutex::new(history)
}

fn numbers(page: &HistoryPage) -> Vec<u64> {
    page.entries.iter().map(|entry| entry.sequence).collect()
}

#[test]
fn entries_as_text() {
    let lines: Vec<_> = entries().iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    0.000000 2003 information 00:03 -> - reserved
    0.001000 1000 information 00:1A -> 00:1B [no pair -> paired and not copied] create accepted
    0.003000 1002 information 00:1A -> 00:1B [paired and not copied -> paired and copy in progress] copy accepted
    0.003000 1202 warning     00:1A -> 00:02 copy refused: the contents of volume 00:1A are undefined
    0.008000 2000 information 00:1A -> 00:1B [paired and copy in progress -> paired and copied] copy ended (96 tracks in 0.005000 s)
    0.009000 3002 error       00:1A -> 00:03 [paired and not copied -> suspended] suspended: track 12 of the secondary cannot be written (1 track in 0.002000 s)
    0.009000 1001 information 00:1A -> 00:1B [paired and copied -> no pair] delete accepted
    ");
}

#[test]
fn filters_of_every_column() {
    let history = history_of(100, entries());
    let check = |filters: &[HistoryFilter], expected: &[u64]| {
        let query = HistoryQuery { filters: filters.to_vec(), ..HistoryQuery::default() };
        let page = query.ask(&history);
        assert_eq!(numbers(&page), expected, "{filters:?}");
        assert_eq!((page.oldest, page.next), (Some(1), 8));
    };
    let ldev = |no| LdevId::new(0, no);
    let ms = |ms| Time::from_ns(ms * MS);
    let reason = |text: &str| HistoryFilter::Reason(text.to_owned());
    check(&[], &[1, 2, 3, 4, 5, 6, 7]);
    check(&[HistoryFilter::At(ms(3)..ms(9))], &[3, 4, 5]);
    check(&[HistoryFilter::Code(1000..=1099)], &[2, 3, 7]);
    check(&[HistoryFilter::Type(MessageType::Error)], &[6]);
    check(&[HistoryFilter::Who(Who::Host)], &[2, 7]);
    check(&[HistoryFilter::Who(Who::Operator)], &[1, 4]);
    check(&[HistoryFilter::Volume(ldev(3))], &[1, 6]);
    check(&[HistoryFilter::Primary(ldev(0x1A))], &[2, 3, 4, 5, 6, 7]);
    check(&[HistoryFilter::Secondary(ldev(3))], &[6]);
    check(&[HistoryFilter::Pair(PairId { no: 1, epoch: 2 })], &[6]);
    check(&[HistoryFilter::Pair(PairId { no: 1, epoch: 1 })], &[]);
    check(&[HistoryFilter::From(Some(PairStatus::PairedNotCopied))], &[3, 6]);
    check(&[HistoryFilter::From(None)], &[2]);
    check(&[HistoryFilter::To(None)], &[7]);
    check(&[HistoryFilter::Tracks(2..=u64::MAX)], &[5]);
    check(&[HistoryFilter::DurationNs(0..=900)], &[2, 3, 4]);
    check(&[reason("")], &[4, 6]);
    check(&[reason("cannot be written")], &[6]);
    check(&[HistoryFilter::Who(Who::Unit), reason("")], &[6]);
}

#[test]
fn sorted_by_every_column() {
    let history = history_of(100, entries());
    let mut text = String::new();
    for sort in HistoryColumn::ALL {
        let ask = |descending| {
            numbers(&HistoryQuery { sort, descending, ..HistoryQuery::default() }.ask(&history))
        };
        let (up, mut down) = (ask(false), ask(true));
        writeln!(text, "{:<9} {up:?}", format!("{sort:?}")).unwrap();
        down.reverse();
        assert_eq!(down, up, "{sort:?}");
    }
    insta::assert_snapshot!(text, @r"
    Sequence  [1, 2, 3, 4, 5, 6, 7]
    At        [1, 2, 3, 4, 5, 6, 7]
    Code      [2, 7, 3, 4, 5, 1, 6]
    Type      [1, 2, 3, 5, 7, 4, 6]
    Who       [2, 7, 1, 4, 3, 5, 6]
    Primary   [1, 2, 3, 4, 5, 6, 7]
    Secondary [1, 4, 6, 2, 3, 5, 7]
    Pair      [1, 4, 2, 3, 5, 7, 6]
    From      [1, 4, 2, 3, 6, 5, 7]
    To        [1, 4, 7, 2, 3, 5, 6]
    Tracks    [1, 2, 3, 4, 7, 6, 5]
    Duration  [1, 7, 4, 2, 3, 6, 5]
    Reason    [1, 2, 3, 5, 7, 4, 6]
    ");
}

#[test]
fn a_part_at_a_time() {
    let release = |no: u64| HistoryEntry::new(Time::from_ns(no % 7), Message::Released);
    let history = history_of(5_000, (0..6_000).map(release));
    let check = |query: &HistoryQuery, expected: &[u64], next| {
        let page = query.ask(&history);
        assert_eq!((numbers(&page).as_slice(), page.next), (expected, next), "{query:?}");
        assert_eq!(page.oldest, Some(1_001));
    };
    let all = HistoryQuery::default();
    check(&HistoryQuery { limit: 3, ..all.clone() }, &[1_001, 1_002, 1_003], 1_004);
    check(&HistoryQuery { since: 1_004, limit: 1, ..all.clone() }, &[1_004], 1_005);
    check(&HistoryQuery { skip: 4_998, ..all.clone() }, &[5_999, 6_000], 6_001);
    check(&HistoryQuery { since: 6_000, limit: 1, ..all.clone() }, &[6_000], 6_001);
    check(&HistoryQuery { since: 6_001, ..all.clone() }, &[], 6_001);
    check(&HistoryQuery { since: u64::MAX, ..all.clone() }, &[], 6_001);
    check(&HistoryQuery { limit: 0, ..all.clone() }, &[], 1_001);
    check(&HistoryQuery::newest(2), &[6_000, 5_999], 6_001);
    check(&HistoryQuery { skip: 4_999, ..HistoryQuery::newest(2) }, &[1_001], 6_001);
    let by_time = HistoryQuery { sort: HistoryColumn::At, limit: 2, ..all.clone() };
    check(&by_time, &[1_002, 1_009], 6_001);
    check(&HistoryQuery { descending: true, skip: 1, ..by_time }, &[5_992, 5_985], 6_001);

    let mut query = HistoryQuery {
        filters: vec![HistoryFilter::At(Time::ZERO..Time::from_ns(1))],
        limit: 100,
        ..all
    };
    let mut found = Vec::new();
    loop {
        let page = query.ask(&history);
        if page.entries.is_empty() {
            break;
        }
        query.since = page.next;
        found.extend(numbers(&page));
    }
    assert_eq!(found, (1_001..=6_000).filter(|no| (no - 1) % 7 == 0).collect::<Vec<_>>());
}

#[test]
fn a_history_of_nothing() {
    let page = HistoryQuery::default().ask(&history_of(3, []));
    assert_eq!((page.entries, page.oldest, page.next), (vec![], None, 1));
}

#[cfg(feature = "json")]
#[test]
fn entries_as_lines_of_json() {
    let lines: Vec<_> = entries().iter().map(HistoryEntry::json_line).collect();
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"sequence":1,"at_ns":0,"code":2003,"type":"information","who":"operator","message":"reserved","primary":"00:03","secondary":null,"pair":null,"from":null,"to":null,"tracks":null,"duration_ns":null,"reason":null}
    {"sequence":2,"at_ns":1000000,"code":1000,"type":"information","who":"host","message":"create accepted","primary":"00:1A","secondary":"00:1B","pair":"0.2","from":"no pair","to":"paired and not copied","tracks":null,"duration_ns":40,"reason":null}
    {"sequence":3,"at_ns":3000000,"code":1002,"type":"information","who":"schedule","message":"copy accepted","primary":"00:1A","secondary":"00:1B","pair":"0.2","from":"paired and not copied","to":"paired and copy in progress","tracks":null,"duration_ns":900,"reason":null}
    {"sequence":4,"at_ns":3000000,"code":1202,"type":"warning","who":"operator","message":"copy refused: the contents of volume 00:1A are undefined","primary":"00:1A","secondary":"00:02","pair":null,"from":null,"to":null,"tracks":null,"duration_ns":30,"reason":"the contents of volume 00:1A are undefined"}
    {"sequence":5,"at_ns":8000000,"code":2000,"type":"information","who":"unit","message":"copy ended","primary":"00:1A","secondary":"00:1B","pair":"0.2","from":"paired and copy in progress","to":"paired and copied","tracks":96,"duration_ns":5000000,"reason":null}
    {"sequence":6,"at_ns":9000000,"code":3002,"type":"error","who":"unit","message":"suspended: track 12 of the secondary cannot be written","primary":"00:1A","secondary":"00:03","pair":"1.2","from":"paired and not copied","to":"suspended","tracks":1,"duration_ns":2000000,"reason":"track 12 of the secondary cannot be written"}
    {"sequence":7,"at_ns":9000000,"code":1001,"type":"information","who":"host","message":"delete accepted","primary":"00:1A","secondary":"00:1B","pair":"0.2","from":"paired and copied","to":"no pair","tracks":null,"duration_ns":null,"reason":null}
    "#);
    let documented = include_str!("json.rs").lines().filter_map(|line| {
        let (key, _) = line.strip_prefix("//! | `")?.split_once('`')?;
        Some(key.to_owned())
    });
    let keys = lines[0].split([',', '{']).filter_map(|part| part.split('"').nth(1));
    let documented: Vec<_> = documented.collect();
    assert_eq!(documented, keys.collect::<Vec<_>>());
}
