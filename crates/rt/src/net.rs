//! Connections of hosts: what every protocol needs, whatever it says on them.
//!
//! ```text
//!   listener ──▶ Server ──▶ a thread a connection ──▶ Service::serve
//!                                │ header, payload         │ begin: a request is under way
//!                                ▼                         ▼
//!                              inbox                    Pending ──▶ answered here, or by a worker
//!                                                          │
//!                               socket ◀── one write ── outbox
//! ```
//!
//! A connection's own thread takes what was received, parses every request in it and hands each to
//! [`Rt::submit`](crate::Rt::submit). What the cache serves is answered on that thread, into the outbox.
//! When nothing is left of what was received, one vectored write sends all that is there: that is a
//! *batch*. Answers that come later are sent by the worker that has them, without waiting; what the
//! socket does not take at once is left to the connection's writer, a thread that exists only where it
//! was needed.
//!
//! Invariants:
//! - A request's answer blocks nobody: it goes into the outbox, and who puts it there never waits.
//! - Memory is bounded: by [`NetLimits`] a connection, by a [`Budget`] all of them together, and before
//!   the negotiation is over by a few KiB.
//! - One thread at a time sends. What was put into the outbox is sent, or the connection has ended.
//! - A connection that ends, fails or is too slow touches no other.
//! - Nothing here knows a protocol. No length that came from outside is believed: the service says how
//!   much it wants, and bounds that.

mod address;
mod budget;
mod connection;
mod error;
mod inbox;
mod limits;
mod outbox;
mod parts;
mod server;
mod socket;
#[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
mod tls;
mod wire;

pub use address::{Address, AddressError};
pub use budget::Budget;
pub use connection::{Connection, Ender, Pending};
pub use error::NetError;
pub use limits::NetLimits;
pub use parts::{Filling, Part};
pub use server::{ConnectionInfo, Server, ServerWatch, Service};
#[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
pub use tls::{TlsConfig, TlsError};
pub use wire::Wire;
