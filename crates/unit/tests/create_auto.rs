//! Create with a secondary that the unit chooses (Fig. 11C: 1524): which volume, which refusal, and
//! what becomes of two who want the same one.

use diptych_cha::{Command, CommandCode, CreateAuto, HostOp, HostReply, Outcome, Refusal};
use diptych_format::{Emulation, Geometry, LdevId, Time};
use diptych_shared::{PairOptions, PairStatus};
use diptych_testkit::{ByHand, Choices, explore, ldev};
use diptych_unit::{HistoryEntry, HistoryQuery, Plant, Unit, UnitConfig};

/// What a volume of a test is, besides its number.
#[derive(Clone, Copy)]
struct Is {
    geometry: Geometry,
    metadata_only: bool,
    reserved: bool,
}

/// Maps only, reserved.
fn free() -> Is {
    Is { geometry: Geometry::with_tracks(1, 2), metadata_only: true, reserved: true }
}

fn unreserved() -> Is {
    Is { reserved: false, ..free() }
}

/// A unit of volumes `00:00` on, without payload but where it says so.
fn hand(volumes: &[Is], secondaries_max: usize, pairs_max: usize) -> ByHand {
    let drive = diptych_device::MemoryDrive::new(1 << 12);
    let plant = Plant::new(diptych_dka::Drives::new(vec![(0, Box::new(drive))]));
    let mut config = UnitConfig::with_cache(16, 64 << 10);
    config.secondaries_max = secondaries_max;
    config.limits.pairs = pairs_max;
    let unit = Unit::new(config, &plant).expect("a unit of this configuration");
    for (no, is) in (0..).zip(volumes) {
        if is.metadata_only {
            unit.add_metadata_volume(ldev(no), is.geometry).expect("a new volume");
        } else {
            unit.add_volume(ldev(no), is.geometry, 0).expect("room on the drive");
        }
        unit.set_reserved(ldev(no), is.reserved, Time::ZERO).expect("no pair yet");
    }
    ByHand::new(unit, plant)
}

fn give(hand: &mut ByHand, op: HostOp) -> Outcome {
    match hand.run(op, &mut Choices::from_seed(1)).expect("every request ends") {
        HostReply::Outcome(outcome) => outcome,
        other => panic!("a command was answered {other:?}"),
    }
}

fn last_entry(hand: &ByHand) -> HistoryEntry {
    let last = HistoryQuery { descending: true, limit: 1, ..HistoryQuery::default() };
    *hand.unit().history(&last).entries.first().expect("whatever was asked is recorded")
}

fn auto(primary: u8) -> HostOp {
    HostOp::CreateAuto(CreateAuto::new(ldev(primary)))
}

fn command(code: CommandCode, primary: u8, secondary: u8) -> HostOp {
    HostOp::Command(Command::new(code, ldev(primary), ldev(secondary)))
}

/// The volume chosen for the primary `00:00`.
#[track_caller]
fn chosen(hand: &mut ByHand) -> Result<LdevId, Refusal> {
    match give(hand, auto(0)) {
        Outcome::Chosen { secondary, to: PairStatus::PairedNotCopied, pair } => {
            let made = hand.unit().pair(ldev(0), secondary).expect("the pair");
            assert_eq!(made.id, pair);
            Ok(secondary)
        }
        Outcome::Refused(why) => Err(why),
        other => panic!("an automatic create was answered {other:?}"),
    }
}

#[test]
fn the_lowest_free_reserved_volume_of_the_same_size_and_type() {
    #[track_caller]
    fn check(others: &[Is], expected: Option<u8>) {
        let volumes: Vec<Is> = [unreserved()].into_iter().chain(others.iter().copied()).collect();
        let none = Refusal::NoneToChoose { ldev: ldev(0) };
        let found = chosen(&mut hand(&volumes, 16, 16));
        assert_eq!(found, expected.map(ldev).ok_or(none));
    }
    let longer = Is { geometry: Geometry::with_tracks(1, 3), ..free() };
    let wider = Is { geometry: Geometry::with_tracks(2, 1), ..free() };
    let with_payload = Is { metadata_only: false, ..free() };
    check(&[], None);
    check(&[unreserved()], None);
    check(&[free(), free()], Some(1));
    check(&[unreserved(), free()], Some(2));
    check(&[longer, wider, free(), free()], Some(3));
    check(&[with_payload, free()], Some(2));
    check(&[longer, wider, with_payload, unreserved()], None);
}

#[test]
fn the_type_counts_where_the_size_is_the_same() {
    let of = |emulation| {
        let blocks_per_cylinder = 15 * 96;
        let geometry = Geometry::new(emulation, blocks_per_cylinder).expect("one cylinder");
        Is { geometry, ..free() }
    };
    let (v, other) = (of(Emulation::OpenV), Geometry::of(Emulation::Open3).expect("a fixed size"));
    let open_3 = Is { geometry: other, ..free() };
    let same_size = Geometry::new(Emulation::OpenV, other.block_count()).expect("any size");
    let primary = Is { geometry: same_size, reserved: false, ..free() };
    let mut hand = hand(&[primary, open_3, v], 16, 16);
    assert_eq!(chosen(&mut hand), Err(Refusal::NoneToChoose { ldev: ldev(0) }));
}

