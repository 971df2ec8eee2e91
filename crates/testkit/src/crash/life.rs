//! The lives of a unit: from one crash to the next, until a last one that ends in quiet.

use super::draw;
use super::layout::Layout;
use super::machine::{Crash, Machine};
use super::world::{Pending, What, World, read_all};
use super::wrong::CrashWrong;
use crate::checker::{check_copies_ended, check_stored};
use crate::{CrashFlaw, CrashReport, ldev};
use diptych_cha::HostOp;
use diptych_format::{BLOCK_BYTES, BlockRange, SectorNo, Time, TrackNo};
use diptych_log::{Log, LogId};
use diptych_sim::Sim;
use diptych_unit::{Opened, Plant, Unit};
use fastrand::Rng;
use std::collections::VecDeque;
use std::fmt::Write as _;

/// Requests of one life, at most.
const OPS_MAX: u64 = 150;
/// Times in a row that a unit may end before it is back.
const RECOVERY_CRASHES_MAX: usize = 3;
/// Longest rest of a host, and of an operator.
const HOST_REST_NS: u64 = 20_000_000;
const OPERATOR_REST_NS: u64 = 50_000_000;

/// Tells the draws of what rots from the others.
const ROT: u64 = 0x5EED_0F40;
/// Something rots in front of one request in so many.
const ROT_EVERY: u8 = 24;

/// What ends a life.
type Ended = Result<Next, CrashWrong>;

/// How a part of a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// It was done to its end.
    Done,
    /// The mains went off.
    Off,
}

/// Somebody who has one request under way at a time.
#[derive(Debug, Clone, Copy)]
struct Client {
    commands: bool,
    /// When the next request is sent; `None` while one is under way.
    at: Option<Time>,
}

pub(super) struct Lives {
    rng: Rng,
    machine: Machine,
    world: World,
    sim: Option<Sim>,
    life: usize,
    /// Whether what was not durable may have been lost since the unit was last there.
    weak: bool,
    /// Draws what rots on the drives, if anything does.
    rot: Option<Rng>,
    trace_max: usize,
    trace: VecDeque<String>,
}

impl Lives {
    pub(super) fn new(rng: Rng, layout: Layout, flaw: Option<CrashFlaw>, trace_max: usize) -> Self {
        let machine = layout.machine(flaw);
        let world = World::new(layout);
        let trace = VecDeque::new();
        let mut rot = Rng::with_seed(rng.get_seed() ^ ROT);
        let rot = (rot.u8(..4) == 0).then_some(rot);
        Self { rng, machine, world, sim: None, life: 0, weak: false, rot, trace_max, trace }
    }

    pub(super) fn report(&self) -> CrashReport {
        self.world.report
    }

    pub(super) fn life(&self) -> usize {
        self.life
    }

    /// What happened last, the oldest first.
    pub(super) fn trace(&self) -> String {
        let mut text: String = self.trace.iter().map(|line| format!("{line}\n")).collect();
        if let Some(sim) = self.sim.as_ref().filter(|_| self.trace_max > 0) {
            let _ = write!(text, "the unit at {}:\n{}", sim.now(), sim.trace_text());
        }
        text
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if self.trace_max > 0 {
            if self.trace.len() == self.trace_max {
                self.trace.pop_front();
            }
            let at = self.sim.as_ref().map_or(Time::ZERO, Sim::now);
            self.trace.push_back(format!("{}/{at}: {}", self.life, line()));
        }
    }

    pub(super) fn run(&mut self) -> Result<(), CrashWrong> {
        self.make();
        let lives = self.world.layout.lives;
        for life in 0..lives {
            self.life = life;
            let last = life + 1 == lives;
            if last {
                self.machine.mains.on_for_good();
            } else {
                let most = [20, 200, 1_500][self.rng.usize(..3)];
                let requests = self.rng.u64(..most);
                self.machine.mains.end_after(requests, self.rng.u64(..));
            }
            if self.live(last)? == Next::Done && last {
                break;
            }
            self.come_back()?;
        }
        self.end_sim();
        Ok(())
    }

    /// The unit is made, and its volumes.
    fn make(&mut self) {
        let layout = &self.world.layout;
        let log = Log::create(self.machine.log(), LogId(1), Layout::log_config());
        let plant = Plant::with_log(self.machine.drives(), log.expect("a log of this size"));
        let unit = Unit::new(layout.config.clone(), &plant).expect("a unit of this configuration");
        for no in 0..layout.volumes {
            let added = unit.add_volume(ldev(no as u8), layout.geometry, no % layout.drives);
            added.expect("room on the drive");
        }
        let config = layout.driver(&mut self.rng, self.trace_max);
        self.sim = Some(Sim::new(unit, plant, config));
    }

