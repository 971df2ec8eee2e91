//! Ids: small newtypes, so that an index, a count and an address cannot be mistaken for each other.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

macro_rules! id {
    ($(#[$meta:meta])* $name:ident($inner:ty)) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id! {
    /// The storage under an LDEV. Never used again, so that a stale block is told from a good one.
    /// `0` names no backing.
    BackingId(u32)
}
id! {
    /// A track of a volume, from 0. The unit of copying, of one map bit, and of a cache slot.
    TrackNo(u64)
}
id! {
    /// A block of 512 bytes of a volume, from 0.
    BlockNo(u64)
}
id! {
    /// A sector of 512 bytes of a drive, from 0.
    SectorNo(u64)
}
id! {
    /// The sequence of the host write that made a block's data. A copy keeps its source's.
    Generation(u64)
}
id! {
    /// An image: what a secondary holds, numbered from the unit's sequence; never used again.
    /// `0` names no image.
    ImageNo(u64)
}
id! {
    /// A drive of the control unit, from 0.
    DriveNo(u16)
}
id! {
    /// A family: all volumes joined by pairs. Never used again.
    FamilyId(u64)
}
id! {
    /// One job, as its driver numbers it. Never used again.
    OwnerId(u64)
}

/// An LDEV, the volume a host sees: `CU:LDEV`, both in two hexadecimal digits.
///
/// ```
/// use diptych_format::LdevId;
/// let id: LdevId = "00:1A".parse().unwrap();
/// assert_eq!(id, LdevId { cu: 0, ldev: 0x1A });
/// assert_eq!(id.to_string(), "00:1A");
/// assert!("0:1A".parse::<LdevId>().is_err());
/// ```
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct LdevId {
    /// The CU image.
    pub cu: u8,
    /// The volume within the CU image.
    pub ldev: u8,
}

impl LdevId {
    /// The volume `ldev` of CU image `cu`.
    pub const fn new(cu: u8, ldev: u8) -> Self {
        Self { cu, ldev }
    }
}

impl fmt::Display for LdevId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}:{:02X}", self.cu, self.ldev)
    }
}

impl FromStr for LdevId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let byte = |digits: &str| -> Result<u8, IdError> {
            let hexadecimal = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            if !hexadecimal {
                return Err(IdError::NotCuLdev);
            }
            u8::from_str_radix(digits, 16).map_err(|_| IdError::NotCuLdev)
        };
        let (cu, ldev) = text.split_once(':').ok_or(IdError::NotCuLdev)?;
        Ok(Self { cu: byte(cu)?, ldev: byte(ldev)? })
    }
}

/// A pair: its number (Fig. 3: 301) and the epoch that tells a reused number from its earlier use.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct PairId {
    /// The pair number: the entry of the pair information.
    pub no: u16,
    /// How often the entry was used before.
    pub epoch: u32,
}

impl fmt::Display for PairId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.no, self.epoch)
    }
}

/// A text that is no id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdError {
    /// A volume is written as two hexadecimal digits, a colon, two hexadecimal digits.
    #[error("a volume is written CU:LDEV in hexadecimal, as in 00:1A")]
    NotCuLdev,
}
