//! What settles, and who meets it.

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry};
use diptych_log::{Log, LogConfig, LogId};
use diptych_testkit::{ByHand, Choices, Tag, ldev};
use diptych_unit::{Plant, Unit, UnitConfig};

fn geometry() -> Geometry {
    Geometry::with_tracks(2, 2)
}

/// A unit with a log and two volumes, whose tracks settle as soon as they may.
fn unit() -> ByHand {
    let drive = |sectors| Box::new(MemoryDrive::new(sectors)) as Box<dyn Device>;
    let drives = Drives::new(vec![(0, drive(64)), (0, drive(64))]);
    let log_config = LogConfig { reserve_sectors: 128, ..LogConfig::default() };
    let log = Log::create(drive(1_024), LogId(1), log_config).unwrap();
    let plant = Plant::with_log(drives, log);
    let mut config = UnitConfig::with_cache(20, geometry().track_bytes());
    config.needs_reserve = false;
    config.settle_delay_ns = 0;
    let unit = Unit::new(config, &plant).unwrap();
    for no in 0..2_u8 {
        unit.add_volume(ldev(no), geometry(), no.into()).unwrap();
    }
    ByHand::new(unit, plant)
}

fn write(start: u64, count: u64, tag: u64) -> HostOp {
    let blocks = BlockRange::new(BlockNo(start), count);
    HostOp::Write { ldev: ldev(0), block: blocks.start, data: Tag(tag).data(blocks) }
}

fn command(hand: &mut ByHand, code: CommandCode, choices: &mut Choices) {
    let op = HostOp::Command(Command::new(code, ldev(0), ldev(1)));
    let reply = hand.run(op, choices).unwrap();
    assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
}

/// A write finds C set and copies the track, and the drive of the lane's copy is flushed meanwhile.
#[test]
fn a_track_that_a_host_copies_itself_does_not_settle_under_it() {
    for seed in 0..2_000 {
        let mut choices = Choices::from_seed(seed);
        let mut hand = unit();
        assert_eq!(hand.run(write(0, 4, 1), &mut choices), Ok(HostReply::Done));
        command(&mut hand, CommandCode::Create, &mut choices);
        command(&mut hand, CommandCode::Copy, &mut choices);
        let ids = [(1, 2), (2, 3)].map(|(start, tag)| hand.start(write(start, 1, tag)));
        hand.settle(&mut choices).unwrap();
        assert!(ids.iter().all(|id| hand.take_reply(*id) == Some(HostReply::Done)));
        let settled = |hand: &ByHand| hand.unit().cache_counts().dirty_slots == 0;
        assert!(settled(&hand), "seed {seed}");
        let stored = hand.check_stored().unwrap();
        assert_eq!(stored[&ldev(1)].tags(ldev(1)), Ok(vec![Tag(1); 4]), "seed {seed}");
    }
}
