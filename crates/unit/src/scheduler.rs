//! What runs in the background, and when: elemental copies and destages. Every deadline of the unit
//! is here.

use diptych_format::{LdevId, PairId, Time, TrackNo};
use diptych_shared::{Pace, PairOptions};
use diptych_sync::mutant;
use std::collections::BTreeMap;

/// Tracks of one pair that a lane remembers to have skipped.
const SKIPPED_MAX: usize = 64;
/// A lane queues for a track that it has skipped so often.
const SKIPS_BEFORE_QUEUEING: u8 = 3;
/// A lane that found every track busy looks again after this.
const BUSY_REST_NS: u64 = 10_000;

/// The copier of one pair.
#[derive(Debug)]
struct Copier {
    primary: LdevId,
    options: PairOptions,
    /// Lanes in a turn now.
    running: u8,
    /// No lane starts before this.
    not_before: Time,
    /// There was nothing to copy when a lane last looked.
    idle: bool,
    /// Counts [`Scheduler::activate`], so that a lane that found nothing does not put to sleep a
    /// copier that was woken meanwhile.
    activations: u64,
    /// Tells this copier from one that was stopped before, of the same pair.
    incarnation: u64,
    skipped: Vec<(TrackNo, u8)>,
}

/// One turn of a lane: what it copies and what it noted at its start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn {
    pub(crate) pair: PairId,
    pub(crate) primary: LdevId,
    pub(crate) pace: Pace,
    activations: u64,
    incarnation: u64,
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
    pub(crate) copied_any: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Scheduler {
    copiers: BTreeMap<PairId, Copier>,
    copiers_started: u64,
    destages_running: usize,
    /// Everything that became dirty up to this mark is to be destaged.
    destage_upto: Option<u64>,
    /// When what is dirty has waited long enough.
    destage_at: Option<Time>,
}

impl Scheduler {
    /// The pair is to be copied from now on, with these options.
    pub(crate) fn start(&mut self, pair: PairId, primary: LdevId, options: PairOptions) {
        self.copiers_started += 1;
        let incarnation = self.copiers_started;
        let copier = self.copiers.entry(pair).or_insert(Copier {
            primary,
            options,
            running: 0,
            not_before: Time::ZERO,
            idle: false,
            activations: 0,
            incarnation,
            skipped: Vec::new(),
        });
        copier.skipped.clear();
        copier.options = options;
        copier.not_before = Time::ZERO;
        copier.idle = false;
        copier.activations += 1;
    }

    /// Other options for a pair that may be under way.
    pub(crate) fn change(&mut self, pair: PairId, options: PairOptions) {
        if let Some(copier) = self.copiers.get_mut(&pair) {
            copier.options = options;
        }
    }

    /// The pair is not to be copied any more. A turn that is under way ends by itself.
    pub(crate) fn stop(&mut self, pair: PairId) {
        self.copiers.remove(&pair);
    }

    /// The pair may have something to copy. Whether a lane has to be started for it.
    pub(crate) fn activate(&mut self, pair: PairId) -> bool {
        let Some(copier) = self.copiers.get_mut(&pair) else { return false };
        copier.activations += 1;
        std::mem::take(&mut copier.idle)
    }

    /// Lanes that are to start now, and when to look again.
    pub(crate) fn lanes_due(&mut self, now: Time) -> (Vec<Turn>, Option<Time>) {
        let mut turns = Vec::new();
        let mut next: Option<Time> = None;
        for (pair, copier) in &mut self.copiers {
            if copier.idle {
                continue;
            }
            if copier.not_before > now {
                next = Some(next.map_or(copier.not_before, |t| t.min(copier.not_before)));
                continue;
            }
            // 502: an elemental copy a lane.
            while copier.running < copier.options.lanes {
                copier.running += 1;
                turns.push(Turn {
                    pair: *pair,
                    primary: copier.primary,
                    pace: copier.options.pace,
                    activations: copier.activations,
                    incarnation: copier.incarnation,
                });
            }
        }
        (turns, next)
    }

    /// A lane's turn ended.
    ///
    /// It rests after what it copied, also when nothing is left: a pair that follows its primary is
    /// held to its pace by that.
    pub(crate) fn turn_ended(&mut self, turn: Turn, ended: Ended, now: Time, rest_unit_ns: u64) {
        let of_turn = |copier: &&mut Copier| {
            copier.incarnation == turn.incarnation || mutant::removed("turn-of-this-copier")
        };
        let Some(copier) = self.copiers.get_mut(&turn.pair).filter(of_turn) else { return };
        copier.running = copier.running.saturating_sub(1);
        let pace_rest_ns =
            u64::from(Pace::FAST.tracks() - copier.options.pace.tracks()) * rest_unit_ns;
        let rest_ns = match ended.end {
            _ if ended.copied_any => pace_rest_ns,
            TurnEnd::Busy => BUSY_REST_NS,
            TurnEnd::Copied | TurnEnd::Nothing | TurnEnd::Stopped => 0,
        };
        copier.not_before = now + rest_ns;
        let nothing_left = matches!(ended.end, TurnEnd::Nothing | TurnEnd::Stopped);
        copier.idle = nothing_left && copier.activations == turn.activations;
    }

    /// A lane met a track that is busy. Whether it is to queue for it.
    pub(crate) fn skip(&mut self, pair: PairId, track: TrackNo) -> bool {
        let Some(copier) = self.copiers.get_mut(&pair) else { return false };
        if let Some((_, count)) = copier.skipped.iter_mut().find(|(t, _)| *t == track) {
            *count += 1;
            return *count > SKIPS_BEFORE_QUEUEING;
        }
        if copier.skipped.len() == SKIPPED_MAX {
            copier.skipped.remove(0); // somebody else may have copied it long ago
        }
        copier.skipped.push((track, 1));
        false
    }

    /// A lane got a track that it may have skipped before.
    pub(crate) fn unskip(&mut self, pair: PairId, track: TrackNo) {
        if let Some(copier) = self.copiers.get_mut(&pair) {
            copier.skipped.retain(|(t, _)| *t != track);
        }
    }

    /// Everything dirty up to `mark` is to be destaged now.
    pub(crate) fn destage_upto(&mut self, mark: u64) {
        self.destage_upto = Some(self.destage_upto.map_or(mark, |m| m.max(mark)));
    }

    /// The mark up to which everything is to be destaged.
    pub(crate) fn destage_mark(&self) -> Option<u64> {
        self.destage_upto
    }

    /// Everything that was to be destaged is clean.
    pub(crate) fn destaged(&mut self) {
        self.destage_upto = None;
    }

    /// Something is dirty: it is destaged at the latest `delay_ns` from now.
    pub(crate) fn dirty(&mut self, now: Time, delay_ns: u64) {
        self.destage_at.get_or_insert(now + delay_ns);
    }

    /// Whether the delay is over; it starts anew with the next write.
    pub(crate) fn delay_over(&mut self, now: Time) -> bool {
        let over = self.destage_at.is_some_and(|at| at <= now);
        if over {
            self.destage_at = None;
        }
        over
    }

    /// When the delay will be over.
    pub(crate) fn destage_at(&self) -> Option<Time> {
        self.destage_at
    }

    /// How many destage jobs to start so that `most` run, if there is work for them.
    pub(crate) fn start_destages(&mut self, most: usize) -> usize {
        let more = most.saturating_sub(self.destages_running);
        self.destages_running += more;
        more
    }

    /// A destage job ended.
    pub(crate) fn destage_ended(&mut self) {
        self.destages_running -= 1;
    }
}
