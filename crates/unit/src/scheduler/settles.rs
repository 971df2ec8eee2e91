//! Which pairs have tracks that settle: written to the target's drive, and not flushed yet.

use diptych_format::{LdevId, PairId, Time, TrackNo};
use std::collections::{BTreeMap, BTreeSet};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Settles(BTreeMap<PairId, Settle>);

#[derive(Debug)]
struct Settle {
    primary: LdevId,
    /// When its tracks have waited long enough for others to share their flush.
    at: Time,
    running: bool,
    /// What began to settle while a flush was under way: that flush is not for it.
    fresh: BTreeSet<TrackNo>,
}

impl Settles {
    /// A track of the pair settles. Whether a job has to be planned for it.
    pub(super) fn add(&mut self, pair: PairId, primary: LdevId, track: TrackNo, at: Time) -> bool {
        let new = !self.0.contains_key(&pair);
        let new_settle = || Settle { primary, at, running: false, fresh: BTreeSet::new() };
        let settle = self.0.entry(pair).or_insert_with(new_settle);
        if settle.running {
            settle.fresh.insert(track);
        }
        new
    }

    /// Begins to settle a pair, if it has tracks that settle and nobody does it already.
    pub(super) fn begin(&mut self, pair: PairId) -> bool {
        match self.0.get_mut(&pair) {
            Some(settle) if !settle.running => {
                settle.running = true;
                true
            }
            _ => false,
        }
    }

    /// The pairs whose time has come, begun, and when to look again.
    pub(super) fn due(&mut self, now: Time) -> (Vec<(PairId, LdevId)>, Option<Time>) {
        let mut due = Vec::new();
        for (pair, settle) in &mut self.0 {
            if !settle.running && settle.at <= now {
                settle.running = true;
                due.push((*pair, settle.primary));
            }
        }
        let waiting = self.0.values().filter(|settle| !settle.running);
        (due, waiting.map(|settle| settle.at).min())
    }

    /// Whether a track began to settle while the flush was under way.
    pub(super) fn is_fresh(&self, pair: PairId, track: TrackNo) -> bool {
        self.0.get(&pair).is_some_and(|settle| settle.fresh.contains(&track))
    }

    /// A flush and its record are done, or given up. What is left is looked at again `at`.
    pub(super) fn ended(&mut self, pair: PairId, at: Option<Time>) {
        match (self.0.get_mut(&pair), at) {
            (Some(settle), Some(at)) => {
                settle.fresh.clear();
                (settle.at, settle.running) = (at, false);
            }
            _ => drop(self.0.remove(&pair)),
        }
    }
}
