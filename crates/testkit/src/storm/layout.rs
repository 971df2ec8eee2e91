//! What a unit of the storm looks like: drawn from a seed, small, and each another.

use crate::{Setup, ldev};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId};
use diptych_sim::{Costs, SimConfig};
use diptych_unit::{Plant, Unit, UnitConfig};
use fastrand::Rng;

const DRIVE_SECTORS: u64 = 1 << 14;
/// The most blocks of a writer's region.
const REGION_BLOCKS_MAX: u64 = 9;

/// A pair of a split.
#[derive(Debug, Clone, Copy)]
pub(super) struct StormPair {
    /// The primary, by its number.
    pub(super) primary: usize,
    /// The secondary.
    pub(super) secondary: LdevId,
}

impl StormPair {
    pub(super) fn primary(self) -> LdevId {
        ldev(self.primary as u8)
    }
}

/// A unit of the storm.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) geometry: Geometry,
    /// Volumes `00:00` on are primaries, so many.
    pub(super) primaries: usize,
    /// What is split together, again and again.
    pub(super) splits: Vec<Vec<StormPair>>,
    /// Of each split, the volume that is to hold an image of its image, if it has one.
    pub(super) below: Vec<Option<LdevId>>,
    pub(super) writers: usize,
    /// The most blocks of a write that are there at once or not at all.
    pub(super) chunk_blocks: u64,
    /// Consecutive blocks that have one writer.
    regions: Vec<BlockRange>,
    /// Volumes of all kinds.
    volumes: usize,
}

impl Layout {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let geometry = Geometry::with_tracks(rng.u64(1..=8), rng.u64(3..=24));
        let primaries = rng.usize(2..=4);
        let mut volumes = primaries;
        let mut pair = |primary| {
            volumes += 1;
            StormPair { primary, secondary: ldev(volumes as u8 - 1) }
        };
        // One group of all primaries, one or none of any pairs, and pairs alone.
        let mut splits: Vec<Vec<StormPair>> = vec![(0..primaries).map(&mut pair).collect()];
        if rng.bool() {
            let any = (0..rng.usize(2..=3)).map(|_| pair(rng.usize(..primaries)));
            splits.push(any.collect());
        }
        for primary in 0..primaries {
            splits.extend((0..rng.usize(0..=1)).map(|_| vec![pair(primary)]));
        }
        let mut below = |split: &Vec<StormPair>| {
            let is_one = split.len() == 1 && rng.bool();
            volumes += usize::from(is_one);
            is_one.then(|| ldev(volumes as u8 - 1))
        };
        let below = splits.iter().map(&mut below).collect();
        let mut regions = Vec::new();
        let mut start = 0;
        while start < geometry.block_count() {
            let most = REGION_BLOCKS_MAX.min(geometry.block_count() - start);
            let region = BlockRange::new(BlockNo(start), rng.u64(1..=most));
            start = region.end.0;
            regions.push(region);
        }
        let writers = rng.usize(2..=6).min(regions.len());
        let chunk_blocks = rng.u64(REGION_BLOCKS_MAX / 2..=REGION_BLOCKS_MAX);
        Self { geometry, primaries, splits, below, writers, chunk_blocks, regions, volumes }
    }

    /// Which writer a block of a primary belongs to.
    pub(super) fn owner(&self, primary: usize, block: BlockNo) -> usize {
        let region = self.regions.partition_point(|region| region.end <= block);
        (region + primary) % self.writers
    }

    /// One of a writer's regions on a primary, or a part of one.
    pub(super) fn draw_blocks(&self, rng: &mut Rng, primary: usize, writer: usize) -> BlockRange {
        let first = (writer + self.writers - primary % self.writers) % self.writers;
        let own: Vec<_> = self.regions.iter().skip(first).step_by(self.writers).collect();
        let region = *own[rng.usize(..own.len())];
        part_of(rng, region)
    }

    /// Any blocks of a volume.
    pub(super) fn draw_any(&self, rng: &mut Rng) -> BlockRange {
        let region = self.regions[rng.usize(..self.regions.len())];
        part_of(rng, region)
    }

    /// The unit, on drives that are shared by some of its volumes.
    pub(super) fn build(&self, rng: &mut Rng) -> (Unit, Plant) {
        let drive_count = rng.usize(2..=self.volumes);
        let drive =
            |no| (no as u16 % 2, Box::new(MemoryDrive::new(DRIVE_SECTORS)) as Box<dyn Device>);
        let plant = Plant::new(Drives::new((0..drive_count).map(drive).collect()));
        let unit = Unit::new(self.config(rng), &plant).expect("a unit of this configuration");
        for no in 0..self.volumes {
            let added = unit.add_volume(ldev(no as u8), self.geometry, no % drive_count);
            added.expect("room on the drive");
        }
        (unit, plant)
    }

    fn config(&self, rng: &mut Rng) -> UnitConfig {
        let (blocks, tracks) = (self.geometry.blocks_per_track(), self.geometry.track_count());
        let least = Setup::new(self.volumes as u8, blocks, tracks, self.chunk_blocks);
        let cache_slots = least.cache_slots + rng.usize(0..=self.volumes * tracks as usize);
        UnitConfig {
            history_max: 100,
            copy_rest_ns: rng.u64(0..=50_000),
            copy_floor_ns: rng.u64(100_000..=5_000_000),
            destage_jobs: rng.usize(1..=3),
            destage_batch_tracks: rng.usize(1..=8),
            destage_delay_ns: rng.u64(1..=10_000_000),
            ..Setup { needs_reserve: false, cache_slots, ..least }.config()
        }
    }

    /// The driver: effects and jobs in the seed's order, at costs of the seed's choice.
    pub(super) fn driver(rng: &mut Rng) -> SimConfig {
        let costs = Costs {
            drive_request_ns: rng.u64(1_000..=200_000),
            drive_byte_ps: rng.u64(0..=5_000),
            drr_byte_ps: rng.u64(0..=1_000),
            log_request_ns: 0,
            log_byte_ps: 0,
            // Never 0: hosts that ask again at once would never let time go on.
            host_op_ns: rng.u64(1_000..=20_000),
        };
        SimConfig { costs, ..SimConfig::seeded(rng.u64(..)) }
    }
}

fn part_of(rng: &mut Rng, blocks: BlockRange) -> BlockRange {
    if rng.bool() {
        return blocks;
    }
    let start = rng.u64(blocks.start.0..blocks.end.0);
    BlockRange::new(BlockNo(start), rng.u64(1..=blocks.end.0 - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writers_write_what_is_theirs() {
        for seed in 0..50 {
            let mut rng = Rng::with_seed(seed);
            let layout = Layout::draw(&mut rng);
            for primary in 0..layout.primaries {
                for writer in 0..layout.writers {
                    let blocks = layout.draw_blocks(&mut rng, primary, writer);
                    assert!(!blocks.is_empty() && blocks.end.0 <= layout.geometry.block_count());
                    let owners = blocks.iter().map(|block| layout.owner(primary, block));
                    assert!(owners.into_iter().all(|owner| owner == writer), "seed {seed}");
                }
            }
        }
    }
}
