//! Hosts, and the answers they get.

use diptych_cha::{HostOp, HostReply};
use diptych_format::Time;
use std::fmt;

/// A request, numbered from 0 in the order of submission. Never used again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestNo(pub u64);

impl fmt::Display for RequestNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// Which.
    pub request: RequestNo,
    /// When the host sent it.
    pub submitted_at: Time,
    /// When it had its answer.
    pub answered_at: Time,
    /// The answer.
    pub reply: HostReply,
}

impl Answered {
    /// How long the host waited, in nanoseconds.
    pub fn latency_ns(&self) -> u64 {
        self.answered_at.ns_since(self.submitted_at)
    }
}

/// A host with one request under way at a time: each answer may lead to the next request. Several
/// requests at once are several hosts.
///
/// Closures are hosts:
///
/// ```
/// use diptych_cha::HostOp;
/// use diptych_format::{LdevId, Time};
/// use diptych_sim::{Answered, Host};
///
/// let mut left = 3;
/// let mut host = move |now: Time, _last: Option<&Answered>| {
///     left -= 1;
///     (left > 0).then_some((now + 1_000, HostOp::Flush { ldev: LdevId::new(0, 1) }))
/// };
/// let (at, _op) = host.next(Time::ZERO, None).unwrap();
/// assert_eq!(at, Time::from_ns(1_000));
/// ```
pub trait Host {
    /// The next request, and when it is sent (now, if that is over). `last` is the answer to the one
    /// before, `None` at the start. A host that answers `None` is done for good.
    fn next(&mut self, now: Time, last: Option<&Answered>) -> Option<(Time, HostOp)>;
}

impl<F: FnMut(Time, Option<&Answered>) -> Option<(Time, HostOp)>> Host for F {
    fn next(&mut self, now: Time, last: Option<&Answered>) -> Option<(Time, HostOp)> {
        self(now, last)
    }
}
