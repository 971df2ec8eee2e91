//! The arithmetic of check codes: what 20 bytes of LA and generation do to a CRC-32.
//!
//! CRC is linear: the code of data, LA and generation is the exclusive or of what each of their
//! words contributes by itself, and that depends only on the word and on how many bytes follow.
//! Within a track nearly all of it is the same from block to block: [`Tails`] keeps it, and a
//! block costs a few table look-ups instead of a CRC of 20 bytes.

use diptych_format::{BLOCK_BYTES, BackingId, Generation, LogicalAddress};

/// CRC-32 (IEEE), bits reversed, as `docs/format.md` says.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// Bytes of LA and generation behind the data in a check code.
const TAIL_BYTES: usize = 20;

static PAST_TAIL: Past = Past::bytes(TAIL_BYTES);
static PAST_BLOCK: Past = Past::bytes(BLOCK_BYTES);
static PAST_FOUR_BLOCKS: Past = Past::bytes(4 * BLOCK_BYTES);
// The words of the tail behind the backing, with the bytes from their start to the end.
static BLOCK_LOW: Past = Past::bytes(16);
static BLOCK_HIGH: Past = Past::bytes(12);
static GENERATION_LOW: Past = Past::bytes(8);
static GENERATION_HIGH: Past = Past::bytes(4);

/// The CRC-32 of 512 bytes of zero.
pub const DATA_CODE_OF_ZEROS: u32 = !advance(u32::MAX, BLOCK_BYTES);

/// What the inversions at both ends of a CRC come to over a tail.
const TAIL_OF_ZEROS: u32 = !advance(u32::MAX, TAIL_BYTES);

/// `state` after so many bytes of zero, bit by bit.
const fn advance(mut state: u32, byte_count: usize) -> u32 {
    let mut bit = 0;
    while bit < byte_count * 8 {
        state = (state >> 1) ^ (POLYNOMIAL & (state & 1).wrapping_neg());
        bit += 1;
    }
    state
}

/// What a CRC, or a word at its place, has become some bytes later: [`advance`] by table.
///
/// A table for each four bits, not for each byte: after a track has passed through the
/// first-level cache there are 8 lines to fetch again instead of 64.
struct Past([[u32; 16]; 8]);

impl Past {
    const fn bytes(byte_count: usize) -> Self {
        let mut tables = [[0; 16]; 8];
        let mut table_no = 0;
        while table_no < 8 {
            let mut bits = 1;
            while bits < 16_usize {
                let rest = bits & (bits - 1);
                tables[table_no][bits] = if rest == 0 {
                    advance((bits as u32) << (4 * table_no), byte_count)
                } else {
                    tables[table_no][rest] ^ tables[table_no][bits ^ rest]
                };
                bits += 1;
            }
            table_no += 1;
        }
        Self(tables)
    }

    #[inline(always)]
    fn of(&self, word: u32) -> u32 {
        let part = |n: usize| self.0[n][(word >> (4 * n) & 0xF) as usize];
        // In pairs, so that no look-up waits for the one before.
        ((part(0) ^ part(1)) ^ (part(2) ^ part(3))) ^ ((part(4) ^ part(5)) ^ (part(6) ^ part(7)))
    }
}

/// What a difference in the data's code, or in the backing, makes of the check code.
#[inline(always)]
pub(crate) fn past_tail(difference: u32) -> u32 {
    PAST_TAIL.of(difference)
}

/// The CRC of consecutive blocks from the CRC of each.
///
/// Four chains, each four blocks a step: one chain alone waits for its own look-ups.
#[derive(Default)]
pub(crate) struct Joined {
    chains: [u32; 4],
}

