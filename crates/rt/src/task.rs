//! A job on its way through the driver.

use crate::Clock;
use crate::completion::{Answered, Completion};
use crate::traffic::Counting;
use diptych_cha::{HostError, HostReply};
use diptych_format::{DriveNo, OwnerId, Step, Time};
use diptych_sync::Tally;
use diptych_unit::{Effect, Event, Job, LogOp, Plant, Reply, Wakes};

/// A job, and what has to happen before it is turned again.
pub(crate) struct Task {
    work: Work,
    pending: Option<Vec<Effect>>,
    /// It has waited at the gate of its drive, and has a place inside.
    pub(crate) let_in: bool,
    /// What is counted of it when it ends, and since when it is under way.
    pub(crate) counting: Option<Counting>,
    pub(crate) begun: Option<Time>,
}

enum Work {
    Host(Job<HostReply>, Option<Completion>),
    Background(Job<()>),
}

/// The hardware, and how long requests to each of its drives took.
pub(crate) struct Timed<'a> {
    pub(crate) plant: &'a Plant,
    pub(crate) clock: &'a Clock,
    pub(crate) drive_ns: &'a [Tally],
}

impl Timed<'_> {
    fn perform(&self, effect: Effect) -> Event {
        let Effect::Disk(op) = &effect else { return self.plant.perform(effect) };
        let (drive, begun) = (usize::from(op.drive().0), self.clock.now());
        let event = self.plant.perform(effect);
        if let Some(drive_ns) = self.drive_ns.get(drive) {
            drive_ns.add(self.clock.now().ns_since(begun));
        }
        event
    }
}

/// Performs effects, one after the other. Also says whether the log is still sound.
pub(crate) fn perform_all(timed: &Timed<'_>, effects: Vec<Effect>) -> (Vec<Event>, bool) {
    let events: Vec<Event> = effects.into_iter().map(|effect| timed.perform(effect)).collect();
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
    pub(crate) fn host(job: Job<HostReply>, done: Completion, counting: Option<Counting>) -> Self {
        Self { counting, ..Self::new(Work::Host(job, Some(done))) }
    }

    pub(crate) fn background(job: Job<()>) -> Self {
        Self::new(Work::Background(job))
    }

    fn new(work: Work) -> Self {
        Self { work, pending: None, let_in: false, counting: None, begun: None }
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
        self.begun.get_or_insert(now);
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
    pub(crate) fn perform(&mut self, timed: &Timed<'_>) -> bool {
        let effects = self.pending.take().expect("a task that asked for effects");
        let (events, sound) = perform_all(timed, effects);
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
