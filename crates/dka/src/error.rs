//! What can go wrong in a disk adapter.

use diptych_device::DeviceError;
use diptych_format::{BackingId, DriveNo, SectorNo};

/// An error of a disk adapter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DkaError {
    /// A drive refused a request.
    #[error("drive {drive}: {source}")]
    Drive {
        /// The drive.
        drive: DriveNo,
        /// What it said.
        source: DeviceError,
    },
    /// The group has no run of free sectors of that length.
    #[error("group {group_no} has no {sectors} free sectors in a row")]
    NoSpace {
        /// The group.
        group_no: usize,
        /// Sectors asked for.
        sectors: u64,
    },
    /// There is no such group.
    #[error("there is no group {group_no}: the unit has {group_count}")]
    NoGroup {
        /// The group named.
        group_no: usize,
        /// How many there are.
        group_count: usize,
    },
    /// The place that the backing had is not there, or not free.
    #[error("backing {backing} was at sector {base} of drive {drive}, which is not free")]
    PlaceTaken {
        /// The backing.
        backing: BackingId,
        /// The drive it was on.
        drive: DriveNo,
        /// Its first sector.
        base: SectorNo,
    },
    /// The backing has a place already.
    #[error("backing {backing} has a place already")]
    Allocated {
        /// The backing.
        backing: BackingId,
    },
}
