//! A wrapper with a volatile cache, whose power can be cut.

use crate::buffers::{Gather, Scatter};
use crate::{Device, DeviceError, SectorRange};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_sync::Mutex;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};

type Sector = Box<[u8; BLOCK_BYTES]>;

/// One sector of a write that was not flushed, as a cut of power finds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnflushedSector {
    /// The write it was part of, from 0 in the order in which writes began.
    pub write_no: u64,
    /// Where.
    pub sector: SectorNo,
}

/// A drive with a volatile cache in front of it.
///
/// A write goes to the cache, a flush empties it. When the power is cut, any subset of the sectors of
/// unflushed writes survives, as whoever cuts it says; a sector survives whole or not at all. Until the
/// power is back every request fails.
///
/// ```
/// use diptych_device::{Device, DeviceError, MemoryDrive, PowerCut};
/// use diptych_format::SectorNo;
/// use std::io::{IoSlice, IoSliceMut};
///
/// let drive = PowerCut::new(MemoryDrive::new(4), 16);
/// drive.write_at(SectorNo(0), &[IoSlice::new(&[1; 512])]).unwrap();
/// drive.flush().unwrap();
/// drive.write_at(SectorNo(0), &[IoSlice::new(&[2; 1024])]).unwrap();
/// drive.cut(|unflushed| unflushed.sector == SectorNo(1)); // a torn write
/// let mut sectors = [0; 1024];
/// let read = |sectors: &mut [u8]| drive.read_at(SectorNo(0), &mut [IoSliceMut::new(sectors)]);
/// assert_eq!(read(&mut sectors), Err(DeviceError::Failed));
/// drive.restore_power();
/// read(&mut sectors).unwrap();
/// assert_eq!((sectors[0], sectors[512]), (1, 2));
/// ```
pub struct PowerCut<D> {
    drive: D,
    unflushed_max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next_write_no: u64,
    /// What each sector was written with since the last flush, the oldest first.
    unflushed: BTreeMap<u64, Vec<(u64, Sector)>>,
    /// All versions of all sectors.
    versions: usize,
    off: bool,
}

impl<D: Device> PowerCut<D> {
    /// A cache of `unflushed_max` sectors before this drive. A write that finds it full goes through
    /// after all that is in it, as a drive may write what it holds at any time.
    ///
    /// # Panics
    ///
    /// If the cache has no sector.
    pub fn new(drive: D, unflushed_max: usize) -> Self {
        assert!(unflushed_max > 0, "a volatile cache has a sector");
        Self { drive, unflushed_max, state: Mutex::default() }
    }

    /// The drive within: what is durable.
    pub fn inner(&self) -> &D {
        &self.drive
    }

    /// The sectors of unflushed writes, by sector and then by write.
    pub fn unflushed(&self) -> Vec<UnflushedSector> {
        let state = self.state.lock();
        let of_sector = |(sector, versions): (&u64, &Vec<(u64, Sector)>)| {
            let sector = SectorNo(*sector);
            let versions = versions.iter();
            let one = versions.map(|(write_no, _)| UnflushedSector { write_no: *write_no, sector });
            one.collect::<Vec<_>>()
        };
        state.unflushed.iter().flat_map(of_sector).collect()
    }

    /// Cuts the power. Of a sector that was written several times the latest write that survives
    /// counts.
    ///
    /// # Panics
    ///
    /// If the drive within refuses what survives.
    pub fn cut(&self, mut survives: impl FnMut(UnflushedSector) -> bool) {
        let mut state = self.state.lock();
        state.off = true;
        state.versions = 0;
        for (sector, versions) in std::mem::take(&mut state.unflushed) {
            let sector = SectorNo(sector);
            let mut left = None;
            for (write_no, data) in versions {
                if survives(UnflushedSector { write_no, sector }) {
                    left = Some(data);
                }
            }
            if let Some(data) = left {
                self.drive
                    .write_at(sector, &[IoSlice::new(&data[..])])
                    .expect("it was written before");
            }
        }
    }

    /// The power is back, and the cache is empty.
    pub fn restore_power(&self) {
        self.state.lock().off = false;
    }

    /// Writes the newest version of everything to the drive.
    fn write_through(&self, state: &mut State) -> Result<(), DeviceError> {
        for (sector, versions) in &state.unflushed {
            let (_, data) = versions.last().expect("a sector without a version is not kept");
            self.drive.write_at(SectorNo(*sector), &[IoSlice::new(&data[..])])?;
        }
        state.unflushed.clear();
        state.versions = 0;
        Ok(())
    }
}

impl<D: Device> Device for PowerCut<D> {
    fn sector_count(&self) -> u64 {
        self.drive.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|buf| buf.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count())?;
        let state = self.state.lock();
        if state.off {
            return Err(DeviceError::Failed);
        }
        let mut data = vec![0; (range.end.0 - range.start.0) as usize * BLOCK_BYTES];
        self.drive.read_at(sector, &mut [IoSliceMut::new(&mut data)])?;
        for (no, versions) in state.unflushed.range(range.start.0..range.end.0) {
            let (_, newest) = versions.last().expect("a sector without a version is not kept");
            let at = (no - range.start.0) as usize * BLOCK_BYTES;
            data[at..at + BLOCK_BYTES].copy_from_slice(&newest[..]);
        }
        Scatter::new(bufs).put(&data);
        Ok(())
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|buf| buf.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count())?;
        let mut state = self.state.lock();
        if state.off {
            return Err(DeviceError::Failed);
        }
        let count = (range.end.0 - range.start.0) as usize;
        if state.versions + count > self.unflushed_max {
            self.write_through(&mut state)?;
            if count > self.unflushed_max {
                return self.drive.write_at(sector, bufs);
            }
        }
        let write_no = state.next_write_no;
        state.next_write_no += 1;
        state.versions += count;
        let mut from = Gather::new(bufs);
        for no in range.start.0..range.end.0 {
            let mut data = Box::new([0; BLOCK_BYTES]);
            from.fill(&mut data[..]);
            state.unflushed.entry(no).or_default().push((write_no, data));
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), DeviceError> {
        let mut state = self.state.lock();
        if state.off {
            return Err(DeviceError::Failed);
        }
        self.write_through(&mut state)?;
        self.drive.flush()
    }

    fn take_delay_ns(&self) -> u64 {
        self.drive.take_delay_ns()
    }
}

impl<D: Device> fmt::Debug for PowerCut<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PowerCut").field(&self.drive).finish()
    }
}
