//! One pair at its times, and secondaries in turn: which gets the image, and what it holds.

use crate::bench::*;
use diptych_cha::{Command, CommandCode, HostOp, HostReply};
use diptych_format::{BlockNo, BlockRange, OwnerId, Step, Time};
use diptych_shared::{MapName, PairOptions, PairStatus};
use diptych_testkit::{Tag, ldev};
use diptych_unit::{Schedule, Scope};

#[test]
fn a_pair_gets_an_image_at_each_tick() {
    let mut bench = Bench::new(1);
    let id = bench.add(pair(1), every(3_600));
    let first = bench.write(0, 2);
    bench.pass(HOUR - 1);
    assert_eq!(bench.images(id), [], "not before its time");
    bench.pass(1 + SECOND);
    assert_eq!(bench.images(id), [(1, 3_600)]);
    let second = bench.write(0, 3);
    assert_eq!(bench.read(1)[2..4], [first, Tag::ZERO]);
    bench.pass(HOUR);
    assert_eq!(bench.images(id), [(1, 7_200)]);
    assert_eq!(bench.read(1)[2..4], [first, second]);
    let pair = bench.pair(1);
    assert_eq!(pair.map(MapName::A).count(), 1, "what changed between the images");
    assert_eq!(pair.begun_at, Time::from_ns(2 * HOUR));
}

#[test]
fn a_copy_at_a_specified_time_is_made_once() {
    let mut bench = Bench::new(1);
    let id = bench.add(pair(1), at("2026-01-30T18:00:00Z"));
    bench.pass(2 * DAY);
    assert_eq!(bench.unit().schedules(), [], "it is over");
    assert!(bench.unit().images_of_schedule(id).is_err());
    let images = bench.unit().images(ldev(0));
    let found: Vec<_> =
        images.iter().map(|image| (image.secondary, image.utc, image.complete)).collect();
    assert_eq!(found, [(ldev(1), "2026-01-30T18:00:00Z".parse().expect("a time"), true)]);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T18:00:00Z schedule 00:01 schedule 1: an image is made
    2026-01-30T18:00:00Z schedule       schedule 1 is over
    ");
}

#[test]
fn the_oldest_image_is_replaced() {
    let mut bench = Bench::new(4);
    let id = bench.add(rotation(4, 3), every(100));
    bench.pass(SECOND);
    let mut primary = vec![vec![Tag::ZERO; TRACKS as usize]];
    for tick in 1..=10_u64 {
        bench.write(0, tick % TRACKS);
        let now = bench.read(0);
        primary.push(now);
        bench.pass(100 * SECOND);
        let oldest = tick.saturating_sub(3).max(1);
        let expected: Vec<_> =
            (oldest..=tick).map(|made| ((1 + (made - 1) % 4) as u8, 100 * made)).collect();
        assert_eq!(bench.images(id), expected);
        for (secondary, seconds) in expected {
            let image = &primary[(seconds / 100) as usize];
            assert_eq!(&bench.read(secondary), image, "volume {secondary} at tick {tick}");
        }
    }
}

#[test]
fn secondaries_without_an_image_come_first() {
    let mut bench = Bench::new(3);
    // The last of them holds an image that an operator made.
    bench.accept(command(CommandCode::Copy, 3));
    bench.pass(SECOND);
    let id = bench.add(rotation(3, 2), every(100));
    bench.pass(350 * SECOND);
    assert_eq!(bench.images(id), [(1, 100), (2, 200), (3, 300)]);
}

#[test]
fn images_an_operator_makes_are_of_the_series() {
    let mut bench = Bench::new(3);
    let id = bench.add(rotation(3, 2), every(100));
    bench.pass(250 * SECOND);
    bench.accept(command(CommandCode::Copy, 3));
    bench.pass(SECOND);
    assert_eq!(bench.images(id), [(1, 100), (2, 200), (3, 250)]);
    // The operator renews one out of turn: it is the newest now.
    bench.accept(command(CommandCode::Resync, 1));
    bench.accept(command(CommandCode::Copy, 1));
    assert_eq!(bench.images(id), [(2, 200), (3, 250), (1, 251)]);
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(3, 250), (1, 251), (2, 300)]);
    let series = bench.series(id);
    assert!(series.iter().all(|image| image.complete && !image.changed));
    bench.write(1, 0);
    let changed: Vec<_> = bench.series(id).iter().map(|image| image.changed).collect();
    assert_eq!(changed, [false, true, false], "a host has changed it since");
}

#[test]
fn no_host_sees_the_resync() {
    let mut bench = Bench::new(1);
    let quick = PairOptions { quick: true, ..fast() };
    bench.accept(command(CommandCode::Copy, 1).with_options(quick));
    bench.pass(SECOND);
    let mut schedule = Schedule::new(pair(1), every(100));
    schedule.options = Some(quick);
    let now = bench.now();
    bench.unit().add_schedule(schedule, now).expect("a schedule of what there is");
    bench.write(0, 1);
    let block = BlockRange::new(BlockNo(0), TRACKS);
    // A read before each move: at every moment the secondary may be read.
    bench.hand.advance(Time::from_ns(100 * SECOND));
    bench.hand.start_due();
    let mut statuses = Vec::new();
    while let Some(next) = bench.hand.moves().first().copied() {
        let status = bench.status(1);
        if statuses.last() != Some(&status) {
            statuses.push(status);
        }
        let mut job =
            bench.unit().job(OwnerId(1 << 40), HostOp::Read { ldev: ldev(1), blocks: block });
        if let Step::Done(reply) = job.step(bench.now()) {
            assert!(matches!(reply, HostReply::Data(_)), "in {status}: {reply:?}");
        }
        let (wakes, _) = job.cancel();
        assert_eq!(wakes, [], "it held nothing that others waited for");
        bench.hand.make(next);
    }
    if statuses.last() != Some(&bench.status(1)) {
        statuses.push(bench.status(1));
    }
    assert_eq!(statuses, [PairStatus::Copied, PairStatus::CopyInProgress, PairStatus::Copied]);
}

#[test]
fn a_second_level_pair_needs_its_first_level_split() {
    let mut bench = Bench::new(2);
    bench.accept(command(CommandCode::Delete, 2));
    bench.accept(command(CommandCode::Copy, 1));
    bench.pass(SECOND);
    let create = Command::new(CommandCode::Create, ldev(1), ldev(2));
    bench.accept(create);
    let below = Scope::Pair { primary: ldev(1), secondary: ldev(2) };
    bench.add(below, every(100));
    bench.pass(150 * SECOND);
    bench.accept(command(CommandCode::Resync, 1));
    bench.pass(100 * SECOND);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:01Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:03:20Z schedule       schedule 1: no image is made, the first-level pair is paired and not copied, it has to be paired and copied
    ");
}

#[test]
fn the_options_of_a_schedule_are_those_of_its_copies() {
    let mut bench = Bench::new(1);
    let mut schedule = Schedule::new(pair(1), every(100));
    schedule.options = Some(fast());
    let now = bench.now();
    bench.unit().add_schedule(schedule, now).expect("a schedule of what there is");
    bench.hand.start_due();
    assert_ne!(bench.pair(1).options, fast());
    bench.pass(200 * SECOND);
    assert_eq!(bench.pair(1).options, fast());
}
