//! Schedules as an operator sees them.

use super::image::{images_in, images_of};
use super::tick::message;
use super::{Image, Schedule, ScheduleError, ScheduleEvent, ScheduleId, ScheduleState, Scope, Utc};
use crate::Unit;
use crate::core::Core;
use crate::history::HistoryEntry;
use diptych_format::{LdevId, Time};

impl Unit {
    /// The civil time, as [`UnitConfig::utc_at_start`](crate::UnitConfig) and the driver's time say.
    pub fn utc(&self, now: Time) -> Utc {
        self.core.config.utc_at_start.at(now)
    }

    /// Adds a schedule: its ticks later than now are taken. The driver asks [`Unit::due`] afterwards.
    ///
    /// # Errors
    ///
    /// If there are too many, no tick is left, or it acts on what is not there.
    pub fn add_schedule(&self, schedule: Schedule, now: Time) -> Result<ScheduleId, ScheduleError> {
        self.resume_schedule(schedule, self.utc(now), now)
    }

    /// Adds a schedule that was kept elsewhere while the unit was down: its ticks later than `since`
    /// are taken. Those that are past already are one tick, taken when the driver asks
    /// [`Unit::due`], and the history says so.
    ///
    /// # Errors
    ///
    /// As [`Unit::add_schedule`].
    pub fn resume_schedule(
        &self,
        schedule: Schedule,
        since: Utc,
        now: Time,
    ) -> Result<ScheduleId, ScheduleError> {
        let core = &*self.core;
        check(core, &schedule)?;
        let primary = schedule.scope.primary();
        let id = core.scheduler.lock().schedules.add(schedule, since, now)?;
        record(core, now, id, primary, ScheduleEvent::Added);
        Ok(id)
    }

    /// Takes a schedule back. A tick that is under way ends by itself; images stay.
    ///
    /// # Errors
    ///
    /// If there is no such schedule.
    pub fn remove_schedule(&self, id: ScheduleId, now: Time) -> Result<Schedule, ScheduleError> {
        let schedule = self.core.scheduler.lock().schedules.remove(id)?;
        record(&self.core, now, id, schedule.scope.primary(), ScheduleEvent::Removed);
        Ok(schedule)
    }

    /// All schedules, by number.
    pub fn schedules(&self) -> Vec<ScheduleState> {
        self.core.scheduler.lock().schedules.states()
    }

    /// The images that a primary's secondaries hold, whoever had them made, the oldest first.
    pub fn images(&self, primary: LdevId) -> Vec<Image> {
        images_of(&self.core, primary)
    }

    /// The images of a schedule's series, the oldest first.
    ///
    /// # Errors
    ///
    /// If there is no such schedule.
    pub fn images_of_schedule(&self, id: ScheduleId) -> Result<Vec<Image>, ScheduleError> {
        let scope = self.core.scheduler.lock().schedules.get(id)?.scope.clone();
        Ok(images_in(&self.core, &scope))
    }
}

fn record(core: &Core, at: Time, id: ScheduleId, primary: LdevId, event: ScheduleEvent) {
    core.record(HistoryEntry::new(at, message(id, event)).of_volume(primary));
}

/// Whether the unit can do what the schedule says, as far as can be told before its ticks.
fn check(core: &Core, schedule: &Schedule) -> Result<(), ScheduleError> {
    let secondaries = schedule.scope.secondaries();
    let (count, most) = (secondaries.len(), core.config.secondaries_max);
    if let Scope::Rotation(rotation) = &schedule.scope {
        let images = rotation.images;
        if images == 0 {
            return Err(ScheduleError::NoImages);
        }
        if count <= images {
            return Err(ScheduleError::TooFewSecondaries { images, secondaries: count });
        }
    }
    if count > most {
        return Err(ScheduleError::TooManySecondaries { secondaries: count, most });
    }
    if let Some(options) = schedule.options {
        let (asked, most) = (options.lanes, core.config.lanes_max);
        if !(1..=most).contains(&asked) {
            return Err(ScheduleError::Lanes { asked, most });
        }
    }
    let primary = schedule.scope.primary();
    for (no, &secondary) in secondaries.iter().enumerate() {
        if secondaries[..no].contains(&secondary) {
            return Err(ScheduleError::Twice { ldev: secondary });
        }
        let is_pair = core
            .shared
            .with_family(primary, |family| family.pair_between(primary, secondary).is_some());
        if is_pair != Ok(true) {
            return Err(ScheduleError::NoPair { primary, secondary });
        }
    }
    Ok(())
}
