//! The stage on which a scenario is played: drives, a control unit on them, and what turns it.

use super::PlayError;
use super::answer::Answer;
use super::content::Content;
use super::file::{Scenario, TimeKind, VolumeRow};
use super::load::{Load, Plan, Served};
use super::threads::Threads;
use super::words::UtcWord;
use diptych::cha::{CommandCode, HostError, HostOp, HostReply};
use diptych::device::{Device, Fault, FaultPlan, FileDrive, MemoryDrive};
use diptych::dka::{Drives, Groups};
use diptych::format::{BlockNo, BlockRange, DriveNo, Geometry, ImageNo, LdevId, Time, TrackNo};
use diptych::shared::{Limits, Pair, Volume, VolumeState};
use diptych::sim::{Answered, Driver, Sim, SimConfig, stored_tracks};
use diptych::unit::{
    HistoryEntry, HistoryFilter, HistoryPage, HistoryQuery, Plant, ScheduleId, Unit, UnitConfig,
    Utc,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Tracks of one read when a whole volume is looked at.
const LOOK_TRACKS: u64 = 4;

/// A host that was told to end has its last answer by then.
const HOST_ENDS_NS: u64 = 60_000_000_000;

/// Nothing settles later than that while schedules go on.
const SETTLE_NS: u64 = 60 * SECOND_NS;
const SECOND_NS: u64 = 1_000_000_000;

/// A drive that goes wrong when it is told to.
type Drive = Fault<Box<dyn Device>>;

/// How scenarios are played.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) time: TimeKind,
    /// What virtual time decides by; `None`: everything in its order.
    pub(crate) seed: Option<u64>,
    /// Where drives are made; `None`: in memory.
    pub(crate) dir: Option<PathBuf>,
}

/// What turns the unit.
#[derive(Debug)]
enum Crank {
    Sim(Box<Sim>),
    Threads(Threads),
}

/// A volume at some time.
#[derive(Debug, Clone)]
pub(crate) struct Marked {
    pub(crate) content: Content,
    /// The image that it held, if it was a secondary.
    pub(crate) image: Option<ImageNo>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Stage {
    crank: Crank,
    drives: Vec<Drive>,
    /// Dropped last: the drives' files are in it.
    _dir: Option<TempDir>,
    pub(crate) marks: BTreeMap<String, Marked>,
    /// Hosts that write, by name.
    pub(crate) loads: BTreeMap<String, Load>,
    /// Schedules, by name.
    pub(crate) schedules: BTreeMap<String, ScheduleId>,
    /// Whether there was one.
    scheduled: bool,
    /// Whether a drive was told to go wrong: what lies on the drives is no proof of anything then.
    pub(crate) faulty: bool,
    /// The first entry of the history that no step has looked at.
    history_next: u64,
}

/// What lies on the drive under a volume.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verified {
    /// Tracks that have storage.
    pub(crate) tracks: usize,
    /// Blocks whose LA or CD is wrong.
    pub(crate) bad_blocks: usize,
    /// Tracks that the drive does not read.
    pub(crate) unreadable_tracks: usize,
}

impl Stage {
    /// Makes drives and volumes, and starts the driver.
    pub(crate) fn new(scenario: &Scenario, setting: &Setting) -> Result<Self, PlayError> {
        let dir = setting.dir.as_deref().map(make_dir).transpose()?;
        let drives = make_drives(&scenario.volumes, dir.as_ref().map(TempDir::path))?;
        let boxed = |(no, drive): (u16, &Drive)| -> (u16, Box<dyn Device>) {
            (no, Box::new(drive.clone()))
        };
        let plant = Plant::new(Drives::new((0..).zip(&drives).map(boxed).collect()));
        let unit = make_unit(scenario, &plant)?;
        let crank = match setting.time {
            TimeKind::Virtual => {
                let config = setting.seed.map_or_else(SimConfig::default, SimConfig::seeded);
                Crank::Sim(Box::new(Sim::new(unit, plant, config)))
            }
            TimeKind::Real => Crank::Threads(Threads::start(unit, plant)?),
        };
        let (marks, loads, schedules) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Ok(Self {
            crank,
            drives,
            _dir: dir,
            marks,
            loads,
            schedules,
            scheduled: false,
            faulty: false,
            history_next: 0,
        })
    }

    /// What turns the unit.
    pub(crate) fn driver(&mut self) -> &mut dyn Driver {
        match &mut self.crank {
            Crank::Sim(sim) => &mut **sim,
            Crank::Threads(threads) => threads,
        }
    }

    /// The unit.
    pub(crate) fn unit(&self) -> &Unit {
        match &self.crank {
            Crank::Sim(sim) => sim.unit(),
            Crank::Threads(threads) => threads.unit(),
        }
    }

