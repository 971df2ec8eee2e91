//! A job: one flowchart, as a state machine that a driver turns.

use crate::Effect;
use crate::mailbox::{Ask, Mailbox, Reply, Role};
use diptych_format::{OwnerId, Step, Time, Wakes};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

/// The mailbox of a job, as what the job is made of holds it.
// Handed from thread to thread with the job; only its owner touches it.
pub(crate) type JobMailbox = Arc<Mailbox>;

/// A job. It runs only inside [`Job::step`] and never blocks.
///
/// After each step the driver passes on [`Job::take_signals`]. A job that is dropped gives back what
/// it holds; its last signals come from [`Job::cancel`].
pub struct Job<O> {
    mailbox: JobMailbox,
    future: Pin<Box<dyn Future<Output = O> + Send>>,
}

impl<O> Job<O> {
    /// Makes a job of the future that `body` makes of its mailbox.
    pub(crate) fn new<F>(owner: OwnerId, role: Role, body: impl FnOnce(JobMailbox) -> F) -> Self
    where
        F: Future<Output = O> + Send + 'static,
    {
        let mailbox = Arc::new(Mailbox::new(owner, role));
        let future = Box::pin(body(mailbox.clone()));
        Self { mailbox, future }
    }

    /// The job's id.
    pub fn owner(&self) -> OwnerId {
        self.mailbox.owner()
    }

    /// Runs the job to its next question, or to device end.
    ///
    /// # Panics
    ///
    /// If the last question is not answered yet, or the job has ended.
    pub fn step(&mut self, now: Time) -> Step<Effect, O> {
        self.mailbox.set_now(now);
        // No waker: a job waits for its mailbox and for nothing else.
        match self.future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => Step::Done(output),
            Poll::Pending => match self.mailbox.take_ask() {
                Some(Ask::Do(effects)) => Step::Do(effects),
                Some(Ask::Wait(wait)) => Step::Wait(wait),
                None => panic!("a job stopped without a question"),
            },
        }
    }

    /// Answers the last question.
    pub fn answer(&mut self, reply: Reply) {
        self.mailbox.put_reply(reply);
    }

    /// Owners to wake, and whether [`crate::Unit::due`] is to be called.
    pub fn take_signals(&mut self) -> (Wakes, bool) {
        self.mailbox.take_signals()
    }

    /// Drops the job where it stands: it gives back its claim, its room and its pins. What it asked
    /// for is either done or is not done any more: a request that a drive carried out afterwards
    /// could overwrite what is newer.
    pub fn cancel(self) -> (Wakes, bool) {
        let Self { mailbox, future } = self;
        drop(future);
        mailbox.take_signals()
    }
}

impl<O> fmt::Debug for Job<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({})", self.owner())
    }
}
