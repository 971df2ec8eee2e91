//! The unit as a whole.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Whether the unit is sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Whether it answers hosts.
    pub healthy: bool,
    /// Why not.
    pub why: Option<String>,
}

/// The control unit as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusInfo {
    /// The unit's id, in hexadecimal.
    pub id: String,
    /// The version of the program.
    pub version: String,
    /// Whether it is sound.
    pub health: Health,
    /// For so long it has run, in seconds.
    pub uptime_s: u64,
    /// Its civil time, as RFC 3339 has it.
    pub utc: String,
    /// Volumes.
    pub volumes: usize,
    /// Volumes that are blocked.
    pub blocked_volumes: usize,
    /// Pairs by status.
    pub pairs: BTreeMap<String, usize>,
    /// Consistency groups.
    pub groups: usize,
    /// Schedules.
    pub schedules: usize,
    /// The cache.
    pub cache: CacheStatus,
    /// The durable log, if it has one.
    pub log: Option<LogStatus>,
}

/// The cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheStatus {
    /// Slots that hold a track.
    pub slots: usize,
    /// Of these, slots that are not on the drives yet.
    pub dirty_slots: usize,
    /// Of these, slots that could not be written to the drives.
    pub failed_slots: usize,
    /// Reads that found all they wanted.
    pub hits: u64,
    /// Reads that did not.
    pub misses: u64,
    /// Who waits for room.
    pub waiters: usize,
}

/// The durable log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStatus {
    /// Its size.
    pub bytes: u64,
    /// What of it is taken.
    pub used_bytes: u64,
    /// How often somebody waited for its room, ever.
    pub waits: u64,
}
