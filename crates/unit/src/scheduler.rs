//! What runs in the background, and when: elemental copies and destages. Every deadline of the unit
//! is here.

mod backoff;
mod checkpoints;
mod copier;
mod destages;
mod governor;
mod settles;
mod speed;

use crate::schedule::Schedules;
use backoff::Backoff;
use checkpoints::Checkpoints;
use copier::Copier;
use destages::Destages;
use diptych_format::{DriveNo, LdevId, PairId, Time, TrackNo};
use diptych_shared::PairOptions;
use diptych_sync::{Arc, mutant};
use settles::Settles;
use std::collections::BTreeMap;

pub(crate) use crate::host_waits::HostWaits;
pub(crate) use copier::{Ended, Turn, TurnEnd};
pub(crate) use governor::{GovernorSettings, Situation};
pub use speed::{CopySpeed, HeldBy, HostsSeen};

/// A destage job: whose dirty tracks it writes, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DestageTurn {
    pub(crate) drive: DriveNo,
    no: u64,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Scheduler {
    /// Copies at their times.
    pub(crate) schedules: Schedules,
    copiers: BTreeMap<PairId, Copier>,
    copiers_started: u64,
    answers: u64,
    /// Copiers with a limit.
    limited: usize,
    destages: Destages,
    settles: Settles,
    checkpoints: Checkpoints,
    settings: GovernorSettings,
    waits: Arc<HostWaits>,
}

impl Scheduler {
    /// Nothing to do but what these schedules say.
    pub(crate) fn new(
        settings: GovernorSettings,
        waits: Arc<HostWaits>,
        schedules: Schedules,
    ) -> Self {
        Self {
            schedules,
            copiers: BTreeMap::new(),
            copiers_started: 0,
            answers: 0,
            limited: 0,
            destages: Destages::default(),
            settles: Settles::default(),
            checkpoints: Checkpoints::default(),
            settings,
            waits,
        }
    }

    /// The number of an answer to what is due: in the order in which they are true.
    pub(crate) fn next_answer(&mut self) -> u64 {
        self.answers += 1;
        self.answers
    }

    /// The pair is to be copied from now on, with these options.
    pub(crate) fn start(&mut self, pair: PairId, primary: LdevId, options: PairOptions) {
        self.copiers_started += 1;
        let incarnation = self.copiers_started;
        let new = || Copier::new(primary, options, incarnation);
        self.copiers.entry(pair).or_insert_with(new).start(options);
        self.options_changed(pair);
    }

    /// Other options for a pair that may be under way.
    pub(crate) fn change(&mut self, pair: PairId, options: PairOptions) {
        if let Some(copier) = self.copiers.get_mut(&pair) {
            copier.change(options);
            self.options_changed(pair);
        }
    }

    /// The pair is not to be copied any more. A turn that is under way ends by itself.
    pub(crate) fn stop(&mut self, pair: PairId) {
        if self.copiers.remove(&pair).is_some() {
            self.options_changed(pair);
        }
    }

    /// The pair's copy has ended by itself: hosts wait no more for it. What they had of it can still be
    /// asked for.
    pub(crate) fn rest(&mut self, pair: PairId) {
        let Some(copier) = self.copiers.get_mut(&pair) else { return };
        copier.rest(&self.waits.take(pair));
        self.options_changed(pair);
    }

    fn options_changed(&mut self, pair: PairId) {
        match self.copiers.get(&pair).and_then(Copier::target_ns) {
            Some(target_ns) => self.waits.watch(pair, target_ns),
            None => self.waits.unwatch(pair),
        }
        self.limited = self.copiers.values().filter(|copier| copier.has_limit()).count();
    }

    /// The pair may have something to copy. Whether a lane has to be started for it.
    pub(crate) fn activate(&mut self, pair: PairId) -> bool {
        self.copiers.get_mut(&pair).is_some_and(Copier::activate)
    }

    /// Whether [`Scheduler::lanes_due`] goes by the cache's write pending.
    pub(crate) fn has_limits(&self) -> bool {
        self.limited > 0
    }

    /// Lanes that are to start now, and when to look again.
    pub(crate) fn lanes_due(&mut self, at: Situation) -> (Vec<Turn>, Option<Time>) {
        let mut turns = Vec::new();
        let mut next: Option<Time> = None;
        for (pair, copier) in &mut self.copiers {
            if copier.is_idle() {
                continue;
            }
            if copier.target_ns().is_some() {
                copier.hear(&self.settings, &self.waits.take(*pair), at.now);
            }
            let ready = copier.start_lanes(*pair, &self.settings, at, &mut turns);
            next = next.into_iter().chain(ready).min();
        }
        (turns, next)
    }

    /// A lane's turn ended.
    pub(crate) fn turn_ended(&mut self, turn: Turn, ended: Ended, now: Time, rest_unit_ns: u64) {
        let of_turn = |copier: &&mut Copier| {
            copier.incarnation == turn.incarnation || mutant::removed("turn-of-this-copier")
        };
        if let Some(copier) = self.copiers.get_mut(&turn.pair).filter(of_turn) {
            copier.turn_ended(turn, ended, now, rest_unit_ns);
        }
    }

