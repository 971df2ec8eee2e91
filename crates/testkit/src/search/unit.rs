//! What the unit does of itself: lanes (Fig. 6), settling, destages, and trimming the log.

use super::action::Action;
use super::host::First;
use super::next::Emit;
use super::rules::{BrokenRule, Rules, Survivors};
use super::state::{Job, Lane, NONE, Stage, State, Status, TORN, Value, bit};

impl Rules {
    /// Everything that begins or goes on without a claim, and the lanes that claim a track.
    pub(super) fn unit(&self, state: &State, emit: &mut Emit<'_>) {
        for pair in 0..self.config.pairs() {
            for track in 0..self.config.tracks {
                self.lane_begins(state, pair, track, emit);
            }
            self.settle(state, pair, emit);
        }
        for volume in 0..self.config.volumes() {
            for track in 0..self.config.tracks {
                self.destage(state, volume, track, emit);
            }
            self.trim(state, volume, emit);
        }
    }

    /// 601 to 603.
    fn lane_begins(&self, state: &State, pair: usize, track: usize, emit: &mut Emit<'_>) {
        let entry = state.pairs[pair];
        let wanted = entry.status.is_copying()
            && entry.c & !state.settling[pair] & bit(track) != 0
            && state.jobs[track] == Job::None;
        if !wanted || self.lacks(state, pair, track) {
            return;
        }
        let (_, source) = self.target_and_source(state, pair);
        let value = state.stored(source, track);
        let mut next = *state;
        if value == TORN {
            // Noted, and left; an image cannot do without it.
            if entry.status.in_progress() {
                self.suspend(&mut next, pair);
                emit(Action::LaneReadFails { pair, track }, next, None);
            }
            return;
        }
        let late = state.slot[source][track] != NONE && state.late[source] & bit(track) != 0;
        let late = late && !self.breaks(BrokenRule::LaneBeforeRecord);
        // A restore that ended by itself: until that is durable, the secondary is still needed.
        let turned = state.cut && state.kept[pair].status != entry.status;
        let late = late || turned && !self.breaks(BrokenRule::LaneBeforeStatus);
        let restores = entry.status == Status::Restoring;
        next.jobs[track] = Job::Lane(Lane { pair, restores, value, late, marked: false });
        if self.breaks(BrokenRule::SettlingBeforeWrite) {
            next.settling[pair] |= bit(track);
        }
        emit(Action::LaneReads { pair, track }, next, None);
        if state.left.errors > 0 && entry.status.in_progress() {
            let mut next = *state;
            next.left.errors -= 1;
            self.suspend(&mut next, pair);
            emit(Action::LaneReadFails { pair, track }, next, None);
        }
    }

    /// A pair in 802 copies no track that its primary itself lacks: the level above has still to bring
    /// it, has brought it and not settled, or was given up before it did either.
    pub(super) fn lacks(&self, state: &State, pair: usize, track: usize) -> bool {
        if state.pairs[pair].status != Status::Follows
            || self.breaks(BrokenRule::SecondLevelCopiesUnsettled)
        {
            return false;
        }
        let primary = self.ends(pair).0;
        let above = self.pair_of_secondary(state, primary).map(|above| state.pairs[above]);
        let above = above.filter(|above| above.c & bit(track) != 0);
        if self.breaks(BrokenRule::SecondLevelCopiesSuspended) {
            return above.is_some_and(|above| above.status.is_copying());
        }
        above.is_some() || state.undefined & bit(primary) != 0
    }

    /// 605, 606: what depends on the target first.
    pub(super) fn lane(&self, state: &State, track: usize, lane: Lane, emit: &mut Emit<'_>) {
        let Lane { pair, restores, .. } = lane;
        let (primary, secondary) = self.ends(pair);
        let target = if restores { primary } else { secondary };
        let is_primary = !restores && self.pairs_of(state, target).next().is_some();
        if is_primary && !lane.marked && !self.breaks(BrokenRule::LaneForgetsBelow) {
            return self.before_lane(state, track, target, lane, emit);
        }
        // Two writes of one track are never on their way to a drive.
        let destage = state.destage[target][track] != NONE;
        if lane.late || destage && !self.breaks(BrokenRule::LaneBesideDestage) {
            return;
        }
        let entry = state.pairs[pair];
        let wrong = entry.status == Status::NoPair;
        let wrong = wrong.then_some("I3: a lane writes for a pair that is deleted");
        let mut next = *state;
        next.jobs[track] = Job::None;
        if !self.breaks(BrokenRule::LaneKeepsSlot) {
            next.drop_slot(target, track);
        }
        let mut failed = next;
        self.write_drive(&mut next, target, track, lane.value);
        // Suspended meanwhile by a failure, or its image given up.
        let copies = entry.status.is_copying() && (entry.status == Status::Restoring) == restores;
        if copies && !self.breaks(BrokenRule::SettlingBeforeWrite) {
            next.settling[pair] |= bit(track);
        }
        emit(Action::LaneWrites { pair, track }, next, wrong);
        if state.left.errors > 0 && wrong.is_none() {
            failed.left.errors -= 1;
            if copies && self.breaks(BrokenRule::FailedCopySettles) {
                failed.settling[pair] |= bit(track);
            } else if copies {
                self.target_failed(&mut failed, pair, track);
            }
            // Nobody knows what the drive holds now.
            for value in [TORN, lane.value, state.drive[target][track]] {
                let mut failed = failed;
                self.write_drive(&mut failed, target, track, value);
                emit(Action::LaneWriteFails { pair, track }, failed, None);
            }
        }
    }

