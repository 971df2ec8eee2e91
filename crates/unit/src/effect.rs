//! What a job asks to have done, and the hardware that does it.

use diptych_dka::{self as dka, Drives};
use diptych_drr as drr;
use diptych_format::{Resource, Work};

/// Something that takes time: one request to one drive, one transfer. It owns its buffers; the
/// [`Event`] brings them back.
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
}

/// How an [`Effect`] ended.
#[derive(Debug)]
pub enum Event {
    /// A drive answered.
    Disk(dka::Done),
    /// A transfer ended.
    Transfer(drr::Done),
}

/// The hardware below the control unit. Passive: both drivers call it, each in its own time.
#[derive(Debug)]
pub struct Plant {
    drives: Drives,
}

impl Plant {
    /// The hardware with these drives.
    pub fn new(drives: Drives) -> Self {
        Self { drives }
    }

    /// Its drives.
    pub fn drives(&self) -> &Drives {
        &self.drives
    }

    /// Does it.
    pub fn perform(&self, effect: Effect) -> Event {
        match effect {
            Effect::Disk(op) => Event::Disk(self.drives.perform(op)),
            Effect::Transfer { op, .. } => Event::Transfer(op.perform()),
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
        }
    }
}
