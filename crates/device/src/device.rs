//! The trait that every drive and every wrapper implements.

use crate::DeviceError;
use diptych_format::SectorNo;
use diptych_sync::Arc;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};

/// A storage device (Fig. 1: 103-106): sectors of 512 bytes, read, written and made durable.
///
/// What a caller may rely on:
/// - A request is whole sectors within the drive, in one or more buffers, each a multiple of 512
///   bytes. Anything else gets a typed error and changes nothing. A request of no bytes is allowed.
/// - A sector is read and written as one: it never holds part of one write and part of another.
///   Nothing larger is: requests that overlap in time may mix by sectors, and a write that a power
///   cut meets may leave any of its sectors new and the others old.
/// - What was written is read back at once, and is durable once a [`flush`](Self::flush) that began
///   after the write's end has ended well. Between two flushes writes become durable in any order.
/// - Methods may be called from many threads at once, and they block until the request is done.
pub trait Device: Send + Sync + fmt::Debug {
    /// Sectors of the drive. It never changes.
    fn sector_count(&self) -> u64;

    /// Fills the buffers, one after another, from `sector` on.
    ///
    /// # Errors
    ///
    /// Any [`DeviceError`] of a request. The buffers then hold anything.
    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError>;

    /// Writes the buffers, one after another, from `sector` on.
    ///
    /// # Errors
    ///
    /// Any [`DeviceError`] of a request. Each of its sectors then holds its old or its new content.
    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError>;

    /// Makes durable every write that had ended when this was called.
    ///
    /// # Errors
    ///
    /// [`DeviceError::FlushFailed`]: some of these writes may be lost, and the drive with them.
    fn flush(&self) -> Result<(), DeviceError>;

    /// How much longer than others the requests took that ended since this was last asked, in
    /// nanoseconds: of a drive that is slow by a plan. Nobody sleeps for it; who has time under
    /// control lets it pass.
    fn take_delay_ns(&self) -> u64 {
        0
    }
}

macro_rules! forward {
    () => {
        fn sector_count(&self) -> u64 {
            (**self).sector_count()
        }

        fn read_at(
            &self,
            sector: SectorNo,
            bufs: &mut [IoSliceMut<'_>],
        ) -> Result<(), DeviceError> {
            (**self).read_at(sector, bufs)
        }

        fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
            (**self).write_at(sector, bufs)
        }

        fn flush(&self) -> Result<(), DeviceError> {
            (**self).flush()
        }

        fn take_delay_ns(&self) -> u64 {
            (**self).take_delay_ns()
        }
    };
}

impl<D: Device + ?Sized> Device for Box<D> {
    forward!();
}

impl<D: Device + ?Sized> Device for &D {
    forward!();
}

/// So that a drive can be kept in hand (to read its trace, say) and be used by others.
impl<D: Device> Device for Arc<D> {
    forward!();
}
