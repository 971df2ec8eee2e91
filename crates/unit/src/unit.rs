//! The control unit 102: what a driver and an operator see of it.

use crate::accept::accept_contents;
use crate::changed::{self, Changed, ChangedQuery};
use crate::checkpoint::{Checkpointing, make_checkpoint};
use crate::commands::{command, create_auto, group};
use crate::core::{Core, Shape};
use crate::destage::{Running, destage, flush};
use crate::drain::end_late;
use crate::elemental::{Lane, elemental_copy};
use crate::facts::{allocation, describe};
use crate::format::format;
use crate::history::{HistoryEntry, HistoryPage, HistoryQuery, Message};
use crate::host_modify::{compare_and_write, or_write};
use crate::host_read::host_read;
use crate::host_write::{host_write, unmap};
use crate::job::JobMailbox;
use crate::ledger;
use crate::mailbox::Role;
use crate::pairs::pairs;
use crate::schedule::{Ticking, tick};
use crate::scheduler::{CopySpeed, DestageTurn, Scheduler, Situation};
use crate::settle::{Settling, settle};
use crate::{Job, Mailbox, Plant, UnitConfig, UnitError, Wakes};
use diptych_cache::{Cache, CacheCounts};
use diptych_cha::{HostError, HostOp, HostReply};
use diptych_dka::Groups;
use diptych_format::{BackingId, DriveNo, Geometry, LdevId, OwnerId, PairId, Time};
use diptych_log::LogError;
use diptych_shared::{Change, Pair, PairOptions, Volume, VolumeState};
use diptych_sync::Arc;
use diptych_sync::atomic::Ordering;
use std::collections::BTreeMap;
use std::fmt;

/// What is due, as [`Unit::due`] says.
#[derive(Debug)]
pub struct Due {
    /// Jobs to start now.
    pub jobs: Vec<Job<()>>,
    /// Jobs whose wait is over, to be told.
    pub wakes: Wakes,
    /// When to ask again, if nothing happens before.
    pub next: Option<Time>,
    /// Counts the answers: of two, `next` of the one with the higher number holds, whichever a driver
    /// comes to first.
    pub no: u64,
}

/// The control unit. A handle: clones are the same unit.
#[derive(Clone)]
pub struct Unit {
    core: Arc<Core>,
}

impl fmt::Debug for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unit")
    }
}

impl Unit {
    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    pub(crate) fn core_handle(&self) -> Arc<Core> {
        self.core.clone()
    }

    /// A unit without volumes, over this hardware: one parity group a drive. If the hardware has a
    /// log, everything that is answered from here on is in it; a log that holds something already is
    /// for [`Unit::open`].
    ///
    /// # Errors
    ///
    /// If a setting is not possible.
    pub fn new(config: UnitConfig, plant: &Plant) -> Result<Self, UnitError> {
        config.check()?;
        let cache = Cache::new(config.cache)?;
        let groups = Groups::single_drives(plant.drives());
        Ok(Self { core: Arc::new(Core::new(config, cache, groups, plant.log().cloned())) })
    }

    /// Makes a volume in a parity group. It is thin: it reads zero until it is written.
    ///
    /// # Errors
    ///
    /// If there is such a volume, no such group, or no room.
    pub fn add_volume(
        &self,
        ldev: LdevId,
        geometry: Geometry,
        group_no: usize,
    ) -> Result<(), UnitError> {
        let (track_bytes, slot_bytes) =
            (geometry.track_bytes(), self.core.config.cache.track_bytes);
        if track_bytes > slot_bytes {
            return Err(UnitError::TrackTooLarge { ldev, track_bytes, slot_bytes });
        }
        let backing = self.core.next_backing().ok_or(UnitError::NoBackings)?;
        self.core.placed(&self.core.groups.allocate(backing, geometry, group_no)?);
        let added = self.add(Volume::new(ldev, geometry, backing));
        added.inspect_err(|_| self.core.free_backing(backing))?;
        Ok(self.core.journal.commit_now()?)
    }

    /// Makes a volume of maps and claims without payload, for experiments: it reads zero.
    ///
    /// # Errors
    ///
    /// If there is such a volume.
    pub fn add_metadata_volume(&self, ldev: LdevId, geometry: Geometry) -> Result<(), UnitError> {
        let backing = self.core.next_backing().ok_or(UnitError::NoBackings)?;
        let mut volume = Volume::new(ldev, geometry, backing);
        volume.metadata_only = true;
        self.add(volume)?;
        Ok(self.core.journal.commit_now()?)
    }

