//! Restore and quick restore where something is in the way.

use crate::bench::{
    BLOCKS_PER_TRACK, Bench, TRACKS, command, config, read_of, sectors, tracks, write_of,
};
use diptych_cha::{CommandCode, HostError, HostOp, HostReply};
use diptych_device::{FaultKind, FaultRule, Op};
use diptych_format::BlockNo;
use diptych_shared::{MapName, PairOptions, PairStatus, VolumeState};
use diptych_testkit::ldev;

/// A pair 0 -> 1 whose image is tag 1 and whose primary is tag 2 everywhere, nothing in cache. The
/// unit has as many slots as a request of one track takes at least.
fn changed(slots: usize) -> Bench {
    let mut bench = Bench::new(1, config(slots), 3);
    for track in 0..TRACKS {
        bench.write(0, track * BLOCKS_PER_TRACK, BLOCKS_PER_TRACK, 1);
    }
    bench.split(0, 1);
    bench.settle();
    for track in 0..TRACKS {
        bench.write(0, track * BLOCKS_PER_TRACK, BLOCKS_PER_TRACK, 2);
    }
    bench.flush(0);
    for track in 0..TRACKS {
        bench.write(2, track * BLOCKS_PER_TRACK, BLOCKS_PER_TRACK, 9);
    }
    bench.flush(2);
    bench
}

#[test]
fn what_cannot_be_brought_back_is_a_medium_error_until_it_is_written_whole() {
    for slots in [2, 12] {
        let mut bench = changed(slots);
        bench.drives[1].goes_wrong(
            FaultRule::new(Op::Read, FaultKind::LatentError).touching(sectors(3)).repeated(),
        );
        bench.accept(command(CommandCode::Restore, 0, 1));
        bench.settle();
        assert_eq!(bench.pair(0, 1).status, PairStatus::Restoring);
        assert_eq!(tracks(&bench.pair(0, 1), MapName::C), [3]);
        let medium = |block| HostError::Medium { ldev: ldev(0), block: BlockNo(block) };
        assert_eq!(bench.read(0, 13, 2), Err(medium(13)), "{slots} slots");
        assert_eq!(bench.write(0, 14, 1, 3), HostReply::Failed(medium(14)), "{slots} slots");
        assert_eq!(bench.read(0, 8, 4), Ok(vec![1; 4]));
        assert_eq!(bench.write(0, 12, 4, 3), HostReply::Done);
        bench.settle();
        assert_eq!(bench.read(0, 12, 4), Ok(vec![3; 4]));
        let pair = bench.pair(0, 1);
        assert_eq!((pair.status, pair.c.count()), (PairStatus::PairedNotCopied, 0));
        bench.drives[1].heal();
        bench.hand.check_stored().expect("whole volumes");
    }
}

#[test]
fn a_format_gives_up_what_is_still_to_come_back() {
    let mut bench = Bench::new(1, config(12), 3);
    bench.split(0, 1);
    bench.fill(1, 5);
    assert!(bench.volume(0).allocated.is_empty());
    bench.alone(HostOp::Command(command(CommandCode::Restore, 0, 1)));
    assert_eq!(bench.alone(HostOp::Format { ldev: ldev(0) }), HostReply::Done);
    bench.settle();
    assert_eq!(bench.read(0, 0, 4), Ok(vec![0; 4]));
    assert!(bench.volume(0).allocated.is_empty());
}

#[test]
fn a_restore_whose_primary_cannot_be_written_leaves_it_undefined() {
    let mut bench = changed(12);
    bench.drives[0].goes_wrong(
        FaultRule::new(Op::Write, FaultKind::StorageFull).touching(sectors(2)).repeated(),
    );
    bench.accept(command(CommandCode::Restore, 0, 1));
    bench.settle();
    let pair = bench.pair(0, 1);
    assert_eq!((pair.status, pair.c.count()), (PairStatus::Suspended, 0));
    assert!(tracks(&pair, MapName::Dp).contains(&2));
    assert!(bench.volume(0).undefined);
    assert_eq!(bench.read(1, 8, 4), Err(access_of_secondary(&bench)));
}

