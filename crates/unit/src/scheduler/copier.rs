//! The copier of one pair: its lanes, its pace, and the tracks it has skipped.

use super::governor::{Governor, GovernorSettings, Situation};
use super::speed::{CopySpeed, HeldBy, HostsSeen, RateMeter};
use crate::host_waits::Tally;
use diptych_format::{LdevId, PairId, Time, TrackNo};
use diptych_shared::{Pace, PaceLimit, PairOptions};

/// Tracks of one pair that a lane remembers to have skipped.
const SKIPPED_MAX: usize = 64;
/// A lane queues for a track that it has skipped so often.
const SKIPS_BEFORE_QUEUEING: u8 = 3;
/// A lane that found every track busy looks again after this.
const BUSY_REST_NS: u64 = 10_000;

/// One turn of a lane: what it copies and what it noted at its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) pair: PairId,
    pub(crate) primary: LdevId,
    /// Tracks to copy, at most.
    pub(crate) tracks: u8,
    /// Whether hosts that wait for it are to be noted.
    pub(crate) watched: bool,
    activations: u64,
    pub(super) incarnation: u64,
}

/// How a turn ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TurnEnd {
    /// It copied.
    Copied,
    /// All tracks that are left were busy.
    Busy,
    /// Nothing is left to copy.
    Nothing,
    /// The pair is gone, or not to be copied now.
    Stopped,
}

/// What a lane says of its turn.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) end: TurnEnd,
    /// Tracks that it copied.
    pub(crate) tracks: u8,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Copier {
    pub(super) primary: LdevId,
    options: PairOptions,
    /// Lanes in a turn now.
    running: u8,
    /// No lane starts before this, and why not.
    not_before: Time,
    rests_for: HeldBy,
    /// There was nothing to copy when a lane last looked.
    idle: bool,
    /// Its copy has ended: its limit holds nothing back.
    rests: bool,
    /// Counts [`Copier::activate`], so that a lane that found nothing does not put to sleep a copier
    /// that was woken meanwhile.
    activations: u64,
    /// Tells this copier from one that was stopped before, of the same pair.
    pub(super) incarnation: u64,
    skipped: Vec<(TrackNo, u8)>,
    governor: Governor,
    meter: RateMeter,
    /// What the next turn waits for, since a lane was last to start.
    waits_for: Option<HeldBy>,
    held_by: HeldBy,
    seen: Tally,
}

impl Copier {
    pub(super) fn new(primary: LdevId, options: PairOptions, incarnation: u64) -> Self {
        Self {
            primary,
            options,
            running: 0,
            not_before: Time::ZERO,
            rests_for: HeldBy::Pace,
            idle: false,
            rests: false,
            activations: 0,
            incarnation,
            skipped: Vec::new(),
            governor: Governor::new(options.limit),
            meter: RateMeter::default(),
            waits_for: None,
            held_by: HeldBy::Nothing,
            seen: Tally::default(),
        }
    }

    /// It is to copy from now on.
    pub(super) fn start(&mut self, options: PairOptions) {
        self.skipped.clear();
        self.not_before = Time::ZERO;
        (self.idle, self.rests) = (false, false);
        self.activations += 1;
        self.change(options);
    }

    /// Other options.
    pub(super) fn change(&mut self, options: PairOptions) {
        self.options = options;
        if self.governor.set_limit(options.limit) {
            self.seen = Tally::default();
        }
    }

    /// Its copy has ended; the tally is the last of it.
    pub(super) fn rest(&mut self, tally: &Tally) {
        self.seen.add(tally);
        self.rests = true;
    }

    /// The longest that hosts may wait for it, if it has such a target.
    pub(super) fn target_ns(&self) -> Option<u64> {
        match self.governor.limit().filter(|_| !self.rests)? {
            PaceLimit::AddedLatencyNs(target_ns) => Some(target_ns.get()),
            PaceLimit::TracksPerSecond(_) => None,
        }
    }

    pub(super) fn has_limit(&self) -> bool {
        !self.rests && self.governor.limit().is_some()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.idle
    }

