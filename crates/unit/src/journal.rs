//! The unit's side of the durable log (`docs/decisions/0013-the-log-in-the-unit.md`).
//!
//! A record is put under the lock of the family it speaks of, so the log has the order of memory. What
//! is put is written by an effect: [`Journal::append`], [`Journal::sync`]. A unit without a log has a
//! journal that keeps nothing.
//!
//! Invariant: data whose record is put has the room of its job until it is in a slot, and is in a slot
//! until it is on its drive.

use crate::checkpoint::kept_home;
use crate::config::{Durability, UnitConfig};
use crate::effect::{Effect, Event, LogOp, UnitLog};
use crate::held::{NotHeld, Wanted};
use crate::record::{self, Kind};
use crate::{Mailbox, Wakes};
use diptych_dka::Groups;
use diptych_format::{Answer, BLOCK_BYTES, BackingId, LdevId, Need, Wait};
use diptych_log::{Entry, LogAdmit, LogError, LogRoom, LogUsage, Sequence, sectors_for};
use diptych_shared::{Change, FamilyState, Recorder, Volume};
use diptych_sync::atomic::{AtomicBool, AtomicU64, Ordering};
use diptych_sync::{Arc, Mutex};

/// Bytes of a group's changes, and of other heads, that room is taken for.
const HEADS_BYTES: usize = 512;
/// Records of a host's group: its changes, and zeros around the data of fresh tracks.
const RECORDS: usize = 4;

/// See the module.
#[derive(Debug)]
pub(crate) struct Journal {
    on: Option<On>,
}

#[derive(Debug)]
struct On {
    log: Arc<UnitLog>,
    durability: Durability,
    /// The largest track, in bytes.
    track_bytes: usize,
    /// Where the last checkpoint ended.
    checkpointed: AtomicU64,
    /// What ended the log.
    failed: Mutex<Option<LogError>>,
    /// Whether anything did: for who looks at every read.
    has_failed: AtomicBool,
}

/// The log has no room for this just now: a checkpoint makes some. The driver asks
/// [`Unit::due`](crate::Unit::due) before it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the log is full for the moment: try again")]
pub struct LogBusy;

/// A group that was put.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Put {
    end: Sequence,
    bytes: u64,
}

impl Put {
    /// The last record of the group: what a slot with its data carries.
    pub(crate) fn last(&self) -> u64 {
        self.end.0 - 1
    }
}

impl Journal {
    /// Keeps nothing.
    pub(crate) fn off() -> Self {
        Self { on: None }
    }

    pub(crate) fn new(log: Arc<UnitLog>, durability: Durability, track_bytes: usize) -> Self {
        let (failed, has_failed) = (Mutex::new(None), AtomicBool::new(false));
        let checkpointed = AtomicU64::new(0);
        Self { on: Some(On { log, durability, track_bytes, checkpointed, failed, has_failed }) }
    }

    pub(crate) fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// The log.
    pub(crate) fn log(&self) -> Option<&Arc<UnitLog>> {
        self.on.as_ref().map(|on| &on.log)
    }

    /// What ended the log, if anything did.
    pub(crate) fn failure(&self) -> Option<LogError> {
        self.on.as_ref().and_then(|on| *on.failed.lock())
    }

    /// Whether the log has ended. Who holds a claim sees that of those who held it before.
    pub(crate) fn has_failed(&self) -> bool {
        self.on.as_ref().is_some_and(|on| on.has_failed.load(Ordering::Acquire))
    }

    /// Notes that the log has failed: nothing is answered as done from here on. The log itself would go
    /// on after some errors, as where there was no room under it for a while.
    pub(crate) fn failed(&self, error: LogError) {
        if let Some(on) = &self.on {
            on.log.stop(error);
            on.failed.lock().get_or_insert(error);
            on.has_failed.store(true, Ordering::Release);
        }
    }

