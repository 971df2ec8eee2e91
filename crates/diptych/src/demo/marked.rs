//! Blocks that say which write made them, so that a block found anywhere tells its origin.

use diptych::format::{BLOCK_BYTES, BlockNo};
use std::fmt;

const MAGIC: [u8; 8] = *b"diptych\0";

/// One host write of the demo: the `no`-th of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WriteId {
    pub(crate) writer: u16,
    pub(crate) no: u32,
}

impl fmt::Display for WriteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.writer, self.no)
    }
}

impl WriteId {
    fn number(self) -> u64 {
        u64::from(self.writer) << 32 | u64::from(self.no)
    }
}

/// Fills one block: magic, write, block number, then bytes that follow from these and the seed.
pub(crate) fn fill(block: &mut [u8], seed: u64, id: WriteId, no: BlockNo) {
    block[..8].copy_from_slice(&MAGIC);
    block[8..16].copy_from_slice(&id.number().to_le_bytes());
    block[16..24].copy_from_slice(&no.0.to_le_bytes());
    let mixed = seed ^ id.number().rotate_left(20) ^ no.0.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    fastrand::Rng::with_seed(mixed).fill(&mut block[24..]);
}

/// The write that made this block of the volume, if every byte is as that write left it.
pub(crate) fn origin(block: &[u8], seed: u64, no: BlockNo) -> Option<WriteId> {
    if block[..8] != MAGIC {
        return None;
    }
    let number = u64::from_le_bytes(block[8..16].try_into().expect("eight bytes"));
    let id = WriteId { writer: u16::try_from(number >> 32).ok()?, no: number as u32 };
    let mut expected = [0; BLOCK_BYTES];
    fill(&mut expected, seed, id, no);
    (block == expected).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_tells_its_origin_and_any_damage_hides_it() {
        let id = WriteId { writer: 3, no: 70_000 };
        let mut block = [0; BLOCK_BYTES];
        fill(&mut block, 9, id, BlockNo(5));
        assert_eq!(origin(&block, 9, BlockNo(5)), Some(id));
        assert_eq!(origin(&block, 8, BlockNo(5)), None);
        assert_eq!(origin(&block, 9, BlockNo(6)), None);
        for at in 0..BLOCK_BYTES {
            block[at] ^= 0x10;
            assert_eq!(origin(&block, 9, BlockNo(5)), None, "byte {at}");
            block[at] ^= 0x10;
        }
    }
}