    /// There may be something to copy. Whether a lane has to be started for it.
    pub(super) fn activate(&mut self) -> bool {
        self.activations += 1;
        std::mem::take(&mut self.idle)
    }

    /// Hosts were served as the tally says since this was last called.
    pub(super) fn hear(&mut self, settings: &GovernorSettings, tally: &Tally, now: Time) {
        self.seen.add(tally);
        self.governor.hear(settings, tally, now);
    }

    /// Starts turns of all lanes that may begin one now. When to look again, if the time for the next
    /// has not come.
    pub(super) fn start_lanes(
        &mut self,
        pair: PairId,
        settings: &GovernorSettings,
        at: Situation,
        turns: &mut Vec<Turn>,
    ) -> Option<Time> {
        // 502: an elemental copy a lane.
        while self.running < self.options.lanes {
            let (ready, by) = self.governor.ready(settings, at);
            let rest = (self.not_before, self.rests_for);
            let (next, by) = if ready > self.not_before { (ready, by) } else { rest };
            if next > at.now {
                self.waits_for = Some(by);
                return Some(next);
            }
            self.held_by = self.waits_for.take().unwrap_or(HeldBy::Nothing);
            self.running += 1;
            turns.push(Turn {
                pair,
                primary: self.primary,
                tracks: self.governor.start(settings, at, self.options.pace.tracks()),
                watched: self.target_ns().is_some(),
                activations: self.activations,
                incarnation: self.incarnation,
            });
        }
        None
    }

    /// A lane's turn ended.
    ///
    /// It rests after what it copied, also when nothing is left: a pair that follows its primary is
    /// held to its pace by that.
    pub(super) fn turn_ended(&mut self, turn: Turn, ended: Ended, now: Time, rest_unit_ns: u64) {
        self.running = self.running.saturating_sub(1);
        self.governor.unused(turn.tracks.saturating_sub(ended.tracks));
        self.meter.count(ended.tracks.into(), now);
        let (rest_ns, rests_for) = match ended.end {
            _ if ended.tracks > 0 => (self.rest_ns(turn.tracks, rest_unit_ns), HeldBy::Pace),
            TurnEnd::Busy => (BUSY_REST_NS, HeldBy::BusyTracks),
            TurnEnd::Copied | TurnEnd::Nothing | TurnEnd::Stopped => (0, HeldBy::Pace),
        };
        (self.not_before, self.rests_for) = (now + rest_ns, rests_for);
        let nothing_left = matches!(ended.end, TurnEnd::Nothing | TurnEnd::Stopped);
        self.idle = nothing_left && self.activations == turn.activations;
    }

    /// The rest after a turn of so many tracks; a turn that the governor made shorter than the pace
    /// has its part of it.
    fn rest_ns(&self, tracks: u8, rest_unit_ns: u64) -> u64 {
        let pace = self.options.pace.tracks();
        let whole_ns = u64::from(Pace::FAST.tracks() - pace).saturating_mul(rest_unit_ns);
        let part_ns = || whole_ns.saturating_mul(tracks.into()) / u64::from(pace);
        if tracks < pace { part_ns() } else { whole_ns }
    }

    /// A lane met a track that is busy. Whether it is to queue for it.
    pub(super) fn skip(&mut self, track: TrackNo) -> bool {
        if let Some((_, count)) = self.skipped.iter_mut().find(|(t, _)| *t == track) {
            *count += 1;
            return *count > SKIPS_BEFORE_QUEUEING;
        }
        if self.skipped.len() == SKIPPED_MAX {
            self.skipped.remove(0); // somebody else may have copied it long ago
        }
        self.skipped.push((track, 1));
        false
    }

    /// A lane got a track that it may have skipped before.
    pub(super) fn unskip(&mut self, track: TrackNo) {
        self.skipped.retain(|(t, _)| *t != track);
    }

    pub(super) fn speed(&self, now: Time) -> CopySpeed {
        CopySpeed {
            tracks_per_second: self.meter.per_second(now),
            held_by: if self.idle { HeldBy::Idle } else { self.held_by },
            hosts: HostsSeen::of(&self.seen),
        }
    }
}
