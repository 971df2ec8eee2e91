//! One run of a scenario: hosts and operators at work while a device goes wrong, then rest, then a unit
//! that comes back on devices that work again.

use super::devices::{Counts, Devices};
use super::judge::{Judge, Judged};
use super::scenario::{
    ALL, Ask, DRIVE_OF, DRIVES, SCENARIOS, Scenario, Step, TRACK_BLOCKS, TRACKS,
};
use super::{FaultCase, FaultEnding, FaultWrong};
use crate::checker::{check_copies_ended, check_stored};
use crate::crash::layout::Layout;
use crate::crash::world::{Pending, What, World, read_all};
use crate::crash::wrong::CrashWrong;
use crate::{Setup, Violation, ldev};
use diptych_cha::{CommandCode, HostOp, HostReply};
use diptych_format::{BlockRange, Geometry, LdevId, TrackNo};
use diptych_log::{Log, LogConfig, LogId};
use diptych_shared::{PairStatus, VolumeState};
use diptych_sim::{Answered, Costs, RequestNo, Sim, SimConfig};
use diptych_unit::{Durability, Opened, Plant, Unit, UnitConfig};
use std::collections::BTreeMap;

/// Whoever waits for longer waits for ever.
const WAIT_MAX_NS: u64 = 3_600_000_000_000;
/// Events in which a unit comes to rest.
const EVENTS_MAX: u64 = 1_000_000;
const MILLISECOND_NS: u64 = 1_000_000;

/// A run that is under way.
pub(super) struct Run {
    pub(super) scenario: &'static Scenario,
    pub(super) devices: Devices,
    pub(super) world: World,
    pub(super) judge: Judge,
    sim: Option<Sim>,
    ending: FaultEnding,
    /// No device goes wrong any more.
    healed: bool,
    /// Faults that struck before the unit was there.
    struck_before: usize,
    step: usize,
}

fn config(scenario: &Scenario, durability: Durability) -> UnitConfig {
    let setup = Setup::new(DRIVE_OF.len() as u8, TRACK_BLOCKS, TRACKS, TRACK_BLOCKS * TRACKS);
    let least = Setup { needs_reserve: false, cache_slots: scenario.cache_slots, ..setup };
    UnitConfig {
        history_max: 100,
        copy_rest_ns: 500_000,
        destage_delay_ns: 20 * MILLISECOND_NS,
        settle_delay_ns: 3 * MILLISECOND_NS,
        checkpoint_at_percent: 20,
        durability,
        ..least.config()
    }
}

fn layout(scenario: &Scenario, durability: Durability) -> Layout {
    Layout {
        volumes: DRIVE_OF.len(),
        drives: DRIVES,
        geometry: Geometry::with_tracks(TRACK_BLOCKS, TRACKS),
        chunk_blocks: TRACK_BLOCKS * TRACKS,
        durability,
        writers: 0,
        commanders: 0,
        lives: 0,
        log_sectors: scenario.log_sectors,
        modifies: false,
        config: config(scenario, durability),
        costs: Costs::default(),
    }
}

fn log_config() -> LogConfig {
    LogConfig { reserve_sectors: 300, ..LogConfig::default() }
}

impl Run {
    pub(super) fn new(scenario: usize, ending: FaultEnding, case: Option<&FaultCase>) -> Self {
        let scenario = &SCENARIOS[scenario];
        let layout = layout(scenario, ending.durability());
        let devices = Devices::new(DRIVES, scenario.log_sectors);
        let log = Log::create(devices.log(), LogId(1), log_config()).expect("a log of this size");
        let plant = Plant::with_log(devices.drives(), log);
        let unit = Unit::new(layout.config.clone(), &plant).expect("a unit of this configuration");
        for (no, drive) in DRIVE_OF.into_iter().enumerate() {
            unit.add_volume(ldev(no as u8), layout.geometry, drive).expect("room on the drive");
        }
        let judge = Judge::new(case, scenario.has_small_cache());
        let mut world = World::new(layout);
        world.failing = judge.failing();
        if let Some(case) = case {
            devices.begin(case.device, case.form.rules(case.op, case.nth));
        } else {
            devices.begin(0, Vec::new());
        }
        let sim = Some(Sim::new(unit, plant, SimConfig::seeded(7)));
        Self {
            scenario,
            devices,
            world,
            judge,
            sim,
            ending,
            healed: false,
            struck_before: 0,
            step: 0,
        }
    }