    /// Sectors of the log that a job takes at most.
    fn sectors(&self, wanted: &Wanted) -> u64 {
        let Some(on) = &self.on else { return 0 };
        let copy_head =
            record::copy_head_bytes(UnitConfig::SECONDARIES, (on.track_bytes / 512) as u64);
        let mut sectors = 0;
        if wanted.records > 0 {
            let heads = HEADS_BYTES + wanted.records * record::DATA_HEAD_BYTES;
            sectors += sectors_for(wanted.data_bytes, heads, RECORDS + wanted.records);
        }
        let copies = wanted.copies as u64;
        sectors + copies * sectors_for(on.track_bytes, HEADS_BYTES + copy_head, RECORDS)
    }

    /// Waits for room in the log, holding nothing; `None` without a log. `checkpoint_sectors`: what the
    /// last checkpoint keeps of the log, whatever else is given up.
    pub(crate) async fn admit(
        &self,
        m: &Mailbox,
        wanted: &Wanted,
        checkpoint_sectors: u64,
    ) -> Result<Option<LogRoom>, NotHeld> {
        let sectors = self.sectors(wanted);
        let Some(on) = self.on.as_ref().filter(|_| sectors > 0) else { return Ok(None) };
        if sectors > on.sectors_at_once(checkpoint_sectors) {
            return Err(NotHeld::NoRoom);
        }
        match on.log.admit(m.owner(), sectors) {
            Ok(LogAdmit::Granted(room)) => Ok(Some(room)),
            Ok(LogAdmit::Queued) => {
                m.kick(); // a checkpoint makes room
                let mut waiting = Waiting { log: &on.log, m, over: false };
                match m.wait(Wait::Admit(Need::Log { sectors })).await {
                    Answer::Granted => {
                        waiting.over = true;
                        Ok(Some(on.log.admitted(m.owner())))
                    }
                    Answer::Moved | Answer::Cancelled => Err(NotHeld::Stopping),
                }
            }
            Err(LogError::NeverFits { .. }) => Err(NotHeld::NoRoom),
            Err(LogError::TooManyWaiters { .. }) => Err(NotHeld::Busy),
            Err(error) => Err(self.stops(m, error)),
        }
    }

    /// The log has failed: whoever waits is to be told, see [`Unit::due`](crate::Unit::due).
    fn stops(&self, m: &Mailbox, error: LogError) -> NotHeld {
        self.failed(error);
        m.kick();
        NotHeld::Stopping
    }

    /// Bytes that one job can have room for, at most.
    pub(crate) fn data_bytes_at_once(&self, checkpoint_sectors: u64) -> usize {
        let Some(on) = &self.on else { return usize::MAX };
        let most_sectors = on.sectors_at_once(checkpoint_sectors);
        let heads = self.sectors(&Wanted { records: 1, ..Wanted::default() });
        most_sectors.saturating_sub(heads) as usize * BLOCK_BYTES
    }

    /// Gives room back.
    pub(crate) fn return_room(&self, room: LogRoom) -> Wakes {
        let on = self.on.as_ref().expect("room of a log");
        on.log.return_room(room)
    }

    /// What was put with this room so far is in slots.
    pub(crate) fn placed(&self, room: &mut LogRoom) {
        self.on.as_ref().expect("room of a log").log.placed(room);
    }

    /// Puts what was changed in this visit to a family, and `data` with it, as one group. Without room
    /// of its own it takes what is kept for commands.
    pub(crate) fn put(
        &self,
        room: Option<&mut LogRoom>,
        of: LdevId,
        family: &mut FamilyState,
        data: impl FnOnce() -> Vec<Entry>,
    ) -> Option<Put> {
        let on = self.on.as_ref()?;
        let changes = family.take_changes();
        let mut group = Vec::with_capacity(2);
        if !changes.is_empty() {
            group.push(record::changes(of, &changes));
        }
        group.extend(data());
        let bytes = group.iter().map(|entry| entry.payload.len() as u64).sum();
        let sequences = match room {
            Some(room) => on.log.put_with(room, group),
            None => on.log.put(group),
        };
        Some(Put { end: sequences.end, bytes })
    }

