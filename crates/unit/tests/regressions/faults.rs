//! Drives that go wrong, and what the operator can do.

use crate::bench::*;
use diptych_cha::{Command, CommandCode, Forbidden, HostError, HostReply, Tried};
use diptych_device::{FaultKind, FaultRule, Op};
use diptych_format::{BlockNo, DriveNo};
use diptych_shared::{MapName, Pair, PairStatus, Phase, VolumeState};
use diptych_testkit::ldev;

fn is_drive_error<T>(result: &Result<T, HostError>) -> bool {
    matches!(result, Err(HostError::Drive { .. }))
}

#[test]
fn a_write_where_the_check_fields_cannot_be_read_is_readable_and_costs_no_volume() {
    let mut bench = Bench::new(1, config(6), 2);
    bench.fill(0, 1);
    bench.evict(1);
    let rule = FaultRule::new(Op::Read, FaultKind::LatentError).touching(check_sector(2));
    bench.drives[0].goes_wrong(rule);
    // Nothing is in cache: only the block written is known.
    assert_eq!(bench.write(0, 9, 1, 2), HostReply::Done);
    assert_eq!(bench.flush(0), HostReply::Done);
    bench.evict(1);
    assert_eq!((bench.state(0), bench.failures()), (VolumeState::Normal, vec![]));
    assert_eq!(bench.read(0, 9, 1), Ok(vec![2]));
    for block in [8, 10, 11] {
        let medium = HostError::Medium { ldev: ldev(0), block: BlockNo(block) };
        assert_eq!(bench.read(0, block, 1), Err(medium));
    }
    assert_eq!(bench.read(0, 0, 8), Ok(vec![1; 8]));
    assert_eq!(bench.read(0, 12, 12), Ok(vec![1; 12]));
    // Block by block the track is made whole again.
    for block in [8, 10, 11] {
        assert_eq!(bench.write(0, block, 1, 3), HostReply::Done);
    }
    bench.evict(1);
    assert_eq!(bench.read(0, 8, 4), Ok(vec![3, 2, 3, 3]));
    bench.hand.quiesce(&mut bench.choices).expect("drives take all");
    bench.hand.check_stored().expect("whole volumes");
}

/// The status and the maps C and DS of a pair.
fn of_pair(pair: &Pair) -> (PairStatus, Vec<u64>, Vec<u64>) {
    (pair.status, tracks(pair, MapName::C), tracks(pair, MapName::Ds))
}

#[test]
fn a_drive_that_does_not_answer_a_write_is_asked_for_nothing_more() {
    let mut bench = Bench::new(1, config(6), 3);
    bench.fill(0, 1);
    bench.settle();
    bench.drives[1].goes_wrong(FaultRule::new(Op::Write, FaultKind::TimeOut).nth(4));
    bench.accept(command(CommandCode::Create, 0, 1));
    bench.settle();
    assert_eq!(of_pair(&bench.pair(0, 1)), (PairStatus::Suspended, vec![3, 4, 5], vec![3]));
    assert_eq!(bench.failures(), [3002]);
    let drives = bench.hand.plant().drives();
    assert_eq!([0, 1, 2].map(|no| drives.is_fenced(DriveNo(no))), [false, true, false]);
    // The late write is on its way: whatever is newer does not reach the drive before it.
    let requests = bench.drives[1].requests();
    assert_eq!(requests, 4);
    bench.accept(command(CommandCode::Resync, 0, 1));
    bench.settle();
    assert_eq!(bench.pair(0, 1).status, PairStatus::Suspended);
    bench.accept(command(CommandCode::Delete, 0, 1));
    bench.evict(2);
    assert!(is_drive_error(&bench.read(1, 0, 4)));
    assert_eq!(bench.flush(1), HostReply::Failed(HostError::Drive { ldev: ldev(1) }));
    assert_eq!(bench.write(1, 12, 4, 3), HostReply::Done, "it is in cache");
    bench.settle();
    assert_eq!((bench.state(1), bench.failures()), (VolumeState::Blocked, vec![3002, 3002, 3003]));
    assert_eq!(bench.drives[1].requests(), requests);
    // Nobody else is concerned.
    assert_eq!(bench.read(0, 0, 24), Ok(vec![1; 24]));
    assert_eq!(bench.flush(0), HostReply::Done);
    bench.split(0, 2);
    assert_eq!(bench.read(2, 0, 24), Ok(vec![1; 24]));
}

