//! Schedules: copies at their times, and secondaries that take turns to form a series of images.
//!
//! | noun | file |
//! |---|---|
//! | [`Schedule`] | here |
//! | [`Scope`], [`Rotation`]: what it acts on | `scope` |
//! | [`When`], [`Cron`]: when ticks come | `when`, `cron` |
//! | [`Utc`]: civil time | `civil` |
//! | the table of schedules, and which tick is due | `table` |
//! | the job of one tick | `tick` |
//! | what a tick does: claims, and the new images | `rotate` |
//! | whose turn it is | `choose` |
//! | [`Image`]: the images there are | `image` |
//! | [`ScheduleEvent`]: what the history says | `event` |
//! | what an operator asks of the unit | `operator` |
//!
//! The patent has two sentences on this: a copy may be made *at a specified time*, and secondaries may
//! be *switched one after another* to be *a series of historical records*.
//!
//! Invariants:
//! - No clock is read: the driver's time and the civil time of its start make the civil time of now.
//! - A schedule has one tick under way at most. Ticks that pass meanwhile, or while nobody asked, are
//!   one tick afterwards.
//! - A tick holds whole families, as commands do: one, or those of a consistency group in ascending
//!   order. Resync and copy are one visit to the family, so nobody sees 802 between the old image and
//!   the new.
//! - A tick takes no image while fewer than the schedule's number of complete ones would be left.
//! - Everything is bounded: schedules by [`UnitConfig::schedules_max`](crate::UnitConfig), the
//!   secondaries of one by the most that a primary may have.

mod choose;
mod civil;
mod cron;
mod error;
mod event;
mod image;
mod operator;
mod rotate;
mod scope;
mod table;
mod tick;
mod when;

pub use civil::{Utc, UtcError};
pub use cron::{Cron, CronError, CronField};
pub use error::ScheduleError;
pub use event::{Passed, ScheduleEvent};
pub use image::Image;
pub use scope::{Rotation, Scope};
pub use table::ScheduleState;
pub use when::When;

pub(crate) use table::{KeptSchedules, Schedules, Tick};
pub(crate) use tick::{Ticking, tick};

use diptych_shared::PairOptions;
use std::fmt;

/// The number of a schedule, from 1. It is never used again.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct ScheduleId(pub u32);

impl fmt::Display for ScheduleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What is done when.
///
/// ```
/// use diptych_format::LdevId;
/// use diptych_unit::{Rotation, Schedule, Scope, When};
///
/// // Every night into the next of eight volumes: seven nights to go back to.
/// let secondaries: Vec<_> = (1..=8).map(|no| LdevId::new(1, no)).collect();
/// let week = Rotation { primary: LdevId::new(0, 0), secondaries, images: 7 };
/// let schedule = Schedule::new(Scope::Rotation(week), When::Cron("0 2 * * *".parse()?));
/// assert_eq!(
///     schedule.to_string(),
///     "cron 0 2 * * *: 00:00 -> 8 volumes in turn, 7 images"
/// );
/// # Ok::<(), diptych_unit::CronError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Schedule {
    /// What it acts on.
    pub scope: Scope,
    /// When its ticks come.
    pub when: When,
    /// Pace, lanes and the rest of each copy; `None` leaves those of the pair.
    pub options: Option<PairOptions>,
}

impl Schedule {
    /// A schedule that leaves the pairs their options.
    pub fn new(scope: Scope, when: When) -> Self {
        Self { scope, when, options: None }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.when, self.scope)
    }
}
