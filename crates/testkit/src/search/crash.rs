//! The end of what is durable, the crash, and what recovery makes of it.

use super::action::{Action, Loss};
use super::next::Emit;
use super::rules::{BrokenRule, Rules, Survivors};
use super::state::{Job, NONE, PAIRS, State, Status, TORN, TRACKS, VOLUMES, bit};

impl Rules {
    pub(super) fn crashes(&self, state: &State, emit: &mut Emit<'_>) {
        if !state.cut {
            if state.left.crashes > 0 {
                let mut next = *state;
                self.cut(&mut next);
                emit(Action::Cut, next, None);
            }
            return;
        }
        let wrong = state.answered_late;
        let wrong = wrong.then_some("I5: a command that was answered is not there");
        let losses = [Loss::Nothing, Loss::Maps, Loss::Statuses];
        let count = if self.config.losses { losses.len() } else { 1 };
        for loss in &losses[..count] {
            let mut recovered = self.recovered(state);
            self.lose(&mut recovered, *loss);
            self.survive(state, recovered, 0, &mut |next| emit(Action::Crash(*loss), next, wrong));
        }
    }

    /// Whatever is recorded from here on will be lost.
    pub(super) fn cut(&self, next: &mut State) {
        next.cut = true;
        next.left.crashes -= 1;
        next.kept = next.pairs;
        next.kept_undefined = next.undefined;
    }

    /// Replay: the maps as they were at the cut, and the data in slots.
    fn recovered(&self, state: &State) -> State {
        let mut next = *state;
        next.pairs = state.kept;
        next.undefined = state.kept_undefined;
        if self.breaks(BrokenRule::ResumeAtPointer) {
            for pair in 0..PAIRS {
                next.pairs[pair].c &= !state.settling[pair];
                if next.pairs[pair].c == 0 && next.pairs[pair].status.in_progress() {
                    next.pairs[pair].status = Status::Split;
                }
            }
        }
        next.settling = [0; PAIRS];
        next.flushed = [0; PAIRS];
        next.jobs = Default::default();
        next.slot = state.log;
        next.late = Default::default();
        next.newer = Default::default();
        next.destage = [[NONE; TRACKS]; VOLUMES];
        next.cut = false;
        next.kept = Default::default();
        next.kept_undefined = 0;
        next.answered_late = false;
        next
    }

    /// Every way in which the drives may have come through, track by track.
    fn survive(&self, state: &State, next: State, at: usize, emit: &mut dyn FnMut(State)) {
        let (volume, track) = (at / self.config.tracks, at % self.config.tracks);
        if volume == self.config.volumes() {
            return emit(next);
        }
        let maybe = state.maybe[volume][track];
        let mut one = next;
        one.maybe[volume][track] = 0;
        // A slot covers it, and will be written over it.
        let covered = next.slot[volume][track] != NONE;
        if covered {
            one.drive[volume][track] = TORN;
        }
        if covered || maybe == 0 {
            return self.survive(state, one, at + 1, emit);
        }
        let now = 1_u16 << state.drive[volume][track];
        for value in (0..=TORN).filter(|value| (maybe | now) >> value & 1 == 1) {
            let whole = value != TORN && self.config.survivors == Survivors::Torn;
            if !whole {
                one.drive[volume][track] = value;
                self.survive(state, one, at + 1, emit);
            }
        }
    }

    /// The rules for a control state that is lost.
    fn lose(&self, next: &mut State, loss: Loss) {
        let all = self.all_tracks();
        for pair in (0..self.config.pairs()).filter(|_| loss != Loss::Nothing) {
            let (primary, secondary) = self.ends(pair);
            let root = self.pair_of_secondary(next, primary).is_none();
            let entry = &mut next.pairs[pair];
            match (loss, entry.status) {
                (_, Status::NoPair) | (Loss::Nothing, _) => continue,
                (Loss::Maps, Status::Follows) => entry.c = all,
                (Loss::Maps, Status::Split) => (entry.dp, entry.ds) = (all, all),
                (Loss::Maps, Status::Copying | Status::Quick)
                    if self.breaks(BrokenRule::LossKeepsCopying) =>
                {
                    entry.c = all;
                }
                (Loss::Maps, Status::Copying | Status::Quick | Status::Suspended) => {
                    entry.status = Status::Suspended;
                    (entry.c, entry.dp, entry.ds) = (all, all, all);
                    self.expect(next, secondary, all, None);
                }
                (Loss::Maps, Status::Restoring) => {
                    entry.status = Status::Suspended;
                    (entry.c, entry.dp, entry.ds) = (0, all, all);
                    next.undefined |= bit(primary);
                    self.expect(next, primary, all, None);
                }
                (Loss::Statuses, _) => {
                    entry.status = Status::Suspended;
                    (entry.c, entry.dp, entry.ds) = (all, all, all);
                    self.expect(next, secondary, all, None);
                    if root {
                        next.undefined |= bit(primary);
                        self.expect(next, primary, all, None);
                    }
                }
            }
        }
    }

    /// Jobs are gone after a crash; nothing else is under way.
    pub(super) fn idle(state: &State) -> bool {
        state.jobs.iter().all(|job| *job == Job::None)
    }
}
