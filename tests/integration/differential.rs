//! One scenario, two drivers: virtual time and worker threads leave the same volumes behind.
//!
//! A scenario is played by [`Sim`] with several seeds and by [`Rt`] on real threads. Both must give
//! hosts the same answers, and end with bit-identical volumes (by host reads and on the drives), the
//! same maps and the same statuses. Generated scenarios do in an undecided moment only what has one
//! outcome: host operations may be under way together where they do not touch the same tracks of one
//! volume, and commands whose outcome depends on how far a copy has come follow a settle.

use diptych_cha::{Command, CommandCode, HostError, HostOp, HostReply, Outcome};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId, Time};
use diptych_rt::{Rt, RtConfig, RtError};
use diptych_shared::{Pace, PairOptions, PairStatus};
use diptych_sim::{
    Driver, Picture, RequestNo, Scenario, ScenarioStep, ScenarioVolume, Sim, SimConfig, SimError,
    SplitMix64, play,
};
use diptych_sync::{Arc, Condvar, Mutex};
use diptych_unit::{Plant, Unit, UnitConfig};
use std::collections::{BTreeMap, BTreeSet};

const TRACKS: u64 = 12;
const BLOCKS_PER_TRACK: u64 = 16;
const BLOCKS: u64 = TRACKS * BLOCKS_PER_TRACK;
const DRIVES: usize = 2;
const SEEDS: u64 = 50;
const STEPS: usize = 60;

const PRIMARY: LdevId = LdevId::new(0, 0);
const FIRST: LdevId = LdevId::new(0, 1);
const SECOND: LdevId = LdevId::new(0, 2);
const PLAIN: LdevId = LdevId::new(0, 3);

/// A unit whose cache is smaller than its volumes, so that hosts wait for room and miss.
fn new_unit() -> (Unit, Plant) {
    let drive = |no| -> (u16, Box<dyn Device>) { (no, Box::new(MemoryDrive::new(1 << 14))) };
    let plant = Plant::new(Drives::new((0..DRIVES as u16).map(drive).collect()));
    let config = UnitConfig {
        copy_rest_ns: 2_000,
        destage_delay_ns: 200_000,
        // How much time passes between two requests is the driver's matter.
        in_use_ns: 0,
        ..UnitConfig::with_cache(40, BLOCKS_PER_TRACK as usize * 512)
    };
    (Unit::new(config, &plant).expect("a valid size"), plant)
}

/// Answers that came and were not asked for yet.
#[derive(Default)]
struct Answers {
    replies: Mutex<BTreeMap<RequestNo, HostReply>>,
    came: Condvar,
}

/// The real-time driver, as a player sees it.
struct Threads {
    rt: Rt,
    answers: Arc<Answers>,
    next: u64,
}

impl Threads {
    fn start() -> Self {
        let (unit, plant) = new_unit();
        let rt = Rt::start(unit, plant, RtConfig::default()).expect("two threads");
        Self { rt, answers: Arc::new(Answers::default()), next: 0 }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.rt.stop();
    }
}

impl Driver for Threads {
    fn now(&self) -> Time {
        self.rt.now()
    }

    fn unit(&self) -> &Unit {
        self.rt.unit()
    }

    fn plant(&self) -> &Plant {
        self.rt.plant()
    }

    fn start(&mut self, op: HostOp) -> Result<RequestNo, SimError> {
        let request = RequestNo(self.next);
        self.next += 1;
        let answers = self.answers.clone();
        let done = move |reply| {
            answers.replies.lock().insert(request, reply);
            answers.came.notify_all();
        };
        self.rt.submit(op, done).map(|()| request).map_err(|error| match error {
            RtError::TooManyRequests { limit } => SimError::TooManyRequests { limit },
            other => panic!("no other error of a submission: {other}"),
        })
    }

    fn finish(&mut self, request: RequestNo) -> Result<HostReply, SimError> {
        let mut replies = self.answers.replies.lock();
        loop {
            match replies.remove(&request) {
                Some(reply) => return Ok(reply),
                None => replies = self.answers.came.wait(replies),
            }
        }
    }

    fn settle(&mut self) {
        self.rt.wait_idle();
    }

