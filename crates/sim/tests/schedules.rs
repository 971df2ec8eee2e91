//! Schedules in virtual time: images of a volume that a host goes on writing, and years of nights.
#![allow(missing_docs)] // a test program has no public items

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId, Time};
use diptych_shared::{Pace, PairOptions};
use diptych_sim::{Answered, Driver, Sim, SimConfig, fill_blocks};
use diptych_unit::{Plant, Rotation, Schedule, ScheduleId, Scope, Unit, UnitConfig, Utc, When};
use std::num::NonZeroU32;

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECOND: u64 = 1_000_000_000;
/// Blocks of a volume that is written.
const BLOCKS: u64 = 12;
/// From one write to the next, and a little more.
const WRITE_NS: u64 = 7_000_003;

fn secondary(no: u8) -> LdevId {
    LdevId::new(1, no)
}

/// A primary and its secondaries, with payload or of maps alone, all pairs caught up.
fn sim(secondaries: u8, geometry: Geometry, payload: bool, seed: u64) -> Sim {
    let drive =
        |no: u16| -> (u16, Box<dyn Device>) { (no % 2, Box::new(MemoryDrive::new(1 << 14))) };
    let plant = Plant::new(Drives::new((0..=secondaries.into()).map(drive).collect()));
    let mut config = UnitConfig::with_cache(256, geometry.track_bytes());
    config.needs_reserve = false;
    let unit = Unit::new(config, &plant).unwrap();
    for no in 0..=secondaries {
        let ldev = if no == 0 { PRIMARY } else { secondary(no) };
        if payload {
            unit.add_volume(ldev, geometry, no.into()).unwrap();
        } else {
            unit.add_metadata_volume(ldev, geometry).unwrap();
        }
    }
    let mut sim = Sim::new(unit, plant, SimConfig { seed, ..SimConfig::default() });
    for no in 1..=secondaries {
        let options = PairOptions { pace: Pace::FAST, ..PairOptions::default() };
        let create = Command::new(CommandCode::Create, PRIMARY, secondary(no));
        let request = sim.start(HostOp::Command(create.with_options(options))).unwrap();
        let reply = sim.finish(request).unwrap();
        assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
    }
    sim
}

fn add(sim: &mut Sim, secondaries: u8, images: usize, when: When) -> ScheduleId {
    let secondaries = (1..=secondaries).map(secondary).collect();
    let scope = Scope::Rotation(Rotation { primary: PRIMARY, secondaries, images });
    let id = sim.unit().add_schedule(Schedule::new(scope, when), sim.now()).unwrap();
    sim.ask_due();
    id
}

/// The blocks after so many writes: write `n`, from 1, is that of block `n % BLOCKS`.
fn after(writes: u64) -> Vec<u8> {
    let last =
        |block: u64| (writes.saturating_sub(BLOCKS - 1)..=writes).find(|n| n % BLOCKS == block);
    let content = |block| match last(block) {
        None | Some(0) => vec![0; 512],
        Some(write) => fill_blocks(write, 1).to_vec(),
    };
    (0..BLOCKS).flat_map(content).collect()
}

/// Every image is the primary after some of the writes, all up to one of them and none later.
#[test]
fn images_under_a_host_that_goes_on_writing() {
    for seed in 1..=8 {
        let mut sim = sim(3, Geometry::with_tracks(2, BLOCKS / 2), true, seed);
        let when = When::Every { from: Utc::from_seconds(1), seconds: NonZeroU32::MIN };
        let id = add(&mut sim, 3, 2, when);
        let mut count = 0;
        sim.add_host(Box::new(move |now: Time, last: Option<&Answered>| {
            assert!(last.is_none_or(|answered| answered.reply == HostReply::Done));
            count += 1;
            let (block, data) = (BlockNo(count % BLOCKS), fill_blocks(count, 1));
            Some((now + WRITE_NS, HostOp::Write { ldev: PRIMARY, block, data }))
        }))
        .unwrap();
        let mut newest = 0;
        for tick in 1..=10_u64 {
            sim.run_until(Time::from_ns(tick * SECOND + SECOND / 2));
            let series = sim.unit().images_of_schedule(id).unwrap();
            assert_eq!(series.len() as u64, tick.min(3));
            let image = series.last().unwrap();
            assert!(image.complete && image.at.ns / SECOND == tick, "{image:?}");
            let blocks = BlockRange::new(BlockNo(0), BLOCKS);
            let request = sim.start(HostOp::Read { ldev: image.secondary, blocks }).unwrap();
            let HostReply::Data(data) = sim.finish(request).unwrap() else { panic!("an image") };
            let writes = (newest..=tick * SECOND / WRITE_NS + 1).find(|n| *data == after(*n));
            newest = writes.expect("the image is the primary after some of the writes");
        }
        assert!(newest > 1_000, "the host wrote all the time: {newest} writes");
    }
}

#[test]
fn ten_years_of_nights() {
    let mut sim = sim(8, Geometry::with_tracks(1, 100), false, 1);
    let id = add(&mut sim, 8, 7, When::Cron("0 2 * * *".parse().unwrap()));
    sim.run_until(Time::from_ns(3_652 * 24 * 3_600 * SECOND));
    let nights: Vec<String> = sim
        .unit()
        .images_of_schedule(id)
        .unwrap()
        .iter()
        .map(|image| image.utc.to_string())
        .collect();
    insta::assert_snapshot!(nights.join("\n"), @"
    1979-12-24T02:00:00Z
    1979-12-25T02:00:00Z
    1979-12-26T02:00:00Z
    1979-12-27T02:00:00Z
    1979-12-28T02:00:00Z
    1979-12-29T02:00:00Z
    1979-12-30T02:00:00Z
    1979-12-31T02:00:00Z
    ");
}
