//! Append, sync, trim.

use crate::batch::{BatchHeader, Record, sectors_of};
use crate::replay::{Replayed, replay};
use crate::ring::{Position, RING_START, Ring, SECTORS_LEAST};
use crate::superblock::Superblock;
use crate::{LogError, Sequence};
use diptych_device::{Device, DeviceError};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_sync::Mutex;
use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;
use std::ops::Range;

/// A place to trim to is remembered for every so many sectors.
const MARK_SECTORS: u64 = 128;
/// Zeros written at once when a log is made.
const ZEROS_BYTES: usize = 1 << 20;

/// Which log it is, as its maker says: batches of another log that was on the device before are not
/// taken for this one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogId(pub u64);

/// A log over a device. All of it may be used from several threads.
pub struct Log<D> {
    device: D,
    id: LogId,
    ring: Ring,
    state: Mutex<State>,
    /// Held over a flush: who asks for one meanwhile shares the next.
    syncing: Mutex<()>,
}

/// Where the log stands.
#[derive(Debug)]
pub(crate) struct State {
    /// The latest superblock.
    pub(crate) superblock: Superblock,
    /// Where the next batch goes.
    pub(crate) head: Position,
    /// Its first record.
    pub(crate) next: Sequence,
    /// Records before this one are durable.
    pub(crate) durable: Sequence,
    /// Batches to which the log can be trimmed, the oldest first.
    pub(crate) marks: VecDeque<(Sequence, Position)>,
    /// What ended the log.
    pub(crate) failed: Option<DeviceError>,
    /// Memory for head areas.
    area: Vec<u8>,
}

impl State {
    pub(crate) fn new(superblock: Superblock) -> Self {
        Self {
            superblock,
            head: superblock.tail,
            next: superblock.first,
            durable: superblock.durable,
            marks: VecDeque::new(),
            failed: None,
            area: Vec::new(),
        }
    }

    /// The batch from `first` on stands, or is about to stand, at `position`.
    pub(crate) fn mark(&mut self, first: Sequence, position: Position) {
        let far = |(_, last): &(Sequence, Position)| position.0 - last.0 >= MARK_SECTORS;
        if self.marks.back().is_none_or(far) {
            self.marks.push_back((first, position));
        }
    }

    fn check(&self) -> Result<(), LogError> {
        self.failed.map_or(Ok(()), |error| Err(error.into()))
    }
}

impl<D: Device> Log<D> {
    /// Makes an empty log on a device, whatever was there. All of it is written with zeros, so that
    /// there is room for every sector from then on. Durable when this returns.
    ///
    /// # Errors
    ///
    /// [`LogError::TooSmall`], or what the device says.
    pub fn create(device: D, id: LogId) -> Result<Self, LogError> {
        let sectors = device.sector_count();
        if sectors < SECTORS_LEAST {
            return Err(LogError::TooSmall { sectors, least: SECTORS_LEAST });
        }
        let zeros = vec![0; ZEROS_BYTES];
        let at_once = (ZEROS_BYTES / BLOCK_BYTES) as u64;
        for start in (0..sectors).step_by(at_once as usize) {
            let bytes = at_once.min(sectors - start) as usize * BLOCK_BYTES;
            device.write_at(SectorNo(start), &[IoSlice::new(&zeros[..bytes])])?;
        }
        let (tail, first) = (Position(0), Sequence(1));
        let (number, incarnation, durable) = (1, 1, first);
        let superblock = Superblock { id, sectors, number, incarnation, tail, first, durable };
        superblock.write(&device)?;
        device.flush()?;
        Ok(Self::new(device, State::new(superblock)))
    }