    fn wait_until(&mut self, _: Time, is_so: &mut dyn FnMut(&Unit) -> bool) -> bool {
        is_so(self.rt.unit()) || {
            self.rt.wait_idle();
            is_so(self.rt.unit())
        }
    }

    fn pass(&mut self, ns: u64) {
        let (nobody, never) = (Mutex::new(()), Condvar::new());
        drop(never.wait_for(nobody.lock(), std::time::Duration::from_nanos(ns)));
    }
}

/// An answer without what depends on how far a copy has come: the status that a copy leads to.
fn comparable(reply: Option<HostReply>) -> Option<HostReply> {
    match reply {
        Some(HostReply::Outcome(Outcome::Accepted { pair, from, .. })) => {
            Some(HostReply::Outcome(Outcome::Accepted { pair, from, to: None }))
        }
        other => other,
    }
}

fn run(driver: &mut impl Driver, scenario: &Scenario) -> (Vec<Option<HostReply>>, Picture) {
    let answers = play(driver, scenario).expect("every request is answered");
    let picture = Picture::of(driver).expect("every read is answered");
    (answers.into_iter().map(comparable).collect(), picture)
}

/// Plays a scenario by both drivers, and compares.
fn check(name: &str, scenario: &Scenario, seeds: &[u64]) -> Picture {
    let mut threads = Threads::start();
    let (answers, picture) = run(&mut threads, scenario);
    for volume in &picture.volumes {
        assert!(volume.is_consistent(), "{name}: {} on threads", volume.ldev);
    }
    for seed in seeds {
        let (unit, plant) = new_unit();
        let mut sim = Sim::new(unit, plant, SimConfig::seeded(*seed));
        let (sim_answers, sim_picture) = run(&mut sim, scenario);
        assert_eq!((sim.waiting_jobs(), sim.busy_jobs(), sim.open_requests()), (0, 0, 0), "{name}");
        for (step_no, (ours, theirs)) in sim_answers.iter().zip(&answers).enumerate() {
            let step = &scenario.steps[step_no];
            assert!(
                ours == theirs,
                "{name}, sim seed {seed}, step {step_no} {step:?}:\n{}\n{}",
                short(ours),
                short(theirs)
            );
        }
        compare(&format!("{name}, sim seed {seed}"), &sim_picture, &picture);
    }
    picture
}

fn short(reply: &Option<HostReply>) -> String {
    match reply {
        Some(HostReply::Data(data)) => format!("{} bytes of data", data.len()),
        other => format!("{other:?}"),
    }
}

fn compare(name: &str, a: &Picture, b: &Picture) {
    assert_eq!(a.pairs, b.pairs, "{name}: statuses and maps");
    assert_eq!(a.volumes.len(), b.volumes.len(), "{name}: volumes");
    for (a, b) in a.volumes.iter().zip(&b.volumes) {
        let ldev = a.ldev;
        assert_eq!(ldev, b.ldev, "{name}");
        assert_eq!(a.allocated, b.allocated, "{name}: tracks of {ldev} that have storage");
        assert!(a.is_consistent() && b.is_consistent(), "{name}: {ldev} on its drive");
        assert!(a.seen == b.seen, "{name}: what hosts read from {ldev}");
        assert!(a.stored == b.stored, "{name}: what the drive of {ldev} holds");
    }
}

fn volumes() -> Vec<ScenarioVolume> {
    let volume = |(no, ldev): (usize, LdevId)| ScenarioVolume {
        ldev,
        geometry: Geometry::with_tracks(BLOCKS_PER_TRACK, TRACKS),
        group_no: Some(no % DRIVES),
        reserved: ldev == FIRST || ldev == SECOND,
    };
    [PRIMARY, FIRST, SECOND, PLAIN].into_iter().enumerate().map(volume).collect()
}

fn command(code: CommandCode, secondary: LdevId) -> ScenarioStep {
    ScenarioStep::Command(Command::new(code, PRIMARY, secondary))
}

fn quick_copy(secondary: LdevId, pace: Pace) -> ScenarioStep {
    let options = PairOptions { pace, quick: true, lanes: 2, limit: None };
    let copy = Command::new(CommandCode::Copy, PRIMARY, secondary).with_options(options);
    ScenarioStep::Command(copy)
}