    /// Whether the device went wrong.
    pub(super) fn struck(&self, device: usize) -> bool {
        self.devices.strikes(device) > 0
    }

    pub(super) fn step(&self) -> usize {
        self.step
    }

    pub(super) fn sim(&mut self) -> &mut Sim {
        self.sim.as_mut().expect("the unit is there")
    }

    /// Goes through the scenario, and to the end of everything. Returns what was asked of each device
    /// until all had come to rest.
    pub(super) fn run(&mut self) -> Result<Vec<Counts>, FaultWrong> {
        for (no, step) in self.scenario.steps.iter().enumerate() {
            self.step = no;
            match *step {
                Step::Ask(asks) => self.ask(asks)?,
                Step::Rest(ms) => {
                    let until = self.sim().now() + ms * MILLISECOND_NS;
                    self.sim().run_until(until);
                }
                Step::Again(times, asks) => {
                    for _ in 0..times {
                        self.ask(asks)?;
                    }
                }
                Step::Restart => self.restart()?,
            }
        }
        self.step = self.scenario.steps.len();
        self.come_to_rest()?;
        let counts = self.devices.counts();
        self.judge_rest()?;
        self.heal();
        self.restart()?;
        self.be_whole()?;
        Ok(counts)
    }

    /// Sends all of it, and waits for the answers.
    fn ask(&mut self, asks: &[Ask]) -> Result<(), FaultWrong> {
        let requests: Vec<_> = asks.iter().map(|ask| ask.request(&mut self.world)).collect();
        self.send(requests).map(drop)
    }

    fn send(&mut self, all: Vec<(What, HostOp)>) -> Result<Vec<Judged>, FaultWrong> {
        self.note_failures();
        let began = self.sim().now();
        let mut sent: BTreeMap<RequestNo, bool> = BTreeMap::new();
        for (what, op) in all {
            let from = self.world.sent(&what);
            let sim = self.sim();
            let after_the_log = sim.unit().log_failure().is_some();
            let request = sim.submit(began, op).expect("few requests");
            self.world.pending.insert(request, Pending { client: 0, from, what });
            sent.insert(request, after_the_log);
        }
        let mut judged = Vec::new();
        while !sent.is_empty() {
            let now = self.sim().now();
            if now.ns_since(began) > WAIT_MAX_NS || !self.sim().advance() {
                return Err(self.stuck());
            }
            for answered in self.sim().take_answers() {
                let after = sent.remove(&answered.request).expect("it was sent");
                judged.push(self.answered(&answered, after)?);
            }
        }
        Ok(judged)
    }

    fn answered(&mut self, answered: &Answered, after_the_log: bool) -> Result<Judged, FaultWrong> {
        self.note_failures();
        let log_failed = self.sim().unit().log_failure().is_some();
        let judged = self.judge.answer(&self.world, answered, log_failed, after_the_log)?;
        match judged {
            Judged::Answered => drop(self.world.answered(answered)?),
            Judged::Refused => self.world.refused(answered.request),
            Judged::Unknown => {}
        }
        Ok(judged)
    }

    fn note_failures(&mut self) {
        let unit = self.sim.as_ref().expect("the unit is there").unit();
        self.judge.look_at_places(unit);
        self.world.note_failures(&unit.pairs());
        if !self.healed {
            self.world.failing = self.judge.failing();
        }
    }

