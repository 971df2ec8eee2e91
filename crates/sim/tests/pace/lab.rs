//! A primary on one drive, its secondary on another, and hosts on the primary.

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId, Time};
use diptych_shared::{Pair, PairOptions, PairStatus};
use diptych_sim::{Answered, Costs, Driver, Sim, SimConfig, SplitMix64, fill_blocks};
use diptych_unit::{CopySpeed, Plant, Unit, UnitConfig};
use std::cell::RefCell;
use std::rc::Rc;

pub(crate) const PRIMARY: LdevId = LdevId::new(0, 0);
pub(crate) const SECONDARY: LdevId = LdevId::new(0, 1);
pub(crate) const MS: u64 = 1_000_000;
pub(crate) const SECOND: u64 = 1_000 * MS;
const BLOCKS_PER_TRACK: u64 = 8;
const TRACK_BYTES: usize = 8 * 512;
/// From one track to the next on a drive: eight sectors of data, and the check area up to a page.
const STRIDE_SECTORS: u64 = 16;
const SLOTS: usize = 64;

/// What hosts do all the time, each one request after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Load {
    pub(crate) hosts: u64,
    /// The mean time from an answer to the next request.
    pub(crate) think_ns: u64,
    /// How many of 100 requests are writes.
    pub(crate) write_percent: u64,
}

impl Load {
    pub(crate) const fn reads(hosts: u64, think_ns: u64) -> Self {
        Self { hosts, think_ns, write_percent: 0 }
    }
}

/// How long hosts waited for their answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Latency {
    pub(crate) requests: u64,
    pub(crate) mean_ns: u64,
    pub(crate) p99_ns: u64,
}

impl Latency {
    fn of(mut waits: Vec<u64>) -> Self {
        waits.sort_unstable();
        let requests = waits.len() as u64;
        let mean_ns = waits.iter().sum::<u64>().checked_div(requests).unwrap_or(0);
        let p99_ns = waits.get(waits.len() * 99 / 100).copied().unwrap_or(0);
        Self { requests, mean_ns, p99_ns }
    }
}

/// See the module.
pub(crate) struct Lab {
    pub(crate) sim: Sim,
    pub(crate) tracks: u64,
    /// When each answer came, and how long the host had waited for it.
    answers: Rc<RefCell<Vec<(Time, u64)>>>,
    /// Hosts go home when this is reached.
    until: Rc<RefCell<Time>>,
}

