//! A server: its listeners, and the connections that came by them.

use super::connection::{About, Connection};
use super::outbox::Outbox;
use super::socket::{Listener, Socket};
use super::{Address, Budget, NetError, NetLimits};
use diptych_sync::atomic::{AtomicBool, Ordering};
use diptych_sync::{Arc, Condvar, Mutex, thread};
use rustix::fd::OwnedFd;
use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};
use tracing::{debug, info, warn};

/// After a failed accept.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// What a protocol does with a connection.
pub trait Service: Send + Sync + 'static {
    /// Why a connection ended.
    type Error: std::error::Error + From<NetError>;

    /// The word of the protocol, for the log.
    const NAME: &'static str;

    /// Serves a connection on its own thread, until it ends. What is under way then is waited for, and
    /// sent.
    ///
    /// # Errors
    ///
    /// Whatever ends the connection but the peer's wish. It is noted and touches no other connection.
    fn serve(&self, connection: &mut Connection) -> Result<(), Self::Error>;
}

/// A server of one protocol. It stops when it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<(Arc<Listener>, Address)>,
    acceptors: Vec<thread::JoinHandle<()>>,
    protocol: &'static str,
}

/// Looks on while a server serves.
#[derive(Clone)]
pub struct ServerWatch {
    shared: Arc<Shared>,
    protocol: &'static str,
}

/// A connection that there is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionInfo {
    /// Who is at the other end.
    pub peer: String,
    /// What it has chosen, in the words of its protocol; `None` while it negotiates.
    pub attached: Option<String>,
}

impl ServerWatch {
    /// The word of the protocol.
    pub fn protocol(&self) -> &'static str {
        self.protocol
    }

    /// Connections that there are now, in the order in which they came.
    pub fn connections(&self) -> Vec<ConnectionInfo> {
        let connections = self.shared.connections.lock();
        connections.by_number.values().map(|(_, about)| about.info()).collect()
    }

    /// Connections that were accepted so far, and that were refused because there were too many.
    pub fn counts(&self) -> (u64, u64) {
        self.shared.counts()
    }
}

impl fmt::Debug for ServerWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerWatch({})", self.protocol)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.listeners.iter().map(|(_, address)| address)).finish()
    }
}

struct Shared {
    limits: NetLimits,
    budget: Option<Budget>,
    stopping: Arc<AtomicBool>,
    connections: Mutex<Connections>,
    /// A connection has ended.
    fewer: Condvar,
}

#[derive(Default)]
struct Connections {
    by_number: BTreeMap<u64, (Outbox, Arc<About>)>,
    accepted: u64,
    refused: u64,
    /// No more are let in.
    closed: bool,
}

impl Server {
    /// Listens on all of these addresses, and serves who comes.
    ///
    /// # Errors
    ///
    /// If one of them cannot be listened on; then none is.
    pub fn listen<S: Service>(
        addresses: &[Address],
        limits: NetLimits,
        service: S,
    ) -> Result<Self, NetError> {
        Self::listen_within(addresses, limits, None, service)
    }

    /// The same, and what requests under way keep is taken from a budget, which servers may share.
    ///
    /// # Errors
    ///
    /// If one of them cannot be listened on; then none is.
    pub fn listen_within<S: Service>(
        addresses: &[Address],
        limits: NetLimits,
        budget: Option<Budget>,
        service: S,
    ) -> Result<Self, NetError> {
        let shared = Arc::new(Shared {
            limits,
            budget,
            stopping: Arc::new(AtomicBool::new(false)),
            connections: Mutex::new(Connections::default()),
            fewer: Condvar::new(),
        });
        let mut server =
            Self { shared, listeners: Vec::new(), acceptors: Vec::new(), protocol: S::NAME };
        for address in addresses {
            let (listener, bound) = Listener::bind(address)?;
            server.listeners.push((Arc::new(listener), bound));
        }
        let service = Arc::new(service);
        for (listener, address) in &server.listeners {
            let acceptor = Acceptor {
                shared: server.shared.clone(),
                listener: listener.clone(),
                address: address.clone(),
                service: service.clone(),
            };
            let thread = thread::Builder::new().name(format!("{}-listener", S::NAME));
            let thread = thread.spawn(move || acceptor.run()).map_err(NetError::Thread)?;
            server.acceptors.push(thread);
        }
        Ok(server)
    }

