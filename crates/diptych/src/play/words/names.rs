//! What volumes, pairs and groups are called.

use super::WordError;
use diptych::cha::{GroupName, NameError};
use diptych::format::LdevId;
use std::fmt;

/// A volume, as `"00:1A"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Ldev(pub(crate) LdevId);

impl TryFrom<String> for Ldev {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        text.parse().map(Self).map_err(|_| WordError::Volume)
    }
}

impl fmt::Display for Ldev {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A pair, as `"00:00 -> 00:01"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct PairName {
    pub(crate) primary: LdevId,
    pub(crate) secondary: LdevId,
}

impl TryFrom<String> for PairName {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        let (primary, secondary) = text.split_once("->").ok_or(WordError::Pair)?;
        let volume = |text: &str| text.trim().parse().map_err(|_| WordError::Pair);
        Ok(Self { primary: volume(primary)?, secondary: volume(secondary)? })
    }
}

impl fmt::Display for PairName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.primary, self.secondary)
    }
}

/// A pair to create: `"00:00 -> 00:01"`, or `"00:00 -> auto"`, where the unit chooses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum NewPair {
    Named(PairName),
    Auto(LdevId),
}

impl TryFrom<String> for NewPair {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        match text.split_once("->") {
            Some((primary, "auto" | " auto")) => {
                primary.trim().parse().map(Self::Auto).map_err(|_| WordError::NewPair)
            }
            _ => text.try_into().map(Self::Named).map_err(|_| WordError::NewPair),
        }
    }
}

impl fmt::Display for NewPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(pair) => pair.fmt(f),
            Self::Auto(primary) => write!(f, "{primary} -> auto"),
        }
    }
}

/// The name of a consistency group.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct GroupWord(pub(crate) GroupName);

impl TryFrom<String> for GroupWord {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse().map(Self)
    }
}

impl fmt::Display for GroupWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a command is given for: a pair, or a group by its name.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Target {
    Pair(PairName),
    Group(GroupWord),
}

impl TryFrom<String> for Target {
    type Error = WordError;

    fn try_from(text: String) -> Result<Self, WordError> {
        if text.contains("->") {
            return text.try_into().map(Self::Pair);
        }
        text.try_into().map(Self::Group).map_err(|_| WordError::Target)
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(pair) => pair.fmt(f),
            Self::Group(name) => write!(f, "group {name}"),
        }
    }
}
