//! Small control units to test, and the model that goes with each.

use crate::{ByHand, Model};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{Geometry, LdevId};
use diptych_unit::{Plant, Unit, UnitConfig};

/// Sectors of each drive: room for all volumes of a test.
const DRIVE_SECTORS: u64 = 1 << 14;
/// Slots that may be dirty beyond what one chunk needs.
const SPARE_SLOTS: usize = 1;

/// The volume that tests call number `no`: `00:no`.
pub const fn ldev(no: u8) -> LdevId {
    LdevId::new(0, no)
}

/// What a unit to be tested looks like: volumes `00:00` on, all of one shape, volume n on drive n.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Volumes.
    pub volumes: u8,
    /// The shape of each.
    pub geometry: Geometry,
    /// Whether a secondary must be reserved first. All volumes but the first are, then.
    pub needs_reserve: bool,
    /// The most blocks a host changes at once.
    pub chunk_blocks: u64,
    /// Cache slots; fewer than the volumes have tracks, so that jobs wait, evict and destage.
    pub cache_slots: usize,
}

impl Setup {
    /// `volumes` volumes of `track_count` tracks of `blocks_per_track` blocks, and a cache that
    /// just holds what one chunk and its old tracks may need.
    pub fn new(volumes: u8, blocks_per_track: u64, track_count: u64, chunk_blocks: u64) -> Self {
        let chunk_tracks = (chunk_blocks - 1).div_ceil(blocks_per_track) + 1;
        let protected = usize::from(volumes).max(1);
        Self {
            volumes,
            geometry: Geometry::with_tracks(blocks_per_track, track_count),
            needs_reserve: true,
            chunk_blocks,
            cache_slots: chunk_tracks as usize * protected + SPARE_SLOTS + 1,
        }
    }

    /// Four volumes of six tracks of four blocks, chunks of six blocks.
    pub fn small() -> Self {
        Self::new(4, 4, 6, 6)
    }

    /// The configuration of the unit.
    pub fn config(&self) -> UnitConfig {
        let mut config = UnitConfig::with_cache(self.cache_slots, self.geometry.track_bytes());
        config.cache.write_pending_limit_slots = self.cache_slots - SPARE_SLOTS;
        config.needs_reserve = self.needs_reserve;
        // The model does not know who uses a volume.
        config.in_use_ns = 0;
        config.chunk_blocks = self.chunk_blocks;
        config
    }

    /// The unit over memory drives.
    ///
    /// # Panics
    ///
    /// If there can be no such unit.
    pub fn build(&self) -> ByHand {
        let drive = |_| Box::new(MemoryDrive::new(DRIVE_SECTORS)) as Box<dyn Device>;
        self.build_on((0..self.volumes).map(drive).collect())
    }

    /// The unit over these drives, one for each volume.
    ///
    /// # Panics
    ///
    /// If there can be no such unit.
    pub fn build_on(&self, drives: Vec<Box<dyn Device>>) -> ByHand {
        let drives = (0..).zip(drives).map(|(no, drive)| (no % 2, drive)).collect();
        let plant = Plant::new(Drives::new(drives));
        let unit = Unit::new(self.config(), &plant).expect("a unit of this configuration");
        for no in 0..self.volumes {
            unit.add_volume(ldev(no), self.geometry, usize::from(no)).expect("room on the drive");
            let reserved = self.needs_reserve && no > 0;
            unit.set_reserved(ldev(no), reserved, diptych_format::Time::ZERO).expect("no pair yet");
        }
        ByHand::new(unit, plant)
    }

    /// The model of the unit.
    pub fn model(&self) -> Model {
        let mut model = Model::new(self.needs_reserve, self.config().secondaries_max);
        for no in 0..self.volumes {
            model.add_volume(ldev(no), self.geometry, self.needs_reserve && no > 0);
        }
        model
    }
}
