//! How a task asks its driver, and is answered.
//!
//! One thread at a time steps a task, so its mailbox is handed over with it and needs no lock that is
//! ever waited for.

use super::reply::ScsiReply;
use super::task::Keep;
use crate::{HostOp, HostReply};
use diptych_sync::HandOff;
use diptych_sync::atomic::{AtomicBool, Ordering};
use std::future::poll_fn;
use std::task::Poll;

/// What a task asks when it stops.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Have this done.
    Op(HostOp),
    /// Keep this for when the unit comes up again.
    Keep(Keep),
    /// Send this answer; the task goes on.
    Answer(ScsiReply),
}

/// The mailbox of one task.
#[derive(Debug, Default)]
pub(crate) struct Mailbox {
    ask: HandOff<Option<Ask>>,
    reply: HandOff<Option<HostReply>>,
    /// The task goes on whatever becomes of who gave the command.
    outlives: AtomicBool,
}

impl Mailbox {
    /// Asks, and waits until the driver comes back.
    pub(crate) async fn ask(&self, ask: Ask) -> Option<HostReply> {
        let mut ask = Some(ask);
        poll_fn(|_| match ask.take() {
            Some(ask) => {
                self.ask.with(|slot| *slot = Some(ask));
                Poll::Pending
            }
            None => Poll::Ready(self.reply.with(Option::take)),
        })
        .await
    }

    pub(crate) fn take_ask(&self) -> Option<Ask> {
        self.ask.with(Option::take)
    }

    pub(crate) fn put_reply(&self, reply: Option<HostReply>) {
        self.reply.with(|slot| *slot = reply);
    }

    pub(crate) fn outlive(&self) {
        self.outlives.store(true, Ordering::Release);
    }

    pub(crate) fn outlives(&self) -> bool {
        self.outlives.load(Ordering::Acquire)
    }
}