#[test]
fn volumes_in_pairs_are_no_candidates() {
    let mut hand = hand(&[unreserved(), free(), free(), unreserved(), free()], 16, 16);
    give(&mut hand, command(CommandCode::Create, 3, 1));
    assert_eq!(chosen(&mut hand), Ok(ldev(2)));
    assert_eq!(chosen(&mut hand), Ok(ldev(4)));
    assert_eq!(chosen(&mut hand), Err(Refusal::NoneToChoose { ldev: ldev(0) }));
    give(&mut hand, command(CommandCode::Delete, 3, 1));
    assert_eq!(chosen(&mut hand), Ok(ldev(1)), "free again, undefined as it is");
}

#[test]
fn a_primary_that_is_reserved_is_not_its_own_secondary() {
    let mut hand = hand(&[free()], 16, 16);
    assert_eq!(chosen(&mut hand), Err(Refusal::NoneToChoose { ldev: ldev(0) }));
}

/// Lanes, then the primary, then the candidates, then what the whole unit lacks.
#[test]
fn refusals_come_in_this_order() {
    type Reach = fn(&mut ByHand);
    #[track_caller]
    fn check(volumes: &[Is], reach: Reach, primary: u8, expected: Refusal) {
        let mut hand = hand(volumes, 2, 3);
        reach(&mut hand);
        assert_eq!(give(&mut hand, auto(primary)), Outcome::Refused(expected));
        let entry = last_entry(&hand);
        assert_eq!((entry.message.code(), entry.secondary), (1200, None));
    }
    let nothing: Reach = |_| {};
    let alone = [unreserved(), unreserved(), unreserved()];
    let none = Refusal::NoneToChoose { ldev: ldev(0) };
    check(&alone, nothing, 9, Refusal::NoVolume { ldev: ldev(9) });
    check(&alone, nothing, 0, none);
    let two: Reach = |hand| {
        for secondary in [1, 2] {
            give(hand, command(CommandCode::Create, 0, secondary));
        }
    };
    let most = Refusal::TooManySecondaries { ldev: ldev(0), most: 2 };
    check(&[unreserved(), free(), free()], two, 0, most);
    let follows: Reach = |hand| {
        give(hand, command(CommandCode::Create, 0, 1));
    };
    let status = PairStatus::PairedNotCopied;
    check(&[unreserved(), free()], follows, 1, Refusal::FirstLevelNotCopied { status });
    let full: Reach = |hand| {
        for (primary, secondary) in [(1, 2), (1, 3), (4, 5)] {
            give(hand, command(CommandCode::Create, primary, secondary));
        }
    };
    let volumes = [unreserved(), unreserved(), free(), free(), unreserved(), free(), free()];
    check(&volumes, full, 0, Refusal::TooManyPairs { most: 3 });
    check(&volumes[..6], full, 0, none);
    let mut hand = hand(&alone, 2, 2);
    let options = PairOptions { lanes: 0, ..PairOptions::default() };
    let asked = CreateAuto { options, ..CreateAuto::new(ldev(9)) };
    let refused = Outcome::Refused(Refusal::Lanes { asked: 0, most: 16 });
    assert_eq!(give(&mut hand, HostOp::CreateAuto(asked)), refused);
}

#[test]
fn the_history_names_the_volume_chosen() {
    let mut hand = hand(&[unreserved(), free()], 16, 16);
    chosen(&mut hand).expect("a free volume");
    let entry = last_entry(&hand);
    insta::assert_snapshot!(entry, @"0.000000 1000 information 00:00 -> 00:01 [no pair -> paired and not copied] create accepted");
}

/// Every interleaving of two who want the same volume: each gets one of its own, the lower first,
/// unless somebody else has named it.
#[test]
fn a_candidate_that_is_taken_meanwhile_is_passed_over() {
    let explored = explore(20_000, |choices| {
        let mut hand = hand(&[unreserved(), unreserved(), free(), free()], 16, 16);
        let started = [auto(0), auto(1)].map(|op| hand.start(op));
        hand.drain(choices).expect("both end");
        let secondary = |id| match hand.take_reply(id) {
            Some(HostReply::Outcome(Outcome::Chosen { secondary, .. })) => secondary,
            other => panic!("an automatic create was answered {other:?}"),
        };
        let mut taken = started.map(secondary);
        taken.sort_unstable();
        assert_eq!(taken, [ldev(2), ldev(3)]);
    });
    assert!(explored.complete, "{explored:?}");
    let explored = explore(20_000, |choices| {
        let mut hand = hand(&[unreserved(), unreserved(), free()], 16, 16);
        let named = hand.start(command(CommandCode::Create, 1, 2));
        let chosen = hand.start(auto(0));
        hand.drain(choices).expect("both end");
        let replies = [named, chosen].map(|id| hand.take_reply(id));
        let [Some(HostReply::Outcome(named)), Some(HostReply::Outcome(chosen))] = replies else {
            panic!("commands have outcomes: {replies:?}");
        };
        match (named, chosen) {
            (Outcome::Accepted { .. }, Outcome::Refused(Refusal::NoneToChoose { .. })) => {}
            (Outcome::Refused(why), Outcome::Chosen { .. }) => {
                assert_eq!(why, Refusal::SecondaryIsSecondary { ldev: ldev(2) });
            }
            other => panic!("one of them gets the volume: {other:?}"),
        }
    });
    assert!(explored.complete, "{explored:?}");
}
