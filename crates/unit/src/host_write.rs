//! A host's change (Fig. 9): write and unmap. What depends on the blocks before is in
//! [`host_modify`](crate::host_modify).

use crate::Mailbox;
use crate::access::access;
use crate::change::{copy_ahead, mark, pair_to_bring, wanted_for_change, wanted_to_bring};
use crate::core::{Core, Shape};
use crate::held::{Held, NotHeld, Room, Under, Wanted};
use crate::host_modify::Depends;
use crate::journal::Put;
use crate::record;
use crate::slots::Slots;
use bytes::Bytes;
use diptych_cha::{Forbidden, HostError, Tried};
use diptych_drr::data_codes;
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockNo, BlockRange, Generation, LdevId, TrackNo, TrackRange,
};
use diptych_log::Entry;
use diptych_shared::{Change, FamilyState, MapName};
use diptych_sync::mutant;

/// So long after a write that was noted the next one is.
const HOST_WROTE_STEP_NS: u64 = 1_000_000_000;

/// Writes blocks: chunks of at most 1 MiB, each with its own claim; the first failure ends the rest.
pub(crate) async fn host_write(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    block: BlockNo,
    mut data: Bytes,
) -> Result<(), HostError> {
    if !data.len().is_multiple_of(BLOCK_BYTES) {
        return Err(HostError::NotWholeBlocks { bytes: data.len() });
    }
    let blocks = (data.len() / BLOCK_BYTES) as u64;
    let shape = core.shape(ldev)?;
    let request = in_range(core, shape, ldev, block, blocks)?;
    for chunk in chunks(request, core.config.chunk_blocks) {
        let from = (chunk.start.0 - request.start.0) as usize * BLOCK_BYTES;
        let payload = if chunk == request {
            std::mem::take(&mut data)
        } else {
            data.slice(from..from + chunk.count() as usize * BLOCK_BYTES)
        };
        let change = HostChange {
            ldev,
            shape,
            blocks: chunk,
            payload: Payload::Data(payload),
            depends: None,
            formats: false,
        };
        change.run(m, core).await?;
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
    let shape = core.shape(ldev)?;
    let mut rest = in_volume(shape, ldev, blocks.start, blocks.count())?;
    while !rest.is_empty() {
        let blocks = chunk_to_unmap(core, shape, rest);
        let payload = Payload::Zeros;
        HostChange { ldev, shape, blocks, payload, depends: None, formats: false }
            .run(m, core)
            .await?;
        let next = |family: &mut FamilyState| next_to_unmap(family, ldev, shape, blocks.end);
        let next = core.shared.with_family(ldev, next);
        let next = next.map_err(|_| HostError::NoVolume { ldev })?;
        rest.start = next.unwrap_or(rest.end);
    }
    Ok(())
}

/// The first chunk of what is to be given up. It ends with a track, so that of all tracks that are given
/// up whole none keeps its storage.
fn chunk_to_unmap(core: &Core, shape: Shape, rest: BlockRange) -> BlockRange {
    let tracks = tracks_in_chunk(core, shape);
    let end = TrackNo(shape.geometry.track_of(rest.start).0 + tracks);
    BlockRange { start: rest.start, end: shape.geometry.first_block(end) }.intersection(rest)
}

/// Tracks that are given up at once.
pub(crate) fn tracks_in_chunk(core: &Core, shape: Shape) -> u64 {
    (core.config.chunk_blocks / shape.geometry.blocks_per_track()).max(1)
}

/// Where to go on from `from` in giving blocks up, chunk by chunk. Tracks without storage are given up
/// already; in a pair they are marked all the same, as by any change.
fn next_to_unmap(
    family: &FamilyState,
    ldev: LdevId,
    shape: Shape,
    from: BlockNo,
) -> Option<BlockNo> {
    let in_a_pair =
        family.pair_of_secondary(ldev).is_some() || family.pairs_of_primary(ldev).next().is_some();
    if in_a_pair || from >= shape.geometry.all_blocks().end {
        return Some(from);
    }
    let volume = family.volume(ldev)?;
    let track = volume.allocated.next_set(shape.geometry.track_of(from))?;
    Some(from.max(shape.geometry.first_block(track)))
}

/// Gives up so many tracks of a volume, also of one that is reserved: formatting is no host's change.
pub(crate) async fn give_up_tracks(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    first: TrackNo,
    count: u64,
) -> Result<(), HostError> {
    let shape = core.shape(ldev)?;
    let blocks = BlockRange {
        start: shape.geometry.first_block(first),
        end: shape.geometry.first_block(TrackNo(first.0 + count)),
    };
    let blocks = blocks.intersection(shape.geometry.all_blocks());
    let payload = Payload::Zeros;
    let change = HostChange { ldev, shape, blocks, payload, depends: None, formats: true };
    change.run(m, core).await.map(drop)
}

/// The request as a range of the volume, however long it is.
pub(crate) fn in_volume(
    shape: Shape,
    ldev: LdevId,
    block: BlockNo,
    count: u64,
) -> Result<BlockRange, HostError> {
    let end = block.0.saturating_add(count);
    let blocks = BlockRange { start: block, end: BlockNo(end) };
    let block_count = shape.geometry.block_count();
    if end > block_count {
        return Err(HostError::OutOfRange { ldev, blocks, block_count });
    }
    Ok(blocks)
}

/// The request of data as a range of the volume.
pub(crate) fn in_range(
    core: &Core,
    shape: Shape,
    ldev: LdevId,
    block: BlockNo,
    count: u64,
) -> Result<BlockRange, HostError> {
    let blocks = in_volume(shape, ldev, block, count)?;
    let most_blocks = core.config.request_blocks_max;
    if count > most_blocks {
        return Err(HostError::TooLarge { blocks: count, most_blocks });
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
pub(crate) enum Payload {
    Data(Bytes),
    Zeros,
}

/// One chunk of a host's change.
pub(crate) struct HostChange {
    pub(crate) ldev: LdevId,
    pub(crate) shape: Shape,
    pub(crate) blocks: BlockRange,
    pub(crate) payload: Payload,
    /// How it depends on what the blocks hold, if it does.
    pub(crate) depends: Option<Depends>,
    /// It is part of formatting the volume.
    pub(crate) formats: bool,
}

/// What the family says of a change, under the claim.
struct Plan {
    /// The storage under the volume, if a host may change it.
    backing: Result<BackingId, HostError>,
    wanted: Wanted,
    /// The marks, if nothing has to be copied first.
    marked: Option<Marked>,
}

/// A change whose marks are made and whose record is put.
pub(crate) struct Marked {
    generation: Generation,
    /// Tracks without storage, to be filled with zeros around the data.
    fresh: Vec<TrackNo>,
    pub(crate) put: Option<Put>,
}

impl HostChange {
    /// Admit, claim, 901-907 for all tracks, marks, the log, 909. Nothing is changed, and the first byte
    /// that differs returned, if the change depends on other content than there is.
    pub(crate) async fn run(&self, m: &Mailbox, core: &Core) -> Result<Option<u64>, HostError> {
        let failed = |error: NotHeld| error.host_error(self.ldev);
        // The data's part of the check codes needs no claim.
        let codes = self.codes();
        let mut wanted = self.own();
        loop {
            let allowed = || {
                let backing = core.shared.with_family(self.ldev, |family| self.backing(family));
                backing.map_err(|error| failed(error.into()))?.map(drop)
            };
            let mut room = match Room::admit_if(m, core, wanted, allowed).await {
                Ok(room) => room,
                Err(NotHeld::NoRoom) if wanted != self.own() => {
                    for track in self.tracks().iter() {
                        let bring = self.needs_old(track);
                        let ahead = copy_ahead(m, core, self.ldev, track, bring);
                        Box::pin(ahead).await.map_err(failed)?;
                    }
                    wanted = self.own();
                    continue;
                }
                Err(error) => return Err(failed(error)),
            };
            let view =
                |family: &mut FamilyState| self.plan(m, core, family, wanted, &mut room, &codes);
            let (held, plan) =
                Held::claim(m, core, self.ldev, Some(self.tracks()), view).await.map_err(failed)?;
            let backing = plan.backing?;
            if !wanted.covers(plan.wanted) {
                wanted = plan.wanted;
                continue; // gives back claim and room, and asks for more
            }
            let mut under = Under { m, core, held, room };
            // Boxed, as all that a hit does without: a small job is made faster.
            if self.depends.is_some() {
                return Box::pin(self.modify(under, backing)).await;
            }
            let marked = match plan.marked {
                Some(marked) => marked,
                None => Box::pin(self.protect_and_mark(&mut under, &codes)).await?,
            };
            // Before the data can be seen.
            if marked.put.is_some() {
                Box::pin(core.journal.append(m, marked.put.as_ref())).await.map_err(failed)?;
            }
            self.store(&mut under, backing, &codes, &marked);
            return Ok(None);
        }
    }

    /// The data's part of the check codes; none, if the data is made of what is there.
    pub(crate) fn codes(&self) -> Vec<u32> {
        let mut codes = Vec::new();
        if let Payload::Data(data) = &self.payload
            && !self.shape.metadata_only
            && !matches!(self.depends, Some(Depends::Or))
        {
            data_codes(data, &mut codes);
        }
        codes
    }

    /// 909
    pub(crate) fn store(
        &self,
        under: &mut Under<'_>,
        backing: BackingId,
        codes: &[u32],
        marked: &Marked,
    ) {
        if self.shape.metadata_only {
            return;
        }
        under.room.logged_as(marked.put.as_ref());
        let Marked { generation, fresh, .. } = marked;
        let slots = Slots { geometry: self.shape.geometry, backing, generation: *generation };
        match &self.payload {
            Payload::Data(data) => slots.write(under, self.blocks, data, codes, fresh),
            Payload::Zeros => slots.clear(under, self.blocks, fresh),
        }
    }

    pub(crate) fn tracks(&self) -> TrackRange {
        self.shape.geometry.tracks_of(self.blocks)
    }

    /// What the change takes from the cache when nothing has to be copied first.
    fn own(&self) -> Wanted {
        let tracks = if self.shape.metadata_only { 0 } else { self.tracks().count() as usize };
        let data_bytes = match &self.payload {
            Payload::Data(data) if !self.shape.metadata_only => data.len(),
            Payload::Data(_) | Payload::Zeros => 0,
        };
        let records = 2 + self.tracks().count() as usize;
        // What is looked at before is staged.
        let buffers = if self.depends.is_some() { 2 * tracks } else { tracks };
        Wanted { buffers, dirty: tracks, records, data_bytes, ..Wanted::default() }
    }

    /// The storage under the volume, if a host may change it.
    fn backing(&self, family: &FamilyState) -> Result<BackingId, HostError> {
        let volume = family.volume(self.ldev).expect("the volume is in its family");
        // A volume that was removed and made anew meanwhile is another one.
        if volume.first_backing != self.shape.first_backing {
            return Err(HostError::NoVolume { ldev: self.ldev });
        }
        match access(family, volume, Tried::Write) {
            Err(HostError::Access { why: Forbidden::Reserved, .. }) if self.formats => {}
            other => other?,
        }
        Ok(volume.backing)
    }

    /// Whether the change needs what the track holds: all of it but for a track that is written whole
    /// whatever it holds.
    fn needs_old(&self, track: TrackNo) -> bool {
        self.depends.is_some() || !self.covers_whole(track)
    }

    fn covers_whole(&self, track: TrackNo) -> bool {
        let part = self.shape.geometry.within(track, self.blocks);
        part.count() == self.shape.geometry.blocks_per_track()
    }

    /// Looks at the family as the claim is granted. Where nothing has to be copied first, the marks
    /// are made at once: one visit to the family is enough then.
    fn plan(
        &self,
        m: &Mailbox,
        core: &Core,
        family: &mut FamilyState,
        admitted: Wanted,
        room: &mut Room<'_>,
        codes: &[u32],
    ) -> Plan {
        let (own, tracks) = (self.own(), self.tracks());
        let tracks_needed = tracks.iter().filter(|track| self.needs_old(*track));
        let mut plan =
            Plan {
                backing: self.backing(family),
                wanted: own
                    .plus(wanted_for_change(family, self.ldev, tracks))
                    .plus(wanted_to_bring(family, self.ldev, tracks_needed)),
                marked: None,
            };
        if let Ok(backing) = plan.backing
            && plan.wanted == own
            && self.depends.is_none()
            && admitted.covers(own)
        {
            plan.marked = Some(self.mark_and_put(m, core, family, room, (backing, codes)));
        }
        plan
    }

    /// Steps 901-907, and the marks.
    pub(crate) async fn protect_and_mark(
        &self,
        under: &mut Under<'_>,
        codes: &[u32],
    ) -> Result<Marked, HostError> {
        self.protect(under).await?;
        let (m, core) = (under.m, under.core);
        let Under { held, room, .. } = under;
        held.with(|family| {
            // A copy that failed may have suspended the pair.
            let backing = self.backing(family)?;
            Ok(self.mark_and_put(m, core, family, room, (backing, codes)))
        })
    }

    /// Makes the marks, and puts them and the data into the log.
    fn mark_and_put(
        &self,
        m: &Mailbox,
        core: &Core,
        family: &mut FamilyState,
        room: &mut Room<'_>,
        (backing, codes): (BackingId, &[u32]),
    ) -> Marked {
        let fresh = self.mark(m, core, family);
        let generation = core.next_generation();
        let data = || self.entries(backing, codes, generation, &fresh);
        let put = core.journal.put(room.log(), self.ldev, family, data);
        Marked { generation, fresh, put }
    }

    /// What the log is to hold of the data.
    fn entries(
        &self,
        backing: BackingId,
        codes: &[u32],
        generation: Generation,
        fresh: &[TrackNo],
    ) -> Vec<Entry> {
        if self.shape.metadata_only {
            return Vec::new();
        }
        let geometry = self.shape.geometry;
        let whole = |track: TrackNo| {
            let start = geometry.first_block(track);
            BlockRange::new(start, geometry.blocks_per_track())
        };
        match &self.payload {
            Payload::Data(data) => {
                let around = fresh.iter().filter(|track| !self.covers_whole(**track));
                let around = around.map(|track| record::zeros(backing, whole(*track), generation));
                let data = data.clone();
                let data = record::write(backing, self.blocks.start, generation, data, codes);
                around.chain([data]).collect()
            }
            Payload::Zeros => {
                let of_track = |track: TrackNo| {
                    let blocks = whole(track).intersection(self.blocks);
                    if self.covers_whole(track) {
                        Some(record::discard(backing, blocks))
                    } else if fresh.contains(&track) {
                        None
                    } else {
                        Some(record::zeros(backing, blocks, generation))
                    }
                };
                self.tracks().iter().filter_map(of_track).collect()
            }
        }
    }

    /// Steps 901-907 for every track of the chunk, before any of them changes.
    async fn protect(&self, under: &mut Under<'_>) -> Result<(), HostError> {
        for track in self.tracks().iter() {
            under.protect_track(self.ldev, track).await;
            if mutant::removed("protect-every-track") {
                break;
            }
            // Nothing stays of a track that is written whole: `mark` clears its C.
            if !self.covers_whole(track) && !under.bring_track(self.ldev, track).await {
                return Err(self.medium(under, track));
            }
        }
        Ok(())
    }

    /// The track cannot be brought: a pair that was suspended by that says so better than its blocks.
    fn medium(&self, under: &Under<'_>, track: TrackNo) -> HostError {
        let block = self.shape.geometry.within(track, self.blocks).start;
        let first = self.shape.geometry.first_block(track);
        let medium = HostError::Medium { ldev: self.ldev, block: BlockNo(first.0 + block.0) };
        under.with(|family| self.backing(family)).err().unwrap_or(medium)
    }

    /// Makes all marks of the change, before its data is visible. Returns the tracks that had no
    /// storage.
    fn mark(&self, m: &Mailbox, core: &Core, family: &mut FamilyState) -> Vec<TrackNo> {
        let (ldev, tracks) = (self.ldev, self.tracks());
        self.mark_whole_tracks(m, core, family);
        self.mark_as_secondary(family);
        mark(m, core, family, ldev, tracks);
        let volume = family.volume(ldev).expect("the volume of this claim");
        let fresh: Vec<TrackNo> = tracks.iter().filter(|t| !volume.allocated.get(*t)).collect();
        // Not at every write: who asks whether a host uses the volume asks for half a minute.
        let at = m.now();
        let noted = volume.host_wrote_at.is_some_and(|last| at.ns_since(last) < HOST_WROTE_STEP_NS);
        if !noted && !self.formats {
            family.change(Change::HostWrote { ldev, at });
        }
        match self.payload {
            Payload::Data(_) if fresh.is_empty() => {}
            Payload::Data(_) => {
                family.change(Change::Allocate { ldev, tracks });
            }
            Payload::Zeros => {
                for track in tracks.iter().filter(|t| self.covers_whole(*t)) {
                    family.change(Change::Deallocate { ldev, tracks: TrackRange::one(track) });
                }
            }
        }
        fresh
    }

    /// What the host writes whole is not to be brought any more.
    fn mark_whole_tracks(&self, m: &Mailbox, core: &Core, family: &mut FamilyState) {
        if mutant::removed("whole-write-clears") {
            return;
        }
        for track in self.tracks().iter().filter(|t| self.covers_whole(*t)) {
            let Some(pair) = pair_to_bring(family, self.ldev, track).map(|pair| pair.id) else {
                continue;
            };
            let clear = Change::Clear { pair, map: MapName::C, tracks: TrackRange::one(track) };
            if let Some(transition) = family.change(clear) {
                let pair = family.pair(pair).expect("the pair just changed");
                core.copy_ended(m.now(), pair, transition);
            }
        }
    }

    /// The host changes a secondary: DS is set.
    fn mark_as_secondary(&self, family: &mut FamilyState) {
        let (secondary, tracks) = (self.ldev, self.tracks());
        let paired = family.pair_of_secondary(secondary).is_some();
        if paired && !mutant::removed("mark-secondary-changes") {
            family.change(Change::SecondaryChange { secondary, tracks });
        }
    }
}
