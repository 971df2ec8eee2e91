//! What can go wrong with a log.

use crate::Sequence;
use diptych_device::DeviceError;

/// An error of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The device has too few sectors.
    #[error("a log takes at least {least} sectors, the device has {sectors}")]
    TooSmall {
        /// Sectors of the device.
        sectors: u64,
        /// The least it may have.
        least: u64,
    },
    /// There is no log on the device.
    #[error("there is no log on this device")]
    NoLog,
    /// The log was written by a later version.
    #[error("the log has format version {found}, this program knows {known}: use the newer one")]
    Version {
        /// The version found.
        found: u16,
        /// The latest version known.
        known: u16,
    },
    /// The device is not the one the log was made on.
    #[error("the log was made on {recorded} sectors, the device has {sectors}")]
    Resized {
        /// Sectors of the device.
        sectors: u64,
        /// Sectors it had when the log was made.
        recorded: u64,
    },
    /// Records that had been durable are not there any more.
    #[error("the log is damaged: record {sequence} at sector {sector} had been durable")]
    Corrupt {
        /// The first record missing.
        sequence: Sequence,
        /// The sector where it should be.
        sector: u64,
    },
    /// There is no room until something is trimmed.
    #[error("the log has {free_sectors} free sectors, {wanted_sectors} are wanted")]
    Full {
        /// Sectors wanted.
        wanted_sectors: u64,
        /// Sectors free.
        free_sectors: u64,
    },
    /// The batch is larger than a batch may be.
    #[error("a batch has at most {most} bytes, not {bytes}")]
    TooLarge {
        /// Bytes of the batch.
        bytes: u64,
        /// The most there can be.
        most: u64,
    },
    /// A payload is not whole blocks.
    #[error("a payload of {bytes} bytes is not whole blocks")]
    NotWholeBlocks {
        /// Its bytes.
        bytes: usize,
    },
    /// More room than the log could ever give: ask for less.
    #[error("{sectors} sectors never fit: at most {most}")]
    NeverFits {
        /// Sectors asked for.
        sectors: u64,
        /// The most one owner can have.
        most: u64,
    },
    /// The queue of waiters is full: try again later.
    #[error("{waiters_max} wait for room in the log already")]
    TooManyWaiters {
        /// The most that may wait.
        waiters_max: usize,
    },
    /// The device failed. After a flush that failed, or a write whose end nobody knows, this is final.
    #[error("the log's device: {0}")]
    Device(#[from] DeviceError),
}
