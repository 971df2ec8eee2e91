//! The drives of the unit, and carrying out one request.

use crate::{Done, Op, Part};
use diptych_device::{Device, DeviceError};
use diptych_format::{CheckArea, DriveNo, SectorNo, TrackBuf};
use diptych_sync::atomic::{AtomicBool, Ordering};
use diptych_sync::{Arc, Condvar, Mutex, Tally, mutant};
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;

/// The drives, each under its DKA.
///
/// A request waits until no other request to the same sectors of its drive is under way, as in a
/// drive's own queue: the order of two writes to one track is never left to chance.
///
/// A time-out is not a completion: the request may be carried out at any time from then on. So the
/// drive is fenced: it is asked for nothing any more, and nothing newer can be overwritten.
#[derive(Debug)]
pub struct Drives {
    drives: Vec<Drive>,
}

#[derive(Debug)]
struct Drive {
    dka_no: u16,
    device: Box<dyn Device>,
    under_way: Mutex<Vec<Range<u64>>>,
    ended: Condvar,
    /// A request timed out, and its answer is not in.
    fenced: AtomicBool,
    counters: Counters,
}

#[derive(Debug, Default)]
struct Counters {
    reads: Tally,
    read_bytes: Tally,
    writes: Tally,
    written_bytes: Tally,
    flushes: Tally,
    failed: Tally,
}

/// What was asked of a drive so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DriveCounts {
    /// Requests to read.
    pub reads: u64,
    /// Bytes that they wanted, check areas among them.
    pub read_bytes: u64,
    /// Requests to write.
    pub writes: u64,
    /// Bytes that they had.
    pub written_bytes: u64,
    /// Requests to make durable what was written.
    pub flushes: u64,
    /// Requests of any kind that failed.
    pub failed: u64,
    /// Reads and writes under way now.
    pub under_way: usize,
}

impl Drives {
    /// These drives, numbered from 0, each with the number of the DKA that owns it.
    ///
    /// # Panics
    ///
    /// If there are more than 65,536.
    pub fn new(drives: Vec<(u16, Box<dyn Device>)>) -> Self {
        assert!(drives.len() <= 1 << 16, "a drive number has 16 bits");
        let drive = |(dka_no, device)| Drive {
            dka_no,
            device,
            under_way: Mutex::new(Vec::new()),
            ended: Condvar::new(),
            fenced: AtomicBool::new(false),
            counters: Counters::default(),
        };
        Self { drives: drives.into_iter().map(drive).collect() }
    }

    /// Each drive's number, its DKA and its sectors.
    pub fn list(&self) -> impl Iterator<Item = (DriveNo, u16, u64)> + '_ {
        let row = |(no, drive): (usize, &Drive)| {
            (DriveNo(no as u16), drive.dka_no, drive.device.sector_count())
        };
        self.drives.iter().enumerate().map(row)
    }

    /// The DKA that owns a drive.
    ///
    /// # Panics
    ///
    /// If there is no such drive.
    pub fn dka_of(&self, drive: DriveNo) -> u16 {
        self.drives[usize::from(drive.0)].dka_no
    }

    /// Carries out one request.
    ///
    /// # Panics
    ///
    /// If there is no such drive.
    pub fn perform(&self, op: Op) -> Done {
        let drive = &self.drives[usize::from(op.drive().0)];
        drive.counters.count(&op);
        let done = drive.perform(op);
        if done.result.is_err() {
            drive.counters.failed.add(1);
        }
        done
    }

    /// What was asked of a drive so far.
    ///
    /// # Panics
    ///
    /// If there is no such drive.
    pub fn counts(&self, drive: DriveNo) -> DriveCounts {
        let drive = &self.drives[usize::from(drive.0)];
        DriveCounts { under_way: drive.under_way.lock().len(), ..drive.counters.now() }
    }

    /// How much longer than others the requests to a drive took since this was last asked, in
    /// nanoseconds ([`Device::take_delay_ns`]).
    ///
    /// # Panics
    ///
    /// If there is no such drive.
    pub fn take_delay_ns(&self, drive: DriveNo) -> u64 {
        self.drives[usize::from(drive.0)].device.take_delay_ns()
    }

    /// Whether a request to the drive timed out.
    ///
    /// # Panics
    ///
    /// If there is no such drive.
    pub fn is_fenced(&self, drive: DriveNo) -> bool {
        self.drives[usize::from(drive.0)].fenced.load(Ordering::Acquire)
    }
}

/// The buffers back, and nothing done.
fn refused(op: Op, error: DeviceError) -> Done {
    let drive = op.drive();
    let (data, checks) = match op {
        Op::Read { data, checks, .. } => (data.map(|(buf, _)| buf), checks),
        Op::Write { .. } | Op::Flush { .. } => (None, None),
    };
    Done { drive, result: Err(error), data, checks }
}

