//! What goes wrong with a request to a drive.

use diptych_format::{BLOCK_BYTES, SectorNo};
use std::io;

/// Why a drive did not do what was asked. Each variant is something a caller acts on differently.
///
/// After an error of a read the buffers hold anything. After an error of a write each of its
/// sectors holds either what it held before or what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The request reaches past the end of the drive. Nothing was done.
    #[error("{count} sectors from {sector} on reach past the drive's {sector_count} sectors")]
    OutOfRange {
        /// The first sector of the request.
        sector: SectorNo,
        /// Sectors of the request.
        count: u64,
        /// Sectors of the drive.
        sector_count: u64,
    },
    /// A buffer is not a multiple of 512 bytes. Nothing was done.
    #[error("a buffer of {bytes} bytes is not a multiple of {BLOCK_BYTES}")]
    NotWholeSectors {
        /// The length of the buffer.
        bytes: usize,
    },
    /// A latent error: the sector cannot be read until it is written again. Others can.
    #[error("medium error at sector {sector}")]
    Medium {
        /// The first sector of the request that cannot be read.
        sector: SectorNo,
    },
    /// The drive failed. Every request from here on is refused.
    #[error("the drive has failed")]
    Failed,
    /// A flush failed, and with it the drive. What was written since the last good flush may be
    /// lost, and no second flush could tell: every request from here on gets this error.
    #[error("a flush failed ({kind}), so the drive is no longer used")]
    FlushFailed {
        /// What the operating system answered to the flush.
        kind: io::ErrorKind,
        /// The same as a number, where there is one.
        os_code: Option<i32>,
    },
    /// There is no room for what was written. The drive goes on; what it held can be read.
    #[error("no room is left under the drive")]
    StorageFull,
    /// No answer came in time. The request may still be carried out, now or later.
    #[error("the drive did not answer in time")]
    TimedOut,
    /// The operating system refused the request for another reason.
    #[error("the request failed: {kind}")]
    Io {
        /// The reason.
        kind: io::ErrorKind,
        /// The same as a number, where there is one.
        os_code: Option<i32>,
    },
    /// A drive cannot have this size.
    #[error("a drive is one or more whole sectors of {BLOCK_BYTES} bytes, not {bytes} bytes")]
    Size {
        /// The size in bytes; the largest number where it does not fit.
        bytes: u64,
    },
    /// A drive is to be created where something is already.
    #[error("there is a file of this name already")]
    Exists,
    /// The drive is open elsewhere, in this process or another.
    #[error("the drive is in use")]
    InUse,
}

impl DeviceError {
    /// Whether the drive is lost, so that every later request gets the same answer.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Failed | Self::FlushFailed { .. })
    }
}

impl From<io::Error> for DeviceError {
    /// The error without regard to the operation: an I/O error of a read is a
    /// [`Medium`](Self::Medium) error only where the sector is known.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::StorageFull,
            io::ErrorKind::TimedOut => Self::TimedOut,
            io::ErrorKind::AlreadyExists => Self::Exists,
            kind => Self::Io { kind, os_code: error.raw_os_error() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_carry_the_numbers() {
        fn check(error: DeviceError, expected: &str) {
            assert_eq!(error.to_string(), expected);
        }
        check(
            DeviceError::OutOfRange { sector: SectorNo(7), count: 2, sector_count: 8 },
            "2 sectors from 7 on reach past the drive's 8 sectors",
        );
        check(
            DeviceError::NotWholeSectors { bytes: 100 },
            "a buffer of 100 bytes is not a multiple of 512",
        );
        check(DeviceError::Medium { sector: SectorNo(3) }, "medium error at sector 3");
        check(DeviceError::Failed, "the drive has failed");
        check(
            DeviceError::FlushFailed { kind: io::ErrorKind::StorageFull, os_code: Some(28) },
            "a flush failed (no storage space), so the drive is no longer used",
        );
        check(
            DeviceError::Size { bytes: 700 },
            "a drive is one or more whole sectors of 512 bytes, not 700 bytes",
        );
    }

    #[test]
    fn a_code_of_the_system_becomes_what_a_caller_acts_on() {
        fn check(os_code: i32, expected: DeviceError) {
            assert_eq!(DeviceError::from(io::Error::from_raw_os_error(os_code)), expected);
        }
        let other = |kind, code| DeviceError::Io { kind, os_code: Some(code) };
        check(28, DeviceError::StorageFull);
        check(122, DeviceError::StorageFull);
        check(110, DeviceError::TimedOut);
        check(17, DeviceError::Exists);
        check(2, other(io::ErrorKind::NotFound, 2));
        check(13, other(io::ErrorKind::PermissionDenied, 13));
    }

    #[test]
    fn only_a_failed_drive_is_final() {
        fn check(error: DeviceError, expected: bool) {
            assert_eq!(error.is_final(), expected, "{error}");
        }
        check(DeviceError::Failed, true);
        check(DeviceError::FlushFailed { kind: io::ErrorKind::Other, os_code: None }, true);
        check(DeviceError::TimedOut, false);
        check(DeviceError::StorageFull, false);
        check(DeviceError::Medium { sector: SectorNo(0) }, false);
    }
}
