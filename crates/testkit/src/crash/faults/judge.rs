//! Which answers a failing device excuses, and what it must not touch.

use super::scenario::{DRIVE_OF, DRIVES};
use super::{FaultCase, FaultForm, FaultWrong};
use crate::crash::pairs::Names;
use crate::crash::world::{What, World};
use crate::ldev;
use diptych_cha::{Forbidden, GroupOutcome, HostError, HostReply, Outcome, Refusal};
use diptych_shared::{Pair, PairStatus};
use diptych_sim::Answered;
use diptych_unit::Unit;

/// Nobody who has nothing to do with a slow drive waits for longer.
const UNTOUCHED_NS: u64 = 5_000_000_000;

/// What an answer says of what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judged {
    /// It was done, or refused by the rules of pairs.
    Answered,
    /// The device excuses it, and it has changed nothing.
    Refused,
    /// The log has failed: it may have been done, or not.
    Unknown,
}

/// Knows which device goes wrong, and what hangs on it.
pub(super) struct Judge {
    device: Option<usize>,
    form: Option<FaultForm>,
    /// The drives that each volume has lain on: a quick restore exchanges places.
    drives: Vec<Vec<usize>>,
    /// Some requests were not answered as they would have been: what follows may be refused.
    disturbed: bool,
    /// The cache is so small that hosts wait for room.
    small_cache: bool,
    /// Volumes of which a drive has lost something.
    lost: Vec<usize>,
}

impl Judge {
    pub(super) fn new(case: Option<&FaultCase>, small_cache: bool) -> Self {
        let (device, form) = (case.map(|case| case.device), case.map(|case| case.form));
        let drives = DRIVE_OF.iter().map(|drive| vec![*drive]).collect();
        Self { device, form, drives, disturbed: false, small_cache, lost: Vec::new() }
    }

    pub(super) fn device(&self) -> Option<usize> {
        self.device
    }

    /// No device goes wrong any more. What a drive could not read while a part of its track was written
    /// has no code any more.
    pub(super) fn all_works(&mut self) {
        let lost = matches!(self.form, Some(FaultForm::Unreadable | FaultForm::StaysUnreadable));
        self.lost = if lost { self.failing() } else { Vec::new() };
        (self.device, self.form) = (None, None);
    }

    /// Whether blocks of the volume may have been lost.
    pub(super) fn has_lost(&self, volume: usize) -> bool {
        self.lost.contains(&volume)
    }

    fn is_log(&self) -> bool {
        self.device == Some(DRIVES)
    }

    fn is_one_medium_error(&self) -> bool {
        self.form == Some(FaultForm::Unreadable) && !self.is_log()
    }

    /// The volumes on the drive that goes wrong.
    pub(super) fn failing(&self) -> Vec<usize> {
        (0..DRIVE_OF.len()).filter(|volume| self.fails(*volume)).collect()
    }

    /// Where volumes lie now.
    pub(super) fn look_at_places(&mut self, unit: &Unit) {
        for volume in unit.volumes() {
            let home = unit.home(volume.backing).expect("a volume with payload has a place");
            let drives = &mut self.drives[usize::from(volume.ldev.ldev)];
            let drive = usize::from(home.drive().0);
            if !drives.contains(&drive) {
                drives.push(drive);
            }
        }
    }

    fn fails(&self, volume: usize) -> bool {
        self.device.is_some_and(|device| self.drives[volume].contains(&device))
    }

    fn touches(&self, names: Names) -> bool {
        self.fails(names.0) || self.fails(names.1)
    }

    /// Whether the volume has to do with the drive: it lies there, or in a pair with one that does.
    fn reaches(&self, world: &World, volume: usize) -> bool {
        let of = |names: &Names| names.0 == volume || names.1 == volume;
        self.fails(volume) || world.pairs.keys().any(|names| of(names) && self.touches(*names))
    }

    /// Whether it is read for the volume: it lies there, or what is restored to it does.
    fn is_read_for(&self, world: &World, volume: usize) -> bool {
        let restored = |(names, known): (&Names, &crate::crash::pairs::Known)| {
            let fails = self.fails(names.1) || self.has_lost(names.1);
            names.0 == volume && known.status == PairStatus::Restoring && fails
        };
        self.fails(volume) || self.has_lost(volume) || world.pairs.iter().any(restored)
    }

    /// Judges an answer. `after_the_log`: it was asked for when the log had failed already.
    pub(super) fn answer(
        &mut self,
        world: &World,
        answered: &Answered,
        log_failed: bool,
        after_the_log: bool,
    ) -> Result<Judged, FaultWrong> {
        self.disturbed |= log_failed;
        let judged = self.judge(world, answered, log_failed, after_the_log)?;
        self.disturbed |= judged != Judged::Answered;
        Ok(judged)
    }

