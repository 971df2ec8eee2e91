//! A copy while hosts read and write, in virtual time: what each pace, and each limit, costs whom.
//!
//! Two drives, a primary on one and its secondary on the other, 640 tracks. The hosts read and write
//! 4 KiB at random places while the image is copied. A write to a track that is still to be copied has it
//! copied first (Fig. 9); a read waits at the drive if a lane is there. Fast copies end soon and use the
//! drives more, slow ones leave them to others; a limit says how much more, or how long hosts may wait.
//!
//! `cargo run --example copy_under_load -p diptych-sim`
#![allow(clippy::print_stdout, reason = "the table is what the example is for")]

use diptych_cha::{Command, CommandCode, HostOp};
use diptych_device::MemoryDrive;
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId, Time};
use diptych_shared::{Pace, PaceLimit, PairOptions, PairStatus};
use diptych_sim::{Answered, Driver, Sim, SimConfig, SplitMix64, fill_blocks};
use diptych_unit::{Plant, Unit, UnitConfig};
use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECONDARY: LdevId = LdevId::new(0, 1);
const TRACKS: u64 = 640;
const HOSTS: u64 = 4;
/// What a host thinks between an answer and its next request.
const THINK_NS: u64 = 10_000_000;

fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "pace    limit  copy took requests  mean wait   p99  before-write    primary   secondary"
    );
    println!(
        "                    (ms)                (us)  (us)        copies     (busy)      (busy)"
    );
    for pace in [Pace::SLOW, Pace::MEDIUM, Pace::FAST] {
        println!("{}", row(pace, None)?);
    }
    for limit in ["200/s", "300us", "2ms"] {
        println!("{}", row(Pace::FAST, Some(limit.parse()?))?);
    }
    Ok(())
}

fn row(pace: Pace, limit: Option<PaceLimit>) -> Result<String, Box<dyn Error>> {
    let mut sim = new_sim()?;
    let options = PairOptions { pace, limit, ..PairOptions::default() };
    let create = Command::new(CommandCode::Create, PRIMARY, SECONDARY).without_initial_copy();
    let copy = Command::new(CommandCode::Copy, PRIMARY, SECONDARY).with_options(options);
    for command in [create, copy] {
        sim.submit(sim.now(), HostOp::Command(command))?;
        let before = sim.stats().host_ops;
        while sim.stats().host_ops == before && sim.advance() {}
    }
    let (begun, before) = (sim.now(), sim.stats());
    let waits = Rc::new(RefCell::new(Vec::new()));
    for seed in 0..HOSTS {
        add_host(&mut sim, seed, waits.clone())?;
    }
    let copied =
        |unit: &Unit| unit.pair(PRIMARY, SECONDARY).map(|p| p.status) == Some(PairStatus::Copied);
    assert!(sim.wait_until(Time::MAX, &mut |unit| copied(unit)), "every copy ends");

    let took_ns = sim.now().ns_since(begun);
    let after = sim.stats();
    let busy = |no: usize| {
        let used = after.resources[no].busy_ns - before.resources[no].busy_ns;
        used as f64 / took_ns as f64 * 100.0
    };
    let pair = sim.unit().pair(PRIMARY, SECONDARY).expect("the pair just copied");
    let mut waits = waits.take();
    waits.sort_unstable();
    let mean_us = waits.iter().sum::<u64>() as f64 / waits.len().max(1) as f64 / 1e3;
    let p99_us = waits.get(waits.len() * 99 / 100).map_or(0.0, |ns| *ns as f64 / 1e3);
    let limit = limit.map_or_else(String::new, |limit| limit.to_string());
    Ok(format!(
        "{pace:<7} {limit:<6} {:>9.1} {:>8} {mean_us:>10.1} {p99_us:>5.0} {:>13} {:>9.1}% {:>10.1}%",
        took_ns as f64 / 1e6,
        waits.len(),
        pair.protected_tracks,
        busy(0),
        busy(1)
    ))
}

/// A unit whose primary is written, and destaged.
fn new_sim() -> Result<Sim, Box<dyn Error>> {
    let drive = || -> (u16, Box<dyn diptych_device::Device>) {
        (0, Box::new(MemoryDrive::new(TRACKS * 136)))
    };
    let plant = Plant::new(Drives::new(vec![drive(), drive()]));
    let unit = Unit::new(UnitConfig::with_cache(256, 64 << 10), &plant)?;
    for (group_no, ldev) in [PRIMARY, SECONDARY].into_iter().enumerate() {
        unit.add_volume(ldev, Geometry::with_tracks(128, TRACKS), group_no)?;
    }
    unit.set_reserved(SECONDARY, true, Time::ZERO)?;
    let mut sim = Sim::new(unit, plant, SimConfig::default());
    for track in 0..TRACKS {
        let data = fill_blocks(track, 128);
        sim.submit(sim.now(), HostOp::Write { ldev: PRIMARY, block: BlockNo(track * 128), data })?;
    }
    sim.submit(sim.now(), HostOp::Flush { ldev: PRIMARY })?;
    sim.run_to_end();
    sim.take_answers();
    Ok(sim)
}

fn add_host(sim: &mut Sim, seed: u64, waits: Rc<RefCell<Vec<u64>>>) -> Result<(), Box<dyn Error>> {
    let mut random = SplitMix64::new(seed);
    let host = move |now: Time, last: Option<&Answered>| {
        waits.borrow_mut().extend(last.map(Answered::latency_ns));
        let block = BlockNo(random.below(TRACKS * 16) * 8);
        let data = fill_blocks(random.next_u64(), 8);
        let at = now + THINK_NS / 2 + random.below(THINK_NS);
        let op = if random.flip() {
            HostOp::Write { ldev: PRIMARY, block, data }
        } else {
            HostOp::Read { ldev: PRIMARY, blocks: BlockRange::new(block, 8) }
        };
        Some((at, op))
    };
    Ok(sim.add_host(Box::new(host))?)
}