#[test]
fn a_drive_that_does_not_answer_a_destage_keeps_hosts_off_its_volume() {
    for (op, flushed) in [(Op::Write, false), (Op::Flush, true)] {
        let mut bench = Bench::new(1, config(6), 2);
        bench.drives[0].goes_wrong(FaultRule::new(op, FaultKind::TimeOut));
        assert_eq!(bench.write(0, 0, 4, 1), HostReply::Done);
        assert_eq!(bench.flush(0), HostReply::Failed(HostError::Drive { ldev: ldev(0) }));
        bench.settle();
        assert!(bench.hand.plant().drives().is_fenced(DriveNo(0)), "{op}");
        let requests = bench.drives[0].requests();
        if flushed {
            assert_eq!(
                (bench.state(0), bench.read(0, 0, 4)),
                (VolumeState::Normal, Ok(vec![1; 4]))
            );
            assert_eq!(bench.write(0, 0, 4, 2), HostReply::Done);
            bench.settle();
        }
        let (tried, why) = (Tried::Write, Forbidden::Blocked);
        let blocked = HostError::Access { ldev: ldev(0), tried, why };
        assert_eq!(bench.write(0, 0, 1, 3), HostReply::Failed(blocked), "{op}");
        assert_eq!(bench.failures(), [3003], "{op}");
        assert_eq!(bench.drives[0].requests(), requests, "{op}");
    }
}

#[test]
fn a_primary_that_does_not_answer_a_read_ends_its_images_alone() {
    let mut bench = Bench::new(1, config(6), 3);
    bench.fill(0, 1);
    bench.evict(2);
    bench.drives[0].goes_wrong(FaultRule::new(Op::Read, FaultKind::TimeOut));
    bench.accept(Command::new(CommandCode::Create, ldev(0), ldev(1)).without_initial_copy());
    bench.accept(command(CommandCode::Copy, 0, 1));
    bench.settle();
    assert_eq!(bench.pair(0, 1).status, PairStatus::Suspended);
    assert_eq!((bench.failures(), bench.drives[0].requests()), (vec![3001], 7));
    assert!(is_drive_error(&bench.read(0, 0, 1)));
    assert_eq!(bench.drives[0].requests(), 7);
}

#[test]
fn what_could_not_be_destaged_is_destaged_once_the_volume_is_released() {
    for seed in 0..50 {
        let mut bench = Bench::new(seed, config(6), 2);
        bench.fill(0, 1);
        bench.evict(1);
        let full = FaultRule::new(Op::Write, FaultKind::StorageFull).repeated();
        bench.drives[0].goes_wrong(full);
        assert_eq!(bench.write(0, 3, 6, 2), HostReply::Done);
        bench.settle();
        assert_eq!(bench.state(0), VolumeState::Blocked, "seed {seed}");
        let dirty = bench.unit().cache_counts().dirty_slots;
        assert!((1..=3).contains(&dirty), "seed {seed}: {dirty} dirty slots");
        let refused = bench.flush(0);
        assert!(matches!(refused, HostReply::Failed(_)), "seed {seed}: {refused:?}");
        // Released too early it is blocked again; the data stays.
        let now = bench.hand.now();
        bench.unit().release_volume(ldev(0), now).expect("the volume");
        bench.due_and_settle();
        assert_eq!(bench.state(0), VolumeState::Blocked, "seed {seed}");
        bench.drives[0].heal();
        bench.unit().release_volume(ldev(0), now).expect("the volume");
        assert_eq!(bench.state(0), VolumeState::Normal, "seed {seed}");
        bench.due_and_settle();
        assert_eq!(bench.state(0), VolumeState::Normal, "seed {seed}");
        assert_eq!(bench.unit().cache_counts().dirty_slots, 0, "seed {seed}");
        bench.hand.check_stored().unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        assert_eq!(bench.flush(0), HostReply::Done, "seed {seed}");
        bench.evict(1);
        assert_eq!(bench.read(0, 2, 8), Ok(vec![1, 2, 2, 2, 2, 2, 2, 1]), "seed {seed}");
    }
}

#[test]
fn a_secondary_that_was_released_can_be_copied_to_again() {
    let mut bench = Bench::new(1, config(6), 3);
    bench.fill(0, 1);
    bench.split(0, 1);
    bench.drives[1].goes_wrong(FaultRule::new(Op::Write, FaultKind::StorageFull).repeated());
    assert_eq!(bench.write(1, 9, 1, 2), HostReply::Done);
    bench.settle();
    assert_eq!((bench.state(1), bench.failures()), (VolumeState::Blocked, vec![3003]));
    assert_eq!(of_pair(&bench.pair(0, 1)), (PairStatus::Suspended, vec![], vec![2]));
    bench.drives[1].heal();
    bench.unit().release_volume(ldev(1), bench.hand.now()).expect("the volume");
    bench.due_and_settle();
    bench.accept(command(CommandCode::Resync, 0, 1));
    bench.settle();
    assert_eq!(bench.pair(0, 1).phase, Phase::Duplex);
    bench.accept(command(CommandCode::Copy, 0, 1));
    assert_eq!(bench.read(1, 8, 4), Ok(vec![1; 4]));
}
