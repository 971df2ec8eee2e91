//! Inputs like another one, but not quite.

use fastrand::Rng;

/// Numbers at which things end.
const EDGES: [u64; 10] =
    [0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 48, i64::MAX as u64, u64::MAX];
/// The most bytes of an input.
const BYTES_MAX: usize = 8_192;

/// An input like this one: bits flipped, bytes and numbers changed, parts cut out, doubled, or taken from
/// another one.
pub fn mutate_input(input: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..rng.usize(1..=4) {
        mutate(&mut bytes, other, rng);
    }
    bytes.truncate(BYTES_MAX);
    bytes
}

fn mutate(bytes: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    let at = rng.usize(..=bytes.len());
    let end = (at + rng.usize(..=16)).min(bytes.len());
    match rng.u8(..8) {
        0 | 1 if at < bytes.len() => bytes[at] ^= 1 << rng.u8(..8),
        2 if at < bytes.len() => bytes[at] = rng.u8(..),
        3 => {
            let edge = EDGES[rng.usize(..EDGES.len())].to_le_bytes();
            let width = [1, 2, 4, 8][rng.usize(..4)];
            for (byte, edge) in bytes[at..].iter_mut().zip(&edge[..width]) {
                *byte = *edge;
            }
        }
        4 => bytes.truncate(at),
        5 => drop(bytes.drain(at..end)),
        6 => {
            let doubled = bytes[at..end].to_vec();
            bytes.splice(at..at, doubled);
        }
        _ => {
            let from = rng.usize(..=other.len());
            let part = &other[from..(from + rng.usize(..=64)).min(other.len())];
            bytes.splice(at..end, part.iter().copied());
        }
    }
}
