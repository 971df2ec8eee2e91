//! The images of drives that a cut of power can leave.
//!
//! At each flush, before it does anything, and at the end: what was flushed is there, and of the writes
//! since, of all drives, any subset; of a write any sectors. Up to ten writes all subsets are taken, of
//! more a sample; sectors of a write are always a sample. After each write there is one image more: the
//! process dies, and the drives have all that they were told.

use super::tape::{Event, Written};
use crate::Choices;
use diptych_format::BLOCK_BYTES;
use rustc_hash::FxHasher;
use std::hash::Hasher;

/// Writes of which all subsets are taken.
const ALL_SUBSETS_TO: usize = 10;
/// Subsets that are taken of more writes.
const SUBSETS: u64 = 1 << ALL_SUBSETS_TO;
/// Sectors that a mask of a torn write has.
const TORN_SECTORS: u32 = 64;

/// Which drives say that they have flushed, and have not: what the checks have to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LyingDrive {
    /// That of the log.
    Log,
    /// Those under the volumes.
    OfVolumes,
}

/// Drives, sector by sector, and a number that tells them from others.
#[derive(Debug, Clone)]
pub(crate) struct Image {
    pub(crate) drives: Vec<Vec<u8>>,
    pub(crate) hash: u64,
}

fn hash_of(drive: usize, sector: u64, data: &[u8]) -> u64 {
    let mut hasher = FxHasher::default();
    hasher.write_u64(sector << 8 | drive as u64);
    hasher.write(data);
    // Numbers of all sectors are added up: each has to be well mixed.
    let mixed = (hasher.finish() ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    (mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93)
}

impl Image {
    pub(crate) fn of(drives: Vec<Vec<u8>>) -> Self {
        let mut hash = 0_u64;
        for (drive, bytes) in drives.iter().enumerate() {
            for (sector, data) in (0..).zip(bytes.chunks_exact(BLOCK_BYTES)) {
                hash = hash.wrapping_add(hash_of(drive, sector, data));
            }
        }
        Self { drives, hash }
    }

    /// These sectors of a write get there.
    fn write(&mut self, written: &Written, mask: u64) {
        for (no, (sector, data)) in (0..).zip(written.sectors()) {
            if mask >> (no % TORN_SECTORS) & 1 == 0 {
                continue;
            }
            let at = sector as usize * BLOCK_BYTES;
            let old = &mut self.drives[written.drive][at..at + BLOCK_BYTES];
            self.hash = self
                .hash
                .wrapping_sub(hash_of(written.drive, sector, old))
                .wrapping_add(hash_of(written.drive, sector, data));
            old.copy_from_slice(data);
        }
    }
}

/// When the power went.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    /// Events before it.
    pub(crate) events: usize,
    /// All that was written is there: only the process died.
    pub(crate) all_written: bool,
}

/// How many images to make.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// The most subsets at a moment.
    pub(crate) subsets_max: u64,
    pub(crate) lying: Option<LyingDrive>,
    /// The number of the log's drive.
    pub(crate) log_drive: usize,
}

impl Plan {
    fn lies(&self, drive: usize) -> bool {
        match self.lying {
            None => false,
            Some(LyingDrive::Log) => drive == self.log_drive,
            Some(LyingDrive::OfVolumes) => drive != self.log_drive,
        }
    }
}

/// Makes the images of a tape that began with these drives. Stops at the first error.
pub(crate) fn images<E>(
    base: &Image,
    events: &[Event],
    plan: &Plan,
    choices: &mut Choices,
    mut each: impl FnMut(Image, Moment) -> Result<(), E>,
) -> Result<(), E> {
    let mut durable = base.clone();
    let mut newest = base.clone();
    let mut unflushed: Vec<&Written> = Vec::new();
    for (no, event) in events.iter().enumerate() {
        match event {
            Event::Write(written) => {
                unflushed.push(written);
                newest.write(written, u64::MAX);
                each(newest.clone(), Moment { events: no + 1, all_written: true })?;
            }
            Event::Flush { drive } => {
                let moment = Moment { events: no, all_written: false };
                subsets(&durable, &unflushed, plan, choices, |image| each(image, moment))?;
                if !plan.lies(*drive) {
                    for written in unflushed.iter().filter(|written| written.drive == *drive) {
                        durable.write(written, u64::MAX);
                    }
                    unflushed.retain(|written| written.drive != *drive);
                }
            }
            Event::Sent { .. } | Event::Answered { .. } | Event::Ended { .. } => {}
        }
    }
    let moment = Moment { events: events.len(), all_written: false };
    subsets(&durable, &unflushed, plan, choices, |image| each(image, moment))
}

fn subsets<E>(
    durable: &Image,
    unflushed: &[&Written],
    plan: &Plan,
    choices: &mut Choices,
    mut each: impl FnMut(Image) -> Result<(), E>,
) -> Result<(), E> {
    let all = 1_u64.checked_shl(unflushed.len() as u32).unwrap_or(u64::MAX);
    let take_all = unflushed.len() <= ALL_SUBSETS_TO && all <= plan.subsets_max;
    let count = if take_all { all } else { SUBSETS.min(plan.subsets_max) };
    for no in 0..count {
        let subset: Vec<bool> = if take_all {
            (0..unflushed.len()).map(|bit| no >> bit & 1 == 1).collect()
        } else {
            // Few, half, or most of them.
            let of = 1 + choices.one_of(3);
            unflushed.iter().map(|_| choices.one_of(4) < of).collect()
        };
        let mut image = durable.clone();
        for (written, _) in unflushed.iter().zip(&subset).filter(|(_, is_in)| **is_in) {
            image.write(written, u64::MAX);
        }
        each(image)?;
        // The same with some sectors only of those that have several.
        let several = |written: &&&Written| written.data.len() > BLOCK_BYTES;
        if unflushed.iter().any(|written| several(&written)) {
            let mut image = durable.clone();
            for (written, _) in unflushed.iter().zip(&subset).filter(|(_, is_in)| **is_in) {
                let torn = several(&written) && choices.one_of(2) == 0;
                image.write(written, if torn { random_mask(choices) } else { u64::MAX });
            }
            each(image)?;
        }
    }
    Ok(())
}

fn random_mask(choices: &mut Choices) -> u64 {
    // Up to a sector, from a sector on, or any.
    let at = choices.one_of(8);
    match choices.one_of(3) {
        0 => (1 << at) - 1,
        1 => !((1 << at) - 1),
        _ => (choices.one_of(1 << 16) as u64).wrapping_mul(0x0001_0001_0001_0001),
    }
}
