//! Copying one track: steps 603-606 of Fig. 6, which are 904-907 of Fig. 9.

use crate::Mailbox;
use crate::change::activate_followers;
use crate::core::{Core, slot};
use crate::failure;
use crate::held::{Pinned, Room, Under};
use crate::history::Message;
use crate::record;
use diptych_cache::DropOutcome;
use diptych_dka::{DkaError, Home, TrackWrite, read_track, write_track};
use diptych_drr as drr;
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, BlockRange, CheckArea, Geometry, LdevId, PairId, TrackBuf,
    TrackNo, TrackRange,
};
use diptych_shared::{Change, FamilyState, PairStatus, Phase, Transition};
use diptych_sync::{Arc, mutant};

/// Why a track is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// A host wants to change it (Fig. 9): the copy goes into the cache, the host waits for no drive
    /// write.
    Protect,
    /// The copier's turn (Fig. 6): the copy goes to the drive and leaves no slot behind.
    Background,
}

/// A volume that gets the track: a secondary, or a primary that is being restored.
struct Target {
    pair: PairId,
    ldev: LdevId,
    backing: BackingId,
    /// It has secondaries of its own, whose images may need its old track.
    is_primary: bool,
    geometry: Geometry,
}

impl Target {
    fn blocks(&self, track: TrackNo) -> BlockRange {
        let start = self.geometry.first_block(track);
        BlockRange::new(start, self.geometry.blocks_per_track())
    }
}

/// What is to be copied, as the family says under the claim.
pub(crate) struct CopyPlan {
    backing: BackingId,
    allocated: bool,
    metadata_only: bool,
    targets: Vec<Target>,
}

impl CopyPlan {
    pub(crate) fn of(family: &FamilyState, from: LdevId, pairs: &[PairId], track: TrackNo) -> Self {
        let volume = family.volume(from).expect("the source is in its family");
        let target = |id: &PairId| {
            let pair = family.pair(*id).expect("a pair is deleted only under the whole claim");
            let (source, ldev) = pair.direction();
            if source != from {
                // A destage that failed may have ended the restore since the claim was granted.
                let given_up = pair.status == PairStatus::Suspended && pair.secondary == from;
                assert!(given_up, "invariant: pair {id} copies from another volume");
                return None;
            }
            let target = family.volume(ldev).expect("the target is in the family");
            // While it is restored a primary's other pairs are split or suspended, and have marked
            // what is to come when the command was given.
            let is_primary = pair.status != PairStatus::Restoring
                && family.pairs_of_primary(ldev).next().is_some();
            let (backing, geometry) = (target.backing, target.geometry);
            Some(Target { pair: *id, ldev, backing, is_primary, geometry })
        };
        Self {
            backing: volume.backing,
            allocated: volume.allocated.get(track),
            metadata_only: volume.metadata_only,
            targets: pairs.iter().filter_map(target).collect(),
        }
    }
}

/// The whole track of the volume that is copied, as a host sees it.
struct Source<'a> {
    data: Arc<TrackBuf>,
    checks: Arc<CheckArea>,
    /// Set if the data is that of a slot.
    slot: Option<Pinned<'a>>,
}

/// Where a copy of the copier's is now.
enum Written {
    /// On the target's drive.
    OnDrive,
    /// In the cache, behind an older state that is on its way to the drive.
    InCache,
    /// Nowhere: it is tried again.
    Later,
}

/// The track cannot be read.
struct Unreadable;

impl<'a> Under<'a> {
    /// Copies a track of the volume `from` to the other side of `pairs`, and clears C there. Failures
    /// are dealt with here, pair by pair.
    ///
    /// There must be room for one buffer and one dirty slot a pair, and as much again where a target is
    /// itself a primary whose image needs its old track.
    pub(crate) async fn copy_track(
        &mut self,
        from: LdevId,
        pairs: &[PairId],
        track: TrackNo,
        why: Why,
    ) {
        let plan = self.with(|family| CopyPlan::of(family, from, pairs, track));
        self.copy_planned(plan, track, why).await;
    }

