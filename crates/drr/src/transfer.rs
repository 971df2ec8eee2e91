//! The transfer: arrows 2 and 3 of Fig. 10B (steps 604 and 905).

use crate::code::past_tail;
use crate::place::Source;
use crate::verify::{TransferError, fields, is_right, verify};
use diptych_format::{BackingId, BlockMask, CHECK_FIELD_BYTES, CheckArea};
use diptych_sync::mutant;

/// Copies a track into the second buffer (1022b) and makes the check fields of each target.
///
/// Targets are backings that hold the same blocks at the same addresses: a protecting copy serves
/// all its pairs from one buffer. `areas[n]` becomes the check area of `targets[n]`.
///
/// # Errors
///
/// If a block of the source is wrong. What `copy` holds is then undefined, and the areas are all
/// zero: nothing in them verifies.
///
/// # Panics
///
/// If the parts of the source, the copy and the areas are not all of `place.block_count` blocks,
/// there is not one area for each target, or a target is no backing.
pub fn transfer(
    source: Source<'_>,
    copy: &mut [u8],
    targets: &[BackingId],
    areas: &mut [CheckArea],
) -> Result<(), TransferError> {
    source.assert_fits(copy);
    pass(source, Some(copy), targets, areas)
}

/// As [`transfer`], but moves no data: the targets share the source's buffer, and only their
/// check areas are made.
///
/// # Errors
///
/// If a block of the source is wrong. The areas are then all zero: nothing in them verifies.
///
/// # Panics
///
/// If the parts of the source and the areas are not all of `place.block_count` blocks, there is
/// not one area for each target, or a target is no backing.
pub fn transfer_by_reference(
    source: Source<'_>,
    targets: &[BackingId],
    areas: &mut [CheckArea],
) -> Result<(), TransferError> {
    pass(source, None, targets, areas)
}

pub(crate) fn pass(
    source: Source<'_>,
    copy: Option<&mut [u8]>,
    targets: &[BackingId],
    areas: &mut [CheckArea],
) -> Result<(), TransferError> {
    source.assert_whole();
    assert_eq!(targets.len(), areas.len(), "a check area for each target");
    for (target, area) in targets.iter().zip(&*areas) {
        assert!(target.0 != 0, "a transfer goes to a backing");
        assert_eq!(area.block_count(), source.place.block_count, "an area of the track's size");
    }
    // Copied first: the CRC then reads from the second-level cache what the copy brought there.
    // The other way round the copy waits for memory a second time. Without check fields a copy of
    // wrong blocks is no harm.
    if let Some(copy) = copy {
        copy.copy_from_slice(source.data);
    }
    if !is_right(source) && !mutant::removed("verify-before-rewrite") {
        for area in areas {
            area.as_bytes_mut().fill(0);
        }
        let all = BlockMask::first(source.place.block_count);
        let found = verify(source.data, source.checks, source.place, all);
        assert!(found.is_err(), "a wrong track has a wrong block");
        return found;
    }
    for (target, area) in targets.iter().zip(areas) {
        readdress(source, *target, area);
    }
    Ok(())
}

/// Steps 604 and 905: the source's check fields with the target's backing, and the codes that go
/// with it.
fn readdress(source: Source<'_>, target: BackingId, area: &mut CheckArea) {
    let backing = source.place.backing.0 ^ target.0;
    // Backing and code are the first two words of a field; in each the difference is the same
    // for all blocks.
    let change = u64::from(past_tail(backing)) << 32 | u64::from(backing);
    let length = source.place.field_bytes();
    let made = area.as_bytes_mut()[..length].as_chunks_mut::<CHECK_FIELD_BYTES>().0;
    for (made, field) in made.iter_mut().zip(fields(source.checks, source.place)) {
        let (head, rest) = field.split_first_chunk().expect("a field has 24 bytes");
        let head = (u64::from_le_bytes(*head) ^ change).to_le_bytes();
        made[..8].copy_from_slice(&head);
        made[8..].copy_from_slice(rest);
    }
}
