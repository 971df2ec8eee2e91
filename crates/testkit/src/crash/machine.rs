//! What outlives a unit: its drives and its log, and the mains they hang on.

use crate::CrashFlaw;
use diptych_device::{Device, DeviceError, MemoryDrive, PowerCut, SectorRange};
use diptych_dka::Drives;
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_sync::{Arc, Mutex};
use fastrand::Rng;
use std::io::{IoSlice, IoSliceMut};

/// Sectors of each drive: room for all volumes.
const DRIVE_SECTORS: u64 = 1 << 13;
/// Sectors that a volatile cache holds before it writes some.
const UNFLUSHED_MAX: usize = 1 << 12;

type Drive = Arc<PowerCut<MemoryDrive>>;

/// How a unit ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    /// The process dies: what it has written stays.
    Kill,
    /// The power goes too: of what was not flushed any sectors survive.
    Cut,
}

/// Counts requests to devices, and ends the unit at one of them: it and all later ones never happen.
#[derive(Debug, Default)]
pub(super) struct Mains {
    state: Mutex<MainsState>,
}

#[derive(Debug, Default)]
struct MainsState {
    off: bool,
    /// Nobody counts.
    paused: bool,
    /// Requests until the end.
    left: Option<u64>,
    /// Of a write that is under way at the end so many sectors happen, modulo one more than it has.
    torn_sectors: u64,
}

/// What becomes of a request.
enum Turn {
    Happens,
    /// The first so many sectors of a write happen, modulo one more than it has.
    Torn(u64),
    Never,
}

impl Mains {
    pub(super) fn end_after(&self, requests: u64, torn_sectors: u64) {
        *self.state.lock() =
            MainsState { left: Some(requests), torn_sectors, ..MainsState::default() };
    }

    pub(super) fn on_for_good(&self) {
        *self.state.lock() = MainsState::default();
    }

    pub(super) fn are_off(&self) -> bool {
        self.state.lock().off
    }

    /// Whether requests are counted: those that are not the unit's are not.
    pub(super) fn pause(&self, paused: bool) {
        self.state.lock().paused = paused;
    }

    fn turn(&self) -> Turn {
        let mut state = self.state.lock();
        match state.left {
            _ if state.off => Turn::Never,
            None => Turn::Happens,
            _ if state.paused => Turn::Happens,
            Some(0) => {
                state.off = true;
                Turn::Torn(state.torn_sectors)
            }
            Some(left) => {
                state.left = Some(left - 1);
                Turn::Happens
            }
        }
    }
}

/// A device on the mains.
#[derive(Debug)]
struct Plug {
    drive: Drive,
    mains: Arc<Mains>,
    /// It says that it has flushed, and has not.
    flush_lies: bool,
}

impl Device for Plug {
    fn sector_count(&self) -> u64 {
        self.drive.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        match self.mains.turn() {
            Turn::Happens => self.drive.read_at(sector, bufs),
            Turn::Torn(_) | Turn::Never => Err(DeviceError::Failed),
        }
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        match self.mains.turn() {
            Turn::Happens => self.drive.write_at(sector, bufs),
            Turn::Torn(sectors) => {
                let lengths = bufs.iter().map(|buf| buf.len());
                let range = SectorRange::of_request(sector, lengths, self.sector_count())?;
                let some = (sectors % (range.count() + 1)) as usize * BLOCK_BYTES;
                let data: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
                self.drive.write_at(sector, &[IoSlice::new(&data[..some])])?;
                Err(DeviceError::Failed)
            }
            Turn::Never => Err(DeviceError::Failed),
        }
    }

    fn flush(&self) -> Result<(), DeviceError> {
        match self.mains.turn() {
            Turn::Happens if self.flush_lies => Ok(()),
            Turn::Happens => self.drive.flush(),
            Turn::Torn(_) | Turn::Never => Err(DeviceError::Failed),
        }
    }
}

/// The devices of a unit.
pub(super) struct Machine {
    drives: Vec<Drive>,
    log: Drive,
    pub(super) mains: Arc<Mains>,
    flaw: Option<CrashFlaw>,
    flaw_to_be: Option<CrashFlaw>,
}

impl Machine {
    pub(super) fn new(drives: usize, log_sectors: u64, flaw: Option<CrashFlaw>) -> Self {
        let drive = |sectors| Arc::new(PowerCut::new(MemoryDrive::new(sectors), UNFLUSHED_MAX));
        let mains = Arc::new(Mains::default());
        let drives = (0..drives).map(|_| drive(DRIVE_SECTORS)).collect();
        Self { drives, log: drive(log_sectors), mains, flaw: None, flaw_to_be: flaw }
    }

    /// From here on what is wrong on purpose is.
    pub(super) fn is_made(&mut self) {
        self.flaw = self.flaw_to_be;
    }

    pub(super) fn drives(&self) -> Drives {
        let plug = |no: usize| -> (u16, Box<dyn Device>) {
            let flush_lies = self.flaw == Some(CrashFlaw::DriveFlushLies);
            let (drive, mains) = (self.drives[no].clone(), self.mains.clone());
            (no as u16 % 2, Box::new(Plug { drive, mains, flush_lies }))
        };
        Drives::new((0..self.drives.len()).map(plug).collect())
    }

    pub(super) fn log(&self) -> Box<dyn Device> {
        let flush_lies = self.flaw == Some(CrashFlaw::LogFlushLies);
        let (drive, mains) = (self.log.clone(), self.mains.clone());
        Box::new(Plug { drive, mains, flush_lies })
    }

    /// A bit of what a drive holds, or has in its cache, is another.
    pub(super) fn rot(&self, drive: usize, sector: SectorNo, bit: usize) {
        let mut bytes = [0; BLOCK_BYTES];
        let drive = &self.drives[drive];
        let read = drive.read_at(sector, &mut [IoSliceMut::new(&mut bytes)]);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let wrote = read.and_then(|()| drive.write_at(sector, &[IoSlice::new(&bytes)]));
        wrote.expect("a sector of a drive that has power");
    }

    /// What a crash does to the devices.
    pub(super) fn crash(&self, crash: Crash, rng: &mut Rng) {
        if crash == Crash::Cut {
            // All of it, nothing, or any of it.
            let eighths = [0, 1, 4, 7, 8][rng.usize(..5)];
            for drive in self.drives.iter().chain([&self.log]) {
                drive.cut(|_| rng.u8(..8) < eighths);
                drive.restore_power();
            }
        } else if self.flaw == Some(CrashFlaw::AnswerBeforeAppend) {
            self.log.cut(|_| false);
            self.log.restore_power();
        }
        self.mains.on_for_good();
    }
}
