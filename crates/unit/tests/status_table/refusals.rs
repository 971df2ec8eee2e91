//! Each refusal, and how it comes about.

use crate::bench::{Bench, PRIMARY, Reach, duplex, split};
use diptych_cha::{CommandCode, Outcome, Refusal};
use diptych_shared::PairStatus;
use diptych_testkit::ldev;

#[test]
fn refusals() {
    use CommandCode::{Copy, Create, Delete, Resync, Suspend};
    #[track_caller]
    fn check(reach: Reach, code: CommandCode, (p, s): (u8, u8), expected: Refusal) {
        let mut bench = Bench::new();
        reach(&mut bench);
        let before = bench.hand.unit().pairs();
        assert_eq!(bench.give(code, p, s), Outcome::Refused(expected));
        assert_eq!(bench.hand.unit().pairs(), before, "a refusal changes nothing");
    }
    let none: Reach = |_| {};
    for code in CommandCode::ALL {
        check(none, code, (0, 9), Refusal::NoVolume { ldev: ldev(9) });
        check(none, code, (9, 0), Refusal::NoVolume { ldev: ldev(9) });
    }
    check(none, Create, (1, 1), Refusal::SameVolume { ldev: ldev(1) });
    check(none, Create, (1, 0), Refusal::NotReserved { ldev: ldev(0) });
    check(duplex, Create, (2, 1), Refusal::SecondaryIsSecondary { ldev: ldev(1) });
    let reserved: Reach = |b| {
        assert!(b.model.set_reserved(PRIMARY, true));
        b.hand.unit().set_reserved(PRIMARY, true, diptych_format::Time::ZERO).unwrap();
        duplex(b);
    };
    check(reserved, Create, (2, 0), Refusal::SecondaryIsPrimary { ldev: ldev(0) });
    let status = PairStatus::PairedNotCopied;
    check(duplex, Create, (1, 2), Refusal::FirstLevelNotCopied { status });
    let cascade: Reach = |b| {
        split(b);
        b.give(Create, 1, 2);
        b.settle();
    };
    check(cascade, Create, (2, 3), Refusal::ThirdLevel { ldev: ldev(2) });
    let resynced: Reach = |b| {
        split(b);
        b.give(Create, 1, 2);
        b.give(Resync, 0, 1);
    };
    check(resynced, Copy, (1, 2), Refusal::FirstLevelNotCopied { status });
    let undefined: Reach = |b| {
        split(b);
        b.give(Create, 1, 2);
        b.give(Resync, 0, 1);
        b.give(Delete, 0, 1);
    };
    check(undefined, Copy, (1, 2), Refusal::Undefined { ldev: ldev(1) });
    check(undefined, Create, (1, 3), Refusal::Undefined { ldev: ldev(1) });
    let undefined_suspended: Reach = |b| {
        split(b);
        b.give(Create, 1, 2);
        b.give(Suspend, 1, 2);
        b.give(Resync, 0, 1);
        b.give(Delete, 0, 1);
    };
    check(undefined_suspended, Resync, (1, 2), Refusal::Undefined { ldev: ldev(1) });
    // The reverse of a pair is no pair; it is no third volume's business either.
    for code in [Copy, Resync, Suspend, Delete] {
        let mut bench = Bench::new();
        split(&mut bench);
        assert_eq!(bench.give(code, 1, 0), Outcome::Nothing { met: None });
    }
    let mut bench = Bench::new();
    reserved(&mut bench);
    bench.give(Copy, 0, 1);
    let Outcome::Refused(why) = bench.give(Create, 1, 0) else { panic!("a circle") };
    assert!(matches!(why, Refusal::Cycle { .. } | Refusal::SecondaryIsPrimary { .. }), "{why}");
}
