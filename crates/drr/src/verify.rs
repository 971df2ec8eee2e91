//! Verifying: block by block, and a track as one.
//!
//! [`verify`] looks at each block by itself: that is for data that comes from a drive. A transfer
//! reads what was verified when it entered the cache, and must keep up with moving the bytes. A
//! CRC of 512 bytes costs nearly three times what 512 bytes cost in a CRC of a whole track, so a
//! transfer takes a single CRC of all the data: it compares the LA of each block, and the CRC with
//! the one that follows from the blocks' codes. Why that is enough:
//!
//! - If one block is wrong, the track is wrong whenever the block is found wrong by itself: moving
//!   a CRC over further blocks loses nothing.
//! - If several are wrong by chance, the track passes once in 2^32, as a wrong block by itself does.
//! - What it does not see is flips that cancel: a bit of a generation, say, and the bit of the next
//!   block's data that lies as far from the end. Looked at by themselves, both blocks are wrong. As
//!   a transfer makes no code anew, their codes are as wrong for the target, and the next stage
//!   finds them.
//!
//! If a track is wrong, [`verify`] says which blocks are.

use crate::code::{Joined, Tails, past_tail};
use crate::place::{Source, TrackPlace};
use diptych_format::{
    BLOCK_BYTES, BlockError, BlockMask, BlockNo, BlockRange, CHECK_FIELD_BYTES, CheckArea,
    CheckField,
};

/// Why a track was not transferred, or does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransferError {
    /// Blocks of the source are not what their check fields say, or belong elsewhere.
    #[error("{} of the track's blocks are wrong, the first: {first}", bad.count())]
    WrongBlocks {
        /// All wrong blocks, counted from the track's first block.
        bad: BlockMask,
        /// What is wrong with the first of them.
        first: BlockError,
    },
}

/// Verifies LA and CD of `blocks` of a track, each block by itself.
///
/// # Errors
///
/// If a block belongs elsewhere or its code does not match; all such blocks are named.
///
/// # Panics
///
/// If data and check fields are not of `place.block_count` blocks, or `blocks` has others.
///
/// ```
/// use diptych_drr::{TrackPlace, TransferError, seal_zeros, verify};
/// use diptych_format::{BackingId, BlockMask, BlockNo, BlockRange, Generation};
/// let place = TrackPlace { backing: BackingId(1), first_block: BlockNo(0), block_count: 8 };
/// let checks = seal_zeros(place, Generation(1));
/// let mut data = vec![0; 8 * 512];
/// data[3 * 512 + 17] = 1;
/// let Err(TransferError::WrongBlocks { bad, .. }) =
///     verify(&data, &checks, place, BlockMask::first(8))
/// else {
///     panic!("block 3 is wrong");
/// };
/// assert_eq!(bad, BlockMask::of(BlockRange::one(BlockNo(3))));
/// ```
pub fn verify(
    data: &[u8],
    checks: &CheckArea,
    place: TrackPlace,
    blocks: BlockMask,
) -> Result<(), TransferError> {
    Source { data, checks, place }.assert_whole();
    assert!(
        BlockMask::first(place.block_count).contains(blocks),
        "blocks of a track of {}",
        place.block_count
    );
    let mut tails = Tails::new(place.backing);
    let mut bad = BlockMask::NONE;
    let mut first = None;
    for run in blocks.runs() {
        for index in run.start.0..run.end.0 {
            let at = index as usize * BLOCK_BYTES;
            let found = block_error(
                &data[at..at + BLOCK_BYTES],
                checks.get(index),
                place,
                index,
                &mut tails,
            );
            if let Some(error) = found {
                bad = bad.or(BlockMask::of(BlockRange::one(BlockNo(index))));
                first = first.or(Some(error));
            }
        }
    }
    first.map_or(Ok(()), |first| Err(TransferError::WrongBlocks { bad, first }))
}

#[inline]
fn block_error(
    data: &[u8],
    field: CheckField,
    place: TrackPlace,
    index: u64,
    tails: &mut Tails,
) -> Option<BlockError> {
    let la = place.la(index);
    if field.la != la {
        return Some(BlockError::Address { expected: la, found: field.la });
    }
    let computed = past_tail(crc32fast::hash(data)) ^ tails.of(la.block.0, field.generation.0);
    (computed != field.code).then_some(BlockError::Code { la, found: field.code, computed })
}

/// Whether all blocks of a track are right, looked at as one.
pub(crate) fn is_right(source: Source<'_>) -> bool {
    let data_code = crc32fast::hash(source.data);
    let mut reader = Reader::new(source.place);
    // The CRC of all data, carried over the tail, as the codes say it must be.
    let mut expected = Joined::default();
    let (fours, rest) = fields(source.checks, source.place).as_chunks();
    for [a, b, c, d] in fours {
        expected.push_four([reader.code(a), reader.code(b), reader.code(c), reader.code(d)]);
    }
    for field in rest {
        expected.push(reader.code(field));
    }
    reader.elsewhere == 0 && expected.code() == past_tail(data_code)
}

pub(crate) fn fields(checks: &CheckArea, place: TrackPlace) -> &[[u8; CHECK_FIELD_BYTES]] {
    checks.as_bytes()[..place.field_bytes()].as_chunks().0
}

/// Reads the check fields of a track, one after the other.
struct Reader {
    backing: u32,
    block: u64,
    tails: Tails,
    /// Not 0 once a field said another LA than its place.
    elsewhere: u64,
}

impl Reader {
    fn new(place: TrackPlace) -> Self {
        let tails = Tails::new(place.backing);
        Self { backing: place.backing.0, block: place.first_block.0, tails, elsewhere: 0 }
    }

    /// What the next field says of its data's CRC, carried over the tail.
    #[inline(always)]
    fn code(&mut self, field: &[u8; CHECK_FIELD_BYTES]) -> u32 {
        // As three words: this is the inner loop of every transfer.
        let mut words = field.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word));
        let mut word = || words.next().expect("a field is three words");
        let (head, block, generation) = (word(), word(), word());
        self.elsewhere |= u64::from(head as u32 ^ self.backing) | (block ^ self.block);
        let code = (head >> 32) as u32 ^ self.tails.of(self.block, generation);
        self.block += 1;
        code
    }
}
