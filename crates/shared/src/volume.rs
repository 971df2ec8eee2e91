//! Volumes as shared memory knows them.

use crate::TrackMap;
use diptych_format::{BackingId, Geometry, LdevId, Time};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The volume status of Fig. 11A.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum VolumeState {
    /// Hosts may use it.
    #[default]
    Normal,
    /// Fenced after a failure; hosts are refused.
    Blocked,
    /// Being formatted.
    Format,
    /// Being repaired from parity.
    Correct,
    /// Being moved to a spare.
    Copying,
    /// Not known.
    Unknown,
}

impl VolumeState {
    /// All of them, in the order of the figure.
    pub const ALL: [Self; 6] =
        [Self::Normal, Self::Blocked, Self::Format, Self::Correct, Self::Copying, Self::Unknown];

    /// The name the figure shows.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Blocked => "blocked",
            Self::Format => "format",
            Self::Correct => "correct",
            Self::Copying => "copying",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for VolumeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A volume a host sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Volume {
    /// Its name.
    pub ldev: LdevId,
    /// Its shape. All volumes of a family have the same number of tracks.
    pub geometry: Geometry,
    /// The storage under it. A quick restore gives it another one.
    pub backing: BackingId,
    /// The storage it was made with: tells it from a volume of the same name made later.
    pub first_backing: BackingId,
    /// Whether it is set aside to become a secondary (Fig. 11A: 1505); hosts may not write it.
    pub reserved: bool,
    /// Its status.
    pub state: VolumeState,
    /// Whether its contents mean nothing, as after a copy that was given up.
    pub undefined: bool,
    /// The tracks that have storage; the others read zero.
    pub allocated: TrackMap,
    /// Whether it has maps and claims but no payload, for experiments.
    pub metadata_only: bool,
    /// When a host last changed it, to the second or so; `None` if none did since the unit was
    /// started.
    #[serde(skip)]
    pub host_wrote_at: Option<Time>,
}

impl Volume {
    /// A normal volume without any allocated track.
    pub fn new(ldev: LdevId, geometry: Geometry, backing: BackingId) -> Self {
        Self {
            ldev,
            geometry,
            backing,
            first_backing: backing,
            reserved: false,
            state: VolumeState::Normal,
            undefined: false,
            allocated: TrackMap::new(geometry.track_count()),
            metadata_only: false,
            host_wrote_at: None,
        }
    }

    /// Exchanges the storage of two volumes, and what is known of it.
    pub(crate) fn exchange_storage(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.backing, &mut other.backing);
        std::mem::swap(&mut self.allocated, &mut other.allocated);
        std::mem::swap(&mut self.state, &mut other.state);
    }
}