    /// Whether time is what it is for everybody.
    pub(crate) fn is_real(&self) -> bool {
        matches!(self.crank, Crank::Threads(_))
    }

    /// The driver's time.
    pub(crate) fn now(&self) -> Time {
        match &self.crank {
            Crank::Sim(sim) => sim.now(),
            Crank::Threads(threads) => threads.now(),
        }
    }

    /// Carries out a host operation and waits for its answer.
    pub(crate) fn ask(&mut self, op: HostOp) -> Result<HostReply, PlayError> {
        let makes_image = makes_image(&op);
        let before: Vec<_> = self.loads.values().map(|load| load.counts().0).collect();
        let request = self.driver().start(op)?;
        let reply = self.driver().finish(request)?;
        if makes_image && is_accepted(&reply) {
            self.loads.values().zip(before).for_each(|(load, done)| load.note_cut(done));
        }
        Ok(reply)
    }

    /// A host that writes from now on.
    pub(crate) fn add_load(&mut self, name: &str, plan: Plan) -> Result<(), PlayError> {
        let load = Load::new(plan);
        match &mut self.crank {
            Crank::Sim(sim) => {
                let load = load.clone();
                let host = move |now: Time, last: Option<&Answered>| {
                    load.next(now, last.map(|answered| &answered.reply))
                };
                sim.add_host(Box::new(host))?;
            }
            Crank::Threads(threads) => threads.add_host(load.clone())?,
        }
        self.loads.insert(name.to_owned(), load);
        Ok(())
    }

    /// Waits until nothing is left to do.
    pub(crate) fn settle(&mut self) -> Result<(), PlayError> {
        let writing = self.loads.iter().find(|(_, load)| !load.has_ended());
        if let Some((name, _)) = writing {
            return Err(PlayError::HostWrites { name: name.clone() });
        }
        if self.scheduled {
            self.settle_between_ticks();
        } else {
            self.driver().settle();
        }
        Ok(())
    }

    /// With a schedule that goes on there is always something due, and a driver in real time comes back
    /// to the next tick even if it was taken back: this waits until nothing is left but that.
    fn settle_between_ticks(&mut self) {
        let limit = self.now() + SETTLE_NS;
        while self.now() < limit {
            let next = self.next_tick().unwrap_or(limit).min(limit);
            let is_real = self.is_real();
            // In virtual time everything happens until the tick; in real time nobody waits for it.
            let before = Time::from_ns(next.ns.saturating_sub(1));
            self.driver().wait_until(before, &mut |unit| is_real && is_quiet(unit));
            if is_quiet(self.unit()) {
                return;
            }
            self.driver().wait_until(next, &mut |_| false);
        }
    }

    /// When the next tick of a schedule is due.
    fn next_tick(&self) -> Option<Time> {
        let start = self.unit().utc(Time::ZERO).seconds;
        let ns = |at: Utc| at.seconds.saturating_sub(start).max(0).unsigned_abs() * SECOND_NS;
        let schedules = self.unit().schedules();
        schedules.iter().filter_map(|state| state.next).map(ns).min().map(Time::from_ns)
    }

    /// Keeps a schedule that was added under a name.
    pub(crate) fn add_schedule(&mut self, name: &str, id: ScheduleId) {
        self.scheduled = true;
        self.schedules.insert(name.to_owned(), id);
        self.ask_due();
    }

    /// The schedule of this name.
    pub(crate) fn schedule(&self, name: &str) -> Result<ScheduleId, PlayError> {
        let unknown = || PlayError::NoSchedule { name: name.to_owned() };
        self.schedules.get(name).copied().ok_or_else(unknown)
    }

    /// Takes all schedules back.
    pub(crate) fn end_schedules(&mut self) {
        for state in self.unit().schedules() {
            // One that is over meanwhile is gone as well.
            let _gone = self.unit().remove_schedule(state.id, self.now());
        }
        self.ask_due();
    }

    /// Tells the driver that something was changed in the unit by hand.
    pub(crate) fn ask_due(&mut self) {
        match &mut self.crank {
            Crank::Sim(sim) => sim.ask_due(),
            Crank::Threads(threads) => threads.ask_due(),
        }
    }

    /// Tells a host to end, and waits until it has.
    pub(crate) fn stop_load(&mut self, name: &str) -> Result<Served, PlayError> {
        let no_host = || PlayError::NoHost { name: name.to_owned() };
        let load = self.loads.get(name).ok_or_else(no_host)?.clone();
        load.stop();
        let deadline = self.now() + HOST_ENDS_NS;
        if !self.driver().wait_until(deadline, &mut |_| load.has_ended()) {
            return Err(PlayError::HostNeverEnds { name: name.to_owned() });
        }
        Ok(load.served())
    }

