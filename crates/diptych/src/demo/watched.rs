//! A drive that remembers how it first failed, so that the user can be told why.

use diptych::device::{Device, DeviceError};
use diptych::format::SectorNo;
use diptych::sync::{Arc, Mutex};
use std::io::{IoSlice, IoSliceMut};

/// The first error of any drive that shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstError(Arc<Mutex<Option<DeviceError>>>);

impl FirstError {
    pub(crate) fn get(&self) -> Option<DeviceError> {
        *self.0.lock()
    }

    fn note(&self, error: &DeviceError) {
        self.0.lock().get_or_insert(*error);
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Watched<D> {
    drive: D,
    first_error: FirstError,
}

impl<D: Device> Watched<D> {
    pub(crate) fn new(drive: D, first_error: FirstError) -> Self {
        Self { drive, first_error }
    }
}

impl<D: Device> Device for Watched<D> {
    fn sector_count(&self) -> u64 {
        self.drive.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        self.drive.read_at(sector, bufs).inspect_err(|error| self.first_error.note(error))
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        self.drive.write_at(sector, bufs).inspect_err(|error| self.first_error.note(error))
    }

    fn flush(&self) -> Result<(), DeviceError> {
        self.drive.flush().inspect_err(|error| self.first_error.note(error))
    }
}
