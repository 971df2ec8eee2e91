//! Copying one track: steps 603-606 of Fig. 6, which are 904-907 of Fig. 9.

use crate::change::activate_followers;
use crate::core::slot;
use crate::failure;
use crate::held::{Pinned, Under};
use crate::history::Message;
use diptych_cache::DropOutcome;
use diptych_dka::{DkaError, Home, TrackWrite, read_track, write_track};
use diptych_drr as drr;
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, CheckArea, LdevId, PairId, TrackBuf, TrackNo, TrackRange,
};
use diptych_shared::{Change, FamilyState, PairStatus, Phase};
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
}

/// What is to be copied, as the family says under the claim.
struct Plan {
    backing: BackingId,
    allocated: bool,
    metadata_only: bool,
    targets: Vec<Target>,
}

impl Plan {
    fn of(family: &FamilyState, from: LdevId, pairs: &[PairId], track: TrackNo) -> Self {
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
            Some(Target { pair: *id, ldev, backing: target.backing, is_primary })
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
        let plan = self.with(|family| Plan::of(family, from, pairs, track));
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
        for (target, checks) in plan.targets.iter().zip(areas) {
            // 605, 906
            let checks = Arc::new(checks);
            let written = match why {
                Why::Protect => {
                    self.put_in_cache(target, track, &source, checks);
                    Ok(())
                }
                Why::Background => self.put_on_drive(target, track, &source, checks).await,
            };
            // 609, 606, 607; 907
            match written {
                Ok(()) => self.copied(target, track, why, true),
                Err(_) if mutant::removed("failed-copy-keeps-c") => {
                    self.copied(target, track, why, true);
                }
                Err(_) => self.target_failed(target, track),
            }
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
        plan: &Plan,
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

    /// Leaves the copy in the cache, to be destaged like a host's write.
    fn put_in_cache(
        &mut self,
        target: &Target,
        track: TrackNo,
        source: &Source<'_>,
        checks: Arc<CheckArea>,
    ) {
        // Two slots have one buffer now: neither is written in place.
        if let Some(slot_of_source) = &source.slot
            && !mutant::removed("mark-shared")
        {
            self.core.cache.mark_shared(slot_of_source.pin().key());
        }
        let (key, data) = (slot(target.backing, track), source.data.clone());
        let whole = BlockMask::first(checks.block_count());
        let (cache, admission) = (&self.core.cache, self.room.admission());
        self.m.wake(cache.put(key, data, checks, whole, true, true, admission));
        self.note_dirty();
    }

    /// Writes the copy to the target's drive, and leaves no slot behind.
    async fn put_on_drive(
        &mut self,
        target: &Target,
        track: TrackNo,
        source: &Source<'_>,
        checks: Arc<CheckArea>,
    ) -> Result<(), DkaError> {
        match self.core.cache.drop_slot(slot(target.backing, track)) {
            DropOutcome::Dropped(wakes) => self.m.wake(wakes),
            // The drive is busy with an older state of this track: the copy must come after it.
            DropOutcome::Destaging if !mutant::removed("copy-after-destage") => {
                self.put_in_cache(target, track, source, checks);
                return Ok(());
            }
            DropOutcome::Absent | DropOutcome::Destaging => {}
        }
        let home = self.core.home(target.backing);
        let whole = BlockMask::first(checks.block_count());
        let data = source.data.clone();
        let write = TrackWrite { data, checks, valid: whole, dirty: whole };
        let _at_drive = self.core.waits.at_drive(self.m, home.drive());
        write_track(self.m, &home, track, write).await
    }

    /// The track has no storage, or the volumes have no payload: only bits move.
    fn copy_nothing(&self, plan: &Plan, track: TrackNo, why: Why) {
        let range = TrackRange::one(track);
        for target in &plan.targets {
            if !plan.metadata_only {
                self.m.wake(self.core.cache.purge(target.backing, Some(range)));
            }
            self.copied(target, track, why, plan.allocated);
        }
    }

    /// Clears C, and makes the target's track allocated as the source's is.
    fn copied(&self, target: &Target, track: TrackNo, why: Why, allocated: bool) {
        let (m, core) = (self.m, self.core);
        let (ldev, tracks) = (target.ldev, TrackRange::one(track));
        self.with(|family| {
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
            let change = Change::Copied { pair: target.pair, track, protecting };
            let transition = family.change(change);
            let pair = family.pair(target.pair).expect("the pair just changed");
            if let Some(transition) = transition {
                core.copy_ended(m.now(), pair, transition); // 504
            } else if pair.phase == Phase::Duplex && phase != Phase::Duplex {
                let status = Some(pair.status);
                core.record_of(m.now(), pair, Message::CaughtUp, status, status);
            }
            // Lanes of the level below have skipped this track until now.
            if !mutant::removed("wake-level-below") {
                activate_followers(m, core, family, ldev);
            }
        });
    }

    /// The track cannot be read: nothing is copied from a guess.
    fn source_failed(&self, plan: &Plan, track: TrackNo) {
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
