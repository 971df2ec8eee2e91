//! Commands (Fig. 2): each claims all tracks, changes memory, and is answered when its record is durable.

use super::action::{Action, Command};
use super::next::Emit;
use super::rules::{BrokenRule, Rules};
use super::state::{Job, NONE, PairState, State, Status, TORN, TRACKS, bit};

impl Rules {
    /// Commands that are accepted now. After the cut a command waits for its record, in vain, and what
    /// it holds it holds until the crash.
    pub(super) fn commands(&self, state: &State, emit: &mut Emit<'_>) {
        let beside = self.breaks(BrokenRule::CommandBesideLane);
        let free = |job: &Job| *job == Job::None || beside && matches!(job, Job::Lane(_));
        let late = state.cut && !self.breaks(BrokenRule::CommandBeforeRecord);
        if late || state.left.commands == 0 || !state.jobs.iter().all(free) {
            return;
        }
        let mut asked = *state;
        asked.left.commands -= 1;
        asked.answered_late |= state.cut;
        for pair in 0..self.config.pairs() {
            for command in [
                Command::Create,
                Command::Copy,
                Command::QuickCopy,
                Command::Resync,
                Command::Restore,
                Command::QuickRestore,
                Command::Freeze,
                Command::Suspend,
                Command::Delete,
            ] {
                use Command::{Freeze, QuickCopy, QuickRestore};
                if !self.config.quick && matches!(command, QuickCopy | QuickRestore | Freeze) {
                    continue;
                }
                if let Some(next) = self.command(&asked, command, pair) {
                    self.torn_resync(state, command, pair, emit);
                    emit(Action::Command { command, pair }, next, None);
                }
            }
        }
        for volume in 0..self.config.volumes() {
            let accepted =
                (state.undefined & bit(volume) != 0).then(|| self.accept(&asked, volume)).flatten();
            if let Some(next) = accepted {
                emit(Action::Accept { volume }, next, None);
            }
        }
    }

    /// Broken: the first of two records of a resync is the last that survives.
    fn torn_resync(&self, state: &State, command: Command, pair: usize, emit: &mut Emit<'_>) {
        let broken = self.breaks(BrokenRule::MergeInTwoRecords) && command == Command::Resync;
        if broken && !state.cut && state.left.crashes > 0 {
            let mut next = *state;
            next.pairs[pair].dp = 0;
            next.pairs[pair].ds = 0;
            self.cut(&mut next);
            emit(Action::Cut, next, None);
        }
    }

    fn command(&self, asked: &State, command: Command, pair: usize) -> Option<State> {
        let mut next = *asked;
        let (status, (primary, secondary)) = (asked.pairs[pair].status, self.ends(pair));
        match (command, status) {
            (Command::Create, Status::NoPair) => self.create(&mut next, pair)?,
            (Command::Copy | Command::QuickCopy, Status::Follows) => {
                self.copy(&mut next, pair, command == Command::QuickCopy)?;
            }
            (Command::Resync, Status::Split | Status::Suspended) => {
                self.copies_from(asked, primary)?;
                let entry = &mut next.pairs[pair];
                let c = entry.c | entry.dp | entry.ds;
                *entry = PairState { status: Status::Follows, c, dp: 0, ds: 0 };
                self.expect(&mut next, secondary, self.all_tracks(), None);
            }
            (Command::Restore, Status::Split) => {
                self.restorable(asked, pair)?;
                self.restore(&mut next, pair);
            }
            (Command::QuickRestore | Command::Freeze, Status::Split) => {
                self.restorable(asked, pair)?;
                if command == Command::Freeze && asked.undefined & bit(primary) != 0 {
                    return None;
                }
                self.exchange(&mut next, pair, command == Command::Freeze);
            }
            (
                Command::Suspend,
                Status::Follows | Status::Copying | Status::Quick | Status::Split,
            ) => self.suspend(&mut next, pair),
            (
                Command::Delete,
                Status::Follows
                | Status::Copying
                | Status::Quick
                | Status::Split
                | Status::Restoring
                | Status::Suspended,
            ) => self.delete(&mut next, pair),
            _ => return None,
        }
        Some(next)
    }

    /// The primary's contents mean something, and no pair of it is being restored.
    fn copies_from(&self, state: &State, primary: usize) -> Option<()> {
        let restoring = |pair: usize| state.pairs[pair].status == Status::Restoring;
        let refused =
            state.undefined & bit(primary) != 0 || self.pairs_of(state, primary).any(restoring);
        (!refused).then_some(())
    }

    fn first_level_split(&self, state: &State, primary: usize) -> Option<()> {
        let above = self.pair_of_secondary(state, primary);
        let split = above.is_none_or(|above| state.pairs[above].status == Status::Split);
        (split || self.breaks(BrokenRule::CopiesFromUnsplit)).then_some(())
    }

    fn create(&self, next: &mut State, pair: usize) -> Option<()> {
        let (primary, secondary) = self.ends(pair);
        self.copies_from(next, primary)?;
        self.first_level_split(next, primary)?;
        if self.pairs_of(next, secondary).next().is_some() {
            return None;
        }
        let c = self.all_tracks();
        next.pairs[pair] = PairState { status: Status::Follows, c, dp: 0, ds: 0 };
        next.undefined &= !bit(secondary);
        self.expect(next, secondary, c, None);
        Some(())
    }