    /// The same where the plan was made in a visit under the claim.
    pub(crate) async fn copy_planned(&mut self, plan: CopyPlan, track: TrackNo, why: Why) {
        if plan.targets.is_empty() {
            return;
        }
        for target in plan.targets.iter().filter(|target| target.is_primary) {
            // The copy is a change of the target: what depends on that volume comes first.
            Box::pin(self.prepare_track(target.ldev, track)).await;
        }
        if plan.metadata_only || !plan.allocated {
            return self.copy_nothing(&plan, track, why);
        }
        let home = self.core.home(plan.backing);
        // 603, 904
        let Ok(source) = self.read_through(&home, track).await else {
            return self.source_failed(&plan, track);
        };
        // 604, 905
        let Ok(areas) = self.transfer(&source, &home, &plan, track).await else {
            return self.source_failed(&plan, track);
        };
        if why == Why::Protect {
            return self.protect(&plan, track, &source, areas).await;
        }
        for (target, checks) in plan.targets.iter().zip(areas) {
            // 605
            match self.put_on_drive(target, track, &source, Arc::new(checks)).await {
                // 609, 606, 607
                Ok(Written::OnDrive) => self.settling(target, track),
                Ok(Written::InCache) => self.copied(target, track, why, true),
                Ok(Written::Later) => {}
                Err(_) if mutant::removed("failed-copy-keeps-c") => {
                    self.copied(target, track, why, true);
                }
                Err(_) => self.target_failed(target, track),
            }
        }
    }

    /// 906 and 907 for all pairs in one visit: one record, a slot for each, and C cleared. What is in the
    /// slots is no news to anybody, so the record is written behind that; a destage waits for it.
    async fn protect(
        &mut self,
        plan: &CopyPlan,
        track: TrackNo,
        source: &Source<'_>,
        areas: Vec<CheckArea>,
    ) {
        let (m, core) = (self.m, self.core);
        let backings: Vec<BackingId> = plan.targets.iter().map(|target| target.backing).collect();
        let first = core.home(plan.backing).geometry().first_block(track);
        let Under { held, room, .. } = self;
        let put = held.with(|family| {
            for target in &plan.targets {
                copied(m, core, family, target, track, Why::Protect, true);
            }
            let record = || vec![record::copy(&backings, first, &source.data, &source.checks)];
            let put = core.journal.put(room.log(), plan.targets[0].ldev, family, record);
            room.logged_as(put.as_ref());
            for (target, checks) in plan.targets.iter().zip(areas) {
                put_in_cache(m, core, room, (target, track), source, Arc::new(checks));
            }
            room.placed();
            put
        });
        self.note_dirty();
        if core.journal.append(m, put.as_ref()).await.is_err() {
            m.kick(); // the log has failed, and with it the unit
        }
    }

