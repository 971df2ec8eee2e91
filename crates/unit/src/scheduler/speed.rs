//! How fast a pair is copied, and what holds it back.

use crate::host_waits::Tally;
use diptych_format::Time;
use std::fmt;

const WINDOW_NS: u64 = 1_000_000_000;

/// What the lanes of a pair last waited for before they went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HeldBy {
    /// Nothing: the drives are as fast as this.
    Nothing,
    /// There is nothing to copy now.
    Idle,
    /// The rest after an elemental copy.
    Pace,
    /// All tracks that are left are in use by others.
    BusyTracks,
    /// The ceiling of tracks a second.
    Ceiling,
    /// Hosts waited longer than the target of added latency.
    Hosts,
    /// The cache is near its write-pending limit.
    WritePending,
}

impl fmt::Display for HeldBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing",
            Self::Idle => "nothing to copy",
            Self::Pace => "pace",
            Self::BusyTracks => "busy tracks",
            Self::Ceiling => "ceiling",
            Self::Hosts => "hosts",
            Self::WritePending => "write pending",
        })
    }
}

/// How fast a pair is copied now; see [`Unit::copy_speed`](crate::Unit::copy_speed).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CopySpeed {
    /// Tracks copied in the last second. Those that hosts had copied before a write do not count.
    pub tracks_per_second: f64,
    /// What it is that holds the copy back.
    pub held_by: HeldBy,
    /// What hosts had of it. Noted of pairs with a target of added latency, since they have it.
    pub hosts: HostsSeen,
}

/// Hosts' requests that met the lanes of a pair, or would have met them: reads that went to a drive
/// which the lanes use, and whatever waited for a track that a lane held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostsSeen {
    /// How many there were.
    pub requests: u64,
    /// Those that waited for the lanes longer than the target.
    pub late: u64,
    /// How long they waited for the lanes, all together.
    pub waited_ns: u64,
    /// The longest of these waits.
    pub worst_ns: u64,
}

impl HostsSeen {
    pub(super) fn of(tally: &Tally) -> Self {
        let Tally { requests, late, waited_ns, worst_ns, .. } = *tally;
        Self { requests, late, waited_ns, worst_ns }
    }

    /// The mean wait, in nanoseconds.
    pub fn mean_ns(&self) -> u64 {
        self.waited_ns.checked_div(self.requests).unwrap_or(0)
    }
}

/// Counts tracks over the last second: the window that is over and the one that has begun, the first
/// by the part of it that is not older than a second.
#[derive(Debug, Clone, Default)]
pub(super) struct RateMeter {
    begun: Option<Time>,
    count: u64,
    before: u64,
    /// Whether the first window is over.
    known: bool,
}

impl RateMeter {
    pub(super) fn count(&mut self, tracks: u64, now: Time) {
        self.turn(now);
        self.count += tracks;
    }

    pub(super) fn per_second(&self, now: Time) -> f64 {
        let mut meter = self.clone();
        let part = now.ns_since(meter.turn(now)) as f64 / WINDOW_NS as f64;
        if meter.known {
            meter.before as f64 * (1.0 - part) + meter.count as f64
        } else if part > 0.0 {
            meter.count as f64 / part
        } else {
            0.0
        }
    }

    /// Begins the window of `now`; when it began.
    fn turn(&mut self, now: Time) -> Time {
        let mut begun = *self.begun.get_or_insert(now);
        let windows = now.ns_since(begun) / WINDOW_NS;
        if windows > 0 {
            self.before = if windows == 1 { self.count } else { 0 };
            self.count = 0;
            self.known = true;
            begun = begun + windows * WINDOW_NS;
            self.begun = Some(begun);
        }
        begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_that_of_the_last_second() {
        let mut meter = RateMeter::default();
        let ms = |ms: u64| Time::from_ns(5_000_000_000 + ms * 1_000_000);
        let check = |meter: &RateMeter, at: u64, expected: f64| {
            let rate = meter.per_second(ms(at));
            assert!((rate - expected).abs() < 1e-6, "after {at} ms: {rate}, not {expected}");
        };
        check(&meter, 0, 0.0);
        // 100 a second for half a second: said as soon as there is something to say.
        (0..50).for_each(|n| meter.count(1, ms(10 * n)));
        check(&meter, 500, 100.0);
        (50..250).for_each(|n| meter.count(1, ms(10 * n)));
        check(&meter, 2_500, 100.0);
        // Nothing more: a second later nothing is left of it.
        check(&meter, 3_000, 50.0);
        check(&meter, 3_500, 25.0);
        check(&meter, 4_000, 0.0);
        check(&meter, 100_000, 0.0);
        meter.count(3, ms(100_000));
        check(&meter, 100_000, 3.0);
    }

    #[test]
    fn a_mean_of_nothing() {
        assert_eq!(HostsSeen::default().mean_ns(), 0);
        let seen = HostsSeen { requests: 3, waited_ns: 10, ..HostsSeen::default() };
        assert_eq!(seen.mean_ns(), 3);
    }
}