    fn stuck(&mut self) -> FaultWrong {
        let sim = self.sim();
        let (open, waiting) = (sim.open_requests(), sim.waiting_jobs() + sim.busy_jobs());
        let dirty = sim.unit().cache_counts().dirty_slots;
        CrashWrong::Stuck { open, waiting, dirty }.into()
    }

    fn come_to_rest(&mut self) -> Result<(), FaultWrong> {
        for _ in 0..EVENTS_MAX {
            if !self.sim().advance() {
                let sim = self.sim();
                let open = sim.open_requests() + sim.waiting_jobs() + sim.busy_jobs();
                return if open > 0 { Err(self.stuck()) } else { Ok(()) };
            }
        }
        Err(self.stuck())
    }

    /// What has to hold while the device is still as it is.
    fn judge_rest(&mut self) -> Result<(), FaultWrong> {
        self.note_failures();
        let struck = !self.healed && self.has_struck();
        let sim = self.sim.as_ref().expect("the unit is there");
        self.judge.at_rest(sim.unit(), struck)?;
        // What a command has done in memory whose record failed is nobody's image: not all of it is read.
        let left_out = u64::from(sim.unit().log_failure().is_some());
        self.look_but_for(left_out)?;
        self.look_at_blocks()
    }

    /// Everything is read.
    fn look(&mut self) -> Result<(), FaultWrong> {
        self.look_but_for(0)
    }

    /// The same without the last blocks of each volume.
    fn look_but_for(&mut self, blocks: u64) -> Result<(), FaultWrong> {
        self.world.found.clear();
        let mut part = self.world.layout.geometry.all_blocks();
        part.end.0 -= blocks;
        let reads = (0..DRIVE_OF.len()).map(|volume| read_all(volume, part)).collect();
        self.send(reads)?;
        Ok(())
    }

    /// Where one request was to fail, all other blocks can be read.
    fn look_at_blocks(&mut self) -> Result<(), FaultWrong> {
        let geometry = self.world.layout.geometry;
        let mut unreadable = 0;
        for volume in 0..DRIVE_OF.len() {
            for track in 0..TRACKS {
                let start = geometry.first_block(TrackNo(track));
                let blocks = BlockRange::new(start, TRACK_BLOCKS);
                let op = HostOp::Read { ldev: ldev(volume as u8), blocks };
                let judged = self.send(vec![(What::Read { volume, blocks }, op)])?;
                unreadable += u64::from(judged.contains(&Judged::Refused));
            }
        }
        if self.healed { Ok(()) } else { self.judge.unreadable_tracks(unreadable) }
    }

    fn heal(&mut self) {
        self.healed = true;
        self.devices.heal();
    }

    /// The unit ends, and comes back; if the device does not let it, on one that works again.
    fn restart(&mut self) -> Result<(), FaultWrong> {
        self.note_failures();
        self.sim = None;
        let is_cut = self.ending != FaultEnding::Kill;
        if is_cut {
            self.devices.cut();
        }
        self.struck_before = self.strikes();
        let opened = match self.open() {
            Err(_) if !self.healed && self.strikes() > 0 => {
                self.heal();
                self.open()
            }
            other => other,
        };
        let Opened { unit, plant, recovered } = opened.map_err(CrashWrong::NotBack)?;
        if let Some(lost) = recovered.lost {
            return Err(FaultWrong::Lost { lost });
        }
        let pairs = unit.pairs();
        self.sim = Some(Sim::new(unit, plant, SimConfig::seeded(11)));
        self.world.came_back(&pairs, self.ending == FaultEnding::CutWriteBack)?;
        if self.healed {
            self.world.all_works();
            self.judge.all_works();
        }
        Ok(())
    }

    fn strikes(&self) -> usize {
        self.judge.device().map_or(0, |device| self.devices.strikes(device))
    }

    /// Whether the device went wrong since the unit is there.
    fn has_struck(&self) -> bool {
        self.strikes() > self.struck_before
    }

