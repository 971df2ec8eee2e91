//! The table of schedules, and which ticks are due. It lies within the scheduler, under its lock.

use super::{Schedule, ScheduleError, ScheduleId, Utc};
use diptych_format::Time;
use std::collections::BTreeMap;

/// A tick that could not be taken for want of a place in a queue is tried again after this.
const RETRY_NS: u64 = 1_000_000_000;

/// A schedule as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleState {
    /// Its number.
    pub id: ScheduleId,
    /// What is done when.
    pub schedule: Schedule,
    /// The next tick; `None` while the last one is under way.
    pub next: Option<Utc>,
    /// The last tick that was taken. Who keeps a schedule while the unit is down keeps this with it,
    /// for [`Unit::resume_schedule`](crate::Unit::resume_schedule).
    pub last: Option<Utc>,
    /// Whether a tick is under way.
    pub running: bool,
}

/// A tick that is due.
#[derive(Debug, Clone)]
pub(crate) struct Tick {
    pub(crate) id: ScheduleId,
    pub(crate) schedule: Schedule,
    /// When it should have been taken.
    pub(crate) due: Utc,
    /// By so many whole seconds it is late.
    pub(crate) late_s: u64,
    /// Ticks between it and now.
    pub(crate) left_out: u64,
}

/// How a tick ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TickEnd {
    /// It was taken, whatever it came to.
    Taken,
    /// It is to be tried again soon.
    Again,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Schedules {
    states: BTreeMap<ScheduleId, State>,
    most: usize,
    last_id: u32,
    /// The civil time at [`Time::ZERO`].
    start: Utc,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    next: Option<Utc>,
    /// Not before this, although the tick is due.
    not_before: Time,
    last: Option<Utc>,
    /// Ticks later than this are still to be taken.
    since: Utc,
    running: bool,
}

/// A schedule as it is kept while the unit is down.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Kept {
    id: ScheduleId,
    schedule: Schedule,
    last: Option<Utc>,
    since: Utc,
}

/// All schedules as they are kept, and the last number given.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct KeptSchedules {
    schedules: Vec<Kept>,
    last_id: u32,
}

impl Schedules {
    /// No schedule yet, and never more than `most`.
    pub(crate) fn new(most: usize, start: Utc) -> Self {
        Self { states: BTreeMap::new(), most, last_id: 0, start }
    }

    /// The civil time.
    pub(crate) fn utc(&self, now: Time) -> Utc {
        self.start.at(now)
    }

    /// Adds a schedule whose ticks later than `since` are to be taken.
    pub(crate) fn add(
        &mut self,
        schedule: Schedule,
        since: Utc,
        now: Time,
    ) -> Result<ScheduleId, ScheduleError> {
        let (held, most) = (self.states.len(), self.most);
        if held >= most {
            return Err(ScheduleError::TooMany { most });
        }
        let next = schedule.when.next(since).ok_or(ScheduleError::Over { now: self.utc(now) })?;
        self.last_id += 1;
        let id = ScheduleId(self.last_id);
        let (next, not_before) = (Some(next), Time::ZERO);
        let state = State { schedule, next, not_before, last: None, since, running: false };
        self.states.insert(id, state);
        Ok(id)
    }

    /// All that is kept while the unit is down.
    pub(crate) fn keep(&self) -> KeptSchedules {
        let kept = |(id, state): (&ScheduleId, &State)| Kept {
            id: *id,
            schedule: state.schedule.clone(),
            last: state.last,
            since: state.since,
        };
        KeptSchedules { schedules: self.states.iter().map(kept).collect(), last_id: self.last_id }
    }

    /// Takes up what was kept. Ticks that are past are one tick, and due at once.
    pub(crate) fn restore(&mut self, kept: KeptSchedules) {
        self.last_id = kept.last_id;
        for Kept { id, schedule, last, since } in kept.schedules {
            let Some(next) = schedule.when.next(since) else { continue };
            let (next, not_before) = (Some(next), Time::ZERO);
            let state = State { schedule, next, not_before, last, since, running: false };
            self.states.insert(id, state);
        }
    }

    /// A tick under way has done what it does: it is not to be taken again.
    pub(crate) fn taken(&mut self, id: ScheduleId, due: Utc) {
        if let Some(state) = self.states.get_mut(&id) {
            (state.last, state.since) = (Some(due), due);
        }
    }

    /// Takes a schedule out. A tick that is under way ends by itself.
    pub(crate) fn remove(&mut self, id: ScheduleId) -> Result<Schedule, ScheduleError> {
        let state = self.states.remove(&id).ok_or(ScheduleError::Unknown { id })?;
        Ok(state.schedule)
    }

    /// All schedules, by number.
    pub(crate) fn states(&self) -> Vec<ScheduleState> {
        let shown = |(id, state): (&ScheduleId, &State)| ScheduleState {
            id: *id,
            schedule: state.schedule.clone(),
            next: state.next,
            last: state.last,
            running: state.running,
        };
        self.states.iter().map(shown).collect()
    }

    /// One schedule.
    pub(crate) fn get(&self, id: ScheduleId) -> Result<&Schedule, ScheduleError> {
        self.states.get(&id).map(|state| &state.schedule).ok_or(ScheduleError::Unknown { id })
    }

    /// The ticks that are due: they are under way from here on.
    pub(crate) fn ticks_due(&mut self, now: Time) -> Vec<Tick> {
        let utc = self.utc(now);
        let start = self.start;
        let is_due = |state: &State| state.due_at(start).is_some_and(|at| at <= now);
        let due = self.states.iter_mut().filter(|(_, state)| is_due(state));
        due.filter_map(|(id, state)| {
            let due = state.next?;
            state.running = true;
            let schedule = state.schedule.clone();
            state.next = schedule.when.next(utc);
            let late_s = utc.seconds.abs_diff(due.seconds);
            let left_out = schedule.when.count(due, utc);
            Some(Tick { id: *id, schedule, due, late_s, left_out })
        })
        .collect()
    }

    /// When the next tick is due; `None` if none is, or those that are wait for the end of others.
    pub(crate) fn next_at(&self) -> Option<Time> {
        self.states.values().filter_map(|state| state.due_at(self.start)).min()
    }

    /// A tick ended. Returns whether it was the schedule's last: the schedule is gone then.
    pub(crate) fn ended(&mut self, id: ScheduleId, due: Utc, end: TickEnd, now: Time) -> bool {
        let Some(state) = self.states.get_mut(&id) else { return false };
        state.running = false;
        match end {
            TickEnd::Taken => (state.last, state.since) = (Some(due), due),
            TickEnd::Again => {
                state.next = Some(due);
                state.not_before = now + RETRY_NS;
            }
        }
        let is_over = state.next.is_none();
        if is_over {
            self.states.remove(&id);
        }
        is_over
    }
}

impl State {
    fn due_at(&self, start: Utc) -> Option<Time> {
        let next = self.next.filter(|_| !self.running)?;
        Some(start.time_of(next).max(self.not_before))
    }
}