    /// A volume as the unit knows it.
    pub(crate) fn volume(&self, ldev: LdevId) -> Result<Volume, PlayError> {
        self.unit().volume(ldev).ok_or(PlayError::NoVolume { ldev })
    }

    /// The drive under a volume.
    pub(crate) fn drive_under(&self, ldev: LdevId) -> Result<&Drive, PlayError> {
        let DriveNo(no) = self.home(ldev)?.drive();
        Ok(&self.drives[usize::from(no)])
    }

    /// Where a volume lies.
    pub(crate) fn home(&self, ldev: LdevId) -> Result<diptych::dka::Home, PlayError> {
        let backing = self.volume(ldev)?.backing;
        self.unit().home(backing).ok_or(PlayError::NoDrive { ldev })
    }

    /// What a volume holds: as a host reads it; if hosts may not, as it lies on its drive.
    pub(crate) fn content(&mut self, ldev: LdevId) -> Result<Content, PlayError> {
        let geometry = self.volume(ldev)?.geometry;
        let mut content = Content::empty(geometry);
        for first in (0..geometry.track_count()).step_by(LOOK_TRACKS as usize) {
            let last = (first + LOOK_TRACKS).min(geometry.track_count());
            match self.ask(HostOp::Read { ldev, blocks: blocks_of(geometry, first, last) })? {
                HostReply::Data(data) => {
                    let tracks = data.chunks(geometry.track_bytes());
                    (first..).zip(tracks).for_each(|(no, data)| content.note(TrackNo(no), data));
                }
                HostReply::Failed(HostError::Access { .. }) => return self.content_on_drive(ldev),
                HostReply::Failed(error) => return Err(PlayError::NotRead { error }),
                _ => return Err(PlayError::WrongAnswer),
            }
        }
        Ok(content)
    }

    /// Remembers a volume under this name. Returns how many of its tracks are not all zeros.
    pub(crate) fn mark(&mut self, name: &str, ldev: LdevId) -> Result<usize, PlayError> {
        let content = self.content(ldev)?;
        let pairs = self.unit().pairs();
        let image = pairs.iter().find(|pair| pair.secondary == ldev).map(|pair| pair.image);
        let image = image.filter(|image| *image != ImageNo(0));
        let written = content.written();
        self.marks.insert(name.to_owned(), Marked { content, image });
        Ok(written)
    }

    fn content_on_drive(&mut self, ldev: LdevId) -> Result<Content, PlayError> {
        self.destage(ldev)?;
        let volume = self.volume(ldev)?;
        let mut content = Content::empty(volume.geometry);
        for stored in stored_tracks(self.unit(), self.plant(), &volume) {
            let track = stored.track;
            let data = stored.data.ok_or(PlayError::Unreadable { ldev, track })?;
            content.note(track, &data);
        }
        Ok(content)
    }

    fn plant(&self) -> &Plant {
        match &self.crank {
            Crank::Sim(sim) => sim.plant(),
            Crank::Threads(threads) => threads.plant(),
        }
    }

    /// Brings everything of a volume to its drive.
    fn destage(&mut self, ldev: LdevId) -> Result<(), PlayError> {
        match self.ask(HostOp::Flush { ldev })? {
            HostReply::Done => Ok(()),
            HostReply::Failed(error) => Err(PlayError::NotRead { error }),
            _ => Err(PlayError::WrongAnswer),
        }
    }

    /// Looks at every stored block of a volume behind the unit's back.
    pub(crate) fn verify(&mut self, ldev: LdevId) -> Result<Verified, PlayError> {
        if self.volume(ldev)?.state != VolumeState::Blocked {
            self.destage(ldev)?;
        }
        self.settle()?;
        let volume = self.volume(ldev)?;
        let mut found = Verified::default();
        for stored in stored_tracks(self.unit(), self.plant(), &volume) {
            found.tracks += 1;
            found.bad_blocks += stored.bad.len();
            found.unreadable_tracks += usize::from(stored.data.is_none());
        }
        Ok(found)
    }

    /// What is never allowed to be, once nothing is left to do: jobs that still wait.
    pub(crate) fn stuck_jobs(&self) -> usize {
        match &self.crank {
            Crank::Sim(sim) => sim.waiting_jobs() + sim.busy_jobs() + sim.open_requests(),
            // Every answer was waited for, and nothing else can be asked.
            Crank::Threads(_) => 0,
        }
    }

    /// The entries of the history since this was last asked that pass these filters.
    pub(crate) fn take_history(&mut self, filters: Vec<HistoryFilter>) -> Vec<HistoryEntry> {
        let page = self.history(self.history_next, filters);
        self.history_next = page.next;
        page.entries
    }