/// A request that is under way. It leaves its sectors to the next one however it ends, be it by a
/// panic of the device.
struct UnderWay<'a> {
    drive: &'a Drive,
    sectors: Range<u64>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut under_way = self.drive.under_way.lock();
        under_way.retain(|sectors| *sectors != self.sectors);
        drop(under_way);
        self.drive.ended.notify_all();
    }
}

impl Counters {
    fn count(&self, op: &Op) {
        let bytes = op.byte_count() as u64;
        match op {
            Op::Read { .. } => {
                self.reads.add(1);
                self.read_bytes.add(bytes);
            }
            Op::Write { .. } => {
                self.writes.add(1);
                self.written_bytes.add(bytes);
            }
            Op::Flush { .. } => self.flushes.add(1),
        }
    }

    fn now(&self) -> DriveCounts {
        DriveCounts {
            reads: self.reads.get(),
            read_bytes: self.read_bytes.get(),
            writes: self.writes.get(),
            written_bytes: self.written_bytes.get(),
            flushes: self.flushes.get(),
            failed: self.failed.get(),
            under_way: 0,
        }
    }
}

impl Drive {
    /// Carries out one request.
    fn perform(&self, op: Op) -> Done {
        let drive_no = op.drive();
        if self.fenced.load(Ordering::Acquire) {
            return refused(op, DeviceError::Failed);
        }
        let Some(sector) = op.sector() else {
            let result = self.device.flush();
            return self.fence(Done { drive: drive_no, result, data: None, checks: None });
        };
        let sectors = sector.0..sector.0 + (op.byte_count() / diptych_format::BLOCK_BYTES) as u64;
        let _under_way = self.enter(sectors);
        // What it waited for may be what timed out.
        if self.fenced.load(Ordering::Acquire) && !mutant::removed("fence-after-wait") {
            return refused(op, DeviceError::Failed);
        }
        let done = match op {
            Op::Read { data, checks, .. } => self.read(drive_no, sector, data, checks),
            Op::Write { data, checks, .. } => {
                let result = self.write(sector, data.as_ref(), checks.as_ref());
                Done { drive: drive_no, result, data: None, checks: None }
            }
            Op::Flush { .. } => unreachable!("a flush has no sector"),
        };
        self.fence(done)
    }

    /// Fences the drive if the request timed out; before the sectors are left to the next one.
    fn fence(&self, done: Done) -> Done {
        if done.result == Err(DeviceError::TimedOut) {
            self.fenced.store(true, Ordering::Release);
        }
        done
    }

    /// Waits until no other request to these sectors is under way.
    fn enter(&self, sectors: Range<u64>) -> UnderWay<'_> {
        let mut under_way = self.under_way.lock();
        while under_way.iter().any(|r| r.start < sectors.end && sectors.start < r.end) {
            under_way = self.ended.wait(under_way);
        }
        under_way.push(sectors.clone());
        UnderWay { drive: self, sectors }
    }

    fn read(
        &self,
        drive: DriveNo,
        sector: SectorNo,
        mut data: Option<(TrackBuf, Range<usize>)>,
        mut checks: Option<CheckArea>,
    ) -> Done {
        let data_part = data.as_mut().map(|(buf, bytes)| &mut buf.bytes_mut()[bytes.clone()]);
        let check_part = checks.as_mut().map(CheckArea::as_bytes_mut);
        let result = match (data_part, check_part) {
            (Some(d), Some(c)) => {
                self.device.read_at(sector, &mut [IoSliceMut::new(d), IoSliceMut::new(c)])
            }
            (Some(one), None) | (None, Some(one)) => {
                self.device.read_at(sector, &mut [IoSliceMut::new(one)])
            }
            (None, None) => Ok(()),
        };
        Done { drive, result, data: data.map(|(buf, _)| buf), checks }
    }

    fn write(
        &self,
        sector: SectorNo,
        data: Option<&Part>,
        checks: Option<&Arc<CheckArea>>,
    ) -> Result<(), DeviceError> {
        let data_part = data.map(|part| &part.buf.bytes()[part.bytes.clone()]);
        let check_part = checks.map(|area| area.as_bytes());
        match (data_part, check_part) {
            (Some(d), Some(c)) => self.device.write_at(sector, &[IoSlice::new(d), IoSlice::new(c)]),
            (Some(one), None) | (None, Some(one)) => {
                self.device.write_at(sector, &[IoSlice::new(one)])
            }
            (None, None) => Ok(()),
        }
    }
}
