//! A volume that a host uses does not become a secondary.

use crate::bench::{Bench, command, config, shape};
use diptych_cha::{CommandCode, Outcome, Refusal};
use diptych_shared::SharedError;
use diptych_testkit::ldev;
use diptych_unit::UnitConfig;

const SECOND: u64 = 1_000_000_000;

#[test]
fn a_volume_that_was_just_written_is_in_use() {
    let config = UnitConfig { in_use_ns: 30 * SECOND, ..config(12) };
    let mut bench = Bench::new(1, config, 3);
    bench.fill(0, 1);
    bench.fill(1, 2);
    let refused = Outcome::Refused(Refusal::InUse { ldev: ldev(1) });
    let create = command(CommandCode::Create, 0, 1);
    assert_eq!(bench.give(create), refused);
    assert_eq!(bench.unit().pairs(), []);
    let written = bench.hand.now();
    bench.hand.advance(written + 29 * SECOND);
    assert_eq!(bench.give(create), refused);
    // A primary may be in use, and so may be a volume that hosts only read.
    bench.accept(command(CommandCode::Create, 1, 2));
    bench.hand.advance(written + 30 * SECOND);
    bench.accept(command(CommandCode::Delete, 1, 2));
    bench.accept(create);
}

#[test]
fn a_volume_that_is_open_for_writing_is_in_use() {
    let mut bench = Bench::new(1, config(12), 3);
    let refused = Outcome::Refused(Refusal::InUse { ldev: ldev(1) });
    let create = command(CommandCode::Create, 0, 1);
    let first = bench.unit().open_writer(ldev(1)).expect("a volume");
    let second = bench.unit().open_writer(ldev(1)).expect("a volume");
    assert_eq!(first.ldev(), ldev(1));
    assert_eq!(bench.give(create), refused);
    drop(first);
    assert_eq!(bench.give(create), refused);
    // A primary may be open.
    bench.accept(command(CommandCode::Create, 1, 2));
    bench.accept(command(CommandCode::Delete, 1, 2));
    drop(second);
    bench.accept(create);
    // So may a secondary, which nobody may write then.
    let third = bench.unit().open_writer(ldev(1)).expect("a volume");
    bench.accept(command(CommandCode::Delete, 0, 1));
    assert_eq!(bench.give(create), refused);
    drop(third);
    bench.accept(create);
    let unknown = bench.unit().open_writer(ldev(9)).expect_err("no volume");
    assert_eq!(unknown, SharedError::UnknownVolume { ldev: ldev(9) }.into());
}

/// Who still holds a volume that is gone does not hold another of its name.
#[test]
fn a_volume_that_is_gone_is_open_no_more() {
    let mut bench = Bench::new(1, config(12), 2);
    let old = bench.unit().open_writer(ldev(1)).expect("a volume");
    drop(bench.unit().remove_volume(ldev(1)).expect("in no pair"));
    bench.unit().add_volume(ldev(1), shape(), 1).expect("room");
    bench.accept(command(CommandCode::Create, 0, 1));
    bench.accept(command(CommandCode::Delete, 0, 1));
    let new = bench.unit().open_writer(ldev(1)).expect("a volume");
    drop(old);
    let refused = Outcome::Refused(Refusal::InUse { ldev: ldev(1) });
    assert_eq!(bench.give(command(CommandCode::Create, 0, 1)), refused);
    drop(new);
    bench.accept(command(CommandCode::Create, 0, 1));
}
