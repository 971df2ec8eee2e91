//! Checkpoints: the whole control state in the log, so that what is before it can be given up.

use crate::core::Core;
use crate::destage::destage_upto;
use crate::failure;
use crate::held::NotHeld;
use crate::job::JobMailbox;
use crate::kept::KeptValue;
use crate::park::park;
use crate::record::{self, Kind};
use crate::schedule::KeptSchedules;
use crate::{Effect, Event, Mailbox};
use bytes::Bytes;
use diptych_cha::GroupName;
use diptych_dka::{self as dka, Home};
use diptych_format::{BLOCK_BYTES, BackingId, DriveNo, LdevId, SectorNo};
use diptych_log::{Entry, Sequence};
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
}

impl Checkpointing {
    pub(crate) fn new(m: JobMailbox, core: Arc<Core>) -> Self {
        Self { m, core }
    }
}

impl Drop for Checkpointing {
    fn drop(&mut self) {
        let core = &self.core;
        let asked = {
            let mut scheduler = core.scheduler.lock();
            scheduler.checkpoint_ended();
            scheduler.destage_mark()
        };
        core.checkpoint_asked.store(false, Ordering::Release);
        // What was written again while it was destaged here was nobody else's to destage meanwhile.
        let offered = core.cache.needs_destage().offered_mark;
        let is_asked =
            |mark: u64| asked.is_some_and(|upto| mark <= upto) || core.cache.is_pressed();
        if offered.is_some_and(is_asked) {
            self.m.kick();
        }
    }
}

/// The job.
pub(crate) async fn make_checkpoint(running: Checkpointing) {
    let (m, core): (&Mailbox, &Core) = (&running.m, &running.core);
    if checkpoint(m, core).await.is_err() {
        m.kick(); // the log has failed
    }
}

/// Brings what is dirty to the drives, writes the control state, and gives up what is before both.
async fn checkpoint(m: &Mailbox, core: &Core) -> Result<(), NotHeld> {
    destage_upto(m, core, core.cache.dirty_mark()).await?;
    if let Some(last) = core.journal.last() {
        park(m, core, Sequence(last + 1)).await?;
    }
    // In this order: what is in flight may be in a slot by the time the cache is asked.
    let Some(in_flight) = core.journal.oldest_in_flight() else { return Ok(()) };
    let oldest =
        core.cache.oldest_logged().map_or(in_flight, |first| Sequence(first).min(in_flight));
    flush_drives(m, core).await;
    let begin = write(core);
    core.journal.commit(m).await?;
    core.journal.trim(m, oldest.min(begin)).await
}

/// What was destaged so far is durable after this. A drive that cannot flush has failed.
async fn flush_drives(m: &Mailbox, core: &Core) {
    let drives: Vec<DriveNo> = core.groups.drives().collect();
    let flush = |drive: &DriveNo| Effect::Disk(dka::Op::Flush { drive: *drive });
    let events = m.perform_all(drives.iter().map(flush).collect()).await;
    for (drive, event) in drives.iter().zip(events) {
        let Event::Disk(done) = event else { panic!("another's answer to a drive request") };
        if done.result.is_err() {
            failure::drive(m, core, *drive);
        }
    }
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