    /// Reads the whole track through the cache: what is valid there is newer than the drive.
    async fn read_through(
        &mut self,
        home: &Home,
        track: TrackNo,
    ) -> Result<Source<'a>, Unreadable> {
        let (m, cache) = (self.m, &self.core.cache);
        let whole = BlockMask::first(home.geometry().blocks_per_track());
        let pinned = match Pinned::of(m, cache, slot(home.backing(), track)) {
            Some(slot) if slot.pin().valid() == whole => {
                let (data, checks) = (slot.pin().handle(), slot.pin().checks_handle());
                return Ok(Source { data, checks, slot: Some(slot) });
            }
            other => other,
        };
        let valid = pinned.as_ref().map_or(BlockMask::NONE, |p| p.pin().valid());
        let at_drive = self.core.waits.at_drive(m, home.drive());
        let staged = read_track(m, home, track, self.room.buffer(), whole.without(valid)).await;
        drop(at_drive);
        let mut staged = staged.map_err(|_| Unreadable)?;
        if !staged.bad.is_empty() {
            return Err(Unreadable);
        }
        if let Some(slot) = &pinned {
            overlay(&mut staged.data, &mut staged.checks, slot);
        }
        let (data, checks) = (Arc::new(staged.data), Arc::new(staged.checks));
        Ok(Source { data, checks, slot: None })
    }

    /// Check fields for every target, made by the address change unit from a source it has verified.
    async fn transfer(
        &self,
        source: &Source<'_>,
        home: &Home,
        plan: &CopyPlan,
        track: TrackNo,
    ) -> Result<Vec<CheckArea>, Unreadable> {
        let op = drr::Op {
            data: source.data.clone(),
            checks: source.checks.clone(),
            place: home.drr_place(track),
            targets: plan.targets.iter().map(|target| target.backing).collect(),
            copy_into: None,
        };
        self.m.transfer(home.dka_no(), op).await.result.map_err(|_| Unreadable)
    }

    /// Writes the copy to the target's drive, and leaves no slot behind.
    async fn put_on_drive(
        &mut self,
        target: &Target,
        track: TrackNo,
        source: &Source<'_>,
        checks: Arc<CheckArea>,
    ) -> Result<Written, DkaError> {
        // What is on the drive is not to be newer than what is durable in the log: neither the data, nor
        // the marks in the pairs below, nor the status that has this track copied.
        let core = self.core;
        if core.journal.commit(self.m).await.is_err() {
            return Ok(Written::Later);
        }
        match self.core.cache.drop_slot(slot(target.backing, track)) {
            DropOutcome::Dropped(wakes) => self.m.wake(wakes),
            // The drive is busy with an older state of this track: the copy must come after it.
            DropOutcome::Destaging if core.journal.is_on() => return Ok(Written::Later),
            DropOutcome::Destaging if !mutant::removed("copy-after-destage") => {
                put_in_cache(self.m, core, &mut self.room, (target, track), source, checks);
                self.note_dirty();
                return Ok(Written::InCache);
            }
            DropOutcome::Absent | DropOutcome::Destaging => {}
        }
        let home = self.core.home(target.backing);
        let whole = BlockMask::first(checks.block_count());
        let data = source.data.clone();
        let write = TrackWrite { data, checks, valid: whole, dirty: whole };
        let _at_drive = self.core.waits.at_drive(self.m, home.drive());
        write_track(self.m, &home, track, write).await.map(|()| Written::OnDrive)
    }

    /// The track has no storage, or the volumes have no payload: only bits move.
    fn copy_nothing(&mut self, plan: &CopyPlan, track: TrackNo, why: Why) {
        let (m, core) = (self.m, self.core);
        let range = TrackRange::one(track);
        for target in &plan.targets {
            if !plan.metadata_only {
                m.wake(core.cache.purge(target.backing, Some(range)));
            }
            let Under { held, room, .. } = self;
            // A bit that is lost in a crash is one that was not cleared; so nothing waits for it.
            held.with(|family| {
                copied(m, core, family, target, track, why, plan.allocated);
                core.journal.put(room.log(), target.ldev, family, || match plan.metadata_only {
                    true => Vec::new(),
                    false => vec![record::discard(target.backing, target.blocks(track))],
                });
                room.placed();
            });
        }
    }

    /// Clears C, and makes the target's track allocated as the source's is.
    fn copied(&self, target: &Target, track: TrackNo, why: Why, allocated: bool) {
        let (m, core) = (self.m, self.core);
        self.with(|family| copied(m, core, family, target, track, why, allocated));
    }

    /// The track is on the target's drive. With a log, its C clears once that drive was flushed.
    fn settling(&self, target: &Target, track: TrackNo) {
        let (m, core) = (self.m, self.core);
        if !core.journal.is_on() {
            return self.copied(target, track, Why::Background, true);
        }
        self.with(|family| {
            let pair = family.pair(target.pair).expect("a pair of this family");
            if !pair.is_copying() || !pair.c.get(track) {
                return; // suspended by a failure elsewhere
            }
            let (ldev, tracks) = (target.ldev, TrackRange::one(track));
            family.change(Change::Allocate { ldev, tracks });
            family.change(Change::Settling { pair: target.pair, track });
            let primary = family.pair(target.pair).expect("a pair of this family").primary;
            let mut scheduler = core.scheduler.lock();
            let at = m.now() + core.config.settle_delay_ns;
            if scheduler.settling(target.pair, primary, track, at) {
                m.kick();
            }
        });
    }

    /// The track cannot be read: nothing is copied from a guess.
    fn source_failed(&self, plan: &CopyPlan, track: TrackNo) {
        for target in &plan.targets {
            self.with(|family| failure::source(self.m, self.core, family, target.pair, track));
        }
    }

    /// The track cannot be written: its pair is suspended, the host and other pairs go on.
    fn target_failed(&self, target: &Target, track: TrackNo) {
        let message = Message::SuspendedByTarget(track);
        self.with(|family| failure::target(self.m, self.core, family, target.pair, track, message));
    }
}

