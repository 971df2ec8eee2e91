//! What is there after a crash.

use crate::batch::{BatchHeader, Record};
use crate::log::State;
use crate::ring::{Position, Ring};
use crate::superblock::Superblock;
use crate::{LogError, Sequence};
use diptych_device::{Device, DeviceError};
use diptych_format::BLOCK_BYTES;
use std::io::IoSliceMut;

/// Sectors read at once in the search for what stands behind the end.
const SEARCH_SECTORS: u64 = 2048;

/// What opening a log came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Batches found.
    pub batch_count: u64,
    /// Records in them.
    pub record_count: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// Whether something stood behind the end that was given up: batches that were not whole, or not
    /// reached. No sync had returned for any of them.
    pub torn: bool,
    /// The first record that is missing although it had been durable, and the sector where it should be:
    /// the log is damaged.
    pub lost: Option<(Sequence, u64)>,
}

/// Reads the log from its beginning as far as it goes.
pub(crate) fn replay(
    device: &impl Device,
    superblock: Superblock,
    mut found: impl FnMut(Sequence, Record<'_>),
) -> Result<(State, Replayed), LogError> {
    let ring = Ring::of(superblock.sectors);
    let mut state = State::new(superblock);
    let mut replayed = Replayed::default();
    let mut durable = superblock.durable;
    let mut incarnation = 0;
    while let Some(batch) = read_batch(device, ring, &state, incarnation)? {
        let header = batch.header;
        incarnation = header.incarnation;
        durable = durable.max(header.durable);
        if header.record_count == 0 {
            state.head = Position(state.head.0 + ring.to_end(state.head));
            continue;
        }
        let Some(records) = header.records(&batch.area, &batch.payloads) else { break };
        state.mark(state.next, state.head);
        for record in records {
            replayed.record_count += 1;
            replayed.payload_bytes += record.payload.len() as u64;
            found(state.next, record);
            state.next = Sequence(state.next.0 + 1);
        }
        replayed.batch_count += 1;
        state.head = Position(state.head.0 + header.sectors());
    }
    let behind = search_behind(device, ring, &state, incarnation)?;
    replayed.torn = behind.is_some();
    let had_been = behind.map_or(durable, |behind| behind.durable.max(durable));
    // The newer superblock may have been lost since the log was opened last.
    let last = behind.map_or(incarnation, |behind| behind.incarnation.max(incarnation));
    state.superblock.incarnation = last.max(superblock.incarnation);
    replayed.lost = (had_been > state.next).then(|| (state.next, ring.sector(state.head).0));
    Ok((state, replayed))
}

/// A batch that is whole.
struct Batch {
    header: BatchHeader,
    area: Vec<u8>,
    payloads: Vec<u8>,
}

/// Reads sectors; `None` if the drive cannot.
fn read(
    device: &impl Device,
    ring: Ring,
    position: Position,
    sectors: u64,
) -> Result<Option<Vec<u8>>, LogError> {
    let mut bytes = vec![0; sectors as usize * BLOCK_BYTES];
    match device.read_at(ring.sector(position), &mut [IoSliceMut::new(&mut bytes)]) {
        Ok(()) => Ok(Some(bytes)),
        Err(DeviceError::Medium { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The batch at the head, if there is a whole one that belongs there.
fn read_batch(
    device: &impl Device,
    ring: Ring,
    state: &State,
    incarnation: u64,
) -> Result<Option<Batch>, LogError> {
    let Superblock { id, tail, .. } = state.superblock;
    // The end is never where the beginning is.
    let left = ring.sectors() - 1 - (state.head.0 - tail.0);
    let to_end = ring.to_end(state.head);
    let Some(first_sector) = read(device, ring, state.head, 1)? else { return Ok(None) };
    let belongs = |header: &BatchHeader| {
        header.id == id
            && header.position == state.head
            && header.first == state.next
            && header.incarnation >= incarnation
            && header.sectors() <= left.min(to_end)
            && (header.record_count > 0 || to_end <= left)
    };
    let Some(header) = BatchHeader::peek(&first_sector).filter(belongs) else { return Ok(None) };
    let Some(bytes) = read(device, ring, state.head, header.sectors())? else { return Ok(None) };
    let mut area = bytes;
    let payloads = area.split_off(header.head_sectors as usize * BLOCK_BYTES);
    let whole = BatchHeader::is_whole(&area) && crc32fast::hash(&payloads) == header.payload_code;
    Ok(whole.then_some(Batch { header, area, payloads }))
}

/// What batches behind the end say.
#[derive(Debug, Clone, Copy)]
struct Behind {
    /// The highest number before which all had been durable.
    durable: Sequence,
    /// The latest opening.
    incarnation: u64,
}

/// Looks for batches of this log behind its end.
fn search_behind(
    device: &impl Device,
    ring: Ring,
    state: &State,
    incarnation: u64,
) -> Result<Option<Behind>, LogError> {
    let end = Position(state.superblock.tail.0 + ring.sectors());
    let mut at = state.head;
    let mut behind: Option<Behind> = None;
    // Where something cannot be read, sectors are read one by one.
    let mut one_by_one_to = at;
    while at < end {
        let together = SEARCH_SECTORS.min(ring.to_end(at)).min(end.0 - at.0);
        let count = if at < one_by_one_to { 1 } else { together };
        let bytes = read(device, ring, at, count)?;
        if bytes.is_none() && count > 1 {
            one_by_one_to = Position(at.0 + count);
            continue;
        }
        let bytes = bytes.unwrap_or_default();
        for (sector, position) in bytes.chunks_exact(BLOCK_BYTES).zip(at.0..) {
            let Some(header) = BatchHeader::peek(sector) else { continue };
            let position = Position(position);
            if is_behind(&header, ring, state, incarnation, position)
                && has_whole_head(device, ring, &header)?
            {
                let BatchHeader { durable, incarnation, .. } = header;
                let more = behind.unwrap_or(Behind { durable, incarnation });
                behind = Some(Behind {
                    durable: more.durable.max(durable),
                    incarnation: more.incarnation.max(incarnation),
                });
            }
        }
        at = Position(at.0 + count);
    }
    Ok(behind)
}

/// Whether this may be a batch of this log that stood behind the end.
fn is_behind(
    header: &BatchHeader,
    ring: Ring,
    state: &State,
    incarnation: u64,
    position: Position,
) -> bool {
    header.id == state.superblock.id
        && header.position == position
        && header.first >= state.next
        && header.incarnation >= incarnation
        && header.sectors() <= ring.to_end(position)
}

fn has_whole_head(
    device: &impl Device,
    ring: Ring,
    header: &BatchHeader,
) -> Result<bool, LogError> {
    let area = read(device, ring, header.position, header.head_sectors.into())?;
    Ok(area.is_some_and(|area| BatchHeader::is_whole(&area)))
}