    /// A lane met a track that is busy. Whether it is to queue for it.
    pub(crate) fn skip(&mut self, pair: PairId, track: TrackNo) -> bool {
        self.copiers.get_mut(&pair).is_some_and(|copier| copier.skip(track))
    }

    /// A lane got a track that it may have skipped before.
    pub(crate) fn unskip(&mut self, pair: PairId, track: TrackNo) {
        if let Some(copier) = self.copiers.get_mut(&pair) {
            copier.unskip(track);
        }
    }

    /// A track of a pair settles: it is flushed at `at`. Whether that is to be planned.
    pub(crate) fn settling(
        &mut self,
        pair: PairId,
        primary: LdevId,
        track: TrackNo,
        at: Time,
    ) -> bool {
        self.settles.add(pair, primary, track, at)
    }

    /// Begins to settle a pair, if there is something to settle and nobody is at it.
    pub(crate) fn begin_settle(&mut self, pair: PairId) -> bool {
        self.settles.begin(pair)
    }

    /// The pairs to settle now, begun, and when to look again.
    pub(crate) fn settles_due(&mut self, now: Time) -> (Vec<(PairId, LdevId)>, Option<Time>) {
        self.settles.due(now)
    }

    /// Whether a track settles only since its pair was begun to be settled.
    pub(crate) fn settles_since(&self, pair: PairId, track: TrackNo) -> bool {
        self.settles.is_fresh(pair, track)
    }

    /// A pair was settled, or could not be; the rest of it is due `again`.
    pub(crate) fn settle_ended(&mut self, pair: PairId, again: Option<Time>) {
        self.settles.ended(pair, again);
    }

    /// A checkpoint is needed. Unless one is on its way, everything up to `mark` is to be destaged
    /// before; or says when to ask again.
    pub(crate) fn begin_checkpoint(&mut self, now: Time, mark: u64) -> Option<Time> {
        match self.checkpoints.begin(now, mark) {
            Ok(upto) => {
                upto.into_iter().for_each(|upto| self.destages.ask_upto(upto));
                None
            }
            Err(again) => Some(again),
        }
    }

    /// What has to be destaged before a checkpoint starts, if one is about to.
    pub(crate) fn checkpoint_waits(&self) -> Option<u64> {
        self.checkpoints.waits()
    }

    /// A checkpoint starts.
    pub(crate) fn start_checkpoint(&mut self) {
        self.checkpoints.start();
    }

    /// Sectors of the log that the last control state took, 0 if that is not known.
    pub(crate) fn checkpoint_sectors(&self) -> u64 {
        self.checkpoints.sectors
    }

    /// A control state took so many sectors of the log.
    pub(crate) fn checkpoint_took(&mut self, sectors: u64) {
        self.checkpoints.sectors = sectors;
    }

    /// A checkpoint ended. Whether it gave up anything.
    pub(crate) fn checkpoint_ended(&mut self, now: Time, freed: bool) {
        self.checkpoints.ended(now, freed);
    }

    /// How fast a pair is copied; `None` if it is not to be.
    pub(crate) fn speed(&mut self, pair: PairId, now: Time) -> Option<CopySpeed> {
        let copier = self.copiers.get_mut(&pair)?;
        copier.hear(&self.settings, &self.waits.take(pair), now);
        Some(copier.speed(now))
    }

    /// Everything dirty up to `mark` is to be destaged now.
    pub(crate) fn destage_upto(&mut self, mark: u64) {
        self.destages.ask_upto(mark);
    }

    /// The mark up to which everything is to be destaged.
    pub(crate) fn destage_mark(&self) -> Option<u64> {
        self.destages.upto()
    }

    /// Everything that was to be destaged is clean.
    pub(crate) fn destaged(&mut self) {
        self.destages.all_clean();
    }

    /// Something is dirty: it is destaged at the latest `delay_ns` from now.
    pub(crate) fn dirty(&mut self, now: Time, delay_ns: u64) {
        self.destages.dirty(now, delay_ns);
    }

    /// Whether the delay is over; it starts anew with the next write.
    pub(crate) fn delay_over(&mut self, now: Time) -> bool {
        self.destages.delay_over(now)
    }

    /// When the delay will be over.
    pub(crate) fn destage_at(&self) -> Option<Time> {
        self.destages.at()
    }

    /// Destage jobs to start so that `most` run for a drive for which there is work.
    pub(crate) fn start_destages(
        &mut self,
        drive: DriveNo,
        most: usize,
        now: Time,
    ) -> Vec<DestageTurn> {
        let started = self.destages.start(drive, most, now);
        started.into_iter().map(|no| DestageTurn { drive, no }).collect()
    }

    /// A drive has answered a destage job.
    pub(crate) fn destage_moved(&mut self, turn: DestageTurn, now: Time) {
        self.destages.moved(turn.drive, turn.no, now);
    }

    /// A destage job ended.
    pub(crate) fn destage_ended(&mut self, turn: DestageTurn) {
        self.destages.ended(turn.drive, turn.no);
    }

    /// When none of a drive's destage jobs will have got on for `late_ns`, or since when that is so;
    /// `None` if it has none.
    pub(crate) fn drive_late_at(&self, drive: DriveNo, late_ns: u64) -> Option<Time> {
        self.destages.late_at(drive, late_ns)
    }
}
