//! A control unit turned by hand: every question of every job, and who answers it.
//!
//! A driver does no more than this, on threads (`diptych-rt`) or in virtual time (`diptych-sim`). Here
//! it is one thread that takes the jobs step by step: a host's write, the copy command, the turn of a
//! lane, a write that meets the lane, one that meets a track still to be copied, and a destage.
//!
//! `cargo run -p diptych-unit --example turned_by_hand`
#![allow(clippy::print_stdout, reason = "the steps are what the example is for")]

use diptych_cha::{Command, CommandCode, HostOp, HostReply};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{Answer, BlockNo, Geometry, LdevId, OwnerId, Step, Time, Wait};
use diptych_shared::{Pace, PairOptions};
use diptych_unit::{Effect, Job, Plant, Reply, Unit, UnitConfig, Wakes};
use std::error::Error;
use std::fmt::Debug;

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECONDARY: LdevId = LdevId::new(0, 1);
const BLOCKS: u64 = 128;
const TRACKS: u64 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let mut hand = Hand::new()?;
    println!("A host writes three tracks. The cache takes them: device end at once.");
    let mut all = hand.host("host", write(0, TRACKS * BLOCKS));
    hand.finish(&mut all);

    println!("\nA flush waits until what was dirty is on the drive. Destages see to that.");
    let mut flush = hand.host("flush", HostOp::Flush { ldev: PRIMARY });
    hand.turn(&mut flush);
    let woken = hand.background("destage");
    hand.wake(&woken, &mut flush);
    hand.finish(&mut flush);

    println!("\nA pair, and the copy command: the image is the primary now. No data is moved.");
    let options = PairOptions { pace: Pace::FAST, ..PairOptions::default() };
    let create = Command::new(CommandCode::Create, PRIMARY, SECONDARY).without_initial_copy();
    let copy = Command::new(CommandCode::Copy, PRIMARY, SECONDARY).with_options(options);
    for command in [create, copy] {
        let mut job = hand.host(command.code.name(), HostOp::Command(command));
        hand.finish(&mut job);
    }
    hand.say_pair();

    println!("\nA lane's turn (Fig. 6) begins with track 0, and holds its claim.");
    let mut lane = hand.due("lane").remove(0);
    hand.turn(&mut lane);

    println!("\nA host writes that track: it waits for the claim.");
    let mut meets_lane = hand.host("host A", write(0, 8));
    hand.turn(&mut meets_lane);

    println!(
        "\nA host writes track 2, still to be copied: the old track is copied first (Fig. 9)."
    );
    let mut protects = hand.host("host B", write(2, 8));
    hand.finish(&mut protects);
    hand.say_pair();

    println!("\nThe lane goes on. When it gives back track 0, host A has it.");
    loop {
        let (has_ended, woken) = hand.turn(&mut lane);
        if hand.wake(&woken, &mut meets_lane) {
            hand.finish(&mut meets_lane);
        }
        if has_ended {
            break;
        }
    }
    hand.say_pair();

    println!("\nThe next lane finds nothing. What is dirty stays in the cache for a while.");
    hand.background("lane");
    hand.rest();
    hand.background("destage");
    println!("dirty slots left: {}", hand.unit.cache_counts().dirty_slots);
    Ok(())
}

fn write(track: u64, blocks: u64) -> HostOp {
    let data = vec![7; blocks as usize * 512].into();
    HostOp::Write { ldev: PRIMARY, block: BlockNo(track * BLOCKS), data }
}

/// A job, and what to call it.
struct Named<O> {
    name: String,
    job: Job<O>,
    waits: bool,
}

/// The driver: all that it needs.
struct Hand {
    unit: Unit,
    plant: Plant,
    now: Time,
    /// When the unit wants to be asked again.
    deadline: Option<Time>,
    last_owner: u64,
}

impl Hand {
    /// The primary on a drive of disk adapter 0, the secondary on one of disk adapter 1.
    fn new() -> Result<Self, Box<dyn Error>> {
        let drive = || -> Box<dyn Device> { Box::new(MemoryDrive::new(1 << 10)) };
        let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
        let config = UnitConfig { needs_reserve: false, ..UnitConfig::with_cache(32, 64 << 10) };
        let unit = Unit::new(config, &plant)?;
        for (group_no, ldev) in [PRIMARY, SECONDARY].into_iter().enumerate() {
            unit.add_volume(ldev, Geometry::with_tracks(BLOCKS, TRACKS), group_no)?;
        }
        Ok(Self { unit, plant, now: Time::ZERO, deadline: None, last_owner: 0 })
    }

