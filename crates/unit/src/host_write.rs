//! A host's change (Fig. 9): write and unmap.

use crate::Mailbox;
use crate::access::access;
use crate::change::{mark, pair_to_bring, protect_track, wanted_for_change, wanted_to_bring};
use crate::copy_track::{Why, copy_track, note_dirty};
use crate::core::{Core, slot};
use crate::held::{Held, Room, Wanted};
use bytes::Bytes;
use diptych_cha::{HostError, Tried};
use diptych_drr::{data_codes, seal_zeros};
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, BlockNo, BlockRange, CheckField, Generation, Geometry,
    LdevId, LogicalAddress, TrackNo, TrackRange,
};
use diptych_shared::{Change, FamilyState};
use diptych_sync::Arc;
use diptych_sync::mutant;

/// Writes blocks: chunks of at most 1 MiB, each with its own claim; the first failure ends the rest.
pub(crate) async fn host_write(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    block: BlockNo,
    data: Bytes,
) -> Result<(), HostError> {
    if !data.len().is_multiple_of(BLOCK_BYTES) {
        return Err(HostError::NotWholeBlocks { bytes: data.len() });
    }
    let blocks = (data.len() / BLOCK_BYTES) as u64;
    let geometry = core.geometry(ldev)?;
    let request = in_range(geometry, ldev, block, blocks)?;
    for chunk in chunks(request, core.config.chunk_blocks) {
        let from = (chunk.start.0 - request.start.0) as usize * BLOCK_BYTES;
        let payload = data.slice(from..from + chunk.count() as usize * BLOCK_BYTES);
        change(m, core, ldev, geometry, chunk, Payload::Data(payload)).await?;
    }
    Ok(())
}

/// Gives blocks up: they read zero, and whole tracks lose their storage.
pub(crate) async fn unmap(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    blocks: BlockRange,
) -> Result<(), HostError> {
    let geometry = core.geometry(ldev)?;
    let request = in_range(geometry, ldev, blocks.start, blocks.count())?;
    for chunk in chunks(request, core.config.chunk_blocks) {
        change(m, core, ldev, geometry, chunk, Payload::Zeros).await?;
    }
    Ok(())
}

/// The request as a range of the volume.
pub(crate) fn in_range(
    geometry: Geometry,
    ldev: LdevId,
    block: BlockNo,
    count: u64,
) -> Result<BlockRange, HostError> {
    let end = block.0.checked_add(count).unwrap_or(u64::MAX);
    let blocks = BlockRange { start: block, end: BlockNo(end) };
    let block_count = geometry.block_count();
    if end > block_count {
        return Err(HostError::OutOfRange { ldev, blocks, block_count });
    }
    Ok(blocks)
}

/// A request cut into chunks of `most` blocks.
pub(crate) fn chunks(request: BlockRange, most: u64) -> impl Iterator<Item = BlockRange> {
    (request.start.0..request.end.0).step_by(most as usize).map(move |start| BlockRange {
        start: BlockNo(start),
        end: BlockNo((start + most).min(request.end.0)),
    })
}

/// What a chunk changes the blocks to.
enum Payload {
    Data(Bytes),
    Zeros,
}

/// What the family says of a change, under the claim.
struct Plan {
    access: Result<(), HostError>,
    backing: BackingId,
    metadata_only: bool,
    wanted: Wanted,
    /// Tracks without storage, to be filled with zeros around the data.
    fresh: Vec<TrackNo>,
    /// Nothing had to be copied first, so the marks are made.
    marked: bool,
}

