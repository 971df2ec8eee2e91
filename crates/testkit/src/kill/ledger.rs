//! What the parent knows: what was asked and answered, and so what has to be there.

use super::line::{Answer, Asked, Line};
use super::rig::{PRIMARY, Rig, SCHEDULED, SECONDARIES, TURNS, geometry, volumes};
use super::{Found, KillReport, Wrong};
use crate::concurrent::{done_by, effects_of_command};
use crate::history::{Effect, History};
use crate::sequential::tags_of;
use crate::{Tag, Violation};
use diptych_cha::{HostOp, HostReply, Outcome};
use diptych_format::{BlockNo, BlockRange, ImageNo, LdevId};
use diptych_shared::{Pair, PairStatus};
use diptych_sync::thread;
use diptych_unit::UnitConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

/// How long copies may take to their ends.
const COPIES_END: Duration = Duration::from_secs(30);

type Status = Option<PairStatus>;

/// See the module.
pub(super) struct Ledger {
    history: History,
    /// Asked and not answered: what, and when.
    in_flight: BTreeMap<u64, (Asked, u64)>,
    next_request: u64,
    /// What each pair may be; all that there is, if a command was not answered.
    statuses: BTreeMap<LdevId, Vec<Status>>,
    /// Images of the schedule that were seen.
    scheduled: BTreeSet<ImageNo>,
}

impl Ledger {
    pub(super) fn new() -> Self {
        let statuses = SECONDARIES.map(|secondary| (secondary, vec![None])).into();
        let mut ledger = Self {
            history: History::new(),
            in_flight: BTreeMap::new(),
            next_request: 1,
            statuses,
            scheduled: BTreeSet::new(),
        };
        ledger.begin(BTreeMap::new());
        ledger
    }

    pub(super) fn next_request(&self) -> u64 {
        self.next_request
    }

    /// A new history, in which the volumes hold this. Nobody knows of the others.
    fn begin(&mut self, contents: BTreeMap<LdevId, Vec<Tag>>) {
        self.history = History::new();
        let from = self.history.now();
        // The schedule changes them when it likes.
        for ldev in TURNS {
            self.history.under_way(ldev, Effect::Unknown, from);
        }
        if contents.is_empty() {
            return;
        }
        // One moment for all: none of it is before the rest.
        let from = self.history.now();
        let mut effects = Vec::new();
        for ldev in volumes().filter(|ldev| !TURNS.contains(ldev)) {
            match contents.get(&ldev) {
                None => effects.push((ldev, Effect::Unknown)),
                Some(tags) => effects.extend((0..).zip(tags).map(|(block, tag)| {
                    (ldev, Effect::Write(BlockRange::one(BlockNo(block)), *tag))
                })),
            }
        }
        self.history.ended_all(&effects, from, true);
    }

    /// Takes in what a child said before it died.
    pub(super) fn heard(&mut self, lines: Vec<Line>, report: &mut KillReport) -> Result<(), Found> {
        for line in lines {
            match line {
                Line::Up => {}
                Line::Asked(number, asked) => {
                    let from = self.history.now();
                    for (ldev, effect) in effects_of(asked, Tag(number)) {
                        self.history.under_way(ldev, effect, from);
                    }
                    self.in_flight.insert(number, (asked, from));
                    self.next_request = self.next_request.max(number + 1);
                }
                Line::Answered(number, answer) => {
                    let (asked, from) = self.in_flight.remove(&number).expect("it was asked");
                    self.answered(Tag(number), asked, from, answer, report)?;
                }
            }
        }
        // What was not answered was done or not, or in part; nothing of it is done any more.
        for (number, (asked, from)) in std::mem::take(&mut self.in_flight) {
            report.unanswered += 1;
            self.history.ended_all(&effects_of(asked, Tag(number)), from, false);
            if let Asked::Command(command) = asked {
                let any = PairStatus::ALL.map(Some).into_iter().chain([None]);
                self.statuses.insert(command.secondary, any.collect());
            }
        }
        Ok(())
    }

    fn answered(
        &mut self,
        tag: Tag,
        asked: Asked,
        from: u64,
        answer: Answer,
        report: &mut KillReport,
    ) -> Result<(), Found> {
        match (asked, answer) {
            (Asked::Read(ldev, blocks), Answer::Tags(tags)) => {
                let to = self.history.now();
                let found: Option<Vec<Tag>> = tags.into_iter().collect();
                let found = found.ok_or(Violation::Garbled { ldev, block: blocks.start })?;
                self.history.check_read(ldev, blocks.start, &found, from, to)?;
            }
            (Asked::Command(command), Answer::Outcome(outcome)) => {
                for (ldev, _) in effects_of(asked, tag) {
                    self.history.settle_under_way(ldev, from);
                }
                if let Outcome::Accepted { from: met, to, .. } = outcome {
                    report.commands += 1;
                    self.history.ended_all(&done_by(&command, met), from, true);
                    self.statuses.insert(command.secondary, what_follows(to));
                }
            }
            (Asked::Write(..) | Asked::Unmap(..), answer) => {
                let whole = answer == Answer::Done;
                report.writes += u64::from(whole);
                self.history.ended_all(&effects_of(asked, tag), from, whole);
            }
            _ => {}
        }
        Ok(())
    }

