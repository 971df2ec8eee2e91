//! Room in the log: the order of asking, the reserve, and that admitted records meet no full log.
#![cfg(not(any(diptych_loom, diptych_shuttle)))]

use bytes::Bytes;
use diptych_device::{Fault, FaultKind, FaultPlan, FaultRule, MemoryDrive, Op};
use diptych_format::{Answer, OwnerId, Wakes};
use diptych_log::{
    Entry, Log, LogAdmit, LogConfig, LogError, LogId, LogRoom, Sequence, sectors_for,
};
use proptest::prelude::*;
use std::collections::VecDeque;

type TestLog = Log<MemoryDrive>;

/// A ring of so many sectors, of which one stays free.
fn log(ring: u64, reserve_sectors: u64) -> TestLog {
    let config = LogConfig { reserve_sectors, waiters_max: 4 };
    Log::create(MemoryDrive::new(16 + ring), LogId(1), config).expect("room")
}

/// A group of so many sectors.
fn group(sectors: u64) -> Vec<Entry> {
    let blocks = sectors as usize - 1;
    let group = vec![Entry::new(1, vec![], Bytes::from(vec![1; blocks * 512]))];
    assert_eq!(sectors_for(blocks * 512, 0, 1), sectors);
    group
}

fn granted(log: &TestLog, owner: u64, sectors: u64) -> LogRoom {
    match log.admit(OwnerId(owner), sectors) {
        Ok(LogAdmit::Granted(room)) => room,
        other => panic!("{sectors} sectors: {other:?}"),
    }
}

#[track_caller]
fn queued(log: &TestLog, owner: u64, sectors: u64) {
    let answer = log.admit(OwnerId(owner), sectors);
    assert!(matches!(answer, Ok(LogAdmit::Queued)), "{answer:?}");
}

fn wake<const N: usize>(owners: [u64; N]) -> Wakes {
    owners.map(|owner| (OwnerId(owner), Answer::Granted)).to_vec()
}

#[test]
fn what_a_group_takes() {
    let check = |payload, head, records, expected| {
        assert_eq!(sectors_for(payload, head, records), expected);
    };
    check(0, 0, 1, 1);
    check(512, 0, 1, 2);
    check(0, 512 - 64 - 12, 1, 1);
    check(0, 512 - 64 - 11, 1, 2);
    check(0, 512 - 64 - 24, 2, 1);
    check(128 << 10, 100, 1, 257);
}

#[test]
fn room_is_granted_in_the_order_of_asking() {
    let log = log(101, 20);
    let first = granted(&log, 1, 30);
    queued(&log, 2, 40);
    queued(&log, 3, 1);
    assert_eq!((log.usage().waiters, log.usage().log_waits), (2, 2), "no overtaking");
    assert_eq!(log.usage().promised_sectors, 30);
    // 40 and 40 once more are all but the reserve: 3 waits on.
    assert_eq!(log.return_room(first), wake([2]));
    let second = log.admitted(OwnerId(2));
    assert_eq!(second.sectors(), 40);
    queued(&log, 4, 1);
    assert_eq!(log.cancel(OwnerId(3)), []);
    assert_eq!(log.return_room(second), wake([4]));
    assert_eq!(log.cancel(OwnerId(4)), [], "granted, not fetched");
    assert_eq!(log.usage().promised_sectors, 0);
    assert_eq!(log.usage().log_waits, 3);
}

#[test]
fn a_trim_wakes_who_waits() {
    let log = log(101, 20);
    let mut room = granted(&log, 1, 40);
    let put = log.put_with(&mut room, group(30));
    queued(&log, 2, 25);
    assert_eq!(log.return_room(room), [], "30 are written, 25 and 40 are more than 50");
    log.write_out(put.end).expect("room");
    assert_eq!(log.usage().used_sectors, 30);
    assert_eq!(log.trim(put.end), Ok(wake([2])));
    let room = log.admitted(OwnerId(2));
    assert_eq!((log.usage().used_sectors, log.usage().promised_sectors), (0, 25));
    drop(log.return_room(room));
}

