//! Volumes.

use serde::{Deserialize, Serialize};

/// A volume as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeInfo {
    /// Its number, as `00:1A`.
    pub ldev: String,
    /// Its name, if it was given one.
    pub name: Option<String>,
    /// Its emulation type, as `OPEN-V`.
    pub emulation: String,
    /// Blocks of 512 bytes.
    pub blocks: u64,
    /// The same in bytes.
    pub bytes: u64,
    /// Its tracks.
    pub tracks: u64,
    /// Tracks that have storage; the others read zero.
    pub stored_tracks: u64,
    /// The drive under it; `null` for a volume of maps alone.
    pub drive: Option<u16>,
    /// `normal`, `blocked`, `format`, `correct`, `copying` or `unknown`.
    pub state: String,
    /// `simplex`, `primary`, `secondary` or `both`.
    pub role: String,
    /// Whether it is set aside to become a secondary.
    pub reserved: bool,
    /// Whether its contents mean nothing.
    pub undefined: bool,
    /// Whether a host has it open for writing, or wrote it a short time ago.
    pub in_use: bool,
}

/// A volume to be made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewVolume {
    /// Its number; without it, the lowest that is free.
    pub ldev: Option<String>,
    /// Its name.
    pub name: Option<String>,
    /// Its emulation type; without it `OPEN-V`.
    pub emulation: Option<String>,
    /// Its size; only for `OPEN-V`. What is not whole blocks is rounded up.
    pub bytes: Option<u64>,
    /// The drive to put it on; without it, one with room.
    pub drive: Option<usize>,
    /// Whether it is set aside to become a secondary.
    pub reserved: bool,
}

/// What of a volume is to be another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ChangeVolume {
    /// A new name; the empty one takes its name away.
    pub name: Option<String>,
    /// Whether it is set aside to become a secondary.
    pub reserved: Option<bool>,
}

/// The end of an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transferred {
    /// Bytes that were written, or given up because they are zero.
    pub bytes: u64,
}
