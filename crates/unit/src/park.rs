//! Parking: what is dirty of a blocked volume goes into the log again, at its end. Otherwise it would hold
//! the log's beginning until the operator releases the volume, and hosts of all others would wait for room.

use crate::Mailbox;
use crate::core::Core;
use crate::held::{Held, NotHeld, Pinned};
use crate::record;
use bytes::Bytes;
use diptych_cache::{Pin, SlotKey};
use diptych_drr::data_codes;
use diptych_format::{BLOCK_BYTES, BackingId, BlockNo, BlockRange, Geometry, LdevId, TrackRange};
use diptych_log::{Entry, LogUsage, Sequence, sectors_for};
use diptych_shared::FamilyState;

/// Puts everything that failed destages left behind in records before `before` into the log again, as long
/// as there is room for it: a half of the reserve is for the checkpoint.
pub(crate) async fn park(m: &Mailbox, core: &Core, before: Sequence) -> Result<(), NotHeld> {
    for key in core.cache.failed_before(before.0) {
        let ldev = core.backings.lock().get(&key.backing).copied();
        if let Some(ldev) = ldev.filter(|_| has_room(core)) {
            park_track(m, core, ldev, key).await?;
        }
    }
    Ok(())
}

fn has_room(core: &Core) -> bool {
    let Some(log) = core.journal.log() else { return false };
    let LogUsage { capacity_sectors, reserve_sectors, used_sectors, .. } = log.usage();
    let blocks = core.config.cache.track_bytes / BLOCK_BYTES;
    let heads = blocks * record::DATA_HEAD_BYTES;
    let track = sectors_for(core.config.cache.track_bytes, heads, blocks);
    used_sectors + track < capacity_sectors - reserve_sectors / 2
}

async fn park_track(m: &Mailbox, core: &Core, ldev: LdevId, key: SlotKey) -> Result<(), NotHeld> {
    let geometry_of = |family: &mut FamilyState| {
        let volume = family.volume(ldev).filter(|volume| volume.backing == key.backing);
        volume.map(|volume| volume.geometry)
    };
    let one = Some(TrackRange::one(key.track));
    let (held, geometry) = match Held::claim(m, core, ldev, one, geometry_of).await {
        Ok(held) => held,
        // It is another volume by now, or there are too many who wait: the next checkpoint looks again.
        Err(NotHeld::NoVolume | NotHeld::Busy) => return Ok(()),
        Err(error) => return Err(error),
    };
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
