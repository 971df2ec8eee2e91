//! What can go wrong in a drive.

use crate::Op;
use diptych_format::{DriveNo, SectorNo};
use std::fmt;

/// One way in which a drive goes wrong.
///
/// The *sectors concerned* are those of the request that lie in the rule's sectors; all of the
/// request's if the rule names none. "Silent" means that the request is answered as if all were
/// well.
///
/// | kind | on | silent | what notices it |
/// |---|---|---|---|
/// | [`LatentError`](Self::LatentError) | read, write | no | the next read, by its error |
/// | [`BitRot`](Self::BitRot) | read, write | yes | the check code |
/// | [`LostWrite`](Self::LostWrite) | write | yes | the check code, if only data or only check fields were lost; else nothing on this drive |
/// | [`MisdirectedWrite`](Self::MisdirectedWrite) | write | yes | at the victim the logical address; at the intended place as a lost write |
/// | [`TornWrite`](Self::TornWrite) | write | yes | the check code, where data and check fields were parted; generations across blocks |
/// | [`StaleRead`](Self::StaleRead) | read | yes | as a lost write, until the next read |
/// | [`Slow`](Self::Slow) | any | - | who measures, in virtual time |
/// | [`TimeOut`](Self::TimeOut) | any | no | the error |
/// | [`StorageFull`](Self::StorageFull) | write | no | the error |
/// | [`Fail`](Self::Fail) | any | no | the error, from then on |
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// The sectors concerned cannot be read until they are written again. On a write: the write is
    /// done and its sectors go bad afterwards.
    LatentError,
    /// One bit of the sectors concerned is flipped, until the sector is written again.
    BitRot {
        /// The bit, counted from the first sector concerned; modulo their number of bits.
        bit: u64,
    },
    /// The sectors concerned keep what they held.
    LostWrite,
    /// What was written to the sectors concerned goes elsewhere; they keep what they held.
    MisdirectedWrite {
        /// The drive of the shelf that it goes to; `None`: this one.
        drive: Option<DriveNo>,
        /// The first sector there. What would go past the drive's end is lost.
        to: SectorNo,
    },
    /// Of the sectors concerned some are written and the others keep what they held. On the same
    /// request as [`Fail`](Self::Fail), [`StorageFull`](Self::StorageFull) or
    /// [`TimeOut`](Self::TimeOut) it says what was done before the error.
    TornWrite {
        /// Those that are written, counted from the first sector concerned, in any order.
        survivors: Vec<u64>,
    },
    /// The read gets what the sectors concerned held before they were last written. Writes are
    /// watched from the moment the rule is known; 65,536 sectors are remembered.
    StaleRead,
    /// The request takes longer. Nobody sleeps: the time is added to what
    /// [`Device::take_delay_ns`](crate::Device::take_delay_ns) returns, and passes in virtual time.
    Slow {
        /// How much longer, in nanoseconds.
        delay_ns: u64,
    },
    /// The request is answered with [`DeviceError::TimedOut`](crate::DeviceError::TimedOut). A
    /// write and a flush are carried out all the same: a time-out says nothing.
    TimeOut,
    /// The write is answered with [`DeviceError::StorageFull`](crate::DeviceError::StorageFull)
    /// and not carried out.
    StorageFull,
    /// The drive fails before it carries the request out, and refuses everything from then on. A
    /// flush that fails says so: [`DeviceError::FlushFailed`](crate::DeviceError::FlushFailed).
    Fail,
}

impl FaultKind {
    /// Whether a request of this kind can meet it.
    pub const fn suits(&self, op: Op) -> bool {
        match self {
            Self::LatentError | Self::BitRot { .. } => matches!(op, Op::Read | Op::Write),
            Self::LostWrite
            | Self::MisdirectedWrite { .. }
            | Self::TornWrite { .. }
            | Self::StorageFull => matches!(op, Op::Write),
            Self::StaleRead => matches!(op, Op::Read),
            Self::Slow { .. } | Self::TimeOut | Self::Fail => true,
        }
    }

    /// Whether it leaves sectors of the drive with other content than they should have.
    pub(super) const fn damages(&self) -> bool {
        match self {
            Self::LatentError
            | Self::BitRot { .. }
            | Self::LostWrite
            | Self::MisdirectedWrite { .. }
            | Self::TornWrite { .. } => true,
            Self::StaleRead
            | Self::Slow { .. }
            | Self::TimeOut
            | Self::StorageFull
            | Self::Fail => false,
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LatentError => f.write_str("latent error"),
            Self::BitRot { bit } => write!(f, "bit {bit} flipped"),
            Self::LostWrite => f.write_str("write lost"),
            Self::MisdirectedWrite { drive: None, to } => {
                write!(f, "write misdirected to sector {to}")
            }
            Self::MisdirectedWrite { drive: Some(drive), to } => {
                write!(f, "write misdirected to sector {to} of drive {drive}")
            }
            Self::TornWrite { survivors } => {
                write!(f, "write torn, {} sectors survive", survivors.len())
            }
            Self::StaleRead => f.write_str("stale read"),
            Self::Slow { delay_ns } => write!(f, "slow by {delay_ns} ns"),
            Self::TimeOut => f.write_str("no answer in time"),
            Self::StorageFull => f.write_str("no room under the drive"),
            Self::Fail => f.write_str("drive failed"),
        }
    }
}
