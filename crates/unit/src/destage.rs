//! Destaging, and what a host's flush waits for.

use crate::Mailbox;
use crate::change::restored_by;
use crate::core::Core;
use crate::failure;
use crate::held::{NotHeld, Waiting};
use crate::history::{HistoryEntry, Message};
use crate::job::JobMailbox;
use crate::scheduler::DestageTurn;
use crate::{Effect, Event, Wakes};
use diptych_cache::{Cache, CacheError, Destage, QueueNo, SlotKey};
use diptych_cha::HostError;
use diptych_dka::{self as dka, TrackWrite, write_track};
use diptych_format::{Answer, BackingId, LdevId, Need, TrackNo, Wait};
use diptych_shared::{Change, FamilyState, Volume, VolumeState};
use diptych_sync::{Arc, mutant};

/// One destage job: writes dirty tracks of one drive, the oldest first, while there is a reason to. It
/// takes no claim: it writes a snapshot, its slot pinned.
pub(crate) async fn destage(running: Running) {
    let core: &Core = &running.core;
    // With a log: all that one flush of it, and one of the drive, is for.
    let at_once = if core.journal.is_on() { core.config.destage_batch_tracks } else { 1 };
    for _ in (0..core.config.destage_batch_tracks).step_by(at_once) {
        let batch: Vec<_> = (0..at_once).map_while(|_| running.next()).collect();
        if batch.is_empty() || running.destage_batch(batch).await.is_err() {
            break;
        }
    }
}

/// A destage job, counted by the scheduler from the moment it is due.
pub(crate) struct Running {
    m: JobMailbox,
    core: Arc<Core>,
    turn: DestageTurn,
}

impl Running {
    pub(crate) fn new(m: JobMailbox, core: Arc<Core>, turn: DestageTurn) -> Self {
        Self { m, core, turn }
    }

    /// What is to be destaged next, if there is a reason to destage anything.
    fn next(&self) -> Option<UnderWay<'_>> {
        let (m, core): (&Mailbox, &Core) = (&self.m, &self.core);
        let queue = QueueNo(self.turn.drive.0);
        let asked = core.scheduler.lock().destage_mark();
        let next = asked.and_then(|upto| core.cache.next_dirty_of(queue, Some(upto)));
        let next = next.or_else(|| {
            let pressing = core.cache.is_pressed();
            pressing.then(|| core.cache.next_dirty_of(queue, None)).flatten()
        });
        next.map(|snapshot| UnderWay { snapshot: Some(snapshot), m, core })
    }

    /// Nothing reaches a drive before its record is durable: if the log has failed all stays as dirty as
    /// it is. With a log nothing is clean before its drive was flushed: the log may be trimmed of it then.
    async fn destage_batch(&self, batch: Vec<UnderWay<'_>>) -> Result<(), NotHeld> {
        let (m, core): (&Mailbox, &Core) = (&self.m, &self.core);
        let logged = batch.iter().map(|under_way| under_way.snapshot().logged()).max();
        core.journal.sync(m, logged.unwrap_or(0)).await?;
        let mut written = Vec::with_capacity(batch.len());
        for under_way in batch {
            match under_way.write().await {
                true => written.push(under_way),
                false => under_way.failed(),
            }
            self.moved();
        }
        if !core.journal.is_on() {
            written.into_iter().for_each(UnderWay::written);
        } else if !written.is_empty() {
            let flush = dka::Op::Flush { drive: self.turn.drive };
            let Event::Disk(done) = m.perform(Effect::Disk(flush)).await else {
                panic!("another's answer to a drive request")
            };
            self.moved();
            let end = if done.result.is_ok() { UnderWay::written } else { UnderWay::failed };
            written.into_iter().for_each(end);
        }
        Ok(())
    }

    /// The drive has answered.
    fn moved(&self) {
        self.core.scheduler.lock().destage_moved(self.turn, self.m.now());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.core.scheduler.lock().destage_ended(self.turn);
        self.m.kick();
    }
}

/// A destage that is not ended. If the job is dropped its slot is as dirty as before.
struct UnderWay<'a> {
    snapshot: Option<Destage>,
    m: &'a Mailbox,
    core: &'a Core,
}

