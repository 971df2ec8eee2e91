//! The durable log: records in one total order, over any [`Device`](diptych_device::Device).
//!
//! A control unit keeps what it has acknowledged in memory that survives a loss of power. Here that
//! memory is a log: a ring of sectors in which batches of records stand one behind the other. What a
//! record means is the caller's business; the log knows its number, its bytes and their check codes.
//!
//! | noun | file |
//! |---|---|
//! | [`Log`]: append, sync, trim | `log` |
//! | [`Record`], [`Sequence`], a batch in bytes | `batch` |
//! | the superblock: where the log begins | `superblock` |
//! | the ring of sectors, and positions in it | `ring` |
//! | what is there after a crash: [`Replayed`] | `replay` |
//! | [`LogError`] | `error` |
//!
//! The layout stands in `docs/format.md`.
//!
//! # Invariants
//!
//! - Sequences have no gaps. What [`Log::open`] replays is a prefix of what was appended since the
//!   last trim, and has in it everything that was synced.
//! - A batch that is not whole ends the log, unless a later one shows that it had been durable: that
//!   is corruption, and said so. So a torn end is told from rot.
//! - What was beyond the end when a log was opened never comes back: each opening has a number, and
//!   the numbers of the batches of a log never fall.
//! - An error of a flush is final; it is never tried again.
//! - The device bounds the log. Nothing grows with it but an entry of 24 bytes for 64 KiB.
//! - No thread, no clock, no file: one caller at a time appends, syncs share a flush.
//!
//! # Example
//!
//! ```
//! use diptych_device::MemoryDrive;
//! use diptych_log::{Log, LogId, Record};
//!
//! # fn main() -> Result<(), diptych_log::LogError> {
//! let drive = MemoryDrive::new(1024);
//! let log = Log::create(&drive, LogId(7))?;
//! let written = log.append(&[Record { kind: 1, head: b"block 3", payload: &[9; 512] }])?;
//! log.sync(written.end)?;
//! drop(log);
//!
//! let mut found = Vec::new();
//! let (log, replayed) = Log::open(&drive, |sequence, record| {
//!     found.push((sequence, record.kind, record.head.to_vec(), record.payload.len()));
//! })?;
//! assert_eq!(found, [(written.start, 1, b"block 3".to_vec(), 512)]);
//! assert_eq!((replayed.record_count, log.next_sequence()), (1, written.end));
//! # Ok(())
//! # }
//! ```

mod batch;
#[cfg(test)]
mod documented;
mod error;
mod log;
mod replay;
mod ring;
mod superblock;

pub use batch::{Record, Sequence};
pub use error::LogError;
pub use log::{Log, LogId};
pub use replay::Replayed;
