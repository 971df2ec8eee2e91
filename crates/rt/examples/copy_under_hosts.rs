//! Hosts on threads write a volume, while it is copied and while it is not: what they notice.
//!
//! Each host writes 4 KiB to random places of the primary, one request after the other. The pair's
//! copy command comes in the middle; the copier, and the copies that writes need first (Fig. 9), are
//! at work in the second row only. The secondary holds what was there at the command.
//!
//! `cargo run --release -p diptych-rt --example copy_under_hosts`
#![allow(clippy::print_stdout, reason = "the table is what the example is for")]

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::{Drives, Groups};
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId};
use diptych_rt::{Rt, RtConfig};
use diptych_shared::{Pace, PairOptions, PairStatus};
use diptych_sync::{Arc, Mutex, thread};
use diptych_unit::{Plant, Unit, UnitConfig};
use std::error::Error;
use std::time::{Duration, Instant};

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECONDARY: LdevId = LdevId::new(0, 1);
const BLOCKS: u64 = 128;
const TRACKS: u64 = 1024;
const HOSTS: u64 = 3;
/// What a host does between an answer and its next request.
const THINK: Duration = Duration::from_micros(300);
const REST: Duration = Duration::from_millis(200);

/// What the hosts have noticed, by phase.
#[derive(Default)]
struct Noticed {
    phase: usize,
    is_over: bool,
    latencies_ns: [Vec<u64>; 3],
}

fn main() -> Result<(), Box<dyn Error>> {
    let rt = new_unit()?;
    for track in 0..TRACKS {
        write(&rt, track * BLOCKS, BLOCKS, b'a');
    }
    let noticed: Arc<Mutex<Noticed>> = Arc::default();
    let host = |seed| {
        let (rt, noticed) = (rt.clone(), noticed.clone());
        thread::spawn(move || be_host(&rt, &noticed, seed))
    };
    let hosts: Vec<_> = (0..HOSTS).map(host).collect();
    thread::sleep(REST);

    let create = Command::new(CommandCode::Create, PRIMARY, SECONDARY).without_initial_copy();
    command(&rt, create);
    let options = PairOptions { pace: Pace::MEDIUM, ..PairOptions::default() };
    write(&rt, 0, 1, b'b');
    noticed.lock().phase = 1;
    let begun = Instant::now();
    command(&rt, Command::new(CommandCode::Copy, PRIMARY, SECONDARY).with_options(options));
    // Too late for the image.
    write(&rt, 0, 1, b'c');
    let pair = || rt.unit().pair(PRIMARY, SECONDARY).expect("it was created");
    while pair().status != PairStatus::Copied {
        thread::sleep(Duration::from_millis(1));
    }
    let took = begun.elapsed();
    noticed.lock().phase = 2;
    thread::sleep(REST);
    noticed.lock().is_over = true;
    for host in hosts {
        host.join().map_err(|_| "a host has panicked")?;
    }

    say_latencies(&noticed.lock());
    let pair = pair();
    let (protected, background) =
        (pair.protected_tracks, pair.copied_tracks - pair.protected_tracks);
    println!("copied {TRACKS} tracks in {} ms: {background} by the lane,", took.as_millis());
    println!("{protected} before a host's write; {} differ again by now", pair.dp.count());
    let on = |ldev| char::from(read(&rt, ldev));
    println!("block 0: {} on the primary, {} on the secondary", on(PRIMARY), on(SECONDARY));
    assert_eq!(rt.execute(HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
    rt.stop();
    Ok(())
}

/// Each volume on a drive of its own, all of it in memory; the cache has room for a quarter of one.
fn new_unit() -> Result<Rt, Box<dyn Error>> {
    let geometry = Geometry::with_tracks(BLOCKS, TRACKS);
    let sectors = Groups::sectors_for(geometry);
    let drive = || -> Box<dyn Device> { Box::new(MemoryDrive::new(sectors)) };
    let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
    let config = UnitConfig {
        needs_reserve: false,
        ..UnitConfig::with_cache(TRACKS as usize / 4, BLOCKS as usize * 512)
    };
    let unit = Unit::new(config, &plant)?;
    for (group_no, ldev) in [PRIMARY, SECONDARY].into_iter().enumerate() {
        unit.add_volume(ldev, geometry, group_no)?;
    }
    Ok(Rt::start(unit, plant, RtConfig::default())?)
}

/// Writes one place after the other, but for track 0, until it is over.
fn be_host(rt: &Rt, noticed: &Mutex<Noticed>, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    while !noticed.lock().is_over {
        let block = random.u64(BLOCKS / 8..TRACKS * BLOCKS / 8) * 8;
        let begun = Instant::now();
        write(rt, block, 8, random.u8(..));
        let took_ns = begun.elapsed().as_nanos() as u64;
        let mut noticed = noticed.lock();
        let phase = noticed.phase;
        noticed.latencies_ns[phase].push(took_ns);
        drop(noticed);
        thread::sleep(THINK);
    }
}

fn write(rt: &Rt, block: u64, blocks: u64, byte: u8) {
    let data = vec![byte; blocks as usize * 512].into();
    let reply = rt.execute(HostOp::Write { ldev: PRIMARY, block: BlockNo(block), data });
    assert_eq!(reply, HostReply::Done);
}

/// The first byte of a volume.
fn read(rt: &Rt, ldev: LdevId) -> u8 {
    match rt.execute(HostOp::Read { ldev, blocks: BlockRange::one(BlockNo(0)) }) {
        HostReply::Data(data) => data[0],
        other => panic!("{other:?}"),
    }
}

fn command(rt: &Rt, command: Command) {
    let reply = rt.execute(HostOp::Command(command));
    assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
}

fn say_latencies(noticed: &Noticed) {
    println!("{HOSTS} hosts, 4 KiB writes  writes  median (us)  99 % (us)  longest (us)");
    for (phase, latencies_ns) in
        ["before", "during the copy", "after"].iter().zip(&noticed.latencies_ns)
    {
        let mut sorted = latencies_ns.clone();
        sorted.sort_unstable();
        let us = |percent: usize| {
            let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
            sorted.get(at).copied().unwrap_or_default() as f64 / 1e3
        };
        let count = sorted.len();
        println!("{phase:<22} {count:>7} {:>12.1} {:>10.1} {:>13.1}", us(50), us(99), us(100));
    }
}