    fn copy(&self, next: &mut State, pair: usize, quick: bool) -> Option<()> {
        let (primary, secondary) = self.ends(pair);
        self.copies_from(next, primary)?;
        self.first_level_split(next, primary)?;
        next.pairs[pair].status = match next.pairs[pair].c {
            0 => Status::Split,
            _ if quick => Status::Quick,
            _ => Status::Copying,
        };
        self.expect(next, secondary, self.all_tracks(), Some(primary));
        Some(())
    }

    /// All other pairs of both volumes rest, and the primary follows nothing.
    fn restorable(&self, state: &State, pair: usize) -> Option<()> {
        let (primary, secondary) = self.ends(pair);
        let rests = |other: usize| {
            other == pair || matches!(state.pairs[other].status, Status::Split | Status::Suspended)
        };
        let free = self.pair_of_secondary(state, primary).is_none()
            && self.pairs_of(state, primary).chain(self.pairs_of(state, secondary)).all(rests);
        (free || self.breaks(BrokenRule::RestoreBesideCopy)).then_some(())
    }

    /// The other pairs of these primaries get what differs in this one.
    fn differences_to_others(&self, next: &mut State, pair: usize, primaries: &[usize]) {
        if self.breaks(BrokenRule::RestoreForgetsSiblings) {
            return;
        }
        let differ = next.pairs[pair].dp | next.pairs[pair].ds;
        for &primary in primaries {
            for other in self.pairs_of(next, primary).filter(|&other| other != pair) {
                next.pairs[other].dp |= differ;
            }
        }
    }

    fn restore(&self, next: &mut State, pair: usize) {
        let (primary, secondary) = self.ends(pair);
        self.differences_to_others(next, pair, &[primary]);
        next.undefined &= !bit(primary);
        let differ = next.pairs[pair].dp | next.pairs[pair].ds;
        self.expect(next, primary, self.all_tracks(), Some(secondary));
        next.pairs[pair] = PairState { status: Status::Restoring, c: differ, dp: 0, ds: 0 };
        if differ == 0 {
            self.clear_c(next, pair, 0);
        }
    }

    /// The volumes exchange their storage, and all that goes with it.
    fn exchange(&self, next: &mut State, pair: usize, freeze: bool) {
        let (primary, secondary) = self.ends(pair);
        self.differences_to_others(next, pair, &[primary, secondary]);
        next.undefined &= !bit(primary);
        next.slot.swap(primary, secondary);
        next.late.swap(primary, secondary);
        next.newer.swap(primary, secondary);
        next.drive.swap(primary, secondary);
        next.maybe.swap(primary, secondary);
        next.destage.swap(primary, secondary);
        next.log.swap(primary, secondary);
        next.expected.swap(primary, secondary);
        let entry = &mut next.pairs[pair];
        let differ = entry.dp | entry.ds;
        if freeze {
            *entry = PairState { dp: differ, ds: 0, ..*entry };
        } else {
            *entry = PairState { status: Status::Follows, c: differ, dp: 0, ds: 0 };
            self.expect(next, secondary, self.all_tracks(), None);
        }
    }

    fn delete(&self, next: &mut State, pair: usize) {
        let (primary, secondary) = self.ends(pair);
        let (target, _) = self.target_and_source(next, pair);
        let entry = next.pairs[pair];
        let follows = entry.status == Status::Follows;
        let lacks = entry.c != 0 && !self.breaks(BrokenRule::DeleteLeavesDefined);
        if lacks || follows && self.follows_nothing(next, pair) {
            next.undefined |= bit(target);
            self.expect(next, target, self.all_tracks(), None);
        } else if follows {
            self.expect(next, secondary, self.all_tracks(), Some(primary));
        }
        next.pairs[pair] = PairState::default();
        next.settling[pair] = 0;
        next.flushed[pair] = 0;
    }

    /// What the volume holds is what a host expects from now on. A lane may have written its drive and
    /// dropped slots whose records are still to be replayed: so it is destaged and flushed, and the
    /// record voids all data of the volume before it.
    fn accept(&self, asked: &State, volume: usize) -> Option<State> {
        let mut next = *asked;
        if !self.breaks(BrokenRule::AcceptWithoutFlush) {
            next.maybe[volume] = Default::default();
        }
        let whole =
            [asked.slot[volume], asked.destage[volume]].iter().flatten().all(|v| *v == NONE);
        if !self.breaks(BrokenRule::AcceptKeepsRecords) {
            next.log[volume] = [NONE; TRACKS];
        }
        next.undefined &= !bit(volume);
        for track in 0..self.config.tracks {
            if next.drive[volume][track] == TORN {
                next.drive[volume][track] = next.fresh(track); // nobody's data, but readable from now on
            }
            next.expected[volume][track] = next.drive[volume][track];
        }
        whole.then_some(next)
    }
}
