//! Secondaries that cannot be taken, and ticks that make no image.

use crate::bench::*;
use diptych_cha::CommandCode;
use diptych_shared::PairStatus;
use diptych_unit::Schedule;

#[test]
fn one_that_a_host_uses_is_passed_over() {
    let mut bench = Bench::new(3);
    let id = bench.add(rotation(3, 2), every(100));
    bench.pass(390 * SECOND);
    assert_eq!(bench.images(id), [(1, 100), (2, 200), (3, 300)]);
    // Ten seconds before the tick.
    bench.write(1, 0);
    bench.pass(50 * SECOND);
    assert_eq!(bench.images(id), [(1, 100), (3, 300), (2, 400)]);
    // Half a minute later nobody uses it.
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(3, 300), (2, 400), (1, 500)]);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:01 schedule 1: an image is made
    2026-01-30T12:03:20Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:05:00Z schedule 00:03 schedule 1: an image is made
    2026-01-30T12:06:40Z schedule 00:01 schedule 1: passed over, a host uses it
    2026-01-30T12:06:40Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:08:20Z schedule 00:01 schedule 1: an image is made
    ");
}

#[test]
fn a_host_uses_a_volume_for_half_a_minute_after_a_write() {
    #[track_caller]
    fn check(before_ns: u64, expected: &[(u8, u64)]) {
        let mut bench = Bench::new(1);
        let id = bench.add(pair(1), every(100));
        bench.pass(200 * SECOND - before_ns);
        bench.write(1, 0);
        bench.pass(before_ns);
        assert_eq!(bench.images(id), expected, "{before_ns} ns before the tick");
    }
    check(1, &[(1, 100)]);
    check(29 * SECOND, &[(1, 100)]);
    check(30 * SECOND, &[(1, 200)]);
    check(90 * SECOND, &[(1, 200)]);
}

/// A host that writes on and on is noted once a second.
#[test]
fn a_host_that_goes_on_writing_goes_on_using() {
    let mut bench = Bench::new(1);
    let id = bench.add(pair(1), every(100));
    bench.pass(110 * SECOND);
    for _ in 0..200 {
        bench.write(1, 0);
        bench.pass(SECOND / 2);
    }
    assert_eq!(bench.images(id), [(1, 100)], "the tick at 200 s");
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(1, 300)]);
}

#[test]
fn one_whose_copy_has_not_ended_is_passed_over() {
    // One track in 140 s: a copy of all six outlasts many ticks.
    let mut bench = Bench::with_config(2, true, |config| config.copy_rest_ns = 10 * SECOND);
    for track in 0..TRACKS {
        bench.write(0, track);
    }
    let now = bench.now();
    let schedule = Schedule { options: Some(slow()), ..Schedule::new(rotation(2, 1), every(100)) };
    let id = bench.unit().add_schedule(schedule, now).expect("a schedule of what there is");
    bench.hand.start_due();
    bench.pass(350 * SECOND);
    assert_eq!(bench.images(id), [(1, 100), (2, 200)]);
    assert_eq!(bench.status(1), PairStatus::CopyInProgress);
    bench.pass(600 * SECOND);
    assert_eq!(bench.status(1), PairStatus::Copied);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:01 schedule 1: an image is made
    2026-01-30T12:03:20Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:05:00Z schedule 00:01 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:05:00Z schedule 00:02 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:05:00Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:06:40Z schedule 00:01 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:06:40Z schedule 00:02 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:06:40Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:08:20Z schedule 00:01 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:08:20Z schedule 00:02 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:08:20Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:10:00Z schedule 00:01 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:10:00Z schedule 00:02 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:10:00Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:11:40Z schedule 00:01 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:11:40Z schedule 00:02 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:11:40Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:13:20Z schedule 00:02 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:13:20Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:15:00Z schedule 00:02 schedule 1: passed over, its pair is paired and copy in progress
    2026-01-30T12:15:00Z schedule       schedule 1: no secondary is free, no image is made
    ");
    // The first image is complete; but with it alone, none may be replaced.
    assert_eq!(bench.images(id), [(1, 100), (2, 200)]);
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(2, 200), (1, 1_000)], "both complete, the older is replaced");
}

