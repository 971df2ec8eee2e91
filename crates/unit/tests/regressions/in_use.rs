//! A volume that a host uses does not become a secondary.

use crate::bench::{Bench, command, config};
use diptych_cha::{CommandCode, Outcome, Refusal};
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
