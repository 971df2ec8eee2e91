//! Schedules as operators see them: what is refused, listed, taken back.

use crate::bench::*;
use diptych_shared::PairOptions;
use diptych_testkit::ldev;
use diptych_unit::{Rotation, Schedule, ScheduleError, ScheduleId, Scope, When};

#[test]
fn what_is_no_schedule() {
    #[track_caller]
    fn check(scope: Scope, expected: ScheduleError) {
        let bench = Bench::with_config(4, false, |config| config.secondaries_max = 4);
        let added = bench.unit().add_schedule(Schedule::new(scope, every(1)), bench.now());
        assert_eq!(added, Err(expected));
        assert_eq!(bench.unit().schedules(), []);
        assert_eq!(bench.events(), "");
    }
    let of = |secondaries: &[u8], images| {
        let secondaries = secondaries.iter().map(|no| ldev(*no)).collect();
        Scope::Rotation(Rotation { primary: ldev(0), secondaries, images })
    };
    let no_pair =
        |secondary| ScheduleError::NoPair { primary: ldev(0), secondary: ldev(secondary) };
    check(pair(9), no_pair(9));
    check(pair(0), no_pair(0));
    let reverse = Scope::Pair { primary: ldev(1), secondary: ldev(0) };
    check(reverse, ScheduleError::NoPair { primary: ldev(1), secondary: ldev(0) });
    check(of(&[1, 2, 9], 2), no_pair(9));
    check(of(&[1, 2], 0), ScheduleError::NoImages);
    check(of(&[1, 2], 2), ScheduleError::TooFew { images: 2, found: 2 });
    check(of(&[], 1), ScheduleError::TooFew { images: 1, found: 0 });
    check(of(&[1, 2, 1], 2), ScheduleError::Twice { ldev: ldev(1) });
    let most = ScheduleError::TooManySecondaries { found: 5, most: 4 };
    check(of(&[1, 2, 3, 4, 5], 1), most);
    let bench = Bench::of_maps(1);
    let options = Some(PairOptions { lanes: 17, ..PairOptions::default() });
    let schedule = Schedule { options, ..Schedule::new(pair(1), every(1)) };
    let added = bench.unit().add_schedule(schedule, bench.now());
    assert_eq!(added, Err(ScheduleError::Lanes { asked: 17, most: 16 }));
}

#[test]
fn there_are_so_many_at_most_and_numbers_are_not_used_again() {
    let mut bench = Bench::with_config(1, false, |config| config.schedules_max = 2);
    assert_eq!(bench.add(pair(1), every(100)), ScheduleId(1));
    assert_eq!(bench.add(pair(1), every(200)), ScheduleId(2));
    let third = Schedule::new(pair(1), every(300));
    let now = bench.now();
    let added = bench.unit().add_schedule(third.clone(), now);
    assert_eq!(added, Err(ScheduleError::TooMany { most: 2 }));
    let removed = bench.unit().remove_schedule(ScheduleId(1), now).map(|schedule| schedule.when);
    assert_eq!(removed, Ok(every(100)));
    let unknown = ScheduleError::Unknown { id: ScheduleId(1) };
    assert_eq!(bench.unit().remove_schedule(ScheduleId(1), now).err(), Some(unknown.clone()));
    assert_eq!(bench.unit().images_of_schedule(ScheduleId(1)).err(), Some(unknown));
    assert_eq!(bench.unit().add_schedule(third, now), Ok(ScheduleId(3)));
}

#[test]
fn a_schedule_that_was_taken_back_does_nothing_more() {
    let mut bench = Bench::new(1);
    let id = bench.add(pair(1), every(100));
    bench.pass(150 * SECOND);
    let now = bench.now();
    bench.unit().remove_schedule(id, now).expect("the schedule");
    bench.pass(DAY);
    let images = bench.unit().images(ldev(0));
    assert_eq!(images.len(), 1, "the image stays");
    assert_eq!(images[0].at.ns, 100 * SECOND);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:01 schedule 1: an image is made
    2026-01-30T12:02:30Z operator       schedule 1 removed
    ");
}

#[test]
fn what_they_are_called() {
    let mut bench = Bench::of_maps(3);
    let name = |when: When, scope: Scope| format!("{}\n", Schedule::new(scope, when));
    let names = [
        name(at("2026-02-01T02:00:00Z"), pair(1)),
        name(every(3_600), pair(2)),
        name(cron("*/5 8-17 * * MON-FRI"), rotation(3, 2)),
    ];
    insta::assert_snapshot!(names.concat(), @"
    at 2026-02-01T02:00:00Z: 00:00 -> 00:01
    every 3600 s from 2026-01-30T13:00:00Z: 00:00 -> 00:02
    cron */5 8-17 * * MON-FRI: 00:00 -> 3 volumes in turn, 2 images
    ");
    bench.add(rotation(3, 2), cron("0 2 * * *"));
    let state = &bench.unit().schedules()[0];
    assert_eq!((state.last, state.running), (None, false));
    assert_eq!(state.next.map(|at| at.to_string()).as_deref(), Some("2026-01-31T02:00:00Z"));
}

#[test]
fn errors_say() {
    let errors = [
        ScheduleError::TooMany { most: 256 },
        ScheduleError::Unknown { id: ScheduleId(7) },
        ScheduleError::NoPair { primary: ldev(0), secondary: ldev(1) },
        ScheduleError::NoImages,
        ScheduleError::TooFew { images: 7, found: 7 },
        ScheduleError::TooManySecondaries { found: 17, most: 16 },
        ScheduleError::Twice { ldev: ldev(1) },
        ScheduleError::Lanes { asked: 0, most: 16 },
        ScheduleError::Over { now: start() },
    ];
    insta::assert_snapshot!(errors.map(|error| format!("{error}\n")).concat(), @"
    there are 256 schedules already
    there is no schedule 7
    volumes 00:00 and 00:01 are no pair
    a rotation keeps at least one image
    7 images need 8 to take turns, not 7
    a primary has at most 16 secondaries, not 17
    volume 00:01 is named twice
    a pair has 1 to 16 lanes, not 0
    no tick comes after 2026-01-30T12:00:00Z
    ");
}
