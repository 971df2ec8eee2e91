//! Destaging, and what a host's flush waits for.

use crate::Effect;
use crate::Mailbox;
use crate::core::Core;
use crate::held::Waiting;
use crate::history::{HistoryEntry, Message};
use diptych_cache::Destage;
use diptych_cha::HostError;
use diptych_dka::{self as dka, DkaError, TrackWrite, write_track};
use diptych_format::{Answer, LdevId, Need, TrackNo, TrackRange, Wait};
use diptych_shared::{Change, PairStatus, VolumeState};

/// One destage job: writes dirty tracks, the oldest first, while there is a reason to. It takes no
/// claim: it writes a snapshot, its slot pinned.
pub(crate) async fn destage(m: &Mailbox, core: &Core) {
    for _ in 0..core.config.destage_batch_tracks {
        let upto = core.scheduler.lock().destage_mark();
        let next = core.cache.next_dirty(upto);
        let next = next.or_else(|| {
            let pressing = core.cache.needs_destage().is_pressing();
            pressing.then(|| core.cache.next_dirty(None)).flatten()
        });
        let Some(snapshot) = next else { break };
        destage_track(m, core, snapshot).await;
    }
    core.scheduler.lock().destage_ended();
    m.kick();
}

async fn destage_track(m: &Mailbox, core: &Core, snapshot: Destage) {
    let key = snapshot.key();
    let home = core.home(key.backing);
    let write = TrackWrite {
        data: snapshot.handle(),
        checks: snapshot.checks_handle(),
        valid: snapshot.valid(),
        dirty: snapshot.dirty(),
    };
    let written = write_track(m, &home, key.track, write).await;
    m.wake(core.cache.destage_done(snapshot, written.is_ok()));
    let ldev = core.backings.lock().get(&key.backing).copied();
    match ldev {
        Some(ldev) if written.is_err() => destage_failed(m, core, ldev, key.track),
        Some(_) => {}
        // The volume is gone: its place was kept for this destage.
        None => core.free_backing(key.backing),
    }
}

/// A volume whose data cannot reach its drive is blocked, and pairs whose secondary it is are
/// suspended. What is dirty stays in cache.
fn destage_failed(m: &Mailbox, core: &Core, ldev: LdevId, track: TrackNo) {
    let done = core.shared.with_family(ldev, |family| {
        family.change(Change::VolumeState { ldev, state: VolumeState::Blocked });
        let above = family.pair_of_secondary(ldev);
        let above = above.map(|p| (p.id, p.primary, p.status));
        let mut entry = HistoryEntry {
            at: m.now(),
            message: Message::DestageFailed(track),
            pair: None,
            primary: Some(ldev),
            secondary: None,
            from: None,
            to: None,
        };
        if let Some((pair, primary, from)) = above
            && from != PairStatus::Suspended
        {
            family.change(Change::Suspend { pair, all_different: false });
            let tracks = TrackRange::one(track);
            family.change(Change::SecondaryChange { secondary: ldev, tracks });
            core.scheduler.lock().stop(pair);
            entry.pair = Some(pair);
            (entry.primary, entry.secondary) = (Some(primary), Some(ldev));
            (entry.from, entry.to) = (Some(from), Some(PairStatus::Suspended));
        }
        core.record(entry);
    });
    // A volume that was removed meanwhile needs no state.
    let (Ok(()) | Err(_)) = done;
}

/// Destages what is dirty now, then flushes the drive under the volume.
pub(crate) async fn flush(m: &Mailbox, core: &Core, ldev: LdevId) -> Result<(), HostError> {
    let backing = core.shared.with_family(ldev, |family| {
        family.volume(ldev).expect("the volume is in its family").backing
    });
    let backing = backing.map_err(|_| HostError::NoVolume { ldev })?;
    let upto = core.cache.dirty_mark();
    core.scheduler.lock().destage_upto(upto);
    m.kick();
    let clean = core.cache.wait_clean(m.owner(), upto).map_err(|_| HostError::Stopping)?;
    if !clean {
        let mut waiting = Waiting::new(m, core);
        match m.wait(Wait::Admit(Need::Clean { upto })).await {
            Answer::Granted => waiting.over = true,
            Answer::Moved | Answer::Cancelled => return Err(HostError::Drive { ldev }),
        }
    }
    let drive = core.home(backing).drive();
    match m.perform(Effect::Disk(dka::Op::Flush { drive })).await {
        crate::Event::Disk(done) => done
            .result
            .map_err(|source| DkaError::Drive { drive, source })
            .map_err(|_| HostError::Drive { ldev }),
        crate::Event::Transfer(_) => panic!("a transfer's end in answer to a drive request"),
    }
}
