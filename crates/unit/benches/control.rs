//! What the control of the unit costs: a 4 KiB write that hits the cache, and a track copied. The work
//! on the data itself (check codes, copying bytes) is measured alone, and taken off.
//!
//! `cargo bench -p diptych-unit --bench control [-- <rounds>]`
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

use bytes::Bytes;
use diptych_cha::{Command, CommandCode, HostOp};
use diptych_device::MemoryDrive;
use diptych_dka::Drives;
use diptych_drr::{Source, TrackPlace, data_codes, seal_blocks, transfer_by_reference};
use diptych_format::{
    BackingId, BlockNo, CheckArea, Generation, Geometry, LdevId, OwnerId, Step, Time,
};
use diptych_shared::{Pace, PairOptions, PairStatus};
use diptych_unit::{Job, Plant, Reply, Unit, UnitConfig};
use rustix::time::{ClockId, clock_gettime};
use std::hint::black_box;
use std::io::IoSlice;

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECONDARY: LdevId = LdevId::new(0, 1);
const TRACK_BYTES: usize = 48 << 10;
const TRACKS: u64 = 256;
const WRITES: u64 = 200_000;
/// Tracks that the writes go to: few enough that waiting for memory, which is the data's cost, does not
/// hide the control's.
const HOT_TRACKS: u64 = 8;

/// This thread's processor time in nanoseconds: what else the machine does is not counted.
fn cpu_ns() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 * 1e9 + now.tv_nsec as f64
}

/// The thinnest driver: turns one job to its end.
fn turn<O>(mut job: Job<O>, plant: &Plant) -> O {
    loop {
        match job.step(Time::ZERO) {
            Step::Done(reply) => {
                black_box(job.take_signals());
                return reply;
            }
            Step::Do(effects) => {
                let events = effects.into_iter().map(|effect| plant.perform(effect)).collect();
                job.answer(Reply::Events(events));
            }
            Step::Wait(wait) => unreachable!("nobody else is here: {wait:?}"),
        }
    }
}

struct Bench {
    unit: Unit,
    plant: Plant,
    owner: u64,
}

impl Bench {
    fn new() -> Self {
        let drive = || Box::new(MemoryDrive::new(1 << 20));
        let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
        let config = UnitConfig { copy_rest_ns: 0, ..UnitConfig::with_cache(1024, TRACK_BYTES) };
        let unit = Unit::new(config, &plant).expect("a unit");
        let geometry = Geometry::with_tracks(96, TRACKS);
        for (ldev, group_no) in [(PRIMARY, 0), (SECONDARY, 1)] {
            unit.add_volume(ldev, geometry, group_no).expect("a volume");
        }
        unit.set_reserved(SECONDARY, true, Time::ZERO).expect("a volume without pair");
        Self { unit, plant, owner: 0 }
    }

    fn host(&mut self, op: HostOp) {
        self.owner += 1;
        black_box(turn(self.unit.job(OwnerId(self.owner), op), &self.plant));
    }

    fn background(&mut self) {
        let mut owner = self.owner;
        let due = self.unit.due(Time::ZERO, || {
            owner += 1;
            OwnerId(owner)
        });
        self.owner = owner;
        assert!(due.wakes.is_empty(), "nobody waits");
        for job in due.jobs {
            turn(job, &self.plant);
        }
    }

    fn write(&mut self, block: u64, data: &Bytes) {
        let (block, data) = (BlockNo(block), data.clone());
        self.host(HostOp::Write { ldev: PRIMARY, block, data });
    }

    fn command(&mut self, code: CommandCode) {
        let options = PairOptions { pace: Pace::FAST, ..PairOptions::default() };
        let command = Command::new(code, PRIMARY, SECONDARY).with_options(options);
        self.host(HostOp::Command(command));
    }
}

