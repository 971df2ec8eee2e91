//! Consecutive sectors of a drive, and the one check that every request passes.

use crate::DeviceError;
use diptych_format::{BLOCK_BYTES, SectorNo};
use std::fmt;

/// Consecutive sectors of a drive, half open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct SectorRange {
    /// The first.
    pub start: SectorNo,
    /// One past the last.
    pub end: SectorNo,
}

impl SectorRange {
    /// `count` sectors from `start` on.
    ///
    /// # Panics
    ///
    /// If the end does not fit 64 bits.
    pub fn new(start: SectorNo, count: u64) -> Self {
        let end = start.0.checked_add(count).expect("a range ends within 64 bits");
        Self { start, end: SectorNo(end) }
    }

    /// Just this one.
    ///
    /// # Panics
    ///
    /// If it is the last number that 64 bits have.
    pub fn one(sector: SectorNo) -> Self {
        Self::new(sector, 1)
    }

    /// The sectors of a request with buffers of these lengths, checked against the drive's size.
    ///
    /// This is the check that every drive makes before it does anything.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NotWholeSectors`] for the first buffer that is not a multiple of 512 bytes,
    /// [`DeviceError::OutOfRange`] if the request reaches past `sector_count`.
    pub fn of_request(
        sector: SectorNo,
        buffer_bytes: impl IntoIterator<Item = usize>,
        sector_count: u64,
    ) -> Result<Self, DeviceError> {
        let mut count = 0_u64;
        for bytes in buffer_bytes {
            if !bytes.is_multiple_of(BLOCK_BYTES) {
                return Err(DeviceError::NotWholeSectors { bytes });
            }
            count = count.saturating_add((bytes / BLOCK_BYTES) as u64);
        }
        match sector.0.checked_add(count) {
            Some(end) if end <= sector_count => Ok(Self { start: sector, end: SectorNo(end) }),
            _ => Err(DeviceError::OutOfRange { sector, count, sector_count }),
        }
    }

    /// How many there are.
    pub const fn count(self) -> u64 {
        self.end.0.saturating_sub(self.start.0)
    }

    /// Whether there are none.
    pub const fn is_empty(self) -> bool {
        self.count() == 0
    }

    /// Whether `sector` is one of them.
    pub fn contains(self, sector: SectorNo) -> bool {
        self.start <= sector && sector < self.end
    }

    /// Those in both.
    pub fn intersection(self, other: Self) -> Self {
        let start = self.start.max(other.start);
        Self { start, end: self.end.min(other.end).max(start) }
    }

    /// Each of them, ascending.
    pub fn iter(self) -> impl DoubleEndedIterator<Item = SectorNo> + Clone {
        (self.start.0..self.end.0).map(SectorNo)
    }
}

impl fmt::Display for SectorRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}..{}", self.start, self.end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_whole_sectors_within_the_drive() {
        fn check(
            sector: u64,
            buffer_bytes: &[usize],
            expected: Result<std::ops::Range<u64>, DeviceError>,
        ) {
            let found =
                SectorRange::of_request(SectorNo(sector), buffer_bytes.iter().copied(), 100);
            assert_eq!(found.map(|r| r.start.0..r.end.0), expected, "{sector} {buffer_bytes:?}");
        }
        let out = |sector, count| {
            Err(DeviceError::OutOfRange { sector: SectorNo(sector), count, sector_count: 100 })
        };
        check(0, &[], Ok(0..0));
        check(100, &[], Ok(100..100));
        check(101, &[], out(101, 0));
        check(98, &[512, 0, 512], Ok(98..100));
        check(98, &[512, 1024], out(98, 3));
        check(100, &[512], out(100, 1));
        check(u64::MAX, &[512], out(u64::MAX, 1));
        check(0, &[512, 511], Err(DeviceError::NotWholeSectors { bytes: 511 }));
        check(101, &[1], Err(DeviceError::NotWholeSectors { bytes: 1 }));
    }

    #[test]
    fn ranges_that_do_not_meet_have_nothing_in_common() {
        fn check(a: (u64, u64), b: (u64, u64), expected: u64) {
            let range = |(start, end)| SectorRange { start: SectorNo(start), end: SectorNo(end) };
            assert_eq!(range(a).intersection(range(b)).count(), expected, "{a:?} {b:?}");
            assert_eq!(range(b).intersection(range(a)).count(), expected, "{b:?} {a:?}");
        }
        check((0, 4), (4, 8), 0);
        check((0, 4), (9, 12), 0);
        check((0, 5), (4, 8), 1);
        check((0, 9), (4, 8), 4);
        check((3, 3), (0, 8), 0);
    }
}