/// Leaves the copy in the cache, to be destaged like a host's write.
fn put_in_cache(
    m: &Mailbox,
    core: &Core,
    room: &mut Room<'_>,
    (target, track): (&Target, TrackNo),
    source: &Source<'_>,
    checks: Arc<CheckArea>,
) {
    // Two slots have one buffer now: neither is written in place.
    if let Some(slot_of_source) = &source.slot
        && !mutant::removed("mark-shared")
    {
        core.cache.mark_shared(slot_of_source.pin().key());
    }
    let (key, data) = (slot(target.backing, track), source.data.clone());
    let whole = BlockMask::first(checks.block_count());
    m.wake(core.cache.put(key, data, checks, whole, true, true, room.admission()));
}

/// Clears C, and makes the target's track allocated as the source's is.
fn copied(
    m: &Mailbox,
    core: &Core,
    family: &mut FamilyState,
    target: &Target,
    track: TrackNo,
    why: Why,
    allocated: bool,
) {
    let (ldev, tracks) = (target.ldev, TrackRange::one(track));
    family.change(if allocated {
        Change::Allocate { ldev, tracks }
    } else {
        Change::Deallocate { ldev, tracks }
    });
    let before = family.pair(target.pair).expect("a pair of this family");
    let given_up = before.status == PairStatus::Suspended && !before.c.get(track);
    if given_up && !mutant::removed("given-up-restore") {
        return; // a failure elsewhere had the restore given up meanwhile: DP has the track
    }
    let (protecting, phase) = (why == Why::Protect, before.phase);
    let transition = family.change(Change::Copied { pair: target.pair, track, protecting });
    copy_moved_on(m, core, family, (target.pair, ldev), phase, transition);
}

/// C of a pair, which copies to the volume `target`, has fewer tracks than before: says so where that
/// ends a copy, and wakes the level below.
pub(crate) fn copy_moved_on(
    m: &Mailbox,
    core: &Core,
    family: &FamilyState,
    (pair, target): (PairId, LdevId),
    phase_before: Phase,
    transition: Option<Transition>,
) {
    let pair = family.pair(pair).expect("the pair just changed");
    if let Some(transition) = transition {
        core.copy_ended(m.now(), pair, transition); // 504
    } else if pair.phase == Phase::Duplex && phase_before != Phase::Duplex {
        let status = Some(pair.status);
        core.record_of(m.now(), pair, Message::CaughtUp, status, status);
    }
    // Lanes of the level below have skipped this track until now.
    if !mutant::removed("wake-level-below") {
        activate_followers(m, core, family, target);
    }
}

/// Lays the valid blocks of a slot over a track read from the drive.
fn overlay(data: &mut TrackBuf, checks: &mut CheckArea, slot: &Pinned<'_>) {
    let pin = slot.pin();
    let area = pin.checks();
    for run in pin.valid().runs() {
        let bytes = run.start.0 as usize * BLOCK_BYTES..run.end.0 as usize * BLOCK_BYTES;
        data.bytes_mut()[bytes.clone()].copy_from_slice(&pin.data()[bytes]);
        for index in run.start.0..run.end.0 {
            checks.set(index, area.get(index));
        }
    }
}
