//! Geometry per emulation type: how many blocks make a track, how many tracks make a volume.

use crate::{BLOCK_BYTES, BlockNo, BlockRange, CheckArea, TrackNo, TrackRange};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The most blocks a track has: one bit each in a [`crate::BlockMask`].
pub const MAX_BLOCKS_PER_TRACK: u64 = 128;

const TRACKS_PER_CYLINDER: u64 = 15;

/// A device emulation type (Figs. 11A, 11C).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Emulation {
    /// 3,338 cylinders of 15 tracks of 96 blocks.
    Open3,
    /// 9,966 cylinders.
    Open8,
    /// 10,016 cylinders.
    Open9,
    /// 19,759 cylinders.
    OpenE,
    /// 49,439 cylinders.
    OpenL,
    /// Any size, tracks of 128 blocks.
    OpenV,
}

impl Emulation {
    /// All types, in the order of their sizes.
    pub const ALL: [Self; 6] =
        [Self::Open3, Self::Open8, Self::Open9, Self::OpenE, Self::OpenL, Self::OpenV];

    /// The name as it is shown: `OPEN-3`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Open3 => "OPEN-3",
            Self::Open8 => "OPEN-8",
            Self::Open9 => "OPEN-9",
            Self::OpenE => "OPEN-E",
            Self::OpenL => "OPEN-L",
            Self::OpenV => "OPEN-V",
        }
    }

    /// Blocks of one track.
    pub const fn blocks_per_track(self) -> u64 {
        match self {
            Self::OpenV => 128,
            _ => 96,
        }
    }

    /// Cylinders of a volume; `None` where any size is allowed.
    pub const fn cylinders(self) -> Option<u64> {
        match self {
            Self::Open3 => Some(3_338),
            Self::Open8 => Some(9_966),
            Self::Open9 => Some(10_016),
            Self::OpenE => Some(19_759),
            Self::OpenL => Some(49_439),
            Self::OpenV => None,
        }
    }

    /// Blocks of a volume; `None` where any size is allowed.
    pub const fn block_count(self) -> Option<u64> {
        match self.cylinders() {
            Some(cylinders) => Some(cylinders * TRACKS_PER_CYLINDER * self.blocks_per_track()),
            None => None,
        }
    }
}

impl fmt::Display for Emulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no emulation type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the emulation types are OPEN-3, OPEN-8, OPEN-9, OPEN-E, OPEN-L and OPEN-V")]
pub struct UnknownEmulation;

impl FromStr for Emulation {
    type Err = UnknownEmulation;

    fn from_str(text: &str) -> Result<Self, UnknownEmulation> {
        let same = |e: &Self| e.name().eq_ignore_ascii_case(text);
        Self::ALL.into_iter().find(same).ok_or(UnknownEmulation)
    }
}

/// A size that a volume cannot have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// Every volume has at least one block.
    #[error("a volume of {emulation} has at least one block")]
    Empty {
        /// The type asked for.
        emulation: Emulation,
    },
    /// The type has one size, and it is another.
    #[error("a volume of {emulation} has {expected} blocks, not {asked}")]
    FixedSize {
        /// The type asked for.
        emulation: Emulation,
        /// Its size in blocks.
        expected: u64,
        /// The size asked for, in blocks.
        asked: u64,
    },
    /// No type has tracks of this size.
    #[error("no track of {emulation} has {asked} blocks")]
    TrackSize {
        /// The type asked for.
        emulation: Emulation,
        /// The size of a track asked for, in blocks.
        asked: u64,
    },
    /// The volume is larger than 2^48 blocks (128 PiB).
    #[error("a volume has at most {max} blocks, not {asked}")]
    TooLarge {
        /// The most blocks there can be.
        max: u64,
        /// The size asked for, in blocks.
        asked: u64,
    },
}

/// The shape of a volume: its type, its track size and its size.
///
/// ```
/// use diptych_format::{Emulation, Geometry};
/// let open3 = Geometry::of(Emulation::Open3).unwrap();
/// assert_eq!(open3.block_count(), 4_806_720);
/// assert_eq!(open3.track_count(), 3_338 * 15);
/// assert_eq!(open3.track_bytes(), 48 << 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Shape")]
pub struct Geometry {
    emulation: Emulation,
    blocks_per_track: u64,
    block_count: u64,
}

/// What is read as a geometry, and may be none.
#[derive(Deserialize)]
struct Shape {
    emulation: Emulation,
    blocks_per_track: u64,
    block_count: u64,
}

impl TryFrom<Shape> for Geometry {
    type Error = GeometryError;

    fn try_from(shape: Shape) -> Result<Self, GeometryError> {
        let Shape { emulation, blocks_per_track: asked, block_count } = shape;
        let geometry = Self::new(emulation, block_count)?;
        let fits = match emulation {
            Emulation::OpenV => (1..=MAX_BLOCKS_PER_TRACK).contains(&asked),
            _ => asked == geometry.blocks_per_track,
        };
        if !fits {
            return Err(GeometryError::TrackSize { emulation, asked });
        }
        Ok(Self { blocks_per_track: asked, ..geometry })
    }
}

impl Geometry {
    const MAX_BLOCKS: u64 = 1 << 48;

