//! What can go wrong with connections.

use super::Address;
use std::io;

/// Why a server cannot start, or a connection ended.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: Address,
        /// What the system says.
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("a thread of the connections could not be started: {0}")]
    Thread(#[source] io::Error),
    /// The peer has closed the connection in the middle of a message.
    #[error("the peer closed the connection in the middle of a message")]
    Closed,
    /// The negotiation was not over in time.
    #[error("the negotiation was not over in time")]
    Late,
    /// The peer has begun a message and sent no more of it, or took nothing of what was sent.
    #[error("the peer has stalled")]
    Stalled,
    /// Nothing came for as long as a connection may be idle.
    #[error("nothing came for as long as a connection may be idle")]
    Idle,
    /// The connection was ended by the server.
    #[error("the server has ended the connection")]
    Ended,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[source] io::Error),
}

impl NetError {
    /// Whether the peer merely went away: nothing that anybody has to look at.
    pub fn is_departure(&self) -> bool {
        match self {
            Self::Closed | Self::Idle | Self::Ended => true,
            Self::Io(error) => {
                matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
            }
            Self::Listen { .. } | Self::Thread(_) | Self::Late | Self::Stalled => false,
        }
    }
}
