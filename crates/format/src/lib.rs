//! Ids, geometry, virtual time, block layout, track buffers and the seam's small types.
//!
//! The lowest layer that knows what a disk array is made of. Everything here is plain data: no
//! thread, no file, no clock.
//!
//! | noun | where |
//! |---|---|
//! | [`LdevId`], [`BackingId`], [`TrackNo`], [`BlockNo`], [`PairId`], ... | ids and ranges |
//! | [`Emulation`], [`Geometry`] | tracks and blocks of a volume |
//! | [`LogicalAddress`], [`CheckField`], [`CheckArea`] | LA, generation and CD of a block (Fig. 10B: 1029, 1031) |
//! | [`TrackBuf`], [`TrackPool`] | user data of one track (Fig. 10B: 1027), from a bounded pool |
//! | [`BlockPrinter`], [`TrackPrinter`] | blocks and tracks as text |
//! | [`BlockMask`] | a set of blocks of one track |
//! | [`Step`], [`Wait`], [`Need`], [`Work`], [`Resource`], [`OwnerId`] | what a job asks of its driver |
//! | [`Time`] | virtual time: passed in, never read |
//!
//! # Example
//!
//! ```
//! use diptych_format::{BackingId, BlockNo, CheckField, Generation, LogicalAddress};
//!
//! let data = [7_u8; 512];
//! let la = LogicalAddress { backing: BackingId(3), block: BlockNo(42) };
//! let field = CheckField::of(&data, la, Generation(1));
//! assert!(field.verify(&data, la).is_ok());
//! assert!(field.verify(&[8_u8; 512], la).is_err());
//! ```

mod block;
mod check_area;
mod geometry;
mod id;
mod mask;
mod print;
mod range;
mod seam;
mod time;
mod track;

pub use block::{BLOCK_BYTES, BlockError, CHECK_FIELD_BYTES, CheckField, LogicalAddress, seal};
pub use check_area::CheckArea;
pub use geometry::{Emulation, Geometry, GeometryError, MAX_BLOCKS_PER_TRACK, UnknownEmulation};
pub use id::{
    BackingId, BlockNo, DriveNo, FamilyId, Generation, IdError, ImageNo, LdevId, OwnerId, PairId,
    SectorNo, TrackNo,
};
pub use mask::BlockMask;
pub use print::{BlockPrinter, TrackPrinter};
pub use range::{BlockRange, TrackRange};
pub use seam::{Answer, Need, Resource, Step, Wait, Wakes, Work};
pub use time::Time;
pub use track::{TrackBuf, TrackPool};
