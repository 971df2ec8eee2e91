//! Copying one track: steps 603-606 of Fig. 6, which are 904-907 of Fig. 9.

use crate::Mailbox;
use crate::change::{activate_followers, prepare_track};
use crate::core::{Core, drr_place, slot};
use crate::held::{Held, Pinned, Room};
use crate::history::{HistoryEntry, Message};
use diptych_cache::DropOutcome;
use diptych_dka::{Home, TrackWrite, read_track, write_track};
use diptych_drr as drr;
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, CheckArea, LdevId, PairId, TrackBuf, TrackNo, TrackRange,
};
use diptych_shared::{Change, FamilyState, PairStatus};
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

/// A secondary that gets the track.
struct Target {
    pair: PairId,
    ldev: LdevId,
    backing: BackingId,
}

/// What is to be copied, as the family says under the claim.
struct Plan {
    backing: BackingId,
    allocated: bool,
    metadata_only: bool,
    targets: Vec<Target>,
}

impl Plan {
    fn of(family: &FamilyState, primary: LdevId, pairs: &[PairId], track: TrackNo) -> Self {
        let volume = family.volume(primary).expect("the primary is in its family");
        let target = |id: &PairId| {
            let pair = family.pair(*id).expect("a pair is deleted only under the whole claim");
            let secondary = family.volume(pair.secondary).expect("the secondary is in the family");
            Target { pair: *id, ldev: pair.secondary, backing: secondary.backing }
        };
        Self {
            backing: volume.backing,
            allocated: volume.allocated.get(track),
            metadata_only: volume.metadata_only,
            targets: pairs.iter().map(target).collect(),
        }
    }
}

/// The whole track of the primary, as the host sees it.
struct Source<'a> {
    data: Arc<TrackBuf>,
    checks: Arc<CheckArea>,
    /// Set if the data is that of a slot.
    slot: Option<Pinned<'a>>,
}

/// The track cannot be read.
struct Unreadable;

/// Copies track `track` of `primary` to the secondaries of `pairs`, and clears C there. Failures are
/// dealt with here, pair by pair; the answer tells whether every pair got its copy.
///
/// The caller holds the claim, and has room for one buffer and one dirty slot a pair, and as much
/// again where a secondary is itself a primary whose image needs its old track.
pub(crate) async fn copy_track(
    m: &Mailbox,
    core: &Core,
    held: &Held<'_>,
    primary: LdevId,
    pairs: &[PairId],
    track: TrackNo,
    why: Why,
    room: &mut Room<'_>,
) -> bool {
    let plan = held.with(|family| Plan::of(family, primary, pairs, track));
    for target in &plan.targets {
        // The copy is a change of the secondary: what depends on that volume comes first.
        Box::pin(prepare_track(m, core, held, target.ldev, track, room)).await;
    }
    if plan.metadata_only || !plan.allocated {
        copy_nothing(m, core, held, &plan, track, why);
        return true;
    }
    let home = core.home(plan.backing);
    // 603, 904
    let Ok(source) = read_through(m, core, &home, track, room).await else {
        source_failed(m, core, held, &plan, track);
        return false;
    };
    // 604, 905
    let done = m
        .transfer(drr::Op {
            data: source.data.clone(),
            checks: source.checks.clone(),
            place: drr_place(&home, track),
            targets: plan.targets.iter().map(|t| t.backing).collect(),
            copy_into: None,
        })
        .await;
    let Ok(areas) = done.result else {
        drop((done.data, done.checks));
        source_failed(m, core, held, &plan, track);
        return false;
    };
    drop((done.data, done.checks));
    if why == Why::Protect
        && let Some(slot_of_source) = &source.slot
    {
        core.cache.mark_shared(slot_of_source.pin().key());
    }
    let mut all = true;
    for (target, checks) in plan.targets.iter().zip(areas) {
        // 605, 906
        let written =
            put_copy(m, core, target, track, &source.data, Arc::new(checks), why, room).await;
        // 609, 606, 607; 907
        match written {
            Ok(()) => copied(m, core, held, target, track, why, true),
            Err(_) => target_failed(m, core, held, target, track),
        }
        all &= written.is_ok();
    }
    all
}

/// Writes the copy: into the cache, or to the secondary's drive.
#[expect(clippy::too_many_arguments, reason = "one step of one flowchart")]
async fn put_copy(
    m: &Mailbox,
    core: &Core,
    target: &Target,
    track: TrackNo,
    data: &Arc<TrackBuf>,
    checks: Arc<CheckArea>,
    why: Why,
    room: &mut Room<'_>,
) -> Result<(), ()> {
    let key = slot(target.backing, track);
    let home = core.home(target.backing);
    let whole = BlockMask::first(home.geometry().blocks_per_track());
    let by_cache = why == Why::Protect
        || match core.cache.drop_slot(key) {
            DropOutcome::Dropped(wakes) => {
                m.wake(wakes);
                false
            }
            DropOutcome::Absent => false,
            // The drive is busy with an older state of this track: the copy must come after it.
            DropOutcome::Destaging => !mutant::removed("copy-after-destage"),
        };
    if by_cache {
        let wakes = core.cache.put(key, data.clone(), checks, whole, true, true, room.admission());
        m.wake(wakes);
        note_dirty(m, core);
        return Ok(());
    }
    let write = TrackWrite { data: data.clone(), checks, valid: whole, dirty: whole };
    write_track(m, &home, track, write).await.map_err(|_| ())
}