    fn judge(
        &self,
        world: &World,
        answered: &Answered,
        log_failed: bool,
        after_the_log: bool,
    ) -> Result<Judged, FaultWrong> {
        let what = &world.pending[&answered.request].what;
        self.in_time(world, what, answered)?;
        let reply = &answered.reply;
        let done = matches!(
            reply,
            HostReply::Done
                | HostReply::Outcome(Outcome::Accepted { .. })
                | HostReply::Group(GroupOutcome::Accepted { .. })
        );
        if done && after_the_log {
            return Err(FaultWrong::DoneWithoutLog { reply: Box::new(reply.clone()) });
        }
        let excused = |is: bool, judged| match is {
            true => Ok(judged),
            false => Err(FaultWrong::Untouched { reply: Box::new(reply.clone()) }),
        };
        match (what, reply) {
            (_, HostReply::Failed(HostError::Stopping))
            | (_, HostReply::Outcome(Outcome::Refused(Refusal::Stopping)))
            | (_, HostReply::Group(GroupOutcome::Refused { why: Refusal::Stopping, .. })) => {
                // Nothing is written after the end of the log.
                let judged = if after_the_log { Judged::Refused } else { Judged::Unknown };
                excused(log_failed && self.is_log(), judged)
            }
            // The world knows what is undefined.
            (What::Read { volume, .. }, HostReply::Failed(HostError::Medium { block, .. }))
                if world.is_undefined(ldev(*volume as u8), *block) =>
            {
                Ok(Judged::Answered)
            }
            (
                What::Read { volume, .. }
                | What::Write { volume, .. }
                | What::Swap { volume, .. }
                | What::Or { volume, .. }
                | What::Flush { volume },
                HostReply::Failed(error),
            ) => self
                .host_error(world, *volume, error)
                .map_or_else(|| Err(FaultWrong::Untouched { reply: Box::new(reply.clone()) }), Ok),
            (What::Command(asked), HostReply::Outcome(outcome)) => match outcome {
                Outcome::Accepted { .. } | Outcome::Chosen { .. } => Ok(Judged::Answered),
                Outcome::Nothing { met } => {
                    let known = world.status(asked.names) == *met;
                    excused(known || self.may_refuse(world, asked.names), Judged::Answered)
                }
                Outcome::Refused(_) => {
                    excused(self.may_refuse(world, asked.names), Judged::Answered)
                }
            },
            (What::Group(all), HostReply::Group(outcome)) => {
                let any = all.iter().any(|asked| self.may_refuse(world, asked.names));
                let accepted = matches!(outcome, GroupOutcome::Accepted { .. });
                excused(accepted || any, Judged::Answered)
            }
            _ => Ok(Judged::Answered),
        }
    }

    /// Commands look at the whole family.
    fn may_refuse(&self, world: &World, names: Names) -> bool {
        self.disturbed || self.reaches(world, names.0) || self.reaches(world, names.1)
    }

    fn host_error(&self, world: &World, volume: usize, error: &HostError) -> Option<Judged> {
        match error {
            // The world knows whether it may be.
            HostError::Access { why: Forbidden::Secondary(_), .. } => Some(Judged::Answered),
            HostError::Access { why: Forbidden::Blocked, .. } => {
                self.fails(volume).then_some(Judged::Refused)
            }
            HostError::Medium { .. } | HostError::Drive { .. } => {
                self.is_read_for(world, volume).then_some(Judged::Refused)
            }
            // What a drive does not take holds the most of a small cache.
            HostError::NoRoom => self.small_cache.then_some(Judged::Refused),
            _ => None,
        }
    }

    fn in_time(&self, world: &World, what: &What, answered: &Answered) -> Result<(), FaultWrong> {
        let volumes: Vec<usize> = match what {
            What::Read { volume, .. }
            | What::Write { volume, .. }
            | What::Swap { volume, .. }
            | What::Or { volume, .. }
            | What::Flush { volume } => {
                vec![*volume]
            }
            What::Command(asked) => vec![asked.names.0, asked.names.1],
            What::Group(all) => all.iter().flat_map(|a| [a.names.0, a.names.1]).collect(),
        };
        let took_ns = answered.answered_at.ns_since(answered.submitted_at);
        // A claim is one on all volumes of a family.
        let mut family = volumes.clone();
        for _ in 0..DRIVE_OF.len() {
            let near: Vec<usize> = world
                .pairs
                .keys()
                .filter(|(a, b)| family.contains(a) || family.contains(b))
                .flat_map(|(a, b)| [*a, *b])
                .collect();
            family.extend(near);
            family.sort_unstable();
            family.dedup();
        }
        // Who waits for room in the cache waits behind those who wait for it as well, and for the drive.
        let waits = self.small_cache && !matches!(what, What::Read { .. } | What::Flush { .. });
        let touched = waits || family.iter().any(|volume| self.reaches(world, *volume));
        if touched || self.is_log() || took_ns <= UNTOUCHED_NS {
            return Ok(());
        }
        Err(FaultWrong::HeldUp { ldev: ldev(volumes[0] as u8), took_ns })
    }

    /// Everything has come to rest.
    pub(super) fn at_rest(&self, unit: &Unit, struck: bool) -> Result<(), FaultWrong> {
        let log_failed = unit.log_failure().is_some();
        if log_failed != (struck && self.is_log()) {
            return Err(FaultWrong::LogEnd { log_failed });
        }
        let names =
            |pair: &Pair| (usize::from(pair.primary.ldev), usize::from(pair.secondary.ldev));
        for pair in unit.pairs().iter().filter(|pair| !self.touches(names(pair)) && !log_failed) {
            if pair.is_copying() && pair.copier && !pair.c.is_empty() {
                let (primary, secondary, tracks) = (pair.primary, pair.secondary, pair.c.count());
                return Err(FaultWrong::NotCopied { primary, secondary, tracks });
            }
        }
        Ok(())
    }

    pub(super) fn unreadable_tracks(&self, tracks: u64) -> Result<(), FaultWrong> {
        if self.is_one_medium_error() && tracks > 1 {
            Err(FaultWrong::Unreadable { tracks })
        } else {
            Ok(())
        }
    }
}
