//! Hosts' writes and reads under the claim of a track (Fig. 9), and the copies that they need first.

use super::action::Action;
use super::next::Emit;
use super::rules::{BrokenRule, Rules};
use super::state::{Job, NONE, Stage, State, Status, TORN, Value, bit};

/// What has to be done before a track of a volume may change, or be read.
#[derive(Debug, Clone, Copy)]
pub(super) enum First {
    Copy { from: usize, pairs: u8 },
    Mark { volume: usize },
}

impl Rules {
    /// Hosts' requests that begin, each with its first step.
    pub(super) fn hosts(&self, state: &State, emit: &mut Emit<'_>) {
        for track in (0..self.config.tracks).filter(|&track| state.jobs[track] == Job::None) {
            for volume in 0..self.config.volumes() {
                if !self.open_to_hosts(state, volume) {
                    continue;
                }
                let lacks = self.bringing(state, volume, track).is_some();
                let mut started = *state;
                if lacks {
                    started.jobs[track] = Job::Read { volume };
                    self.job(&started, track, emit);
                }
                if state.left.writes == 0 {
                    continue;
                }
                started.left.writes -= 1;
                for stage in [Stage::Part, Stage::Whole] {
                    if lacks || stage == Stage::Part {
                        started.jobs[track] = Job::Write { volume, stage };
                        self.job(&started, track, emit);
                    }
                }
            }
        }
    }

    fn open_to_hosts(&self, state: &State, volume: usize) -> bool {
        self.pair_of_secondary(state, volume)
            .is_none_or(|pair| matches!(state.pairs[pair].status, Status::Split | Status::Quick))
    }

    /// The pair that has still to bring a track of the volume before a host may see it.
    pub(super) fn bringing(&self, state: &State, volume: usize, track: usize) -> Option<usize> {
        let quick = self.pair_of_secondary(state, volume);
        let quick = quick.filter(|&pair| state.pairs[pair].status == Status::Quick);
        let restores = |pair: &usize| state.pairs[*pair].status == Status::Restoring;
        let pair = quick.or_else(|| self.pairs_of(state, volume).find(restores));
        pair.filter(|&pair| state.pairs[pair].c & bit(track) != 0)
    }

    /// What the images of the pairs of a volume need before a track of it changes; the lowest level
    /// first.
    pub(super) fn protects(&self, state: &State, volume: usize, track: usize) -> Option<First> {
        let depends = |pair: &usize| {
            let entry = state.pairs[*pair];
            entry.status.in_progress() && entry.c & bit(track) != 0
        };
        let mut pairs: Vec<usize> = self.pairs_of(state, volume).filter(depends).collect();
        if self.breaks(BrokenRule::ProtectsFirstPair)
            && self.pairs_of(state, volume).next() != pairs.first().copied()
        {
            pairs.clear();
        }
        for &pair in &pairs {
            let below = self.changes_below(state, self.ends(pair).1, track);
            if below.is_some() {
                return below;
            }
        }
        let served = pairs.iter().fold(0, |served, pair| served | 1 << pair);
        (served != 0).then_some(First::Copy { from: volume, pairs: served })
    }

    /// What has to be done before an internal copy changes a track of a volume.
    fn changes_below(&self, state: &State, volume: usize, track: usize) -> Option<First> {
        let unmarked = |pair: usize| {
            let entry = state.pairs[pair];
            let map = if entry.status == Status::Follows { entry.c } else { entry.dp };
            map & bit(track) == 0 || state.settling[pair] & bit(track) != 0
        };
        let protects = self.protects(state, volume, track);
        let unmarked = self.pairs_of(state, volume).any(unmarked);
        protects.or(unmarked.then_some(First::Mark { volume }))
    }

    fn brings(&self, state: &State, volume: usize, track: usize) -> Option<First> {
        let pair = self.bringing(state, volume, track)?;
        let (_, from) = self.target_and_source(state, pair);
        let quick = state.pairs[pair].status == Status::Quick;
        let below = if quick { self.changes_below(state, volume, track) } else { None };
        below.or(Some(First::Copy { from, pairs: 1 << pair }))
    }