    /// Puts what was changed in this visit to several families, as one group.
    pub(crate) fn put_all(&self, families: &mut [&mut FamilyState]) {
        let Some(on) = &self.on else { return };
        let changed = |family: &mut &mut FamilyState| {
            let changes = family.take_changes();
            let of = family.volumes().first().filter(|_| !changes.is_empty())?.ldev;
            Some(record::changes(of, &changes))
        };
        on.log.put(families.iter_mut().filter_map(changed).collect());
    }

    /// Puts a record that speaks of no family.
    pub(crate) fn put_control(&self, kind: Kind, value: &impl serde::Serialize) {
        if let Some(on) = &self.on {
            on.log.put(vec![record::control(kind, value)]);
        }
    }

    /// After the log has failed: ends the waits for its room.
    pub(crate) fn cancel_all(&self) -> Wakes {
        self.on.as_ref().map(|on| on.log.cancel_all()).unwrap_or_default()
    }

    /// Whether anybody waits for room.
    pub(crate) fn has_waiters(&self) -> bool {
        self.on.as_ref().is_some_and(|on| on.log.usage().waiters > 0)
    }

    /// Whether who waits for nothing may put so many bytes of heads now: the half of the reserve is for
    /// the checkpoint, and the rest is not for those who come again and again.
    pub(crate) fn check_room(&self, bytes: u64) -> Result<(), LogBusy> {
        let Some(on) = &self.on else { return Ok(()) };
        let usage = on.log.usage();
        let sectors = sectors_for(0, HEADS_BYTES + bytes as usize, RECORDS);
        let most = usage.capacity_sectors - usage.reserve_sectors * 3 / 4;
        let spoken_for = usage.used_sectors + usage.promised_sectors + sectors;
        if spoken_for <= most { Ok(()) } else { Err(LogBusy) }
    }

    /// Whether a checkpoint should be made: so much of the log is in use, or somebody waits for room and
    /// something was put since the last one.
    pub(crate) fn needs_checkpoint(&self, config: &UnitConfig) -> bool {
        let Some(on) = &self.on else { return false };
        let LogUsage { used_sectors, capacity_sectors, waiters, .. } = on.log.usage();
        let waited_for = || on.log.end().0 > on.checkpointed.load(Ordering::Acquire);
        used_sectors > capacity_sectors / 100 * u64::from(config.checkpoint_at_percent)
            || waiters > 0 && waited_for()
    }

    /// The last record of a checkpoint was put.
    pub(crate) fn note_checkpoint(&self, end: Sequence) {
        if let Some(on) = &self.on {
            on.checkpointed.fetch_max(end.0, Ordering::AcqRel);
        }
    }

    /// Writes what was put: it survives the death of the process.
    pub(crate) async fn append(&self, m: &Mailbox, put: Option<&Put>) -> Result<(), NotHeld> {
        let Some(Put { end, bytes, .. }) = put else { return Ok(()) };
        self.perform(m, LogOp::Append { upto: *end, bytes: *bytes }).await
    }

    /// Writes everything that was put so far: what was seen of memory survives the death of the process.
    pub(crate) async fn append_seen(&self, m: &Mailbox) -> Result<(), NotHeld> {
        let Some(on) = &self.on else { return Ok(()) };
        self.perform(m, LogOp::Append { upto: on.log.end(), bytes: 0 }).await
    }

    /// Writes everything that was put so far.
    pub(crate) async fn write_out(&self, m: &Mailbox) -> Result<(), NotHeld> {
        let Some(on) = &self.on else { return Ok(()) };
        self.perform(m, LogOp::Append { upto: on.log.end(), bytes: 0 }).await
    }

