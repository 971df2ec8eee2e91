//! Drives that remember: every write and every flush, in order, with what was asked and answered by then.

use diptych_device::{Device, DeviceError, SectorRange};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_sync::{Arc, Mutex};
use std::io::{IoSlice, IoSliceMut};

/// Something that happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A drive was written to.
    Write(Written),
    /// A drive was flushed.
    Flush { drive: usize },
    /// The operations of a step were sent.
    Sent { step: usize },
    /// One of them was answered.
    Answered { step: usize, op: usize },
    /// All of them were.
    Ended { step: usize },
}

/// A write to a drive.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) drive: usize,
    pub(crate) sector: u64,
    pub(crate) data: Arc<[u8]>,
}

impl Written {
    /// Its sectors, each with its place on the drive.
    pub(crate) fn sectors(&self) -> impl Iterator<Item = (u64, &[u8])> {
        (self.sector..).zip(self.data.chunks_exact(BLOCK_BYTES))
    }
}

/// What happened, in order.
#[derive(Debug, Default)]
pub(crate) struct Tape {
    events: Mutex<Vec<Event>>,
}

impl Tape {
    pub(crate) fn add(&self, event: Event) {
        self.events.lock().push(event);
    }

    pub(crate) fn take(&self) -> Vec<Event> {
        std::mem::take(&mut self.events.lock())
    }
}

/// A drive in memory that writes down what is done to it, if there is a tape.
#[derive(Debug)]
pub(crate) struct TapeDrive {
    no: usize,
    bytes: Mutex<Vec<u8>>,
    tape: Option<Arc<Tape>>,
}

impl TapeDrive {
    pub(crate) fn new(no: usize, bytes: Vec<u8>, tape: Option<Arc<Tape>>) -> Self {
        Self { no, bytes: Mutex::new(bytes), tape }
    }

    /// What it holds.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes.lock().clone()
    }
}

impl Device for TapeDrive {
    fn sector_count(&self) -> u64 {
        (self.bytes.lock().len() / BLOCK_BYTES) as u64
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|buf| buf.len());
        SectorRange::of_request(sector, lengths, self.sector_count())?;
        let bytes = self.bytes.lock();
        let mut at = sector.0 as usize * BLOCK_BYTES;
        for buf in bufs {
            let end = at + buf.len();
            buf.copy_from_slice(&bytes[at..end]);
            at = end;
        }
        Ok(())
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|buf| buf.len());
        SectorRange::of_request(sector, lengths, self.sector_count())?;
        let data: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
        let at = sector.0 as usize * BLOCK_BYTES;
        self.bytes.lock()[at..at + data.len()].copy_from_slice(&data);
        if let Some(tape) = &self.tape {
            tape.add(Event::Write(Written { drive: self.no, sector: sector.0, data: data.into() }));
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), DeviceError> {
        if let Some(tape) = &self.tape {
            tape.add(Event::Flush { drive: self.no });
        }
        Ok(())
    }
}
