//! What connections may take.

use std::time::Duration;

/// Limits of a [`Server`](super::Server) and of each of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NetLimits {
    /// Connections at once. One more is closed as soon as it is accepted.
    pub connections: usize,
    /// Time that a connection has for its negotiation.
    pub negotiation: Duration,
    /// A peer that has begun a message and sends nothing more for so long, or takes nothing of what is
    /// sent to it, loses its connection.
    pub stalled: Duration,
    /// A connection on which nothing comes for so long ends; `None`: it may be idle for ever.
    pub idle: Option<Duration>,
    /// Requests under way on a connection. Further ones are not read until one is answered.
    pub requests: usize,
    /// Bytes of the requests under way on a connection and of the answers that were not sent yet.
    /// Further requests are not read until there is room; one that is larger is served alone.
    pub bytes: usize,
    /// How long a peer that answered within this time is waited for awake, at the cost of a processor
    /// that has nothing else to do; 0: never.
    pub poll: Duration,
    /// Time that connections have to end what is under way when the server stops.
    pub drain: Duration,
}

impl Default for NetLimits {
    /// 100 connections of 512 requests and 16 MiB; 10 seconds to negotiate, 30 for a peer that has
    /// stalled, 10 to drain, idle for ever; 50 microseconds awake.
    fn default() -> Self {
        Self {
            connections: 100,
            negotiation: Duration::from_secs(10),
            stalled: Duration::from_secs(30),
            idle: None,
            requests: 512,
            bytes: 16 << 20,
            poll: Duration::from_micros(50),
            drain: Duration::from_secs(10),
        }
    }
}
