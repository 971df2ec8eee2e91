//! How large the control state may get: a checkpoint of all of it has to fit what the log keeps free,
//! whatever the maps come to look like.
//!
//! Whoever makes something that every checkpoint holds takes its bytes first, as many as it can come to,
//! and puts them back when it is gone. Without a log there is no limit.

use crate::effect::UnitLog;
use diptych_cha::Refusal;
use diptych_format::{BLOCK_BYTES, Geometry};
use diptych_log::LogUsage;
use diptych_shared::TrackMap;
use diptych_sync::atomic::{AtomicU64, Ordering};
use serde::Serialize;

/// Bytes of a volume, a schedule, a value, besides what is counted.
const ENTRY_BYTES: u64 = 128;
/// Bytes of a pair besides its maps, with the sector of a record that suspends it when its drive fails:
/// nobody takes room for that.
const PAIR_BYTES: u64 = 256 + BLOCK_BYTES as u64;
/// Maps of a pair in a checkpoint: C, DP, DS, A.
const MAPS: u64 = 4;
/// Bytes of a pair number that was given out once.
const NUMBER_BYTES: u64 = 6;

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    most_bytes: u64,
    taken_bytes: AtomicU64,
}

/// The log keeps no room for so much more control state: a checkpoint of all of it has to fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the log has room for {free_bytes} bytes more of control state, this takes {asked_bytes}: a larger log has more"
)]
pub struct ControlFull {
    /// Bytes that what is asked for can come to.
    pub asked_bytes: u64,
    /// Bytes left.
    pub free_bytes: u64,
}

impl From<ControlFull> for Refusal {
    fn from(full: ControlFull) -> Self {
        let ControlFull { asked_bytes, free_bytes } = full;
        Self::ControlFull { asked_bytes, free_bytes }
    }
}

impl Ledger {
    /// A checkpoint has the half of the log's reserve; the other half is for what is put without room,
    /// and for parking.
    pub(crate) fn of_log(log: Option<&UnitLog>) -> Self {
        let most_bytes = log.map_or(u64::MAX, |log| {
            let LogUsage { reserve_sectors, .. } = log.usage();
            // A thirty-second for the heads of the records it is cut into.
            (reserve_sectors / 2 * BLOCK_BYTES as u64) / 32 * 31
        });
        Self { most_bytes, taken_bytes: AtomicU64::new(0) }
    }

    pub(crate) fn take(&self, asked_bytes: u64) -> Result<(), ControlFull> {
        let more =
            |taken: u64| taken.checked_add(asked_bytes).filter(|all| *all <= self.most_bytes);
        match self.taken_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more) {
            Ok(_) => Ok(()),
            Err(taken) => {
                Err(ControlFull { asked_bytes, free_bytes: self.most_bytes.saturating_sub(taken) })
            }
        }
    }

    /// Sectors of the log that a checkpoint can come to now.
    pub(crate) fn sectors(&self) -> u64 {
        self.taken_bytes.load(Ordering::Relaxed).div_ceil(BLOCK_BYTES as u64)
    }

    /// What is there already, be it more than there is room for.
    pub(crate) fn found(&self, bytes: u64) {
        self.taken_bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Something takes the place of something else.
    pub(crate) fn exchange(&self, before_bytes: u64, asked_bytes: u64) -> Result<(), ControlFull> {
        self.take(asked_bytes.saturating_sub(before_bytes))?;
        self.put_back(before_bytes.saturating_sub(asked_bytes));
        Ok(())
    }

    pub(crate) fn put_back(&self, bytes: u64) {
        let before = self.taken_bytes.fetch_sub(bytes, Ordering::Relaxed);
        assert!(before >= bytes, "invariant: no more is put back than was taken");
    }
}

/// Bytes that a volume can come to.
pub(crate) fn of_volume(geometry: Geometry) -> u64 {
    ENTRY_BYTES + TrackMap::bytes_at_most(geometry.track_count())
}

/// Bytes that a pair of so many tracks can come to.
pub(crate) fn of_pair(track_count: u64) -> u64 {
    PAIR_BYTES + MAPS * TrackMap::bytes_at_most(track_count)
}

/// Bytes of so many pair numbers that were given out once: they stay when their pairs are gone.
pub(crate) fn of_numbers(count: usize) -> u64 {
    NUMBER_BYTES * count as u64
}

/// Bytes of something that stays as it is.
pub(crate) fn of_value(value: &impl Serialize) -> u64 {
    of_bytes(postcard::to_allocvec(value).expect("memory takes any encoding").len())
}

/// Bytes of so many.
pub(crate) fn of_bytes(count: usize) -> u64 {
    ENTRY_BYTES + count as u64
}
