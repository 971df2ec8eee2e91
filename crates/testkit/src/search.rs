//! An explicit-state search of the rules of pairs: every state that can be reached is looked at, crashes,
//! failures and the order of durable writes included.
//!
//! What is searched are the rules of the design, written a second time as small as they go: no code of
//! the control unit, two tracks, two pairs, contents that are numbers. Storms look at the code; this
//! looks at whether code that keeps the rules can lose anything.
//!
//! | noun | file |
//! |---|---|
//! | [`SearchConfig`], [`BrokenRule`] | `rules` |
//! | a state, packed | `state` |
//! | what can happen | `action`, `next` |
//! | hosts' requests, the unit's own work, commands, crashes | `host`, `unit`, `command`, `crash` |
//! | what changes in memory with them | `maps` |
//! | the search | `explore`, `symmetry` |
//!
//! Invariants:
//! - A search ends when nothing is left to look at; it is never cut off.
//! - States are kept whole and compared whole: no two are taken for one because of a hash.
//! - A rule that is broken on purpose ([`BrokenRule`]) is found, with a shortest way to it.

mod action;
mod command;
mod crash;
mod explore;
mod host;
mod maps;
mod next;
mod rules;
mod show;
mod state;
mod symmetry;
mod unit;

pub use rules::{BrokenRule, SearchConfig};

use rules::Rules;
use std::fmt;

/// What a search came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchReport {
    /// States that were reached.
    pub states: u64,
    /// Steps from one to another.
    pub transitions: u64,
    /// Steps from the start to the states farthest from it; to what is wrong, if anything is.
    pub depth: u64,
    /// The first state that is wrong, and how it is reached.
    pub wrong: Option<SearchTrace>,
}

/// A shortest way to a state that violates an invariant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SearchTrace {
    /// The invariant.
    pub wrong: &'static str,
    /// What happens, one after the other.
    pub actions: Vec<String>,
    /// What it leads to.
    pub state: String,
}

impl fmt::Display for SearchTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (no, action) in self.actions.iter().enumerate() {
            writeln!(f, "{:>4}  {action}", no + 1)?;
        }
        writeln!(f, "{}", self.wrong)?;
        write!(f, "{}", self.state)
    }
}

/// Searches a configuration, with all rules kept or one broken. `progress` hears now and then how many
/// states were reached, and how many of them are done.
pub fn search(
    config: SearchConfig,
    broken: Option<BrokenRule>,
    mut progress: impl FnMut(usize, usize),
) -> SearchReport {
    explore::explore(&Rules { config, broken }, &mut progress)
}
