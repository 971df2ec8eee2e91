//! A connection as a service sees it.

use super::inbox::Inbox;
use super::outbox::Outbox;
use super::parts::Filling;
use super::{Address, Budget, ConnectionInfo, NetError, NetLimits, Part, Wire};
use bytes::Bytes;
use diptych_sync::atomic::{AtomicBool, Ordering};
use diptych_sync::{Arc, Unseen};
use std::fmt;
use std::io;
use std::time::{Duration, Instant};

/// A connection, in the hands of its own thread.
pub struct Connection {
    inbox: Inbox,
    outbox: Outbox,
    limits: NetLimits,
    stopping: Arc<AtomicBool>,
    local: Address,
    about: Arc<About>,
    /// By when the negotiation has to be over; `None`: it is.
    negotiation_until: Option<Instant>,
    /// When something came last.
    heard_at: Instant,
    /// How long a receive waits now, as the wire was told.
    patience: Option<Duration>,
}

/// What is told of a connection to those who look on.
#[derive(Debug)]
pub(super) struct About {
    peer: String,
    attached: Unseen<Option<String>>,
}

impl About {
    pub(super) fn of(peer: &str) -> Self {
        Self { peer: peer.to_owned(), attached: Unseen::new(None) }
    }

    pub(super) fn info(&self) -> ConnectionInfo {
        ConnectionInfo { peer: self.peer.clone(), attached: self.attached.with(|it| it.clone()) }
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Connection({} at {})", self.peer(), self.local)
    }
}

impl Connection {
    pub(super) fn new(
        outbox: Outbox,
        limits: NetLimits,
        stopping: Arc<AtomicBool>,
        local: Address,
        about: Arc<About>,
    ) -> Self {
        let now = Instant::now();
        Self {
            inbox: Inbox::default(),
            outbox,
            limits,
            stopping,
            local,
            about,
            negotiation_until: Some(now + limits.negotiation),
            heard_at: now,
            patience: None,
        }
    }