    /// The next step of whoever holds the claim of the track.
    pub(super) fn job(&self, state: &State, track: usize, emit: &mut Emit<'_>) {
        match state.jobs[track] {
            Job::None => {}
            Job::Read { volume } => match self.brings(state, volume, track) {
                Some(first) => self.first(state, track, first, emit),
                // A settle job was faster.
                None => {
                    let mut next = *state;
                    next.jobs[track] = Job::None;
                    emit(Action::Read { volume, track }, next, None);
                }
            },
            Job::Lane(lane) => self.lane(state, track, lane, emit),
            Job::Write { volume, stage } => self.write(state, track, volume, stage, emit),
        }
    }

    fn write(&self, state: &State, track: usize, volume: usize, stage: Stage, emit: &mut Emit<'_>) {
        let mut next = *state;
        match stage {
            Stage::Part | Stage::Whole => {
                let brings = if stage == Stage::Part { Some(()) } else { None };
                let brings = brings.and_then(|()| self.brings(state, volume, track));
                match brings.or_else(|| self.protects(state, volume, track)) {
                    Some(First::Copy { .. })
                        if volume == 0 && self.breaks(BrokenRule::PrimaryBeforeCopy) =>
                    {
                        self.overwrite_uncopied(next, track, volume, emit);
                    }
                    Some(first) => self.first(state, track, first, emit),
                    None => self.record_and_show(next, track, volume, emit),
                }
            }
            Stage::Recorded { late } => {
                next.put_slot(volume, track, self.shown(state, volume, track), late);
                next.jobs[track] = Job::None;
                if self.breaks(BrokenRule::MarkAfterAnswer) {
                    next.jobs[track] = Job::Write { volume, stage: Stage::Unmarked };
                }
                emit(Action::Show { volume, track }, next, None);
            }
            Stage::Answered => {
                self.mark_host_change(&mut next, volume, track);
                let value = state.slot[volume][track];
                self.record_data(&mut next, volume, track, value);
                next.put_slot(volume, track, value, state.cut);
                next.jobs[track] = Job::None;
                emit(Action::Record { volume, track }, next, None);
            }
            Stage::Unmarked => {
                self.mark_host_change(&mut next, volume, track);
                next.jobs[track] = Job::None;
                emit(Action::Mark { volume, track }, next, None);
            }
            Stage::Uncopied(old) => {
                next.jobs[track] = Job::None;
                let pairs = 1;
                self.copy_to(&mut next, 0, track, old);
                emit(Action::Copy { from: volume, track, pairs }, next, None);
            }
            Stage::Unseen(old) => {
                let target = self.ends(0).1;
                next.put_slot(target, track, old, state.cut);
                next.jobs[track] = Job::Write { volume, stage: Stage::Part };
                emit(Action::Show { volume: target, track }, next, None);
            }
        }
    }

    /// The value of the write that was recorded. After the cut nobody asks which it is.
    fn shown(&self, state: &State, volume: usize, track: usize) -> Value {
        match state.jobs[track] {
            Job::Write { stage: Stage::Recorded { late: true }, .. } => state.fresh(track),
            _ => match state.log[volume][track] {
                NONE => state.expected[volume][track],
                value => value,
            },
        }
    }

    fn overwrite_uncopied(
        &self,
        mut next: State,
        track: usize,
        volume: usize,
        emit: &mut Emit<'_>,
    ) {
        let (old, new) = (next.stored(volume, track), next.fresh(track));
        next.pairs[0].dp |= bit(track);
        self.record_data(&mut next, volume, track, new);
        self.answered(&mut next, volume, track, new);
        let late = next.cut;
        next.put_slot(volume, track, new, late);
        next.jobs[track] = Job::Write { volume, stage: Stage::Uncopied(old) };
        emit(Action::Record { volume, track }, next, None);
    }

    /// 909: marks and data are one group.
    fn record_and_show(&self, mut next: State, track: usize, volume: usize, emit: &mut Emit<'_>) {
        let value = next.fresh(track);
        if self.breaks(BrokenRule::AnswerBeforeRecord) {
            self.answered(&mut next, volume, track, value);
            next.put_slot(volume, track, value, true);
            next.jobs[track] = Job::Write { volume, stage: Stage::Answered };
            return emit(Action::Show { volume, track }, next, None);
        }
        let lacks = self.bringing(&next, volume, track);
        if let (true, Some(pair)) = (self.breaks(BrokenRule::QuickWriteInTwoRecords), lacks) {
            self.clear_c(&mut next, pair, bit(track));
            return emit(Action::Mark { volume, track }, next, None);
        }
        if !self.breaks(BrokenRule::MarkAfterAnswer) {
            self.mark_host_change(&mut next, volume, track);
        }
        self.record_data(&mut next, volume, track, value);
        self.answered(&mut next, volume, track, value);
        let stage = Stage::Recorded { late: next.cut };
        next.jobs[track] = Job::Write { volume, stage };
        emit(Action::Record { volume, track }, next, None);
    }