/// One chunk: admit, claim, 901-907 for all its tracks, marks, 909.
async fn change(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    geometry: Geometry,
    blocks: BlockRange,
    payload: Payload,
) -> Result<(), HostError> {
    let tracks = geometry.tracks_of(blocks);
    // The data's part of the check codes needs no claim.
    let mut codes = Vec::new();
    if let Payload::Data(data) = &payload {
        data_codes(data, &mut codes);
    }
    let own = Wanted { buffers: tracks.count() as usize, dirty: tracks.count() as usize };
    let mut wanted = own;
    loop {
        let mut room = Room::admit(m, core, wanted).await.map_err(|e| e.host_error(ldev))?;
        let view = |family: &mut FamilyState| {
            plan(m, core, family, ldev, geometry, blocks, &payload, own, wanted)
        };
        let (held, mut plan) =
            Held::claim(m, core, ldev, Some(tracks), view).await.map_err(|e| e.host_error(ldev))?;
        plan.access?;
        if !wanted.covers(plan.wanted) {
            wanted = plan.wanted;
            continue; // gives back claim and room, and asks for more
        }
        if !plan.marked {
            protect(m, core, &held, ldev, geometry, blocks, &mut room).await;
            // A copy that failed may have suspended the pair.
            held.with(|family| {
                let volume = family.volume(ldev).expect("the volume of this claim");
                access(family, volume, Tried::Write)?;
                plan.fresh = mark_change(m, core, family, ldev, geometry, blocks, &payload);
                Ok(())
            })?;
        }
        if !plan.metadata_only {
            let write = Write { m, core, geometry, backing: plan.backing, fresh: &plan.fresh };
            match &payload {
                Payload::Data(data) => write.data(blocks, data, &codes, &mut room),
                Payload::Zeros => write.zeros(blocks, &mut room),
            }
        }
        return Ok(());
    }
}

/// Looks at the family as the claim is granted. Where nothing has to be copied first, the marks are
/// made at once: one visit to the family is enough then.
#[expect(clippy::too_many_arguments, reason = "one step of one flowchart")]
fn plan(
    m: &Mailbox,
    core: &Core,
    family: &mut FamilyState,
    ldev: LdevId,
    geometry: Geometry,
    blocks: BlockRange,
    payload: &Payload,
    own: Wanted,
    admitted: Wanted,
) -> Plan {
    let tracks = geometry.tracks_of(blocks);
    let volume = family.volume(ldev).expect("the volume is in its family");
    let mut plan = Plan {
        access: access(family, volume, Tried::Write),
        backing: volume.backing,
        metadata_only: volume.metadata_only,
        wanted: own
            .plus(wanted_for_change(family, ldev, tracks))
            .plus(wanted_to_bring(family, ldev, tracks)),
        fresh: Vec::new(),
        marked: false,
    };
    if plan.access.is_ok() && plan.wanted == own && admitted.covers(own) {
        plan.fresh = mark_change(m, core, family, ldev, geometry, blocks, payload);
        plan.marked = true;
    }
    plan
}

/// Steps 901-907 for every track of the chunk, before any of them changes.
async fn protect(
    m: &Mailbox,
    core: &Core,
    held: &Held<'_>,
    ldev: LdevId,
    geometry: Geometry,
    blocks: BlockRange,
    room: &mut Room<'_>,
) {
    for track in geometry.tracks_of(blocks).iter() {
        protect_track(m, core, held, ldev, track, room).await;
        if mutant::removed("protect-every-track") {
            break;
        }
        let bring = held
            .with(|family| pair_to_bring(family, ldev, track).map(|pair| (pair.id, pair.primary)));
        let Some((pair, primary)) = bring else { continue };
        if is_whole(geometry, track, blocks) {
            continue; // nothing of the old track stays: `mark_change` clears C
        }
        copy_track(m, core, held, primary, &[pair], track, Why::Protect, room).await;
    }
}

fn is_whole(geometry: Geometry, track: TrackNo, blocks: BlockRange) -> bool {
    geometry.within(track, blocks).count() == geometry.blocks_per_track()
}

/// Makes all marks of a change, before its data is visible. Returns the tracks that had no storage.
fn mark_change(
    m: &Mailbox,
    core: &Core,
    family: &mut FamilyState,
    ldev: LdevId,
    geometry: Geometry,
    blocks: BlockRange,
    payload: &Payload,
) -> Vec<TrackNo> {
    let tracks = geometry.tracks_of(blocks);
    if let Some(pair) = family.pair_of_secondary(ldev).map(|pair| pair.id) {
        for track in tracks.iter() {
            let brought = pair_to_bring(family, ldev, track).is_none();
            if !brought && is_whole(geometry, track, blocks) {
                let change = Change::Clear {
                    pair,
                    map: diptych_shared::MapName::C,
                    tracks: TrackRange::one(track),
                };
                if let Some(transition) = family.change(change) {
                    let pair = family.pair(pair).expect("the pair just changed");
                    core.record_transition(m.now(), pair, transition);
                }
            }
        }
        if !mutant::removed("mark-secondary-changes") {
            family.change(Change::SecondaryChange { secondary: ldev, tracks });
        }
    }
    mark(m, core, family, ldev, tracks);
    let allocated = &family.volume(ldev).expect("the volume of this claim").allocated;
    let fresh: Vec<TrackNo> = tracks.iter().filter(|t| !allocated.get(*t)).collect();
    match payload {
        Payload::Data(_) if fresh.is_empty() => {}
        Payload::Data(_) => {
            family.change(Change::Allocate { ldev, tracks });
        }
        Payload::Zeros => {
            for track in tracks.iter().filter(|t| is_whole(geometry, *t, blocks)) {
                family.change(Change::Deallocate { ldev, tracks: TrackRange::one(track) });
            }
        }
    }
    fresh
}

