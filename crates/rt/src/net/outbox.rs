//! What is to be sent on a connection, and who sends it.
//!
//! | who sends | when |
//! |---|---|
//! | nobody | nothing is there, or the reader is at a batch and sends at its end |
//! | somebody | whoever put the first bytes there, or the reader: without waiting |
//! | the writer | the socket did not take all: a thread of the connection that waits for it |
//!
//! Invariants:
//! - One thread at a time sends, without the lock.
//! - When nobody sends, the outbox is empty or a batch is under way, whose end sends.
//! - A request counts from [`begin`](Outbox::begin) until its `Pending` is gone; its answer counts
//!   until it is sent. Together they stay within the limits, but for one request alone. They, and what is
//!   [held](Outbox::hold) for requests to come, have a share of the budget.
//! - After the end nothing is kept, and nobody waits.

use super::budget::{Budget, Share, Turn};
use super::parts::{Filling, Parts};
use super::{NetError, NetLimits, Part, Wire};
use diptych_sync::{Arc, Condvar, Mutex, MutexGuard, mutant, thread};
use std::io;
use std::time::{Duration, Instant};

/// So much is sent also within a batch: the peer can begin with it.
const BATCH_BYTES: usize = 256 << 10;
/// A thread that has other things to do sends so often; if more came meanwhile the writer goes on.
const ROUNDS_MAX: usize = 8;

/// The outbox of a connection. A handle: clones are the same one.
#[derive(Clone)]
pub(super) struct Outbox(Arc<Inner>);

struct Inner {
    wire: Box<dyn Wire>,
    limits: NetLimits,
    state: Mutex<State>,
    /// There is room, all is sent, a request is over, or the end has come: for the reader.
    changed: Condvar,
    /// It is the writer's turn, or the end has come.
    to_write: Condvar,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    Nobody,
    Somebody,
    Writer,
}

struct State {
    parts: Parts,
    /// Bytes put here and not sent, also those that somebody is sending.
    unsent_bytes: usize,
    /// Requests under way, and what they count for.
    requests: usize,
    request_bytes: usize,
    /// What is held for requests that are not under way yet.
    held_bytes: usize,
    /// What all of this has of the budget, and the place where more is waited for.
    share: Share,
    turn: Option<Turn>,
    /// The reader is at a batch.
    in_batch: bool,
    /// The reader waits for a change.
    awaited: bool,
    sender: Sender,
    has_writer: bool,
    /// Nothing is sent any more.
    ended: bool,
    /// Why, if it was not asked for.
    failed: Option<NetError>,
}

impl State {
    fn is_over(&self) -> bool {
        self.requests == 0 && self.unsent_bytes == 0
    }

    /// What is kept in memory for the peer.
    fn kept_bytes(&self) -> usize {
        self.request_bytes + self.unsent_bytes + self.held_bytes
    }

    /// What is kept has changed.
    fn settle(&mut self) {
        self.share.have(self.kept_bytes());
    }

    fn is_under_way(&mut self, bytes: usize) {
        // If it had to wait, the batch was ended.
        self.in_batch = true;
        self.requests += 1;
        self.request_bytes += bytes;
    }

    fn end_of(&mut self) -> NetError {
        self.failed.take().unwrap_or(NetError::Ended)
    }
}

impl Outbox {
    pub(super) fn new(wire: Box<dyn Wire>, limits: NetLimits, budget: Option<Budget>) -> Self {
        let state = State {
            parts: Parts::default(),
            unsent_bytes: 0,
            requests: 0,
            request_bytes: 0,
            held_bytes: 0,
            share: Share::of(budget),
            turn: None,
            in_batch: false,
            awaited: false,
            sender: Sender::Nobody,
            has_writer: false,
            ended: false,
            failed: None,
        };
        let (changed, to_write) = (Condvar::new(), Condvar::new());
        Self(Arc::new(Inner { wire, limits, state: Mutex::new(state), changed, to_write }))
    }

    pub(super) fn wire(&self) -> &dyn Wire {
        &*self.0.wire
    }

    /// The reader has something to do: answers wait for the end of the batch.
    pub(super) fn begin_batch(&self) {
        self.0.state.lock().in_batch = true;
    }

    /// The reader has nothing to do any more: what is there is sent.
    pub(super) fn end_batch(&self) {
        let mut state = self.0.state.lock();
        state.in_batch = false;
        if !mutant::removed("batch-end-sends") {
            self.send(state);
        }
    }

    /// A request that counts for so many bytes is under way. Waits until there is room for it.
    pub(super) fn begin(&self, bytes: usize) -> Result<(), NetError> {
        let state = self.wait_for_room(bytes)?;
        self.wait_for_budget(state, bytes)?.is_under_way(bytes);
        Ok(())
    }

