//! Commands for consistency groups: every pair must allow it, and all are carried out as of one
//! instant.

use super::commands::Expected;
use super::{Model, PairModel};
use diptych_cha::{CommandCode, GroupCommand, GroupOutcome, Refusal};
use diptych_format::LdevId;
use diptych_shared::PairStatus;

/// What a group command must come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExpectedGroup {
    /// Carried out, with the statuses met and left, in the order of the command.
    Accepted(Vec<(PairStatus, PairStatus)>),
    /// Not carried out, on account of the command itself.
    Refused(Refusal),
    /// Not carried out, on account of one of these pairs: the design does not order them. `None` is a
    /// volume that is no pair's.
    Stopped(Vec<(Option<(LdevId, LdevId)>, Expected)>),
}

impl ExpectedGroup {
    /// Whether the outcome is that.
    pub fn admits(&self, outcome: &GroupOutcome) -> bool {
        match (self, outcome) {
            (Self::Accepted(expected), GroupOutcome::Accepted { pairs, .. }) => {
                pairs.iter().map(|pair| (pair.from, pair.to)).eq(expected.iter().copied())
            }
            (Self::Refused(expected), GroupOutcome::Refused { pair: None, why }) => expected == why,
            (Self::Stopped(by), GroupOutcome::Nothing { primary, secondary, met }) => {
                by.contains(&(Some((*primary, *secondary)), Expected::Nothing { met: *met }))
            }
            (Self::Stopped(by), GroupOutcome::Refused { pair, why }) => {
                by.iter().any(|(of, expected)| match expected {
                    Expected::Refused(reasons) => of == pair && reasons.contains(why),
                    _ => false,
                })
            }
            _ => false,
        }
    }
}

impl Model {
    /// Carries out a command for a consistency group of at most `pairs_max` pairs.
    ///
    /// # Panics
    ///
    /// If pairs that allow a command each alone do not allow it together: the model contradicts itself.
    pub fn group(&mut self, command: &GroupCommand, pairs_max: usize) -> ExpectedGroup {
        if matches!(command.code, CommandCode::Create | CommandCode::Delete) {
            return ExpectedGroup::Refused(Refusal::NotForGroups);
        }
        let (asked, most) = (command.pairs.len(), pairs_max);
        if !(1..=most).contains(&asked) {
            return ExpectedGroup::Refused(Refusal::GroupSize { asked, most });
        }
        let stopped = self.stopped_by(command);
        if !stopped.is_empty() {
            return ExpectedGroup::Stopped(stopped);
        }
        // Those below first: they go by what the level above was at the instant.
        let mut order: Vec<(LdevId, LdevId)> = command.pairs.clone();
        order.sort_by_key(|(primary, _)| !self.pairs.contains_key(primary));
        let met = |model: &Self, pair: &(LdevId, LdevId)| model.pairs[&pair.1].status;
        let from: Vec<PairStatus> = command.pairs.iter().map(|pair| met(self, pair)).collect();
        for pair in order {
            let done = self.command(&command.of_pair(pair));
            assert!(matches!(done, Expected::Accepted { .. }), "{pair:?}: {done:?}");
        }
        let to = command.pairs.iter().map(|pair| met(self, pair));
        ExpectedGroup::Accepted(from.into_iter().zip(to).collect())
    }

    /// The pairs that do not allow it, and why, each as it would be alone.
    fn stopped_by(&self, command: &GroupCommand) -> Vec<(Option<(LdevId, LdevId)>, Expected)> {
        let mut stopped = Vec::new();
        for (no, pair) in command.pairs.iter().copied().enumerate() {
            let (primary, secondary) = pair;
            for ldev in [primary, secondary] {
                if !self.volumes.contains_key(&ldev) {
                    let expected = Expected::Refused(vec![Refusal::NoVolume { ldev }]);
                    stopped.extend([(None, expected.clone()), (Some(pair), expected)]);
                }
            }
            let alone = self.clone().command(&command.of_pair(pair));
            if !matches!(alone, Expected::Accepted { .. }) {
                stopped.push((Some(pair), alone));
            }
            let in_conflict = |other: &&(LdevId, LdevId)| {
                **other == pair
                    || self.restores(command) && self.root(other.0) == self.root(primary)
            };
            for (_, ldev) in command.pairs[..no].iter().filter(in_conflict) {
                let conflict = Refusal::GroupConflict { ldev: *ldev };
                stopped.push((Some(pair), Expected::Refused(vec![conflict])));
            }
        }
        stopped
    }

    fn restores(&self, command: &GroupCommand) -> bool {
        matches!(command.code, CommandCode::Restore | CommandCode::QuickRestore)
    }

    /// The volume at the top of a family, which is the primary of every pair that may be restored.
    fn root(&self, ldev: LdevId) -> LdevId {
        let above = |pair: &PairModel| self.root(pair.primary);
        self.pairs.get(&ldev).map_or(ldev, above)
    }
}
