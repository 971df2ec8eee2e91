//! The governor of one copier: how soon the next track of a pair with a limit may be copied.
//!
//! Its pace says how much a pair copies at a time and how long it rests then; the governor comes on
//! top. Between two tracks, whatever lane copies them, lies an interval, the longest of three:
//!
//! - the **ceiling**: a second over the tracks a second. What a late start lost is made up for within
//!   [`BURST_NS`], so the rate is kept over any longer time and is never more than that ahead;
//! - what **hosts** taught ([`Backoff`]), if the pair has a target of added latency;
//! - **write pending**: nothing up to one mark of the cache's write-pending limit, then more in
//!   proportion, and the floor from a second mark on.
//!
//! The last two are never longer than the floor's interval: a copy under constant load ends.
//!
//! Pure: whoever asks says what time it is, and how the cache stands.

use super::{Backoff, HeldBy};
use crate::host_waits::Tally;
use diptych_format::Time;
use diptych_shared::PaceLimit;

/// So far a copy with a ceiling may be behind, and catch up.
const BURST_NS: u64 = 100_000_000;
const SECOND_NS: u64 = 1_000_000_000;

/// What governors go by, of the unit's settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GovernorSettings {
    /// The interval of a copy that is held back as far as can be.
    pub(crate) floor_ns: u64,
    /// Percent of the write-pending limit from which on copies slow down.
    pub(crate) slows_at_percent: u8,
    /// Percent of it from which on they go at the floor.
    pub(crate) floor_at_percent: u8,
}

/// An instant, and how the cache stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Situation {
    pub(crate) now: Time,
    /// Percent of the write-pending limit in use.
    pub(crate) pending_percent: u8,
}

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Governor {
    limit: Option<PaceLimit>,
    backoff: Backoff,
    /// The tracks started at `start` are to be waited for from here, each an interval.
    paid: Time,
    owed_tracks: u64,
    /// When a track was last started; `None` before the first.
    start: Option<Time>,
    /// From one track's start to the next, smoothed.
    took_ns: u64,
}

impl Governor {
    pub(super) fn new(limit: Option<PaceLimit>) -> Self {
        Self { limit, ..Self::default() }
    }

    /// Another limit; nothing of what the last one taught stays. `false`: it is the same.
    pub(super) fn set_limit(&mut self, limit: Option<PaceLimit>) -> bool {
        let other = self.limit != limit;
        if other {
            *self = Self::new(limit);
        }
        other
    }

    pub(super) fn limit(&self) -> Option<PaceLimit> {
        self.limit
    }

    /// Time has gone on, and hosts were served as the tally says.
    pub(super) fn hear(&mut self, settings: &GovernorSettings, tally: &Tally, now: Time) {
        if matches!(self.limit, Some(PaceLimit::AddedLatencyNs(_))) {
            self.backoff.look(tally, self.took_ns, settings.floor_ns, now);
        }
    }

    /// When the next track may start, and why not before.
    pub(super) fn ready(&self, settings: &GovernorSettings, at: Situation) -> (Time, HeldBy) {
        if self.limit.is_none() {
            return (Time::ZERO, HeldBy::Nothing);
        }
        let (interval_ns, by) = self.interval(settings, at.pending_percent);
        (self.ready_after(interval_ns), by)
    }

    /// Tracks start now, at most `most` of them: how many, at least one. It is ready.
    pub(super) fn start(&mut self, settings: &GovernorSettings, at: Situation, most: u8) -> u8 {
        let Some(limit) = self.limit else { return most };
        let (interval_ns, by) = self.interval(settings, at.pending_percent);
        let late_start = by == HeldBy::Ceiling && self.start.is_some();
        let burst_ns = if late_start { BURST_NS } else { 0 };
        let earliest = Time::from_ns(at.now.ns.saturating_sub(burst_ns));
        self.paid = self.ready_after(interval_ns).max(earliest);
        let behind_ns = at.now.ns_since(self.paid);
        let tracks = match limit {
            // One at a time: hosts are heard after each.
            PaceLimit::AddedLatencyNs(_) => 1,
            PaceLimit::TracksPerSecond(_) => {
                let due = behind_ns.checked_div(interval_ns).map_or(u64::MAX, |n| n + 1);
                u8::try_from(due).map_or(most, |due| due.min(most))
            }
        };
        if let Some(before) = self.start.filter(|_| self.owed_tracks > 0) {
            let gap_ns = at.now.ns_since(before).min(settings.floor_ns) / self.owed_tracks;
            let took_ns = if self.took_ns == 0 { gap_ns } else { self.took_ns };
            self.took_ns = took_ns - took_ns / 8 + gap_ns / 8;
        }
        self.start = Some(at.now);
        self.owed_tracks = tracks.into();
        tracks
    }

