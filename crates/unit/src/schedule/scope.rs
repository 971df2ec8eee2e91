//! What a schedule acts on.

use diptych_cha::GroupName;
use diptych_format::LdevId;
use std::fmt;

/// What a schedule acts on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum Scope {
    /// One pair: at each tick its secondary gets the image of that instant.
    Pair {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
    },
    /// Pairs of one primary, whose secondaries take turns.
    Rotation(Rotation),
    /// A consistency group: at each tick all its secondaries get the images of one instant, or none
    /// does. Which pairs it has is looked up at the tick.
    Group(GroupName),
    /// Consistency groups that take turns.
    Groups {
        /// The groups, as a rule all of the same primaries.
        groups: Vec<GroupName>,
        /// As [`Rotation::images`]: how many groups with complete images a tick must leave.
        images: usize,
    },
}

/// A set of secondaries of one primary that form a series of images: at each tick the oldest image is
/// replaced.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rotation {
    /// The primary.
    pub primary: LdevId,
    /// The secondaries that take turns.
    pub secondaries: Vec<LdevId>,
    /// How many complete images a tick must leave. The secondaries are at least one more: while one
    /// of them is copied its old image is gone and the new one is not complete.
    pub images: usize,
}

impl Scope {
    /// How many complete images a tick must leave.
    pub fn images(&self) -> usize {
        match self {
            Self::Pair { .. } | Self::Group(_) => 0,
            Self::Rotation(Rotation { images, .. }) | Self::Groups { images, .. } => *images,
        }
    }

    /// The primary, if it is one.
    pub(super) fn primary(&self) -> Option<LdevId> {
        match self {
            Self::Pair { primary, .. } | Self::Rotation(Rotation { primary, .. }) => Some(*primary),
            Self::Group(_) | Self::Groups { .. } => None,
        }
    }

    /// What takes turns: of each, its pairs. `pairs_of` looks up a group; one that is not there has
    /// none.
    pub(super) fn members(
        &self,
        mut pairs_of: impl FnMut(&GroupName) -> Option<Vec<(LdevId, LdevId)>>,
    ) -> Vec<Vec<(LdevId, LdevId)>> {
        let mut group = |name| pairs_of(name).unwrap_or_default();
        match self {
            Self::Pair { primary, secondary } => vec![vec![(*primary, *secondary)]],
            Self::Rotation(Rotation { primary, secondaries, .. }) => {
                secondaries.iter().map(|secondary| vec![(*primary, *secondary)]).collect()
            }
            Self::Group(name) => vec![group(name)],
            Self::Groups { groups, .. } => groups.iter().map(group).collect(),
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair { primary, secondary } => write!(f, "{primary} -> {secondary}"),
            Self::Rotation(Rotation { primary, secondaries, images }) => {
                let count = secondaries.len();
                write!(f, "{primary} -> {count} volumes in turn, {images} images")
            }
            Self::Group(name) => write!(f, "group {name}"),
            Self::Groups { groups, images } => {
                write!(f, "{} groups in turn, {images} images", groups.len())
            }
        }
    }
}
