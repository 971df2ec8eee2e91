//! The checker: invariants on the unit itself, seen behind its back on the drives.
//!
//! The drives hold everything once nothing is under way and nothing is dirty
//! ([`ByHand::quiesce`]); then each track can be read there and compared.

use crate::{ByHand, Choices, Tag, Violation};
use diptych_cha::HostOp;
use diptych_dka as dka;
use diptych_format::{
    BLOCK_BYTES, BlockNo, CheckArea, CheckField, Geometry, LdevId, LogicalAddress, TrackNo,
    TrackPool, TrackRange,
};
use diptych_shared::{Pair, PairStatus, Volume};
use diptych_unit::{Effect, Event, Plant, Unit};
use std::collections::{BTreeMap, BTreeSet};

/// Rounds of flushes after which nothing may be dirty any more.
const FLUSH_ROUNDS_MAX: usize = 100;

/// What the drives hold of a volume.
#[derive(Debug, Clone)]
pub struct StoredVolume {
    geometry: Geometry,
    /// User data of the whole volume; zeros where nothing is allocated.
    data: Vec<u8>,
    /// The check fields; none where nothing is allocated.
    checks: Vec<Option<CheckField>>,
    /// Undefined blocks whose code does not hold.
    torn: BTreeSet<BlockNo>,
}

/// What the drives hold.
pub type Stored = BTreeMap<LdevId, StoredVolume>;

impl StoredVolume {
    /// The data of a block.
    pub fn block(&self, block: BlockNo) -> &[u8] {
        &self.data[block.0 as usize * BLOCK_BYTES..][..BLOCK_BYTES]
    }

    /// The tag of each block.
    ///
    /// # Errors
    ///
    /// [`Violation::Garbled`] if a block was not made of a tag.
    pub fn tags(&self, ldev: LdevId) -> Result<Vec<Tag>, Violation> {
        let blocks = self.geometry.all_blocks().iter();
        let tag =
            |block| Tag::of(self.block(block), block).ok_or(Violation::Garbled { ldev, block });
        blocks.map(tag).collect()
    }
}

impl ByHand {
    /// Brings the unit to a moment in which nothing is under way and nothing is dirty, without
    /// letting time pass: a copier that rests does not go on.
    ///
    /// # Errors
    ///
    /// [`Violation::NeverEnds`] (I6).
    pub fn quiesce(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        for _ in 0..FLUSH_ROUNDS_MAX {
            self.drain(choices)?;
            if self.unit().cache_counts().dirty_slots == 0 {
                return Ok(());
            }
            let volumes = self.unit().volumes();
            let flushes: Vec<_> = volumes
                .iter()
                .map(|volume| self.start(HostOp::Flush { ldev: volume.ldev }))
                .collect();
            self.drain(choices)?;
            for id in flushes {
                self.take_reply(id);
            }
        }
        Err(Violation::NeverEnds { jobs: 0, waiting: 0, moves: self.moves_made() })
    }

    /// What the drives hold, every block of it checked for LA and CD (I4). Meaningful after
    /// [`ByHand::quiesce`].
    ///
    /// # Errors
    ///
    /// [`Violation::Stored`], or [`Violation::Unreadable`] if a drive refuses.
    pub fn stored(&self) -> Result<Stored, Violation> {
        Drives { unit: self.unit(), plant: self.plant(), undefined: &|_, _| false }.stored()
    }

    /// Checks I2 and I4 on the drives, and what holds between steps. Meaningful after
    /// [`ByHand::quiesce`].
    ///
    /// # Errors
    ///
    /// The first violation.
    pub fn check_stored(&self) -> Result<Stored, Violation> {
        check_stored(self.unit(), self.plant(), &|_, _| false)
    }

    /// Checks that no copier has left anything that it could copy (I6). Meaningful after
    /// [`ByHand::settle`].
    ///
    /// # Errors
    ///
    /// [`Violation::CopyNotEnded`].
    pub fn check_copies_ended(&self) -> Result<(), Violation> {
        check_copies_ended(self.unit(), false)
    }

    /// Checks that whatever room jobs were promised in the cache was given back. Meaningful after
    /// [`ByHand::drain`].
    ///
    /// # Errors
    ///
    /// [`Violation::RoomLost`].
    pub fn check_room(&self) -> Result<(), Violation> {
        match self.unit().cache_counts().dirty_permits {
            0 => Ok(()),
            permits => Err(Violation::RoomLost { permits }),
        }
    }
}

/// Whether nobody says what a block holds: what was being copied to when the power went may be torn.
pub(crate) type Undefined<'a> = dyn Fn(LdevId, BlockNo) -> bool + 'a;

/// The drives under a unit.
struct Drives<'a> {
    unit: &'a Unit,
    plant: &'a Plant,
    undefined: &'a Undefined<'a>,
}

