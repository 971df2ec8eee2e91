//! Settling: what a lane has written to a drive is flushed, and only then its C clears, as one record
//! (`docs/decisions/0013-the-log-in-the-unit.md`).
//!
//! Invariant I7: the target's data is durable before the record that clears C is put.

use crate::copy_track::copy_moved_on;
use crate::core::Core;
use crate::failure;
use crate::held::Room;
use crate::history::Message;
use crate::job::JobMailbox;
use crate::record;
use crate::{Effect, Event, Mailbox};
use diptych_dka as dka;
use diptych_format::{BackingId, BlockNo, BlockRange, LdevId, PairId, TrackNo, TrackRange};
use diptych_shared::{Change, FamilyState, Pair};
use diptych_sync::Arc;

/// Runs of tracks that one record clears; the others wait for the next.
const RUNS_MAX: usize = 256;
/// Bytes of a run in the log, at most: where it clears, and where it voids.
const RUN_BYTES: usize = 64;

/// The settle job of one pair.
pub(crate) async fn settle(running: Settling) {
    let (m, core): (&Mailbox, &Core) = (&running.m, &running.core);
    settle_pair(m, core, running.primary, running.pair).await;
}

/// A settle job, counted by the scheduler from the moment it is due.
pub(crate) struct Settling {
    m: JobMailbox,
    core: Arc<Core>,
    primary: LdevId,
    pair: PairId,
}

impl Settling {
    pub(crate) fn new(m: JobMailbox, core: Arc<Core>, pair: PairId, primary: LdevId) -> Self {
        Self { m, core, primary, pair }
    }
}

impl Drop for Settling {
    fn drop(&mut self) {
        ended(&self.m, &self.core, self.primary, self.pair);
    }
}

/// Commands settle before they claim, so that C says what there is to copy. Where a job is at it
/// already, the command goes by what it finds.
pub(crate) async fn settle_family(m: &Mailbox, core: &Core, ldev: LdevId) {
    if !core.journal.is_on() {
        return;
    }
    let settling = |pair: &&Pair| !pair.settling().is_empty();
    let pairs = core.shared.with_family(ldev, |family| {
        let pairs = family.pairs().iter().filter(settling);
        pairs.map(|pair| (pair.primary, pair.id)).collect::<Vec<_>>()
    });
    for (primary, pair) in pairs.unwrap_or_default() {
        if core.scheduler.lock().begin_settle(pair) {
            settle_pair(m, core, primary, pair).await;
            ended(m, core, primary, pair);
        }
    }
}

/// What is left, and what came meanwhile, is for the next job.
fn ended(m: &Mailbox, core: &Core, primary: LdevId, pair: PairId) {
    let left = core.shared.with_family(primary, |family| {
        let left = family.pair(pair).is_some_and(|pair| !pair.settling().is_empty());
        let again = left.then(|| m.now() + core.config.settle_delay_ns);
        core.scheduler.lock().settle_ended(pair, again);
    });
    if left.is_err() {
        core.scheduler.lock().settle_ended(pair, None);
    }
    m.kick();
}

/// What settles when its drive is about to be flushed.
struct Flushed {
    target: LdevId,
    backing: BackingId,
    tracks: Vec<TrackRange>,
}

async fn settle_pair(m: &Mailbox, core: &Core, primary: LdevId, id: PairId) {
    let seen = core.shared.with_family(primary, |family| look(family, id));
    let Ok(Some(flushed)) = seen else { return };
    let Some(home) = core.groups.home(flushed.backing) else { return };
    let flush = dka::Op::Flush { drive: home.drive() };
    let done = match m.perform(Effect::Disk(flush)).await {
        Event::Disk(done) => done.result,
        Event::Transfer(_) | Event::Log(_) => panic!("another's answer to a drive request"),
    };
    // No claim is held here; a command settles before it claims.
    let Ok(_room) = Room::for_heads(m, core, RUNS_MAX * RUN_BYTES).await else {
        return;
    };
    let settled = core.shared.with_family(primary, |family| {
        if done.is_err() {
            // Nobody knows what of it is on the drive.
            let first = flushed.tracks.first().map_or(TrackNo(0), |tracks| tracks.start);
            if family.pair(id).is_some_and(Pair::is_copying) {
                let message = Message::SuspendedByTarget(first);
                failure::target(m, core, family, id, first, message);
            }
            return;
        }
        clear(m, core, family, id, &flushed);
    });
    // The end of a copy is told; and what failed, too.
    if settled.is_ok() && core.journal.commit(m).await.is_err() {
        m.kick();
    }
}

fn look(family: &FamilyState, id: PairId) -> Option<Flushed> {
    let pair = family.pair(id).filter(|pair| pair.is_copying() && !pair.settling().is_empty())?;
    let target = pair.direction().1;
    let backing = family.volume(target)?.backing;
    let mut tracks = runs(pair, |_| true);
    tracks.truncate(RUNS_MAX);
    Some(Flushed { target, backing, tracks })
}

/// The tracks that settle, as runs of those that count.
fn runs(pair: &Pair, counts: impl Fn(TrackNo) -> bool) -> Vec<TrackRange> {
    let mut runs: Vec<TrackRange> = Vec::new();
    let mut from = TrackNo(0);
    while let Some(track) = pair.settling().next_set(from) {
        from = TrackNo(track.0 + 1);
        match runs.last_mut() {
            _ if !counts(track) => {}
            Some(last) if last.end == track => last.end = from,
            _ => runs.push(TrackRange::one(track)),
        }
    }
    runs
}

/// One visit: what settled before the flush, was left alone since, and is nobody's now.
fn clear(m: &Mailbox, core: &Core, family: &mut FamilyState, id: PairId, flushed: &Flushed) {
    let Some(pair) = family.pair(id).filter(|pair| pair.is_copying()) else { return };
    let volume = family.volume(flushed.target).filter(|v| v.backing == flushed.backing);
    let (Some(volume), true) = (volume, pair.direction().1 == flushed.target) else { return };
    let (geometry, phase) = (volume.geometry, pair.phase);
    let scheduler = core.scheduler.lock();
    let before = |track: TrackNo| {
        let no = flushed.tracks.partition_point(|tracks| tracks.end <= track);
        flushed.tracks.get(no).is_some_and(|tracks| tracks.start <= track)
    };
    // A track that is claimed may be under a copy that has seen its C: it settles another time.
    let mut tracks = runs(pair, |track| {
        before(track) && !scheduler.settles_since(id, track) && !family.is_busy(track)
    });
    drop(scheduler);
    tracks.truncate(RUNS_MAX);
    if tracks.is_empty() {
        return;
    }
    let discard = |tracks: &TrackRange| {
        let start = geometry.first_block(tracks.start);
        let end = BlockNo(start.0 + tracks.count() * geometry.blocks_per_track());
        record::discard(flushed.backing, BlockRange { start, end })
    };
    let discards: Vec<_> = tracks.iter().map(discard).collect();
    let transition = family.change(Change::Settled { pair: id, tracks });
    copy_moved_on(m, core, family, (id, flushed.target), phase, transition);
    // It is durable with whatever comes next: a bit that is lost is one that was not cleared.
    core.journal.put(None, flushed.target, family, || discards);
}
