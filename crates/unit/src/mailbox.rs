//! How a job asks its driver, and is answered.

use crate::{Effect, Event};
use diptych_dka as dka;
use diptych_drr as drr;
use diptych_format::{Answer, OwnerId, PairId, Time, Wait, Wakes};
use diptych_sync::HandOff;
use diptych_sync::atomic::{AtomicU64, Ordering};
use std::future::poll_fn;
use std::task::Poll;

/// Whom a job works for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A host, or an operator.
    Host,
    /// A pair that is copied, and whose hosts are not to wait long for that.
    WatchedLane(PairId),
    /// Nobody who is looked after.
    Background,
}

/// What a job asks when it stops.
#[derive(Debug)]
pub(crate) enum Ask {
    /// Perform these.
    Do(Vec<Effect>),
    /// Come back after this wait.
    Wait(Wait),
}

/// What the driver brings back.
#[derive(Debug)]
pub enum Reply {
    /// An event for each effect, in their order.
    Events(Vec<Event>),
    /// How the wait ended.
    Wait(Answer),
}

/// The mailbox of one job: the job asks by it and is answered by it. It also collects what the
/// driver has to pass on when the job stops: owners to wake, and whether new work is due.
///
/// One thread at a time turns a job, so the mailbox is handed over with it.
#[derive(Debug)]
pub(crate) struct Mailbox {
    owner: OwnerId,
    role: Role,
    /// In nanoseconds; as much handed over as the rest.
    now: AtomicU64,
    inner: HandOff<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    ask: Option<Ask>,
    reply: Option<Reply>,
    wakes: Wakes,
    kick: bool,
}

impl Mailbox {
    pub(crate) fn new(owner: OwnerId, role: Role) -> Self {
        Self { owner, role, now: AtomicU64::new(0), inner: HandOff::new(Inner::default()) }
    }

    /// The job's id.
    pub(crate) fn owner(&self) -> OwnerId {
        self.owner
    }

    /// Whether somebody waits for the job outside.
    pub(crate) fn is_host(&self) -> bool {
        self.role == Role::Host
    }

    /// The pair that the job copies for, if its hosts are looked after.
    pub(crate) fn lane_of(&self) -> Option<PairId> {
        match self.role {
            Role::WatchedLane(pair) => Some(pair),
            Role::Host | Role::Background => None,
        }
    }

    /// The time at which the driver last turned the crank.
    pub(crate) fn now(&self) -> Time {
        Time::from_ns(self.now.load(Ordering::Relaxed))
    }

    /// Waits.
    pub(crate) async fn wait(&self, wait: Wait) -> Answer {
        match self.ask(Ask::Wait(wait)).await {
            Reply::Wait(answer) => answer,
            Reply::Events(_) => panic!("events in answer to a wait"),
        }
    }

    /// Has one effect performed.
    pub(crate) async fn perform(&self, effect: Effect) -> Event {
        let mut events = self.perform_all(vec![effect]).await;
        assert_eq!(events.len(), 1, "one event for one effect");
        events.remove(0)
    }

    /// Has several effects performed, at once where the driver can (fork-join).
    pub(crate) async fn perform_all(&self, effects: Vec<Effect>) -> Vec<Event> {
        let count = effects.len();
        match self.ask(Ask::Do(effects)).await {
            Reply::Events(events) => {
                assert_eq!(events.len(), count, "an event for each effect");
                events
            }
            Reply::Wait(_) => panic!("the end of a wait in answer to effects"),
        }
    }

    /// Has a transfer performed by the address change unit of a disk adapter.
    pub(crate) async fn transfer(&self, dka_no: u16, op: drr::Op) -> drr::Done {
        match self.perform(Effect::Transfer { dka_no, op }).await {
            Event::Transfer(done) => done,
            Event::Disk(_) | Event::Log(_) => panic!("another's answer to a transfer"),
        }
    }

    /// Owners that the driver is to wake once this job stops or ends.
    pub(crate) fn wake(&self, wakes: Wakes) {
        if !wakes.is_empty() {
            self.inner.with(|inner| inner.wakes.extend(wakes));
        }
    }

    /// Work may have become due: the driver is to call [`crate::Unit::due`].
    pub(crate) fn kick(&self) {
        self.inner.with(|inner| inner.kick = true);
    }

    async fn ask(&self, ask: Ask) -> Reply {
        let mut ask = Some(ask);
        poll_fn(|_| match ask.take() {
            Some(ask) => {
                self.inner.with(|inner| inner.ask = Some(ask));
                Poll::Pending
            }
            None => match self.inner.with(|inner| inner.reply.take()) {
                Some(reply) => Poll::Ready(reply),
                None => Poll::Pending,
            },
        })
        .await
    }

    pub(crate) fn set_now(&self, now: Time) {
        self.now.store(now.ns, Ordering::Relaxed);
    }

    pub(crate) fn take_ask(&self) -> Option<Ask> {
        self.inner.with(|inner| inner.ask.take())
    }

    pub(crate) fn put_reply(&self, reply: Reply) {
        self.inner.with(|inner| inner.reply = Some(reply));
    }

    pub(crate) fn take_signals(&self) -> (Wakes, bool) {
        self.inner.with(|inner| (std::mem::take(&mut inner.wakes), std::mem::take(&mut inner.kick)))
    }
}

impl dka::Port for Mailbox {
    async fn perform(&self, op: dka::Op) -> dka::Done {
        match self.perform(Effect::Disk(op)).await {
            Event::Disk(done) => done,
            _ => panic!("another's answer to a drive request"),
        }
    }

    async fn perform_all(&self, ops: Vec<dka::Op>) -> Vec<dka::Done> {
        let events = self.perform_all(ops.into_iter().map(Effect::Disk).collect()).await;
        let done = |event| match event {
            Event::Disk(done) => done,
            _ => panic!("another's answer to a drive request"),
        };
        events.into_iter().map(done).collect()
    }
}
