//! Consistency groups by name: which pairs a command for the group is given for.

use crate::play::PlayError;
use crate::play::answer::{Answer, Expect};
use crate::play::stage::Stage;
use crate::play::verb::{Act, Happened};
use crate::play::words::{GroupWord, OneOrMany, PairName};
use serde::Deserialize;
use std::fmt;

/// Gives pairs a name, or a name other pairs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DefineGroup {
    group: GroupWord,
    pairs: OneOrMany<PairName>,
}

/// Forgets a name; the pairs stay as they are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ungroup {
    ungroup: GroupWord,
}

impl Act for DefineGroup {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let pairs = self.pairs.words.iter().map(|pair| (pair.primary, pair.secondary)).collect();
        Ok(Answer::of_operator(stage.unit().define_group(self.group.0.clone(), pairs)).into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Ungroup {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        if stage.unit().remove_group(&self.ungroup.0)? {
            return Ok(Happened::default());
        }
        Err(PlayError::NoGroupNamed { name: self.ungroup.to_string() })
    }
}

impl fmt::Display for DefineGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}: {}", self.group, self.pairs)
    }
}

impl fmt::Display for Ungroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ungroup {}", self.ungroup)
    }
}