    fn next_owner(&mut self) -> OwnerId {
        self.last_owner += 1;
        OwnerId(self.last_owner)
    }

    /// The job of a host operation.
    fn host(&mut self, name: &str, op: HostOp) -> Named<HostReply> {
        let owner = self.next_owner();
        Named { name: name.to_owned(), job: self.unit.job(owner, op), waits: false }
    }

    /// The jobs that are due.
    fn due(&mut self, name: &str) -> Vec<Named<()>> {
        let (unit, now) = (self.unit.clone(), self.now);
        let due = unit.due(now, || self.next_owner());
        self.deadline = due.next;
        assert!(due.wakes.is_empty(), "nobody waits for as long as that");
        let named = |job| Named { name: name.to_owned(), job, waits: false };
        due.jobs.into_iter().map(named).collect()
    }

    /// Lets the time come at which the unit wants to be asked again.
    fn rest(&mut self) {
        if let Some(deadline) = self.deadline.take() {
            let rest_ns = deadline.ns_since(self.now);
            println!("         the driver rests for {} ms", rest_ns / 1_000_000);
            self.now = deadline;
        }
    }

    /// One step of a job, and what it asks for is done. Whether that was its end, and whom it wakes.
    fn turn<O: Debug>(&mut self, named: &mut Named<O>) -> (bool, Wakes) {
        let (name, job) = (&named.name, &mut named.job);
        assert!(!named.waits, "a job that waits is not turned");
        let step = job.step(self.now);
        let (wakes, kick) = job.take_signals();
        let owner = job.owner();
        let has_ended = match step {
            Step::Done(output) => {
                println!("{name:>8} (owner {owner}): device end, {output:?}");
                true
            }
            Step::Wait(wait) => {
                named.waits = true;
                let what = match wait {
                    Wait::Claim => "a claim".to_owned(),
                    Wait::Admit(need) => format!("{need:?}"),
                };
                println!("{name:>8} (owner {owner}): waits for {what}");
                false
            }
            Step::Do(effects) => {
                for effect in &effects {
                    println!("{name:>8} (owner {owner}): {}", text_of(effect));
                }
                let events = effects.into_iter().map(|effect| self.plant.perform(effect));
                named.job.answer(Reply::Events(events.collect()));
                false
            }
        };
        for (woken, answer) in &wakes {
            println!("         wake owner {woken}: {answer:?}");
        }
        if kick {
            println!("         ask what is due");
        }
        (has_ended, wakes)
    }

    /// Turns a job to its end, if nothing keeps it.
    fn finish<O: Debug>(&mut self, named: &mut Named<O>) {
        while !self.turn(named).0 {}
    }

    /// Tells a job that its wait is over, if it is among the woken.
    fn wake<O>(&self, woken: &[(OwnerId, Answer)], named: &mut Named<O>) -> bool {
        let answer = woken.iter().find(|(owner, _)| *owner == named.job.owner());
        let Some((_, answer)) = answer.filter(|_| named.waits) else { return false };
        named.waits = false;
        named.job.answer(Reply::Wait(*answer));
        true
    }

    /// Starts what is due and turns it to its end. Whom that wakes.
    fn background(&mut self, name: &str) -> Wakes {
        let mut woken = Wakes::new();
        for mut job in self.due(name) {
            let mut has_ended = false;
            while !has_ended {
                let (ended, wakes) = self.turn(&mut job);
                woken.extend(wakes);
                has_ended = ended;
            }
        }
        woken
    }

    fn say_pair(&self) {
        let pair = self.unit.pair(PRIMARY, SECONDARY).expect("it was created");
        println!("the pair is {}, tracks still to copy: {}", pair.status, pair.c.count());
    }
}

fn text_of(effect: &Effect) -> String {
    match effect {
        Effect::Disk(op) => {
            let what = if op.is_write() { "write" } else { "read" };
            match op.sector() {
                Some(at) => {
                    let bytes = op.byte_count();
                    format!("drive {}: {what} {bytes} bytes at sector {}", op.drive().0, at.0)
                }
                None => format!("drive {}: flush", op.drive().0),
            }
        }
        Effect::Transfer { dka_no, op } => {
            format!("address change unit of disk adapter {dka_no}: to {:?}", op.targets)
        }
        Effect::Log(op) => format!("log: {op:?}"),
    }
}