fn access_of_secondary(bench: &Bench) -> HostError {
    let status = bench.pair(0, 1).status;
    HostError::Access {
        ldev: ldev(1),
        tried: diptych_cha::Tried::Read,
        why: diptych_cha::Forbidden::Secondary(status),
    }
}

#[test]
fn a_destage_that_fails_after_an_exchange_blocks_the_volume_that_has_the_storage_now() {
    let mut bench = changed(12);
    bench.write(0, 0, 4, 7);
    bench.drives[0].goes_wrong(
        FaultRule::new(Op::Write, FaultKind::StorageFull).touching(sectors(0)).repeated(),
    );
    let flush = bench.hand.start(HostOp::Flush { ldev: ldev(0) });
    bench.turn(flush);
    let destage = bench.due()[0];
    bench.turn_to_effect(destage, 0);
    let quick = bench.alone(HostOp::Command(command(CommandCode::QuickRestore, 0, 1).frozen()));
    assert!(matches!(quick, HostReply::Outcome(_)), "{quick:?}");
    bench.settle();
    assert_eq!([bench.state(0), bench.state(1)], [VolumeState::Normal, VolumeState::Blocked]);
    assert_eq!(bench.run(read_of(0, 0, 4)), bench.run(read_of(0, 0, 4)));
    assert_eq!(bench.run(write_of(0, 0, 4, 8)), HostReply::Done);
}

#[test]
fn a_restore_is_given_up_while_another_lane_copies() {
    let mut bench = changed(12);
    let options = PairOptions { lanes: 2, ..PairOptions::default() };
    bench.alone(HostOp::Command(command(CommandCode::Restore, 0, 1).with_options(options)));
    let lanes = bench.due();
    bench.turn_to_effect(lanes[0], 1);
    bench.turn_to_effect(lanes[1], 1);
    bench.drives[0].goes_wrong(FaultRule::new(Op::Write, FaultKind::StorageFull));
    bench.turn(lanes[0]);
    assert_eq!(bench.pair(0, 1).status, PairStatus::Suspended);
    bench.settle();
    let pair = bench.pair(0, 1);
    assert_eq!((pair.status, pair.c.count(), pair.dp.count()), (PairStatus::Suspended, 0, TRACKS));
    assert!(bench.volume(0).undefined);
}

#[test]
fn a_restore_is_given_up_under_a_copy_on_its_way() {
    let mut bench = Bench::new(1, config(24), 2);
    bench.fill(0, 1);
    bench.split(0, 1);
    bench.settle();
    // Tracks 1 and 3 differ. What the host wrote to the primary's track 3 cannot be destaged.
    assert_eq!(bench.alone(write_of(0, 12, 4, 2)), HostReply::Done);
    assert_eq!(bench.alone(write_of(1, 4, 4, 3)), HostReply::Done);
    let rule = FaultRule::new(Op::Write, FaultKind::StorageFull).touching(sectors(3));
    bench.drives[0].goes_wrong(rule.repeated());
    let flush = bench.begin(HostOp::Flush { ldev: ldev(0) });
    bench.alone(HostOp::Command(command(CommandCode::Restore, 0, 1)));
    // The lane is at track 1 when the destage ends the restore.
    let lane = bench.due()[0];
    bench.turn_to_effect(lane, 0);
    bench.run_without(&[lane]);
    assert!(matches!(bench.reply(flush), HostReply::Failed(_)));
    assert_eq!(bench.pair(0, 1).status, PairStatus::Suspended);
    bench.settle();
    let pair = bench.pair(0, 1);
    assert_eq!((pair.status, bench.state(0)), (PairStatus::Suspended, VolumeState::Blocked));
    assert!(bench.volume(0).undefined, "the primary is neither the old nor the new");
    assert_eq!((tracks(&pair, MapName::C), tracks(&pair, MapName::Dp)), (vec![], vec![1, 3]));
}
