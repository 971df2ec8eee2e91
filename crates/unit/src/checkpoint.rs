//! Checkpoints: the whole control state in the log, so that what is before it can be given up.

use crate::Mailbox;
use crate::core::Core;
use crate::held::NotHeld;
use crate::job::JobMailbox;
use crate::kept::KeptValue;
use crate::park::Parking;
use crate::record::{self, Kind};
use crate::schedule::KeptSchedules;
use bytes::Bytes;
use diptych_cha::GroupName;
use diptych_dka::Home;
use diptych_format::{BLOCK_BYTES, BackingId, DriveNo, LdevId, SectorNo};
use diptych_log::{Entry, Sequence, sectors_for};
use diptych_shared::State;
use diptych_sync::Arc;
use diptych_sync::atomic::Ordering;
use serde::{Deserialize, Serialize};

/// The version of the control state. What was written by a later one is not read. Version 1 ends before
/// the kept values.
pub(crate) const VERSION: u16 = 2;
/// Bytes of one part.
const PART_BYTES: usize = 1 << 20;

/// Where a backing lies, as it is kept.
pub(crate) type KeptHome = (BackingId, DriveNo, SectorNo);

/// Everything but data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ControlState {
    pub(crate) first: FirstState,
    pub(crate) kept: Vec<KeptValue>,
}

/// What the first version has.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FirstState {
    pub(crate) shared: State,
    pub(crate) homes: Vec<KeptHome>,
    pub(crate) groups: Vec<(GroupName, Vec<(LdevId, LdevId)>)>,
    pub(crate) schedules: KeptSchedules,
    /// The next number of the unit's sequence, at least.
    pub(crate) sequence: u64,
    /// The next backing, at least.
    pub(crate) next_backing: u64,
}

/// A checkpoint under way, counted by the scheduler from the moment it is due.
pub(crate) struct Checkpointing {
    m: JobMailbox,
    core: Arc<Core>,
    freed: bool,
}

impl Checkpointing {
    pub(crate) fn new(m: JobMailbox, core: Arc<Core>) -> Self {
        Self { m, core, freed: false }
    }
}

impl Drop for Checkpointing {
    fn drop(&mut self) {
        let (m, core) = (&self.m, &self.core);
        core.scheduler.lock().checkpoint_ended(m.now(), self.freed);
        core.checkpoint_asked.store(false, Ordering::Release);
        // What became dirty while it was made may be what hosts wait for now.
        if self.freed && core.journal.has_waiters() {
            m.kick();
        }
    }
}

/// The job.
pub(crate) async fn make_checkpoint(mut running: Checkpointing) {
    let (m, core): (&Mailbox, &Core) = (&running.m, &running.core);
    match checkpoint(m, core).await {
        Ok(freed) => running.freed = freed,
        Err(_) => m.kick(), // the log has failed
    }
}

/// Writes the control state, and gives up what is before it and on the drives: whatever is clean is durable
/// there. What is in the way and no drive takes is parked before. Whether anything was given up: where that
/// would be less than what is put for it, nothing is done.
async fn checkpoint(m: &Mailbox, core: &Core) -> Result<bool, NotHeld> {
    // What is queued could not be given up.
    core.journal.write_out(m).await?;
    let Some(parking) = Parking::plan(core, m.now()) else { return Ok(false) };
    let took = core.scheduler.lock().checkpoint_sectors();
    if !frees_more(core, parking.frees_upto(), parking.sectors() + took) {
        return Ok(false);
    }
    parking.park(m, core).await?;
    let Some(oldest) = oldest_needed(core) else { return Ok(false) };
    if !frees_more(core, oldest, took) {
        return Ok(false); // somebody is at what was to be parked
    }
    let begin = write(core);
    core.journal.commit(m).await?;
    core.journal.trim(m, oldest.min(begin)).await?;
    Ok(true)
}

/// The first record that somebody may need.
fn oldest_needed(core: &Core) -> Option<Sequence> {
    // In this order: what is in flight may be in a slot by the time the cache is asked.
    let in_flight = core.journal.oldest_in_flight()?;
    Some(core.cache.oldest_logged().map_or(in_flight, |first| Sequence(first).min(in_flight)))
}

/// Whether giving up everything before `upto` is worth so many sectors: twice as many, unless hosts wait.
fn frees_more(core: &Core, upto: Sequence, sectors: u64) -> bool {
    let Some(log) = core.journal.log() else { return false };
    let worth = if core.journal.has_waiters() { sectors } else { 2 * sectors };
    log.sectors_before(upto) > worth
}

/// Puts the control state into the log. Returns the record at which it stands.
fn write(core: &Core) -> Sequence {
    let log = core.journal.log().expect("a checkpoint goes into a log");
    let (shared, (begin, homes)) = core.shared.snapshot(|| {
        let begin = log.put(vec![record::control(Kind::CheckpointBegin, &VERSION)]).start;
        let homes: Vec<KeptHome> = core.groups.homes().iter().map(kept_home).collect();
        (begin, homes)
    });
    // These are records of their own as a whole, so a later state does no harm.
    let groups = core.consistency_groups.lock().clone().into_iter().collect();
    let schedules = core.scheduler.lock().schedules.keep();
    let (sequence, next_backing) = core.numbers();
    let kept = core.kept.lock().all();
    let first = FirstState { shared, homes, groups, schedules, sequence, next_backing };
    let state = ControlState { first, kept };
    let mut bytes = postcard::to_allocvec(&state).expect("memory takes any encoding");
    let total = bytes.len() as u64;
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    let records = bytes.len().div_ceil(PART_BYTES) + 2;
    core.scheduler.lock().checkpoint_took(sectors_for(bytes.len(), 16 * records, records));
    let bytes = Bytes::from(bytes);
    for start in (0..bytes.len()).step_by(PART_BYTES) {
        let payload = bytes.slice(start..(start + PART_BYTES).min(bytes.len()));
        let head = postcard::to_allocvec(&(begin.0, start as u64)).expect("memory");
        log.put(vec![Entry::new(Kind::CheckpointPart as u16, head, payload)]);
    }
    let end = log.put(vec![record::control(Kind::CheckpointEnd, &(begin.0, total))]).end;
    core.journal.note_checkpoint(end);
    begin
}

pub(crate) fn kept_home(home: &Home) -> KeptHome {
    let extent = home.extent();
    (home.backing(), extent.drive, extent.base)
}
