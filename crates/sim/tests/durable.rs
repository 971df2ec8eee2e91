//! A unit that dies, and comes back from its log.
#![allow(missing_docs)] // a test program has no public items

use diptych_cha::{
    Command, CommandCode, GroupCommand, GroupOutcome, HostOp, HostReply, Outcome, Refusal,
};
use diptych_device::{Device, MemoryDrive, PowerCut};
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId, SectorNo, Time, TrackNo};
use diptych_log::{Log, LogConfig, LogId};
use diptych_shared::{PairOptions, PairStatus, VolumeState};
use diptych_sim::{Answered, Driver, Sim, SimConfig, fill_blocks};
use diptych_sync::Arc;
use diptych_unit::{LogBusy, Opened, Plant, Recovered, Unit, UnitConfig, UnitError};
use std::io::{IoSlice, IoSliceMut};

type Drive = Arc<PowerCut<MemoryDrive>>;

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECONDARY: LdevId = LdevId::new(0, 1);
const TRACKS: u64 = 12;
const TRACK_BLOCKS: u64 = 4;
const ALL: BlockRange = BlockRange { start: BlockNo(0), end: BlockNo(TRACKS * TRACK_BLOCKS) };

/// What outlives the unit.
struct Machine {
    drives: [Drive; 2],
    log: Drive,
    reserve_sectors: u64,
    config: UnitConfig,
}

fn boxed(drive: &Drive) -> Box<dyn Device> {
    Box::new(drive.clone())
}

impl Machine {
    fn new() -> Self {
        let drive = |sectors| Arc::new(PowerCut::new(MemoryDrive::new(sectors), 1 << 16));
        let mut config = UnitConfig::with_cache(64, TRACK_BLOCKS as usize * 512);
        config.needs_reserve = false;
        Self {
            drives: [drive(4_096), drive(4_096)],
            log: drive(4_096),
            reserve_sectors: 512,
            config,
        }
    }

    fn drives(&self) -> Drives {
        Drives::new(self.drives.iter().map(|drive| (0, boxed(drive))).collect())
    }

    fn log_config(&self) -> LogConfig {
        LogConfig { reserve_sectors: self.reserve_sectors, ..LogConfig::default() }
    }

    /// A new unit with two volumes.
    fn create(&self) -> Sim {
        let log = Log::create(boxed(&self.log), LogId(1), self.log_config()).unwrap();
        let plant = Plant::with_log(self.drives(), log);
        let unit = Unit::new(self.config.clone(), &plant).unwrap();
        let geometry = Geometry::with_tracks(TRACK_BLOCKS, TRACKS);
        for (no, ldev) in [PRIMARY, SECONDARY].into_iter().enumerate() {
            unit.add_volume(ldev, geometry, no).unwrap();
        }
        Sim::new(unit, plant, SimConfig::default())
    }

    fn open(&self) -> (Sim, Recovered) {
        let opened =
            Unit::open(self.config.clone(), self.drives(), boxed(&self.log), self.log_config());
        let Opened { unit, plant, recovered } = opened.unwrap();
        (Sim::new(unit, plant, SimConfig::default()), recovered)
    }

    /// The power goes, and with it what was not flushed.
    fn cut(&self) {
        for drive in self.drives.iter().chain([&self.log]) {
            drive.cut(|_| false);
            drive.restore_power();
        }
    }
}

fn answer(sim: &mut Sim, op: HostOp) -> HostReply {
    let request = sim.start(op).unwrap();
    sim.finish(request).unwrap()
}

fn write(sim: &mut Sim, block: u64, count: u64, seed: u64) {
    let data = fill_blocks(seed, count);
    let op = HostOp::Write { ldev: PRIMARY, block: BlockNo(block), data };
    assert_eq!(answer(sim, op), HostReply::Done);
}