impl UnderWay<'_> {
    fn snapshot(&self) -> &Destage {
        self.snapshot.as_ref().expect("a destage until it is ended")
    }

    /// Writes it to its drive. Whether that succeeded.
    async fn write(&self) -> bool {
        let snapshot = self.snapshot();
        let key = snapshot.key();
        let home = self.core.home(key.backing);
        let write = TrackWrite {
            data: snapshot.handle(),
            checks: snapshot.checks_handle(),
            valid: snapshot.valid(),
            dirty: snapshot.dirty(),
        };
        write_track(self.m, &home, key.track, write).await.is_ok()
    }

    /// The drive has it.
    fn written(mut self) {
        self.end_by(|cache, snapshot| cache.destage_done(snapshot, true));
    }

    /// The drive does not take it.
    fn failed(mut self) {
        let key = self.snapshot().key();
        let ldev = self.end_by(|cache, snapshot| cache.destage_done(snapshot, false));
        if let Some(ldev) = ldev {
            destage_failed(self.m, self.core, ldev, key);
        }
    }

    /// The volume, if it is still there.
    fn end_by(&mut self, how: impl FnOnce(&Cache, Destage) -> Wakes) -> Option<LdevId> {
        let snapshot = self.snapshot.take()?;
        let backing = snapshot.key().backing;
        self.m.wake(how(&self.core.cache, snapshot));
        let ldev = self.core.backings.lock().get(&backing).copied();
        if ldev.is_none() {
            // The volume is gone: its place was kept for this destage.
            self.core.free_backing(backing);
        }
        ldev
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.end_by(Cache::put_back);
    }
}

/// A volume whose data cannot reach its drive is blocked, and a pair whose secondary it is is
/// suspended. What is dirty stays in cache until the operator releases the volume.
///
/// The data is that of a backing: until the family is locked, a quick restore may give it to another
/// volume than the one it was found under, and a delete then may split the family.
pub(crate) fn destage_failed(m: &Mailbox, core: &Core, mut ldev: LdevId, key: SlotKey) {
    loop {
        let visited = core.shared.with_family(ldev, |family| {
            let is_under = |volume: &&Volume| {
                volume.backing == key.backing
                    || volume.ldev == ldev && mutant::removed("backing-under-lock")
            };
            let volume = family.volumes().iter().find(is_under).map(|volume| volume.ldev);
            volume.map(|volume| block(m, core, family, volume, key.track)).is_some()
        });
        let found = core.backings.lock().get(&key.backing).copied();
        match (visited, found) {
            // A volume that was removed meanwhile needs no state.
            (Ok(true), _) | (_, None) => return,
            (Err(_), Some(now)) if now == ldev => return,
            (_, Some(now)) => ldev = now, // of another family by now
        }
    }
}

fn block(m: &Mailbox, core: &Core, family: &mut FamilyState, ldev: LdevId, track: TrackNo) {
    family.change(Change::VolumeState { ldev, state: VolumeState::Blocked });
    let message = Message::DestageFailed(track);
    let pair = family.pair_of_secondary(ldev).or_else(|| restored_by(family, ldev));
    // A secondary that is restored from is only read, and its data is in cache: the restore goes on.
    let pair = pair.filter(|pair| pair.direction().1 == ldev);
    match pair.map(|pair| pair.id) {
        Some(pair) => failure::target(m, core, family, pair, track, message),
        None => core.record(HistoryEntry::new(m.now(), message).of_volume(ldev)),
    }
}

/// Makes everything durable that was answered: syncs the log; without one, destages what is dirty now
/// and flushes the drive under the volume.
pub(crate) async fn flush(m: &Mailbox, core: &Core, ldev: LdevId) -> Result<(), HostError> {
    let shape = core.shape(ldev)?;
    if shape.metadata_only {
        return Ok(());
    }
    let backing = core
        .shared
        .with_family(ldev, |family| family.volume(ldev).map(|volume| volume.backing))
        .ok()
        .flatten()
        .ok_or(HostError::NoVolume { ldev })?;
    if core.journal.is_on() {
        return core.journal.commit(m).await.map_err(|error| error.host_error(ldev));
    }
    to_drive(m, core, ldev, backing).await
}

/// Destages what is dirty of a backing now, and flushes its drive.
pub(crate) async fn to_drive(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    backing: BackingId,
) -> Result<(), HostError> {
    let upto = core.cache.dirty_mark();
    core.scheduler.lock().destage_upto(upto);
    m.kick();
    let clean = core.cache.wait_clean(m.owner(), backing, upto).map_err(|e| match e {
        CacheError::DestageFailed { .. } => HostError::Drive { ldev },
        _ => HostError::Busy,
    })?;
    if !clean {
        let mut waiting = Waiting::new(m, core);
        match m.wait(Wait::Admit(Need::Clean { upto })).await {
            Answer::Granted => waiting.over = true,
            Answer::Moved | Answer::Cancelled => return Err(HostError::Drive { ldev }),
        }
    }
    // A volume may be removed while its flush waits.
    let home = core.groups.home(backing).ok_or(HostError::NoVolume { ldev })?;
    match m.perform(Effect::Disk(dka::Op::Flush { drive: home.drive() })).await {
        Event::Disk(done) => done.result.map_err(|_| HostError::Drive { ldev }),
        Event::Transfer(_) | Event::Log(_) => panic!("another's answer to a drive request"),
    }
}
