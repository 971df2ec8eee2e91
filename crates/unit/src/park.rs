//! Parking: what is dirty and no drive takes goes into the log again, at its end. Otherwise it would hold the
//! log's beginning, and hosts of all other volumes would wait for room: for the operator, where a volume is
//! blocked, or for the answer of a drive that is late.
//!
//! It waits for no claim: the job that holds one may be stuck on that drive itself. Such a track stays where it
//! is in the log.

use crate::Mailbox;
use crate::core::Core;
use crate::held::{Held, NotHeld, Pinned};
use crate::record;
use bytes::Bytes;
use diptych_cache::{LogHolders, Pin, QueueNo, SlotKey};
use diptych_drr::data_codes;
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockNo, BlockRange, DriveNo, Geometry, LdevId, Time, TrackRange,
};
use diptych_log::{Entry, LogUsage, Sequence, sectors_for};
use diptych_shared::FamilyState;

/// What is to be parked.
#[derive(Debug)]
pub(crate) struct Parking {
    tracks: Vec<SlotKey>,
    track_sectors: u64,
    frees_upto: Sequence,
}

impl Parking {
    /// What failed destages have left, and what drives that are late at `now` do not take: as far as that
    /// holds the log's beginning, and as there is room for it. A half of the reserve is for the checkpoint.
    pub(crate) fn plan(core: &Core, now: Time) -> Option<Self> {
        let log = core.journal.log()?;
        // In this order: what is in flight may be in a slot by the time the cache is asked.
        let in_flight = core.journal.oldest_in_flight()?;
        let is_late = |queue: QueueNo| {
            let late_at =
                core.scheduler.lock().drive_late_at(DriveNo(queue.0), core.config.drive_late_ns);
            late_at.is_some_and(|at| at <= now)
        };
        let late: Vec<QueueNo> = core
            .groups
            .drives()
            .map(|drive| QueueNo(drive.0))
            .filter(|queue| is_late(*queue))
            .collect();
        let LogHolders { oldest, mut stuck } =
            core.cache.log_holders(|queue| late.contains(&queue));
        let mut frees_upto = oldest.map_or(in_flight, |oldest| in_flight.min(Sequence(oldest)));
        stuck.retain(|(oldest, _)| *oldest < frees_upto.0);
        let blocks = core.config.cache.track_bytes / BLOCK_BYTES;
        let heads = blocks * record::DATA_HEAD_BYTES;
        let track_sectors = sectors_for(core.config.cache.track_bytes, heads, blocks);
        let LogUsage { capacity_sectors, reserve_sectors, used_sectors, .. } = log.usage();
        let room = (capacity_sectors - reserve_sectors / 2).saturating_sub(used_sectors);
        let most = usize::try_from(room / track_sectors).unwrap_or(usize::MAX);
        if let Some((oldest, _)) = stuck.get(most) {
            frees_upto = Sequence(*oldest);
            stuck.truncate(most);
        }
        let tracks = stuck.into_iter().map(|(_, key)| key).collect();
        Some(Self { tracks, track_sectors, frees_upto })
    }

    /// Sectors of the log that it takes, at most.
    pub(crate) fn sectors(&self) -> u64 {
        self.tracks.len() as u64 * self.track_sectors
    }

    /// What is before this record is not needed once all of it is parked.
    pub(crate) fn frees_upto(&self) -> Sequence {
        self.frees_upto
    }

    /// Puts it into the log.
    pub(crate) async fn park(self, m: &Mailbox, core: &Core) -> Result<(), NotHeld> {
        for key in self.tracks {
            let ldev = core.backings.lock().get(&key.backing).copied();
            if let Some(ldev) = ldev {
                park_track(m, core, ldev, key).await?;
            }
        }
        Ok(())
    }
}

async fn park_track(m: &Mailbox, core: &Core, ldev: LdevId, key: SlotKey) -> Result<(), NotHeld> {
    let geometry_of = |family: &mut FamilyState| {
        let volume = family.volume(ldev).filter(|volume| volume.backing == key.backing);
        volume.map(|volume| volume.geometry)
    };
    let one = TrackRange::one(key.track);
    // If it is busy, or another volume by now, the next checkpoint looks again.
    let claimed = core.shared.try_claim(m.owner(), ldev, one, geometry_of);
    let Ok(Some((claim, geometry))) = claimed else { return Ok(()) };
    let held = Held::new(m, claim);
    let Some(geometry) = geometry else { return Ok(()) };
    let Some(slot) = Pinned::of(m, &core.cache, key) else { return Ok(()) };
    let entries = entries(slot.pin(), key, geometry);
    let count = entries.len() as u64;
    let put = held.with(|family| core.journal.put(None, ldev, family, || entries));
    core.journal.append(m, put.as_ref()).await?;
    if let Some(last) = put.map(|put| put.last()).filter(|_| count > 0) {
        core.cache.logged_again(key, last + 1 - count, last);
    }
    Ok(())
}

/// A record for each run of dirty blocks of one generation.
fn entries(pin: &Pin, key: SlotKey, geometry: Geometry) -> Vec<Entry> {
    let first = geometry.first_block(key.track).0;
    let mut entries = Vec::new();
    for run in pin.dirty().runs() {
        let mut start = run.start.0;
        while start < run.end.0 {
            let generation = pin.checks().get(start).generation;
            let same = |index: &u64| pin.checks().get(*index).generation == generation;
            let count = (start..run.end.0).take_while(same).count() as u64;
            let blocks = BlockRange::new(BlockNo(start), count);
            entries.push(entry(pin, key.backing, BlockNo(first + start), blocks));
            start += count;
        }
    }
    entries
}

/// These blocks of a slot, which are those from `at` on of the backing.
fn entry(pin: &Pin, backing: BackingId, at: BlockNo, blocks: BlockRange) -> Entry {
    let bytes = blocks.start.0 as usize * BLOCK_BYTES..blocks.end.0 as usize * BLOCK_BYTES;
    let data = Bytes::copy_from_slice(&pin.data()[bytes]);
    let mut codes = Vec::with_capacity(blocks.count() as usize);
    data_codes(&data, &mut codes);
    record::write(backing, at, pin.checks().get(blocks.start.0).generation, data, &codes)
}
