//! The devices of a unit: each goes wrong at one request, if it is told to, and may lose its power.

use diptych_device::{Device, DeviceError, Fault, FaultPlan, FaultRule, MemoryDrive, Op, PowerCut};
use diptych_dka::Drives;
use diptych_format::SectorNo;
use diptych_sync::{Arc, Mutex};
use std::io::{IoSlice, IoSliceMut};

/// Sectors of each drive: room for all volumes.
const DRIVE_SECTORS: u64 = 1 << 10;
/// Sectors that a volatile cache holds before it writes some.
const UNFLUSHED_MAX: usize = 1 << 14;

/// Requests by kind: reads, writes, flushes.
pub(super) type Counts = [u64; 3];

/// The operations, in the order of [`Counts`].
pub(super) const OPS: [Op; 3] = [Op::Read, Op::Write, Op::Flush];

/// A device that counts what is asked of it.
#[derive(Debug)]
struct Counted {
    device: Fault<PowerCut<MemoryDrive>>,
    counts: Mutex<Counts>,
}

impl Counted {
    fn new(sectors: u64) -> Arc<Self> {
        let drive = PowerCut::new(MemoryDrive::new(sectors), UNFLUSHED_MAX);
        let device = Fault::new(drive, FaultPlan::none()).expect("no rule is wrong");
        Arc::new(Self { device, counts: Mutex::default() })
    }

    fn count(&self, op: Op) {
        let no = OPS.iter().position(|one| *one == op).expect("there are three");
        self.counts.lock()[no] += 1;
    }
}

impl Device for Counted {
    fn sector_count(&self) -> u64 {
        self.device.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        self.count(Op::Read);
        self.device.read_at(sector, bufs)
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        self.count(Op::Write);
        self.device.write_at(sector, bufs)
    }

    fn flush(&self) -> Result<(), DeviceError> {
        self.count(Op::Flush);
        self.device.flush()
    }

    fn take_delay_ns(&self) -> u64 {
        self.device.take_delay_ns()
    }
}

/// The drives, and last the log's device.
pub(super) struct Devices(Vec<Arc<Counted>>);

impl Devices {
    pub(super) fn new(drives: usize, log_sectors: u64) -> Self {
        let sectors = std::iter::repeat_n(DRIVE_SECTORS, drives).chain([log_sectors]);
        Self(sectors.map(Counted::new).collect())
    }

    pub(super) fn drives(&self) -> Drives {
        let (_, drives) = self.0.split_last().expect("there is a log");
        let boxed = |drive: &Arc<Counted>| (0, Box::new(drive.clone()) as Box<dyn Device>);
        Drives::new(drives.iter().map(boxed).collect())
    }

    pub(super) fn log(&self) -> Box<dyn Device> {
        Box::new(self.0.last().expect("there is a log").clone())
    }

    /// From here on requests are counted, and the device goes wrong as these rules say.
    pub(super) fn begin(&self, device: usize, rules: Vec<FaultRule>) {
        for one in &self.0 {
            *one.counts.lock() = Counts::default();
        }
        for rule in rules {
            self.0[device].device.push(rule).expect("a rule that suits");
        }
    }

    pub(super) fn counts(&self) -> Vec<Counts> {
        self.0.iter().map(|device| *device.counts.lock()).collect()
    }

    /// How often the device went wrong.
    pub(super) fn strikes(&self, device: usize) -> usize {
        self.0[device].device.events().len()
    }

    pub(super) fn heal(&self) {
        self.0.iter().for_each(|device| device.device.heal());
    }

    /// The power goes, and with it what was not flushed.
    pub(super) fn cut(&self) {
        for device in &self.0 {
            device.device.pristine().cut(|_| false);
            device.device.pristine().restore_power();
        }
    }
}