/// Step 909: the data goes into the cache.
struct Write<'a> {
    m: &'a Mailbox,
    core: &'a Core,
    geometry: Geometry,
    backing: BackingId,
    fresh: &'a [TrackNo],
}

impl Write<'_> {
    /// Writes data whose blocks have these codes.
    fn data(&self, blocks: BlockRange, data: &[u8], codes: &[u32], room: &mut Room<'_>) {
        let generation = self.core.next_generation();
        let mut done = 0;
        for track in self.geometry.tracks_of(blocks).iter() {
            let part = self.geometry.within(track, blocks);
            let count = part.count() as usize;
            let bytes = &data[done * BLOCK_BYTES..(done + count) * BLOCK_BYTES];
            self.track(track, part, bytes, &codes[done..done + count], generation, room);
            done += count;
        }
        note_dirty(self.m, self.core);
    }

    /// Writes zeros over parts of tracks, and drops whole ones.
    fn zeros(&self, blocks: BlockRange, room: &mut Room<'_>) {
        let generation = self.core.next_generation();
        for track in self.geometry.tracks_of(blocks).iter() {
            let part = self.geometry.within(track, blocks);
            if part.count() == self.geometry.blocks_per_track() {
                let one = Some(TrackRange::one(track));
                self.m.wake(self.core.cache.purge(self.backing, one));
            } else if !self.fresh.contains(&track) {
                let bytes = vec![0; part.count() as usize * BLOCK_BYTES];
                let codes = vec![diptych_drr::DATA_CODE_OF_ZEROS; part.count() as usize];
                self.track(track, part, &bytes, &codes, generation, room);
            }
        }
        note_dirty(self.m, self.core);
    }

    /// Writes a part of one track, or all of it.
    fn track(
        &self,
        track: TrackNo,
        part: BlockRange,
        bytes: &[u8],
        codes: &[u32],
        generation: Generation,
        room: &mut Room<'_>,
    ) {
        let key = slot(self.backing, track);
        let per_track = self.geometry.blocks_per_track();
        let whole = BlockMask::first(per_track);
        let at = part.start.0 as usize * BLOCK_BYTES;
        let first = self.geometry.first_block(track).0;
        let field = |index: u64| {
            let block = BlockNo(first + index);
            let la = LogicalAddress { backing: self.backing, block };
            CheckField::sealed(codes[(index - part.start.0) as usize], la, generation)
        };
        let is_whole = part.count() == per_track;
        let wakes = if is_whole || self.fresh.contains(&track) {
            // The whole track is new: swap a buffer in.
            let mut buf = room.buffer();
            let data = &mut buf.bytes_mut()[..self.geometry.track_bytes()];
            let place = diptych_drr::TrackPlace {
                backing: self.backing,
                first_block: BlockNo(first),
                block_count: per_track,
            };
            let mut checks = if is_whole {
                diptych_format::CheckArea::zeroed(per_track)
            } else {
                data.fill(0);
                seal_zeros(place, generation)
            };
            data[at..at + bytes.len()].copy_from_slice(bytes);
            for index in part.start.0..part.end.0 {
                checks.set(index, field(index));
            }
            let (data, checks) = (Arc::new(buf), Arc::new(checks));
            self.core.cache.put(key, data, checks, whole, true, false, room.admission())
        } else {
            let mut write = self.core.cache.begin_write(key, per_track, room.admission());
            write.data_mut()[at..at + bytes.len()].copy_from_slice(bytes);
            for index in part.start.0..part.end.0 {
                write.set_check(index, field(index));
            }
            self.core.cache.commit_write(write, BlockMask::of(part), room.admission())
        };
        self.m.wake(wakes);
    }
}
