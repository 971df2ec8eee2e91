//! Virtual time.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

/// An instant, in nanoseconds since the unit was started. Drivers pass it in; no layer reads a clock.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time {
    /// Nanoseconds since the start.
    pub ns: u64,
}

impl Time {
    /// The start.
    pub const ZERO: Self = Self { ns: 0 };
    /// Later than anything that happens: 584 years.
    pub const MAX: Self = Self { ns: u64::MAX };

    /// `ns` nanoseconds after the start.
    pub const fn from_ns(ns: u64) -> Self {
        Self { ns }
    }

    /// Nanoseconds from `earlier` to here, 0 if it is not earlier.
    pub const fn ns_since(self, earlier: Self) -> u64 {
        self.ns.saturating_sub(earlier.ns)
    }
}

impl Add<u64> for Time {
    type Output = Self;

    /// `ns` nanoseconds later, at most [`Time::MAX`].
    fn add(self, ns: u64) -> Self {
        Self { ns: self.ns.saturating_add(ns) }
    }
}

impl Sub for Time {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.ns_since(earlier))
    }
}

impl fmt::Display for Time {
    /// Seconds with six decimals.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.ns / 1_000_000_000, self.ns % 1_000_000_000 / 1_000)
    }
}