fn read(sim: &mut Sim, ldev: LdevId) -> Vec<u8> {
    match answer(sim, HostOp::Read { ldev, blocks: ALL }) {
        HostReply::Data(data) => data.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn command(sim: &mut Sim, code: CommandCode, options: PairOptions) {
    let command = Command::new(code, PRIMARY, SECONDARY).with_options(options);
    let reply = answer(sim, HostOp::Command(command));
    assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
}

fn status(sim: &Sim) -> Option<PairStatus> {
    sim.unit().pair(PRIMARY, SECONDARY).map(|pair| pair.status)
}

#[test]
fn what_was_answered_survives_the_death_of_the_process() {
    let machine = Machine::new();
    let mut sim = machine.create();
    write(&mut sim, 0, 48, 1);
    write(&mut sim, 5, 1, 2);
    write(&mut sim, 6, 9, 3);
    let unmap = HostOp::Unmap { ldev: PRIMARY, blocks: BlockRange::new(BlockNo(18), 8) };
    assert_eq!(answer(&mut sim, unmap), HostReply::Done);
    let expected = read(&mut sim, PRIMARY);
    drop(sim);
    for _ in 0..3 {
        let (mut sim, recovered) = machine.open();
        assert!(recovered.tracks > 0, "{recovered:?}");
        assert_eq!(read(&mut sim, PRIMARY), expected);
    }
}

#[test]
fn a_flush_and_a_command_survive_a_cut_of_power() {
    let machine = Machine::new();
    let mut sim = machine.create();
    write(&mut sim, 0, 48, 1);
    assert_eq!(answer(&mut sim, HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
    let flushed = read(&mut sim, PRIMARY);
    write(&mut sim, 3, 2, 2);
    drop(sim);
    machine.cut();
    let (mut sim, _) = machine.open();
    assert_eq!(read(&mut sim, PRIMARY), flushed);
    command(&mut sim, CommandCode::Create, PairOptions::default());
    drop(sim);
    machine.cut();
    let (sim, _) = machine.open();
    assert_eq!(status(&sim), Some(PairStatus::PairedNotCopied));
}

#[test]
fn what_was_put_back_does_not_stay_dirty() {
    let machine = Machine::new();
    let mut sim = machine.create();
    write(&mut sim, 0, 48, 1);
    drop(sim);
    let (mut sim, recovered) = machine.open();
    assert_eq!(recovered.tracks, TRACKS);
    sim.run_until(Time::ZERO + 2 * machine.config.destage_delay_ns);
    assert_eq!(sim.unit().cache_counts().dirty_slots, 0);
}

/// Killed, and cut off, at every moment of a copy: it goes on, and its image is that of the instant.
#[test]
fn a_copy_goes_on_after_a_crash_at_any_moment() {
    for cut in [false, true] {
        for moment in 0..60_u64 {
            let machine = Machine::new();
            let mut sim = machine.create();
            write(&mut sim, 0, 48, 1);
            command(&mut sim, CommandCode::Create, PairOptions::default());
            let image = read(&mut sim, PRIMARY);
            command(&mut sim, CommandCode::Copy, PairOptions::default());
            let instant = sim.now();
            let mut written = image.clone();
            for (no, block) in [3_u64, 17, 44].into_iter().enumerate() {
                write(&mut sim, block, 1, 10 + no as u64);
                let at = block as usize * 512;
                written[at..at + 512].copy_from_slice(&fill_blocks(10 + no as u64, 1));
            }
            assert_eq!(answer(&mut sim, HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
            sim.run_until(instant + moment * 500_000);
            drop(sim);
            if cut {
                machine.cut();
            }
            let (mut sim, _) = machine.open();
            let limit: Time = sim.now() + 60_000_000_000;
            sim.run_until(limit);
            assert_eq!(status(&sim), Some(PairStatus::Copied), "moment {moment}");
            assert!(read(&mut sim, SECONDARY) == image, "moment {moment}, cut {cut}: the image");
            assert!(read(&mut sim, PRIMARY) == written, "moment {moment}, cut {cut}: the primary");
        }
    }
}

/// A log that is far smaller than what is written: it is given up behind checkpoints.
#[test]
fn a_small_log_is_written_round_and_round() {
    let machine = Machine::new();
    let mut sim = machine.create();
    let mut last = Vec::new();
    for round in 0..200 {
        write(&mut sim, 0, 48, round);
        last = fill_blocks(round, 48).to_vec();
    }
    drop(sim);
    let (mut sim, recovered) = machine.open();
    assert!(recovered.records < 200, "{recovered:?}");
    assert_eq!(read(&mut sim, PRIMARY), last);
}

/// A sector of the log that had been durable cannot be read: nothing that depends on it is trusted.
#[test]
fn a_damaged_log_is_not_trusted() {
    let machine = Machine::new();
    let mut sim = machine.create();
    write(&mut sim, 0, 48, 1);
    command(&mut sim, CommandCode::Create, PairOptions::default());
    sim.run_until(sim.now() + 1_000_000_000);
    command(&mut sim, CommandCode::Copy, PairOptions::default());
    for block in 0..4 {
        write(&mut sim, block, 1, 5);
        assert_eq!(answer(&mut sim, HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
    }
    drop(sim);
    // The last sectors that are not zero belong to the last batches; one before them rots.
    let sectors = machine.log.inner().sector_count();
    let at = |no: u64| {
        let mut sector = [0; 512];
        let mut bufs = [IoSliceMut::new(&mut sector)];
        machine.log.inner().read_at(SectorNo(no), &mut bufs).unwrap();
        sector
    };
    let last = (0..sectors).rev().find(|no| at(*no) != [0; 512]).unwrap();
    machine.log.write_at(SectorNo(last - 3), &[IoSlice::new(&[0xA5; 512])]).unwrap();
    machine.log.flush().unwrap();
    {
        let (sim, recovered) = machine.open();
        assert!(recovered.lost.is_some(), "{recovered:?}");
        let pair = sim.unit().pair(PRIMARY, SECONDARY).unwrap();
        assert_eq!(pair.status, PairStatus::Suspended);
        assert!(pair.c.is_full() && pair.dp.is_full() && pair.ds.is_full());
        let volumes = sim.unit().volumes();
        assert!(volumes.iter().all(|volume| volume.state == VolumeState::Blocked));
        assert_eq!(
            volumes.iter().map(|volume| volume.undefined).collect::<Vec<_>>(),
            [true, false]
        );
    }
    // What was done about it is in the log: the next time nothing is missing.
    let (mut sim, recovered) = machine.open();
    assert_eq!(recovered.lost, None);
    assert_eq!(status(&sim), Some(PairStatus::Suspended));
    sim.unit().release_volume(PRIMARY, sim.now()).unwrap();
    assert_eq!(answer(&mut sim, HostOp::AcceptContents { ldev: PRIMARY }), HostReply::Done);
    write(&mut sim, 0, 48, 9);
}

/// A checkpoint of everything has to fit what the log keeps free: what would not is refused when it is
/// made, and nothing is left of it.
#[test]
fn what_no_checkpoint_would_hold_is_refused() {
    let machine = Machine::new();
    let mut sim = machine.create();
    // No more than maps of 256 sectors fit; these take 8 KiB each.
    let tracks = 64 << 10;
    let large = |no| (LdevId::new(1, no), Geometry::with_tracks(1, tracks));
    let made: Vec<LdevId> = (0..20)
        .map_while(|no| {
            let (ldev, geometry) = large(no);
            sim.unit().add_metadata_volume(ldev, geometry).is_ok().then_some(ldev)
        })
        .collect();
    assert_eq!(made.len(), 15);
    let (ldev, geometry) = large(15);
    let refused = sim.unit().add_metadata_volume(ldev, geometry);
    assert!(matches!(refused, Err(UnitError::ControlFull(_))), "{refused:?}");
    assert_eq!(sim.unit().volume(ldev), None);
    let create = |sim: &mut Sim| {
        let command = Command::new(CommandCode::Create, made[0], made[1]);
        answer(sim, HostOp::Command(command))
    };
    let reply = create(&mut sim);
    let full = |reply: &HostReply| {
        matches!(reply, HostReply::Outcome(Outcome::Refused(Refusal::ControlFull { .. })))
    };
    assert!(full(&reply), "{reply:?}");
    // What is removed makes room, and what is there counts after a restart too.
    for _ in 0..2 {
        for ldev in &made[10..] {
            sim.unit().remove_volume(*ldev).unwrap();
        }
        let reply = create(&mut sim);
        assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
        let delete = Command::new(CommandCode::Delete, made[0], made[1]);
        answer(&mut sim, HostOp::Command(delete));
        for (no, ldev) in (10..).zip(&made[10..]) {
            sim.unit().add_metadata_volume(*ldev, large(no).1).unwrap();
        }
        let reply = create(&mut sim);
        assert!(full(&reply), "{reply:?}");
        drop(sim);
        sim = machine.open().0;
    }
}

/// Who waits for nothing is told when the log is full, instead of filling what is kept for checkpoints.
#[test]
fn management_does_not_fill_the_log() {
    let machine = Machine::new();
    let mut sim = machine.create();
    let mut refused = 0;
    for turn in 0..20_000 {
        let done = sim.unit().set_reserved(SECONDARY, turn % 2 == 0, sim.now());
        if let Err(error) = done {
            assert_eq!(error, UnitError::LogBusy(LogBusy));
            refused += 1;
            sim.ask_due();
            sim.run_until(sim.now() + 1_000_000_000);
            sim.unit().set_reserved(SECONDARY, turn % 2 == 0, sim.now()).unwrap();
        }
    }
    assert!(refused > 1, "the log was full {refused} times");
    assert_eq!(sim.unit().log_failure(), None);
}

/// A group command is refused whose records would not fit the log, whatever was given up before.
#[test]
fn a_group_that_is_too_large_for_the_log_is_refused() {
    let mut machine = Machine::new();
    machine.reserve_sectors = 3_072;
    let mut sim = machine.create();
    let pair = |no| (LdevId::new(1, no), LdevId::new(2, no));
    let geometry = Geometry::with_tracks(1, 1);
    let tiny: Vec<(LdevId, LdevId)> = (0..=255).map(pair).collect();
    for (primary, secondary) in &tiny {
        for ldev in [primary, secondary] {
            while sim.unit().add_metadata_volume(*ldev, geometry)
                == Err(UnitError::LogBusy(LogBusy))
            {
                sim.ask_due();
                sim.run_until(sim.now() + 1_000_000_000);
            }
        }
        let create = Command::new(CommandCode::Create, *primary, *secondary);
        let reply = answer(&mut sim, HostOp::Command(create.without_initial_copy()));
        assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
    }
    let mut group = |pairs: &[(LdevId, LdevId)]| {
        let command = GroupCommand::new(CommandCode::Suspend, pairs.to_vec());
        answer(&mut sim, HostOp::Group(command))
    };
    let most = 51;
    let refused =
        GroupOutcome::Refused { pair: None, why: Refusal::GroupSize { asked: tiny.len(), most } };
    assert_eq!(group(&tiny), HostReply::Group(refused));
    let reply = group(&tiny[..most]);
    assert!(matches!(reply, HostReply::Group(GroupOutcome::Accepted { .. })), "{reply:?}");
}

/// A copy has brought some tracks, which no flush has covered, and fails at a track that cannot be read.
/// What the operator then accepts as the secondary's contents is what is there after a cut of power.
#[test]
fn contents_that_were_accepted_stay_as_they_are() {
    const ROTTEN: u64 = 5;
    let mut machine = Machine::new();
    // Nothing settles, and the primary's first tracks are not in the cache any more.
    machine.config.settle_delay_ns = 1_000_000_000_000;
    machine.config.cache = UnitConfig::with_cache(16, TRACK_BLOCKS as usize * 512).cache;
    let mut sim = machine.create();
    for (ldev, seed) in [(PRIMARY, 1), (SECONDARY, 2)] {
        let data = fill_blocks(seed, ALL.count());
        for track in 0..TRACKS {
            let at = (track * TRACK_BLOCKS * 512) as usize;
            let data = data.slice(at..at + TRACK_BLOCKS as usize * 512);
            let op = HostOp::Write { ldev, block: BlockNo(track * TRACK_BLOCKS), data };
            assert_eq!(answer(&mut sim, op), HostReply::Done);
        }
        sim.run_until(sim.now() + 2 * machine.config.destage_delay_ns);
    }
    let home = sim.unit().home(sim.unit().volume(PRIMARY).unwrap().backing).unwrap();
    let rot = IoSlice::new(&[0xA5; 512]);
    machine.drives[0].write_at(home.place(TrackNo(ROTTEN)).data, &[rot]).unwrap();
    let mut create = Command::new(CommandCode::Create, PRIMARY, SECONDARY);
    create.and_copy = true;
    create.options.lanes = 1;
    // The volume is in use by a host until then.
    sim.run_until(sim.now() + machine.config.in_use_ns);
    let reply = answer(&mut sim, HostOp::Command(create));
    assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
    sim.run_until(sim.now() + 1_000_000_000);
    assert_eq!(status(&sim), Some(PairStatus::Suspended));
    command(&mut sim, CommandCode::Delete, PairOptions::default());
    assert!(sim.unit().volume(SECONDARY).unwrap().undefined);
    let brought = (ROTTEN * TRACK_BLOCKS * 512) as usize;
    let accepted = read(&mut sim, SECONDARY);
    assert!(accepted[..brought] == fill_blocks(1, ALL.count())[..brought], "some was copied");
    assert_eq!(answer(&mut sim, HostOp::AcceptContents { ldev: SECONDARY }), HostReply::Done);
    drop(sim);
    machine.cut();
    let (mut sim, _) = machine.open();
    assert!(!sim.unit().volume(SECONDARY).unwrap().undefined);
    assert!(read(&mut sim, SECONDARY) == accepted);
}

/// The drive of one volume takes nothing any more: the log goes on for the other, and nothing is lost.
#[test]
fn a_blocked_volume_does_not_hold_the_log() {
    let machine = Machine::new();
    let mut sim = machine.create();
    let on_secondary =
        HostOp::Write { ldev: SECONDARY, block: BlockNo(5), data: fill_blocks(7, 9) };
    machine.drives[1].cut(|_| false); // until the power is back every request fails
    assert_eq!(answer(&mut sim, on_secondary), HostReply::Done);
    sim.run_until(sim.now() + 5_000_000_000);
    let state = |sim: &Sim| sim.unit().volume(SECONDARY).unwrap().state;
    assert_eq!(state(&sim), VolumeState::Blocked);
    for round in 0..200 {
        write(&mut sim, 0, 48, round);
    }
    drop(sim);
    machine.drives[1].restore_power();
    let (mut sim, _) = machine.open();
    assert_eq!(state(&sim), VolumeState::Blocked);
    sim.unit().release_volume(SECONDARY, sim.now()).unwrap();
    assert_eq!(read(&mut sim, SECONDARY)[5 * 512..14 * 512], fill_blocks(7, 9)[..]);
    assert_eq!(read(&mut sim, PRIMARY), fill_blocks(199, 48));
}

/// The log's device takes nothing any more: whoever waits is told, nothing goes on in the background,
/// and what was answered comes back.
#[test]
fn a_unit_whose_log_has_failed_comes_to_rest() {
    for moment in 0..40_u64 {
        let machine = Machine::new();
        let mut sim = machine.create();
        write(&mut sim, 0, 48, 1);
        command(&mut sim, CommandCode::Create, PairOptions::default());
        command(&mut sim, CommandCode::Copy, PairOptions::default());
        assert_eq!(answer(&mut sim, HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
        let mut requests = Vec::new();
        for no in 0..60 {
            let data = fill_blocks(100 + no, 48);
            let op = HostOp::Write { ldev: PRIMARY, block: BlockNo(0), data };
            requests.push(sim.submit(sim.now(), op).unwrap());
        }
        sim.run_until(sim.now() + moment * 500_000);
        let done = |answers: &[Answered]| {
            answers.iter().filter(|answered| answered.reply == HostReply::Done).count() as u64
        };
        let before = sim.take_answers();
        machine.log.cut(|_| true);
        sim.run_to_end();
        assert_eq!((sim.open_requests(), sim.waiting_jobs(), sim.busy_jobs()), (0, 0, 0));
        let after = sim.take_answers();
        assert_eq!(before.len() + after.len(), requests.len());
        let done = done(&before) + done(&after);
        if before.len() < requests.len() {
            assert!(sim.unit().log_failure().is_some(), "moment {moment}");
        }
        drop(sim);
        machine.log.restore_power();
        let (mut sim, _) = machine.open();
        sim.run_until(sim.now() + 60_000_000_000);
        assert_eq!(status(&sim), Some(PairStatus::Copied), "moment {moment}");
        assert!(read(&mut sim, SECONDARY) == fill_blocks(1, 48), "moment {moment}");
        // They are carried out in turn: the last one that was answered is there, or a later one.
        let found = read(&mut sim, PRIMARY);
        let may_be = |no: u64| found == fill_blocks(if no == 0 { 1 } else { 99 + no }, 48);
        assert!((done..=60).any(may_be), "moment {moment}: {done} were answered");
    }
}