    /// Makes everything up to a record, and it too, durable.
    pub(crate) async fn sync(&self, m: &Mailbox, last: u64) -> Result<(), NotHeld> {
        let Some(on) = &self.on else { return Ok(()) };
        let upto = Sequence(last + 1);
        // Nothing is answered as done after the end of the log, be it durable.
        if on.log.durable_sequence() >= upto && !self.has_failed() {
            return Ok(());
        }
        self.perform(m, LogOp::Sync { upto }).await
    }

    /// Makes everything that was put so far durable.
    pub(crate) async fn commit(&self, m: &Mailbox) -> Result<(), NotHeld> {
        match self.last() {
            Some(last) => self.sync(m, last).await,
            None => Ok(()),
        }
    }

    /// The same where a job is answered, if that is to be durable before.
    pub(crate) async fn commit_answer(&self, m: &Mailbox) -> Result<(), NotHeld> {
        match &self.on {
            Some(On { durability: Durability::Battery, .. }) => self.commit(m).await,
            _ => Ok(()),
        }
    }

    /// The same for who is no job.
    pub(crate) fn commit_now(&self) -> Result<(), LogError> {
        let Some(on) = &self.on else { return Ok(()) };
        on.log.sync(on.log.end()).inspect_err(|error| self.failed(*error))
    }

    /// The last record put so far.
    pub(crate) fn last(&self) -> Option<u64> {
        self.on.as_ref().map(|on| on.log.end().0 - 1)
    }

    /// The first record whose data may be in no slot yet; what is not put yet comes later.
    pub(crate) fn oldest_in_flight(&self) -> Option<Sequence> {
        let on = self.on.as_ref()?;
        // In this order: what is put in between comes behind the end.
        let end = on.log.end();
        Some(on.log.oldest_open().map_or(end, |open| open.min(end)))
    }

    /// Gives up everything before a record.
    pub(crate) async fn trim(&self, m: &Mailbox, upto: Sequence) -> Result<(), NotHeld> {
        self.perform(m, LogOp::Trim { upto }).await
    }

    /// After the log has failed nothing is asked of it any more: what was not written then is in no slot,
    /// and must not be trimmed as if it were.
    async fn perform(&self, m: &Mailbox, op: LogOp) -> Result<(), NotHeld> {
        if self.has_failed() {
            return Err(NotHeld::Stopping);
        }
        match m.perform(Effect::Log(op)).await {
            Event::Log(Ok(wakes)) => {
                m.wake(wakes);
                Ok(())
            }
            Event::Log(Err(error)) => Err(self.stops(m, error)),
            Event::Disk(_) | Event::Transfer(_) => panic!("another's answer to the log's request"),
        }
    }
}

impl On {
    /// Sectors that one job can have when nothing but the last checkpoint is in the log: once for its
    /// group, once for what that skips at the end of the ring.
    fn sectors_at_once(&self, checkpoint_sectors: u64) -> u64 {
        let LogUsage { capacity_sectors, reserve_sectors, .. } = self.log.usage();
        (capacity_sectors - reserve_sectors).saturating_sub(checkpoint_sectors) / 2
    }
}

/// A place in the queue for the log's room.
struct Waiting<'a> {
    log: &'a UnitLog,
    m: &'a Mailbox,
    over: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.m.wake(self.log.cancel(self.m.owner()));
        }
    }
}

/// Puts what nobody else does: the changes of a visit that has no data, and volumes.
#[derive(Debug)]
pub(crate) struct LogRecorder {
    pub(crate) log: Arc<UnitLog>,
    pub(crate) groups: Arc<Groups>,
}

impl Recorder for LogRecorder {
    fn changed(&self, of: LdevId, changes: &mut Vec<Change>) {
        self.log.put(vec![record::changes(of, changes)]);
    }

    fn volume_added(&self, volume: &Volume) {
        let home = self.groups.home(volume.backing).as_ref().map(kept_home);
        self.log.put(vec![record::control(Kind::VolumeAdded, &(volume, home))]);
    }

    fn volume_removed(&self, ldev: LdevId, backing: BackingId) {
        self.log.put(vec![record::control(Kind::VolumeRemoved, &(ldev, backing))]);
    }
}