    /// A track that was not brought is no more needed; then the marks.
    fn mark_host_change(&self, next: &mut State, volume: usize, track: usize) {
        if let Some(pair) = self.bringing(next, volume, track) {
            self.clear_c(next, pair, bit(track));
        }
        if let Some(pair) = self.pair_of_secondary(next, volume) {
            next.pairs[pair].ds |= bit(track);
        }
        self.mark(next, volume, track);
    }

    pub(super) fn record_data(&self, next: &mut State, volume: usize, track: usize, value: Value) {
        if !next.cut {
            next.log[volume][track] = value;
        }
    }

    /// From here on a host may have been told: it is expected, if the record survives.
    fn answered(&self, next: &mut State, volume: usize, track: usize, value: Value) {
        if !next.cut {
            next.expected[volume][track] = value;
        }
    }

    /// One record: the old track, and the pairs it serves; with it, in one visit, the slots.
    pub(super) fn first(&self, state: &State, track: usize, first: First, emit: &mut Emit<'_>) {
        let mut next = *state;
        let (from, pairs) = match first {
            First::Mark { volume } => {
                self.mark(&mut next, volume, track);
                return emit(Action::Mark { volume, track }, next, None);
            }
            First::Copy { from, pairs } => (from, pairs),
        };
        let value = state.stored(from, track);
        if value != TORN {
            for pair in (0..self.config.pairs()).filter(|pair| pairs >> pair & 1 == 1) {
                self.copy_to(&mut next, pair, track, value);
            }
            self.end_read(&mut next, track);
            emit(Action::Copy { from, track, pairs }, next, None);
        }
        if value == TORN || state.left.errors > 0 {
            let mut next = *state;
            next.left.errors -= u8::from(value != TORN);
            self.source_failed(&mut next, track, pairs);
            emit(Action::CopyFails { from, track }, next, None);
        }
    }

    fn copy_to(&self, next: &mut State, pair: usize, track: usize, value: Value) {
        let (target, _) = self.target_and_source(next, pair);
        self.record_data(next, target, track, value);
        if self.breaks(BrokenRule::ClearBeforeSlot)
            && let Job::Write { volume, .. } = next.jobs[track]
        {
            next.jobs[track] = Job::Write { volume, stage: Stage::Unseen(value) };
        } else {
            let late = next.cut;
            next.put_slot(target, track, value, late);
        }
        self.clear_c(next, pair, bit(track)); // 907
    }

    fn end_read(&self, next: &mut State, track: usize) {
        if let Job::Read { volume } = next.jobs[track]
            && self.bringing(next, volume, track).is_none()
        {
            next.jobs[track] = Job::None;
        }
    }

    /// The old track cannot be read: images that need it are given up and the write goes on; a request
    /// that needs it itself ends in a medium error.
    fn source_failed(&self, next: &mut State, track: usize, pairs: u8) {
        let wanted = match next.jobs[track] {
            Job::Write { volume, stage: Stage::Part } | Job::Read { volume } => {
                self.bringing(next, volume, track).is_some_and(|pair| pairs >> pair & 1 == 1)
            }
            _ => false,
        };
        for pair in (0..self.config.pairs()).filter(|pair| pairs >> pair & 1 == 1) {
            if next.pairs[pair].status.in_progress() {
                self.suspend(next, pair);
            }
        }
        if wanted {
            next.jobs[track] = Job::None;
        }
    }

    /// A read that takes no claim: what a slot holds that a host may read.
    pub(super) fn hit(&self, state: &State, volume: usize, track: usize) -> Option<Value> {
        let value = state.slot[volume][track];
        let own = matches!(state.jobs[track], Job::Write { volume: of, .. } if of == volume);
        let hit = value != NONE
            && !own
            && self.open_to_hosts(state, volume)
            && self.bringing(state, volume, track).is_none();
        hit.then_some(value)
    }
}
