//! Consistency groups: one instant for several pairs, all or none, and hosts wait no longer than the
//! limit.

use crate::bench::{Bench, command, config, read_of, tags_of, write_of};
use diptych_cha::{CommandCode, GroupCommand, GroupName, GroupOutcome, HostOp, HostReply, Refusal};
use diptych_shared::PairStatus;
use diptych_testkit::ldev;
use diptych_unit::UnitError;

/// Pairs 0 -> 2 and 1 -> 3, in 802 with everything copied.
fn two_pairs() -> Bench {
    let mut bench = Bench::new(1, config(10), 4);
    for primary in [0, 1] {
        bench.fill(primary, 1);
        bench.accept(command(CommandCode::Create, primary, primary + 2));
    }
    bench.settle();
    bench
}

fn group(code: CommandCode) -> GroupCommand {
    GroupCommand::new(code, vec![(ldev(0), ldev(2)), (ldev(1), ldev(3))])
}

fn give(bench: &mut Bench, command: GroupCommand) -> GroupOutcome {
    outcome(bench.run(HostOp::Group(command)))
}

#[track_caller]
fn outcome(reply: HostReply) -> GroupOutcome {
    match reply {
        HostReply::Group(outcome) => outcome,
        other => panic!("a group command was answered {other:?}"),
    }
}

fn statuses(bench: &Bench) -> [PairStatus; 2] {
    [bench.pair(0, 2).status, bench.pair(1, 3).status]
}

#[test]
fn a_write_under_way_is_in_the_image_and_one_behind_the_command_is_not() {
    let mut bench = two_pairs();
    // A write of volume 1 is stopped in its middle: it stages what it does not cover.
    bench.evict(0);
    bench.fill(0, 1);
    bench.settle();
    bench.accept(command(CommandCode::Copy, 1, 3));
    bench.settle();
    bench.accept(command(CommandCode::Resync, 1, 3));
    bench.settle();
    let early = bench.begin(write_of(1, 0, 2, 7));
    let split = bench.begin(HostOp::Group(group(CommandCode::Copy)));
    let late: Vec<_> = [0, 1].map(|volume| bench.begin(write_of(volume, 4, 4, 8))).into();
    bench.settle();
    let GroupOutcome::Accepted { pairs, .. } = outcome(bench.reply(split)) else {
        panic!("both pairs allow it");
    };
    assert_eq!(pairs.len(), 2);
    assert_eq!(bench.reply(early), HostReply::Done);
    for id in late {
        assert_eq!(bench.reply(id), HostReply::Done);
    }
    assert_eq!(statuses(&bench), [PairStatus::Copied; 2]);
    let tags = |bench: &mut Bench, volume, start, count| {
        let reply = bench.run(read_of(volume, start, count));
        tags_of(start, reply)
    };
    assert_eq!(tags(&mut bench, 3, 0, 2), Ok(vec![7; 2]));
    assert_eq!(
        [2, 3].map(|volume| tags(&mut bench, volume, 4, 4)),
        [Ok(vec![1; 4]), Ok(vec![1; 4])]
    );
    assert_eq!(
        [0, 1].map(|volume| tags(&mut bench, volume, 4, 4)),
        [Ok(vec![8; 4]), Ok(vec![8; 4])]
    );
    bench.hand.check_stored().expect("whole volumes");
}

#[test]
fn all_or_none() {
    let mut bench = two_pairs();
    bench.accept(command(CommandCode::Copy, 1, 3));
    let before = bench.unit().pairs();
    let met = Some(PairStatus::Copied);
    let nothing = GroupOutcome::Nothing { primary: ldev(1), secondary: ldev(3), met };
    assert_eq!(give(&mut bench, group(CommandCode::Copy)), nothing);
    assert_eq!(bench.unit().pairs(), before);
    bench.accept(command(CommandCode::Copy, 0, 2));
    let outcome = give(&mut bench, group(CommandCode::Restore));
    assert!(matches!(outcome, GroupOutcome::Accepted { .. }), "{outcome:?}");
    bench.settle();
    assert_eq!(statuses(&bench), [PairStatus::PairedNotCopied; 2]);
}

#[test]
fn what_a_group_command_cannot_be() {
    #[track_caller]
    fn check(command: GroupCommand, pair: Option<(u8, u8)>, why: Refusal) {
        let mut bench = two_pairs();
        let before = bench.unit().pairs();
        let pair = pair.map(|(primary, secondary)| (ldev(primary), ldev(secondary)));
        assert_eq!(give(&mut bench, command), GroupOutcome::Refused { pair, why });
        assert_eq!(bench.unit().pairs(), before);
    }
    check(group(CommandCode::Create), None, Refusal::NotForGroups);
    check(group(CommandCode::Delete), None, Refusal::NotForGroups);
    let most = config(10).group_pairs_max;
    let none = GroupCommand::new(CommandCode::Copy, Vec::new());
    check(none, None, Refusal::GroupSize { asked: 0, most });
    let mut twice = group(CommandCode::Copy);
    twice.pairs.push((ldev(0), ldev(2)));
    check(twice, Some((0, 2)), Refusal::GroupConflict { ldev: ldev(2) });
    let mut unknown = group(CommandCode::Copy);
    unknown.pairs.push((ldev(9), ldev(2)));
    check(unknown, None, Refusal::NoVolume { ldev: ldev(9) });
    let mut unknown = group(CommandCode::Copy);
    unknown.pairs.push((ldev(0), ldev(9)));
    check(unknown, Some((0, 9)), Refusal::NoVolume { ldev: ldev(9) });
}

