//! A host that splits: it makes pairs, splits them at one instant, looks at the images, uses them, and
//! begins anew.
//!
//! One round is a list of steps, each one request; a step that meets a copy under way is repeated.

mod below;

use super::Flaw;
use super::cut::{Contents, Window, WrongBlock, differences};
use super::layout::StormPair;
use super::world::{Shared, World, op_of, range_of, tags_of};
use crate::Tag;
use below::{Below, BelowStep};
use diptych_cha::{
    Command, CommandCode, GroupCommand, GroupOutcome, HostError, HostOp, HostReply, Outcome,
    Refusal,
};
use diptych_format::{BlockRange, Time};
use diptych_shared::{Pace, PaceLimit, Pair, PairOptions, PairStatus};
use diptych_sim::{Answered, Host};
use diptych_unit::Unit;
use std::collections::VecDeque;
use std::num::{NonZeroU32, NonZeroU64};

/// The longest rest between two splits.
const REST_NS_MAX: u64 = 4_000_000;
/// The longest rest before something is asked again.
const REPEAT_NS_MAX: u64 = 200_000;
/// How long hosts may wait for a group command, where that is short.
const DRAIN_LIMIT_NS_MAX: u64 = 500_000;
/// So often a step is repeated before the storm counts as stuck.
const REPEATS_MAX: u64 = 1_000_000;
/// Of so many rounds, one gives its image up before anybody looked at it.
const GIVEN_UP_ONE_OF: u64 = 20;

/// One request. The number is that of a pair of the split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Somebody reads a block of a primary, some time later.
    Rest,
    Create(usize),
    Copy(usize),
    CreateAndCopy(usize),
    /// One command for all pairs.
    Group(CommandCode),
    /// The image is read. It may have to be waited for.
    Look(usize),
    /// The secondary is written to.
    Change(usize),
    /// The secondary is read, and holds the image and what was written to it.
    Compare(usize),
    /// The copy is waited for.
    Ended(usize),
    Suspend(usize),
    Resync(usize),
    Delete(usize),
    Below(BelowStep),
}

#[derive(Debug)]
pub(super) struct Splitter {
    world: Shared,
    unit: Unit,
    no: usize,
    pairs: Vec<StormPair>,
    are_pairs: bool,
    below: Option<Below>,
    /// What is left of the round; the first step is under way.
    steps: VecDeque<Step>,
    repeats: u64,
    /// What may have happened before the instant.
    window: Option<Window>,
    /// The images as they were first read.
    images: Vec<Vec<Option<Tag>>>,
    /// What the secondaries hold, once that is known.
    expected: Vec<Contents>,
    /// What is being written to a secondary.
    change: Option<(BlockRange, Tag)>,
    /// Of each pair, the tracks copied before a write when it was split.
    protected: Vec<u64>,
}

impl Splitter {
    pub(super) fn new(world: Shared, unit: Unit, no: usize) -> Self {
        let pairs = world.borrow().layout.splits[no].clone();
        let below = world.borrow().layout.below[no].map(Below::new);
        Self {
            world,
            unit,
            no,
            protected: vec![0; pairs.len()],
            pairs,
            are_pairs: false,
            below,
            steps: VecDeque::new(),
            repeats: 0,
            window: None,
            images: Vec::new(),
            expected: Vec::new(),
            change: None,
        }
    }

    /// The steps of the next round; none if there is none.
    fn draw_round(&mut self, world: &mut World) -> VecDeque<Step> {
        if world.splits_left == 0 {
            return VecDeque::new();
        }
        let count = self.pairs.len();
        let all = |step: fn(usize) -> Step| (0..count).map(step);
        let is_group = count > 1;
        // Of a group either one command, or one for each pair.
        let each = |world: &mut World, code, step: fn(usize) -> Step| -> Vec<Step> {
            if is_group && world.rng.bool() { vec![Step::Group(code)] } else { all(step).collect() }
        };
        let mut steps = vec![Step::Rest];
        if !self.are_pairs && !is_group && world.rng.bool() {
            steps.extend(all(Step::CreateAndCopy));
        } else {
            if !self.are_pairs {
                steps.extend(all(Step::Create));
            }
            if world.rng.bool() {
                steps.push(Step::Rest);
            }
            if is_group && world.flaw != Some(Flaw::OneByOne) {
                steps.push(Step::Group(CommandCode::Copy));
            } else {
                steps.extend(all(Step::Copy));
            }
        }
        if world.rng.u64(..GIVEN_UP_ONE_OF) == 0 {
            steps.push(Step::Rest);
            steps.extend(each(world, CommandCode::Suspend, Step::Suspend));
            steps.extend(each(world, CommandCode::Resync, Step::Resync));
            self.are_pairs = true;
            return steps.into();
        }
        world.splits_left -= 1;
        steps.extend(all(Step::Look));
        for _ in 0..world.rng.usize(..5) {
            let pair = world.rng.usize(..self.pairs.len());
            let kind = if world.rng.bool() { Step::Change } else { Step::Compare };
            steps.push(kind(pair));
        }
        steps.extend(all(Step::Ended).chain(all(Step::Compare)));
        if self.draw_below(world, &mut steps) {
            self.are_pairs = false;
            return steps.into();
        }
        self.are_pairs = world.rng.u8(..4) != 0;
        if self.are_pairs {
            steps.extend(each(world, CommandCode::Resync, Step::Resync));
        } else {
            self.end_below(&mut steps);
            steps.extend(all(Step::Delete).chain(all(Step::Compare)));
        }
        steps.into()
    }