impl Lab {
    /// A primary that is written whole, and nothing dirty. A track takes about as long to read or to
    /// write as one of 64 KiB does.
    pub(crate) fn new(tracks: u64, change: impl FnOnce(&mut UnitConfig)) -> Self {
        let drive = || -> (u16, Box<dyn Device>) {
            (0, Box::new(MemoryDrive::new(tracks * STRIDE_SECTORS)))
        };
        let plant = Plant::new(Drives::new(vec![drive(), drive()]));
        let mut config = UnitConfig::with_cache(SLOTS, TRACK_BYTES);
        config.needs_reserve = false;
        change(&mut config);
        let unit = Unit::new(config, &plant).unwrap();
        let geometry = Geometry::with_tracks(BLOCKS_PER_TRACK, tracks);
        for (group_no, ldev) in [PRIMARY, SECONDARY].into_iter().enumerate() {
            unit.add_volume(ldev, geometry, group_no).unwrap();
        }
        let costs = Costs { drive_request_ns: 500_000, ..Costs::default() };
        let sim = Sim::new(unit, plant, SimConfig { costs, ..SimConfig::default() });
        let (answers, until) = (Rc::default(), Rc::new(RefCell::new(Time::MAX)));
        let mut lab = Self { sim, tracks, answers, until };
        for track in 0..tracks {
            let data = fill_blocks(track, BLOCKS_PER_TRACK);
            let block = BlockNo(track * BLOCKS_PER_TRACK);
            let done = lab.ask(HostOp::Write { ldev: PRIMARY, block, data });
            assert_eq!(done, HostReply::Done);
        }
        assert_eq!(lab.ask(HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
        lab
    }

    pub(crate) fn ask(&mut self, op: HostOp) -> HostReply {
        let request = self.sim.start(op).unwrap();
        self.sim.finish(request).unwrap()
    }

    fn command(&mut self, command: Command) {
        let reply = self.ask(HostOp::Command(command));
        assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
    }

    /// Hosts come and stay; the same ones for the same load.
    pub(crate) fn hosts(&mut self, load: Load) {
        *self.until.borrow_mut() = Time::MAX;
        for seed in 0..load.hosts {
            let (answers, until) = (self.answers.clone(), self.until.clone());
            let (mut random, tracks) = (SplitMix64::new(seed), self.tracks);
            let host = move |now: Time, last: Option<&Answered>| {
                answers.borrow_mut().extend(last.map(|answered| (now, answered.latency_ns())));
                if now >= *until.borrow() {
                    return None;
                }
                let block = BlockNo(random.below(tracks * BLOCKS_PER_TRACK));
                let write = random.below(100) < load.write_percent;
                let at = now + load.think_ns / 2 + random.below(load.think_ns + 1);
                let op = if write {
                    let data = fill_blocks(random.next_u64(), 1);
                    HostOp::Write { ldev: PRIMARY, block, data }
                } else {
                    HostOp::Read { ldev: PRIMARY, blocks: BlockRange::new(block, 1) }
                };
                Some((at, op))
            };
            self.sim.add_host(Box::new(host)).unwrap();
        }
    }

    /// The hosts go, each with its next answer.
    pub(crate) fn hosts_go(&mut self) {
        *self.until.borrow_mut() = self.sim.now();
    }

    /// An image from now on: 803.
    pub(crate) fn copy(&mut self, options: PairOptions) {
        let of = |code| Command::new(code, PRIMARY, SECONDARY);
        self.command(of(CommandCode::Create).without_initial_copy());
        self.command(of(CommandCode::Copy).with_options(options));
    }

    pub(crate) fn pair(&self) -> Pair {
        self.sim.unit().pair(PRIMARY, SECONDARY).expect("the pair")
    }

    pub(crate) fn copied_tracks(&self) -> u64 {
        let pair = self.pair();
        pair.copied_tracks - pair.protected_tracks
    }

    pub(crate) fn is_copied(&self) -> bool {
        self.pair().status == PairStatus::Copied
    }

    /// Lets the copy end. How long it took from now.
    pub(crate) fn finish(&mut self, at_most_ns: u64) -> u64 {
        let begun = self.sim.now();
        let copied = |unit: &Unit| {
            unit.pair(PRIMARY, SECONDARY).is_some_and(|pair| pair.status == PairStatus::Copied)
        };
        while !copied(self.sim.unit()) {
            assert!(self.sim.advance(), "something is under way");
            let took_ns = self.sim.now().ns_since(begun);
            assert!(took_ns <= at_most_ns, "{took_ns} ns, and not copied: {:?}", self.speed());
        }
        self.sim.now().ns_since(begun)
    }

    pub(crate) fn pass(&mut self, ns: u64) {
        self.sim.run_until(self.sim.now() + ns);
    }

    pub(crate) fn speed(&self) -> CopySpeed {
        let speed = self.sim.unit().copy_speed(PRIMARY, SECONDARY, self.sim.now());
        speed.expect("it is to be copied")
    }

    /// What holds the copy back now, in a word.
    pub(crate) fn held_by(&self) -> String {
        let speed = self.sim.unit().copy_speed(PRIMARY, SECONDARY, self.sim.now());
        speed.map_or_else(String::new, |speed| speed.held_by.to_string())
    }

    /// How long hosts waited for answers that came since `from`.
    pub(crate) fn latency_since(&self, from: Time) -> Latency {
        let answers = self.answers.borrow();
        let since = answers.iter().filter(|(at, _)| *at >= from);
        Latency::of(since.map(|(_, wait_ns)| *wait_ns).collect())
    }
}

/// How long the same hosts wait when nothing is copied.
pub(crate) fn alone(tracks: u64, load: Load, ns: u64) -> Latency {
    let mut lab = Lab::new(tracks, |_| ());
    lab.hosts(load);
    lab.pass(SECOND);
    let from = lab.sim.now();
    lab.pass(ns);
    lab.latency_since(from)
}
