//! A job on its way through the driver.

use diptych_cha::HostReply;
use diptych_format::{OwnerId, Step, Time, Wait};
use diptych_unit::{Effect, Job, Reply, Wakes};

/// A job, and whom its end concerns.
#[derive(Debug)]
pub(crate) enum Task {
    /// A host operation, with the place of its request.
    Host(Job<HostReply>, u32),
    /// A lane or a destage.
    Background(Job<()>),
}

/// How far a task came.
#[derive(Debug)]
pub(crate) enum Turned {
    Asks(Vec<Effect>),
    Waits(Wait),
    /// Device end, with the place of the request and its answer if it was one.
    Ended(Option<(u32, HostReply)>),
}

impl Task {
    pub(crate) fn owner(&self) -> OwnerId {
        match self {
            Self::Host(job, _) => job.owner(),
            Self::Background(job) => job.owner(),
        }
    }

    #[inline]
    pub(crate) fn turn(&mut self, now: Time) -> Turned {
        match self {
            Self::Host(job, place) => match job.step(now) {
                Step::Done(reply) => Turned::Ended(Some((*place, reply))),
                Step::Do(effects) => Turned::Asks(effects),
                Step::Wait(wait) => Turned::Waits(wait),
            },
            Self::Background(job) => match job.step(now) {
                Step::Done(()) => Turned::Ended(None),
                Step::Do(effects) => Turned::Asks(effects),
                Step::Wait(wait) => Turned::Waits(wait),
            },
        }
    }

    #[inline]
    pub(crate) fn take_signals(&mut self) -> (Wakes, bool) {
        match self {
            Self::Host(job, _) => job.take_signals(),
            Self::Background(job) => job.take_signals(),
        }
    }

    pub(crate) fn answer(&mut self, reply: Reply) {
        match self {
            Self::Host(job, _) => job.answer(reply),
            Self::Background(job) => job.answer(reply),
        }
    }
}
