//! Create, open, sync, trim.

use crate::batch::Record;
use crate::queue::Queue;
use crate::replay::{Replayed, replay};
use crate::ring::{Position, Ring, SECTORS_LEAST};
use crate::superblock::Superblock;
use crate::turn::Turns;
use crate::{LogConfig, LogError, LogUsage, Sequence};
use diptych_device::Device;
use diptych_format::{BLOCK_BYTES, SectorNo, Wakes};
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::{Mutex, mutant};
use std::collections::VecDeque;
use std::fmt;
use std::io::IoSlice;

/// A place to trim to is remembered for every so many sectors, in a small log for more.
const MARK_SECTORS: u64 = 128;
/// A log has at least about so many places to trim to.
const MARKS_LEAST: u64 = 32;
/// Zeros written at once when a log is made.
const ZEROS_BYTES: usize = 64 << 10;

/// Which log it is, as its maker says: batches of another log that was on the device before are not
/// taken for this one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogId(pub u64);

impl LogId {
    /// Which log a device holds. Nothing is changed.
    ///
    /// # Errors
    ///
    /// [`LogError::NoLog`], [`LogError::Version`], or what the device says.
    pub fn of_device(device: &impl Device) -> Result<Self, LogError> {
        check_size(device, LogConfig::default())?;
        Superblock::read(device).map(|superblock| superblock.id)
    }
}

/// A log over a device. All of it may be used from several threads.
///
/// Locks, in their order: the turn of a flush, that of a write, that of the queue. The last is never held over
/// a request to the device.
pub struct Log<D> {
    pub(crate) device: D,
    pub(crate) id: LogId,
    pub(crate) ring: Ring,
    /// Taken over a flush: who asks for one meanwhile shares the next.
    flushes: Turns,
    /// Held over the write of a batch.
    pub(crate) state: Mutex<State>,
    pub(crate) queue: Mutex<Queue>,
    /// Records before this one are written. It only rises.
    pub(crate) written: AtomicU64,
    /// Records before this one are durable. It only rises.
    durable: AtomicU64,
}

/// Where the log stands on the device.
#[derive(Debug)]
pub(crate) struct State {
    /// The latest superblock.
    pub(crate) superblock: Superblock,
    /// Where the next batch goes.
    pub(crate) head: Position,
    /// Its first record.
    pub(crate) next: Sequence,
    /// Batches to which the log can be trimmed, the oldest first.
    pub(crate) marks: VecDeque<(Sequence, Position)>,
    /// Memory for head areas.
    pub(crate) area: Vec<u8>,
    /// What stands before the head in its page. Empty: nothing does, or it is not known.
    pub(crate) before_head: Vec<u8>,
}

impl State {
    pub(crate) fn new(superblock: Superblock) -> Self {
        let (head, next) = (superblock.tail, superblock.first);
        Self {
            superblock,
            head,
            next,
            marks: VecDeque::new(),
            area: Vec::new(),
            before_head: Vec::new(),
        }
    }

    /// Sectors from the beginning to the end.
    pub(crate) fn used(&self) -> u64 {
        self.head.0 - self.superblock.tail.0
    }

    /// How far everything before `upto` can be given up.
    fn reach(&self, upto: Sequence) -> Option<(Sequence, Position)> {
        let reached = self.marks.iter().rev().find(|(first, _)| *first <= upto);
        let all = (self.next <= upto).then_some((self.next, self.head));
        all.or(reached.copied())
    }

    /// The batch from `first` on stands, or is about to stand, at `position`.
    pub(crate) fn mark(&mut self, first: Sequence, position: Position) {
        let apart = MARK_SECTORS.min(self.superblock.sectors / MARKS_LEAST);
        let far = |(_, last): &(Sequence, Position)| position.0 - last.0 >= apart;
        if self.marks.back().is_none_or(far) {
            self.marks.push_back((first, position));
        }
    }
}

/// The sectors of a device, if they are enough.
fn check_size(device: &impl Device, config: LogConfig) -> Result<u64, LogError> {
    let sectors = device.sector_count();
    let least = SECTORS_LEAST.saturating_add(config.reserve_sectors);
    if sectors < least {
        return Err(LogError::TooSmall { sectors, least });
    }
    Ok(sectors)
}