/// Writes small scenarios of its own.
struct Generator {
    random: SplitMix64,
    steps: Vec<ScenarioStep>,
    /// What the pairs are, once settled.
    pairs: BTreeMap<LdevId, PairStatus>,
    /// Secondaries that hosts may use: their copy has ended, or is a quick one.
    open: BTreeSet<LdevId>,
}

impl Generator {
    fn scenario(seed: u64) -> Scenario {
        let mut generator = Self {
            random: SplitMix64::new(seed),
            steps: vec![ScenarioStep::write(PRIMARY, 0, BLOCKS / 2, seed)],
            pairs: BTreeMap::new(),
            open: BTreeSet::new(),
        };
        while generator.steps.len() < STEPS {
            generator.add();
        }
        Scenario { volumes: volumes(), steps: generator.steps }
    }

    fn add(&mut self) {
        match self.random.below(20) {
            0..=1 => self.add_command(),
            2 => {
                let options = PairOptions { pace: self.pace(), lanes: 2, ..PairOptions::default() };
                if let Some(secondary) = self.pairs.keys().next().copied() {
                    let (primary, secondary) = (PRIMARY, secondary);
                    self.steps.push(ScenarioStep::ChangePace { primary, secondary, options });
                }
            }
            3 => {
                let ldev = self.ldev();
                self.steps.push(ScenarioStep::Flush { ldev });
            }
            4..=5 => self.add_unmap(),
            6..=9 => {
                let (ldev, blocks) = (self.ldev(), self.blocks());
                self.steps.push(ScenarioStep::Read { ldev, blocks });
            }
            _ => {
                let (ldev, blocks, fill) = (self.ldev(), self.blocks(), self.random.next_u64());
                self.steps.push(ScenarioStep::Write { ldev, blocks, fill });
            }
        }
    }

    fn add_unmap(&mut self) {
        let (ldev, mut blocks) = (self.ldev(), self.blocks());
        if self.random.flip() {
            let start = blocks.start.0 / BLOCKS_PER_TRACK * BLOCKS_PER_TRACK;
            blocks = BlockRange::new(BlockNo(start), BLOCKS_PER_TRACK);
        }
        self.steps.push(ScenarioStep::Unmap { ldev, blocks });
    }

    fn pace(&mut self) -> Pace {
        [Pace::SLOW, Pace::MEDIUM, Pace::FAST][self.random.below(3) as usize]
    }

    /// A volume that hosts may or may not use, the same however far the copies are.
    fn ldev(&mut self) -> LdevId {
        let secondary = if self.random.flip() { FIRST } else { SECOND };
        let unclear = self.pairs.get(&secondary) == Some(&PairStatus::Copied)
            && !self.open.contains(&secondary);
        match self.random.below(8) {
            0..=4 => PRIMARY,
            5 => PLAIN,
            _ if unclear => PRIMARY,
            _ => secondary,
        }
    }

    fn blocks(&mut self) -> BlockRange {
        let longest = if self.random.below(4) == 0 { 3 * BLOCKS_PER_TRACK } else { 8 };
        let count = 1 + self.random.below(longest);
        BlockRange::new(BlockNo(self.random.below(BLOCKS - count + 1)), count)
    }

