//! Destaging, and what a host's flush waits for.

use crate::Mailbox;
use crate::core::Core;
use crate::failure;
use crate::held::Waiting;
use crate::history::{HistoryEntry, Message};
use crate::{Effect, Event};
use diptych_cache::{CacheError, Destage};
use diptych_cha::HostError;
use diptych_dka::{self as dka, TrackWrite, write_track};
use diptych_format::{Answer, LdevId, Need, TrackNo, Wait};
use diptych_shared::{Change, VolumeState};

/// One destage job: writes dirty tracks, the oldest first, while there is a reason to. It takes no
/// claim: it writes a snapshot, its slot pinned.
pub(crate) async fn destage(m: &Mailbox, core: &Core) {
    let _running = Running { m, core };
    for _ in 0..core.config.destage_batch_tracks {
        let asked = core.scheduler.lock().destage_mark();
        let next = asked.and_then(|upto| core.cache.next_dirty(Some(upto)));
        let next = next.or_else(|| {
            let pressing = core.cache.is_pressed();
            pressing.then(|| core.cache.next_dirty(None)).flatten()
        });
        let Some(snapshot) = next else { break };
        destage_track(m, core, UnderWay { snapshot: Some(snapshot), m, core }).await;
    }
}

/// A destage job, counted by the scheduler.
struct Running<'a> {
    m: &'a Mailbox,
    core: &'a Core,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.core.scheduler.lock().destage_ended();
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

    fn end(mut self, written: bool) {
        let snapshot = self.snapshot.take().expect("a destage is ended once");
        self.m.wake(self.core.cache.destage_done(snapshot, written));
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if let Some(snapshot) = self.snapshot.take() {
            self.m.wake(self.core.cache.put_back(snapshot));
        }
    }
}

async fn destage_track(m: &Mailbox, core: &Core, under_way: UnderWay<'_>) {
    let snapshot = under_way.snapshot();
    let key = snapshot.key();
    let home = core.home(key.backing);
    let write = TrackWrite {
        data: snapshot.handle(),
        checks: snapshot.checks_handle(),
        valid: snapshot.valid(),
        dirty: snapshot.dirty(),
    };
    let written = write_track(m, &home, key.track, write).await.is_ok();
    under_way.end(written);
    let ldev = core.backings.lock().get(&key.backing).copied();
    match ldev {
        Some(ldev) if !written => destage_failed(m, core, ldev, key.track),
        Some(_) => {}
        // The volume is gone: its place was kept for this destage.
        None => core.free_backing(key.backing),
    }
}

/// A volume whose data cannot reach its drive is blocked, and a pair whose secondary it is is
/// suspended. What is dirty stays in cache until the operator releases the volume.
fn destage_failed(m: &Mailbox, core: &Core, ldev: LdevId, track: TrackNo) {
    let done = core.shared.with_family(ldev, |family| {
        family.change(Change::VolumeState { ldev, state: VolumeState::Blocked });
        if family.pair_of_secondary(ldev).is_some() {
            failure::target(m, core, family, ldev, track, Message::DestageFailed(track));
            return;
        }
        core.record(HistoryEntry {
            at: m.now(),
            message: Message::DestageFailed(track),
            pair: None,
            primary: Some(ldev),
            secondary: None,
            from: None,
            to: None,
        });
    });
    // A volume that was removed meanwhile needs no state.
    let (Ok(()) | Err(_)) = done;
}

/// Destages what is dirty now, then flushes the drive under the volume.
pub(crate) async fn flush(m: &Mailbox, core: &Core, ldev: LdevId) -> Result<(), HostError> {
    let shape = core.shape(ldev)?;
    if shape.metadata_only {
        return Ok(());
    }
    let upto = core.cache.dirty_mark();
    core.scheduler.lock().destage_upto(upto);
    m.kick();
    let clean = core.cache.wait_clean(m.owner(), shape.backing, upto).map_err(|e| match e {
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
    let home = core.groups.home(shape.backing).ok_or(HostError::NoVolume { ldev })?;
    match m.perform(Effect::Disk(dka::Op::Flush { drive: home.drive() })).await {
        Event::Disk(done) => done.result.map_err(|_| HostError::Drive { ldev }),
        Event::Transfer(_) => panic!("a transfer's end in answer to a drive request"),
    }
}
