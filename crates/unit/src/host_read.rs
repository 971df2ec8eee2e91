//! A host's read: a hit takes no claim, a miss stages under one.

use crate::Mailbox;
use crate::access::access;
use crate::change::{copy_ahead, pair_to_bring, wanted_for_change, wanted_to_bring};
use crate::core::{Core, Shape, slot};
use crate::held::{Held, NotHeld, Pinned, Room, Under, Wanted};
use crate::host_write::{chunks, in_range};
use bytes::{Bytes, BytesMut};
use diptych_cha::{HostError, Tried};
use diptych_dka::read_track;
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockMask, BlockNo, BlockRange, Geometry, LdevId, TrackNo,
};
use diptych_shared::{FamilyState, PairStatus, Volume};
use std::ops::Range;

/// Reads blocks: chunks of at most 1 MiB, each as of one instant a track.
pub(crate) async fn host_read(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    blocks: BlockRange,
) -> Result<Bytes, HostError> {
    let shape = core.shape(ldev)?;
    let request = in_range(core, shape, ldev, blocks.start, blocks.count())?;
    let mut out = BytesMut::zeroed(request.count() as usize * BLOCK_BYTES);
    let mut rest = &mut out[..];
    for chunk in chunks(request, core.config.chunk_blocks) {
        let (now, later) = rest.split_at_mut(chunk.count() as usize * BLOCK_BYTES);
        rest = later;
        if !read_hits(m, core, ldev, shape, chunk, now)? {
            // Boxed, as all that a hit does without: a small job is made faster.
            Box::pin(read_misses(m, core, ldev, shape, chunk, now)).await?;
        }
    }
    Ok(out.freeze())
}

/// The bytes of these blocks within a track's data.
fn bytes_of(part: BlockRange) -> Range<usize> {
    part.start.0 as usize * BLOCK_BYTES..part.end.0 as usize * BLOCK_BYTES
}

/// Reads a chunk that is wholly in cache. `false`: something is not.
///
/// Access is checked and the slots are pinned in one visit to the family, so a command, which takes
/// the whole family, is either before all of it or after.
fn read_hits(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    shape: Shape,
    blocks: BlockRange,
    mut out: &mut [u8],
) -> Result<bool, HostError> {
    let pins = core
        .shared
        .with_family(ldev, |family| pin_hits(m, core, family, ldev, shape, blocks))
        .map_err(|_| HostError::NoVolume { ldev })??;
    let Some(pins) = pins else { return Ok(false) };
    for (track, pin) in shape.geometry.tracks_of(blocks).iter().zip(pins) {
        let part = bytes_of(shape.geometry.within(track, blocks));
        let (now, later) = out.split_at_mut(part.len());
        out = later;
        match pin {
            Some(pin) => now.copy_from_slice(&pin.pin().data()[part]),
            None => now.fill(0),
        }
    }
    Ok(true)
}

/// The volume, if a host may read it. One that was removed and made anew meanwhile is another one.
///
/// Of a change that was marked and could not be recorded the data is nowhere, and what is in cache or on
/// the drive is older than what was answered. So after the end of the log nobody reads.
pub(crate) fn readable<'a>(
    core: &Core,
    family: &'a FamilyState,
    ldev: LdevId,
    shape: Shape,
) -> Result<&'a Volume, HostError> {
    if core.journal.has_failed() {
        return Err(HostError::Stopping);
    }
    let volume = family.volume(ldev).expect("the volume is in its family");
    if volume.first_backing != shape.first_backing {
        return Err(HostError::NoVolume { ldev });
    }
    access(family, volume, Tried::Read).map(|()| volume)
}

/// A pin for each track, `None` for one without storage; nothing at all if one is not in cache.
fn pin_hits<'a>(
    m: &'a Mailbox,
    core: &'a Core,
    family: &FamilyState,
    ldev: LdevId,
    shape: Shape,
    blocks: BlockRange,
) -> Result<Option<Vec<Option<Pinned<'a>>>>, HostError> {
    let volume = readable(core, family, ldev, shape)?;
    let tracks = shape.geometry.tracks_of(blocks);
    // Somebody may be half-way through a change of several tracks: read them under a claim then.
    if tracks.count() > 1 && tracks.iter().any(|track| family.is_busy(track)) {
        return Ok(None);
    }
    let mut pins = Vec::new();
    // Where tracks are brought, one that a host writes whole has its C clear before its slot is there,
    // and the last of them changes the status as well.
    let brings = family.pair_of_secondary(ldev).is_some()
        || family
            .pairs_of_primary(ldev)
            .any(|pair| matches!(pair.status, PairStatus::Restoring | PairStatus::PairedNotCopied));
    for track in tracks.iter() {
        if pair_to_bring(family, ldev, track).is_some() || brings && family.is_busy(track) {
            return Ok(None);
        }
        if !volume.allocated.get(track) || volume.metadata_only {
            // Its storage may just be given up, and that not be in the log yet.
            if core.journal.is_on() && family.is_busy(track) {
                return Ok(None);
            }
            pins.push(None);
            continue;
        }
        let want = BlockMask::of(shape.geometry.within(track, blocks));
        match core.cache.read(slot(volume.backing, track), want) {
            Some(pin) => pins.push(Some(Pinned::new(m, &core.cache, pin))),
            None => return Ok(None),
        }
    }
    Ok(Some(pins))
}

/// What the family says of a read, under the claim.
struct Plan {
    /// The storage under the volume, if a host may read it.
    backing: Result<BackingId, HostError>,
    wanted: Wanted,
}