    /// The entries of the history from this number on that pass these filters.
    pub(crate) fn history(&self, since: u64, filters: Vec<HistoryFilter>) -> HistoryPage {
        self.unit().history(&HistoryQuery { since, filters, ..HistoryQuery::default() })
    }
}

/// Whether nothing is copied and nothing dirty.
fn is_quiet(unit: &Unit) -> bool {
    let is_copied = |pair: &Pair| pair.copier && pair.c.count() > pair.unreadable.count();
    let cache = unit.cache_counts();
    cache.dirty_slots == cache.failed_slots && !unit.pairs().iter().any(is_copied)
}

/// Whether an operation, if it is accepted, makes an image of its instant.
fn makes_image(op: &HostOp) -> bool {
    match op {
        HostOp::Command(command) => match command.code {
            CommandCode::Copy => true,
            CommandCode::Create => command.and_copy,
            CommandCode::QuickRestore => command.freeze,
            _ => false,
        },
        HostOp::CreateAuto(create) => create.and_copy,
        HostOp::Group(command) => command.code == CommandCode::Copy,
        _ => false,
    }
}

fn is_accepted(reply: &HostReply) -> bool {
    matches!(Answer::of(reply), Answer::Accepted { .. })
}

/// The blocks of tracks `first` to before `last`.
fn blocks_of(geometry: Geometry, first: u64, last: u64) -> BlockRange {
    let end = geometry.block_count().min(geometry.first_block(TrackNo(last)).0);
    BlockRange { start: geometry.first_block(TrackNo(first)), end: BlockNo(end) }
}

fn make_dir(dir: &Path) -> Result<TempDir, PlayError> {
    let failed = |source| PlayError::Directory { dir: dir.to_owned(), source };
    if !std::fs::metadata(dir).map_err(failed)?.is_dir() {
        return Err(PlayError::NotDirectory { path: dir.to_owned() });
    }
    // The path that the error adds is of no use: the name was made up.
    TempDir::with_prefix_in("diptych-play-", dir).map_err(|error| failed(error.kind().into()))
}

/// One drive a volume, unless volumes share one.
fn make_drives(volumes: &[VolumeRow], dir: Option<&Path>) -> Result<Vec<Drive>, PlayError> {
    let count = volumes.iter().map(|volume| volume.drive + 1).max().unwrap_or(0);
    let mut sectors = vec![0; count];
    for volume in volumes.iter().filter(|volume| !volume.metadata) {
        sectors[volume.drive] += Groups::sectors_for(volume.geometry);
    }
    let make = |(no, sectors): (usize, &u64)| -> Result<Box<dyn Device>, PlayError> {
        // A drive that nobody uses is still a drive.
        let sectors = (*sectors).max(1);
        let Some(dir) = dir else { return Ok(Box::new(MemoryDrive::new(sectors))) };
        let made = FileDrive::create(dir.join(format!("drive-{no}")), sectors);
        Ok(Box::new(made.map_err(|source| PlayError::MakeDrive { dir: dir.to_owned(), source })?))
    };
    let made: Vec<_> = sectors.iter().enumerate().map(make).collect::<Result<_, _>>()?;
    Ok(Fault::shelf(made.into_iter().map(|drive| (drive, FaultPlan::none())))?)
}

fn make_unit(scenario: &Scenario, plant: &Plant) -> Result<Unit, PlayError> {
    let table = &scenario.unit;
    let track_bytes = scenario.volumes.iter().map(|volume| volume.geometry.track_bytes()).max();
    let usual = UnitConfig::with_cache(table.cache, track_bytes.unwrap_or(1));
    let config = UnitConfig {
        needs_reserve: table.needs_reserve,
        secondaries_max: table.secondaries_max,
        limits: Limits {
            pairs: table.pairs_max,
            queued_claims: table.queued_claims_max,
            ..usual.limits
        },
        lanes_max: table.lanes_max,
        group_pairs_max: table.group_pairs_max,
        groups_max: table.groups_max,
        schedules_max: table.schedules_max,
        history_max: table.history_max,
        utc_at_start: table.start.map_or(Utc::EPOCH, |UtcWord(start)| start),
        in_use_ns: table.in_use.ns,
        copy_rest_ns: table.copy_rest.ns,
        destage_delay_ns: table.destage_delay.ns,
        ..usual
    };
    let unit = Unit::new(config, plant)?;
    for volume in &scenario.volumes {
        if volume.metadata {
            unit.add_metadata_volume(volume.ldev, volume.geometry)?;
        } else {
            unit.add_volume(volume.ldev, volume.geometry, volume.drive)?;
        }
        if volume.reserved {
            unit.set_reserved(volume.ldev, true, Time::ZERO)?;
        }
    }
    Ok(unit)
}