    /// The geometry of a type that has one size; `None` for OPEN-V.
    pub fn of(emulation: Emulation) -> Option<Self> {
        let block_count = emulation.block_count()?;
        Some(Self { emulation, blocks_per_track: emulation.blocks_per_track(), block_count })
    }

    /// A volume of `block_count` blocks.
    ///
    /// # Errors
    ///
    /// If there is no volume of this type and size.
    pub fn new(emulation: Emulation, block_count: u64) -> Result<Self, GeometryError> {
        let asked = block_count;
        match emulation.block_count() {
            _ if asked == 0 => Err(GeometryError::Empty { emulation }),
            Some(expected) if expected != asked => {
                Err(GeometryError::FixedSize { emulation, expected, asked })
            }
            _ if asked > Self::MAX_BLOCKS => {
                Err(GeometryError::TooLarge { max: Self::MAX_BLOCKS, asked })
            }
            _ => {
                Ok(Self { emulation, blocks_per_track: emulation.blocks_per_track(), block_count })
            }
        }
    }

    /// `track_count` tracks of `blocks_per_track` blocks, whatever the types say: models run the
    /// same code with tracks of one block. Shown as OPEN-V.
    ///
    /// # Panics
    ///
    /// If a track would have no block or more than [`MAX_BLOCKS_PER_TRACK`], or there is no track.
    pub fn with_tracks(blocks_per_track: u64, track_count: u64) -> Self {
        assert!((1..=MAX_BLOCKS_PER_TRACK).contains(&blocks_per_track), "1 to 128 blocks a track");
        assert!(track_count > 0, "a volume has a track");
        let block_count = blocks_per_track * track_count;
        Self { emulation: Emulation::OpenV, blocks_per_track, block_count }
    }

    /// The emulation type.
    pub const fn emulation(self) -> Emulation {
        self.emulation
    }

    /// Blocks of one track.
    pub const fn blocks_per_track(self) -> u64 {
        self.blocks_per_track
    }

    /// Blocks of the volume that a host can address.
    pub const fn block_count(self) -> u64 {
        self.block_count
    }

    /// Bytes of the volume that a host can address.
    pub const fn byte_count(self) -> u64 {
        self.block_count * BLOCK_BYTES as u64
    }

    /// Tracks of the volume; the last may reach past the last block.
    pub const fn track_count(self) -> u64 {
        self.block_count.div_ceil(self.blocks_per_track)
    }

    /// All tracks.
    pub fn all_tracks(self) -> TrackRange {
        TrackRange::new(TrackNo(0), self.track_count())
    }

    /// All blocks.
    pub fn all_blocks(self) -> BlockRange {
        BlockRange::new(BlockNo(0), self.block_count)
    }

    /// Bytes of user data of one track.
    pub const fn track_bytes(self) -> usize {
        self.blocks_per_track as usize * BLOCK_BYTES
    }

    /// Sectors of one track's check area.
    pub const fn check_sectors(self) -> u64 {
        CheckArea::sectors_for(self.blocks_per_track)
    }

    /// The track that holds a block.
    pub const fn track_of(self, block: BlockNo) -> TrackNo {
        TrackNo(block.0 / self.blocks_per_track)
    }

    /// The first block of a track.
    pub const fn first_block(self, track: TrackNo) -> BlockNo {
        BlockNo(track.0 * self.blocks_per_track)
    }

    /// The tracks that hold a range of blocks.
    pub fn tracks_of(self, blocks: BlockRange) -> TrackRange {
        if blocks.is_empty() {
            return TrackRange::new(self.track_of(blocks.start), 0);
        }
        let last = self.track_of(BlockNo(blocks.end.0 - 1));
        TrackRange { start: self.track_of(blocks.start), end: TrackNo(last.0 + 1) }
    }

    /// The part of `blocks` that lies in `track`, counted from the track's first block.
    pub fn within(self, track: TrackNo, blocks: BlockRange) -> BlockRange {
        let whole = BlockRange::new(self.first_block(track), self.blocks_per_track);
        let part = whole.intersection(blocks);
        BlockRange::new(BlockNo(part.start.0 - whole.start.0), part.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_geometry_are_refused() {
        let open_v = |blocks_per_track: u64, block_count: u64| {
            let emulation = Emulation::OpenV;
            let bytes = postcard::to_allocvec(&(emulation, blocks_per_track, block_count));
            postcard::from_bytes::<Geometry>(&bytes.expect("three numbers have bytes")).ok()
        };
        assert_eq!(open_v(1, 5), Some(Geometry::with_tracks(1, 5)));
        assert_eq!(open_v(128, 1_000), Geometry::new(Emulation::OpenV, 1_000).ok());
        assert_eq!(open_v(0, 5), None);
        assert_eq!(open_v(129, 5), None);
        assert_eq!(open_v(1, 0), None);
        assert_eq!(open_v(128, 1 << 49), None);
        for geometry in Emulation::ALL.into_iter().filter_map(Geometry::of) {
            let mut bytes = postcard::to_allocvec(&geometry).expect("it has bytes");
            assert_eq!(postcard::from_bytes(&bytes), Ok(geometry));
            bytes[1] = 95;
            assert!(postcard::from_bytes::<Geometry>(&bytes).is_err(), "tracks of 95 blocks");
            bytes[0] = 6;
            assert!(postcard::from_bytes::<Geometry>(&bytes).is_err(), "no such type");
        }
    }
}