    pub(crate) fn known(&self, volume: &Volume) {
        let Volume { ldev, backing, first_backing, geometry, metadata_only, .. } = *volume;
        self.core.backings.lock().insert(backing, ldev);
        let shape = Shape { first_backing, geometry, metadata_only };
        self.core.shapes.write().insert(ldev, shape);
    }

    fn add(&self, volume: Volume) -> Result<(), UnitError> {
        let bytes = ledger::of_volume(volume.geometry);
        self.core.journal.check_room(bytes)?;
        self.core.ledger.take(bytes)?;
        let added = self.core.shared.add_volume(volume.clone());
        added.inspect_err(|_| self.core.ledger.put_back(bytes))?;
        self.known(&volume);
        Ok(())
    }

    /// Removes a volume that is in no pair and in use by nobody. Its data is gone. Returns the jobs
    /// that wait for its room, to be woken.
    ///
    /// # Errors
    ///
    /// If there is no such volume, or it is paired or in use.
    pub fn remove_volume(&self, ldev: LdevId) -> Result<Wakes, UnitError> {
        self.core.journal.check_room(0)?;
        let Volume { backing, geometry, .. } = self.core.shared.remove_volume(ldev)?;
        self.core.ledger.put_back(ledger::of_volume(geometry));
        self.core.shapes.write().remove(&ldev);
        self.core.access_board.forget(ldev);
        // Before its place can be another's.
        self.core.journal.commit_now()?;
        // In this order: once the backing is nobody's, the last destage of it gives the place back.
        let wakes = self.core.cache.purge(backing, None);
        self.core.backings.lock().remove(&backing);
        self.core.free_backing(backing);
        Ok(wakes)
    }

    /// Releases a volume that was blocked because its data could not be destaged: hosts may use it
    /// again, and what is dirty is destaged anew. The driver asks [`Unit::due`] afterwards.
    ///
    /// # Errors
    ///
    /// If there is no such volume.
    pub fn release_volume(&self, ldev: LdevId, now: Time) -> Result<(), UnitError> {
        self.core.journal.check_room(0)?;
        let state = VolumeState::Normal;
        let backing = self.core.shared.with_family(ldev, |family| {
            family.change(Change::VolumeState { ldev, state });
            family.volume(ldev).map(|volume| volume.backing)
        })?;
        if let Some(backing) = backing {
            self.core.cache.retry_failed(backing);
        }
        self.core.scheduler.lock().destage_upto(self.core.cache.dirty_mark());
        self.record_of_volume(now, ldev, Message::Released);
        Ok(self.core.journal.commit_now()?)
    }

    fn record_of_volume(&self, at: Time, ldev: LdevId, message: Message) {
        self.core.record(HistoryEntry::new(at, message).of_volume(ldev));
    }

    /// Sets or resets the reserve attribute (Fig. 11A: 1516).
    ///
    /// # Errors
    ///
    /// If there is no such volume, or it is in a pair.
    pub fn set_reserved(&self, ldev: LdevId, reserved: bool, now: Time) -> Result<(), UnitError> {
        self.core.journal.check_room(0)?;
        self.core.shared.with_family(ldev, |family| {
            let paired = family.pair_of_secondary(ldev).is_some()
                || family.pairs_of_primary(ldev).next().is_some();
            if paired {
                return Err(UnitError::Paired { ldev });
            }
            family.change(Change::Reserve { ldev, reserved });
            Ok(())
        })??;
        self.record_of_volume(now, ldev, Message::Reserved(reserved));
        Ok(self.core.journal.commit_now()?)
    }

