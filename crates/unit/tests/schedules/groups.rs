//! Consistency groups at their times, and groups that take turns.

use crate::bench::*;
use diptych_cha::{Command, CommandCode, GroupName, HostOp, HostReply};
use diptych_format::{BlockNo, BlockRange, LdevId, Time};
use diptych_shared::PairStatus;
use diptych_testkit::{Choices, Tag, explore, ldev};
use diptych_unit::{Schedule, ScheduleError, Scope};

fn name(text: &str) -> GroupName {
    text.parse().expect("a name")
}

fn groups(names: &[&str], images: usize) -> Scope {
    Scope::Groups { groups: names.iter().map(|text| name(text)).collect(), images }
}

/// Volumes 0 and 1 with secondaries 2 on in turn: group a has 0 -> 2, 1 -> 3, group b 0 -> 4, 1 -> 5,
/// and so on.
fn bench(names: &[&str]) -> Bench {
    let mut bench = Bench::of_volumes(2 + 2 * names.len() as u8, true, |_| {});
    for (no, group) in (0..).zip(names) {
        let pairs = [0, 1].map(|primary| (ldev(primary), ldev(2 + 2 * no + primary)));
        for (primary, secondary) in pairs {
            bench.accept(
                Command::new(CommandCode::Create, primary, secondary).without_initial_copy(),
            );
        }
        bench.unit().define_group(name(group), pairs.to_vec()).expect("a group");
    }
    bench
}

fn status(bench: &Bench, primary: u8, secondary: u8) -> PairStatus {
    bench.unit().pair(ldev(primary), ldev(secondary)).expect("the pair").status
}

#[test]
fn a_group_gets_the_images_of_one_instant() {
    let mut bench = bench(&["db"]);
    let id = bench.add(Scope::Group(name("db")), every(100));
    let first = [0, 1].map(|primary| bench.write(primary, 2));
    bench.pass(110 * SECOND);
    let series = bench.series(id);
    let shown: Vec<_> = series.iter().map(|i| (i.primary, i.secondary, i.at.ns / SECOND)).collect();
    assert_eq!(shown, [(ldev(0), ldev(2), 100), (ldev(1), ldev(3), 100)]);
    assert_eq!([bench.read(2)[2], bench.read(3)[2]], first);
}

#[test]
fn all_of_a_group_or_none() {
    let mut bench = bench(&["db"]);
    let id = bench.add(Scope::Group(name("db")), every(100));
    bench.pass(190 * SECOND);
    bench.write(3, 0);
    bench.pass(20 * SECOND);
    assert_eq!(bench.images(id), [(2, 100), (3, 100)], "a host uses one of them");
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(2, 300), (3, 300)]);
    bench.accept(Command::new(CommandCode::Suspend, ldev(1), ldev(3)));
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(2, 300)]);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:01:40Z schedule 00:03 schedule 1: an image is made
    2026-01-30T12:03:20Z schedule 00:03 schedule 1: passed over, a host uses it
    2026-01-30T12:03:20Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:05:00Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:05:00Z schedule 00:03 schedule 1: an image is made
    2026-01-30T12:06:40Z schedule 00:03 schedule 1: passed over, its pair is suspended
    2026-01-30T12:06:40Z schedule       schedule 1: no secondary is free, no image is made
    ");
}

#[test]
fn groups_take_turns() {
    let mut bench = bench(&["a", "b", "c"]);
    let id = bench.add(groups(&["a", "b", "c"], 2), every(100));
    bench.pass(SECOND);
    let mut written = vec![[Tag::ZERO; 2]];
    for tick in 1..=7_u64 {
        written.push([0, 1].map(|primary| bench.write(primary, 0)));
        bench.pass(100 * SECOND);
        let newest = 2 + 2 * ((tick - 1) % 3) as u8;
        let held = [bench.read(newest)[0], bench.read(newest + 1)[0]];
        assert_eq!(held, written[tick as usize], "tick {tick}");
        let times: Vec<_> = bench.images(id).iter().map(|(_, at)| at / 100).collect();
        let oldest = tick.saturating_sub(2).max(1);
        assert_eq!(times, (oldest..=tick).flat_map(|tick| [tick; 2]).collect::<Vec<_>>());
    }
}

#[test]
fn a_group_is_looked_up_at_the_tick() {
    let mut bench = bench(&["a", "b"]);
    let id = bench.add(groups(&["a", "b"], 1), every(100));
    bench.pass(250 * SECOND);
    assert_eq!(bench.unit().remove_group(&name("a")), Ok(true));
    bench.pass(100 * SECOND);
    // A smaller group of the same name is another one.
    bench.unit().define_group(name("a"), vec![(ldev(0), ldev(2))]).expect("a group");
    bench.pass(100 * SECOND);
    assert_eq!(bench.images(id), [(4, 200), (5, 200), (2, 400)]);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:01:40Z schedule 00:03 schedule 1: an image is made
    2026-01-30T12:03:20Z schedule 00:04 schedule 1: an image is made
    2026-01-30T12:03:20Z schedule 00:05 schedule 1: an image is made
    2026-01-30T12:05:00Z schedule       schedule 1: passed over, there is no such group
    2026-01-30T12:05:00Z schedule       schedule 1: no secondary is free, no image is made
    2026-01-30T12:06:40Z schedule 00:02 schedule 1: an image is made
    ");
}