impl Joined {
    #[inline(always)]
    pub(crate) fn push_four(&mut self, codes: [u32; 4]) {
        for (chain, code) in self.chains.iter_mut().zip(codes) {
            *chain = PAST_FOUR_BLOCKS.of(*chain) ^ code;
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, code: u32) {
        self.chains = [0, 0, 0, PAST_BLOCK.of(self.code()) ^ code];
    }

    pub(crate) fn code(&self) -> u32 {
        self.chains.into_iter().fold(0, |joined, chain| PAST_BLOCK.of(joined) ^ chain)
    }
}

#[inline]
fn of_block(block: u64) -> u32 {
    BLOCK_LOW.of(block as u32) ^ BLOCK_HIGH.of((block >> 32) as u32)
}

#[inline]
fn of_generation(generation: u64) -> u32 {
    GENERATION_LOW.of(generation as u32) ^ GENERATION_HIGH.of((generation >> 32) as u32)
}

/// The check code of a block whose data has the CRC-32 `data_code`: [`diptych_format::seal`] by
/// table look-ups.
///
/// ```
/// use diptych_format::{BackingId, BlockNo, Generation, LogicalAddress};
/// let la = LogicalAddress { backing: BackingId(3), block: BlockNo(42) };
/// let code = diptych_drr::seal(0x1234_5678, la, Generation(9));
/// assert_eq!(code, diptych_format::seal(0x1234_5678, la, Generation(9)));
/// ```
#[inline]
pub fn seal(data_code: u32, la: LogicalAddress, generation: Generation) -> u32 {
    past_tail(data_code ^ la.backing.0)
        ^ of_block(la.block.0)
        ^ of_generation(generation.0)
        ^ TAIL_OF_ZEROS
}

/// What LA and generation contribute to the codes of neighbouring blocks of one backing.
///
/// `seal(c, la, g)` is `past_tail(c) ^ tails.of(la.block, g)`.
pub(crate) struct Tails {
    /// Backing, inversions and all of the block address but its last four bits.
    fixed: u32,
    high: u64,
    backing_part: u32,
    generation: u64,
    generation_part: u32,
}

impl Tails {
    pub(crate) fn new(backing: BackingId) -> Self {
        let backing_part = past_tail(backing.0) ^ TAIL_OF_ZEROS;
        Self { fixed: backing_part, high: 0, backing_part, generation: 0, generation_part: 0 }
    }

    #[inline(always)]
    pub(crate) fn of(&mut self, block: u64, generation: u64) -> u32 {
        if block >> 4 != self.high {
            self.high = block >> 4;
            self.fixed = self.backing_part ^ of_block(block & !0xF);
        }
        if generation != self.generation {
            self.generation = generation;
            self.generation_part = of_generation(generation);
        }
        self.fixed ^ BLOCK_LOW.0[0][(block & 0xF) as usize] ^ self.generation_part
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_format::BlockNo;

    #[test]
    fn zeros_have_the_code_of_zeros() {
        assert_eq!(DATA_CODE_OF_ZEROS, crc32fast::hash(&[0; BLOCK_BYTES]));
    }

    #[test]
    fn sealing_by_tables_is_sealing() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..2_000 {
            // Small and large numbers: few bits set, and many.
            let la = LogicalAddress {
                backing: BackingId(random.u32(..) >> random.u32(..32)),
                block: BlockNo(random.u64(..) >> random.u32(..64)),
            };
            let generation = Generation(random.u64(..) >> random.u32(..64));
            let data_code = random.u32(..);
            let expected = diptych_format::seal(data_code, la, generation);
            assert_eq!(seal(data_code, la, generation), expected, "{la} {generation}");
            // From another block, so that what is kept must be found stale.
            let mut tails = Tails::new(la.backing);
            tails.of(random.u64(..), random.u64(..));
            for _ in 0..2 {
                assert_eq!(past_tail(data_code) ^ tails.of(la.block.0, generation.0), expected);
            }
        }
    }

    #[test]
    fn a_track_has_the_code_its_blocks_have() {
        let mut random = fastrand::Rng::with_seed(2);
        let data: Vec<u8> =
            std::iter::repeat_with(|| random.u8(..)).take(BLOCK_BYTES * 13).collect();
        for block_count in 0..=13 {
            let data = &data[..block_count * BLOCK_BYTES];
            let codes: Vec<u32> = data.chunks(BLOCK_BYTES).map(crc32fast::hash).collect();
            let mut joined = Joined::default();
            let (fours, rest) = codes.as_chunks();
            fours.iter().for_each(|four| joined.push_four(*four));
            rest.iter().for_each(|code| joined.push(*code));
            assert_eq!(joined.code(), crc32fast::hash(data), "{block_count} blocks");
        }
    }
}
