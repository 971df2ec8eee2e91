//! What the command block and the answer block have in common: numbers in bytes, decoding errors.
//!
//! All numbers are little-endian. A block is canonical: every bit that its version does not use is
//! zero, so that what decodes also encodes to the same bytes, and a later version may give those
//! bits a meaning without an older unit misreading them.

use std::ops::Range;

/// Why bytes are not a command block, an answer block or a pair block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// There are fewer bytes than a block has.
    #[error("a block has {expected} bytes, these are {found}")]
    TooShort {
        /// Bytes of a block.
        expected: usize,
        /// Bytes handed in.
        found: usize,
    },
    /// The block is of another kind.
    #[error("the block starts with {found:#010x} instead of {expected:#010x}")]
    Magic {
        /// The magic number of the block, its first byte lowest.
        expected: u32,
        /// The number found.
        found: u32,
    },
    /// The block's layout is not known.
    #[error("the block has version {found}, only version {known} is known")]
    Version {
        /// The version that is known.
        known: u16,
        /// The version found.
        found: u16,
    },
    /// There is no such command.
    #[error("there is no command with code {found}")]
    Code {
        /// The command code found.
        found: u16,
    },
    /// There is no such pace.
    #[error("pace {found} is not one of 1 to 15 tracks")]
    Pace {
        /// The pace found, in tracks.
        found: u8,
    },
    /// Nothing would copy.
    #[error("a pair has at least one lane")]
    NoLane,
    /// There is no such limit of a copy.
    #[error("there is no limit of kind {kind} and value {value}")]
    Limit {
        /// The kind found.
        kind: u8,
        /// The value found.
        value: u64,
    },
    /// An answer is accepted, nothing or refused.
    #[error("there is no result with number {found}")]
    Result {
        /// The result found.
        found: u16,
    },
    /// There is no such status.
    #[error("there is no pair status with number {found}")]
    Status {
        /// The status found.
        found: u64,
    },
    /// A pair that is paired and not copied has one of four phases.
    #[error("there is no phase with number {found}")]
    Phase {
        /// The phase found.
        found: u8,
    },
    /// There is no such reason to refuse a command.
    #[error("there is no reason with number {found}")]
    Reason {
        /// The reason found.
        found: u16,
    },
    /// An operand of a reason is more than can be.
    #[error("operand {found:#x} of reason {reason} is out of range")]
    Operand {
        /// The reason.
        reason: u16,
        /// The operand found.
        found: u64,
    },
    /// Bits that this version, or this kind of answer, does not use are not as they have to be.
    #[error("byte {at} is {found:#04x}, it has to be {expected:#04x}")]
    Reserved {
        /// The first byte that is wrong.
        at: usize,
        /// The byte as it has to be.
        expected: u8,
        /// The byte found.
        found: u8,
    },
}

/// The first `N` bytes, if they are a block of this kind: magic in bytes 0..4, version in 4..6.
pub(crate) fn checked<const N: usize>(
    bytes: &[u8],
    magic: [u8; 4],
    known: u16,
) -> Result<&[u8; N], WireError> {
    let too_short = WireError::TooShort { expected: N, found: bytes.len() };
    let block: &[u8; N] = bytes.first_chunk().ok_or(too_short)?;
    let [expected, found] = [u32::from_le_bytes(magic), u32_at(block, 0..4)];
    if found != expected {
        return Err(WireError::Magic { expected, found });
    }
    match u16_at(block, 4..6) {
        found if found == known => Ok(block),
        found => Err(WireError::Version { known, found }),
    }
}

/// Compares a block with the one that its meaning encodes to.
pub(crate) fn canonical(found: &[u8], expected: &[u8]) -> Result<(), WireError> {
    let mut both = found.iter().zip(expected).enumerate();
    match both.find(|(_, (found, expected))| found != expected) {
        None => Ok(()),
        Some((at, (&found, &expected))) => Err(WireError::Reserved { at, expected, found }),
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: Range<usize>) -> u16 {
    u16::from_le_bytes(bytes[at].try_into().expect("a field of two bytes"))
}

pub(crate) fn u32_at(bytes: &[u8], at: Range<usize>) -> u32 {
    u32::from_le_bytes(bytes[at].try_into().expect("a field of four bytes"))
}

pub(crate) fn u64_at(bytes: &[u8], at: Range<usize>) -> u64 {
    u64::from_le_bytes(bytes[at].try_into().expect("a field of eight bytes"))
}

#[cfg(test)]
pub(crate) mod documented {
    //! The layout tables of module docs, so that tests compare them with the code.

    use std::ops::Range;

    /// Checks that the table in the docs of `source` has exactly these fields, and that they fill
    /// a block of `block_bytes` bytes without a gap.
    pub(crate) fn check(source: &str, fields: &[(&str, Range<usize>)], block_bytes: usize) {
        let cell = |row: &str, no: usize| row.split('|').nth(no).unwrap_or("").trim().to_owned();
        let rows = source.lines().filter_map(|line| line.strip_prefix("//! |"));
        let documented: Vec<(String, Range<usize>)> = rows
            .filter_map(|row| {
                let start: usize = cell(row, 0).parse().ok()?;
                let bytes: usize = cell(row, 1).parse().ok()?;
                Some((cell(row, 2), start..start + bytes))
            })
            .collect();
        let coded: Vec<_> =
            fields.iter().map(|(name, at)| ((*name).to_owned(), at.clone())).collect();
        assert_eq!(documented, coded);
        let end = coded.iter().fold(0, |end, (name, at)| {
            assert_eq!(at.start, end, "{name} follows the field before it");
            at.end
        });
        assert_eq!(end, block_bytes);
    }
}
