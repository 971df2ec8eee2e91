//! The superblock: where the log begins, written in turns to two sectors, so that one is always whole.

use crate::LogError;
use crate::ring::Position;
use crate::{LogId, Sequence};
use diptych_device::Device;
use diptych_format::{BLOCK_BYTES, SectorNo};
use std::io::{IoSlice, IoSliceMut};

const MAGIC: [u8; 4] = *b"DLSB";
/// The version of superblock and batches.
pub(crate) const VERSION: u16 = 1;
/// Where the two lie, in sectors.
const PLACES: [SectorNo; 2] = [SectorNo(0), SectorNo(8)];
/// Bytes under the check code, which stands behind them.
const CHECKED_BYTES: usize = 64;

/// No log lives to count so far: what says so is no superblock, and nothing that is added overflows.
pub(crate) const COUNT_MAX: u64 = 1 << 60;

/// Where a log begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Superblock {
    /// Which log.
    pub(crate) id: LogId,
    /// Sectors of its device.
    pub(crate) sectors: u64,
    /// Counts superblocks; the higher one counts.
    pub(crate) number: u64,
    /// How often the log was opened.
    pub(crate) incarnation: u64,
    /// The first batch that is kept.
    pub(crate) tail: Position,
    /// Its first record.
    pub(crate) first: Sequence,
    /// Records before this one had been durable.
    pub(crate) durable: Sequence,
}

impl Superblock {
    /// Writes it to the place whose turn it is.
    pub(crate) fn write(&self, device: &impl Device) -> Result<(), LogError> {
        let place = PLACES[(self.number % 2) as usize];
        Ok(device.write_at(place, &[IoSlice::new(&self.encode())])?)
    }

    /// The newer of the two that are whole.
    pub(crate) fn read(device: &impl Device) -> Result<Self, LogError> {
        let mut newest: Option<Self> = None;
        let mut later = None;
        for place in PLACES {
            let mut bytes = [0; BLOCK_BYTES];
            device.read_at(place, &mut [IoSliceMut::new(&mut bytes)])?;
            match Self::decode(&bytes) {
                Ok(Some(found)) if newest.is_none_or(|one| one.number < found.number) => {
                    newest = Some(found);
                }
                Ok(_) => {}
                Err(version) => later = Some(version),
            }
        }
        match later {
            Some(error) => Err(error),
            None => newest.ok_or(LogError::NoLog),
        }
    }

    fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut bytes = [0; BLOCK_BYTES];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        let numbers = [
            self.id.0,
            self.sectors,
            self.number,
            self.incarnation,
            self.tail.0,
            self.first.0,
            self.durable.0,
        ];
        for (field, number) in bytes[8..CHECKED_BYTES].chunks_exact_mut(8).zip(numbers) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        let code = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&code.to_le_bytes());
        bytes
    }

    /// `None`: there is none, or it is not whole.
    fn decode(bytes: &[u8; BLOCK_BYTES]) -> Result<Option<Self>, LogError> {
        let code = crc32fast::hash(&bytes[..CHECKED_BYTES]).to_le_bytes();
        if bytes[..4] != MAGIC || bytes[CHECKED_BYTES..CHECKED_BYTES + 4] != code {
            return Ok(None);
        }
        let found = u16::from_le_bytes([bytes[4], bytes[5]]);
        if found > VERSION {
            return Err(LogError::Version { found, known: VERSION });
        }
        let number = |at: usize| {
            let field = bytes[at..at + 8].try_into().expect("eight bytes");
            u64::from_le_bytes(field)
        };
        let found = Self {
            id: LogId(number(8)),
            sectors: number(16),
            number: number(24),
            incarnation: number(32),
            tail: Position(number(40)),
            first: Sequence(number(48)),
            durable: Sequence(number(56)),
        };
        Ok(Some(found).filter(Self::can_be))
    }

    /// Whether a log may come to this.
    pub(crate) fn can_be(&self) -> bool {
        let counts = [self.number, self.incarnation, self.tail.0, self.first.0, self.durable.0];
        counts.iter().all(|count| *count <= COUNT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_device::MemoryDrive;

    fn superblock(number: u64) -> Superblock {
        Superblock {
            id: LogId(1),
            sectors: 64,
            number,
            incarnation: 3,
            tail: Position(4),
            first: Sequence(5),
            durable: Sequence(6),
        }
    }

    /// `docs/format.md` against the code: what stands at each offset.
    #[test]
    fn the_document_is_the_layout() {
        let superblock = superblock(0x0707_0707);
        let bytes = superblock.encode();
        for (field, offset, width) in crate::documented::table("Log superblock") {
            let number = match field {
                "magic" => u32::from_le_bytes(MAGIC).into(),
                "version" => VERSION.into(),
                "id" => superblock.id.0,
                "sectors" => superblock.sectors,
                "number" => superblock.number,
                "incarnation" => superblock.incarnation,
                "tail" => superblock.tail.0,
                "first" => superblock.first.0,
                "durable" => superblock.durable.0,
                "code" => crc32fast::hash(&bytes[..CHECKED_BYTES]).into(),
                other => panic!("no field {other}"),
            };
            assert_eq!(bytes[offset..offset + width], number.to_le_bytes()[..width], "{field}");
        }
    }

    #[test]
    fn the_newer_one_that_is_whole_counts() {
        let drive = MemoryDrive::new(64);
        assert_eq!(Superblock::read(&drive), Err(LogError::NoLog));
        for number in 1..=3 {
            superblock(number).write(&drive).expect("a write");
            assert_eq!(Superblock::read(&drive), Ok(superblock(number)));
        }
        drive.write_at(PLACES[1], &[IoSlice::new(&[1; 512])]).expect("a write");
        assert_eq!(Superblock::read(&drive), Ok(superblock(2)));
    }

    #[test]
    fn what_no_log_comes_to_is_no_superblock() {
        #[track_caller]
        fn check(change: fn(&mut Superblock)) {
            let drive = MemoryDrive::new(64);
            let mut superblock = superblock(1);
            change(&mut superblock);
            superblock.write(&drive).expect("a write");
            assert_eq!(Superblock::read(&drive), Err(LogError::NoLog));
        }
        check(|superblock| superblock.number = u64::MAX);
        check(|superblock| superblock.incarnation = u64::MAX);
        check(|superblock| superblock.tail = Position(u64::MAX - 4));
        check(|superblock| superblock.first = Sequence(u64::MAX));
        check(|superblock| superblock.durable = Sequence(u64::MAX));
    }

    #[test]
    fn a_later_version_is_refused() {
        let drive = MemoryDrive::new(64);
        superblock(1).write(&drive).expect("a write");
        let mut bytes = superblock(2).encode();
        bytes[4] = 2;
        let code = crc32fast::hash(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&code.to_le_bytes());
        drive.write_at(PLACES[0], &[IoSlice::new(&bytes)]).expect("a write");
        assert_eq!(Superblock::read(&drive), Err(LogError::Version { found: 2, known: 1 }));
    }
}