#[test]
fn a_room_is_open_until_it_is_returned() {
    let log = log(101, 0);
    let mut rooms = [1, 2].map(|owner| granted(&log, owner, 10));
    assert_eq!(log.oldest_open(), None);
    let early = log.put(group(1));
    let first = log.put_with(&mut rooms[1], group(3));
    let second = log.put_with(&mut rooms[0], group(3));
    assert_eq!(log.put_with(&mut rooms[1], group(3)).start, second.end);
    assert_eq!((early.end, log.oldest_open()), (first.start, Some(first.start)));
    log.sync(log.end()).expect("room");
    assert_eq!(log.oldest_open(), Some(first.start), "written is not returned");
    let [of_1, of_2] = rooms;
    drop(log.return_room(of_2));
    assert_eq!(log.oldest_open(), Some(second.start));
    drop(log.return_room(of_1));
    assert_eq!(log.oldest_open(), None);
}

#[test]
fn what_is_placed_holds_nothing() {
    let log = log(101, 0);
    let mut room = granted(&log, 1, 20);
    let first = log.put_with(&mut room, group(3));
    assert_eq!((log.oldest_open(), log.sectors_before(first.end)), (Some(first.start), 0));
    log.placed(&mut room);
    assert_eq!(log.oldest_open(), None);
    let second = log.put_with(&mut room, group(3));
    assert_eq!((log.oldest_open(), room.sectors()), (Some(second.start), 14));
    log.write_out(log.end()).expect("room");
    assert_eq!((log.sectors_before(first.start), log.sectors_before(second.end)), (0, 5));
    log.placed(&mut room);
    drop(log.return_room(room));
    assert_eq!(log.oldest_open(), None);
}

#[test]
fn what_is_refused() {
    let log = log(101, 20);
    let refused = |owner, sectors| match log.admit(OwnerId(owner), sectors) {
        Err(error) => error.to_string(),
        Ok(answer) => panic!("{answer:?}"),
    };
    insta::assert_snapshot!(refused(1, 41), @"41 sectors never fit: at most 40");
    let all = granted(&log, 1, 40);
    (2..6).for_each(|owner| queued(&log, owner, 1));
    insta::assert_snapshot!(refused(6, 1), @"4 wait for room in the log already");
    drop(log.return_room(all));
    let small = LogConfig { reserve_sectors: 20, ..LogConfig::default() };
    let small = Log::create(MemoryDrive::new(40), LogId(1), small).err();
    assert_eq!(small, Some(LogError::TooSmall { sectors: 40, least: 52 }));
}

#[test]
#[should_panic(expected = "a group is no larger than the room")]
fn a_room_that_is_too_small_is_a_broken_invariant() {
    let log = log(101, 0);
    let mut room = granted(&log, 1, 2);
    log.put_with(&mut room, group(3));
}

#[test]
fn nobody_waits_for_a_log_that_has_ended() {
    let drive = Fault::new(MemoryDrive::new(100), FaultPlan::none()).expect("no rule");
    let log = Log::create(&drive, LogId(1), LogConfig::default()).expect("room");
    let Ok(LogAdmit::Granted(mut room)) = log.admit(OwnerId(1), 30) else { panic!("room") };
    assert!(matches!(log.admit(OwnerId(2), 30), Ok(LogAdmit::Queued)));
    drive.push(FaultRule::new(Op::Write, FaultKind::Fail)).expect("a rule");
    let put = log.put_with(&mut room, group(3));
    let error = log.write_out(put.end).expect_err("a write that fails");
    log.put_with(&mut room, group(3));
    assert_eq!(log.return_room(room), [(OwnerId(2), Answer::Cancelled)]);
    assert_eq!(log.admit(OwnerId(3), 1).map(|_| ()), Err(error));
    assert_eq!(log.usage().promised_sectors, 0);
}

const RESERVE: u64 = 20;
/// The most sectors of a group without room: twice that are the reserve.
const WITHOUT_MAX: u64 = 5;

