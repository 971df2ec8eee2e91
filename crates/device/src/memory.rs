//! A drive in memory.

use crate::buffers::{Gather, Scatter};
use crate::{Device, DeviceError, SectorRange};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_sync::RwLock;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{IoSlice, IoSliceMut};
use std::ops::Range;

/// Sectors of a chunk unless the drive is made with another number: 1 MiB.
const CHUNK_SECTORS: u64 = 2048;
/// The most locks of a drive.
const MAX_SHARDS: u64 = 16;

/// The chunks that one lock guards, by chunk number.
type Shard = BTreeMap<u64, Box<[u8]>>;

/// A drive in memory. Nothing survives it, and a flush does nothing.
///
/// It is sparse: chunks take memory when they are first written, and what was never written reads
/// zero. Chunks are spread over locks, so that writers of different chunks rarely meet; a drive of
/// one chunk has one lock, which keeps models small.
///
/// Chunks are locked one after another, so a request within one chunk is atomic and a larger one
/// is not, as with any drive.
///
/// ```
/// use diptych_device::{Device, MemoryDrive};
/// use diptych_format::SectorNo;
/// use std::io::{IoSlice, IoSliceMut};
///
/// let drive = MemoryDrive::new(1 << 31); // 1 TiB
/// drive.write_at(SectorNo(1 << 30), &[IoSlice::new(&[7; 512])]).unwrap();
/// let mut sectors = [1; 1024];
/// drive.read_at(SectorNo((1 << 30) - 1), &mut [IoSliceMut::new(&mut sectors)]).unwrap();
/// assert_eq!(sectors[511..513], [0, 7]);
/// assert_eq!(drive.allocated_bytes(), 1 << 20);
/// ```
pub struct MemoryDrive {
    sector_count: u64,
    chunk_sectors: u64,
    shards: Box<[RwLock<Shard>]>,
}

impl MemoryDrive {
    /// A drive of `sector_count` sectors, all zero, in chunks of 1 MiB.
    pub fn new(sector_count: u64) -> Self {
        Self::with_chunks(sector_count, CHUNK_SECTORS)
    }

    /// A drive of `sector_count` sectors, all zero, in chunks of `chunk_sectors` sectors.
    ///
    /// # Panics
    ///
    /// If a chunk has no sector.
    pub fn with_chunks(sector_count: u64, chunk_sectors: u64) -> Self {
        assert!(chunk_sectors > 0, "a chunk has a sector");
        // A small drive is one small chunk.
        let chunk_sectors = chunk_sectors.min(sector_count.max(1));
        let shard_count = sector_count.div_ceil(chunk_sectors).clamp(1, MAX_SHARDS);
        let shards = (0..shard_count).map(|_| RwLock::new(Shard::new())).collect();
        Self { sector_count, chunk_sectors, shards }
    }

    /// Bytes of memory that the chunks written so far take.
    pub fn allocated_bytes(&self) -> u64 {
        let chunk_count: usize = self.shards.iter().map(|s| s.read().len()).sum();
        chunk_count as u64 * self.chunk_sectors * BLOCK_BYTES as u64
    }

    fn shard(&self, chunk_no: u64) -> &RwLock<Shard> {
        &self.shards[(chunk_no % self.shards.len() as u64) as usize]
    }

    /// The chunks under `range`, each with the bytes of it that are in the range.
    fn pieces(&self, range: SectorRange) -> impl Iterator<Item = (u64, Range<usize>)> {
        let mut next = range.start.0;
        let chunk_sectors = self.chunk_sectors;
        std::iter::from_fn(move || {
            if next == range.end.0 {
                return None;
            }
            let chunk_no = next / chunk_sectors;
            let first = next % chunk_sectors;
            let count = (chunk_sectors - first).min(range.end.0 - next);
            next += count;
            let bytes = |sectors: u64| sectors as usize * BLOCK_BYTES;
            Some((chunk_no, bytes(first)..bytes(first + count)))
        })
    }
}

impl Device for MemoryDrive {
    fn sector_count(&self) -> u64 {
        self.sector_count
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|b| b.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count)?;
        let mut scatter = Scatter::new(bufs);
        for (chunk_no, bytes) in self.pieces(range) {
            match self.shard(chunk_no).read().get(&chunk_no) {
                Some(chunk) => scatter.put(&chunk[bytes]),
                None => scatter.put_zeros(bytes.len()),
            }
        }
        Ok(())
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|b| b.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count)?;
        let mut gather = Gather::new(bufs);
        for (chunk_no, bytes) in self.pieces(range) {
            let mut shard = self.shard(chunk_no).write();
            let fresh = || vec![0; self.chunk_sectors as usize * BLOCK_BYTES].into_boxed_slice();
            gather.fill(&mut shard.entry(chunk_no).or_insert_with(fresh)[bytes]);
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), DeviceError> {
        Ok(())
    }
}

impl fmt::Debug for MemoryDrive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryDrive({} sectors)", self.sector_count)
    }
}
