//! Host operations that depend on what the blocks hold, as storms make them.

use crate::{Guess, Tag};
use bytes::Bytes;
use diptych_cha::HostOp;
use diptych_format::{BlockNo, BlockRange, LdevId};

/// So much of a request that it is one chunk.
pub(crate) fn chunk_of(blocks: BlockRange, chunk_blocks: u64) -> BlockRange {
    BlockRange { end: BlockNo(blocks.end.0.min(blocks.start.0 + chunk_blocks)), ..blocks }
}

/// The data of these blocks, each with its tag.
pub(crate) fn data_of(tags: &[Tag], blocks: BlockRange) -> Bytes {
    tags.iter().zip(blocks.iter()).flat_map(|(tag, block)| tag.block(block)).collect()
}

/// What a compare and write expects, where this is what the blocks hold.
pub(crate) fn expected(held: &[Tag], blocks: BlockRange, guess: Guess) -> Bytes {
    let data = data_of(held, blocks);
    match guess {
        Guess::WrongAt(at) if !data.is_empty() => {
            let mut data = data.to_vec();
            let at = at % data.len();
            data[at] ^= 0x5A;
            data.into()
        }
        Guess::Right | Guess::WrongAt(_) => data,
    }
}

/// Writes this tag, if the blocks hold what is expected.
pub(crate) fn compare_and_write(
    ldev: LdevId,
    blocks: BlockRange,
    expected: Bytes,
    tag: Tag,
) -> HostOp {
    HostOp::CompareAndWrite { ldev, block: blocks.start, expected, data: tag.data(blocks) }
}
