//! What a job asks to have done, and the hardware that does it.

use diptych_device::Device;
use diptych_dka::{self as dka, Drives};
use diptych_drr as drr;
use diptych_format::{Resource, Wakes, Work};
use diptych_log::{Log, LogError, Sequence};
use diptych_sync::Arc;

/// The durable log of a control unit, over whatever device it is on.
pub type UnitLog = Log<Box<dyn Device>>;

/// Something that takes time: one request to one drive, one transfer, one request to the log. It owns
/// its buffers, but for those that the log holds already; the [`Event`] brings them back.
#[derive(Debug)]
pub enum Effect {
    /// A request to a drive.
    Disk(dka::Op),
    /// A transfer through the address change unit of a disk adapter.
    Transfer {
        /// The disk adapter.
        dka_no: u16,
        /// The transfer.
        op: drr::Op,
    },
    /// A request to the log.
    Log(LogOp),
}

/// A request to the durable log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogOp {
    /// Write everything that is queued before this record: it survives the death of the process.
    Append {
        /// The first record that need not be written.
        upto: Sequence,
        /// Bytes of payload that the job has queued itself.
        bytes: u64,
    },
    /// The same, and make it durable.
    Sync {
        /// The first record that need not be durable.
        upto: Sequence,
    },
    /// Give up everything before this record.
    Trim {
        /// The first record that is still needed.
        upto: Sequence,
    },
}

/// How an [`Effect`] ended.
#[derive(Debug)]
pub enum Event {
    /// A drive answered.
    Disk(dka::Done),
    /// A transfer ended.
    Transfer(drr::Done),
    /// The log answered. Who waited for its room and has it now is to be woken.
    Log(Result<Wakes, LogError>),
}

/// The hardware below the control unit. Passive: both drivers call it, each in its own time.
#[derive(Debug)]
pub struct Plant {
    drives: Drives,
    log: Option<Arc<UnitLog>>,
}

impl Plant {
    /// The hardware with these drives, and nothing that outlives the unit.
    pub fn new(drives: Drives) -> Self {
        Self { drives, log: None }
    }

    /// The hardware with these drives and a durable log.
    pub fn with_log(drives: Drives, log: UnitLog) -> Self {
        Self { drives, log: Some(Arc::new(log)) }
    }

    /// Its drives.
    pub fn drives(&self) -> &Drives {
        &self.drives
    }

    /// Its log, if it has one.
    pub fn log(&self) -> Option<&Arc<UnitLog>> {
        self.log.as_ref()
    }

    /// Does it.
    ///
    /// # Panics
    ///
    /// If there is no log, and it is a request to the log.
    pub fn perform(&self, effect: Effect) -> Event {
        match effect {
            Effect::Disk(op) => Event::Disk(self.drives.perform(op)),
            Effect::Transfer { op, .. } => Event::Transfer(op.perform()),
            Effect::Log(op) => Event::Log(self.perform_log(op)),
        }
    }

    fn perform_log(&self, op: LogOp) -> Result<Wakes, LogError> {
        let log = self.log.as_ref().expect("a unit without a log asks nothing of it");
        match op {
            LogOp::Append { upto, .. } => log.write_out(upto).map(|()| Wakes::new()),
            LogOp::Sync { upto } => log.sync(upto).map(|()| Wakes::new()),
            LogOp::Trim { upto } => log.trim(upto),
        }
    }

    /// What it costs.
    pub fn work(&self, effect: &Effect) -> Work {
        match effect {
            Effect::Disk(op) => Work {
                resource: Resource::Drive(op.drive()),
                bytes: op.byte_count() as u64,
                at: op.sector(),
                is_write: op.is_write(),
            },
            Effect::Transfer { dka_no, op } => op.work(*dka_no),
            Effect::Log(op) => {
                let bytes = match op {
                    LogOp::Append { bytes, .. } => *bytes,
                    LogOp::Sync { .. } | LogOp::Trim { .. } => 0,
                };
                Work { resource: Resource::Log, bytes, at: None, is_write: true }
            }
        }
    }
}
