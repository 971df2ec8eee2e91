//! A logical unit as a host sees it: a LUN behind a port (Figs. 11A, 11C), for one host group.

use crate::{NameError, PortId};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The number of a logical unit in its host group. A byte, so that no group has more than 256.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Lun(pub u8);

impl fmt::Display for Lun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Lun {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        byte(text).map(Self).ok_or(NameError::NotLun)
    }
}

fn byte(text: &str) -> Option<u8> {
    // The parser of numbers would take a plus sign.
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// A host group of a port: what an initiator logs in to. Every port has group 0, which is shown
/// without its number: `CL1-A`, `CL1-A.2`.
///
/// ```
/// use diptych_cha::TargetId;
/// let target: TargetId = "CL1-A.2".parse().unwrap();
/// assert_eq!((target.port.to_string().as_str(), target.group), ("CL1-A", 2));
/// assert_eq!(target.to_string(), "CL1-A.2");
/// assert_eq!("cl1-a.0".parse::<TargetId>().unwrap().to_string(), "CL1-A");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TargetId {
    /// The port.
    pub port: PortId,
    /// The host group on it, from 0.
    pub group: u8,
}

impl TargetId {
    /// Host group `group` of `port`.
    pub const fn new(port: PortId, group: u8) -> Self {
        Self { port, group }
    }

    /// The relative target port identifier (SPC-5, 7.7.6.7): from 1, different for every target.
    pub const fn relative_port(self) -> u16 {
        let ports = PortId::CLUSTERS as u16 * PortId::CHANNELS as u16;
        let cluster = self.port.cluster() as u16 - 1;
        let port_no = cluster * PortId::CHANNELS as u16 + self.port.channel_no() as u16;
        self.group as u16 * ports + port_no + 1
    }
}

impl From<PortId> for TargetId {
    fn from(port: PortId) -> Self {
        Self::new(port, 0)
    }
}

impl fmt::Display for TargetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.group {
            0 => self.port.fmt(f),
            group => write!(f, "{}.{group}", self.port),
        }
    }
}

impl FromStr for TargetId {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.split_once('.') {
            None => Ok(text.parse::<PortId>()?.into()),
            Some((port, group)) => {
                let group = byte(group).ok_or(NameError::NotHostGroupNo)?;
                Ok(Self { port: port.parse()?, group })
            }
        }
    }
}

/// A path to a volume: a LUN of a host group of a port, shown as `CL1-A:3` or `CL1-A.2:3`.
///
/// ```
/// use diptych_cha::{LuPath, Lun};
/// let path: LuPath = "CL1-A:3".parse().unwrap();
/// assert_eq!(path, LuPath::new("CL1-A".parse().unwrap(), Lun(3)));
/// assert_eq!(path.to_string(), "CL1-A:3");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LuPath {
    /// The port.
    pub port: PortId,
    /// The host group on it.
    pub group: u8,
    /// The LUN in it.
    pub lun: Lun,
}

impl LuPath {
    /// LUN `lun` of `port`, in its first host group.
    pub const fn new(port: PortId, lun: Lun) -> Self {
        Self { port, group: 0, lun }
    }

    /// LUN `lun` of a host group.
    pub const fn of(target: TargetId, lun: Lun) -> Self {
        Self { port: target.port, group: target.group, lun }
    }

    /// What the path goes through.
    pub const fn target(self) -> TargetId {
        TargetId::new(self.port, self.group)
    }
}

impl fmt::Display for LuPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.target(), self.lun)
    }
}

impl FromStr for LuPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (target, lun) = text.split_once(':').ok_or(NameError::NotPath)?;
        Ok(Self::of(target.parse()?, lun.parse()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_of_paths() {
        fn check(text: &str, expected: Result<&str, NameError>) {
            let shown = text.parse::<LuPath>().map(|path| path.to_string());
            assert_eq!(shown, expected.map(str::to_owned), "{text:?}");
        }
        check("CL1-A:0", Ok("CL1-A:0"));
        check("cl3-k:255", Ok("CL3-K:255"));
        check("CL1-A.7:3", Ok("CL1-A.7:3"));
        check("CL1-A.0:3", Ok("CL1-A:3"));
        check("CL1-A", Err(NameError::NotPath));
        check("CL1-A:", Err(NameError::NotLun));
        check("CL1-A:256", Err(NameError::NotLun));
        check("CL1-A:+1", Err(NameError::NotLun));
        check("CL1-A:1:2", Err(NameError::NotLun));
        check("CL1-A.:1", Err(NameError::NotHostGroupNo));
        check("CL1-A.256:1", Err(NameError::NotHostGroupNo));
        check("CL1:1", Err(NameError::NotPort));
    }

    #[test]
    fn every_target_has_its_own_relative_port() {
        let mut seen = BTreeSet::new();
        for cluster in 1..=PortId::CLUSTERS {
            for channel_no in 0..PortId::CHANNELS {
                let port = PortId::new(cluster, channel_no).expect("a port");
                for group in 0..=u8::MAX {
                    assert!(seen.insert(TargetId::new(port, group).relative_port()));
                }
            }
        }
        assert_eq!(seen.first(), Some(&1));
        assert_eq!(seen.len(), 32_768);
    }
}