/// Reads the whole track through the cache: what is valid there is newer than the drive.
async fn read_through<'a>(
    m: &'a Mailbox,
    core: &'a Core,
    home: &Home,
    track: TrackNo,
    room: &mut Room<'_>,
) -> Result<Source<'a>, Unreadable> {
    let key = slot(home.backing(), track);
    let whole = BlockMask::first(home.geometry().blocks_per_track());
    let pinned = match Pinned::of(m, &core.cache, key) {
        Some(slot) if slot.pin().valid() == whole => {
            let (data, checks) = (slot.pin().handle(), slot.pin().checks_handle());
            return Ok(Source { data, checks, slot: Some(slot) });
        }
        other => other,
    };
    let valid = pinned.as_ref().map_or(BlockMask::NONE, |p| p.pin().valid());
    let missing = whole.without(valid);
    let staged = read_track(m, home, track, room.buffer(), missing).await;
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

/// Lays the valid blocks of a slot over a track read from the drive.
pub(crate) fn overlay(data: &mut TrackBuf, checks: &mut CheckArea, slot: &Pinned<'_>) {
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

/// The primary's track has no storage, or the volumes have no payload: only bits move.
fn copy_nothing(m: &Mailbox, core: &Core, held: &Held<'_>, plan: &Plan, track: TrackNo, why: Why) {
    let range = TrackRange::one(track);
    for target in &plan.targets {
        if !plan.metadata_only {
            m.wake(core.cache.purge(target.backing, Some(range)));
        }
        copied(m, core, held, target, track, why, plan.allocated);
    }
}

/// Clears C, and makes the secondary's track allocated as the primary's is.
fn copied(
    m: &Mailbox,
    core: &Core,
    held: &Held<'_>,
    target: &Target,
    track: TrackNo,
    why: Why,
    allocated: bool,
) {
    let tracks = TrackRange::one(track);
    held.with(|family| {
        let ldev = target.ldev;
        family.change(if allocated {
            Change::Allocate { ldev, tracks }
        } else {
            Change::Deallocate { ldev, tracks }
        });
        let protecting = why == Why::Protect;
        let change = Change::Copied { pair: target.pair, track, protecting };
        if let Some(transition) = family.change(change) {
            let pair = family.pair(target.pair).expect("the pair just changed");
            core.record_transition(m.now(), pair, transition);
        }
        // Lanes of the level below have skipped this track until now.
        activate_followers(m, core, family, target.ldev);
    });
}

/// The primary's track cannot be read: nothing is copied from a guess.
fn source_failed(m: &Mailbox, core: &Core, held: &Held<'_>, plan: &Plan, track: TrackNo) {
    for target in &plan.targets {
        held.with(|family| {
            let pair = family.pair(target.pair).expect("a pair of this claim's family");
            if pair.status == PairStatus::PairedNotCopied {
                let change = Change::Unreadable { pair: target.pair, track };
                fail(m, core, family, target.pair, change, Message::SourceUnreadable(track));
            } else {
                let change = Change::Suspend { pair: target.pair, all_different: false };
                fail(m, core, family, target.pair, change, Message::SuspendedBySource(track));
            }
        });
    }
}

/// The secondary's track cannot be written: its pair is suspended, the host and other pairs go on.
fn target_failed(m: &Mailbox, core: &Core, held: &Held<'_>, target: &Target, track: TrackNo) {
    let tracks = TrackRange::one(track);
    held.with(|family| {
        let change = Change::Suspend { pair: target.pair, all_different: false };
        fail(m, core, family, target.pair, change, Message::SuspendedByTarget(track));
        // Nobody knows what the track holds now.
        family.change(Change::SecondaryChange { secondary: target.ldev, tracks });
    });
}

fn fail(
    m: &Mailbox,
    core: &Core,
    family: &mut FamilyState,
    id: PairId,
    change: Change,
    message: Message,
) {
    let before = family.pair(id).expect("a pair of this claim's family").status;
    if before == PairStatus::Suspended {
        return;
    }
    family.change(change);
    let pair = family.pair(id).expect("a pair of this claim's family");
    core.record(HistoryEntry {
        at: m.now(),
        message,
        pair: Some(id),
        primary: Some(pair.primary),
        secondary: Some(pair.secondary),
        from: Some(before),
        to: Some(pair.status),
    });
    if pair.status == PairStatus::Suspended {
        core.scheduler.lock().stop(id);
    }
}

/// Something became dirty: see to its destage.
pub(crate) fn note_dirty(m: &Mailbox, core: &Core) {
    if core.scheduler.lock().dirty(m.now(), core.config.destage_delay_ns)
        || core.cache.needs_destage().is_pressing()
    {
        m.kick();
    }
}
