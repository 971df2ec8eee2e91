//! The block: 512 bytes of data, its logical address, its generation, its check code.

use crate::{BackingId, BlockNo, Generation};
use std::fmt;

/// Bytes of user data of one block, and of one sector.
pub const BLOCK_BYTES: usize = 512;
/// Bytes of one check field in a check area.
pub const CHECK_FIELD_BYTES: usize = 24;

/// LA: where a block belongs (Fig. 10B: 1029). The patent's LA names the physical device; a
/// [`BackingId`] is that, and lets volumes exchange places.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct LogicalAddress {
    /// The storage that holds the block.
    pub backing: BackingId,
    /// The block within it.
    pub block: BlockNo,
}

impl fmt::Display for LogicalAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.backing, self.block)
    }
}

/// The check field of a block: LA, generation and CD (Fig. 10B: 1029, 1031). `docs/format.md` has
/// the bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CheckField {
    /// Where the block belongs.
    pub la: LogicalAddress,
    /// The host write that made the data.
    pub generation: Generation,
    /// CD: the CRC-32 (IEEE) of data, LA and generation, in that order.
    pub code: u32,
}

/// What is wrong with a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockError {
    /// The block belongs elsewhere: misdirected, or left by another volume.
    #[error("block {expected} carries the logical address {found}")]
    Address {
        /// Where it was read.
        expected: LogicalAddress,
        /// Where it belongs.
        found: LogicalAddress,
    },
    /// Data, LA or generation are not what the code was made of.
    #[error("block {la}: check code {found:08x} does not match {computed:08x}")]
    Code {
        /// Where it was read.
        la: LogicalAddress,
        /// The code it carries.
        found: u32,
        /// The code of what was read.
        computed: u32,
    },
}

/// The check code of a block whose data has the CRC-32 `data_code`.
///
/// The data's part is computed before a claim is taken, the rest under it. CRC is linear: for two
/// addresses that differ only in the backing, the codes of one block differ by a constant.
#[inline]
pub fn seal(data_code: u32, la: LogicalAddress, generation: Generation) -> u32 {
    let mut rest = [0; 20];
    rest[..4].copy_from_slice(&la.backing.0.to_le_bytes());
    rest[4..12].copy_from_slice(&la.block.0.to_le_bytes());
    rest[12..].copy_from_slice(&generation.0.to_le_bytes());
    let mut crc = crc32fast::Hasher::new_with_initial(data_code);
    crc.update(&rest);
    crc.finalize()
}

impl CheckField {
    /// The check field of a block of data.
    pub fn of(data: &[u8], la: LogicalAddress, generation: Generation) -> Self {
        Self { la, generation, code: seal(crc32fast::hash(data), la, generation) }
    }

    /// The check field of a block whose data has the CRC-32 `data_code`.
    #[inline]
    pub fn sealed(data_code: u32, la: LogicalAddress, generation: Generation) -> Self {
        Self { la, generation, code: seal(data_code, la, generation) }
    }

    /// Checks a block read at `la`.
    ///
    /// # Errors
    ///
    /// If the block belongs elsewhere, or its code is not that of its content.
    pub fn verify(&self, data: &[u8], la: LogicalAddress) -> Result<(), BlockError> {
        if self.la != la {
            return Err(BlockError::Address { expected: la, found: self.la });
        }
        let computed = seal(crc32fast::hash(data), self.la, self.generation);
        if computed != self.code {
            return Err(BlockError::Code { la, found: self.code, computed });
        }
        Ok(())
    }

    /// The bytes of the field, as `docs/format.md` lays them out.
    #[inline]
    pub fn to_bytes(self) -> [u8; CHECK_FIELD_BYTES] {
        let mut bytes = [0; CHECK_FIELD_BYTES];
        bytes[..4].copy_from_slice(&self.la.backing.0.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.code.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.la.block.0.to_le_bytes());
        bytes[16..].copy_from_slice(&self.generation.0.to_le_bytes());
        bytes
    }

    /// The field in these bytes.
    #[inline]
    pub fn from_bytes(bytes: &[u8; CHECK_FIELD_BYTES]) -> Self {
        let word = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| bytes[at + i]));
        let long = |at: usize| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| bytes[at + i]));
        Self {
            la: LogicalAddress { backing: BackingId(word(0)), block: BlockNo(long(8)) },
            generation: Generation(long(16)),
            code: word(4),
        }
    }
}