#[derive(Debug, Clone)]
enum Step {
    /// Asks for so many sectors.
    Admit(u64),
    /// The n-th room puts a group of as much of it as there is, up to so many sectors.
    PutWith(usize, u64),
    /// A group without room, where the reserve has not been used up since all was trimmed.
    Put(u64),
    Return(usize),
    Cancel(usize),
    WriteOut,
    /// To this share of what was put, in percent.
    Trim(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..40_u64).prop_map(Step::Admit),
        6 => (0..4_usize, 1..40_u64).prop_map(|(n, sectors)| Step::PutWith(n, sectors)),
        2 => (1..=WITHOUT_MAX).prop_map(Step::Put),
        4 => (0..4_usize).prop_map(Step::Return),
        1 => (0..4_usize).prop_map(Step::Cancel),
        3 => Just(Step::WriteOut),
        2 => (0..=100_u64).prop_map(Step::Trim),
    ]
}

struct Storm {
    log: TestLog,
    rooms: Vec<LogRoom>,
    waiting: VecDeque<OwnerId>,
    last_owner: u64,
    without: u64,
}

impl Storm {
    fn act(&mut self, step: Step) {
        match step {
            Step::Admit(sectors) => {
                self.last_owner += 1;
                let owner = OwnerId(self.last_owner);
                match self.log.admit(owner, sectors) {
                    Ok(LogAdmit::Granted(room)) => self.rooms.push(room),
                    Ok(LogAdmit::Queued) => self.waiting.push_back(owner),
                    Err(_) => {} // never fits, or too many wait
                }
            }
            Step::PutWith(n, sectors) => {
                let Some(room) = self.rooms.get_mut(n) else { return };
                let sectors = sectors.min(room.sectors());
                if sectors > 0 {
                    self.log.put_with(room, group(sectors));
                }
            }
            Step::Put(sectors) => {
                if self.without + sectors + WITHOUT_MAX <= RESERVE {
                    self.without += sectors;
                    self.log.put(group(sectors));
                }
            }
            Step::Return(n) if n < self.rooms.len() => {
                let room = self.rooms.swap_remove(n);
                let wakes = self.log.return_room(room);
                self.deliver(wakes);
            }
            Step::Cancel(n) => {
                if let Some(owner) = self.waiting.remove(n) {
                    let wakes = self.log.cancel(owner);
                    self.deliver(wakes);
                }
            }
            Step::WriteOut => self.write_out(),
            Step::Trim(percent) => {
                let upto = Sequence(self.log.end().0 * percent / 100);
                let wakes = self.log.trim(upto).expect("a flush");
                self.deliver(wakes);
                if self.log.usage().used_sectors == 0 {
                    self.without = 0;
                }
            }
            Step::Return(_) => {}
        }
        let usage = self.log.usage();
        assert!(usage.used_sectors + usage.promised_sectors <= usage.capacity_sectors);
        assert_eq!(usage.waiters, self.waiting.len(), "nobody is forgotten");
    }

    fn write_out(&mut self) {
        let written = self.log.write_out(self.log.end());
        assert_eq!(written, Ok(()), "what was admitted, and the reserve, meets no full log");
    }

    fn deliver(&mut self, wakes: Wakes) {
        for (owner, answer) in wakes {
            assert_eq!((Some(owner), answer), (self.waiting.pop_front(), Answer::Granted));
            self.rooms.push(self.log.admitted(owner));
        }
    }

    /// Everything goes back: whoever waits gets his room.
    fn finish(mut self) {
        while !self.rooms.is_empty() || !self.waiting.is_empty() {
            let (waited, held) = (self.waiting.len(), self.rooms.len());
            while !self.rooms.is_empty() {
                self.act(Step::Return(0));
            }
            self.write_out();
            self.act(Step::Trim(100));
            assert!(held > 0 || self.waiting.len() < waited, "somebody was served");
        }
        self.write_out();
        self.act(Step::Trim(100));
        let usage = self.log.usage();
        assert_eq!((usage.used_sectors, usage.promised_sectors, usage.waiters), (0, 0, 0));
        assert_eq!(self.log.oldest_open(), None);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_admitted_meets_no_full_log_and_every_wait_ends(
        ring in prop_oneof![60..140_u64, 300..400_u64],
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let log = log(ring, RESERVE);
        let (rooms, waiting) = (Vec::new(), VecDeque::new());
        let mut storm = Storm { log, rooms, waiting, last_owner: 0, without: 0 };
        for step in steps {
            storm.act(step);
        }
        storm.finish();
    }
}