#[test]
fn those_suspended_or_gone_are_passed_over() {
    let mut bench = Bench::new(4);
    let id = bench.add(rotation(4, 1), every(100));
    bench.pass(450 * SECOND);
    bench.accept(command(CommandCode::Suspend, 1));
    bench.accept(command(CommandCode::Delete, 2));
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(4, 400), (3, 500)]);
    // Resynchronized by the operator, it is the first again: it holds no image.
    bench.accept(command(CommandCode::Resync, 1));
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(4, 400), (3, 500), (1, 600)]);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:01 schedule 1: an image is made
    2026-01-30T12:03:20Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:05:00Z schedule 00:03 schedule 1: an image is made
    2026-01-30T12:06:40Z schedule 00:04 schedule 1: an image is made
    2026-01-30T12:08:20Z schedule 00:01 schedule 1: passed over, its pair is suspended
    2026-01-30T12:08:20Z schedule 00:02 schedule 1: passed over, it is in no pair with the primary
    2026-01-30T12:08:20Z schedule 00:03 schedule 1: an image is made
    2026-01-30T12:10:00Z schedule 00:01 schedule 1: an image is made
    ");
}

#[test]
fn so_many_images_always_stay() {
    let mut bench = Bench::new(3);
    let id = bench.add(rotation(3, 2), every(100));
    bench.pass(350 * SECOND);
    bench.accept(command(CommandCode::Suspend, 3));
    bench.pass(200 * SECOND);
    assert_eq!(bench.images(id), [(1, 100), (2, 200)], "none of two is replaced");
    bench.accept(command(CommandCode::Resync, 3));
    bench.pass(200 * SECOND);
    assert_eq!(bench.images(id), [(2, 200), (3, 600), (1, 700)]);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:01 schedule 1: an image is made
    2026-01-30T12:03:20Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:05:00Z schedule 00:03 schedule 1: an image is made
    2026-01-30T12:06:40Z schedule 00:03 schedule 1: passed over, its pair is suspended
    2026-01-30T12:06:40Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:08:20Z schedule 00:03 schedule 1: passed over, its pair is suspended
    2026-01-30T12:08:20Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:10:00Z schedule 00:03 schedule 1: an image is made
    2026-01-30T12:11:40Z schedule 00:01 schedule 1: an image is made
    ");
}

#[test]
fn a_restore_forbids_the_tick() {
    let mut bench = Bench::with_config(2, true, |config| config.copy_rest_ns = 10 * SECOND);
    let schedule = Schedule { options: Some(fast()), ..Schedule::new(rotation(2, 1), every(100)) };
    let now = bench.now();
    let id = bench.unit().add_schedule(schedule, now).expect("a schedule of what there is");
    bench.hand.start_due();
    bench.pass(250 * SECOND);
    assert_eq!(bench.images(id), [(1, 100), (2, 200)]);
    // The primary takes back what the first secondary holds, a track in 140 seconds.
    bench.write(0, 0);
    bench.write(0, 1);
    bench.accept(command(CommandCode::Restore, 1).with_options(slow()));
    bench.pass(100 * SECOND);
    assert_eq!(bench.status(1), PairStatus::Restoring);
    assert_eq!(bench.images(id), [(2, 200)]);
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(2, 200), (1, 400)], "restored, and then its turn came");
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:01 schedule 1: an image is made
    2026-01-30T12:03:20Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:05:00Z schedule       schedule 1: no image is made, the pair is restoring: wait for its end
    2026-01-30T12:06:40Z schedule 00:01 schedule 1: an image is made
    ");
}

#[test]
fn a_primary_that_is_gone_makes_no_image() {
    let mut bench = Bench::new(1);
    bench.add(pair(1), every(100));
    bench.accept(command(CommandCode::Delete, 1));
    bench.pass(150 * SECOND);
    bench.unit().remove_volume(diptych_testkit::ldev(0)).expect("nobody uses it");
    bench.pass(100 * SECOND);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:01 schedule 1: passed over, it is in no pair with the primary
    2026-01-30T12:01:40Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:03:20Z schedule       schedule 1: no image is made, volume 00:00 does not exist
    ");
}
