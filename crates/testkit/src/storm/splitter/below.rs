//! A second level under a secondary: an image of the image. It is kept while the first level is
//! resynchronized and split again, and now and then the secondary leaves its primary and takes it back.

use super::{Splitter, Step, draw_options};
use crate::storm::cut::{Contents, differences};
use crate::storm::layout::StormPair;
use crate::storm::world::{World, tags_of};
use diptych_cha::{Command, CommandCode, HostError, HostOp, HostReply, Outcome};
use diptych_format::LdevId;
use diptych_shared::{Pair, PairStatus};

/// The level under the pair of a split that has one pair.
#[derive(Debug)]
pub(super) struct Below {
    secondary: LdevId,
    /// Whether it is a pair once the steps drawn so far are done.
    is_pair: bool,
    /// What its secondary holds.
    expected: Contents,
}

/// A request for the level below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BelowStep {
    /// Create and copy in one.
    Create,
    /// Its image is read. It may have to be waited for.
    Look,
    /// Its copy is waited for.
    Ended,
    Restore,
    QuickRestore {
        freeze: bool,
    },
    /// The end of the restore is waited for.
    Restored,
    Delete,
}

impl Below {
    pub(super) fn new(secondary: LdevId) -> Self {
        Self { secondary, is_pair: false, expected: Contents::new() }
    }
}

impl Splitter {
    /// What is done with the level below, the image above it being complete. Whether the secondary leaves
    /// its primary by it.
    pub(super) fn draw_below(&mut self, world: &mut World, steps: &mut Vec<Step>) -> bool {
        let Some(below) = &mut self.below else { return false };
        let rng = &mut world.rng;
        if !below.is_pair {
            if rng.bool() {
                return false;
            }
            below.is_pair = true;
            steps.push(Step::Below(BelowStep::Create));
            if rng.bool() {
                steps.push(Step::Change(0));
            }
        }
        if rng.bool() {
            steps.push(Step::Below(BelowStep::Look));
        }
        match rng.u8(..4) {
            0 => {
                below.is_pair = false;
                let quick = BelowStep::QuickRestore { freeze: rng.bool() };
                let back = if rng.bool() { BelowStep::Restore } else { quick };
                steps.extend([Step::Below(BelowStep::Ended), Step::Delete(0), Step::Below(back)]);
                steps.extend([Step::Compare(0), Step::Change(0), Step::Compare(0)]);
                steps.extend([Step::Below(BelowStep::Restored), Step::Compare(0)]);
                steps.extend([Step::Below(BelowStep::Delete), Step::Compare(0)]);
                true
            }
            1 => {
                self.end_below(steps);
                false
            }
            _ => false,
        }
    }

    /// The level below is no pair from here on.
    pub(super) fn end_below(&mut self, steps: &mut Vec<Step>) {
        if let Some(below) = self.below.as_mut().filter(|below| below.is_pair) {
            below.is_pair = false;
            steps.push(Step::Below(BelowStep::Delete));
        }
    }

    fn level_below(&mut self) -> &mut Below {
        self.below.as_mut().expect("a step of the level below")
    }

    /// The request of a step.
    pub(super) fn ask_below(&mut self, world: &mut World, step: BelowStep) -> HostOp {
        let (primary, secondary) = (self.pairs[0].secondary, self.level_below().secondary);
        let blocks = world.layout.geometry.all_blocks();
        let mut command =
            |code| Command::new(code, primary, secondary).with_options(draw_options(world));
        HostOp::Command(match step {
            BelowStep::Look => return HostOp::Read { ldev: secondary, blocks },
            BelowStep::Ended | BelowStep::Restored => {
                let blocks = world.layout.draw_any(&mut world.rng);
                return HostOp::Read { ldev: primary, blocks };
            }
            BelowStep::Create => command(CommandCode::Create).and_copy(),
            BelowStep::Restore => command(CommandCode::Restore),
            BelowStep::QuickRestore { freeze } => {
                Command { freeze, ..command(CommandCode::QuickRestore) }
            }
            BelowStep::Delete => command(CommandCode::Delete),
        })
    }

    /// Takes the answer to a step. Whether it is to be repeated; `Err` if it is no answer to it.
    pub(super) fn take_below(
        &mut self,
        world: &mut World,
        step: BelowStep,
        reply: &HostReply,
    ) -> Result<bool, ()> {
        let held = self.expected[0].clone();
        match (step, reply) {
            (BelowStep::Look, HostReply::Failed(HostError::Access { .. })) => return Ok(true),
            (BelowStep::Look, HostReply::Data(data)) => self.look_below(world, data),
            (BelowStep::Ended, HostReply::Data(_)) => {
                return Ok(self.pair_below().ok_or(())?.status != PairStatus::Copied);
            }
            (BelowStep::Restored, HostReply::Data(_)) => {
                return Ok(self.pair_below().ok_or(())?.status == PairStatus::Restoring);
            }
            (_, HostReply::Outcome(Outcome::Accepted { .. })) => match step {
                BelowStep::Create => self.level_below().expected = held,
                BelowStep::Restore | BelowStep::QuickRestore { .. } => {
                    self.expected[0] = self.level_below().expected.clone();
                    world.report.restores += 1;
                }
                _ => {}
            },
            _ => return Err(()),
        }
        Ok(false)
    }

    fn look_below(&mut self, world: &mut World, data: &[u8]) {
        let found = tags_of(world.layout.geometry.all_blocks(), data);
        let Below { secondary, ref expected, .. } = *self.level_below();
        let (wrong, blocks) =
            (differences(&[found], std::slice::from_ref(expected)), expected.len());
        let pair = StormPair { secondary, ..self.pairs[0] };
        world.looked_at(&[pair], blocks, &wrong);
        world.report.images_below += 1;
    }

    fn pair_below(&mut self) -> Option<Pair> {
        let secondary = self.level_below().secondary;
        self.unit.pair(self.pairs[0].secondary, secondary)
    }
}
