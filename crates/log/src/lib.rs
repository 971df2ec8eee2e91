//! The durable log: records in one total order, over any [`Device`](diptych_device::Device).
//!
//! A control unit keeps what it has acknowledged in memory that survives a loss of power. Here that
//! memory is a log: a ring of sectors in which batches of records stand one behind the other. What a
//! record means is the caller's business; the log knows its number, its bytes and their check codes.
//!
//! | noun | file |
//! |---|---|
//! | [`Log`]: create, open, sync, trim | `log` |
//! | put, write out, append | `write` |
//! | [`Entry`]: a record on its way | `entry` |
//! | what is queued and promised | `queue` |
//! | [`LogRoom`]: sectors that a job was admitted for | `room` |
//! | [`LogConfig`] | `config` |
//! | [`LogUsage`] | `usage` |
//! | [`Record`], [`Sequence`], a batch in bytes | `batch` |
//! | the code of payloads from the codes of their parts | `code` |
//! | the superblock: where the log begins | `superblock` |
//! | the ring of sectors, and positions in it | `ring` |
//! | what is there after a crash: [`Replayed`] | `replay` |
//! | [`LogError`] | `error` |
//!
//! The layout stands in `docs/format.md`.
//!
//! # Invariants
//!
//! - A sequence is given when a group is put into the queue, under a short lock that nobody holds over a
//!   request to the device. Groups are written in that order, each in one batch.
//! - Sequences have no gaps. What [`Log::open`] replays is a prefix of what was appended since the
//!   last trim, and has in it everything that was synced.
//! - A batch that is not whole ends the log, unless a later one shows that it had been durable: that
//!   is corruption, and said so. So a torn end is told from rot.
//! - What was beyond the end when a log was opened never comes back: each opening has a number, and
//!   the numbers of the batches of a log never fall.
//! - An error of a flush is final; it is never tried again.
//! - Room is granted in the order of asking, and what was put with room never meets a full log. A part
//!   of the log is never promised.
//! - The device bounds the log and its queue. Nothing grows with it but an entry of 24 bytes for 64 KiB.
//! - No thread, no clock, no file: one caller at a time writes, for all; syncs share a flush.
//!
//! # Example
//!
//! ```
//! use diptych_device::MemoryDrive;
//! use diptych_log::{Log, LogConfig, LogId, Record};
//!
//! # fn main() -> Result<(), diptych_log::LogError> {
//! let drive = MemoryDrive::new(1024);
//! let log = Log::create(&drive, LogId(7), LogConfig::default())?;
//! let written = log.append(&[Record { kind: 1, head: b"block 3", payload: &[9; 512] }])?;
//! log.sync(written.end)?;
//! drop(log);
//!
//! let mut found = Vec::new();
//! let (log, replayed) = Log::open(&drive, LogConfig::default(), |sequence, record| {
//!     found.push((sequence, record.kind, record.head.to_vec(), record.payload.len()));
//! })?;
//! assert_eq!(found, [(written.start, 1, b"block 3".to_vec(), 512)]);
//! assert_eq!((replayed.record_count, log.end()), (1, written.end));
//! # Ok(())
//! # }
//! ```

mod batch;
mod code;
mod config;
#[cfg(test)]
mod documented;
mod entry;
mod error;
mod log;
mod queue;
mod replay;
mod ring;
mod room;
mod superblock;
mod turn;
mod usage;
mod write;

pub use batch::{Record, Sequence, sectors_for};
pub use code::payload_code;
pub use config::LogConfig;
pub use entry::Entry;
pub use error::LogError;
pub use log::{Log, LogId};
pub use replay::Replayed;
pub use room::{LogAdmit, LogRoom};
pub use usage::LogUsage;
