//! Contents that are undefined, and each way out.

use crate::bench::{Bench, TRACKS, command, config, tracks};
use diptych_cha::{CommandCode, HostError, HostOp, HostReply, Outcome, Refusal};
use diptych_format::Time;
use diptych_shared::{MapName, PairStatus};
use diptych_testkit::ldev;

/// Volume 1 was the secondary of 0, and the pair was deleted before its copy had ended.
fn undefined() -> Bench {
    let mut bench = Bench::new(1, config(30), 4);
    bench.fill(0, 1);
    bench.fill(1, 2);
    bench.accept(command(CommandCode::Create, 0, 1).without_initial_copy());
    bench.accept(command(CommandCode::Delete, 0, 1));
    assert!(bench.volume(1).undefined);
    let refused = Outcome::Refused(Refusal::Undefined { ldev: ldev(1) });
    assert_eq!(bench.give(command(CommandCode::Create, 1, 2)), refused);
    bench
}

#[track_caller]
fn defined(bench: &mut Bench) {
    assert!(!bench.volume(1).undefined);
    bench.accept(command(CommandCode::Create, 1, 2));
}

#[test]
fn hosts_may_use_it() {
    let mut bench = undefined();
    assert_eq!(bench.read(1, 0, 4), Ok(vec![2; 4]));
    assert_eq!(bench.write(1, 0, 4, 3), HostReply::Done);
}

#[test]
fn the_operator_accepts_it() {
    let mut bench = undefined();
    assert_eq!(bench.run(HostOp::AcceptContents { ldev: ldev(1) }), HostReply::Done);
    let nobody = HostOp::AcceptContents { ldev: ldev(9) };
    let no_volume = HostReply::Failed(HostError::NoVolume { ldev: ldev(9) });
    assert_eq!(bench.run(nobody), no_volume);
    assert_eq!(bench.read(1, 0, 4), Ok(vec![2; 4]));
    defined(&mut bench);
}

#[test]
fn it_is_formatted() {
    let mut bench = undefined();
    bench.unit().set_reserved(ldev(1), true, Time::ZERO).expect("in no pair");
    let wrote_at = bench.volume(1).host_wrote_at;
    let later = bench.hand.now() + 60_000_000_000;
    bench.hand.run_until(later, &mut bench.choices).expect("every job ends");
    assert_eq!(bench.run(HostOp::Format { ldev: ldev(1) }), HostReply::Done);
    assert_eq!(bench.volume(1).host_wrote_at, wrote_at, "no host did that");
    bench.unit().set_reserved(ldev(1), false, Time::ZERO).expect("in no pair");
    assert!(bench.volume(1).allocated.is_empty());
    assert_eq!(bench.read(1, 0, 4), Ok(vec![0; 4]));
    defined(&mut bench);
}

#[test]
fn it_is_paired_again() {
    let mut bench = undefined();
    bench.split(0, 1);
    assert!(!bench.volume(1).undefined);
    bench.accept(command(CommandCode::Delete, 0, 1));
    defined(&mut bench);
}

#[test]
fn it_is_restored_onto() {
    let mut bench = Bench::new(1, config(30), 4);
    bench.fill(1, 1);
    bench.split(1, 2);
    bench.split(1, 3);
    bench.fill(1, 2);
    bench.accept(command(CommandCode::Restore, 1, 2));
    bench.accept(command(CommandCode::Delete, 1, 2).forced());
    assert!(bench.volume(1).undefined);
    bench.accept(command(CommandCode::Restore, 1, 3));
    assert!(!bench.volume(1).undefined);
    bench.settle();
    assert_eq!(bench.read(1, 0, 4), Ok(vec![1; 4]));
}

#[test]
fn formatting_is_a_change_as_any_other() {
    let mut bench = Bench::new(1, config(30), 3);
    bench.fill(0, 1);
    bench.accept(command(CommandCode::Create, 0, 1));
    bench.settle();
    bench.fill(0, 2);
    bench.accept(command(CommandCode::Copy, 0, 1));
    assert_eq!(bench.run(HostOp::Format { ldev: ldev(0) }), HostReply::Done);
    bench.settle();
    assert_eq!(bench.pair(0, 1).status, PairStatus::Copied);
    assert_eq!(tracks(&bench.pair(0, 1), MapName::Dp).len() as u64, TRACKS);
    assert_eq!(bench.read(1, 0, 4), Ok(vec![2; 4]));
    assert_eq!(bench.read(0, 0, 4), Ok(vec![0; 4]));
    bench.accept(command(CommandCode::Resync, 0, 1));
    assert!(matches!(bench.run(HostOp::Format { ldev: ldev(1) }), HostReply::Failed(_)));
}
