//! The pace of a copy (Figs. 11C, 11E, 11F).

use crate::SharedError;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How many tracks one elemental copy moves: 1 to 15.
///
/// ```
/// use diptych_shared::Pace;
///
/// assert_eq!("fast".parse(), Ok(Pace::FAST));
/// assert_eq!(Pace::try_from(3), Ok(Pace::MEDIUM));
/// assert_eq!(Pace::try_from(7).unwrap().to_string(), "7");
/// assert!(Pace::try_from(16).is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct Pace(u8);

impl Pace {
    /// One track at a time.
    pub const SLOW: Self = Self(1);
    /// Three tracks at a time.
    pub const MEDIUM: Self = Self(3);
    /// Fifteen tracks at a time.
    pub const FAST: Self = Self(15);

    /// Tracks an elemental copy.
    pub const fn tracks(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Pace {
    type Error = SharedError;

    fn try_from(asked: u8) -> Result<Self, SharedError> {
        let allowed = Self::SLOW.0..=Self::FAST.0;
        if allowed.contains(&asked) {
            Ok(Self(asked))
        } else {
            Err(SharedError::PaceOutOfRange { asked })
        }
    }
}

impl FromStr for Pace {
    type Err = SharedError;

    fn from_str(text: &str) -> Result<Self, SharedError> {
        match text {
            "slow" => Ok(Self::SLOW),
            "medium" => Ok(Self::MEDIUM),
            "fast" => Ok(Self::FAST),
            _ => text.parse::<u8>().map_err(|_| SharedError::UnknownPace)?.try_into(),
        }
    }
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SLOW => f.pad("slow"),
            Self::MEDIUM => f.pad("medium"),
            Self::FAST => f.pad("fast"),
            Self(tracks) => tracks.fmt(f),
        }
    }
}
