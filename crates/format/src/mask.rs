//! A set of blocks of one track.

use crate::{BlockNo, BlockRange};
use std::fmt;

/// Which blocks of a track: bit n is block n of the track.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct BlockMask(u128);

impl BlockMask {
    /// No block.
    pub const NONE: Self = Self(0);

    /// The first `count` blocks: a whole track of that many.
    ///
    /// # Panics
    ///
    /// If `count` is more than 128.
    pub fn first(count: u64) -> Self {
        assert!(count <= 128, "a track has at most 128 blocks");
        if count == 128 { Self(u128::MAX) } else { Self((1 << count) - 1) }
    }

    /// The blocks of `range`, counted from the track's first block.
    ///
    /// # Panics
    ///
    /// If the range ends past block 128.
    pub fn of(range: BlockRange) -> Self {
        Self(Self::first(range.end.0).0 & !Self::first(range.start.0).0)
    }

    /// Whether no block is in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many blocks are in it.
    pub const fn count(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether every block of `other` is in it.
    pub const fn contains(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    /// Whether block `index` is in it.
    pub const fn has(self, index: u64) -> bool {
        index < 128 && self.0 >> index & 1 == 1
    }

    /// The blocks of either.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The blocks of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The blocks that are not in `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The runs of consecutive blocks, ascending, counted from the track's first block.
    pub fn runs(self) -> impl Iterator<Item = BlockRange> {
        let mut left = self.0;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let start = left.trailing_zeros();
            let length = (!(left >> start)).trailing_zeros().min(128 - start);
            let run = BlockRange::new(BlockNo(u64::from(start)), u64::from(length));
            left &= !Self::of(run).0;
            Some(run)
        })
    }

    /// The blocks, ascending.
    pub fn iter(self) -> impl Iterator<Item = u64> {
        self.runs().flat_map(|run| run.start.0..run.end.0)
    }
}

impl fmt::Debug for BlockMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.runs().map(|r| (r.start.0, r.end.0))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(start: u64, end: u64) -> BlockRange {
        BlockRange { start: BlockNo(start), end: BlockNo(end) }
    }

    #[test]
    fn runs_give_back_the_mask() {
        for bits in [0, 1, 0b1011, u128::MAX, 1 << 127, u128::MAX << 96, 0x5555 << 100] {
            let mask = BlockMask(bits);
            let again = mask.runs().fold(BlockMask::NONE, |m, run| m.or(BlockMask::of(run)));
            assert_eq!(again, mask, "{bits:#x}");
            assert_eq!(mask.iter().count() as u32, mask.count());
        }
    }

    #[test]
    fn a_range_is_its_blocks() {
        let mask = BlockMask::of(range(3, 128));
        assert_eq!(mask.count(), 125);
        assert!(!mask.has(2) && mask.has(3) && mask.has(127) && !mask.has(128));
        assert!(BlockMask::of(range(5, 5)).is_empty());
    }
}
