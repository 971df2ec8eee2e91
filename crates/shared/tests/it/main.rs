//! Shared memory from outside: maps, claims, pairs, families.
#![cfg(not(diptych_loom))]

mod bytes;
mod claims;
mod map;
mod memory;
mod pair;
mod recorder;
mod replay;
mod table;

use diptych_format::{TrackNo, TrackRange};

/// The tracks `start..end`.
fn tracks(start: u64, end: u64) -> TrackRange {
    TrackRange { start: TrackNo(start), end: TrackNo(end) }
}