    /// Changes pace and lanes of a pair, also while it is copied.
    ///
    /// # Errors
    ///
    /// If the volumes are no pair.
    pub fn change_pace(
        &self,
        primary: LdevId,
        secondary: LdevId,
        options: PairOptions,
        now: Time,
    ) -> Result<(), UnitError> {
        let (asked, most) = (options.lanes, self.core.config.lanes_max);
        if !(1..=most).contains(&asked) {
            return Err(UnitError::Lanes { asked, most });
        }
        self.core.journal.check_room(0)?;
        self.core.shared.with_family(primary, |family| {
            let pair = family.pair_between(primary, secondary);
            let pair = pair.ok_or(UnitError::NoPair { primary, secondary })?;
            let (id, status, quick) = (pair.id, Some(pair.status), pair.options.quick);
            self.core.record_of(now, pair, Message::PaceChanged, status, status);
            let options = PairOptions { quick, ..options };
            family.change(Change::Options { pair: id, options });
            self.core.scheduler.lock().change(id, options);
            Ok::<(), UnitError>(())
        })??;
        Ok(self.core.journal.commit_now()?)
    }

    /// How fast a pair is copied at `now`, and what holds it back; `None` if there is no such pair or
    /// nothing was to be copied since its last command.
    pub fn copy_speed(&self, primary: LdevId, secondary: LdevId, now: Time) -> Option<CopySpeed> {
        let pair = self.core.shared.with_family(primary, |family| {
            family.pair_between(primary, secondary).map(|pair| pair.id)
        });
        self.core.scheduler.lock().speed(pair.ok().flatten()?, now)
    }

    /// All volumes, ascending.
    pub fn volumes(&self) -> Vec<Volume> {
        let volumes = self.core.shared.volumes();
        volumes.into_iter().filter_map(|ldev| self.volume(ldev)).collect()
    }

    /// A volume as it is now.
    pub fn volume(&self, ldev: LdevId) -> Option<Volume> {
        self.core.shared.with_family(ldev, |family| family.volume(ldev).cloned()).ok().flatten()
    }

    /// A pair as it is now, with its maps.
    pub fn pair(&self, primary: LdevId, secondary: LdevId) -> Option<Pair> {
        let find = |family: &mut diptych_shared::FamilyState| {
            family.pair_between(primary, secondary).cloned()
        };
        self.core.shared.with_family(primary, find).ok().flatten()
    }

    /// All pairs, by number.
    pub fn pairs(&self) -> Vec<Pair> {
        let mut pairs: BTreeMap<PairId, Pair> = BTreeMap::new();
        for ldev in self.core.shared.volumes() {
            let of_volume = |family: &mut diptych_shared::FamilyState| {
                family.pairs_of_primary(ldev).cloned().collect::<Vec<_>>()
            };
            let found = self.core.shared.with_family(ldev, of_volume).unwrap_or_default();
            pairs.extend(found.into_iter().map(|pair| (pair.id, pair)));
        }
        pairs.into_values().collect()
    }

    /// What changed between the images of a pair, or since the last one: what an incremental backup
    /// has to read.
    ///
    /// # Errors
    ///
    /// If the volumes are no pair, the secondary holds no image, or no extent may be in the answer.
    pub fn changed(
        &self,
        primary: LdevId,
        secondary: LdevId,
        query: &ChangedQuery,
    ) -> Result<Changed, UnitError> {
        changed::changed(&self.core, primary, secondary, query)
    }

    /// What the history answers. Whoever records waits for a few entries at most, however much is
    /// asked for.
    pub fn history(&self, query: &HistoryQuery) -> HistoryPage {
        query.ask(&self.core.history)
    }

    /// Has `bell` called whenever something was recorded in the history, as each change of a pair's status
    /// is. It is called under the locks of whoever records: it is short, waits for nothing, and asks
    /// nothing of the unit. The first [`BELLS_MAX`](Self::BELLS_MAX) count.
    pub fn on_history(&self, bell: impl Fn() + Send + Sync + 'static) {
        self.core.bells.with(|bells| {
            if bells.len() < Self::BELLS_MAX {
                bells.push(Box::new(bell));
            }
        });
    }

    /// Bells of the history, at most.
    pub const BELLS_MAX: usize = 16;

    /// What ended the durable log, if anything did: nothing is answered as done from then on. The unit
    /// is to be stopped, and comes back from what is durable.
    pub fn log_failure(&self) -> Option<LogError> {
        self.core.journal.failure()
    }

    /// The cache's counts.
    pub fn cache_counts(&self) -> CacheCounts {
        self.core.cache.counts()
    }

    /// Where a backing's track lies, for tools that look at the drives behind the unit's back.
    pub fn home(&self, backing: BackingId) -> Option<diptych_dka::Home> {
        self.core.groups.home(backing)
    }