    /// The target has pairs of its own: their images, then their marks.
    fn before_lane(
        &self,
        state: &State,
        track: usize,
        target: usize,
        lane: Lane,
        emit: &mut Emit<'_>,
    ) {
        let spared = self.breaks(BrokenRule::LaneBeforeMarksBelow);
        match self.protects(state, target, track) {
            Some(first) => self.first(state, track, first, emit),
            None => {
                let late = lane.late || state.cut && !spared;
                let mut marked = *state;
                marked.jobs[track] = Job::Lane(Lane { late, marked: true, ..lane });
                self.first(&marked, track, First::Mark { volume: target }, emit);
            }
        }
    }

    fn write_drive(&self, next: &mut State, volume: usize, track: usize, value: Value) {
        let old = next.drive[volume][track];
        next.maybe[volume][track] |= 1 << TORN;
        if self.config.survivors == Survivors::Each {
            next.maybe[volume][track] |= 1 << old;
        }
        next.drive[volume][track] = value;
    }

    fn settle(&self, state: &State, pair: usize, emit: &mut Emit<'_>) {
        let (target, _) = self.target_and_source(state, pair);
        let mut next = *state;
        if state.settling[pair] != 0 && state.flushed[pair] == 0 {
            if !self.breaks(BrokenRule::SettleWithoutFlush) {
                next.maybe[target] = Default::default();
            }
            next.flushed[pair] = state.settling[pair];
            emit(Action::SettleFlush { pair }, next, None);
        }
        if state.flushed[pair] != 0 {
            let tracks = state.flushed[pair] & state.settling[pair];
            next.flushed[pair] = 0;
            if !state.cut && !self.breaks(BrokenRule::SettleKeepsRecords) {
                for track in (0..self.config.tracks).filter(|&track| tracks & bit(track) != 0) {
                    next.log[target][track] = NONE;
                }
            }
            if tracks != 0 {
                self.clear_c(&mut next, pair, tracks);
            }
            emit(Action::Settled { pair }, next, None);
        }
    }

    fn destage(&self, state: &State, volume: usize, track: usize, emit: &mut Emit<'_>) {
        let (slot, destage) = (state.slot[volume][track], state.destage[volume][track]);
        let late = state.late[volume] & bit(track) != 0;
        let mut next = *state;
        if destage == NONE {
            if slot != NONE && (!late || self.breaks(BrokenRule::DestageBeforeRecord)) {
                next.destage[volume][track] = slot;
                emit(Action::Destage { volume, track }, next, None);
            }
            return;
        }
        next.destage[volume][track] = NONE;
        let mut failed = next;
        self.write_drive(&mut next, volume, track, destage);
        if state.newer[volume] & bit(track) == 0 {
            next.drop_slot(volume, track);
        }
        next.newer[volume] &= !bit(track);
        failed.newer[volume] &= !bit(track);
        emit(Action::DestageWrites { volume, track }, next, None);
        if state.left.errors > 0 {
            failed.left.errors -= 1;
            failed.drive[volume][track] = TORN;
            if self.breaks(BrokenRule::FailedDestageCleans) {
                failed.drop_slot(volume, track);
            }
            let restored = |&pair: &usize| state.pairs[pair].status == Status::Restoring;
            let pair = self.pair_of_secondary(state, volume);
            if let Some(pair) = pair.or_else(|| self.pairs_of(state, volume).find(restored)) {
                self.target_failed(&mut failed, pair, track);
            }
            emit(Action::DestageFails { volume, track }, failed, None);
        }
    }

    /// A flush of the drive, and a checkpoint. After the cut no checkpoint will be found.
    fn trim(&self, state: &State, volume: usize, emit: &mut Emit<'_>) {
        if state.cut {
            return;
        }
        let mut next = *state;
        for track in 0..self.config.tracks {
            let on_its_way = matches!(
                state.jobs[track],
                Job::Write { volume: of, stage: Stage::Recorded { .. } } if of == volume
            );
            let needed = state.slot[volume][track] != NONE
                || state.destage[volume][track] != NONE
                || on_its_way && !self.breaks(BrokenRule::TrimUnseenRecord);
            if !needed {
                next.log[volume][track] = NONE;
            }
        }
        if next.log == state.log {
            return;
        }
        if !self.breaks(BrokenRule::TrimBeforeFlush) {
            next.maybe[volume] = Default::default();
        }
        emit(Action::Trim { volume }, next, None);
    }
}