    /// The request of a step.
    fn ask(&mut self, world: &mut World, now: Time, step: Step) -> (Time, HostOp) {
        let blocks = world.layout.geometry.all_blocks();
        let mut command = |code, pair: usize| {
            let StormPair { secondary, .. } = self.pairs[pair];
            let options = draw_options(world);
            let command = Command::new(code, self.pairs[pair].primary(), secondary);
            let initial_copy = world.rng.u8(..4) != 0;
            Command { initial_copy, ..command.with_options(options) }
        };
        let op = match step {
            Step::Rest => HostOp::Read {
                ldev: self.pairs[0].primary(),
                blocks: world.layout.draw_any(&mut world.rng),
            },
            Step::Ended(pair) => {
                let ldev = self.pairs[pair].primary();
                HostOp::Read { ldev, blocks: world.layout.draw_any(&mut world.rng) }
            }
            Step::Create(pair) => HostOp::Command(command(CommandCode::Create, pair)),
            Step::Copy(pair) => HostOp::Command(command(CommandCode::Copy, pair)),
            Step::CreateAndCopy(pair) => {
                HostOp::Command(command(CommandCode::Create, pair).and_copy())
            }
            Step::Group(code) => HostOp::Group(self.group(world, code)),
            Step::Suspend(pair) => HostOp::Command(command(CommandCode::Suspend, pair)),
            Step::Resync(pair) => HostOp::Command(command(CommandCode::Resync, pair)),
            Step::Delete(pair) => HostOp::Command(command(CommandCode::Delete, pair)),
            Step::Below(step) => self.ask_below(world, step),
            Step::Look(pair) | Step::Compare(pair) => {
                HostOp::Read { ldev: self.pairs[pair].secondary, blocks }
            }
            Step::Change(pair) => {
                let blocks = world.layout.draw_any(&mut world.rng);
                let tag = world.next_tag();
                self.change = Some((blocks, tag));
                op_of(self.pairs[pair].secondary, blocks, tag)
            }
        };
        let splits = [Step::Copy(0), Step::CreateAndCopy(0), Step::Group(CommandCode::Copy)];
        if splits.contains(&step) {
            world.open(self.no);
        }
        let rest_ns = match step {
            Step::Rest => world.rng.u64(..REST_NS_MAX),
            // A split is repeated at once: its window is open.
            Step::Group(_) => 0,
            _ if self.repeats > 0 => world.rng.u64(..REPEAT_NS_MAX),
            _ => 0,
        };
        (now + rest_ns, op)
    }

    /// Takes the answer to a step. Whether it is to be repeated; `Err` if it is no answer to it.
    fn take(&mut self, world: &mut World, step: Step, answered: &Answered) -> Result<bool, ()> {
        let last = self.pairs.len() - 1;
        match (step, &answered.reply) {
            (Step::Rest, HostReply::Data(_)) => {}
            (Step::Below(step), reply) => return self.take_below(world, step, reply),
            (Step::Ended(no), HostReply::Data(_)) => {
                let pair = self.pair(no).ok_or(())?;
                if pair.status != PairStatus::Copied {
                    return Ok(true);
                }
                world.report.protected_tracks += pair.protected_tracks - self.protected[no];
            }
            (Step::Look(_), HostReply::Failed(HostError::Access { .. })) => return Ok(true),
            (Step::Look(pair), HostReply::Data(data)) => {
                if pair == 0 && world.flaw == Some(Flaw::InstantLate) {
                    world.open(self.no);
                    self.window = Some(world.close(self.no, answered.answered_at));
                }
                let image = tags_of(world.layout.geometry.all_blocks(), data);
                self.images.push(image);
                if pair == last {
                    self.judge(world);
                }
            }
            (Step::Compare(pair), HostReply::Data(data)) => {
                let found = tags_of(world.layout.geometry.all_blocks(), data);
                let expected = self.expected[pair].clone();
                let wrong = differences(&[found], &[expected]);
                let of_pair = |wrong| WrongBlock { image: pair, ..wrong };
                let wrong: Vec<_> = wrong.into_iter().map(of_pair).collect();
                world.looked_at(&self.pairs, self.expected[pair].len(), &wrong);
            }
            (Step::Change(pair), HostReply::Done) => {
                let (blocks, tag) = self.change.take().ok_or(())?;
                self.expected[pair][range_of(blocks)].fill(tag);
            }
            (
                Step::Copy(pair) | Step::CreateAndCopy(pair),
                HostReply::Outcome(Outcome::Accepted { .. }),
            ) => {
                self.note_protected(pair)?;
                if pair == last {
                    self.close(world, answered.answered_at);
                }
            }
            (Step::Group(code), HostReply::Group(GroupOutcome::Accepted { .. })) => {
                if code == CommandCode::Copy {
                    (0..=last).try_for_each(|pair| self.note_protected(pair))?;
                    self.close(world, answered.answered_at);
                    world.report.group_splits += 1;
                }
            }
            (
                Step::Group(_),
                HostReply::Group(GroupOutcome::Refused { why: Refusal::DrainLimit, .. }),
            ) => {
                world.report.refused += 1;
                return Ok(true);
            }
            (
                Step::Create(_) | Step::Suspend(_) | Step::Resync(_) | Step::Delete(_),
                HostReply::Outcome(Outcome::Accepted { .. }),
            ) => {}
            _ => return Err(()),
        }
        Ok(false)
    }

