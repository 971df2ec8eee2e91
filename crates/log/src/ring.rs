//! The ring of sectors that batches stand in.

use diptych_format::SectorNo;

/// Sectors before the ring: two superblocks, a page apart.
pub(crate) const RING_START: u64 = 16;
/// The least sectors of a ring that is of any use.
const RING_LEAST: u64 = 16;
/// The least sectors of a log's device.
pub(crate) const SECTORS_LEAST: u64 = RING_START + RING_LEAST;

/// A place in the log: sectors since it was made, which never start again at 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) u64);

/// How positions lie on the device.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ring {
    sectors: u64,
}

impl Ring {
    /// The ring of a device of so many sectors, which are enough.
    pub(crate) fn of(device_sectors: u64) -> Self {
        Self { sectors: device_sectors - RING_START }
    }

    pub(crate) fn sectors(self) -> u64 {
        self.sectors
    }

    pub(crate) fn sector(self, position: Position) -> SectorNo {
        SectorNo(RING_START + position.0 % self.sectors)
    }

    /// Sectors from a position to the end of the device: a batch does not go around it.
    pub(crate) fn to_end(self, position: Position) -> u64 {
        self.sectors - position.0 % self.sectors
    }
}