impl<D: Device> Log<D> {
    /// Makes an empty log on a device, whatever was there. All of it is written with zeros, so that
    /// there is room for every sector from then on. Durable when this returns.
    ///
    /// # Errors
    ///
    /// [`LogError::TooSmall`], or what the device says.
    pub fn create(device: D, id: LogId, config: LogConfig) -> Result<Self, LogError> {
        let sectors = check_size(&device, config)?;
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
        Ok(Self::new(device, State::new(superblock), config))
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
        config: LogConfig,
        found: impl FnMut(Sequence, Record<'_>),
    ) -> Result<(Self, Replayed), LogError> {
        Self::open_as(device, config, found, |lost| match lost {
            Some((sequence, sector)) => Err(LogError::Corrupt { sequence, sector }),
            None => Ok(()),
        })
    }

    /// As [`open`](Self::open), also where the log is damaged: what is behind the damage is given up,
    /// although it had been durable, and [`Replayed::lost`] says so. If the power goes before anything is
    /// appended, the next opening finds the damage again.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), but for [`LogError::Corrupt`].
    pub fn salvage(
        device: D,
        config: LogConfig,
        found: impl FnMut(Sequence, Record<'_>),
    ) -> Result<(Self, Replayed), LogError> {
        Self::open_as(device, config, found, |_| Ok(()))
    }

    fn open_as(
        device: D,
        config: LogConfig,
        found: impl FnMut(Sequence, Record<'_>),
        check: impl FnOnce(Option<(Sequence, u64)>) -> Result<(), LogError>,
    ) -> Result<(Self, Replayed), LogError> {
        let sectors = check_size(&device, config)?;
        let superblock = Superblock::read(&device)?;
        if superblock.sectors != sectors {
            return Err(LogError::Resized { sectors, recorded: superblock.sectors });
        }
        let (mut state, replayed) = replay(&device, superblock, found)?;
        check(replayed.lost)?;
        let next = state.next;
        let opened = &mut state.superblock;
        opened.durable = opened.durable.min(next);
        opened.number += 1;
        opened.incarnation += 1;
        if !opened.can_be() {
            return Err(LogError::NoLog);
        }
        opened.write(&device)?;
        // A batch that was torn here must not become whole by what is written over a part of it.
        let end = Ring::of(sectors).sector(state.head);
        device.write_at(end, &[IoSlice::new(&[0; BLOCK_BYTES])])?;
        // What was replayed is there, flushed or not; the flush makes it stay.
        device.flush()?;
        Ok((Self::new(device, state, config), replayed))
    }

    /// All records of the state are durable.
    fn new(device: D, state: State, config: LogConfig) -> Self {
        let (id, ring) = (state.superblock.id, Ring::of(state.superblock.sectors));
        let durable = state.next;
        let queue = Queue::new(durable, ring.sectors() - 1, state.used(), config);
        Self {
            device,
            id,
            ring,
            flushes: Turns::new(),
            state: Mutex::new(state),
            queue: Mutex::new(queue),
            written: AtomicU64::new(durable.0),
            durable: AtomicU64::new(durable.0),
        }
    }

    /// Makes all records before `upto` durable, with all others that are queued. Who asks while a flush
    /// is under way shares the next one.
    ///
    /// # Errors
    ///
    /// As [`write_out`](Self::write_out); what the device says is final.
    pub fn sync(&self, upto: Sequence) -> Result<(), LogError> {
        let is_durable = || self.durable_sequence() >= upto;
        if is_durable() {
            return Ok(());
        }
        let Some(_turn) = self.flushes.take_unless(is_durable) else { return Ok(()) };
        self.write_out(self.end())?;
        self.queue.lock().check()?;
        let mut written = self.written.load(Ordering::Acquire);
        self.flush()?;
        if mutant::removed("written-before-flush") {
            written = self.written.load(Ordering::Acquire);
        }
        self.durable.fetch_max(written, Ordering::AcqRel);
        Ok(())
    }

    /// Gives up all batches whose records are all before `upto`: they are never replayed again. Their
    /// room is free, durably, when this returns. Returns who is granted it.
    ///
    /// # Errors
    ///
    /// What the device says; it is final.
    pub fn trim(&self, upto: Sequence) -> Result<Wakes, LogError> {
        let _turn = self.flushes.take_unless(|| false);
        let (next, superblock) = {
            let state = self.state.lock();
            self.queue.lock().check()?;
            let Superblock { number, first, .. } = state.superblock;
            let Some((first, tail)) = state.reach(upto).filter(|to| to.0 > first) else {
                return Ok(Wakes::new());
            };
            let (number, durable) = (number + 1, self.durable_sequence().max(first));
            (state.next, Superblock { number, tail, first, durable, ..state.superblock })
        };
        // What is before the new beginning is not needed, so the order of the two does not matter.
        superblock.write(&self.device).map_err(|error| self.end_with(error))?;
        self.flush()?;
        self.durable.fetch_max(next.0, Ordering::AcqRel);
        let mut state = self.state.lock();
        state.superblock = superblock;
        while state.marks.front().is_some_and(|(first, _)| *first < superblock.first) {
            state.marks.pop_front();
        }
        let mut queue = self.queue.lock();
        queue.used = state.used();
        Ok(queue.grant())
    }

    fn flush(&self) -> Result<(), LogError> {
        self.device.flush().map_err(|error| self.end_with(error.into()))
    }

    /// An error that is final.
    pub(crate) fn end_with(&self, error: LogError) -> LogError {
        let nowhere = self.queue.lock().fail(error);
        drop(nowhere);
        error
    }

    /// Ends the log for who takes an error of it for final: nothing is written from here on, and what is
    /// queued goes nowhere.
    pub fn stop(&self, error: LogError) {
        self.end_with(error);
    }

    /// Sectors that [`trim`](Self::trim) to this record would free now. It waits for a batch that is being
    /// written.
    pub fn sectors_before(&self, upto: Sequence) -> u64 {
        let state = self.state.lock();
        state.reach(upto).map_or(0, |(_, to)| to.0.saturating_sub(state.superblock.tail.0))
    }

    /// The sequence that the next record gets.
    pub fn end(&self) -> Sequence {
        self.queue.lock().end
    }

    /// The first record that is not trimmed.
    pub fn first_sequence(&self) -> Sequence {
        self.state.lock().superblock.first
    }

    /// Records before this one are durable.
    pub fn durable_sequence(&self) -> Sequence {
        Sequence(self.durable.load(Ordering::Acquire))
    }

    /// How full it is, and who waits.
    pub fn usage(&self) -> LogUsage {
        self.queue.lock().usage()
    }

    /// Sectors that batches may take before something is trimmed; at the end of the ring some of them
    /// may be skipped.
    pub fn free_sectors(&self) -> u64 {
        self.queue.lock().free()
    }

    /// Sectors that batches may take at all.
    pub fn capacity_sectors(&self) -> u64 {
        self.ring.sectors() - 1
    }
}

impl<D> fmt::Debug for Log<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Log(to {})", self.queue.lock().end)
    }
}