    /// So many of the tracks that were started last were not there to be copied.
    pub(super) fn unused(&mut self, tracks: u8) {
        self.owed_tracks = self.owed_tracks.saturating_sub(tracks.into());
    }

    fn ready_after(&self, interval_ns: u64) -> Time {
        self.paid + interval_ns.saturating_mul(self.owed_tracks)
    }

    fn interval(&self, settings: &GovernorSettings, pending_percent: u8) -> (u64, HeldBy) {
        let ceiling_ns = match self.limit {
            Some(PaceLimit::TracksPerSecond(tracks)) => SECOND_NS / u64::from(tracks.get()),
            Some(PaceLimit::AddedLatencyNs(_)) | None => 0,
        };
        let hosts_ns = self.backoff.interval_ns().min(settings.floor_ns);
        let pending_ns = settings.pending_interval_ns(pending_percent);
        let all = [
            (0, HeldBy::Nothing),
            (ceiling_ns, HeldBy::Ceiling),
            (hosts_ns, HeldBy::Hosts),
            (pending_ns, HeldBy::WritePending),
        ];
        // Of equal ones the first: the ceiling is what the operator asked for.
        all.into_iter().rev().max_by_key(|(interval_ns, _)| *interval_ns).expect("four of them")
    }
}

impl GovernorSettings {
    fn pending_interval_ns(&self, percent: u8) -> u64 {
        let above = u64::from(percent.saturating_sub(self.slows_at_percent));
        let band = u64::from(self.floor_at_percent - self.slows_at_percent);
        (self.floor_ns.saturating_mul(above) / band).min(self.floor_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::num::{NonZeroU32, NonZeroU64};

    const SETTINGS: GovernorSettings =
        GovernorSettings { floor_ns: 100_000_000, slows_at_percent: 60, floor_at_percent: 80 };
    const BEGIN: Time = Time::from_ns(1_234_567_890);

    fn ceiling(tracks: u32) -> Governor {
        Governor::new(NonZeroU32::new(tracks).map(PaceLimit::TracksPerSecond))
    }

    fn target(target_ns: u64) -> Governor {
        Governor::new(NonZeroU64::new(target_ns).map(PaceLimit::AddedLatencyNs))
    }

    fn at(now: Time) -> Situation {
        Situation { now, pending_percent: 0 }
    }

    /// Starts whenever it may from `now` to `until`, `most` at a time, each start so much too late. How
    /// many tracks started, and the most that did within any second.
    fn run(
        governor: &mut Governor,
        mut now: Time,
        until: Time,
        most: u8,
        mut late_ns: impl FnMut() -> u64,
    ) -> (u64, u64) {
        let (mut all, mut most_in_a_second) = (0, 0);
        let mut window: VecDeque<(Time, u64)> = VecDeque::new();
        let mut in_window = 0;
        loop {
            now = governor.ready(&SETTINGS, at(now)).0.max(now) + late_ns();
            if now >= until {
                return (all, most_in_a_second);
            }
            let tracks = u64::from(governor.start(&SETTINGS, at(now), most));
            all += tracks;
            window.push_back((now, tracks));
            in_window += tracks;
            while window.front().is_some_and(|(start, _)| now.ns_since(*start) >= SECOND_NS) {
                in_window -= window.pop_front().expect("there is a front").1;
            }
            most_in_a_second = in_window.max(most_in_a_second);
        }
    }

    #[test]
    fn a_ceiling_is_kept_to_the_track() {
        let check = |tracks: u32, most: u8, late_ns: u64, expected: (u64, u64)| {
            let mut governor = ceiling(tracks);
            let until = BEGIN + 60 * SECOND_NS;
            let mut odd = 0;
            let late = || {
                odd = (odd * 7 + 3) % 11;
                late_ns * odd / 10
            };
            let run = run(&mut governor, BEGIN, until, most, late);
            assert_eq!(run, expected, "{tracks}/s, {most} at a time, up to {late_ns} ns late");
        };
        // On time, one track each interval.
        check(1, 1, 0, (60, 1));
        check(7, 3, 0, (421, 8));
        check(1_000, 15, 0, (60_000, 1_000));
        // Late by 7 ms: the rate is kept all the same, in larger turns.
        check(100, 15, 7_000_000, (6_000, 100));
        check(1_000, 15, 7_000_000, (59_992, 1_006));
        // One at a time, 7 ms late each: 250 a second is all there is.
        check(1_000, 1, 7_000_000, (17_144, 288));
    }

    #[test]
    fn a_second_has_at_most_the_ceiling_and_what_a_tenth_is_behind() {
        let tracks = 200;
        let mut governor = ceiling(tracks);
        let mut now = BEGIN;
        let mut random: u64 = 1;
        for _ in 0..50 {
            let until = now + SECOND_NS * 3;
            let late = || {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (random >> 33) % 60_000_000
            };
            let (_, most) = run(&mut governor, now, until, 15, late);
            assert!(most <= u64::from(tracks) * 11 / 10 + 1, "{most}");
            now = until + 10 * SECOND_NS; // nothing to copy
        }
    }

    #[test]
    fn tracks_that_were_not_there_are_not_paid_for() {
        let mut governor = ceiling(10);
        assert_eq!(governor.start(&SETTINGS, at(BEGIN), 15), 1);
        let next = BEGIN + 100_000_000;
        assert_eq!(governor.ready(&SETTINGS, at(BEGIN)), (next, HeldBy::Ceiling));
        governor.unused(1);
        assert_eq!(governor.ready(&SETTINGS, at(BEGIN)), (BEGIN, HeldBy::Ceiling));
    }

    #[test]
    fn write_pending_holds_copies_back_down_to_the_floor() {
        let check = |mut governor: Governor, percent: u8, expected: (u64, HeldBy)| {
            let situation = Situation { now: BEGIN, pending_percent: percent };
            governor.start(&SETTINGS, situation, 1);
            let (next, by) = governor.ready(&SETTINGS, situation);
            assert_eq!((next.ns_since(BEGIN) / 1_000, by), expected, "{percent} %");
        };
        check(target(1), 0, (0, HeldBy::Nothing));
        check(target(1), 60, (0, HeldBy::Nothing));
        check(target(1), 61, (5_000, HeldBy::WritePending));
        check(target(1), 70, (50_000, HeldBy::WritePending));
        check(target(1), 80, (100_000, HeldBy::WritePending));
        check(target(1), 100, (100_000, HeldBy::WritePending));
        check(ceiling(100), 61, (10_000, HeldBy::Ceiling));
        check(ceiling(100), 62, (10_000, HeldBy::Ceiling));
        check(ceiling(100), 63, (15_000, HeldBy::WritePending));
        // A ceiling below the floor is what was asked for.
        check(ceiling(2), 100, (500_000, HeldBy::Ceiling));
        check(Governor::new(None), 100, (0, HeldBy::Nothing));
    }

    /// What held a copy back a moment ago does not hold it back now.
    #[test]
    fn it_recovers_as_soon_as_the_cache_does() {
        let mut governor = ceiling(1_000);
        let full = Situation { now: BEGIN, pending_percent: 100 };
        governor.start(&SETTINGS, full, 15);
        assert_eq!(governor.ready(&SETTINGS, full).0, BEGIN + SETTINGS.floor_ns);
        let now = BEGIN + 2_000_000;
        assert_eq!(governor.ready(&SETTINGS, at(now)).0, BEGIN + 1_000_000);
        // Two tracks are due by now, and a third.
        assert_eq!(governor.start(&SETTINGS, at(now), 15), 2);
    }

    #[test]
    fn a_late_host_has_the_next_track_wait() {
        let mut governor = target(500_000);
        let mut now = BEGIN;
        for _ in 0..20 {
            assert_eq!(governor.ready(&SETTINGS, at(now)).1, HeldBy::Nothing);
            assert_eq!(governor.start(&SETTINGS, at(now), 15), 1, "one at a time");
            now = now + 1_000_000;
        }
        let late = Tally { requests: 1, late: 1, late_since: Some(now), ..Tally::default() };
        governor.hear(&SETTINGS, &late, now);
        let (next, by) = governor.ready(&SETTINGS, at(now));
        assert_eq!((next.ns_since(now), by), (9_000_000, HeldBy::Hosts));
        // A ceiling instead: nothing is left of it.
        assert!(governor.set_limit(NonZeroU32::new(1).map(PaceLimit::TracksPerSecond)));
        assert!(governor.ready(&SETTINGS, at(now)).0 <= now);
        assert!(!governor.set_limit(governor.limit()));
    }
}
