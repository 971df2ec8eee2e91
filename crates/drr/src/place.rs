//! Where a track lies, and the track that a transfer reads.

use diptych_format::{
    BLOCK_BYTES, BackingId, BlockNo, CHECK_FIELD_BYTES, CheckArea, LogicalAddress,
    MAX_BLOCKS_PER_TRACK,
};

/// Where a track lies: what the LA of its blocks must say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TrackPlace {
    /// The storage that holds the track.
    pub backing: BackingId,
    /// The track's first block, counted from the start of the backing.
    pub first_block: BlockNo,
    /// Blocks of the track: 1 to 128.
    pub block_count: u64,
}

impl TrackPlace {
    /// The LA of block `index` of the track.
    #[inline]
    pub fn la(self, index: u64) -> LogicalAddress {
        LogicalAddress { backing: self.backing, block: BlockNo(self.first_block.0 + index) }
    }

    /// Bytes of user data of the track.
    pub const fn data_bytes(self) -> usize {
        self.block_count as usize * BLOCK_BYTES
    }

    /// Bytes of the check fields of the track, without what fills up their last sector.
    pub(crate) const fn field_bytes(self) -> usize {
        self.block_count as usize * CHECK_FIELD_BYTES
    }
}

/// A track to read: the first cache location (Fig. 10B: 1022a).
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// The user data.
    pub data: &'a [u8],
    /// The check fields.
    pub checks: &'a CheckArea,
    /// Where the track lies.
    pub place: TrackPlace,
}

impl Source<'_> {
    /// The three parts must be of one track: everything that reads a source asserts it first.
    pub(crate) fn assert_whole(&self) {
        assert!(
            (1..=MAX_BLOCKS_PER_TRACK).contains(&self.place.block_count),
            "a track has 1 to 128 blocks"
        );
        assert_eq!(self.data.len(), self.place.data_bytes(), "data of the place's blocks");
        assert_eq!(
            self.checks.block_count(),
            self.place.block_count,
            "check fields of the place's blocks"
        );
    }

    /// What a transfer with a second buffer asserts besides.
    pub(crate) fn assert_fits(&self, copy: &[u8]) {
        assert_eq!(copy.len(), self.data.len(), "a second buffer of the track's size");
    }
}
