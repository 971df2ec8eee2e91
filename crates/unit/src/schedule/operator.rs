//! Schedules as an operator sees them.

use super::image::{images_in, images_of};
use super::tick::entry;
use super::{
    Image, Rotation, Schedule, ScheduleError, ScheduleEvent, ScheduleId, ScheduleState, Scope, Utc,
};
use crate::Unit;
use crate::core::Core;
use crate::ledger;
use diptych_cha::GroupName;
use diptych_format::{LdevId, Time};

impl Unit {
    /// The civil time, as [`UnitConfig::utc_at_start`](crate::UnitConfig) and the driver's time say.
    pub fn utc(&self, now: Time) -> Utc {
        self.core().config.utc_at_start.at(now)
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
        let core = self.core();
        check(core, &schedule)?;
        let bytes = ledger::of_value(&schedule);
        core.journal.check_room(bytes)?;
        core.ledger.take(bytes)?;
        let added = core.scheduler.lock().schedules.add(schedule.clone(), since, now);
        let id = added.inspect_err(|_| core.ledger.put_back(bytes))?;
        core.put_schedules();
        core.journal.commit_now().map_err(ScheduleError::Log)?;
        core.record(entry(now, id, &schedule, ScheduleEvent::Added));
        Ok(id)
    }

    /// Takes a schedule back. A tick that is under way ends by itself; images stay. A driver that asks
    /// [`Unit::due`] afterwards waits for its next tick no more.
    ///
    /// # Errors
    ///
    /// If there is no such schedule.
    pub fn remove_schedule(&self, id: ScheduleId, now: Time) -> Result<Schedule, ScheduleError> {
        let core = self.core();
        core.journal.check_room(0)?;
        let schedule = core.scheduler.lock().schedules.remove(id)?;
        core.ledger.put_back(ledger::of_value(&schedule));
        core.put_schedules();
        core.journal.commit_now().map_err(ScheduleError::Log)?;
        core.record(entry(now, id, &schedule, ScheduleEvent::Removed));
        Ok(schedule)
    }

    /// All schedules, by number.
    pub fn schedules(&self) -> Vec<ScheduleState> {
        self.core().scheduler.lock().schedules.states()
    }

    /// The images that a primary's secondaries hold, whoever had them made, the oldest first.
    pub fn images(&self, primary: LdevId) -> Vec<Image> {
        images_of(self.core(), primary)
    }

    /// The images of a schedule's series, the oldest first.
    ///
    /// # Errors
    ///
    /// If there is no such schedule.
    pub fn images_of_schedule(&self, id: ScheduleId) -> Result<Vec<Image>, ScheduleError> {
        let scope = self.core().scheduler.lock().schedules.get(id)?.scope.clone();
        Ok(images_in(self.core(), &scope))
    }
}

/// Whether the unit can do what the schedule says, as far as can be told before its ticks.
fn check(core: &Core, schedule: &Schedule) -> Result<(), ScheduleError> {
    if let Some(options) = schedule.options {
        let (asked, most) = (options.lanes, core.config.lanes_max);
        if !(1..=most).contains(&asked) {
            return Err(ScheduleError::Lanes { asked, most });
        }
    }
    match &schedule.scope {
        Scope::Pair { primary, secondary } => check_pair(core, *primary, *secondary),
        Scope::Rotation(Rotation { primary, secondaries, images }) => {
            check_turns(core, secondaries.len(), *images)?;
            for (no, &ldev) in secondaries.iter().enumerate() {
                if secondaries[..no].contains(&ldev) {
                    return Err(ScheduleError::Twice { ldev });
                }
                check_pair(core, *primary, ldev)?;
            }
            Ok(())
        }
        Scope::Group(name) => check_group(core, name),
        Scope::Groups { groups, images } => {
            check_turns(core, groups.len(), *images)?;
            for (no, name) in groups.iter().enumerate() {
                if groups[..no].contains(name) {
                    return Err(ScheduleError::GroupTwice { name: name.clone() });
                }
                check_group(core, name)?;
            }
            Ok(())
        }
    }
}

/// So many take turns, and so many images are to be kept.
fn check_turns(core: &Core, found: usize, images: usize) -> Result<(), ScheduleError> {
    let most = core.config.secondaries_max;
    if images == 0 {
        Err(ScheduleError::NoImages)
    } else if found <= images {
        Err(ScheduleError::TooFew { images, found })
    } else if found > most {
        Err(ScheduleError::TooManySecondaries { found, most })
    } else {
        Ok(())
    }
}

fn check_pair(core: &Core, primary: LdevId, secondary: LdevId) -> Result<(), ScheduleError> {
    let is_pair = core
        .shared
        .with_family(primary, |family| family.pair_between(primary, secondary).is_some());
    if is_pair == Ok(true) { Ok(()) } else { Err(ScheduleError::NoPair { primary, secondary }) }
}

fn check_group(core: &Core, name: &GroupName) -> Result<(), ScheduleError> {
    let is_there = core.consistency_groups.lock().contains_key(name);
    if is_there { Ok(()) } else { Err(ScheduleError::NoGroup { name: name.clone() }) }
}
