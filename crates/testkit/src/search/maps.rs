//! What is changed in memory, and so recorded: maps, statuses, and what hosts may expect from then on.

use super::rules::{BrokenRule, Rules};
use super::state::{Map, NONE, PairState, State, Status, bit};

impl Rules {
    /// What a host may expect changes, as long as it will be there after the crash.
    pub(super) fn expect(
        &self,
        state: &mut State,
        volume: usize,
        tracks: Map,
        from: Option<usize>,
    ) {
        if state.cut {
            return;
        }
        for track in (0..self.config.tracks).filter(|&track| tracks & bit(track) != 0) {
            let value = from.map_or(NONE, |from| state.expected[from][track]);
            state.expected[volume][track] = value;
        }
    }

    pub(super) fn unsettle(&self, state: &mut State, pair: usize, tracks: Map) {
        if !self.breaks(BrokenRule::SettlingSurvivesChange) {
            state.settling[pair] &= !tracks;
        }
        // Whoever compares only what settles now cannot tell a second copy from the first.
        if !self.breaks(BrokenRule::SettleClearsLaterCopies) {
            state.flushed[pair] &= state.settling[pair];
        }
    }

    /// Tracks are copied: the last one ends the copy.
    pub(super) fn clear_c(&self, state: &mut State, pair: usize, tracks: Map) {
        self.unsettle(state, pair, tracks);
        state.settling[pair] &= !tracks;
        state.pairs[pair].c &= !tracks;
        if state.pairs[pair].c == 0 {
            self.end_copy(state, pair);
        }
    }

    fn end_copy(&self, state: &mut State, pair: usize) {
        let all = self.all_tracks();
        let entry = &mut state.pairs[pair];
        match entry.status {
            Status::Copying | Status::Quick => entry.status = Status::Split,
            Status::Restoring => {
                let lacks =
                    if self.breaks(BrokenRule::RestoreForgetsWrites) { 0 } else { entry.dp };
                *entry = PairState { status: Status::Follows, c: lacks, dp: 0, ds: 0 };
                self.expect(state, self.ends(pair).1, all, None);
            }
            _ => {}
        }
    }

    /// Fig. 9: a volume is about to change, by a host or by a copy into it.
    pub(super) fn mark(&self, state: &mut State, volume: usize, track: usize) {
        let pairs: Vec<usize> = self.pairs_of(state, volume).collect();
        for pair in pairs {
            let entry = &mut state.pairs[pair];
            if entry.status == Status::Follows {
                entry.c |= bit(track);
            } else {
                entry.dp |= bit(track);
            }
            self.unsettle(state, pair, bit(track));
        }
    }

    /// Whether what a pair in 802 follows means nothing.
    pub(super) fn follows_nothing(&self, state: &State, pair: usize) -> bool {
        let primary = self.ends(pair).0;
        let above = self.pair_of_secondary(state, primary);
        state.undefined & bit(primary) != 0
            || above.is_some_and(|above| state.pairs[above].status != Status::Split)
    }

    /// Copying stops. What the secondary holds from now on is what it held, if it is equal.
    pub(super) fn suspend(&self, state: &mut State, pair: usize) {
        let (primary, secondary) = self.ends(pair);
        let nothing = self.follows_nothing(state, pair);
        let all = self.all_tracks();
        let entry = &mut state.pairs[pair];
        match entry.status {
            Status::Follows => {
                if nothing && !self.breaks(BrokenRule::SuspendTrustsFirstLevel) {
                    entry.c = all;
                }
                let lacks = entry.c;
                self.expect(state, secondary, all & !lacks, Some(primary));
                self.expect(state, secondary, lacks, None);
            }
            Status::Copying | Status::Quick => self.expect(state, secondary, all, None),
            _ => {}
        }
        state.pairs[pair].status = Status::Suspended;
        self.unsettle(state, pair, all);
        state.settling[pair] = 0;
    }

    /// A track of the target could not be written.
    pub(super) fn target_failed(&self, state: &mut State, pair: usize, track: usize) {
        let primary = self.ends(pair).0;
        let entry = &mut state.pairs[pair];
        match entry.status {
            Status::Restoring => {
                entry.dp |= entry.c;
                entry.c = 0;
                entry.status = Status::Suspended;
                state.undefined |= bit(primary);
                self.expect(state, primary, self.all_tracks(), None);
                self.unsettle(state, pair, self.all_tracks());
                state.settling[pair] = 0;
                return;
            }
            Status::Suspended => {}
            _ => self.suspend(state, pair),
        }
        state.pairs[pair].ds |= bit(track);
    }
}