/// Reads a chunk under its claim: brings tracks that a quick secondary lacks, stages what is not in
/// cache.
async fn read_misses(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    shape: Shape,
    blocks: BlockRange,
    out: &mut [u8],
) -> Result<(), HostError> {
    let geometry = shape.geometry;
    let tracks = geometry.tracks_of(blocks);
    let mut wanted = Wanted { buffers: tracks.count() as usize, ..Wanted::default() };
    let own = wanted;
    loop {
        let room = match Room::admit(m, core, wanted).await {
            Ok(room) => room,
            Err(NotHeld::NoRoom) if wanted != own => {
                for track in tracks.iter() {
                    copy_ahead(m, core, ldev, track, true).await.map_err(|e| e.host_error(ldev))?;
                }
                wanted = own;
                continue;
            }
            Err(error) => return Err(error.host_error(ldev)),
        };
        let view = |family: &mut FamilyState| {
            let to_bring = wanted_to_bring(family, ldev, tracks.iter());
            let below = match to_bring {
                Wanted { buffers: 0, .. } => Wanted::default(),
                _ => wanted_for_change(family, ldev, tracks),
            };
            Plan {
                backing: readable(core, family, ldev, shape).map(|volume| volume.backing),
                wanted: own.plus(to_bring).plus(below),
            }
        };
        let (held, plan) =
            Held::claim(m, core, ldev, Some(tracks), view).await.map_err(|e| e.host_error(ldev))?;
        let backing = plan.backing?;
        if !wanted.covers(plan.wanted) {
            wanted = plan.wanted;
            continue;
        }
        let under = Under { m, core, held, room };
        return read_claimed(under, (ldev, backing), geometry, blocks, out).await.map(drop);
    }
}

/// Reads blocks under the claim of their tracks, as far as [`Wanted`] has a buffer for each track and what
/// bringing it takes: brings what the volume lacks, stages what is not in cache. A failure gives back
/// claim and room.
pub(crate) async fn read_claimed<'a>(
    under: Under<'a>,
    (ldev, backing): (LdevId, BackingId),
    geometry: Geometry,
    blocks: BlockRange,
    mut out: &mut [u8],
) -> Result<Under<'a>, HostError> {
    let mut stage = Stage { under, ldev, backing };
    for track in geometry.tracks_of(blocks).iter() {
        let part = geometry.within(track, blocks);
        let (now, later) = out.split_at_mut(bytes_of(part).len());
        out = later;
        stage.bring(track, geometry.first_block(track).0 + part.start.0).await?;
        stage.track(track, part, now).await?;
    }
    Ok(stage.under)
}

/// Reading tracks that may not be in cache.
struct Stage<'a> {
    under: Under<'a>,
    ldev: LdevId,
    backing: BackingId,
}

impl Stage<'_> {
    /// Copies a track that a quick secondary, or a primary that is being restored, lacks. `block` is
    /// the first that is wanted of it.
    async fn bring(&mut self, track: TrackNo, block: u64) -> Result<(), HostError> {
        let ldev = self.ldev;
        let there = self.under.bring_track(ldev, track).await;
        // A copy that failed may have suspended the pair: the volume is not to be read any more.
        self.under.with(|family| {
            let volume = family.volume(ldev).expect("the volume of this claim");
            access(family, volume, Tried::Read)
        })?;
        if there { Ok(()) } else { Err(HostError::Medium { ldev, block: BlockNo(block) }) }
    }

    async fn track(
        &mut self,
        track: TrackNo,
        part: BlockRange,
        out: &mut [u8],
    ) -> Result<(), HostError> {
        let stored = self.under.with(|family| {
            let volume = family.volume(self.ldev).expect("the volume of this claim");
            volume.allocated.get(track) && !volume.metadata_only
        });
        if !stored {
            out.fill(0);
            return Ok(());
        }
        let (m, core) = (self.under.m, self.under.core);
        let pinned = Pinned::of(m, &core.cache, slot(self.backing, track));
        if let Some(slot) = &pinned
            && slot.pin().valid().contains(BlockMask::of(part))
        {
            out.copy_from_slice(&slot.pin().data()[bytes_of(part)]);
            return Ok(());
        }
        self.miss(track, part, out, pinned).await
    }

    /// Reads the track from its drive, and keeps what is good of it.
    async fn miss(
        &mut self,
        track: TrackNo,
        part: BlockRange,
        out: &mut [u8],
        pinned: Option<Pinned<'_>>,
    ) -> Result<(), HostError> {
        let (ldev, core) = (self.ldev, self.under.core);
        let home = core.home(self.backing);
        let geometry = home.geometry();
        let valid = pinned.as_ref().map_or(BlockMask::NONE, |p| p.pin().valid());
        let missing = BlockMask::first(geometry.blocks_per_track()).without(valid);
        let buf = self.under.room.buffer();
        let at_drive = core.waits.at_drive(self.under.m, home.drive());
        let staged = read_track(self.under.m, &home, track, buf, missing).await;
        drop(at_drive);
        let staged = staged.map_err(|_| HostError::Drive { ldev })?;
        out.copy_from_slice(&staged.data.bytes()[bytes_of(part)]);
        // Blocks in cache are newer than the drive.
        if let Some(slot) = &pinned {
            for run in valid.and(BlockMask::of(part)).runs() {
                let to = BlockRange::new(BlockNo(run.start.0 - part.start.0), run.count());
                out[bytes_of(to)].copy_from_slice(&slot.pin().data()[bytes_of(run)]);
            }
        }
        drop(pinned);
        let good = missing.without(staged.bad);
        let key = slot(self.backing, track);
        self.under.m.wake(core.cache.install(key, staged.data, staged.checks, good));
        match staged.bad.and(BlockMask::of(part)).iter().next() {
            None => Ok(()),
            Some(index) => {
                let block = BlockNo(geometry.first_block(track).0 + index);
                Err(HostError::Medium { ldev, block })
            }
        }
    }
}
