//! The check fields of one track, in the bytes that go to the drive.

use crate::{BLOCK_BYTES, CHECK_FIELD_BYTES, CheckField};
use std::fmt;

/// Sectors of a check area that needs more than one: a page of 4 KiB, so that a drive kept in a
/// file writes whole pages.
const PAGE_SECTORS: u64 = 8;

/// The check area of a track: one [`CheckField`] a block, in whole sectors of its own.
///
/// It is kept as the bytes that the drive holds, so that a transfer to or from a drive is a plain
/// slice. What lies behind the last field is zero.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckArea {
    bytes: Box<[u8]>,
    block_count: u64,
}

impl CheckArea {
    /// Sectors of the check area of a track of `block_count` blocks.
    pub const fn sectors_for(block_count: u64) -> u64 {
        let bytes = block_count * CHECK_FIELD_BYTES as u64;
        if bytes <= BLOCK_BYTES as u64 { 1 } else { PAGE_SECTORS }
    }

    /// An area of zeros for a track of `block_count` blocks.
    pub fn zeroed(block_count: u64) -> Self {
        let bytes = Self::sectors_for(block_count) as usize * BLOCK_BYTES;
        Self { bytes: vec![0; bytes].into_boxed_slice(), block_count }
    }

    /// Blocks of the track.
    pub const fn block_count(&self) -> u64 {
        self.block_count
    }

    /// The field of block `index` of the track.
    ///
    /// # Panics
    ///
    /// If the track has no such block.
    #[inline]
    pub fn get(&self, index: u64) -> CheckField {
        CheckField::from_bytes(self.field(index))
    }

    /// Sets the field of block `index` of the track.
    ///
    /// # Panics
    ///
    /// If the track has no such block.
    #[inline]
    pub fn set(&mut self, index: u64, field: CheckField) {
        assert!(index < self.block_count, "a field of a block of the track");
        let at = index as usize * CHECK_FIELD_BYTES;
        self.bytes[at..at + CHECK_FIELD_BYTES].copy_from_slice(&field.to_bytes());
    }

    fn field(&self, index: u64) -> &[u8; CHECK_FIELD_BYTES] {
        assert!(index < self.block_count, "a field of a block of the track");
        let at = index as usize * CHECK_FIELD_BYTES;
        self.bytes[at..at + CHECK_FIELD_BYTES].try_into().expect("the length of a field")
    }

    /// The bytes as the drive holds them.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes, to read them from a drive.
    pub fn as_bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }
}

impl fmt::Debug for CheckArea {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CheckArea({} blocks)", self.block_count)
    }
}
