//! A job on its way through the driver.

use diptych_cha::HostReply;
use diptych_format::{OwnerId, Step, Time};
use diptych_unit::{Effect, Job, Plant, Reply, Wakes};

/// What to do with the answer to a host operation.
pub(crate) type Completion = Box<dyn FnOnce(HostReply) + Send>;

/// A job, and what has to happen before it is turned again.
pub(crate) struct Task {
    work: Work,
    pending: Option<Vec<Effect>>,
}

enum Work {
    Host(Job<HostReply>, Option<Completion>),
    Background(Job<()>),
}

/// How far a task came.
pub(crate) enum Turned {
    /// It asked for effects; [`Task::perform`] is next.
    Effects,
    /// It waits; [`Task::answer`] is next.
    Waits,
    /// It ended, and its answer was delivered.
    Ended,
}

impl Task {
    pub(crate) fn host(job: Job<HostReply>, done: Completion) -> Self {
        Self { work: Work::Host(job, Some(done)), pending: None }
    }

    pub(crate) fn background(job: Job<()>) -> Self {
        Self { work: Work::Background(job), pending: None }
    }

    pub(crate) fn owner(&self) -> OwnerId {
        match &self.work {
            Work::Host(job, _) => job.owner(),
            Work::Background(job) => job.owner(),
        }
    }

    /// Whether a host waits for it.
    pub(crate) fn is_host(&self) -> bool {
        matches!(self.work, Work::Host(..))
    }

    /// Whether performing what it asked for may take long.
    pub(crate) fn is_slow(&self) -> bool {
        let effects = self.pending.as_deref().unwrap_or_default();
        effects.iter().any(|effect| matches!(effect, Effect::Disk(_)))
    }

    /// Whether effects are to be performed before it is turned.
    pub(crate) fn has_pending(&self) -> bool {
        self.pending.is_some()
    }

    /// Turns the job once. Signals are to be passed on before the task is looked at again.
    pub(crate) fn turn(&mut self, now: Time) -> (Turned, Wakes, bool) {
        let turned = match &mut self.work {
            Work::Host(job, done) => match job.step(now) {
                Step::Do(effects) => Ok(Some(effects)),
                Step::Wait(_) => Ok(None),
                Step::Done(reply) => Err(done.take().map(|done| (done, reply))),
            },
            Work::Background(job) => match job.step(now) {
                Step::Do(effects) => Ok(Some(effects)),
                Step::Wait(_) => Ok(None),
                Step::Done(()) => Err(None),
            },
        };
        let (wakes, kick) = match &mut self.work {
            Work::Host(job, _) => job.take_signals(),
            Work::Background(job) => job.take_signals(),
        };
        let turned = match turned {
            Ok(Some(effects)) => {
                self.pending = Some(effects);
                Turned::Effects
            }
            Ok(None) => Turned::Waits,
            Err(answer) => {
                if let Some((done, reply)) = answer {
                    done(reply);
                }
                Turned::Ended
            }
        };
        (turned, wakes, kick)
    }

    /// Performs what the job asked for, one effect after the other.
    pub(crate) fn perform(&mut self, plant: &Plant) {
        let effects = self.pending.take().expect("a task that asked for effects");
        let events = effects.into_iter().map(|effect| plant.perform(effect)).collect();
        self.answer(Reply::Events(events));
    }

    pub(crate) fn answer(&mut self, reply: Reply) {
        match &mut self.work {
            Work::Host(job, _) => job.answer(reply),
            Work::Background(job) => job.answer(reply),
        }
    }

    /// Drops the job; a host gets `reply`.
    pub(crate) fn cancel(self, reply: HostReply) -> Wakes {
        match self.work {
            Work::Host(job, done) => {
                let (wakes, _) = job.cancel();
                if let Some(done) = done {
                    done(reply);
                }
                wakes
            }
            Work::Background(job) => job.cancel().0,
        }
    }
}