#[test]
fn a_group_that_copies_what_it_changes_is_refused() {
    let mut bench = bench(&["a"]);
    bench.accept(Command::new(CommandCode::Copy, ldev(0), ldev(2)));
    bench.accept(Command::new(CommandCode::Delete, ldev(1), ldev(3)));
    bench.pass(SECOND);
    bench.accept(Command::new(CommandCode::Create, ldev(2), ldev(3)));
    let cascade = vec![(ldev(0), ldev(2)), (ldev(2), ldev(3))];
    bench.unit().define_group(name("a"), cascade).expect("a group");
    bench.add(Scope::Group(name("a")), every(100));
    bench.pass(110 * SECOND);
    assert_eq!(status(&bench, 2, 3), PairStatus::PairedNotCopied);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:01Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule       schedule 1: no image is made, the command cannot be carried out for this pair and that of secondary 00:02
    ");
}

#[test]
fn what_is_no_schedule_of_groups() {
    let bench = bench(&["a", "b"]);
    let check = |scope: Scope, expected: ScheduleError| {
        let added = bench.unit().add_schedule(Schedule::new(scope, every(1)), bench.now());
        assert_eq!(added, Err(expected));
    };
    check(Scope::Group(name("x")), ScheduleError::NoGroup { name: name("x") });
    check(groups(&["a", "x"], 1), ScheduleError::NoGroup { name: name("x") });
    check(groups(&["a", "a"], 1), ScheduleError::GroupTwice { name: name("a") });
    check(groups(&["a", "b"], 2), ScheduleError::TooFew { images: 2, found: 2 });
    check(groups(&["a", "b"], 0), ScheduleError::NoImages);
}

/// A host's request that is stuck holds a group's tick up, and the tick everybody else: until the
/// limit.
#[test]
fn a_drain_over_its_limit_makes_no_image() {
    let mut bench = bench(&["db"]);
    let id = bench.add(Scope::Group(name("db")), every(100));
    bench.write(1, 0);
    bench.pass(150 * SECOND);
    bench.write(1, 0);
    // A lane that does not come back from its drive.
    let lane = bench.begin_lane(Command::new(CommandCode::Resync, ldev(1), ldev(3)));
    bench.hand.advance(Time::from_ns(200 * SECOND));
    bench.hand.start_due();
    while bench.now() < Time::from_ns(202 * SECOND) {
        bench.turn(|owner| owner != lane);
        bench.hand.advance_to_deadline();
        bench.hand.start_due();
    }
    assert_eq!(bench.images(id), [(2, 100)]);
    bench.pass(10 * SECOND);
    insta::assert_snapshot!(bench.events(), @"
    2026-01-30T12:00:00Z operator       schedule 1 added
    2026-01-30T12:01:40Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:01:40Z schedule 00:03 schedule 1: an image is made
    2026-01-30T12:03:21Z schedule       schedule 1: no image is made, requests under way took longer than the command may hold hosts up
    2026-01-30T12:05:00Z schedule 00:02 schedule 1: an image is made
    2026-01-30T12:05:00Z schedule 00:03 schedule 1: an image is made
    ");
}

/// Every interleaving of a group's tick with writes to both volumes, the second after the first: no
/// image has the second alone.
#[test]
fn dependent_writes_are_not_inverted() {
    let explored = explore(30_000, |choices| {
        let mut bench = bench(&["db"]);
        bench.add(Scope::Group(name("db")), every(100));
        bench.hand.advance(Time::from_ns(100 * SECOND));
        bench.hand.start_due();
        let write = |bench: &mut Bench, to: LdevId, choices: &mut Choices| {
            let (tag, blocks) = (Tag(7), BlockRange::new(BlockNo(0), 1));
            let write = HostOp::Write { ldev: to, block: blocks.start, data: tag.data(blocks) };
            assert_eq!(bench.hand.run(write, choices), Ok(HostReply::Done));
        };
        write(&mut bench, ldev(0), choices);
        write(&mut bench, ldev(1), choices);
        bench.pass(10 * SECOND);
        let [first, second] = [bench.read(2)[0], bench.read(3)[0]];
        assert!(first == Tag(7) || second == Tag::ZERO, "{first} without {second}");
    });
    assert!(explored.runs > 100, "{explored:?}");
}
