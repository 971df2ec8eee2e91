//! All that can happen in a state, what has to hold in each, and which states are one.

use super::action::Action;
use super::rules::Rules;
use super::state::{Job, NONE, State, Status, TORN, bit, same};
use std::cell::Cell;

/// Takes what happens, the state after it, and what is wrong with it, if that can be told already.
pub(super) type Emit<'a> = dyn FnMut(Action, State, Option<&'static str>) + 'a;

impl Rules {
    /// Everything that can happen in a state.
    pub(super) fn next(&self, state: &State, emit: &mut Emit<'_>) {
        let goes_on = Cell::new(false);
        let mut emit = |action: Action, mut next: State, wrong: Option<&'static str>| {
            goes_on.set(goes_on.get() || action.is_progress());
            self.forget(&mut next);
            next.renumber();
            emit(action, next, wrong);
        };
        for track in 0..self.config.tracks {
            self.job(state, track, &mut emit);
        }
        self.unit(state, &mut emit);
        let ends = goes_on.get() || state.cut || !self.has_work(state);
        self.hosts(state, &mut emit);
        self.commands(state, &mut emit);
        self.crashes(state, &mut emit);
        if !ends {
            emit(Action::Cut, *state, Some("I6: there is work, and nothing goes on"));
        }
    }

    /// Somebody holds a claim, or a track is to be copied that can be read.
    fn has_work(&self, state: &State) -> bool {
        let reads = |pair: usize, track: usize| {
            !self.lacks(state, pair, track)
                && state.stored(self.target_and_source(state, pair).1, track) != TORN
        };
        let copies = |pair: usize| {
            let entry = state.pairs[pair];
            let mut tracks = (0..self.config.tracks).filter(|&track| entry.c & bit(track) != 0);
            entry.status.is_copying() && tracks.any(|track| reads(pair, track))
        };
        !Self::idle(state) || (0..self.config.pairs()).any(copies)
    }

    /// What a state violates, if anything.
    pub(super) fn wrong(&self, state: &State) -> Option<&'static str> {
        for pair in 0..self.config.pairs() {
            if let Some(wrong) = self.wrong_maps(state, pair) {
                return Some(wrong);
            }
        }
        // What happens after the cut happens before it too; only the log does not know of it.
        if state.cut {
            return None;
        }
        for track in 0..self.config.tracks {
            for volume in 0..self.config.volumes() {
                let expected = state.expected[volume][track];
                let read = self.hit(state, volume, track);
                if expected != NONE && read.is_some_and(|read| !same(read, expected)) {
                    return Some("I1: a read hits what is not the volume's content");
                }
                if expected == NONE && self.means_something(state, volume) {
                    return Some("I5: a volume counts as defined and holds nobody's data");
                }
                let idle = state.jobs[track] == Job::None;
                if idle && expected != NONE && !same(self.content(state, volume, track), expected) {
                    return Some(self.lost(state, volume));
                }
            }
            if state.jobs[track] == Job::None && !self.differences_are_marked(state, track) {
                return Some("I2: primary and secondary differ, and no map says so");
            }
        }
        None
    }

    /// The volume is not marked undefined, and is no secondary that hosts are kept from.
    fn means_something(&self, state: &State, volume: usize) -> bool {
        let pair = self.pair_of_secondary(state, volume);
        state.undefined & bit(volume) == 0
            && pair.is_none_or(|pair| state.pairs[pair].status.holds_image())
    }

    fn lost(&self, state: &State, volume: usize) -> &'static str {
        let pair = self.pair_of_secondary(state, volume);
        match pair.is_some_and(|pair| state.pairs[pair].status.holds_image()) {
            true => "I1: the image is not the primary at the copy command",
            false => "I5: a volume does not hold what was acknowledged",
        }
    }

    /// What a host reads, or would read.
    fn content(&self, state: &State, volume: usize, track: usize) -> u8 {
        let above = self.pair_of_secondary(state, volume);
        if let Some(pair) = above
            && state.pairs[pair].status.in_progress()
            && state.pairs[pair].c & bit(track) != 0
        {
            return state.stored(self.ends(pair).0, track);
        }
        match self.bringing(state, volume, track) {
            Some(pair) => state.stored(self.target_and_source(state, pair).1, track),
            None => state.stored(volume, track),
        }
    }

    fn differences_are_marked(&self, state: &State, track: usize) -> bool {
        (0..self.config.pairs()).all(|pair| {
            let (primary, secondary) = self.ends(pair);
            let entry = state.pairs[pair];
            entry.status == Status::NoPair
                || (entry.c | entry.dp | entry.ds) & bit(track) != 0
                || same(state.stored(primary, track), state.stored(secondary, track))
        })
    }

    fn wrong_maps(&self, state: &State, pair: usize) -> Option<&'static str> {
        let entry = state.pairs[pair];
        let holds = match entry.status {
            Status::NoPair => entry.c | entry.dp | entry.ds == 0,
            Status::Follows => entry.dp | entry.ds == 0,
            Status::Copying | Status::Quick => entry.c != 0,
            Status::Restoring => entry.c != 0 && entry.ds == 0,
            Status::Split => entry.c == 0,
            Status::Suspended => true,
        };
        let settles = state.settling[pair] & !entry.c == 0;
        (!holds || !settles).then_some("a map contradicts the status")
    }

    /// What nobody will read again is as good as torn.
    fn forget(&self, next: &mut State) {
        for track in 0..self.config.tracks {
            for volume in 0..self.config.volumes() {
                let slot = next.slot[volume][track];
                let late = next.late[volume] & bit(track) != 0;
                if slot != NONE && !late && next.log[volume][track] == slot {
                    next.drive[volume][track] = TORN;
                    next.maybe[volume][track] = 0;
                }
                // With a broken rule the way is shown, and is to be as it would be.
                if self.broken.is_none() && self.is_given_up(next, volume, track) {
                    next.drive[volume][track] = TORN;
                    next.maybe[volume][track] = 0;
                    let State { slot, log, destage, .. } = next;
                    for value in [slot, log, destage].map(|values| &mut values[volume][track]) {
                        if *value != NONE {
                            *value = TORN;
                        }
                    }
                }
            }
        }
    }

    /// A pair's copy will overwrite the track before anybody reads it, now and after a crash.
    fn is_given_up(&self, state: &State, volume: usize, track: usize) -> bool {
        let overwrites = |pair: usize| {
            let entry = state.pairs[pair];
            let kept = state.kept[pair];
            let kept = !state.cut || kept.status == entry.status && kept.c & bit(track) != 0;
            let restores = entry.status == Status::Restoring;
            let target = self.target_and_source(state, pair).0 == volume
                && entry.status != Status::NoPair
                && entry.status != Status::Suspended;
            let only = restores || self.pairs_of(state, volume).next().is_none();
            kept && target && only && entry.c & !state.settling[pair] & bit(track) != 0
        };
        state.jobs[track] == Job::None && (0..self.config.pairs()).any(overwrites)
    }
}