    /// The job that carries out a host operation.
    pub fn job(&self, owner: OwnerId, op: HostOp) -> Job<HostReply> {
        let core = self.core.clone();
        Job::new(owner, Role::Host, |m| serve(m, core, op))
    }

    /// The destage jobs to start.
    fn destages_due(&self, scheduler: &mut Scheduler, now: Time) -> Vec<DestageTurn> {
        let core = &self.core;
        let asked = scheduler.destage_mark();
        if asked.is_none() && !core.cache.is_pressed() {
            return Vec::new();
        }
        let need = core.cache.needs_destage();
        if asked.is_some_and(|upto| need.oldest_mark.is_none_or(|mark| mark > upto)) {
            scheduler.destaged();
        }
        // What is being destaged or written is looked at again when that ends: by the destage job, or
        // by the writer, who finds `dirtied` reset.
        let wanted = |mark| need.is_pressing() || asked.is_some_and(|upto| mark <= upto);
        let wanting = need.queues.iter().zip(0..=u16::MAX);
        let wanting = wanting.filter(|(queue, _)| queue.offered_mark.is_some_and(wanted));
        let most = core.config.destage_jobs;
        wanting.flat_map(|(_, no)| scheduler.start_destages(DriveNo(no), most, now)).collect()
    }

    /// Sees to it that everything is destaged before a checkpoint, if one is needed. When to ask again.
    fn checkpoint_needed(&self, scheduler: &mut Scheduler, now: Time) -> Option<Time> {
        let core = &self.core;
        if !core.journal.needs_checkpoint(&core.config) {
            // Who meets the need next is to say so.
            let none = scheduler.checkpoint_waits().is_none();
            none.then(|| core.checkpoint_asked.store(false, Ordering::Release));
            return None;
        }
        scheduler.begin_checkpoint(now, core.cache.dirty_mark())
    }

    /// Whether a checkpoint is to start: no drive that gets on has any of what is to be destaged before. Or
    /// when to ask again.
    fn checkpoint_due(&self, scheduler: &mut Scheduler, now: Time) -> (bool, Option<Time>) {
        let core = &self.core;
        let Some(upto) = scheduler.checkpoint_waits() else { return (false, None) };
        let need = core.cache.needs_destage();
        let has_some = need.queues.iter().zip(0..=u16::MAX);
        let has_some = has_some.filter(|(queue, _)| queue.oldest_mark.is_some_and(|m| m <= upto));
        let (mut starts, mut next) = (true, None);
        for (_, no) in has_some {
            let late_at = scheduler.drive_late_at(DriveNo(no), core.config.drive_late_ns);
            if late_at.is_none_or(|at| at > now) {
                starts = false;
                next = next.into_iter().chain(late_at).min();
            }
        }
        if starts {
            scheduler.start_checkpoint();
        }
        (starts, next)
    }