    /// Opens the log of a device: `found` gets each record, in order. What a crash left behind its end
    /// is given up, durably, when this returns.
    ///
    /// # Errors
    ///
    /// [`LogError::NoLog`], [`LogError::Version`], [`LogError::Resized`]; [`LogError::Corrupt`] if
    /// records are missing that had been durable; or what the device says. The log is as before then.
    pub fn open(
        device: D,
        found: impl FnMut(Sequence, Record<'_>),
    ) -> Result<(Self, Replayed), LogError> {
        let sectors = device.sector_count();
        if sectors < SECTORS_LEAST {
            return Err(LogError::TooSmall { sectors, least: SECTORS_LEAST });
        }
        let superblock = Superblock::read(&device)?;
        if superblock.sectors != sectors {
            return Err(LogError::Resized { sectors, recorded: superblock.sectors });
        }
        let (mut state, replayed) = replay(&device, superblock, found)?;
        let opened = &mut state.superblock;
        opened.number += 1;
        opened.incarnation += 1;
        opened.write(&device)?;
        // A batch that was torn here must not become whole by what is written over a part of it.
        let end = Ring::of(sectors).sector(state.head);
        device.write_at(end, &[IoSlice::new(&[0; BLOCK_BYTES])])?;
        // What was replayed is there, flushed or not; the flush makes it stay.
        device.flush()?;
        state.durable = state.next;
        Ok((Self::new(device, state), replayed))
    }

    fn new(device: D, state: State) -> Self {
        let (id, ring) = (state.superblock.id, Ring::of(state.superblock.sectors));
        Self { device, id, ring, state: Mutex::new(state), syncing: Mutex::new(()) }
    }

    /// Appends records as one batch: after a crash all of them are there or none. Returns their
    /// sequences. They survive the death of the process from here on, and a loss of power once
    /// [`sync`](Self::sync) has returned.
    ///
    /// # Errors
    ///
    /// [`LogError::Full`], [`LogError::TooLarge`], [`LogError::NotWholeBlocks`], or what the device
    /// says: nothing is appended then.
    pub fn append(&self, records: &[Record<'_>]) -> Result<Range<Sequence>, LogError> {
        let (head_sectors, payload_sectors) = sectors_of(records)?;
        if records.is_empty() {
            let next = self.next_sequence();
            return Ok(next..next);
        }
        // The payloads' part of the codes needs no lock.
        let mut payload_code = crc32fast::Hasher::new();
        records.iter().for_each(|record| payload_code.update(record.payload));
        let mut state = self.state.lock();
        let state = &mut *state;
        state.check()?;
        let position = self.make_room(state, head_sectors + payload_sectors)?;
        let header = BatchHeader {
            record_count: records.len() as u32,
            head_sectors: head_sectors as u32,
            payload_sectors: payload_sectors as u32,
            payload_code: payload_code.finalize(),
            ..self.header(state, position)
        };
        header.encode(records, &mut state.area);
        let mut bufs = Vec::with_capacity(records.len() + 1);
        bufs.push(IoSlice::new(&state.area));
        let payloads = records.iter().map(|record| record.payload);
        bufs.extend(payloads.filter(|payload| !payload.is_empty()).map(IoSlice::new));
        let written = self.device.write_at(self.ring.sector(position), &bufs);
        drop(bufs);
        written.map_err(|error| Self::fail(state, error))?;
        let first = state.next;
        state.next = Sequence(first.0 + records.len() as u64);
        state.head = Position(position.0 + header.sectors());
        state.mark(first, position);
        Ok(first..state.next)
    }

    /// The fields that every batch has.
    fn header(&self, state: &State, position: Position) -> BatchHeader {
        BatchHeader {
            id: self.id,
            incarnation: state.superblock.incarnation,
            position,
            first: state.next,
            durable: state.durable,
            record_count: 0,
            head_sectors: 1,
            payload_sectors: 0,
            payload_code: 0,
        }
    }

    /// Where a batch of so many sectors goes. It does not go around the end of the ring: a batch
    /// without records says so there.
    fn make_room(&self, state: &mut State, sectors: u64) -> Result<Position, LogError> {
        let to_end = self.ring.to_end(state.head);
        let skipped = if sectors <= to_end { 0 } else { to_end };
        let free_sectors = self.ring.sectors() - (state.head.0 - state.superblock.tail.0);
        let wanted_sectors = skipped + sectors;
        // One sector always stays free, so that the end is never where the beginning is.
        if wanted_sectors >= free_sectors {
            return Err(LogError::Full { wanted_sectors, free_sectors });
        }
        if skipped == 0 {
            return Ok(state.head);
        }
        let filler = self.header(state, state.head);
        filler.encode(&[], &mut state.area);
        let place = self.ring.sector(state.head);
        let written = self.device.write_at(place, &[IoSlice::new(&state.area)]);
        written.map_err(|error| Self::fail(state, error))?;
        state.head = Position(state.head.0 + skipped);
        Ok(state.head)
    }

    /// A device that is full has done nothing. Of anything else nobody knows what it will still do.
    fn fail(state: &mut State, error: DeviceError) -> LogError {
        if error != DeviceError::StorageFull {
            state.failed = Some(error);
        }
        error.into()
    }

    /// Makes all records before `upto` durable. Who asks while a flush is under way shares the next
    /// one.
    ///
    /// # Errors
    ///
    /// What the device says; it is final.
    pub fn sync(&self, upto: Sequence) -> Result<(), LogError> {
        let _one = self.syncing.lock();
        let next = {
            let state = self.state.lock();
            state.check()?;
            if state.durable >= upto {
                return Ok(());
            }
            state.next
        };
        self.flush()?;
        let mut state = self.state.lock();
        state.durable = state.durable.max(next);
        Ok(())
    }

    /// Gives up all batches whose records are all before `upto`: they are never replayed again. Their
    /// room is free, durably, when this returns.
    ///
    /// # Errors
    ///
    /// What the device says; it is final.
    pub fn trim(&self, upto: Sequence) -> Result<(), LogError> {
        let _one = self.syncing.lock();
        let (next, superblock) = {
            let state = self.state.lock();
            state.check()?;
            let Superblock { number, first, .. } = state.superblock;
            let reached = state.marks.iter().rev().find(|(first, _)| *first <= upto);
            let all = (state.next <= upto).then_some((state.next, state.head));
            let Some((first, tail)) = all.or(reached.copied()).filter(|to| to.0 > first) else {
                return Ok(());
            };
            let (number, durable) = (number + 1, state.durable.max(first));
            (state.next, Superblock { number, tail, first, durable, ..state.superblock })
        };
        // What is before the new beginning is not needed, so the order of the two does not matter.
        let written = superblock.write(&self.device);
        written.inspect_err(|error| self.note_failure(*error))?;
        self.flush()?;
        let mut state = self.state.lock();
        state.durable = state.durable.max(next);
        state.superblock = superblock;
        while state.marks.front().is_some_and(|(first, _)| *first < superblock.first) {
            state.marks.pop_front();
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), LogError> {
        let flushed = self.device.flush().map_err(LogError::from);
        flushed.inspect_err(|error| self.note_failure(*error))
    }

    fn note_failure(&self, error: LogError) {
        if let LogError::Device(error) = error {
            self.state.lock().failed = Some(error);
        }
    }

    /// The sequence that the next record gets.
    pub fn next_sequence(&self) -> Sequence {
        self.state.lock().next
    }

    /// Records before this one are durable.
    pub fn durable_sequence(&self) -> Sequence {
        self.state.lock().durable
    }

    /// Sectors that batches may take before something is trimmed; at the end of the ring some of them
    /// may be skipped.
    pub fn free_sectors(&self) -> u64 {
        let state = self.state.lock();
        self.ring.sectors() - (state.head.0 - state.superblock.tail.0) - 1
    }

    /// Sectors that batches may take at all.
    pub fn capacity_sectors(&self) -> u64 {
        self.device.sector_count() - RING_START - 1
    }
}

impl<D> fmt::Debug for Log<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        write!(f, "Log({} to {})", state.superblock.first, state.next)
    }
}
