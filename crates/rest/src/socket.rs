//! Sockets to listen on, and the connections that come by them.

use crate::RestError;
use diptych_rt::net::Address;
use rustix::fs::{Mode, fchmod};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};
use std::fs;
use std::io;
use std::net::TcpListener as StdTcpListener;
use std::os::unix::net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// A socket that accepts, before a runtime has it.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

impl Bound {
    /// Listens, and says where: a port 0 has become a real one. A Unix socket is its owner's alone.
    pub(crate) fn at(address: &Address) -> Result<(Self, Address), RestError> {
        let failed = |source| RestError::Listen { address: address.clone(), source };
        match address {
            Address::Tcp(socket) => {
                let listener = StdTcpListener::bind(socket).map_err(failed)?;
                listener.set_nonblocking(true).map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                Ok((Self::Tcp(listener), Address::Tcp(bound)))
            }
            Address::Unix(path) => {
                let listener = match bind_unix(path) {
                    // One that nobody listens on was left behind by a process that was killed.
                    Err(error)
                        if error.kind() == io::ErrorKind::AddrInUse
                            && StdUnixStream::connect(path).is_err() =>
                    {
                        fs::remove_file(path).and_then(|()| bind_unix(path))
                    }
                    other => other,
                };
                Ok((Self::Unix(listener.map_err(failed)?), address.clone()))
            }
        }
    }

    /// For the runtime that this is called in.
    pub(crate) fn into_listener(self) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp(listener) => Listener::Tcp(TcpListener::from_std(listener)?),
            Self::Unix(listener) => Listener::Unix(UnixListener::from_std(listener)?),
        })
    }
}

/// The mode is the socket's before it has a name: nobody else ever finds it open.
fn bind_unix(path: &Path) -> io::Result<StdUnixListener> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    fchmod(&fd, Mode::RUSR | Mode::WUSR)?;
    bind(&fd, &SocketAddrUnix::new(path)?)?;
    listen(&fd, BACKLOG)?;
    Ok(StdUnixListener::from(fd))
}

/// A socket that accepts connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Waits for a connection.
    pub(crate) async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(listener) => Ok(Stream::Unix(listener.accept().await?.0)),
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The same of either kind.
macro_rules! of_either {
    ($stream:expr, $inner:ident => $call:expr) => {
        match $stream.get_mut() {
            Stream::Tcp($inner) => $call,
            Stream::Unix($inner) => $call,
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        of_either!(self, inner => Pin::new(inner).poll_read(context, into))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[u8],
    ) -> Poll<io::Result<usize>> {
        of_either!(self, inner => Pin::new(inner).poll_write(context, from))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_either!(self, inner => Pin::new(inner).poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        of_either!(self, inner => Pin::new(inner).poll_shutdown(context))
    }
}
