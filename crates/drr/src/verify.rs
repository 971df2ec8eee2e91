//! Verifying: block by block, and by runs of blocks.
//!
//! [`verify`] looks at each block by itself: that is for data that comes from a drive. A transfer
//! reads what was verified when it entered the cache, and must be about as fast as moving the
//! bytes, so it looks at runs of three blocks: the LA of each is compared, but only one CRC is
//! taken of the data of all three, and compared with the one that follows from their three codes.
//! Why that is enough:
//!
//! - If one block of a run is wrong, the run is wrong whenever the block is found wrong by itself:
//!   moving a CRC over further blocks loses nothing.
//! - If several are wrong by chance, the run passes once in 2^32, as a wrong block by itself does.
//! - What it does not see is two flips in one run that cancel: a bit of a generation, say, and the
//!   bit of the next block's data that lies as far from the end. [`verify`] sees both. Such blocks
//!   are copied, but as a transfer makes no code anew, their codes are as wrong on the target, and
//!   the next stage finds them.
//!
//! If a run is wrong, [`verify`] says which blocks are.

use crate::code::{Tails, past_block, past_tail};
use crate::place::{Source, TrackPlace};
use diptych_format::{
    BLOCK_BYTES, BlockError, BlockMask, BlockNo, BlockRange, CHECK_FIELD_BYTES, CheckArea,
    CheckField,
};

/// Blocks of a run: as many as the CRC takes with its shorter set-up, and a whole fraction of a
/// track of 96. `benches/transfer.rs` shows the others.
const RUN_BLOCKS: usize = 3;
const RUN_BYTES: usize = RUN_BLOCKS * BLOCK_BYTES;

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

/// Whether all blocks of a track are right, by runs; copies the data on the way if there is a
/// place for it. The copy may be made of wrong blocks: only check fields make it one.
pub(crate) fn verify_runs(source: Source<'_>, copy: Option<&mut [u8]>) -> bool {
    let (runs, last) = source.data.as_chunks::<RUN_BYTES>();
    let mut fields = Fields::new(source);
    let mut wrong = 0;
    match copy {
        None => {
            for run in runs {
                wrong |= fields.next_wrong::<RUN_BLOCKS>(crc32fast::hash(run));
            }
        }
        Some(copy) => {
            let (copies, last_copy) = copy.as_chunks_mut::<RUN_BYTES>();
            for (run, copy) in runs.iter().zip(copies) {
                wrong |= fields.next_wrong::<RUN_BLOCKS>(crc32fast::hash(run));
                // Right behind the CRC, while the run is in the first-level cache: a copy of known
                // length needs no call, and overlaps with the CRC of the next run.
                *copy = *run;
            }
            last_copy.copy_from_slice(last);
        }
    }
    for block in last.as_chunks::<BLOCK_BYTES>().0 {
        wrong |= fields.next_wrong::<1>(crc32fast::hash(block));
    }
    wrong == 0
}

/// The check fields of a track, a run at a time.
struct Fields<'a> {
    left: &'a [[u8; CHECK_FIELD_BYTES]],
    place: TrackPlace,
    block: u64,
    tails: Tails,
}

impl<'a> Fields<'a> {
    fn new(source: Source<'a>) -> Self {
        let bytes = &source.checks.as_bytes()[..source.place.field_bytes()];
        Self {
            left: bytes.as_chunks().0,
            place: source.place,
            block: source.place.first_block.0,
            tails: Tails::new(source.place.backing),
        }
    }

    /// 0 if the next `N` blocks are right, whose data has the CRC-32 `data_code`.
    #[inline(always)]
    fn next_wrong<const N: usize>(&mut self, data_code: u32) -> u64 {
        let (run, left) = self.left.split_first_chunk::<N>().expect("a field for every block");
        self.left = left;
        let mut wrong = 0;
        // What the data's CRC must be, carried over the tail, from the codes.
        let mut expected = 0;
        for bytes in run {
            let field = CheckField::from_bytes(bytes);
            wrong |= u64::from(field.la.backing.0 ^ self.place.backing.0);
            wrong |= field.la.block.0 ^ self.block;
            let code = field.code ^ self.tails.of(self.block, field.generation.0);
            expected = past_block(expected) ^ code;
            self.block += 1;
        }
        wrong | u64::from(expected ^ past_tail(data_code))
    }
}