#[test]
fn a_request_that_is_stuck_holds_up_others_no_longer_than_the_limit() {
    let mut bench = two_pairs();
    bench.accept(command(CommandCode::Suspend, 1, 3));
    bench.accept(command(CommandCode::Resync, 1, 3));
    bench.settle();
    bench.evict(0);
    let stuck = bench.begin_to_effect(read_of(1, 0, 1), 0);
    let began = bench.hand.now();
    let split = bench.begin(HostOp::Group(group(CommandCode::Copy)));
    let behind = bench.begin(write_of(0, 0, 1, 5));
    assert!(bench.hand.is_running(split) && bench.hand.is_running(behind));
    bench.run_without(&[stuck]);
    while bench.hand.is_running(split) {
        assert!(bench.hand.advance_to_deadline(), "the command's limit is a deadline");
        bench.run_without(&[stuck]);
    }
    assert_eq!(bench.hand.now().ns_since(began), config(10).drain_limit_ns);
    let why = Refusal::DrainLimit;
    assert_eq!(outcome(bench.reply(split)), GroupOutcome::Refused { pair: None, why });
    assert_eq!(bench.reply(behind), HostReply::Done, "it waits no longer");
    bench.settle();
    assert_eq!(statuses(&bench), [PairStatus::PairedNotCopied; 2]);
    // With nothing stuck it is accepted.
    let outcome = give(&mut bench, group(CommandCode::Copy));
    assert!(matches!(outcome, GroupOutcome::Accepted { .. }), "{outcome:?}");
}

#[test]
fn groups_have_names() {
    let bench = two_pairs();
    let unit = bench.unit();
    let name: GroupName = "payroll".parse().expect("a name");
    let pairs = vec![(ldev(0), ldev(2)), (ldev(1), ldev(3))];
    unit.define_group(name.clone(), pairs.clone()).expect("two pairs");
    assert_eq!(unit.group(&name), Some(pairs.clone()));
    assert_eq!(unit.groups(), std::slice::from_ref(&name));
    let most = config(10).group_pairs_max;
    let none = unit.define_group(name.clone(), Vec::new());
    assert_eq!(none, Err(UnitError::GroupSize { asked: 0, most }));
    let (primary, secondary) = pairs[0];
    let twice = unit.define_group(name.clone(), vec![pairs[0], pairs[1], pairs[0]]);
    assert_eq!(twice, Err(UnitError::GroupTwice { primary, secondary }));
    assert_eq!(unit.group(&name), Some(pairs), "what is refused changes nothing");
    assert_eq!([unit.remove_group(&name), unit.remove_group(&name)], [Ok(true), Ok(false)]);
}

/// A family gets another, higher number while a group command waits for it: two group commands do not
/// wait for each other because of that.
#[test]
fn families_are_waited_for_in_ascending_order_also_after_one_was_split() {
    let mut bench = Bench::new(1, config(10), 10);
    bench.fill(0, 1);
    bench.fill(7, 1);
    bench.split(0, 1);
    for (primary, secondary) in [(1, 4), (2, 5), (3, 6), (7, 8)] {
        bench.accept(command(CommandCode::Create, primary, secondary));
    }
    bench.evict(9);
    let [first, middle] = [0, 7].map(|volume| bench.begin_to_effect(read_of(volume, 0, 1), 0));
    let delete = bench.begin(HostOp::Command(command(CommandCode::Delete, 0, 1)));
    let suspend = |pairs: [(u8, u8); 3]| {
        let pairs = pairs.map(|(primary, secondary)| (ldev(primary), ldev(secondary)));
        HostOp::Group(GroupCommand::new(CommandCode::Suspend, pairs.into()))
    };
    let one = bench.begin(suspend([(1, 4), (2, 5), (3, 6)]));
    bench.turn(first);
    bench.turn(delete);
    // Volumes 1 and 4 have left the family of volume 0.
    let other = bench.begin(suspend([(3, 6), (7, 8), (1, 4)]));
    bench.turn(one);
    bench.turn(middle);
    bench.settle();
    let accepted = outcome(bench.reply(other));
    assert!(matches!(accepted, GroupOutcome::Accepted { .. }), "{accepted:?}");
    let met = Some(PairStatus::Suspended);
    let nothing = GroupOutcome::Nothing { primary: ldev(1), secondary: ldev(4), met };
    assert_eq!(outcome(bench.reply(one)), nothing);
}
