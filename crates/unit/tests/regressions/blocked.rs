//! Volumes that are blocked, since what is dirty of them cannot be destaged: what pairs may still do.

use crate::bench::{Bench, command, config, write_of};
use diptych_cha::{CommandCode, HostOp, HostReply, Outcome, Refusal};
use diptych_device::{FaultKind, FaultRule, Op};
use diptych_shared::{PairStatus, VolumeState};
use diptych_testkit::ldev;

/// The drive of a volume takes no write any more, and the volume's track 2 is dirty.
fn block(bench: &mut Bench, volume: u8) {
    let full = FaultRule::new(Op::Write, FaultKind::StorageFull).repeated();
    bench.drives[usize::from(volume)].goes_wrong(full);
    assert_eq!(bench.write(volume, 8, 4, 7), HostReply::Done);
    bench.settle();
    assert_eq!(bench.state(volume), VolumeState::Blocked);
}

fn release(bench: &mut Bench, volume: u8) {
    bench.drives[usize::from(volume)].heal();
    bench.unit().release_volume(ldev(volume), bench.hand.now()).expect("the volume");
    bench.due_and_settle();
}

#[test]
fn nothing_is_copied_to_or_from_a_blocked_volume() {
    use CommandCode::{Create, QuickRestore, Restore, Resync};
    for blocked in [0, 1] {
        let mut bench = Bench::new(1, config(12), 4);
        bench.fill(0, 1);
        bench.split(0, 1);
        block(&mut bench, blocked);
        let met = bench.pair(0, 1).status;
        let refused = Outcome::Refused(Refusal::Blocked { ldev: ldev(blocked) });
        let mut check = |code, primary, secondary| {
            let before = bench.unit().pairs();
            let outcome = bench.give(command(code, primary, secondary));
            assert_eq!(outcome, refused, "{code} {primary} -> {secondary}, {blocked} blocked");
            assert_eq!(bench.unit().pairs(), before);
        };
        check(Resync, 0, 1);
        check(Create, blocked, 2);
        check(Create, 2, blocked);
        if met == PairStatus::Copied {
            check(Restore, 0, 1);
            check(QuickRestore, 0, 1);
        }
        release(&mut bench, blocked);
        bench.accept(command(Resync, 0, 1));
        bench.settle();
        bench.accept(command(CommandCode::Copy, 0, 1));
        bench.settle();
        let newest = if blocked == 0 { 7 } else { 1 };
        assert_eq!(bench.read(1, 8, 4), Ok(vec![newest; 4]));
    }
}

/// What the drive does not take is in cache, and an image can be saved from it.
#[test]
fn a_pair_whose_primary_is_blocked_can_be_split() {
    let mut bench = Bench::new(1, config(12), 2);
    bench.fill(0, 1);
    bench.accept(command(CommandCode::Create, 0, 1));
    bench.settle();
    block(&mut bench, 0);
    bench.accept(command(CommandCode::Copy, 0, 1));
    bench.settle();
    assert_eq!(bench.pair(0, 1).status, PairStatus::Copied);
    assert_eq!(bench.read(1, 4, 8), Ok(vec![1, 1, 1, 1, 7, 7, 7, 7]));
}

/// A restore only reads its secondary, through the cache: it ends.
#[test]
fn a_destage_of_the_secondary_that_fails_does_not_end_a_restore() {
    let mut while_restoring = 0;
    for seed in 0..60 {
        let mut bench = Bench::new(seed, config(12), 2);
        bench.fill(0, 1);
        bench.split(0, 1);
        bench.settle();
        assert_eq!(bench.alone(write_of(1, 8, 4, 7)), HostReply::Done);
        assert_eq!(bench.alone(write_of(1, 16, 4, 7)), HostReply::Done);
        let full = FaultRule::new(Op::Write, FaultKind::StorageFull).repeated();
        bench.drives[1].goes_wrong(full);
        bench.hand.start(HostOp::Flush { ldev: ldev(1) });
        bench.alone(HostOp::Command(command(CommandCode::Restore, 0, 1)));
        assert_eq!(bench.pair(0, 1).status, PairStatus::Restoring);
        bench.settle();
        assert_eq!(bench.state(1), VolumeState::Blocked, "seed {seed}");
        assert!(!bench.volume(0).undefined, "seed {seed}");
        assert_eq!(bench.read(0, 8, 4), Ok(vec![7; 4]), "seed {seed}");
        assert_eq!(bench.read(0, 16, 4), Ok(vec![7; 4]), "seed {seed}");
        // Blocked while the restore lasted, the pair follows; else it is suspended like any other.
        let status = bench.pair(0, 1).status;
        while_restoring += u32::from(status == PairStatus::PairedNotCopied);
        assert_ne!(status, PairStatus::Restoring, "seed {seed}");
        assert!(bench.failures().iter().all(|code| *code == 3003), "seed {seed}");
    }
    assert!(while_restoring > 10, "{while_restoring} restores had the failure before their end");
}

/// Hosts that may not use a volume for a while are told so, and when they may again.
#[test]
fn blocking_and_releasing_are_changes_of_access() {
    let mut bench = Bench::new(1, config(12), 2);
    let board = bench.unit().access_board();
    let epochs = || [0, 1].map(|no| board.epoch(ldev(no)));
    block(&mut bench, 0);
    assert_eq!(epochs(), [1, 0]);
    release(&mut bench, 0);
    assert_eq!(epochs(), [2, 0]);
}
