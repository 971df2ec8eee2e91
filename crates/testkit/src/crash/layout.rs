//! What a unit of the storm looks like, and what it goes through: drawn from a seed.

use super::machine::Machine;
use crate::{CrashFlaw, Setup};
use diptych_format::Geometry;
use diptych_log::LogConfig;
use diptych_sim::{Costs, SimConfig};
use diptych_unit::{Durability, UnitConfig};
use fastrand::Rng;

/// Everything that stays the same from one life of a unit to the next.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) volumes: usize,
    pub(super) drives: usize,
    pub(super) geometry: Geometry,
    pub(super) chunk_blocks: u64,
    pub(super) durability: Durability,
    /// Hosts that read and write, and people who give commands.
    pub(super) writers: usize,
    pub(super) commanders: usize,
    /// Lives, with a crash between each and the next.
    pub(super) lives: usize,
    pub(super) log_sectors: u64,
    /// Whether hosts compare and write, and OR, too: one seed in four, so that others stay what they were.
    pub(super) modifies: bool,
    pub(super) config: UnitConfig,
    pub(super) costs: Costs,
}

impl Layout {
    pub(super) fn draw(rng: &mut Rng, modifies: bool) -> Self {
        let volumes = rng.usize(3..=5);
        let drives = rng.usize(1..=volumes);
        let geometry = Geometry::with_tracks(rng.u64(1..=6), rng.u64(2..=8));
        let chunk_blocks = rng.u64(3..=9);
        let durability = [Durability::WriteBack, Durability::Battery][rng.usize(..2)];
        let costs = Costs {
            drive_request_ns: rng.u64(1_000..=400_000),
            drive_byte_ps: rng.u64(0..=5_000),
            drr_byte_ps: rng.u64(0..=1_000),
            log_request_ns: rng.u64(100..=100_000),
            log_byte_ps: rng.u64(0..=2_000),
            host_op_ns: rng.u64(1_000..=20_000),
        };
        let mut layout = Self {
            volumes,
            drives,
            geometry,
            chunk_blocks,
            durability,
            writers: rng.usize(1..=4),
            commanders: rng.usize(1..=2),
            lives: rng.usize(2..=6),
            log_sectors: rng.u64(1_200..=3_000),
            modifies,
            config: UnitConfig::with_cache(1, 512),
            costs,
        };
        layout.config = layout.draw_config(rng);
        layout
    }

    fn draw_config(&self, rng: &mut Rng) -> UnitConfig {
        let (blocks, tracks) = (self.geometry.blocks_per_track(), self.geometry.track_count());
        let least = Setup::new(self.volumes as u8, blocks, tracks, self.chunk_blocks);
        let cache_slots = least.cache_slots + rng.usize(0..=self.volumes * tracks as usize);
        UnitConfig {
            history_max: 100,
            copy_rest_ns: rng.u64(0..=2_000_000),
            destage_jobs: rng.usize(1..=3),
            destage_batch_tracks: rng.usize(1..=8),
            destage_delay_ns: rng.u64(1..=50_000_000),
            settle_delay_ns: rng.u64(0..=20_000_000),
            checkpoint_at_percent: rng.u8(5..=50),
            durability: self.durability,
            ..Setup { needs_reserve: false, cache_slots, ..least }.config()
        }
    }

    pub(super) fn machine(&self, flaw: Option<CrashFlaw>) -> Machine {
        Machine::new(self.drives, self.log_sectors, flaw)
    }

    pub(super) fn log_config() -> LogConfig {
        LogConfig { reserve_sectors: 300, ..LogConfig::default() }
    }

    /// The driver of one life.
    pub(super) fn driver(&self, rng: &mut Rng, trace_max: usize) -> SimConfig {
        SimConfig { costs: self.costs, trace_max, ..SimConfig::seeded(rng.u64(..)) }
    }
}