    fn open(&self) -> Result<Opened, diptych_unit::UnitError> {
        let config = self.world.layout.config.clone();
        Unit::open(config, self.devices.drives(), self.devices.log(), log_config())
    }

    /// All devices work: nothing is lost, and every pair can be made good again.
    fn be_whole(&mut self) -> Result<(), FaultWrong> {
        let sim = self.sim();
        let now = sim.now();
        for volume in sim.unit().volumes() {
            if volume.state == VolumeState::Blocked {
                sim.unit().release_volume(volume.ldev, now).expect("the volume is there");
            }
        }
        sim.ask_due();
        self.look()?;
        self.world.check_instant()?;
        self.check_quiet()?;
        self.look()?;
        self.make_good()?;
        self.check_quiet()?;
        self.look()
    }

    /// Everything has ended, and the drives hold it.
    fn check_quiet(&mut self) -> Result<(), FaultWrong> {
        self.come_to_rest()?;
        if self.sim().unit().cache_counts().dirty_slots > 0 {
            return Err(self.stuck());
        }
        let sim = self.sim.as_ref().expect("the unit is there");
        check_copies_ended(sim.unit(), true).map_err(CrashWrong::from)?;
        let world = &self.world;
        let judge = &self.judge;
        let undefined = |ldev: LdevId, block| {
            world.is_undefined(ldev, block) || judge.has_lost(usize::from(ldev.ldev))
        };
        match check_stored(sim.unit(), sim.plant(), &undefined) {
            // What cannot be read differs from what can.
            Err(Violation::Differs { primary, secondary, .. })
                if [primary, secondary].iter().any(|v| judge.has_lost(usize::from(v.ldev))) =>
            {
                Ok(())
            }
            other => Ok(other.map(drop).map_err(CrashWrong::from)?),
        }
    }

    /// What is undefined is accepted and written anew, suspended pairs are resynchronized, and all are split
    /// once more.
    fn make_good(&mut self) -> Result<(), FaultWrong> {
        let sim = self.sim();
        let mut again = Vec::new();
        for volume in sim.unit().volumes().iter().filter(|volume| volume.undefined) {
            let accept = HostOp::AcceptContents { ldev: volume.ldev };
            let request = sim.submit(sim.now(), accept).expect("few requests");
            sim.run_to_end();
            let answered = sim.take_answer(request).expect("all ended");
            assert_eq!(answered.reply, HostReply::Done, "the drives are good again");
            let written = sim.unit().pairs().iter().all(|pair| pair.secondary != volume.ldev);
            again.extend(written.then_some(Ask::Write(usize::from(volume.ldev.ldev), 0, ALL)));
        }
        sim.ask_due();
        self.ask(&again)?;
        for (code, of) in [
            (CommandCode::Resync, PairStatus::Suspended),
            (CommandCode::Copy, PairStatus::PairedNotCopied),
        ] {
            let pairs = self.sim().unit().pairs();
            self.world.look_at_pairs(&pairs);
            let pairs = pairs.iter().filter(|pair| pair.status == of);
            let names = |ldev: LdevId| usize::from(ldev.ldev);
            let asks: Vec<Ask> = pairs
                .map(|pair| Ask::Pair(code, (names(pair.primary), names(pair.secondary))))
                .collect();
            self.ask(&asks)?;
            self.come_to_rest()?;
        }
        let pairs = self.sim().unit().pairs();
        // A restore of what cannot be read stays one.
        let lost = |ldev: LdevId| self.judge.has_lost(usize::from(ldev.ldev));
        let whole = pairs.iter().filter(|pair| !lost(pair.primary) && !lost(pair.secondary));
        match whole.into_iter().find(|pair| pair.status != PairStatus::Copied) {
            Some(pair) => Err(FaultWrong::NotMadeGood {
                primary: pair.primary,
                secondary: pair.secondary,
                status: pair.status,
            }),
            None => Ok(()),
        }
    }
}
