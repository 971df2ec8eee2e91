//! Commands for a consistency group: several pairs at one instant, all or none.

use crate::{Command, CommandCode, NameError, Refusal, Who};
use diptych_format::{LdevId, PairId};
use diptych_shared::{PairOptions, PairStatus};
use std::fmt;
use std::str::FromStr;

/// The name of a consistency group: 1 to 32 letters, digits, dots, dashes and underscores.
///
/// ```
/// use diptych_cha::GroupName;
/// assert!("payroll-db.2".parse::<GroupName>().is_ok());
/// assert!("two words".parse::<GroupName>().is_err());
/// ```
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(into = "String", try_from = "String")]
pub struct GroupName(String);

impl GroupName {
    /// The most characters of a name.
    pub const CHARS_MAX: usize = 32;
}

impl From<GroupName> for String {
    fn from(name: GroupName) -> Self {
        name.0
    }
}

impl TryFrom<String> for GroupName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl FromStr for GroupName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fits = (1..=Self::CHARS_MAX).contains(&text.len()) && text.chars().all(allowed);
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::NotGroup) }
    }
}

impl fmt::Display for GroupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One command for several pairs, over any volumes: copy, re-synchronize, restore, quick restore or
/// suspend.
///
/// It has one instant: no write acknowledged before it is missing from any image, none submitted after
/// its answer is in one, and of two writes the second of which was submitted after the first was
/// acknowledged no image has the second alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupCommand {
    /// What to do.
    pub code: CommandCode,
    /// The pairs, each as primary and secondary.
    pub pairs: Vec<(LdevId, LdevId)>,
    /// Pace, lanes, quick, for all of them.
    pub options: PairOptions,
    /// Quick restore only: the pairs stay split.
    pub freeze: bool,
    /// How long hosts may have to wait for it, in nanoseconds; `None` is the unit's setting. If their
    /// requests under way take longer, the command is refused.
    pub drain_limit_ns: Option<u64>,
    /// Who gives it.
    pub who: Who,
}

impl GroupCommand {
    /// A command of a host, with the default options.
    pub fn new(code: CommandCode, pairs: Vec<(LdevId, LdevId)>) -> Self {
        let (options, who) = (PairOptions::default(), Who::Host);
        Self { code, pairs, options, freeze: false, drain_limit_ns: None, who }
    }

    /// The same command, given by somebody else.
    #[must_use]
    pub fn by(self, who: Who) -> Self {
        Self { who, ..self }
    }

    /// The command for one of its pairs.
    pub fn of_pair(&self, (primary, secondary): (LdevId, LdevId)) -> Command {
        let Self { code, options, freeze, who, .. } = *self;
        Command { options, freeze, who, ..Command::new(code, primary, secondary) }
    }
}

/// What a command did to one pair of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GroupedPair {
    /// The pair.
    pub pair: PairId,
    /// The status met.
    pub from: PairStatus,
    /// The status now.
    pub to: PairStatus,
}

/// What a group command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GroupOutcome {
    /// Carried out for all pairs.
    Accepted {
        /// What it did, in the order of the command.
        pairs: Vec<GroupedPair>,
        /// The length of the barrier: how long a host may have waited for it, in nanoseconds.
        barrier_ns: u64,
    },
    /// One pair is in a status with nothing to do; nothing changed anywhere.
    Nothing {
        /// Its primary.
        primary: LdevId,
        /// Its secondary.
        secondary: LdevId,
        /// The status met; `None` is *no pair*.
        met: Option<PairStatus>,
    },
    /// Not allowed; nothing changed anywhere.
    Refused {
        /// The pair that does not allow it, if it is one pair.
        pair: Option<(LdevId, LdevId)>,
        /// Why.
        why: Refusal,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_groups() {
        fn check(text: &str, expected: bool) {
            let parsed = text.parse::<GroupName>();
            assert_eq!(parsed.is_ok(), expected, "{text:?}");
            assert!(parsed.is_ok_and(|name| name.to_string() == text) == expected);
        }
        check("a", true);
        check("A.b-c_9", true);
        check(&"x".repeat(32), true);
        check(&"x".repeat(33), false);
        check("", false);
        check("ä", false);
        check("a b", false);
        check("a/b", false);
    }
}