    /// Compares what is there. `to_the_end`: when all copies have ended, and with their images; what
    /// is there is the beginning of a new history then.
    pub(super) fn look(
        &mut self,
        rig: &Rig,
        report: &mut KillReport,
        to_the_end: bool,
    ) -> Result<(), Found> {
        report.records += rig.recovered.records;
        report.torn += u64::from(rig.recovered.torn);
        let unit = rig.rt.unit();
        let found = unit.schedules().len();
        if found != 1 {
            return Err(Wrong::Schedules { found }.into());
        }
        let pairs = unit.pairs();
        let copied = |pair: &Pair| pair.is_copying() && !pair.c.is_empty();
        report.kills_in_copy += u64::from(pairs.iter().any(copied));
        self.check_statuses(&pairs)?;
        for image in pairs.iter().filter(|pair| pair.primary == SCHEDULED).map(|pair| pair.image) {
            report.scheduled += u64::from(self.scheduled.insert(image));
        }
        if to_the_end {
            wait_for_copies(rig)?;
        }
        let before = rig.rt.unit().pairs();
        let mut contents = BTreeMap::new();
        for ldev in volumes() {
            if let Some(tags) = self.read(rig, ldev, report)? {
                contents.insert(ldev, tags);
            }
        }
        if to_the_end {
            self.check_images(rig, &before, &contents, report)?;
            self.begin(contents);
        }
        Ok(())
    }

    fn check_statuses(&mut self, pairs: &[Pair]) -> Result<(), Wrong> {
        for (secondary, expected) in &mut self.statuses {
            let (primary, secondary) = (PRIMARY, *secondary);
            let pair = pairs.iter().find(|pair| pair.secondary == secondary);
            let found = pair.map(|pair| pair.status);
            if !expected.contains(&found) {
                let expected = expected.clone();
                return Err(Wrong::Status { primary, secondary, found, expected });
            }
            *expected = what_follows(found);
        }
        Ok(())
    }

    /// Reads a whole volume as a host; `None` if hosts may not.
    fn read(
        &mut self,
        rig: &Rig,
        ldev: LdevId,
        report: &mut KillReport,
    ) -> Result<Option<Vec<Tag>>, Found> {
        let from = self.history.now();
        let blocks = geometry().all_blocks();
        match rig.rt.execute(HostOp::Read { ldev, blocks }) {
            HostReply::Data(data) => {
                let to = self.history.now();
                let tags = tags_of(ldev, blocks.start, &data)?;
                self.history.check_read(ldev, blocks.start, &tags, from, to)?;
                report.blocks += tags.len() as u64;
                Ok(Some(tags))
            }
            HostReply::Failed(source) if [PRIMARY, SCHEDULED].contains(&ldev) => {
                Err(Wrong::Unreadable { ldev, source }.into())
            }
            _ => Ok(None),
        }
    }

    fn check_images(
        &self,
        rig: &Rig,
        before: &[Pair],
        contents: &BTreeMap<LdevId, Vec<Tag>>,
        report: &mut KillReport,
    ) -> Result<(), Violation> {
        for pair in rig.rt.unit().pairs() {
            let Pair { primary, secondary, status, image, .. } = pair;
            // One that the schedule has begun anew meanwhile is for the next time.
            let same =
                |old: &Pair| (old.secondary, old.status, old.image) == (secondary, status, image);
            let is_whole = status == PairStatus::Copied && before.iter().any(same);
            let Some(tags) = contents.get(&secondary).filter(|_| is_whole) else { continue };
            let changed = |block| pair.ds.get(geometry().track_of(block));
            let blocks = geometry().all_blocks().iter().zip(tags);
            let image: Vec<Option<Tag>> =
                blocks.map(|(block, tag)| (!changed(block)).then_some(*tag)).collect();
            let chunk = UnitConfig::CHUNK_BLOCKS;
            self.history.check_image(primary, secondary, &image, chunk)?;
            report.images += 1;
        }
        Ok(())
    }
}

fn wait_for_copies(rig: &Rig) -> Result<(), Wrong> {
    let begun = Instant::now();
    // The schedule's next copy may begin when the last has ended: its pairs are not waited for.
    let copied = |pair: &Pair| pair.is_copying() && pair.copier && !pair.c.is_empty();
    while let Some(pair) =
        rig.rt.unit().pairs().into_iter().find(|pair| pair.primary == PRIMARY && copied(pair))
    {
        if begun.elapsed() > COPIES_END {
            let (primary, secondary) = (pair.primary, pair.secondary);
            return Err(Wrong::NeverEnds { primary, secondary, seconds: COPIES_END.as_secs() });
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// What may be in a while where this is now, if no command comes.
fn what_follows(status: Status) -> Vec<Status> {
    match status {
        Some(PairStatus::CopyInProgress) => vec![status, Some(PairStatus::Copied)],
        Some(PairStatus::Restoring) => vec![status, Some(PairStatus::PairedNotCopied)],
        other => vec![other],
    }
}

fn effects_of(asked: Asked, tag: Tag) -> Vec<(LdevId, Effect)> {
    match asked {
        Asked::Write(ldev, blocks) => vec![(ldev, Effect::Write(blocks, tag))],
        Asked::Unmap(ldev, blocks) => vec![(ldev, Effect::Write(blocks, Tag::ZERO))],
        Asked::Read(..) | Asked::Flush(_) => Vec::new(),
        Asked::Command(command) => effects_of_command(&command),
    }
}