    /// The next command that means something in the pair's status, or one that means nothing.
    fn add_command(&mut self) {
        use CommandCode::{Copy, Create, Delete, Resync, Suspend};
        use PairStatus::{Copied, PairedNotCopied, Suspended};
        let secondary = if self.random.flip() { FIRST } else { SECOND };
        let status = self.pairs.get(&secondary).copied();
        let often = self.random.below(4) > 0;
        let (code, now) = match status {
            None => (Create, Some(PairedNotCopied)),
            Some(PairedNotCopied) if often => (Copy, Some(Copied)),
            Some(PairedNotCopied | Copied) if self.random.below(4) == 0 => {
                (Suspend, Some(Suspended))
            }
            Some(Copied | Suspended) if often => (Resync, Some(PairedNotCopied)),
            Some(_) => (Delete, None),
        };
        let quick = code == Copy && self.random.flip();
        // Create and copy mean the same however far other copies are; the others want to be sure.
        if !matches!(code, Create | Copy) || self.random.flip() {
            self.steps.push(ScenarioStep::Settle);
            let copied = self.pairs.iter().filter(|(_, status)| **status == Copied);
            self.open.extend(copied.map(|(secondary, _)| *secondary));
        }
        let pace = self.pace();
        self.steps.push(if quick { quick_copy(secondary, pace) } else { command(code, secondary) });
        match now {
            Some(now) => self.pairs.insert(secondary, now),
            None => self.pairs.remove(&secondary),
        };
        self.open.remove(&secondary);
        if quick {
            self.open.insert(secondary);
        }
    }
}

#[test]
fn generated_scenarios_come_out_alike() {
    let (mut copied, mut differing) = (0, 0);
    for seed in 0..SEEDS {
        let picture =
            check(&format!("scenario {seed}"), &Generator::scenario(seed), &[seed, !seed]);
        copied += picture.pairs.iter().filter(|p| p.status == PairStatus::Copied).count();
        differing += picture.pairs.iter().filter(|p| !p.dp.is_empty()).count();
    }
    assert!(copied > 10 && differing > 5, "the scenarios do something: {copied}, {differing}");
}

/// The image is the primary at the instant of the copy command, whatever hosts write afterwards.
#[test]
fn an_image_under_writes() {
    let write = |track: u64, fill| ScenarioStep::write(PRIMARY, track * BLOCKS_PER_TRACK, 5, fill);
    let mut steps = vec![
        ScenarioStep::write(PRIMARY, 0, BLOCKS, 1),
        command(CommandCode::Create, FIRST),
        command(CommandCode::Copy, FIRST),
    ];
    steps.extend((0..TRACKS).rev().map(|track| write(track, 100 + track)));
    let status = Some(PairStatus::Copied);
    steps.push(ScenarioStep::WaitPair { primary: PRIMARY, secondary: FIRST, status });
    let scenario = Scenario { volumes: volumes(), steps };
    let picture = check("an image under writes", &scenario, &[1, 2, 3]);
    let image = HostReply::Data(diptych_sim::fill_blocks(1, BLOCKS));
    assert!(picture.volume(FIRST).expect("it is a volume").seen == image, "the image");
    let pair = &picture.pairs[0];
    assert_eq!((pair.c.count(), pair.dp.count(), pair.ds.count()), (0, TRACKS, 0));
}

/// A quick secondary is written while it is copied; a resync brings both sides' changes back to the
/// primary's content.
#[test]
fn quick_then_resync() {
    let scenario = Scenario {
        volumes: volumes(),
        steps: vec![
            ScenarioStep::write(PRIMARY, 0, BLOCKS, 1),
            command(CommandCode::Create, FIRST),
            quick_copy(FIRST, Pace::SLOW),
            ScenarioStep::write(FIRST, 40, 3, 2),
            ScenarioStep::write(FIRST, 5 * BLOCKS_PER_TRACK, BLOCKS_PER_TRACK, 3),
            ScenarioStep::write(PRIMARY, 40, 3, 4),
            ScenarioStep::write(PRIMARY, 9 * BLOCKS_PER_TRACK, 1, 5),
            ScenarioStep::Settle,
            command(CommandCode::Resync, FIRST),
        ],
    };
    let picture = check("quick, then resync", &scenario, &[1, 2, 3]);
    let pair = &picture.pairs[0];
    assert_eq!((pair.shown_as, pair.a.count()), ("duplex", 3), "tracks 2, 5 and 9 went back");
    let [primary, secondary] = [PRIMARY, FIRST].map(|ldev| picture.volume(ldev).expect("made"));
    let data = |v: &diptych_sim::VolumePicture| v.stored.iter().map(|t| t.data.clone()).collect();
    let [a, b]: [Vec<_>; 2] = [data(primary), data(secondary)];
    assert!(a == b, "the secondary follows the primary");
    assert!(matches!(secondary.seen, HostReply::Failed(HostError::Access { .. })));
}
