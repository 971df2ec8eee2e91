//! Host writes a second of wall time, in virtual time.
//!
//! Eight hosts write 4 KiB each to random places of volumes without payload: maps, claims and
//! statuses are the real ones. Half of the volumes' writes go to a primary whose pair follows it
//! (802), so each may mark a track, wake a lane and have it copied; half go to a volume without a
//! pair. The yardstick is the unit alone: the same jobs turned by hand, without events or time.
//!
//! `cargo bench -p diptych-sim`
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

use bytes::Bytes;
use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_dka::Drives;
use diptych_format::{BlockNo, Geometry, LdevId, OwnerId, Step, Time};
use diptych_shared::PairStatus;
use diptych_sim::{Answered, Sim, SimConfig, SplitMix64};
use diptych_unit::{Plant, Unit, UnitConfig};
use std::hint::black_box;
use std::time::Instant;

const HOSTS: u64 = 8;
const TRACKS: u64 = 1 << 16;
const BLOCKS: u64 = 8;
const ROUNDS: usize = 5;
const WANTED: f64 = 1e6;

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECONDARY: LdevId = LdevId::new(0, 1);
const PLAIN: LdevId = LdevId::new(0, 2);

fn new_sim() -> Sim {
    let plant = Plant::new(Drives::new(Vec::new()));
    let config = UnitConfig { needs_reserve: false, ..UnitConfig::with_cache(1 << 10, 64 << 10) };
    let unit = Unit::new(config, &plant).expect("a valid size");
    for ldev in [PRIMARY, SECONDARY, PLAIN] {
        let geometry = Geometry::with_tracks(128, TRACKS);
        unit.add_metadata_volume(ldev, geometry).expect("a new volume");
    }
    let mut sim = Sim::new(unit, plant, SimConfig::default());
    let create = Command::new(CommandCode::Create, PRIMARY, SECONDARY);
    sim.submit(Time::ZERO, HostOp::Command(create)).expect("one request");
    // The initial copy, all of it.
    sim.run_to_end();
    let answers = sim.take_answers();
    let reply = &answers[0].reply;
    assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
    let pair = sim.unit().pair(PRIMARY, SECONDARY).expect("just created");
    assert_eq!((pair.status, pair.c.count()), (PairStatus::PairedNotCopied, 0));
    sim
}

/// Random 4 KiB writes to one of these volumes.
struct Writes {
    random: SplitMix64,
    data: Bytes,
    ldevs: Vec<LdevId>,
}

impl Writes {
    fn new(seed: u64, ldevs: &[LdevId]) -> Self {
        let data = Bytes::from_static(&[7; BLOCKS as usize * 512]);
        Self { random: SplitMix64::new(seed), data, ldevs: ldevs.to_vec() }
    }

    fn next(&mut self) -> HostOp {
        let ldev = self.ldevs[self.random.below(self.ldevs.len() as u64) as usize];
        let block = BlockNo(self.random.below(TRACKS * 128 / BLOCKS) * BLOCKS);
        HostOp::Write { ldev, block, data: self.data.clone() }
    }
}

/// Writes a second through the driver.
fn by_driver(ldevs: &[LdevId], writes: u64) -> f64 {
    let mut sim = new_sim();
    let before = sim.stats().host_ops;
    for seed in 0..HOSTS {
        let mut left = writes / HOSTS;
        let mut next = Writes::new(seed, ldevs);
        let host = move |now: Time, last: Option<&Answered>| {
            debug_assert!(last.is_none_or(|answered| answered.reply == HostReply::Done));
            left = left.checked_sub(1)?;
            Some((now, next.next()))
        };
        sim.add_host(Box::new(host)).expect("eight hosts");
    }
    let begun = Instant::now();
    sim.run_to_end();
    let seconds = begun.elapsed().as_secs_f64();
    assert_eq!(sim.stats().host_ops - before, writes / HOSTS * HOSTS, "every write is answered");
    assert_eq!((sim.waiting_jobs(), sim.open_requests()), (0, 0), "nobody waits");
    writes as f64 / seconds
}

/// Writes a second turned by hand.
fn by_hand(ldevs: &[LdevId], writes: u64) -> f64 {
    let sim = new_sim();
    let unit = sim.unit();
    let mut next = Writes::new(0, ldevs);
    let begun = Instant::now();
    for owner in 0..writes {
        let mut job = unit.job(OwnerId((1 << 40) + owner), next.next());
        match job.step(sim.now()) {
            Step::Done(reply) => drop(black_box(reply)),
            other => panic!("nobody is in the way: {other:?}"),
        }
        black_box(job.take_signals());
    }
    writes as f64 / begun.elapsed().as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    // `cargo test --benches` gives no `--bench`: a short run shows that it works.
    let writes = if arguments.iter().any(|a| a == "--bench") { 1_000_000 } else { 8_000 };
    let rows: [(&str, &[LdevId]); 3] = [
        ("a primary in 802 and a volume without pair", &[PRIMARY, PLAIN]),
        ("a primary in 802", &[PRIMARY]),
        ("a volume without pair", &[PLAIN]),
    ];
    println!("# {HOSTS} hosts, {writes} random writes of 4 KiB, median of {ROUNDS} rounds");
    for (what, ldevs) in rows {
        let (mut driven, mut alone) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            driven.push(by_driver(ldevs, writes));
            alone.push(by_hand(ldevs, writes));
        }
        let (driven, alone) = (median(driven), median(alone));
        println!(
            "bench|4 KiB host writes in virtual time, {what}|{:.2} M/s|{:.2} M/s unit alone|{:.2}|>= {:.0} M/s|{}",
            driven / 1e6,
            alone / 1e6,
            driven / alone,
            WANTED / 1e6,
            if driven >= WANTED { "yes" } else { "no" }
        );
    }
}
