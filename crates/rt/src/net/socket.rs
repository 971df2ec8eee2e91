//! Sockets, TCP and Unix: listening, accepting, and the plain [`Wire`].

use super::{Address, NetError, NetLimits, Wire};
use diptych_sync::atomic::{AtomicBool, Ordering};
use diptych_sync::thread;
use rustix::buffer::spare_capacity;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::net::sockopt::{self, Timeout};
use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, sendmsg, shutdown};
use std::fs;
use std::io::{self, IoSlice};
use std::net::TcpListener;
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::{Duration, Instant};

/// A socket that accepts connections.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Listens, and says where: a port 0 has become a real one.
    pub(super) fn bind(address: &Address) -> Result<(Self, Address), NetError> {
        let failed = |source| NetError::Listen { address: address.clone(), source };
        match address {
            Address::Tcp(socket) => {
                let listener = TcpListener::bind(socket).map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                Ok((Self::Tcp(listener), Address::Tcp(bound)))
            }
            Address::Unix(path) => {
                let listener = match UnixListener::bind(path) {
                    // One that nobody listens on was left behind by a process that was killed.
                    Err(error)
                        if error.kind() == io::ErrorKind::AddrInUse
                            && UnixStream::connect(path).is_err() =>
                    {
                        fs::remove_file(path).and_then(|()| UnixListener::bind(path))
                    }
                    other => other,
                };
                Ok((Self::Unix(listener.map_err(failed)?), address.clone()))
            }
        }
    }

    /// Waits for a connection; says who it is.
    pub(super) fn accept(&self) -> io::Result<(OwnedFd, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nodelay(true)?;
                Ok((stream.into(), peer.to_string()))
            }
            Self::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                Ok((stream.into(), "unix".to_owned()))
            }
        }
    }

    /// Accepts no more: whoever waits in [`accept`](Self::accept) is told.
    pub(super) fn end(&self) {
        // It can only fail on what is no socket.
        let _ = match self {
            Self::Tcp(listener) => shutdown(listener, Shutdown::Both),
            Self::Unix(listener) => shutdown(listener, Shutdown::Both),
        };
    }
}

/// The wire of a connection: plain, until TLS is started.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    /// How long a peer that sends soon is waited for awake: to fall asleep and be woken takes longer than
    /// many a request.
    poll: Duration,
    /// The last time something came within that time. Only the thread that receives uses it.
    sends_soon: AtomicBool,
    #[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
    tls: std::sync::OnceLock<super::tls::Tls>,
}

impl Socket {
    /// A connected socket.
    pub(super) fn new(fd: OwnedFd, limits: &NetLimits) -> io::Result<Self> {
        sockopt::set_socket_timeout(&fd, Timeout::Send, Some(limits.stalled))?;
        Ok(Self {
            fd,
            poll: limits.poll,
            sends_soon: AtomicBool::new(false),
            #[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
            tls: std::sync::OnceLock::new(),
        })
    }

    fn receive_plain(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        debug_assert!(!into.spare_capacity_mut().is_empty());
        let mut receive =
            |flags| retry(|| recv(&self.fd, spare_capacity(into), flags).map(|(bytes, _)| bytes));
        if self.poll.is_zero() {
            return receive(RecvFlags::empty());
        }
        let began = Instant::now();
        while self.sends_soon.load(Ordering::Relaxed) && began.elapsed() < self.poll {
            match receive(RecvFlags::DONTWAIT) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => thread::yield_now(),
                done => return done,
            }
        }
        let received = receive(RecvFlags::empty());
        self.sends_soon.store(began.elapsed() < self.poll, Ordering::Relaxed);
        received
    }

    fn send_plain(&self, parts: &[IoSlice<'_>], wait: bool) -> io::Result<usize> {
        let flags = if wait { SendFlags::empty() } else { SendFlags::DONTWAIT };
        let flags = flags | SendFlags::NOSIGNAL;
        retry(|| sendmsg(&self.fd, parts, &mut SendAncillaryBuffer::default(), flags))
    }
}

/// Again and again while a signal comes between.
fn retry<T>(mut call: impl FnMut() -> Result<T, Errno>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return Ok(done?),
        }
    }
}

impl Wire for Socket {
    fn receive(&self, into: &mut Vec<u8>) -> io::Result<usize> {
        #[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
        if let Some(tls) = self.tls.get() {
            // What the session answers is short: the peer takes it, or has stalled.
            let send = |bytes: &[u8]| self.send_plain(&[IoSlice::new(bytes)], true);
            return tls.receive(into, |records| self.receive_plain(records), send);
        }
        self.receive_plain(into)
    }

    fn send(&self, parts: &[IoSlice<'_>], wait: bool) -> io::Result<usize> {
        #[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
        if let Some(tls) = self.tls.get() {
            return tls.send(parts, |bytes| self.send_plain(&[IoSlice::new(bytes)], wait));
        }
        self.send_plain(parts, wait)
    }

    #[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
    fn start_tls(&self, config: &super::TlsConfig) -> io::Result<()> {
        let tls = super::tls::Tls::new(config)?;
        self.tls.set(tls).map_err(|_| io::ErrorKind::AlreadyExists.into())
    }

    #[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
    fn finish(&self) {
        if let Some(tls) = self.tls.get() {
            // The peer may have gone.
            let _ = tls.finish(|bytes| self.send_plain(&[IoSlice::new(bytes)], false));
        }
    }

    fn set_patience(&self, patience: Option<Duration>) -> io::Result<()> {
        Ok(sockopt::set_socket_timeout(&self.fd, Timeout::Recv, patience)?)
    }

    fn is_left(&self) -> bool {
        let mut asked = [PollFd::new(&self.fd, PollFlags::RDHUP)];
        // Of a reset, and of an error, it tells unasked.
        let told = poll(&mut asked, Some(&Timespec::default()));
        told.is_ok_and(|count| count > 0)
    }

    fn end(&self, receiving: bool, sending: bool) {
        let how = match (receiving, sending) {
            (true, true) => Shutdown::Both,
            (true, false) => Shutdown::Read,
            (false, true) => Shutdown::Write,
            (false, false) => return,
        };
        // The peer may have ended it before.
        let _ = shutdown(&self.fd, how);
    }
}