/// Nanoseconds a write takes, and the share of the data work.
fn writes(bench: &mut Bench) -> (f64, f64) {
    let data = Bytes::from_static(&[7; 4096]);
    let blocks = |n: u64| n * 7919 % (HOT_TRACKS * 12) * 8;
    let started = cpu_ns();
    for n in 0..WRITES {
        bench.write(blocks(n), &data);
    }
    let all = (cpu_ns() - started) / WRITES as f64;

    let mut tracks: Vec<_> =
        (0..HOT_TRACKS).map(|_| (vec![1_u8; TRACK_BYTES], CheckArea::zeroed(96))).collect();
    let mut codes = Vec::new();
    let started = cpu_ns();
    for n in 0..WRITES {
        codes.clear();
        data_codes(&data, &mut codes);
        let block = blocks(n);
        let (track, index) = (block / 96, block % 96);
        let (bytes, checks) = &mut tracks[track as usize];
        bytes[index as usize * 512..][..4096].copy_from_slice(&data);
        let place = place(BackingId(1), track);
        seal_blocks(&codes, place, index, Generation(n), checks);
    }
    black_box(&tracks);
    (all, (cpu_ns() - started) / WRITES as f64)
}

fn place(backing: BackingId, track: u64) -> TrackPlace {
    TrackPlace { backing, first_block: BlockNo(track * 96), block_count: 96 }
}

/// Nanoseconds a track copied takes, and the share of the data work.
fn copies(bench: &mut Bench) -> (f64, f64) {
    bench.command(CommandCode::Create);
    bench.command(CommandCode::Copy);
    let started = cpu_ns();
    while bench.unit.pair(PRIMARY, SECONDARY).expect("a pair").status != PairStatus::Copied {
        bench.background();
    }
    let all = (cpu_ns() - started) / TRACKS as f64;
    bench.command(CommandCode::Delete);
    (all, copy_data_work(bench))
}

/// The transfer of each track, and its write to a memory drive.
fn copy_data_work(bench: &Bench) -> f64 {
    use diptych_device::Device;
    let backing = bench.unit.volume(PRIMARY).expect("the primary").backing;
    let home = bench.unit.home(backing).expect("its place");
    let target = MemoryDrive::new(1 << 20);
    let mut codes = Vec::new();
    let tracks: Vec<_> = (0..TRACKS)
        .map(|track| {
            let (data, mut checks) = (vec![3_u8; TRACK_BYTES], CheckArea::zeroed(96));
            codes.clear();
            data_codes(&data, &mut codes);
            seal_blocks(&codes, place(backing, track), 0, Generation(1), &mut checks);
            (data, checks)
        })
        .collect();
    let pass = || {
        for (track, (data, checks)) in (0..).zip(&tracks) {
            let from = Source { data, checks, place: place(backing, track) };
            let mut areas = [CheckArea::zeroed(96)];
            transfer_by_reference(from, &[BackingId(9)], &mut areas).expect("a right track");
            let bufs = [IoSlice::new(data), IoSlice::new(areas[0].as_bytes())];
            let at = home.place(diptych_format::TrackNo(track)).data;
            target.write_at(at, &bufs).expect("a memory drive takes it");
        }
    };
    pass(); // the drive takes its memory
    let started = cpu_ns();
    pass();
    (cpu_ns() - started) / TRACKS as f64
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(what: &str, rounds: &[(f64, f64)], wanted_ns: f64) {
    let all = median(rounds.iter().map(|r| r.0).collect());
    let data = median(rounds.iter().map(|r| r.1).collect());
    let control = median(rounds.iter().map(|r| r.0 - r.1).collect());
    let met = if control <= wanted_ns { "yes" } else { "no" };
    println!(
        "bench|{what}|{control:.0} ns control of {all:.0} ns|{data:.0} ns data work alone|{:.2}|<= {wanted_ns:.0} ns|{met}",
        control / data
    );
}

fn main() {
    let rounds =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(9_usize);
    let mut bench = Bench::new();
    let whole = Bytes::from(vec![3; TRACK_BYTES]);
    for track in 0..TRACKS {
        bench.write(track * 96, &whole);
    }
    let hits: Vec<_> = (0..rounds).map(|_| writes(&mut bench)).collect();
    row("4 KiB cache-hit write, memory drives", &hits, 300.0);
    let tracks: Vec<_> = (0..rounds).map(|_| copies(&mut bench)).collect();
    row("48 KiB track copied, source in cache, memory drives", &tracks, 1000.0);
}
