//! One request to one drive.

use diptych_device::DeviceError;
use diptych_format::{CheckArea, DriveNo, SectorNo, TrackBuf};
use diptych_sync::Arc;
use std::ops::Range;

/// One request to one drive. It owns its buffers; [`Done`] brings them back.
#[derive(Debug)]
pub enum Op {
    /// Read user data, then the check area behind it.
    Read {
        /// The drive.
        drive: DriveNo,
        /// The first sector.
        sector: SectorNo,
        /// Where the user data goes, and how many bytes of it; `None` reads the check area alone.
        data: Option<(TrackBuf, Range<usize>)>,
        /// Where the check area goes; `None` reads user data alone.
        checks: Option<CheckArea>,
    },
    /// Write user data, then the check area behind it.
    Write {
        /// The drive.
        drive: DriveNo,
        /// The first sector.
        sector: SectorNo,
        /// The user data; `None` writes the check area alone.
        data: Option<Part>,
        /// The check area; `None` writes user data alone.
        checks: Option<Arc<CheckArea>>,
    },
    /// Make everything written so far durable.
    Flush {
        /// The drive.
        drive: DriveNo,
    },
}

/// A part of a track buffer.
#[derive(Debug, Clone)]
pub struct Part {
    /// The buffer.
    pub buf: Arc<TrackBuf>,
    /// Which bytes of it; whole sectors.
    pub bytes: Range<usize>,
}

impl Op {
    /// The drive that is asked.
    pub fn drive(&self) -> DriveNo {
        match self {
            Self::Read { drive, .. } | Self::Write { drive, .. } | Self::Flush { drive } => *drive,
        }
    }

    /// The first sector; `None` for a flush.
    pub fn sector(&self) -> Option<SectorNo> {
        match self {
            Self::Read { sector, .. } | Self::Write { sector, .. } => Some(*sector),
            Self::Flush { .. } => None,
        }
    }

    /// Whether it changes the drive.
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Write { .. })
    }

    /// Bytes moved.
    pub fn byte_count(&self) -> usize {
        let area = |checks: &CheckArea| checks.as_bytes().len();
        match self {
            Self::Read { data, checks, .. } => {
                data.as_ref().map_or(0, |(_, r)| r.len()) + checks.as_ref().map_or(0, area)
            }
            Self::Write { data, checks, .. } => {
                data.as_ref().map_or(0, |p| p.bytes.len()) + checks.as_deref().map_or(0, area)
            }
            Self::Flush { .. } => 0,
        }
    }
}

/// The answer of a drive, with the buffers of the request.
#[derive(Debug)]
pub struct Done {
    /// The drive that answered.
    pub drive: DriveNo,
    /// What it said.
    pub result: Result<(), DeviceError>,
    /// The buffer of a read.
    pub data: Option<TrackBuf>,
    /// The check area of a read.
    pub checks: Option<CheckArea>,
}
