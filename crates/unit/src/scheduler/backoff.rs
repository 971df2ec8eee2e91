//! How far hosts have pushed a copy back that is not to make them wait.
//!
//! What is learned is the time between two tracks. A host's request that was *late*, because it waited
//! longer than the target for what a lane held or did, doubles it; the first does more. It is halved again by
//! [`ON_TIME_TO_HALVE`] requests that were not late, and by ten seconds: so slowly that in the long run
//! one request in so many, or one in ten seconds, is late. When no host was heard of for [`QUIET_NS`]
//! it is halved every second; the first host that comes back finds what was learned before.
//!
//! Pure: whoever asks says what time it is.

use crate::host_waits::Tally;
use diptych_format::Time;

/// A host's p99 stays below the target if fewer than one request in 100 is late. Three times as many,
/// since several hosts may be late for one track.
const ON_TIME_TO_HALVE: u64 = 300;
/// After so long without hosts a copy gets back to its pace within seconds.
const QUIET_NS: u64 = 10_000_000_000;
/// Time goes on in steps of this.
const STEP_NS: u64 = 100_000_000;
/// Steps that are worth counting: after these, nothing is left of what was learned.
const STEPS_MAX: u64 = 1 << 12;

/// So much of the interval goes with a step that 100 of them, ten seconds, halve it:
/// 1 / (1 - 2^(-1/100)).
const STEP_PART: u64 = 145;
/// As much with a step of quiet that 10 of them, a second, do: 1 / (1 - 2^(-1/10)).
const QUIET_STEP_PART: u64 = 15;
/// As much with a request on time that [`ON_TIME_TO_HALVE`] of them do: 1 / (1 - 2^(-1/300)).
const ON_TIME_PART: u64 = 433;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    interval_ns: u64,
    /// Up to when the steps of time are counted.
    passed: Time,
    /// When a host was last heard of.
    heard: Time,
    /// The interval before the quiet began that lasts now.
    before_quiet_ns: Option<u64>,
    /// When it was last doubled: who was late by then had met the old interval.
    doubled: Option<Time>,
}

impl Backoff {
    /// The time between two tracks, as of the last look.
    pub(super) fn interval_ns(&self) -> u64 {
        self.interval_ns
    }

    /// Time goes on, and hosts were served as the tally says while a track took `took_ns`.
    pub(super) fn look(&mut self, tally: &Tally, took_ns: u64, floor_ns: u64, now: Time) {
        self.pass(now);
        if tally.requests == 0 {
            return;
        }
        self.heard = now;
        if let Some(before_ns) = self.before_quiet_ns.take() {
            self.interval_ns = before_ns;
        }
        let on_time = tally.requests - tally.late;
        for _ in 0..on_time.min(16 * ON_TIME_TO_HALVE) {
            self.shrink(ON_TIME_PART);
        }
        if tally.late_since.is_some_and(|since| self.doubled.is_none_or(|at| since >= at)) {
            // An interval shorter than a track takes had no effect.
            let before_ns = self.interval_ns.max(took_ns).max(1);
            let longer_ns = before_ns.saturating_mul(2);
            // Nothing was learned yet: half-way to the floor, as a search in halves would.
            let first = self.doubled.is_none();
            let halfway_ns = if first { floor_ns.saturating_mul(before_ns).isqrt() } else { 0 };
            self.interval_ns = longer_ns.max(halfway_ns).min(floor_ns);
            self.doubled = Some(now);
        }
    }

    fn pass(&mut self, now: Time) {
        let steps = now.ns_since(self.passed) / STEP_NS;
        self.passed = self.passed + steps * STEP_NS;
        let quiet_steps = (now.ns_since(self.heard).saturating_sub(QUIET_NS) / STEP_NS).min(steps);
        for _ in 0..(steps - quiet_steps).min(STEPS_MAX) {
            self.shrink(STEP_PART);
        }
        if quiet_steps > 0 {
            self.before_quiet_ns.get_or_insert(self.interval_ns);
        }
        for _ in 0..quiet_steps.min(STEPS_MAX) {
            self.shrink(QUIET_STEP_PART);
        }
    }