    /// What is due at `now`: ticks, lanes and destages to start, and waits to end. Call it when a job
    /// says so ([`Job::take_signals`]) and at the deadline of the last answer. After the
    /// [end of the log](Self::log_failure) nothing starts, and nobody waits.
    pub fn due(&self, now: Time, mut owner: impl FnMut() -> OwnerId) -> Due {
        let core = &self.core;
        let mut scheduler = core.scheduler.lock();
        if core.journal.has_failed() {
            let no = scheduler.next_answer();
            drop(scheduler);
            let wakes = [core.journal.cancel_all(), core.cache.cancel_all()].concat();
            return Due { jobs: Vec::new(), wakes, next: None, no };
        }
        if core.dirtied.swap(false, Ordering::AcqRel) {
            scheduler.dirty(now, core.config.destage_delay_ns);
        }
        let limits = scheduler.has_limits();
        let pending_percent = if limits { core.cache.write_pending_percent() } else { 0 };
        let (turns, lanes_next) = scheduler.lanes_due(Situation { now, pending_percent });
        if scheduler.delay_over(now) {
            scheduler.destage_upto(core.cache.dirty_mark());
        }
        let needed_next = self.checkpoint_needed(&mut scheduler, now);
        let destages = self.destages_due(&mut scheduler, now);
        let (checkpoint, checkpoint_next) = self.checkpoint_due(&mut scheduler, now);
        let ticks = scheduler.schedules.ticks_due(now);
        let (settles, settles_next) = scheduler.settles_due(now);
        let checkpoint_next = needed_next.or(checkpoint_next);
        let destage_at = scheduler.destage_at();
        let scheduled = scheduler.schedules.next_at();
        let deadlines = [lanes_next, settles_next, checkpoint_next, destage_at, scheduled];
        let next = deadlines.into_iter().flatten().min();
        let no = scheduler.next_answer();
        drop(scheduler);
        let mut jobs = Vec::with_capacity(ticks.len() + turns.len() + destages.len());
        for due in ticks {
            let core = core.clone();
            jobs.push(Job::new(owner(), Role::Background, |m| tick(Ticking::new(m, core, due))));
        }
        for turn in turns {
            let core = core.clone();
            let role = if turn.watched { Role::WatchedLane(turn.pair) } else { Role::Background };
            jobs.push(Job::new(owner(), role, |m| elemental_copy(Lane::new(m, core, turn))));
        }
        for (pair, primary) in settles {
            let core = core.clone();
            let new = |m| settle(Settling::new(m, core, pair, primary));
            jobs.push(Job::new(owner(), Role::Background, new));
        }
        if checkpoint {
            let core = core.clone();
            let new = |m| make_checkpoint(Checkpointing::new(m, core));
            jobs.push(Job::new(owner(), Role::Background, new));
        }
        for turn in destages {
            let core = core.clone();
            let new = |m| destage(Running::new(m, core, turn));
            jobs.push(Job::new(owner(), Role::Background, new));
        }
        let (wakes, drains_next) = end_late(core, now);
        let next = next.into_iter().chain(drains_next).min();
        Due { jobs, wakes, next, no }
    }
}

/// The answer waits for the log's drive, if that was promised.
async fn commit_answer(m: &Mailbox, core: &Core) -> Result<(), HostError> {
    core.journal.commit_answer(m).await.map_err(|_| HostError::Stopping)
}

async fn serve(m: JobMailbox, core: Arc<Core>, op: HostOp) -> HostReply {
    let (m, core): (&Mailbox, &Core) = (&m, &core);
    let done = match op {
        HostOp::Read { ldev, blocks } => {
            return match host_read(m, core, ldev, blocks).await {
                Ok(data) => HostReply::Data(data),
                Err(error) => HostReply::Failed(error),
            };
        }
        HostOp::Command(asked) => {
            return HostReply::Outcome(Box::pin(command(m, core, asked)).await);
        }
        HostOp::CreateAuto(asked) => {
            return HostReply::Outcome(Box::pin(create_auto(m, core, asked)).await);
        }
        HostOp::Group(asked) => {
            return HostReply::Group(Box::pin(group(m, core, asked)).await);
        }
        HostOp::Write { ldev, block, data } => host_write(m, core, ldev, block, data).await,
        HostOp::CompareAndWrite { ldev, block, expected, data } => {
            match Box::pin(compare_and_write(m, core, ldev, block, (expected, data))).await {
                Ok(Some(at_bytes)) => return HostReply::Miscompare { at_bytes },
                other => other.map(drop),
            }
        }
        HostOp::OrWrite { ldev, block, data } => {
            Box::pin(or_write(m, core, ldev, block, data)).await
        }
        HostOp::Allocation { ldev, blocks } => {
            let runs = Box::pin(allocation(m, core, ldev, blocks)).await;
            return runs.map_or_else(HostReply::Failed, HostReply::Allocation);
        }
        HostOp::Describe { ldev } => {
            return describe(core, ldev).map_or_else(HostReply::Failed, HostReply::Volume);
        }
        HostOp::Pairs { of } => {
            let table = Box::pin(pairs(m, core, of)).await;
            return table.map_or_else(HostReply::Failed, HostReply::Pairs);
        }
        HostOp::Unmap { ldev, blocks } => Box::pin(unmap(m, core, ldev, blocks)).await,
        HostOp::Format { ldev } => Box::pin(format(m, core, ldev)).await,
        HostOp::AcceptContents { ldev } => Box::pin(accept_contents(m, core, ldev)).await,
        HostOp::Flush { ldev } => Box::pin(flush(m, core, ldev)).await,
    };
    let done = match done {
        Ok(()) if core.journal.is_on() => Box::pin(commit_answer(m, core)).await,
        other => other,
    };
    done.map_or_else(HostReply::Failed, |()| HostReply::Done)
}