    /// A connection over any wire, without a server: for what wraps one, and for tests. It is served by
    /// the thread that has it, and [ended](Self::end) by it too.
    pub fn over(wire: Box<dyn Wire>, limits: NetLimits, local: Address, peer: String) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let about = Arc::new(About::of(&peer));
        Self::new(Outbox::new(wire, limits, None), limits, stopping, local, about)
    }

    /// The same, with a share of a budget.
    pub fn over_within(
        wire: Box<dyn Wire>,
        limits: NetLimits,
        budget: Budget,
        local: Address,
        peer: String,
    ) -> Self {
        let stopping = Arc::new(AtomicBool::new(false));
        let about = Arc::new(About::of(&peer));
        Self::new(Outbox::new(wire, limits, Some(budget)), limits, stopping, local, about)
    }

    /// Says farewell, where the wire has a word for it.
    pub(super) fn finish(&self) {
        self.outbox.wire().finish();
    }

    /// Ends the connection at once: nothing more is sent, and nobody waits for it.
    pub fn end(&self) {
        self.outbox.end();
    }

    /// Who is at the other end.
    pub fn peer(&self) -> &str {
        &self.about.peer
    }

    /// Tells those who look on what the peer has chosen.
    pub fn attached(&self, what: impl fmt::Display) {
        let what = what.to_string();
        self.about.attached.with(|attached| *attached = Some(what));
    }

    /// The address that it was accepted at.
    pub fn local(&self) -> &Address {
        &self.local
    }

    /// Whether the server stops: what was received already is still served, or refused.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// The negotiation is over: no hurry any more, and room for many requests.
    pub fn established(&mut self) {
        self.negotiation_until = None;
        self.inbox.establish();
    }

    /// The next bytes, taken; `None` if the peer has closed the connection before the first of them.
    ///
    /// # Errors
    ///
    /// If the connection ends in the middle, or is too slow.
    pub fn header<const N: usize>(&mut self) -> Result<Option<[u8; N]>, NetError> {
        while self.inbox.available().len() < N {
            if !self.receive(N)? {
                return if self.inbox.available().is_empty() {
                    Ok(None)
                } else {
                    Err(NetError::Closed)
                };
            }
        }
        let header = self.inbox.available().first_chunk::<N>().copied();
        self.inbox.take(N);
        Ok(header)
    }

    /// The next `bytes` bytes, taken: allocated as a whole, so bound it first.
    ///
    /// # Errors
    ///
    /// If the connection ends before, or is too slow.
    pub fn payload(&mut self, bytes: usize) -> Result<Bytes, NetError> {
        let Self { inbox, outbox, limits, negotiation_until, heard_at, patience, .. } = self;
        let mut waits = Waits { outbox, limits, negotiation_until, heard_at, patience };
        inbox.payload(bytes, |into| match waits.receive(true, |wire| wire.receive(into))? {
            0 => Err(NetError::Closed),
            _ => Ok(()),
        })
    }

    /// Takes the next `bytes` bytes and forgets them.
    ///
    /// # Errors
    ///
    /// If the connection ends before, or is too slow.
    pub fn skip(&mut self, mut bytes: u64) -> Result<(), NetError> {
        while bytes > 0 {
            let here = self.inbox.available().len();
            if here == 0 {
                if !self.receive(1)? {
                    return Err(NetError::Closed);
                }
                continue;
            }
            let taken = here.min(usize::try_from(bytes).unwrap_or(usize::MAX));
            self.inbox.take(taken);
            bytes -= taken as u64;
        }
        Ok(())
    }

    /// Encrypts everything from here on. What was sent before has to be [drained](Self::drain).
    ///
    /// # Errors
    ///
    /// If the peer has sent more already, which nobody may believe, or it is encrypted already.
    #[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
    pub fn start_tls(&mut self, config: &super::TlsConfig) -> Result<(), NetError> {
        if !self.inbox.available().is_empty() {
            return Err(NetError::Io(io::ErrorKind::InvalidData.into()));
        }
        self.outbox.wire().start_tls(config).map_err(NetError::Io)
    }

    /// Sends these parts, at the latest when nothing is left of what was received.
    pub fn send<'a>(&self, parts: impl IntoIterator<Item = Part<'a>>) {
        self.outbox.push(parts, None);
    }

    /// The same, with parts that are made when it is their turn: `fill` is called at most once, in the
    /// order in which answers go out, whichever thread they come from. It must be short and wait for
    /// nothing, as the answers of others wait for it.
    pub fn send_with(&self, fill: impl FnOnce(&mut Filling<'_>)) {
        self.outbox.push_with(fill, None);
    }

    /// Waits until something has come, or the end: at most for so long. Whether it has; then
    /// [`header`](Self::header) says which.
    ///
    /// # Errors
    ///
    /// If the connection fails.
    pub fn wait(&mut self, patience: Duration) -> Result<bool, NetError> {
        if !self.inbox.available().is_empty() {
            return Ok(true);
        }
        let wire = self.outbox.wire();
        self.outbox.end_batch();
        if self.patience != Some(patience) {
            wire.set_patience(Some(patience)).map_err(NetError::Io)?;
            self.patience = Some(patience);
        }
        match self.inbox.receive(wire, 1) {
            Ok(_) => {
                self.heard_at = Instant::now();
                self.outbox.begin_batch();
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(self.outbox.failure().unwrap_or(NetError::Io(error))),
        }
    }

    /// What ends this connection from elsewhere.
    pub fn ender(&self) -> Ender {
        Ender { outbox: self.outbox.clone() }
    }

    /// A request is under way that keeps so many bytes: its payload, or what its answer will have.
    /// Waits until the limits of the connection, and the budget, have room for it. Who has
    /// [held](Self::hold) something that only what comes on this connection lets go may not call this.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    pub fn begin(&self, bytes: usize) -> Result<Pending, NetError> {
        self.outbox.begin(bytes)?;
        Ok(Pending { outbox: Some(self.outbox.clone()), bytes })
    }

    /// The same for a request of which so many bytes were held: they are not held any more. The budget is
    /// not waited for.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    pub fn begin_held(&self, bytes: usize, held: usize) -> Result<Pending, NetError> {
        self.outbox.begin_held(bytes, held)?;
        Ok(Pending { outbox: Some(self.outbox.clone()), bytes })
    }

    /// Holds so many bytes of the budget for a request whose data is still to come. Waits until it has
    /// them: call it only if nothing is held already.
    ///
    /// # Errors
    ///
    /// If the connection has ended.
    pub fn hold(&self, bytes: usize) -> Result<(), NetError> {
        self.outbox.hold(bytes)
    }

    /// Holds so many bytes if the budget has them, and nobody waits for them.
    pub fn try_hold(&self, bytes: usize) -> bool {
        self.outbox.try_hold(bytes)
    }

    /// Nothing comes of so many bytes that were held.
    pub fn give_back(&self, bytes: usize) {
        self.outbox.give_back(bytes);
    }

    /// Waits until all requests are answered and all answers sent: until the negotiation has to be over,
    /// or for as long as a peer may stall.
    ///
    /// # Errors
    ///
    /// If that is not enough, or the connection ends before.
    pub fn drain(&self) -> Result<(), NetError> {
        let (patience, late) = match self.negotiation_until {
            Some(until) => (until.saturating_duration_since(Instant::now()), NetError::Late),
            None => (self.limits.stalled, NetError::Stalled),
        };
        let is_drained = self.outbox.drain(patience);
        match self.outbox.failure() {
            Some(failure) => Err(failure),
            None => is_drained.then_some(()).ok_or(late),
        }
    }

    /// Receives something; `false` at the end.
    fn receive(&mut self, wanted: usize) -> Result<bool, NetError> {
        let Self { inbox, outbox, limits, negotiation_until, heard_at, patience, .. } = self;
        let within = !inbox.available().is_empty();
        let mut waits = Waits { outbox, limits, negotiation_until, heard_at, patience };
        Ok(waits.receive(within, |wire| inbox.receive(wire, wanted))? > 0)
    }
}

