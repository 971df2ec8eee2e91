//! The CRC-32 of payloads from the codes of their parts: no byte is looked at twice.
//!
//! CRC is linear: the code of two parts is the first one's, as so many bytes of zero make it, exclusive or
//! the second one's.

use diptych_format::BLOCK_BYTES;

/// CRC-32 (IEEE), bits reversed.
const POLYNOMIAL: u32 = 0xEDB8_8320;
/// Powers of two of blocks that a payload's length is made of.
const POWERS: usize = 24;

/// What a code has become some blocks of zero later: a table for each four bits.
struct Past([[u32; 16]; 8]);

/// For 1, 2, 4, ... blocks.
static PAST: [Past; POWERS] = powers();

const fn powers() -> [Past; POWERS] {
    let mut powers = [const { Past([[0; 16]; 8]) }; POWERS];
    powers[0] = Past::block();
    let mut power = 1;
    while power < POWERS {
        powers[power] = powers[power - 1].twice();
        power += 1;
    }
    powers
}

impl Past {
    /// After one block, bit by bit.
    const fn block() -> Self {
        let mut of_bits = [0; 32];
        let mut bit = 0;
        while bit < 32 {
            let mut state = 1_u32 << bit;
            let mut zero_bits = 0;
            while zero_bits < BLOCK_BYTES * 8 {
                state = (state >> 1) ^ (POLYNOMIAL & (state & 1).wrapping_neg());
                zero_bits += 1;
            }
            of_bits[bit] = state;
            bit += 1;
        }
        Self::from_bits(&of_bits)
    }

    const fn twice(&self) -> Self {
        let mut of_bits = [0; 32];
        let mut bit = 0;
        while bit < 32 {
            of_bits[bit] = self.of(self.of(1 << bit));
            bit += 1;
        }
        Self::from_bits(&of_bits)
    }

    const fn from_bits(of_bits: &[u32; 32]) -> Self {
        let mut tables = [[0; 16]; 8];
        let mut table = 0;
        while table < 8 {
            let mut bits = 1;
            while bits < 16_usize {
                let lowest = bits.trailing_zeros() as usize;
                tables[table][bits] =
                    tables[table][bits & (bits - 1)] ^ of_bits[4 * table + lowest];
                bits += 1;
            }
            table += 1;
        }
        Self(tables)
    }

    #[inline]
    const fn of(&self, code: u32) -> u32 {
        let tables = &self.0;
        let low = tables[0][(code & 0xF) as usize]
            ^ tables[1][(code >> 4 & 0xF) as usize]
            ^ tables[2][(code >> 8 & 0xF) as usize]
            ^ tables[3][(code >> 12 & 0xF) as usize];
        let high = tables[4][(code >> 16 & 0xF) as usize]
            ^ tables[5][(code >> 20 & 0xF) as usize]
            ^ tables[6][(code >> 24 & 0xF) as usize]
            ^ tables[7][(code >> 28) as usize];
        low ^ high
    }
}

/// The code of two payloads, one behind the other, from the code of each: the second has so many blocks.
pub(crate) fn join(first: u32, second: u32, second_blocks: usize) -> u32 {
    let powers = PAST.iter().enumerate().filter(|(power, _)| second_blocks >> power & 1 == 1);
    powers.fold(first, |code, (_, past)| past.of(code)) ^ second
}

/// The CRC-32 of a payload from the CRC-32 of each of its blocks, for
/// [`Entry::payload_code`](crate::Entry::payload_code).
///
/// ```
/// let payload: Vec<u8> = (0..2048_u32).map(|at| (at / 3) as u8).collect();
/// let codes: Vec<u32> = payload.chunks(512).map(crc32fast::hash).collect();
/// assert_eq!(diptych_log::payload_code(&codes), crc32fast::hash(&payload));
/// ```
pub fn payload_code(block_codes: &[u32]) -> u32 {
    // Four chains: one alone waits for its own look-ups.
    let (fours, rest) = block_codes.as_chunks::<4>();
    let mut chains = [0; 4];
    for codes in fours {
        for (chain, code) in chains.iter_mut().zip(codes) {
            *chain = PAST[2].of(*chain) ^ code;
        }
    }
    chains.iter().chain(rest).fold(0, |joined, code| PAST[0].of(joined) ^ code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_parts_make_the_code_of_the_whole() {
        let bytes: Vec<u8> = (0..300 * BLOCK_BYTES).map(|at| (at * 7 % 251) as u8).collect();
        let codes: Vec<u32> = bytes.chunks(BLOCK_BYTES).map(crc32fast::hash).collect();
        for count in (0..12).chain([127, 128, 299, 300]) {
            let whole = crc32fast::hash(&bytes[..count * BLOCK_BYTES]);
            assert_eq!(payload_code(&codes[..count]), whole, "{count} blocks");
            for first in [0, 1, count / 2, count] {
                let first = first.min(count);
                let (one, two) =
                    (payload_code(&codes[..first]), payload_code(&codes[first..count]));
                // The second begins at a block of its own: its chains do too.
                assert_eq!(join(one, two, count - first), whole, "{first} of {count} blocks");
            }
        }
    }
}
