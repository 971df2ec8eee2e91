//! Consistency groups, and the commands for them.

use super::PairRef;
use serde::{Deserialize, Serialize};

/// A consistency group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupInfo {
    /// Its name.
    pub name: String,
    /// Its pairs.
    pub pairs: Vec<GroupMember>,
}

/// A pair of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupMember {
    /// The pair.
    #[serde(flatten)]
    pub pair: PairRef,
    /// Its status; `simplex` if there is no such pair any more.
    pub status: String,
}

/// What a command for a group came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupAnswer {
    /// `accepted`, or `nothing`: one pair was in a status with nothing to do, and nothing changed.
    pub outcome: String,
    /// The command.
    pub command: String,
    /// The group.
    pub group: String,
    /// How many pairs it was carried out for.
    pub pairs: usize,
    /// How long a host may have waited for it, in nanoseconds.
    pub barrier_ns: Option<u64>,
    /// The pair with nothing to do.
    pub nothing_for: Option<PairRef>,
    /// The status that it was in.
    pub met: Option<String>,
}

impl GroupAnswer {
    /// Whether something was done.
    pub fn is_accepted(&self) -> bool {
        self.outcome == "accepted"
    }
}