    /// The same for a request of which so much was held: it waits for room of this connection only.
    pub(super) fn begin_held(&self, bytes: usize, held: usize) -> Result<(), NetError> {
        let mut state = self.wait_for_room(bytes)?;
        state.held_bytes = state.held_bytes.saturating_sub(held);
        state.is_under_way(bytes);
        state.settle();
        Ok(())
    }

    /// Holds so much of the budget for a request to come; waits until it has it.
    pub(super) fn hold(&self, bytes: usize) -> Result<(), NetError> {
        let mut state = self.wait_for_budget(self.0.state.lock(), bytes)?;
        state.in_batch = true;
        state.held_bytes += bytes;
        Ok(())
    }

    /// Holds it if the budget has it.
    pub(super) fn try_hold(&self, bytes: usize) -> bool {
        let mut state = self.0.state.lock();
        let wanted = state.kept_bytes() + bytes;
        let has = state.share.try_have(wanted);
        state.held_bytes += if has { bytes } else { 0 };
        has
    }

    /// Nothing comes of so much that was held.
    pub(super) fn give_back(&self, bytes: usize) {
        let mut state = self.0.state.lock();
        // The end has given back all of it.
        state.held_bytes = state.held_bytes.saturating_sub(bytes);
        state.settle();
    }

    /// Waits until the connection has room for one more request.
    fn wait_for_room(&self, bytes: usize) -> Result<MutexGuard<'_, State>, NetError> {
        let mut state = self.0.state.lock();
        loop {
            if state.ended {
                return Err(state.end_of());
            }
            let all = state.request_bytes + state.unsent_bytes + bytes;
            let has_room = state.requests < self.0.limits.requests && all <= self.0.limits.bytes;
            if has_room || state.is_over() {
                return Ok(state);
            }
            // What is waited for must get out.
            if state.in_batch {
                state = self.end_batch_of(state);
                continue;
            }
            state.awaited = true;
            state = self.0.changed.wait(state);
            state.awaited = false;
        }
    }

    /// Waits until the share of the budget is enough for so much more.
    fn wait_for_budget<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        bytes: usize,
    ) -> Result<MutexGuard<'a, State>, NetError> {
        loop {
            if state.ended {
                return Err(state.end_of());
            }
            let wanted = state.kept_bytes() + bytes;
            if state.share.try_have(wanted) {
                return Ok(state);
            }
            // What others wait for must get out.
            if state.in_batch {
                state = self.end_batch_of(state);
                continue;
            }
            let (missing, budget) = (state.share.missing(wanted), state.share.budget().cloned());
            let Some(budget) = budget else { return Ok(state) };
            let turn = budget.stand();
            state.turn = Some(turn);
            drop(state);
            let has = budget.wait(turn, missing);
            state = self.0.state.lock();
            state.turn = None;
            if has {
                state.share.add(missing);
                // Meanwhile some may have been given back that was counted on.
                let wanted = state.kept_bytes() + if state.ended { 0 } else { bytes };
                state.share.have(wanted);
            }
        }
    }

    fn end_batch_of<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        state.in_batch = false;
        self.send(state);
        self.0.state.lock()
    }

    /// Puts these parts there, one behind the other; a request that counted for `over` is over.
    pub(super) fn push<'a>(&self, parts: impl IntoIterator<Item = Part<'a>>, over: Option<usize>) {
        self.push_with(|filling| parts.into_iter().for_each(|part| filling.part(part)), over);
    }

    /// The same, with parts that are made in the order in which answers are sent: under the lock.
    pub(super) fn push_with(&self, fill: impl FnOnce(&mut Filling<'_>), over: Option<usize>) {
        let mut state = self.0.state.lock();
        if let Some(bytes) = over {
            state.requests -= 1;
            state.request_bytes -= bytes;
            self.tell(&state);
        }
        if state.ended {
            state.settle();
            return;
        }
        let mut filling = Filling::new(&mut state.parts);
        fill(&mut filling);
        state.unsent_bytes += filling.bytes();
        state.settle();
        if !state.in_batch || state.unsent_bytes >= BATCH_BYTES {
            self.send(state);
        }
    }

    /// Sends what is there, unless somebody does; never waits for the socket.
    fn send<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        let is_sent = state.sender != Sender::Nobody && !mutant::removed("one-sender");
        if is_sent || state.parts.is_empty() || state.ended {
            return;
        }
        state.sender = Sender::Somebody;
        for _ in 0..ROUNDS_MAX {
            let mut parts = std::mem::take(&mut state.parts);
            drop(state);
            let sent = send_all(&*self.0.wire, &mut parts, false);
            state = self.0.state.lock();
            match self.note(&mut state, parts, sent) {
                Ok(true) => {}
                Ok(false) => return self.leave_to_writer(state),
                Err(Failed) => return,
            }
            // Who put something there meanwhile has left it to this thread.
            if state.parts.is_empty() || mutant::removed("sender-looks-again") {
                state.sender = Sender::Nobody;
                return self.tell(&state);
            }
        }
        self.leave_to_writer(state);
    }

    /// Notes what was sent; whether that was all of it.
    fn note(
        &self,
        state: &mut State,
        rest: Parts,
        (bytes, sent): (usize, io::Result<()>),
    ) -> Result<bool, Failed> {
        if state.ended {
            state.sender = Sender::Nobody;
            return Err(Failed);
        }
        state.unsent_bytes -= bytes;
        state.settle();
        let is_all = rest.is_empty();
        state.parts = rest.followed_by(std::mem::take(&mut state.parts));
        match sent {
            Ok(()) => Ok(is_all),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => {
                self.fail(state, NetError::Io(error));
                Err(Failed)
            }
        }
    }

    fn leave_to_writer<'a>(&'a self, mut state: MutexGuard<'a, State>) {
        state.sender = Sender::Writer;
        if state.has_writer {
            drop(state);
            if !mutant::removed("writer-is-told") {
                self.0.to_write.notify_one();
            }
            return;
        }
        state.has_writer = true;
        drop(state);
        let outbox = self.clone();
        let writer = thread::Builder::new().name("diptych-writer".to_owned());
        if let Err(error) = writer.spawn(move || outbox.write()) {
            self.fail(&mut self.0.state.lock(), NetError::Thread(error));
        }
    }

    /// The writer's life.
    fn write(&self) {
        let mut state = self.0.state.lock();
        loop {
            while state.sender != Sender::Writer {
                if state.ended {
                    return;
                }
                state = self.0.to_write.wait(state);
            }
            let mut parts = std::mem::take(&mut state.parts);
            drop(state);
            let mut sent = send_all(&*self.0.wire, &mut parts, true);
            let is_stalled = matches!(&sent.1, Err(e) if e.kind() == io::ErrorKind::WouldBlock);
            if is_stalled && sent.0 > 0 {
                // Something was taken: that is slow, and not stalled.
                sent.1 = Ok(());
            }
            state = self.0.state.lock();
            let Ok(is_all) = self.note(&mut state, parts, sent) else { return };
            if is_all && state.parts.is_empty() {
                state.sender = Sender::Nobody;
            } else if !is_all && is_stalled && state.sender == Sender::Writer {
                self.fail(&mut state, NetError::Stalled);
                return;
            }
            self.tell(&state);
        }
    }

    /// The end that nobody asked for.
    fn fail(&self, state: &mut State, error: NetError) {
        state.failed.get_or_insert(error);
        self.end_now(state);
    }

    fn end_now(&self, state: &mut State) {
        state.ended = true;
        state.parts = Parts::default();
        (state.unsent_bytes, state.held_bytes) = (0, 0);
        state.settle();
        if let (Some(turn), Some(budget)) = (state.turn.take(), state.share.budget()) {
            budget.leave(turn);
        }
        state.sender = Sender::Nobody;
        self.0.wire.end(true, true);
        self.0.changed.notify_all();
        self.0.to_write.notify_all();
    }

    /// Ends the connection at once.
    pub(super) fn end(&self) {
        self.end_now(&mut self.0.state.lock());
    }

    /// Waits until no request is under way and all answers are sent, at most for so long; `false` if
    /// that was not enough.
    pub(super) fn drain(&self, patience: Duration) -> bool {
        self.end_batch();
        let until = Instant::now() + patience;
        let mut state = self.0.state.lock();
        while !state.ended && !state.is_over() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            state.awaited = true;
            state = self.0.changed.wait_for(state, left);
            state.awaited = false;
        }
        true
    }

    /// Why the connection ended, if it was not asked for.
    pub(super) fn failure(&self) -> Option<NetError> {
        self.0.state.lock().failed.take()
    }

    fn tell(&self, state: &State) {
        if state.awaited {
            self.0.changed.notify_all();
        }
    }
}

struct Failed;

/// Sends until all is sent or the wire takes no more. Returns how much it was.
fn send_all(wire: &dyn Wire, parts: &mut Parts, wait: bool) -> (usize, io::Result<()>) {
    let mut bytes = 0;
    while !parts.is_empty() {
        match wire.send(&parts.slices(), wait) {
            Ok(0) => return (bytes, Err(io::ErrorKind::WriteZero.into())),
            Ok(sent) => {
                bytes += sent;
                parts.advance(sent);
            }
            Err(error) => return (bytes, Err(error)),
        }
    }
    (bytes, Ok(()))
}