    fn shrink(&mut self, part: u64) {
        self.interval_ns -= self.interval_ns.div_ceil(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write as _;

    const FLOOR_NS: u64 = 100_000_000;
    const SECOND_NS: u64 = 1_000_000_000;
    /// What a track takes here.
    const TOOK_NS: u64 = 1_000_000;

    struct Hosts {
        backoff: Backoff,
        now: Time,
    }

    impl Hosts {
        fn new() -> Self {
            Self { backoff: Backoff::default(), now: Time::from_ns(77 * SECOND_NS) }
        }

        /// So many requests in a time, spread evenly and looked at ten times; all late or none.
        fn serve(&mut self, requests: u64, late: bool, seconds: u64) -> u64 {
            for _ in 0..10 {
                self.now = self.now + seconds * SECOND_NS / 10;
                let tally = Tally {
                    requests: requests / 10,
                    late: if late { requests / 10 } else { 0 },
                    late_since: (late && requests > 0).then_some(self.now),
                    ..Tally::default()
                };
                self.backoff.look(&tally, TOOK_NS, FLOOR_NS, self.now);
            }
            self.backoff.interval_ns()
        }

        fn one_late(&mut self, since: Time) -> u64 {
            let tally = Tally { requests: 1, late: 1, late_since: Some(since), ..Tally::default() };
            self.backoff.look(&tally, TOOK_NS, FLOOR_NS, self.now);
            self.backoff.interval_ns()
        }
    }

    #[test]
    fn late_hosts_push_a_copy_to_the_floor_and_no_further() {
        let mut hosts = Hosts::new();
        let intervals: Vec<u64> = (0..6)
            .map(|_| {
                hosts.now = hosts.now + 1;
                hosts.one_late(hosts.now)
            })
            .collect();
        assert_eq!(intervals, [10, 20, 40, 80, 100, 100].map(|ms| ms * 1_000_000));
    }

    #[test]
    fn who_was_late_before_the_copy_was_slowed_down_does_not_slow_it_again() {
        let mut hosts = Hosts::new();
        let before = hosts.now;
        hosts.now = hosts.now + 5;
        assert_eq!(hosts.one_late(before), 10_000_000);
        assert_eq!(hosts.one_late(before), 10_000_000);
        assert_eq!(hosts.one_late(before + 4), 10_000_000);
        assert_eq!(hosts.one_late(before + 5), 20_000_000);
    }

    /// An interval shorter than a track takes does nothing, so the first late request after a long time
    /// does not just double it.
    #[test]
    fn it_is_the_real_rate_that_is_halved() {
        let mut hosts = Hosts::new();
        hosts.one_late(hosts.now);
        assert_eq!(hosts.serve(100_000, false, 1), 0);
        assert_eq!(hosts.one_late(hosts.now), 2 * TOOK_NS);
    }

    #[test]
    fn what_halves_the_interval() {
        let mut table = String::new();
        let mut row = |requests: u64, seconds: u64| {
            let mut hosts = Hosts::new();
            hosts.serve(0, false, 1);
            while hosts.one_late(hosts.now) < FLOOR_NS {
                hosts.now = hosts.now + 1;
            }
            let interval_us = hosts.serve(requests, false, seconds) / 1_000;
            let _ = writeln!(table, "{requests:>3} requests in {seconds:>2} s {interval_us:>8} us");
        };
        for (requests, seconds) in
            [(300, 0), (600, 0), (0, 10), (300, 10), (0, 11), (0, 14), (0, 20)]
        {
            row(requests, seconds);
        }
        insta::assert_snapshot!(table, @"
        300 requests in  0 s    49975 us
        600 requests in  0 s    24975 us
          0 requests in 10 s    50055 us
        300 requests in 10 s    25015 us
          0 requests in 11 s    25108 us
          0 requests in 14 s     3168 us
          0 requests in 20 s       50 us
        ");
    }

    #[test]
    fn after_a_quiet_time_hosts_find_what_was_learned() {
        let mut hosts = Hosts::new();
        let mut table = String::new();
        let mut row = |hosts: &Hosts, what: &str| {
            let interval_us = hosts.backoff.interval_ns() / 1_000;
            let _ = writeln!(table, "{interval_us:>7} us {what}");
        };
        while hosts.one_late(hosts.now) < FLOOR_NS {
            hosts.now = hosts.now + 1;
        }
        row(&hosts, "late");
        hosts.serve(0, false, 9);
        row(&hosts, "9 s later");
        hosts.serve(0, false, 8);
        row(&hosts, "17 s later");
        hosts.serve(10, false, 1);
        row(&hosts, "hosts are back");
        hosts.serve(0, false, 20);
        row(&hosts, "20 s later");
        hosts.one_late(hosts.now);
        row(&hosts, "late at once");
        insta::assert_snapshot!(table, @"
        100000 us late
         53641 us 9 s later
           399 us 17 s later
         45957 us hosts are back
            23 us 20 s later
         46008 us late at once
        ");
    }
}