    /// Where it listens: ports that were 0 are the real ones.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.listeners.iter().map(|(_, address)| address)
    }

    /// Connections that there are now.
    pub fn connections(&self) -> usize {
        self.shared.connections.lock().by_number.len()
    }

    /// Connections that were accepted so far, and that were refused because there were too many.
    pub fn counts(&self) -> (u64, u64) {
        self.shared.counts()
    }

    /// What looks on, wherever the server itself is.
    pub fn watch(&self) -> ServerWatch {
        ServerWatch { shared: self.shared.clone(), protocol: self.protocol }
    }

    /// Accepts no more, lets each connection end what was received from it, and ends it; those that
    /// take longer than they may are cut off. Returns when all have ended.
    pub fn stop(&mut self) {
        let shared = &*self.shared;
        shared.stopping.store(true, Ordering::Relaxed);
        for (listener, _) in &self.listeners {
            listener.end();
        }
        for acceptor in self.acceptors.drain(..) {
            if acceptor.join().is_err() {
                warn!("a listener had panicked");
            }
        }
        for (_, address) in &self.listeners {
            if let Address::Unix(path) = address {
                // Somebody may have removed it before.
                let _ = fs::remove_file(path);
            }
        }
        let mut connections = shared.connections.lock();
        connections.closed = true;
        for (outbox, _) in connections.by_number.values() {
            outbox.wire().end(true, false);
        }
        drop(connections);
        if !shared.wait_for_none(shared.limits.drain) {
            let left: Vec<_> = shared.connections.lock().by_number.values().cloned().collect();
            warn!(connections = left.len(), "connections that do not end are cut off");
            left.iter().for_each(|(outbox, _)| outbox.end());
            shared.wait_for_none(shared.limits.drain);
        }
        self.listeners.clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.listeners.is_empty() {
            self.stop();
        }
    }
}

impl Shared {
    /// Waits until no connection is left; `false` if that takes longer.
    fn wait_for_none(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut connections = self.connections.lock();
        while !connections.by_number.is_empty() {
            let Some(left) = until.checked_duration_since(Instant::now()) else { return false };
            connections = self.fewer.wait_for(connections, left);
        }
        true
    }

    fn counts(&self) -> (u64, u64) {
        let connections = self.connections.lock();
        (connections.accepted, connections.refused)
    }

    /// Lets a connection in, if there may be one more; its number.
    fn enter(&self, outbox: &Outbox, about: &Arc<About>) -> Option<u64> {
        let mut connections = self.connections.lock();
        if connections.closed || connections.by_number.len() >= self.limits.connections {
            connections.refused += 1;
            return None;
        }
        connections.accepted += 1;
        let number = connections.accepted;
        connections.by_number.insert(number, (outbox.clone(), about.clone()));
        Some(number)
    }
}

/// The place of a connection among the others. Dropped, it is free, also after a panic.
struct Place {
    shared: Arc<Shared>,
    outbox: Outbox,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.outbox.end();
        self.shared.connections.lock().by_number.remove(&self.number);
        self.shared.fewer.notify_all();
    }
}

struct Acceptor<S> {
    shared: Arc<Shared>,
    listener: Arc<Listener>,
    address: Address,
    service: Arc<S>,
}

impl<S: Service> Acceptor<S> {
    fn run(&self) {
        while !self.shared.stopping.load(Ordering::Relaxed) {
            match self.listener.accept() {
                Ok((fd, peer)) => {
                    if let Err(error) = self.start(fd, &peer) {
                        warn!(protocol = S::NAME, peer, %error, "a connection is not served");
                    }
                }
                Err(_) if self.shared.stopping.load(Ordering::Relaxed) => return,
                // Whoever comes has gone already, or the process has too many files: the next may
                // do better, and not at once.
                Err(error) => {
                    warn!(protocol = S::NAME, %error, "cannot accept");
                    let connections = self.shared.connections.lock();
                    drop(self.shared.fewer.wait_for(connections, ACCEPT_AGAIN));
                }
            }
        }
    }

    fn start(&self, fd: OwnedFd, peer: &str) -> Result<(), NetError> {
        let limits = self.shared.limits;
        let socket = Socket::new(fd, &limits).map_err(NetError::Io)?;
        let outbox = Outbox::new(Box::new(socket), limits, self.shared.budget.clone());
        let about = Arc::new(About::of(peer));
        let Some(number) = self.shared.enter(&outbox, &about) else {
            info!(protocol = S::NAME, peer, "refused: too many connections");
            return Ok(());
        };
        let place = Place { shared: self.shared.clone(), outbox: outbox.clone(), number };
        let (stopping, local) = (self.shared.stopping.clone(), self.address.clone());
        let mut connection = Connection::new(outbox, limits, stopping, local, about);
        let service = self.service.clone();
        let thread = thread::Builder::new().name(format!("{}-{number}", S::NAME));
        let started = thread.spawn(move || {
            let _place = place;
            serve(&*service, &mut connection);
        });
        started.map(drop).map_err(NetError::Thread)
    }
}

fn serve<S: Service>(service: &S, connection: &mut Connection) {
    debug!(protocol = S::NAME, peer = connection.peer(), "connected");
    let served = service.serve(connection);
    let drained = connection.drain().map_err(S::Error::from);
    if drained.is_ok() {
        connection.finish();
    }
    match served.and(drained) {
        Ok(()) => debug!(protocol = S::NAME, peer = connection.peer(), "disconnected"),
        Err(error) => {
            info!(protocol = S::NAME, peer = connection.peer(), %error, "a connection ended");
        }
    }
}
