//! A wrapper that records the requests to a drive.

use crate::ring::Ring;
use crate::{Device, DeviceError, Op};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_sync::Mutex;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};

/// One request, as [`Trace`] saw it.
///
/// Shown as one line: number, operation, first sector and sectors, outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceEntry {
    /// The number of the request, from 0, in the order in which requests ended.
    pub no: u64,
    /// What was asked.
    pub op: Op,
    /// The first sector asked for; 0 for a flush.
    pub sector: SectorNo,
    /// Whole sectors asked for; 0 for a flush.
    pub sector_count: u64,
    /// How it ended.
    pub outcome: Result<(), DeviceError>,
}

impl fmt::Display for TraceEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { no, op, sector, sector_count, outcome } = self;
        let place = match op {
            Op::Flush => String::new(),
            Op::Read | Op::Write => format!("{sector}+{sector_count}"),
        };
        write!(f, "{no:>4} {op:<5} {place:<12} ")?;
        match outcome {
            Ok(()) => f.write_str("ok"),
            Err(error) => write!(f, "{error}"),
        }
    }
}

/// A drive that keeps the latest requests to the drive within, with their outcomes.
///
/// Put it outside of a [`Fault`](crate::Fault) to see what the caller sees, inside to see what the
/// drive is asked.
///
/// ```
/// use diptych_device::{Device, MemoryDrive, Trace};
/// use diptych_format::SectorNo;
/// use std::io::IoSlice;
///
/// let drive = Trace::new(MemoryDrive::new(8), 100);
/// drive.write_at(SectorNo(6), &[IoSlice::new(&[1; 1024])]).unwrap();
/// drive.write_at(SectorNo(7), &[IoSlice::new(&[1; 1024])]).unwrap_err();
/// drive.flush().unwrap();
/// assert_eq!(
///     drive.to_string(),
///     "   0 write 6+2          ok\n   \
///         1 write 7+2          2 sectors from 7 on reach past the drive's 8 sectors\n   \
///         2 flush              ok\n"
/// );
/// ```
pub struct Trace<D> {
    drive: D,
    state: Mutex<State>,
}

struct State {
    next_no: u64,
    entries: Ring<TraceEntry>,
}

impl<D: Device> Trace<D> {
    /// Records the latest `capacity` requests to `drive`.
    pub fn new(drive: D, capacity: usize) -> Self {
        Self { drive, state: Mutex::new(State { next_no: 0, entries: Ring::new(capacity) }) }
    }

    /// The requests that are kept, the oldest first.
    pub fn entries(&self) -> Vec<TraceEntry> {
        self.state.lock().entries.to_vec()
    }

    /// Requests that were recorded once and had to make room for later ones.
    pub fn dropped_count(&self) -> u64 {
        self.state.lock().entries.dropped_count()
    }

    /// The drive within.
    pub fn inner(&self) -> &D {
        &self.drive
    }

    fn record(
        &self,
        op: Op,
        sector: SectorNo,
        sector_count: u64,
        outcome: Result<(), DeviceError>,
    ) -> Result<(), DeviceError> {
        let mut state = self.state.lock();
        let no = state.next_no;
        state.next_no += 1;
        state.entries.push(TraceEntry { no, op, sector, sector_count, outcome });
        outcome
    }
}

/// Whole sectors in buffers of these lengths. Whether they are asked for rightly, the drive says.
fn sectors(buffer_bytes: impl Iterator<Item = usize>) -> u64 {
    buffer_bytes.map(|bytes| (bytes / BLOCK_BYTES) as u64).sum()
}

impl<D: Device> Device for Trace<D> {
    fn sector_count(&self) -> u64 {
        self.drive.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let count = sectors(bufs.iter().map(|b| b.len()));
        self.record(Op::Read, sector, count, self.drive.read_at(sector, bufs))
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let count = sectors(bufs.iter().map(|b| b.len()));
        self.record(Op::Write, sector, count, self.drive.write_at(sector, bufs))
    }

    fn flush(&self) -> Result<(), DeviceError> {
        self.record(Op::Flush, SectorNo(0), 0, self.drive.flush())
    }

    fn take_delay_ns(&self) -> u64 {
        self.drive.take_delay_ns()
    }
}

impl<D: Device> fmt::Debug for Trace<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trace").field(&self.drive).finish()
    }
}

/// The requests that are kept, one line each, after a line that says how many are not.
impl<D: Device> fmt::Display for Trace<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dropped, entries) = {
            let state = self.state.lock();
            (state.entries.dropped_count(), state.entries.to_vec())
        };
        if dropped > 0 {
            writeln!(f, "({dropped} earlier)")?;
        }
        entries.iter().try_for_each(|entry| writeln!(f, "{entry}"))
    }
}