/// How a connection waits for what comes.
struct Waits<'a> {
    outbox: &'a Outbox,
    limits: &'a NetLimits,
    negotiation_until: &'a Option<Instant>,
    heard_at: &'a mut Instant,
    patience: &'a mut Option<Duration>,
}

impl Waits<'_> {
    /// Ends the batch and receives; `within` a message, the peer may not stall.
    fn receive(
        &mut self,
        within: bool,
        mut receive: impl FnMut(&dyn Wire) -> io::Result<usize>,
    ) -> Result<usize, NetError> {
        let wire = self.outbox.wire();
        self.outbox.end_batch();
        loop {
            self.set_patience(wire)?;
            match receive(wire) {
                Ok(bytes) => {
                    if self.limits.idle.is_some() {
                        *self.heard_at = Instant::now();
                    }
                    self.outbox.begin_batch();
                    return Ok(bytes);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.waited(within)?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => self.in_time()?,
                Err(error) => return Err(self.outbox.failure().unwrap_or(NetError::Io(error))),
            }
        }
    }

    /// Nothing came for as long as the wire waits: whether that was too long.
    fn waited(&self, within: bool) -> Result<(), NetError> {
        match (self.negotiation_until, self.limits.idle) {
            (Some(until), _) if Instant::now() >= *until => Err(NetError::Late),
            (Some(_), _) => Ok(()),
            (None, _) if within => Err(NetError::Stalled),
            (None, Some(idle)) if self.heard_at.elapsed() >= idle => Err(NetError::Idle),
            (None, _) => Ok(()),
        }
    }

    /// Something came and there is nothing to take yet: whether there is time for more.
    fn in_time(&self) -> Result<(), NetError> {
        match self.negotiation_until {
            Some(until) if Instant::now() >= *until => Err(NetError::Late),
            _ => Ok(()),
        }
    }

    fn set_patience(&mut self, wire: &dyn Wire) -> Result<(), NetError> {
        let patience = match (self.negotiation_until, self.limits.idle) {
            // 0 would be for ever.
            (Some(until), _) => {
                until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
            }
            (None, Some(idle)) => self.limits.stalled.min(idle),
            (None, None) => self.limits.stalled,
        };
        if *self.patience != Some(patience) {
            wire.set_patience(Some(patience)).map_err(NetError::Io)?;
            *self.patience = Some(patience);
        }
        Ok(())
    }
}

/// Ends a connection, from any thread.
#[derive(Clone)]
pub struct Ender {
    outbox: Outbox,
}

impl Ender {
    /// Ends it at once: nothing more is received or sent.
    pub fn end(&self) {
        self.outbox.end();
    }

    /// Whether the peer has ended it, though its own thread may not know yet.
    pub fn is_left(&self) -> bool {
        self.outbox.wire().is_left()
    }
}

impl fmt::Debug for Ender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ender")
    }
}

/// A request under way. It is over when this is dropped, or [answered](Self::answer).
pub struct Pending {
    /// Taken when it is over.
    outbox: Option<Outbox>,
    bytes: usize,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pending({} bytes)", self.bytes)
    }
}

impl Pending {
    /// Sends a part of the answer; the request goes on. Never waits.
    pub fn send<'a>(&self, parts: impl IntoIterator<Item = Part<'a>>) {
        if let Some(outbox) = &self.outbox {
            outbox.push(parts, None);
        }
    }

    /// Sends the answer as [`Connection::send_with`] does; the request is over.
    pub fn answer_with(mut self, fill: impl FnOnce(&mut Filling<'_>)) {
        if let Some(outbox) = self.outbox.take() {
            outbox.push_with(fill, Some(self.bytes));
        }
    }

    /// Sends the answer, or its last part; the request is over. Never waits.
    pub fn answer<'a>(mut self, parts: impl IntoIterator<Item = Part<'a>>) {
        if let Some(outbox) = self.outbox.take() {
            outbox.push(parts, Some(self.bytes));
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(outbox) = self.outbox.take() {
            outbox.push([], Some(self.bytes));
        }
    }
}