impl Drives<'_> {
    fn stored(&self) -> Result<Stored, Violation> {
        let volumes = self.unit.volumes();
        volumes.iter().map(|volume| Ok((volume.ldev, self.stored_volume(volume)?))).collect()
    }

    fn stored_volume(&self, volume: &Volume) -> Result<StoredVolume, Violation> {
        let geometry = volume.geometry;
        let block_count = geometry.block_count() as usize;
        let mut stored = StoredVolume {
            geometry,
            data: vec![0; block_count * BLOCK_BYTES],
            checks: vec![None; block_count],
            torn: BTreeSet::new(),
        };
        for run in volume.allocated.runs() {
            for track in run.iter() {
                self.stored_track(volume, track, &mut stored)?;
            }
        }
        Ok(stored)
    }

    fn stored_track(
        &self,
        volume: &Volume,
        track: TrackNo,
        stored: &mut StoredVolume,
    ) -> Result<(), Violation> {
        let (ldev, geometry) = (volume.ldev, volume.geometry);
        let home = self.unit.home(volume.backing).expect("a volume with payload has a place");
        let place = home.place(track);
        let pool = TrackPool::new(1, geometry.track_bytes());
        assert!(pool.reserve(1), "a pool of one buffer has one");
        let read = dka::Op::Read {
            drive: place.drive,
            sector: place.data,
            data: Some((pool.take_reserved(), 0..geometry.track_bytes())),
            checks: Some(CheckArea::zeroed(geometry.blocks_per_track())),
        };
        let Event::Disk(done) = self.plant.perform(Effect::Disk(read)) else {
            unreachable!("a drive's request has a drive's answer")
        };
        done.result.map_err(|source| Violation::Unreadable { ldev, track, source })?;
        let (Some(data), Some(checks)) = (done.data, done.checks) else {
            unreachable!("a read brings its buffers back")
        };
        for index in 0..geometry.blocks_per_track() {
            let block = BlockNo(geometry.first_block(track).0 + index);
            if block.0 >= geometry.block_count() {
                break;
            }
            let bytes = &data.bytes()[index as usize * BLOCK_BYTES..][..BLOCK_BYTES];
            let field = checks.get(index);
            let la = LogicalAddress { backing: volume.backing, block };
            let verified = field.verify(bytes, la);
            if verified.is_err() && (self.undefined)(ldev, block) {
                stored.torn.insert(block);
                continue;
            }
            verified.map_err(|source| Violation::Stored { ldev, source })?;
            stored.data[block.0 as usize * BLOCK_BYTES..][..BLOCK_BYTES].copy_from_slice(bytes);
            stored.checks[block.0 as usize] = Some(field);
        }
        Ok(())
    }
}

/// As [`ByHand::check_stored`], but for what is undefined.
pub(crate) fn check_stored(
    unit: &Unit,
    plant: &Plant,
    undefined: &Undefined<'_>,
) -> Result<Stored, Violation> {
    let stored = Drives { unit, plant, undefined }.stored()?;
    for pair in &unit.pairs() {
        check_status(pair)?;
        check_sides(pair, &stored)?;
    }
    Ok(stored)
}

/// As [`ByHand::check_copies_ended`]. `durable`: the unit has a log, and a pair that follows an undefined
/// primary waits.
pub(crate) fn check_copies_ended(unit: &Unit, durable: bool) -> Result<(), Violation> {
    let pairs = unit.pairs();
    for pair in &pairs {
        let primary_undefined = unit.volume(pair.primary).is_some_and(|volume| volume.undefined);
        if durable && pair.status == PairStatus::PairedNotCopied && primary_undefined {
            continue;
        }
        // Tracks that the level above cannot bring are not copied here either.
        let brings = |above: &&Pair| above.direction().1 == pair.primary;
        let above = pairs.iter().filter(|above| above.id != pair.id).find(brings);
        let left = pair.c.runs().flat_map(TrackRange::iter).filter(|track| {
            let lacks = above.is_some_and(|above| above.c.get(*track));
            !pair.unreadable.get(*track) && !lacks
        });
        let tracks = left.count() as u64;
        if pair.is_copying() && pair.copier && tracks > 0 {
            let (primary, secondary) = (pair.primary, pair.secondary);
            return Err(Violation::CopyNotEnded { primary, secondary, tracks });
        }
    }
    Ok(())
}

/// In 803 and while restoring C is not empty, in 804 it is.
pub(crate) fn check_status(pair: &Pair) -> Result<(), Violation> {
    let fits = match pair.status {
        PairStatus::CopyInProgress | PairStatus::Restoring => !pair.c.is_empty(),
        PairStatus::Copied => pair.c.is_empty(),
        _ => true,
    };
    if fits {
        return Ok(());
    }
    let Pair { primary, secondary, status, .. } = *pair;
    Err(Violation::StatusAndC { primary, secondary, status, tracks: pair.c.count() })
}

/// I2: where no map is set the sides are alike.
fn check_sides(pair: &Pair, stored: &Stored) -> Result<(), Violation> {
    let (primary, secondary) = (pair.primary, pair.secondary);
    let (Some(a), Some(b)) = (stored.get(&primary), stored.get(&secondary)) else { return Ok(()) };
    for block in a.geometry.all_blocks().iter() {
        let track = a.geometry.track_of(block);
        let torn = a.torn.contains(&block) || b.torn.contains(&block);
        if torn || pair.c.get(track) || pair.dp.get(track) || pair.ds.get(track) {
            continue;
        }
        if a.block(block) != b.block(block) {
            return Err(Violation::Differs { primary, secondary, track, block });
        }
        let (of_a, of_b) = (a.checks[block.0 as usize], b.checks[block.0 as usize]);
        if let (Some(of_a), Some(of_b)) = (of_a, of_b)
            && of_a.generation != of_b.generation
        {
            let (of_primary, of_secondary) = (of_a.generation, of_b.generation);
            return Err(Violation::GenerationDiffers {
                primary,
                secondary,
                block,
                of_primary,
                of_secondary,
            });
        }
    }
    Ok(())
}
