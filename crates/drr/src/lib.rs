//! The address change unit (Fig. 10B: 1020): transfers a track from one backing to another.
//!
//! A transfer takes the user data of a track (1027) through the unit, rewrites the LA of each
//! block (1029) to name the target, makes the CD (1031) that goes with it, and leaves the data in
//! the second buffer (1022b): arrows 2 and 3 of Fig. 10B, steps 604 of Fig. 6 and 905 of Fig. 9.
//! Staging and destaging, arrows 1 and 4, belong to the disk adapter.
//!
//! | to do | use |
//! |---|---|
//! | copy a track, for one target or several | [`transfer`] |
//! | the same, sharing the data's buffer | [`transfer_by_reference`] |
//! | a transfer that owns its buffers, to hand to a driver | [`Op`], [`Done`] |
//! | check a track read from a drive | [`verify`] |
//! | the codes of a host's payload, before and under the claim | [`data_codes`], [`seal_blocks`] |
//! | the check fields of a track of zeros | [`seal_zeros`] |
//! | parity | [`parity::generate`], [`parity::reconstruct`], [`parity::xor_into`] |
//! | many tracks on the caller's threads (feature `rayon`) | `transfer_batch`, `verify_batch` |
//!
//! Invariants:
//! - All of the source is verified before a check field is written. A wrong block stops the
//!   transfer, and then the targets' check areas name no backing: nothing in them verifies.
//! - A new code is never made from data. It is the old one plus a constant of the two backings
//!   (CRC is linear), so a code that was wrong stays wrong even if the check were missing.
//! - The generation is the source's: a copy is as old as what it is a copy of.
//! - The unit knows no cache slot, no pair and no job. It starts no thread: with `rayon` it runs
//!   in whatever pool the caller installed.
//!
//! # Example
//!
//! ```
//! use diptych_drr::{Source, TrackPlace, data_codes, seal_blocks, transfer, verify};
//! use diptych_format::{BackingId, BlockMask, BlockNo, CheckArea, Generation};
//!
//! // A track of 96 blocks as the host wrote it, sealed for backing 1.
//! let data = vec![0x5A; 96 * 512];
//! let place = TrackPlace { backing: BackingId(1), first_block: BlockNo(960), block_count: 96 };
//! let mut codes = Vec::new();
//! data_codes(&data, &mut codes);
//! let mut checks = CheckArea::zeroed(96);
//! seal_blocks(&codes, place, 0, Generation(7), &mut checks);
//!
//! // Copied to backing 2: LA and CD follow, the data does not change.
//! let mut copy = vec![0; data.len()];
//! let mut areas = [CheckArea::zeroed(96)];
//! let source = Source { data: &data, checks: &checks, place };
//! transfer(source, &mut copy, &[BackingId(2)], &mut areas)?;
//! let there = TrackPlace { backing: BackingId(2), ..place };
//! verify(&copy, &areas[0], there, BlockMask::first(96))?;
//!
//! // A block that rotted in the source stops the next one.
//! let mut rotten = data.clone();
//! rotten[5 * 512] ^= 1;
//! let source = Source { data: &rotten, checks: &checks, place };
//! assert!(transfer(source, &mut copy, &[BackingId(2)], &mut areas).is_err());
//! assert!(verify(&copy, &areas[0], there, BlockMask::first(1)).is_err());
//! # Ok::<(), diptych_drr::TransferError>(())
//! ```

#[cfg(feature = "rayon")]
mod batch;
mod code;
mod op;
pub mod parity;
mod place;
mod seal;
mod transfer;
mod verify;

#[cfg(feature = "rayon")]
pub use batch::{Transfer, transfer_batch, verify_batch};
pub use code::{DATA_CODE_OF_ZEROS, seal};
pub use op::{Done, Op};
pub use place::{Source, TrackPlace};
pub use seal::{data_codes, seal_blocks, seal_zeros};
pub use transfer::{transfer, transfer_by_reference};
pub use verify::{TransferError, verify};
