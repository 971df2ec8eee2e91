//! Crash images: small units run random programs, and on every image of their drives that a cut of
//! power can leave a unit comes back and is checked.
//!
//! Checked is that what came back is a state that the model was in: one that has every operation that
//! was answered and durable, and of the later ones a prefix. Its pairs have the status, the maps and the
//! number of their image; each block of each volume holds what it should, an image that of its instant;
//! all check codes hold (I4); where the sides of a pair differ a map says so (I2). Then copies go on, and
//! the same holds at their end.

mod cut;
mod judge;
mod record;
mod tape;

pub use cut::LyingDrive;
pub use judge::WrongImage;

use crate::{Choices, Violation};
use cut::{Image, Moment, Plan, images};
use judge::{Bounds, Depth, judge};
use record::record;
use rustc_hash::FxHashSet;
use std::convert::Infallible;

/// One image in so many goes on to the end of all copies.
const TO_THE_END: u64 = 4;
/// In one of so many the power goes again while the unit comes back.
const AGAIN: u64 = 64;
/// Subsets at each flush of a second cut.
const AGAIN_SUBSETS: u64 = 6;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashImages {
    /// The first program's seed; the next programs have the next ones.
    pub seed: u64,
    /// Programs are run until there were so many different images.
    pub images: u64,
    /// Makes it wrong on purpose.
    pub lying: Option<LyingDrive>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CrashImagesReport {
    /// Programs that were run.
    pub programs: u64,
    /// Different images on which a unit came back and was checked.
    pub images: u64,
    /// Images of a second cut, while the unit came back from a first.
    pub second_images: u64,
    /// Images that are wrong.
    pub wrong: u64,
    /// The first of them.
    pub first_wrong: Option<(u64, WrongImage)>,
}

/// A program that went wrong before anything was cut.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("program {seed}, before any cut: {source}")]
pub struct ProgramError {
    /// Its seed.
    pub seed: u64,
    /// What is wrong.
    pub source: Violation,
}

/// Makes images until there are enough. `progress` is told of what there is now and then.
///
/// # Errors
///
/// If a program goes wrong without any cut.
///
/// # Panics
///
/// If a unit breaks an invariant that it asserts itself.
pub fn run_crash_images(
    what: CrashImages,
    mut progress: impl FnMut(&CrashImagesReport),
) -> Result<CrashImagesReport, ProgramError> {
    let mut report = CrashImagesReport::default();
    let mut distinct: FxHashSet<u64> = FxHashSet::default();
    for seed in what.seed.. {
        if report.images >= what.images || what.lying.is_some() && report.wrong > 0 {
            break;
        }
        let recording = record(seed).map_err(|source| ProgramError { seed, source })?;
        report.programs += 1;
        let plan = Plan {
            subsets_max: u64::MAX,
            lying: what.lying,
            log_drive: recording.shape.log_drive(),
        };
        let base = Image::of(recording.base.clone());
        let mut choices = Choices::from_seed(seed);
        let mut asked: FxHashSet<(u64, Bounds)> = FxHashSet::default();
        let each = |image: Image, moment: Moment| {
            let bounds = Bounds::at(&recording, moment);
            // The same image is judged again where more has to be in it.
            if !asked.insert((image.hash, bounds)) {
                return Ok(());
            }
            let no = asked.len() as u64;
            report.images += u64::from(distinct.insert(image.hash));
            let again = if no.is_multiple_of(AGAIN) { AGAIN_SUBSETS } else { 0 };
            let depth = Depth { to_the_end: no.is_multiple_of(TO_THE_END), again };
            match judge(&recording, image, bounds, depth, seed) {
                Ok(second) => report.second_images += second,
                Err(wrong) => {
                    report.wrong += 1;
                    report.first_wrong.get_or_insert((seed, wrong));
                }
            }
            if no.is_multiple_of(256) {
                progress(&report);
            }
            Ok(())
        };
        let made: Result<(), Infallible> =
            images(&base, &recording.events, &plan, &mut choices, each);
        made.unwrap_or_else(|never| match never {});
    }
    Ok(report)
}
