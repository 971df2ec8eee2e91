//! Codes for data that comes from a host: its part before the claim, the rest under it.

use crate::code::{DATA_CODE_OF_ZEROS, Tails, past_tail};
use crate::place::TrackPlace;
use diptych_format::{BLOCK_BYTES, CheckArea, CheckField, Generation};

/// Appends the CRC-32 of each 512-byte block of `data` to `out`.
///
/// This is the part of a check code that needs the data. It is computed before the claim is
/// taken; [`seal_blocks`] adds the rest.
///
/// # Panics
///
/// If `data` is not whole blocks.
pub fn data_codes(data: &[u8], out: &mut Vec<u32>) {
    let (blocks, rest) = data.as_chunks::<BLOCK_BYTES>();
    assert!(rest.is_empty(), "whole blocks, not {} bytes", data.len());
    out.extend(blocks.iter().map(|block| crc32fast::hash(block)));
}

/// Writes the check fields of `codes.len()` blocks, from block `first_index` of the track on.
///
/// ```
/// use diptych_drr::{DATA_CODE_OF_ZEROS, TrackPlace, seal_blocks};
/// use diptych_format::{BackingId, BlockNo, CheckArea, Generation};
/// let place = TrackPlace { backing: BackingId(1), first_block: BlockNo(128), block_count: 128 };
/// let mut area = CheckArea::zeroed(128);
/// seal_blocks(&[DATA_CODE_OF_ZEROS; 8], place, 16, Generation(3), &mut area);
/// assert!(area.get(16).verify(&[0; 512], place.la(16)).is_ok());
/// assert!(area.get(24).verify(&[0; 512], place.la(24)).is_err());
/// ```
///
/// # Panics
///
/// If the track has no such blocks, or the area is of another size than the track.
pub fn seal_blocks(
    codes: &[u32],
    place: TrackPlace,
    first_index: u64,
    generation: Generation,
    area: &mut CheckArea,
) {
    assert_eq!(area.block_count(), place.block_count, "check fields of the place's blocks");
    let mut tails = Tails::new(place.backing);
    for (index, code) in (first_index..).zip(codes) {
        let la = place.la(index);
        let code = past_tail(*code) ^ tails.of(la.block.0, generation.0);
        area.set(index, CheckField { la, generation, code });
    }
}

/// The check fields of a track of zeros.
///
/// # Panics
///
/// If the track has more than 128 blocks.
pub fn seal_zeros(place: TrackPlace, generation: Generation) -> CheckArea {
    const CODES: [u32; 128] = [DATA_CODE_OF_ZEROS; 128];
    let mut area = CheckArea::zeroed(place.block_count);
    seal_blocks(&CODES[..place.block_count as usize], place, 0, generation, &mut area);
    area
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify;
    use diptych_format::{BackingId, BlockMask, BlockNo};

    #[test]
    fn a_track_of_zeros_verifies() {
        for block_count in [1, 21, 22, 96, 128] {
            let place =
                TrackPlace { backing: BackingId(9), first_block: BlockNo(250), block_count };
            let area = seal_zeros(place, Generation(0));
            let data = vec![0; place.data_bytes()];
            assert_eq!(verify(&data, &area, place, BlockMask::first(block_count)), Ok(()));
        }
    }

    #[test]
    fn codes_are_appended() {
        let mut codes = vec![1];
        data_codes(&[0; 1024], &mut codes);
        assert_eq!(codes, [1, DATA_CODE_OF_ZEROS, DATA_CODE_OF_ZEROS]);
    }
}
