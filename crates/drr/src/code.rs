//! The arithmetic of check codes: what 20 bytes of LA and generation do to a CRC-32.
//!
//! CRC is linear, so the code of data, LA and generation is the exclusive or of what each byte
//! contributes by itself, and what a byte contributes depends only on its value and on how many
//! bytes follow it. Within a track nearly all of that is the same from block to block:
//! [`Tails`] keeps it, and a block costs a few table look-ups instead of a CRC of 20 bytes.

use diptych_format::{BLOCK_BYTES, BackingId, Generation, LogicalAddress};

/// CRC-32 (IEEE), bits reversed, as `docs/format.md` says.
const POLYNOMIAL: u32 = 0xEDB8_8320;

/// Bytes of LA and generation behind the data in a check code.
const TAIL_BYTES: usize = 20;

/// `FOLLOWED_BY[n][b]`: what byte `b` contributes to a CRC when `n` bytes follow it.
static FOLLOWED_BY: [[u32; 256]; TAIL_BYTES] = followed_by();

/// `PAST_BLOCK[n][b]`: what byte `n` of a CRC with the value `b` has become one block later.
static PAST_BLOCK: [[u32; 256]; 4] = past_bytes(BLOCK_BYTES);

/// The same, four blocks later.
static PAST_FOUR_BLOCKS: [[u32; 256]; 4] = past_bytes(4 * BLOCK_BYTES);

/// The CRC-32 of 512 bytes of zero.
pub const DATA_CODE_OF_ZEROS: u32 = !advance(u32::MAX, BLOCK_BYTES);

/// The CRC of no data at all, sealed with zeros: what the initial and final inversion come to.
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

/// The table of a linear map of one byte, of which `of_bit` are the eight columns.
const fn table(of_bit: [u32; 8]) -> [u32; 256] {
    let mut table = [0; 256];
    let mut byte = 1;
    while byte < 256_usize {
        table[byte] = table[byte & (byte - 1)] ^ of_bit[byte.trailing_zeros() as usize];
        byte += 1;
    }
    table
}

/// The table of byte `byte_no` of a CRC, `byte_count` bytes later.
const fn moved(byte_no: u32, byte_count: usize) -> [u32; 256] {
    let mut of_bit = [0; 8];
    let mut bit = 0;
    while bit < 8_u32 {
        of_bit[bit as usize] = advance(1 << (byte_no * 8 + bit), byte_count);
        bit += 1;
    }
    table(of_bit)
}

const fn past_bytes(byte_count: usize) -> [[u32; 256]; 4] {
    [moved(0, byte_count), moved(1, byte_count), moved(2, byte_count), moved(3, byte_count)]
}

const fn followed_by() -> [[u32; 256]; TAIL_BYTES] {
    let mut tables = [[0; 256]; TAIL_BYTES];
    let mut count = 0;
    while count < TAIL_BYTES {
        tables[count] = moved(0, count + 1);
        count += 1;
    }
    tables
}

/// What the four bytes of `word` contribute when `n - 3` bytes follow the last of them.
#[inline(always)]
fn word_before(word: u32, n: usize) -> u32 {
    let [a, b, c, d] = word.to_le_bytes();
    FOLLOWED_BY[n][usize::from(a)]
        ^ FOLLOWED_BY[n - 1][usize::from(b)]
        ^ FOLLOWED_BY[n - 2][usize::from(c)]
        ^ FOLLOWED_BY[n - 3][usize::from(d)]
}

/// What a difference in the data's code, or in the backing, makes of the check code.
#[inline(always)]
pub(crate) fn past_tail(difference: u32) -> u32 {
    word_before(difference, 19)
}

/// What a difference in a CRC makes of the CRC one block later.
#[inline(always)]
fn past_block(difference: u32) -> u32 {
    moved_by(&PAST_BLOCK, difference)
}

#[inline(always)]
fn moved_by(tables: &[[u32; 256]; 4], difference: u32) -> u32 {
    let [a, b, c, d] = difference.to_le_bytes();
    tables[0][usize::from(a)]
        ^ tables[1][usize::from(b)]
        ^ tables[2][usize::from(c)]
        ^ tables[3][usize::from(d)]
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
            *chain = moved_by(&PAST_FOUR_BLOCKS, *chain) ^ code;
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, code: u32) {
        self.chains = [0, 0, 0, past_block(self.code()) ^ code];
    }

    pub(crate) fn code(&self) -> u32 {
        self.chains.into_iter().fold(0, |joined, chain| past_block(joined) ^ chain)
    }
}

#[inline]
fn of_block(block: u64) -> u32 {
    word_before(block as u32, 15) ^ word_before((block >> 32) as u32, 11)
}

#[inline]
fn of_generation(generation: u64) -> u32 {
    word_before(generation as u32, 7) ^ word_before((generation >> 32) as u32, 3)
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
    /// Backing, inversions and all of the block address but its last byte.
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
        if block >> 8 != self.high {
            self.high = block >> 8;
            self.fixed = self.backing_part ^ of_block(block & !0xFF);
        }
        if generation != self.generation {
            self.generation = generation;
            self.generation_part = of_generation(generation);
        }
        self.fixed ^ FOLLOWED_BY[15][(block & 0xFF) as usize] ^ self.generation_part
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
