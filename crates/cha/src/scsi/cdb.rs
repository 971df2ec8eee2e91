//! Command descriptor blocks (SPC-5, 4.2): numbers in bytes, most significant first.
//!
//! Invariants: a read past the end of what came yields zeros, never a panic; nothing is allocated.

/// The most bytes of a CDB that is understood.
pub const CDB_BYTES_MAX: usize = 16;

/// A field of a CDB or a parameter list: where it starts, and how many bytes it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// The first byte, from 0.
    pub at: u8,
    /// How many bytes.
    pub bytes: u8,
}

impl Field {
    pub(crate) const fn new(at: u8, bytes: u8) -> Self {
        Self { at, bytes }
    }
}

/// A command descriptor block, as it came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cdb {
    bytes: [u8; CDB_BYTES_MAX],
    len: u8,
}

impl Cdb {
    /// What came; bytes past the sixteenth belong to no command that is known.
    pub(crate) fn new(came: &[u8]) -> Self {
        let len = came.len().min(CDB_BYTES_MAX);
        let mut bytes = [0; CDB_BYTES_MAX];
        bytes[..len].copy_from_slice(&came[..len]);
        Self { bytes, len: len as u8 }
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// All of it, the first bit highest.
    pub(crate) fn bits(&self) -> u128 {
        u128::from_be_bytes(self.bytes)
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.bytes[0]
    }

    /// SERVICE ACTION: the low five bits of byte 1.
    pub(crate) fn action(&self) -> u8 {
        self.bytes[1] & 0x1F
    }

    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    /// Whether any bit of `mask` is set in byte `at`.
    pub(crate) fn has(&self, at: usize, mask: u8) -> bool {
        self.byte(at) & mask != 0
    }

    pub(crate) fn number(&self, field: Field) -> u64 {
        number(&self.bytes, field)
    }

    /// LOGICAL BLOCK ADDRESS and TRANSFER LENGTH (or what stands in their places), by the CDB's length.
    pub(crate) fn extent(&self) -> (u64, u64) {
        let at = |at, bytes| self.number(Field::new(at, bytes));
        match self.bytes[0] >> 5 {
            0 => {
                let blocks = at(4, 1);
                (at(1, 3) & 0x1F_FFFF, if blocks == 0 { 256 } else { blocks })
            }
            1 | 2 => (at(2, 4), at(7, 2)),
            5 => (at(2, 4), at(6, 4)),
            _ => match self.bytes[0] {
                // COMPARE AND WRITE and WRITE ATOMIC have something else before the length.
                0x89 => (at(2, 8), at(13, 1)),
                0x9C => (at(2, 8), at(12, 2)),
                _ => (at(2, 8), at(10, 4)),
            },
        }
    }
}

/// A number in a parameter list; missing bytes are zero.
pub(crate) fn number(bytes: &[u8], field: Field) -> u64 {
    let from = usize::from(field.at);
    let each = (from..from + usize::from(field.bytes)).map(|at| bytes.get(at).copied());
    each.fold(0, |sum, byte| sum << 8 | u64::from(byte.unwrap_or(0)))
}

/// A number of `N` bytes at `at`; zero, if there are not so many.
pub(crate) fn at<const N: usize>(bytes: &[u8], at: usize) -> u64 {
    let found = at.checked_add(N).and_then(|end| bytes.get(at..end));
    found.map_or(0, |found| found.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents() {
        fn check(bytes: &[u8], expected: (u64, u64)) {
            assert_eq!(Cdb::new(bytes).extent(), expected, "{bytes:02X?}");
        }
        check(&[0x08, 0xFF, 0xFF, 0xFE, 0], (0x1F_FFFE, 256));
        check(&[0x28, 0, 1, 2, 3, 4, 9, 5, 6], (0x0102_0304, 0x0506));
        check(&[0xA8, 0, 1, 2, 3, 4, 5, 6, 7, 8], (0x0102_0304, 0x0506_0708));
        let long = [0x88, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0, 0];
        check(&long, (0x0102_0304_0506_0708, 0x090A_0B0C));
        check(&[&[0x89], &long[1..]].concat(), (0x0102_0304_0506_0708, 12));
        check(&[&[0x9C], &long[1..]].concat(), (0x0102_0304_0506_0708, 0x0B0C));
        // What did not come is zero.
        check(&[0x28, 0, 1], (0x0100_0000, 0));
        check(&[], (0, 256));
    }

    #[test]
    fn numbers_of_lists() {
        assert_eq!(at::<2>(&[1, 2, 3], 1), 0x0203);
        assert_eq!(at::<2>(&[1, 2, 3], 2), 0);
        assert_eq!(at::<8>(&[], usize::MAX), 0);
        assert_eq!(number(&[1, 2], Field::new(1, 2)), 0x0200);
    }
}
