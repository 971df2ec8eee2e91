//! A device that leaves the one below as it is: what is written to it stays in memory.

use crate::buffers::{Gather, Scatter};
use crate::{Device, DeviceError, SectorRange};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_sync::RwLock;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};

type Sector = [u8; BLOCK_BYTES];

/// A device over another that is only read: for looking at what a unit would make of its drives.
///
/// Each sector written takes a little more than 512 bytes of memory, so writes are bounded by whoever
/// writes. A flush does nothing.
///
/// ```
/// use diptych_device::{Device, MemoryDrive, Overlay};
/// use diptych_format::SectorNo;
/// use std::io::{IoSlice, IoSliceMut};
///
/// # fn main() -> Result<(), diptych_device::DeviceError> {
/// let below = MemoryDrive::new(8);
/// let overlay = Overlay::new(&below);
/// overlay.write_at(SectorNo(3), &[IoSlice::new(&[7; 512])])?;
/// let read = |device: &dyn Device| -> Result<u8, diptych_device::DeviceError> {
///     let mut sector = [1; 512];
///     device.read_at(SectorNo(3), &mut [IoSliceMut::new(&mut sector)])?;
///     Ok(sector[0])
/// };
/// assert_eq!((read(&overlay)?, read(&below)?), (7, 0));
/// # Ok(())
/// # }
/// ```
pub struct Overlay<D> {
    below: D,
    written: RwLock<BTreeMap<u64, Box<Sector>>>,
}

impl<D: Device> Overlay<D> {
    /// Over this device.
    pub fn new(below: D) -> Self {
        Self { below, written: RwLock::new(BTreeMap::new()) }
    }
}

impl<D: Device> Device for Overlay<D> {
    fn sector_count(&self) -> u64 {
        self.below.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|b| b.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count())?;
        let written = self.written.read();
        let mut above = written.range(range.start.0..range.end.0).peekable();
        if above.peek().is_none() {
            return self.below.read_at(sector, bufs);
        }
        let mut bytes = vec![0; (range.end.0 - range.start.0) as usize * BLOCK_BYTES];
        let mut from = range.start.0;
        let read_below = |from: u64, to: u64, bytes: &mut [u8]| {
            let at = |sector: u64| (sector - range.start.0) as usize * BLOCK_BYTES;
            let part = &mut bytes[at(from)..at(to)];
            // What was written is not read below: that may not be readable.
            let wanted = !part.is_empty();
            if wanted {
                self.below.read_at(SectorNo(from), &mut [IoSliceMut::new(part)])
            } else {
                Ok(())
            }
        };
        for (&sector, data) in above {
            read_below(from, sector, &mut bytes)?;
            let at = (sector - range.start.0) as usize * BLOCK_BYTES;
            bytes[at..at + BLOCK_BYTES].copy_from_slice(&data[..]);
            from = sector + 1;
        }
        read_below(from, range.end.0, &mut bytes)?;
        Scatter::new(bufs).put(&bytes);
        Ok(())
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|b| b.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count())?;
        let mut gather = Gather::new(bufs);
        let mut written = self.written.write();
        for sector in range.start.0..range.end.0 {
            let data = written.entry(sector).or_insert_with(|| Box::new([0; BLOCK_BYTES]));
            gather.fill(&mut data[..]);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl<D: fmt::Debug> fmt::Debug for Overlay<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Overlay").field(&self.below).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDrive;

    #[test]
    fn what_was_written_is_read_and_the_rest_is_below() {
        let below = MemoryDrive::new(8);
        below.write_at(SectorNo(0), &[IoSlice::new(&[1; 8 * 512])]).unwrap();
        let overlay = Overlay::new(&below);
        overlay.write_at(SectorNo(2), &[IoSlice::new(&[2; 512]), IoSlice::new(&[3; 512])]).unwrap();
        overlay.write_at(SectorNo(6), &[IoSlice::new(&[4; 512])]).unwrap();
        overlay.flush().unwrap();
        #[track_caller]
        fn check(overlay: &impl Device, from: u64, expected: &[u8]) {
            let (mut first, mut rest) = ([9; 512], vec![9; (expected.len() - 1) * 512]);
            let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut rest)];
            overlay.read_at(SectorNo(from), &mut bufs).unwrap();
            let all = [&first[..], &rest].concat();
            let found: Vec<u8> = all.chunks(512).map(|sector| sector[511]).collect();
            assert_eq!(found, expected, "from {from}");
        }
        check(&overlay, 0, &[1, 1, 2, 3, 1, 1, 4, 1]);
        check(&overlay, 2, &[2, 3]);
        check(&overlay, 4, &[1, 1]);
        check(&overlay, 5, &[1, 4]);
        check(&&below, 0, &[1; 8]);
        let past = overlay.write_at(SectorNo(8), &[IoSlice::new(&[0; 512])]);
        assert!(matches!(past, Err(DeviceError::OutOfRange { .. })));
    }
}
