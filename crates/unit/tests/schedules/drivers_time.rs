//! Ticks and the driver's time: none is lost, none is taken twice, those missed are one.

use crate::bench::*;
use diptych_cha::{CommandCode, HostOp};
use diptych_format::{BLOCK_BYTES, BlockNo, OwnerId, Time, Wait};
use diptych_testkit::{explore, ldev};
use diptych_unit::{Schedule, ScheduleError, Utc};

#[test]
fn missed_ticks_are_one() {
    let mut bench = Bench::new(3);
    let id = bench.add(rotation(3, 2), every(100));
    bench.pass(150 * SECOND);
    bench.sleep(300 * SECOND);
    assert_eq!(bench.images(id), [(1, 100), (2, 450)], "200, 300 and 400 were missed");
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(1, 100), (2, 450), (3, 500)]);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:01 schedule 1: an image is made
    2026-01-30T12:07:30Z schedule       schedule 1: a tick is taken 250 s late, ticks left out: 2
    2026-01-30T12:07:30Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:08:20Z schedule 00:03 schedule 1: an image is made
    ");
}

#[test]
fn one_missed_tick_is_taken_late() {
    let mut bench = Bench::new(1);
    let id = bench.add(pair(1), at("2026-01-30T12:01:00Z"));
    bench.sleep(DAY);
    assert!(bench.unit().images_of_schedule(id).is_err(), "it was its only tick");
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-31T12:00:00Z schedule       schedule 1: a tick is taken 86340 s late, ticks left out: 0
    2026-01-31T12:00:00Z schedule 00:01 schedule 1: an image is made
    2026-01-31T12:00:00Z schedule       schedule 1 is over
    ");
}

#[test]
fn a_tick_less_than_a_second_late_is_not_worth_a_note() {
    let mut bench = Bench::new(1);
    bench.add(pair(1), every(100));
    bench.sleep(100 * SECOND + 999_999_999);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:01 schedule 1: an image is made
    ");
}

#[test]
fn a_schedule_kept_while_the_unit_was_down_goes_on() {
    let mut bench = Bench::new(2);
    let schedule = Schedule::new(rotation(2, 1), cron("0 2 * * *"));
    let since: Utc = "2026-01-27T02:00:00Z".parse().expect("a time");
    let now = bench.now();
    let id = bench.unit().resume_schedule(schedule, since, now).expect("a schedule");
    bench.hand.start_due();
    bench.pass(DAY);
    assert_eq!(bench.images(id), [(1, 0), (2, 14 * 3_600)]);
    let state = &bench.unit().schedules()[0];
    assert_eq!(state.last, Some("2026-01-31T02:00:00Z".parse().expect("a time")));
    assert_eq!(state.next, Some("2026-02-01T02:00:00Z".parse().expect("a time")));
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:00:00Z schedule       schedule 1: a tick is taken 208800 s late, ticks left out: 2
    2026-01-30T12:00:00Z schedule 00:01 schedule 1: an image is made
    2026-01-31T02:00:00Z schedule 00:02 schedule 1: an image is made
    ");
}

#[test]
fn the_driver_is_asked_back_for_the_next_tick() {
    let bench = Bench::new(2);
    let unit = bench.unit();
    let due = |at: Time| unit.due(at, || OwnerId(1 << 40));
    assert_eq!(due(Time::ZERO).next, None);
    unit.add_schedule(Schedule::new(pair(1), every(300)), Time::ZERO).expect("a schedule");
    unit.add_schedule(Schedule::new(pair(2), every(200)), Time::ZERO).expect("a schedule");
    assert_eq!(due(Time::ZERO).next, Some(Time::from_ns(200 * SECOND)));
    let first = due(Time::from_ns(200 * SECOND));
    assert_eq!(first.jobs.len(), 1);
    assert_eq!(
        first.next,
        Some(Time::from_ns(300 * SECOND)),
        "the one under way is not waited for"
    );
    let again = due(Time::from_ns(200 * SECOND));
    assert_eq!(again.jobs.len(), 0, "a tick is started once");
    // A job that is dropped has done nothing: its tick is still due.
    drop(first);
    assert_eq!(due(Time::from_ns(200 * SECOND)).jobs.len(), 1);
}

#[test]
fn a_tick_that_finds_the_queue_full_comes_again() {
    let mut bench = Bench::with_config(2, true, |config| config.limits.queued_claims = 1);
    let id = bench.add(pair(1), every(100));
    bench.write(0, 0);
    bench.pass(99 * SECOND);
    // A lane holds the track, a host's write waits for it: the queue is full.
    let lane = bench.begin_lane(command(CommandCode::Copy, 2));
    let block = BlockNo(0);
    let data = vec![1; BLOCK_BYTES].into();
    let write = bench.hand.start(HostOp::Write { ldev: ldev(0), block, data });
    bench.turn(|owner| owner == write);
    assert_eq!(bench.hand.waiting().collect::<Vec<_>>(), [(write, Wait::Claim)]);
    bench.hand.advance(Time::from_ns(100 * SECOND));
    bench.hand.start_due();
    bench.turn(|owner| owner != lane);
    assert_eq!(bench.images(id), []);
    bench.pass(10 * SECOND);
    assert_eq!(bench.images(id), [(1, 101)]);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:41Z schedule       schedule 1: a tick is taken 1 s late, ticks left out: 0
    2026-01-30T12:01:41Z schedule 00:01 schedule 1: an image is made
    ");
}

/// Every interleaving of a tick with a command on its pair: one is before the other.
#[test]
fn a_tick_and_a_command_come_one_after_the_other() {
    use CommandCode::{Copy, Delete, Resync, Suspend};
    for code in [Copy, Resync, Suspend, Delete] {
        for split in [false, true] {
            let explored = explore(50_000, |choices| {
                let mut bench = Bench::of_maps(1);
                if split {
                    bench.accept(command(Copy, 1).with_options(fast()));
                    bench.pass(SECOND);
                }
                bench.add(pair(1), every(100));
                bench.hand.advance(Time::from_ns(100 * SECOND));
                bench.hand.start_due();
                bench.hand.start(HostOp::Command(command(code, 1).with_options(fast())));
                bench.hand.drain(choices).expect("both end");
            });
            assert!(explored.complete && explored.runs > 1, "{code}: {explored:?}");
        }
    }
}

#[test]
fn a_schedule_without_a_tick_is_not_taken() {
    let bench = Bench::new(1);
    let past = Schedule::new(pair(1), at("2026-01-30T12:00:00Z"));
    let added = bench.unit().add_schedule(past, bench.now());
    assert_eq!(added, Err(ScheduleError::Over { now: start() }));
}