    /// The split is answered.
    fn close(&mut self, world: &mut World, at: Time) {
        self.window = Some(world.close(self.no, at));
        self.images.clear();
    }

    fn note_protected(&mut self, no: usize) -> Result<(), ()> {
        self.protected[no] = self.pair(no).ok_or(())?.protected_tracks;
        Ok(())
    }

    /// One command for all pairs. Now and then hosts may not wait for it for long.
    fn group(&self, world: &mut World, code: CommandCode) -> GroupCommand {
        let mut pairs: Vec<_> = self.pairs.iter().map(|p| (p.primary(), p.secondary)).collect();
        world.rng.shuffle(&mut pairs);
        let is_short = world.rng.u8(..4) == 0;
        let drain_limit_ns = is_short.then(|| world.rng.u64(..DRAIN_LIMIT_NS_MAX));
        let options = draw_options(world);
        GroupCommand { options, drain_limit_ns, ..GroupCommand::new(code, pairs) }
    }

    fn pair(&self, no: usize) -> Option<Pair> {
        self.unit.pair(self.pairs[no].primary(), self.pairs[no].secondary)
    }

    /// All images were read: there is an instant that they are of, or blocks are wrong.
    fn judge(&mut self, world: &mut World) {
        let window = self.window.take().expect("the images were split");
        let owner = |primary, block| world.layout.owner(primary, block);
        let verdict = window.judge(&self.images, owner);
        let blocks = verdict.expected.iter().map(Vec::len).sum();
        world.looked_at(&self.pairs, blocks, &verdict.wrong);
        world.report.splits += 1;
        world.report.images += self.pairs.len() as u64;
        self.expected = verdict.expected;
    }
}

impl Host for Splitter {
    fn next(&mut self, now: Time, last: Option<&Answered>) -> Option<(Time, HostOp)> {
        let world = self.world.clone();
        let world = &mut *world.borrow_mut();
        if let Some(answered) = last {
            let step = self.steps[0];
            match self.take(world, step, answered) {
                Ok(true) if self.repeats < REPEATS_MAX => self.repeats += 1,
                Ok(false) => {
                    self.repeats = 0;
                    self.steps.pop_front();
                }
                Ok(true) | Err(()) => {
                    let ldev = self.pairs[0].primary();
                    world.wrong_answer(name(step), ldev, &answered.reply);
                }
            }
        }
        if world.error.is_some() {
            return None;
        }
        if self.steps.is_empty() {
            self.steps = self.draw_round(world);
        }
        let Some(step) = self.steps.front().copied() else {
            world.splitters -= 1;
            return None;
        };
        Some(self.ask(world, now, step))
    }
}

fn draw_options(world: &mut World) -> PairOptions {
    let pace = Pace::try_from(world.rng.u8(1..=15)).expect("1 to 15");
    let (lanes, quick) = (world.rng.u8(1..=3), world.rng.bool());
    let limit = match world.rng.u8(..6) {
        0 => NonZeroU32::new(world.rng.u32(500..20_000)).map(PaceLimit::TracksPerSecond),
        1 => NonZeroU64::new(world.rng.u64(1_000..1_000_000)).map(PaceLimit::AddedLatencyNs),
        _ => None,
    };
    PairOptions { pace, lanes, quick, limit }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::Rest | Step::Ended(_) => "a read of a primary",
        Step::Create(_) => "a create command",
        Step::Copy(_) => "a copy command",
        Step::CreateAndCopy(_) => "a create command with a copy command",
        Step::Look(_) | Step::Compare(_) => "a read of a secondary",
        Step::Change(_) => "a write to a secondary",
        Step::Group(_) => "a group command",
        Step::Suspend(_) => "a suspend command",
        Step::Resync(_) => "a resync command",
        Step::Delete(_) => "a delete command",
        Step::Below(_) => "a step of the level below",
    }
}