    fn end_sim(&mut self) {
        if let Some(sim) = self.sim.take() {
            self.world.report.virtual_ns += sim.now().ns;
        }
    }

    fn sim(&mut self) -> &mut Sim {
        self.sim.as_mut().expect("the unit is there")
    }

    fn crash(&mut self) {
        self.machine.is_made();
        let crash = [Crash::Kill, Crash::Cut][self.rng.usize(..2)];
        self.note(|| format!("{crash:?}"));
        self.end_sim();
        self.machine.crash(crash, &mut self.rng);
        let battery = self.world.layout.durability == diptych_unit::Durability::Battery;
        self.weak |= crash == Crash::Cut && !battery;
        match crash {
            Crash::Kill => self.world.report.kills += 1,
            Crash::Cut => self.world.report.cuts += 1,
        }
    }

    /// The unit crashes and comes back, perhaps not at once.
    fn come_back(&mut self) -> Result<(), CrashWrong> {
        self.crash();
        for tried in 0.. {
            if tried < RECOVERY_CRASHES_MAX && self.rng.u8(..4) == 0 {
                let requests = self.rng.u64(..60);
                self.machine.mains.end_after(requests, self.rng.u64(..));
            }
            let layout = &self.world.layout;
            let (drives, log) = (self.machine.drives(), self.machine.log());
            let opened = Unit::open(layout.config.clone(), drives, log, Layout::log_config());
            match opened {
                Ok(Opened { unit, plant, recovered }) => {
                    self.world.report.restarts += 1;
                    let config = self.world.layout.driver(&mut self.rng, self.trace_max);
                    let pairs = unit.pairs();
                    self.sim = Some(Sim::new(unit, plant, config));
                    self.note(|| format!("back: {recovered:?}"));
                    let weak = std::mem::take(&mut self.weak);
                    self.world.came_back(&pairs, weak)?;
                }
                Err(_) if self.machine.mains.are_off() => {}
                Err(error) => return Err(CrashWrong::NotBack(error)),
            }
            if self.sim.is_some() {
                // The mains may go off at any time from here on, or may not.
                if self.rng.u8(..4) == 0 || self.look()? == Next::Done {
                    return Ok(());
                }
            }
            self.world.report.in_recovery += 1;
            self.crash();
        }
        unreachable!("it comes back when nothing ends it any more")
    }

    fn send(&mut self, client: usize, what: What, op: HostOp) {
        let from = self.world.sent(&what);
        self.note(|| format!("{from}: client {client} asks {what:?}"));
        let now = self.sim().now();
        let request = self.sim().submit(now, op).expect("few requests");
        self.world.pending.insert(request, Pending { client, from, what });
    }

    /// Takes the answers that came. None counts that came as the mains went off.
    fn answers(&mut self, mut answered: impl FnMut(&mut Self, usize)) -> Result<(), CrashWrong> {
        if self.machine.mains.are_off() {
            return Ok(());
        }
        for one in self.sim().take_answers() {
            if self.trace_max > 0 {
                let pending = &self.world.pending[&one.request];
                let from = pending.from;
                let text = match &one.reply {
                    diptych_cha::HostReply::Data(_) => "data".to_owned(),
                    other => format!("{other:?}"),
                };
                self.note(|| format!("{from}: answered {text}"));
            }
            let client = self.world.answered(&one)?;
            answered(self, client);
        }
        Ok(())
    }

    /// Everything is read, and is one instant.
    fn look(&mut self) -> Ended {
        self.world.found.clear();
        for volume in 0..self.world.layout.volumes {
            let (what, op) = read_all(volume, self.world.layout.geometry.all_blocks());
            self.send(volume, what, op);
        }
        while !self.world.pending.is_empty() {
            if self.machine.mains.are_off() {
                return Ok(Next::Off);
            }
            if !self.sim().advance() {
                return Err(self.stuck());
            }
            self.answers(|_, _| ())?;
        }
        self.world.check_instant()?;
        Ok(Next::Done)
    }

    fn stuck(&mut self) -> CrashWrong {
        let sim = self.sim();
        let (open, waiting) = (sim.open_requests(), sim.waiting_jobs());
        let dirty = sim.unit().cache_counts().dirty_slots;
        CrashWrong::Stuck { open, waiting, dirty }
    }

