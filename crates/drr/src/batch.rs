//! Many tracks at once, on the threads of the pool that the caller installed.
//!
//! The unit owns no pool: `pool.install(|| transfer_batch(...))` decides how many threads work.
//! Each track's outputs are its own `&mut`, so nothing is shared.

use crate::place::Source;
use crate::transfer::pass;
use crate::verify::{TransferError, verify};
use diptych_format::{BackingId, BlockMask, CheckArea};
use rayon::prelude::*;

/// One transfer of a batch.
#[derive(Debug)]
pub struct Transfer<'a> {
    /// The track to read.
    pub source: Source<'a>,
    /// The second buffer; without one the transfer is by reference.
    pub copy: Option<&'a mut [u8]>,
    /// The backings to make check fields for.
    pub targets: &'a [BackingId],
    /// Their check areas.
    pub areas: &'a mut [CheckArea],
}

/// Does all transfers, and says of each what became of it, in their order.
///
/// # Panics
///
/// As [`transfer`](crate::transfer()), for any of them.
///
/// ```
/// use diptych_drr::{Source, TrackPlace, Transfer, seal_zeros, transfer_batch};
/// use diptych_format::{BackingId, BlockNo, CheckArea, Generation};
/// let place = TrackPlace { backing: BackingId(1), first_block: BlockNo(0), block_count: 96 };
/// let checks = seal_zeros(place, Generation(1));
/// let data = vec![0; 48 << 10];
/// let mut areas = vec![[CheckArea::zeroed(96)]; 4];
/// let mut batch: Vec<Transfer> = areas
///     .iter_mut()
///     .map(|areas| Transfer {
///         source: Source { data: &data, checks: &checks, place },
///         copy: None,
///         targets: &[BackingId(2)],
///         areas,
///     })
///     .collect();
/// assert_eq!(transfer_batch(&mut batch), vec![Ok(()); 4]);
/// ```
pub fn transfer_batch(batch: &mut [Transfer<'_>]) -> Vec<Result<(), TransferError>> {
    batch
        .par_iter_mut()
        .map(|transfer| {
            let copy = transfer.copy.as_deref_mut();
            if let Some(copy) = &copy {
                transfer.source.assert_fits(copy);
            }
            pass(transfer.source, copy, transfer.targets, transfer.areas)
        })
        .collect()
}

/// Verifies `blocks` of each track, each block by itself; the results are in the tracks' order.
///
/// # Panics
///
/// As [`verify`], for any of them.
pub fn verify_batch(tracks: &[(Source<'_>, BlockMask)]) -> Vec<Result<(), TransferError>> {
    tracks
        .par_iter()
        .map(|(track, blocks)| verify(track.data, track.checks, track.place, *blocks))
        .collect()
}
