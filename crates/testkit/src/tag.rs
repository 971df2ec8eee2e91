//! Data made of tags: what a block holds says which write made it, and where it belongs.

use bytes::Bytes;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange};
use std::fmt;

const WORD_BYTES: usize = 8;
const WORDS: u64 = (BLOCK_BYTES / WORD_BYTES) as u64;

/// The name of one write. Its data is the tag, mixed with the block number, in every word of every
/// block, so that misplaced, torn and mixed data is seen. Tag 0 is a block of zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u64);

impl Tag {
    /// What an unwritten block holds.
    pub const ZERO: Self = Self(0);

    /// The data of a block with this tag.
    pub fn block(self, block: BlockNo) -> [u8; BLOCK_BYTES] {
        let mut data = [0; BLOCK_BYTES];
        if self != Self::ZERO {
            for (word_no, word) in (0..WORDS).zip(data.chunks_exact_mut(WORD_BYTES)) {
                word.copy_from_slice(&self.word(block, word_no).to_le_bytes());
            }
        }
        data
    }

    /// The data of these blocks, all with this tag.
    pub fn data(self, blocks: BlockRange) -> Bytes {
        blocks.iter().flat_map(|block| self.block(block)).collect()
    }

    /// The tag of a block's data; `None` if it is not the data of one write to that block.
    pub fn of(data: &[u8], block: BlockNo) -> Option<Self> {
        let first = data.first_chunk::<WORD_BYTES>()?;
        let tag = Self(u64::from_le_bytes(*first));
        (data == tag.block(block)).then_some(tag)
    }

    /// The first word is the tag itself; the others depend on the block and their place in it.
    fn word(self, block: BlockNo, word_no: u64) -> u64 {
        if word_no == 0 {
            return self.0;
        }
        let salt = (block.0 << 8 | word_no).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 ^ salt.rotate_left(29)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_says_who_wrote_it_and_where() {
        #[track_caller]
        fn check(data: &[u8], block: u64, expected: Option<u64>) {
            assert_eq!(Tag::of(data, BlockNo(block)), expected.map(Tag));
        }
        let mut data = Tag(77).block(BlockNo(5));
        check(&data, 5, Some(77));
        check(&data, 6, None);
        check(&data[..100], 5, None);
        data[300] ^= 1;
        check(&data, 5, None);
        check(&[0; 512], 5, Some(0));
        check(&[], 5, None);
    }
}