    /// Hosts and operators are busy for a while, and then there is quiet.
    fn live(&mut self, last: bool) -> Ended {
        let ops = self.rng.u64(1..=OPS_MAX);
        if self.be_busy(ops)? == Next::Off {
            return Ok(Next::Off);
        }
        if (last || self.rng.bool()) && self.be_quiet()? == Next::Off {
            return Ok(Next::Off);
        }
        Ok(Next::Done)
    }

    fn be_busy(&mut self, ops: u64) -> Ended {
        let (writers, commanders) = (self.world.layout.writers, self.world.layout.commanders);
        let now = self.sim().now();
        let client = |no: usize| Client { commands: no >= writers, at: Some(now) };
        let mut clients: Vec<Client> = (0..writers + commanders).map(client).collect();
        let mut left = ops;
        loop {
            if self.machine.mains.are_off() {
                return Ok(Next::Off);
            }
            let next = clients.iter().filter_map(|client| client.at).min().filter(|_| left > 0);
            let advanced = match next {
                Some(at) => self.sim().advance_until(at),
                None if self.world.pending.is_empty() => return Ok(Next::Done),
                None => self.sim().advance(),
            };
            self.answers(|lives, client| {
                let now = lives.sim().now();
                let most = if clients[client].commands { OPERATOR_REST_NS } else { HOST_REST_NS };
                let rest_ns = if lives.rng.bool() { 0 } else { lives.rng.u64(..most) };
                clients[client].at = Some(now + rest_ns);
            })?;
            if advanced {
                continue;
            }
            let Some(at) = next else { return Err(self.stuck()) };
            self.sim().run_until(at);
            for (no, client) in clients.iter_mut().enumerate() {
                if client.at.is_some_and(|due| due <= at) && left > 0 {
                    left -= 1;
                    client.at = None;
                    self.rot();
                    let pairs = self.sim().unit().pairs();
                    let world = &mut self.world;
                    world.look_at_pairs(&pairs);
                    let (what, op) = if client.commands {
                        draw::command(world, &mut self.rng)
                    } else {
                        draw::host_op(world, &mut self.rng)
                    };
                    self.send(no, what, op);
                }
            }
        }
    }

    /// Perhaps something rots, of a track that is on its drive.
    fn rot(&mut self) {
        let Some(rng) = self.rot.as_mut().filter(|_| !self.machine.mains.are_off()) else { return };
        if rng.u8(..ROT_EVERY) > 0 {
            return;
        }
        let geometry = self.world.layout.geometry;
        let volume = rng.usize(..self.world.layout.volumes);
        let track = TrackNo(rng.u64(..geometry.track_count()));
        let (block, bit) = (rng.u64(..geometry.blocks_per_track()), rng.usize(..BLOCK_BYTES * 8));
        let unit = self.sim.as_ref().expect("the unit is there").unit();
        let found = unit.volume(ldev(volume as u8)).expect("volumes stay");
        if !found.allocated.get(track) {
            return;
        }
        let home = unit.home(found.backing).expect("its place");
        let sector = SectorNo(home.place(track).data.0 + block);
        self.machine.rot(usize::from(home.drive().0), sector, bit);
        let first = geometry.first_block(track);
        let blocks = BlockRange::new(first, geometry.blocks_per_track());
        self.world.rots(blocks.intersection(geometry.all_blocks()));
        self.note(|| format!("volume {volume}: {track} rots"));
    }

    /// Nothing is asked for any more: all that was begun ends, and the drives hold it.
    fn be_quiet(&mut self) -> Ended {
        for volume in self.sim().unit().volumes() {
            if volume.undefined && self.rng.bool() {
                // All that was answered is durable with it.
                let what = What::Flush { volume: usize::from(volume.ldev.ldev) };
                self.send(0, what, HostOp::AcceptContents { ldev: volume.ldev });
            }
        }
        while self.sim().advance() {
            if self.machine.mains.are_off() {
                return Ok(Next::Off);
            }
        }
        self.answers(|_, _| ())?;
        let sim = self.sim();
        let open = sim.open_requests() + sim.waiting_jobs() + sim.busy_jobs();
        if open + sim.unit().cache_counts().dirty_slots > 0 {
            return Err(self.stuck());
        }
        check_copies_ended(sim.unit(), true)?;
        self.machine.mains.pause(true);
        let sim = self.sim.as_ref().expect("the unit is there");
        let world = &self.world;
        check_stored(sim.unit(), sim.plant(), &|ldev, block| world.is_undefined(ldev, block))?;
        self.machine.mains.pause(false);
        self.world.report.quiet += 1;
        self.look()
    }
}
