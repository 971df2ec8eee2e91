//! A job on its way through the driver.

use crate::completion::{Answered, Completion};
use diptych_cha::{HostError, HostReply};
use diptych_format::{DriveNo, OwnerId, Step, Time};
use diptych_unit::{Effect, Event, Job, LogOp, Plant, Reply, Wakes};

/// A job, and what has to happen before it is turned again.
pub(crate) struct Task {
    work: Work,
    pending: Option<Vec<Effect>>,
    /// It has waited at the gate of its drive, and has a place inside.
    pub(crate) let_in: bool,
}

enum Work {
    Host(Job<HostReply>, Option<Completion>),
    Background(Job<()>),
}

/// Performs effects, one after the other. Also says whether the log is still sound.
pub(crate) fn perform_all(plant: &Plant, effects: Vec<Effect>) -> (Vec<Event>, bool) {
    let events: Vec<Event> = effects.into_iter().map(|effect| plant.perform(effect)).collect();
    let sound = !events.iter().any(|event| matches!(event, Event::Log(Err(_))));
    (events, sound)
}

/// How far a task came.
pub(crate) enum Turned {
    /// It asked for effects; [`Task::perform`] is next.
    Effects,
    /// It waits; [`Task::answer`] is next.
    Waits,
    /// It ended. If a host waits for it, here is its answer.
    Ended(Option<Answered>),
}

impl Task {
    pub(crate) fn host(job: Job<HostReply>, done: Completion) -> Self {
        Self { work: Work::Host(job, Some(done)), pending: None, let_in: false }
    }

    pub(crate) fn background(job: Job<()>) -> Self {
        Self { work: Work::Background(job), pending: None, let_in: false }
    }

    pub(crate) fn owner(&self) -> OwnerId {
        match &self.work {
            Work::Host(job, _) => job.owner(),
            Work::Background(job) => job.owner(),
        }
    }

    /// Whether performing what it asked for may take long.
    pub(crate) fn is_slow(&self) -> bool {
        let effects = self.pending.as_deref().unwrap_or_default();
        effects.iter().any(|effect| match effect {
            Effect::Disk(_) | Effect::Log(LogOp::Sync { .. } | LogOp::Trim { .. }) => true,
            // As quick as memory: what it writes stays in the page cache.
            Effect::Log(LogOp::Append { .. }) | Effect::Transfer { .. } => false,
        })
    }

    /// The drive that it needs, or the first of them.
    pub(crate) fn drive(&self) -> Option<DriveNo> {
        let effects = self.pending.as_deref().unwrap_or_default();
        effects.iter().find_map(|effect| match effect {
            Effect::Disk(op) => Some(op.drive()),
            Effect::Log(_) | Effect::Transfer { .. } => None,
        })
    }

    /// Whether effects are to be performed before it is turned.
    pub(crate) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Turns the job once. Signals are to be passed on before anything else is done with the task.
    pub(crate) fn turn(&mut self, now: Time) -> (Turned, Wakes, bool) {
        let (step, (wakes, kick)) = match &mut self.work {
            Work::Host(job, done) => {
                let step = match job.step(now) {
                    Step::Do(effects) => Step::Do(effects),
                    Step::Wait(wait) => Step::Wait(wait),
                    Step::Done(reply) => {
                        Step::Done(done.take().map(|done| Answered::new(done, reply)))
                    }
                };
                (step, job.take_signals())
            }
            Work::Background(job) => {
                let step = match job.step(now) {
                    Step::Do(effects) => Step::Do(effects),
                    Step::Wait(wait) => Step::Wait(wait),
                    Step::Done(()) => Step::Done(None),
                };
                (step, job.take_signals())
            }
        };
        let turned = match step {
            Step::Do(effects) => {
                self.pending = Some(effects);
                Turned::Effects
            }
            Step::Wait(_) => Turned::Waits,
            Step::Done(answered) => Turned::Ended(answered),
        };
        (turned, wakes, kick)
    }

    /// Performs what the job asked for, one effect after the other. `false`: the log has failed.
    pub(crate) fn perform(&mut self, plant: &Plant) -> bool {
        let effects = self.pending.take().expect("a task that asked for effects");
        let (events, sound) = perform_all(plant, effects);
        self.answer(Reply::Events(events));
        sound
    }

    pub(crate) fn answer(&mut self, reply: Reply) {
        match &mut self.work {
            Work::Host(job, _) => job.answer(reply),
            Work::Background(job) => job.answer(reply),
        }
    }

    /// Drops the job because the driver has stopped; a host is told so.
    ///
    /// Its last wakes are for nobody: whoever waits is told by the parking that the end has come.
    pub(crate) fn stop(self) {
        // Its buffers first: they count as the job's until the job gives back its room.
        drop(self.pending);
        match self.work {
            Work::Host(job, done) => {
                drop(job);
                if let Some(done) = done {
                    Answered::new(done, HostReply::Failed(HostError::Stopping)).deliver();
                }
            }
            Work::Background(job) => drop(job),
        }
    }
}
