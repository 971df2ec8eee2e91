//! Host groups: who may log in to a port, and which volumes they find there (LUN masking).

use crate::{Lun, NameError};
use diptych_format::LdevId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

/// The name of a host group: 1 to 32 letters, digits, dots, dashes and underscores.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct HostGroupName(String);

impl HostGroupName {
    /// The most characters of a name.
    pub const CHARS_MAX: usize = 32;
}

impl Default for HostGroupName {
    /// The name of a port's first group.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

/// The name of an initiator, as it says at login: an iSCSI name (RFC 7143, 4.2.7) in lower case, of
/// 1 to 223 printable characters without spaces, commas and slashes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct InitiatorName(String);

impl InitiatorName {
    /// The most bytes of a name.
    pub const BYTES_MAX: usize = 223;

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

macro_rules! text {
    ($name:ident) => {
        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;

            fn try_from(text: String) -> Result<Self, NameError> {
                text.parse()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}
text!(HostGroupName);
text!(InitiatorName);

impl FromStr for HostGroupName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        let fits = (1..=Self::CHARS_MAX).contains(&text.len()) && text.chars().all(allowed);
        if fits { Ok(Self(text.to_owned())) } else { Err(NameError::NotHostGroup) }
    }
}

impl FromStr for InitiatorName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let allowed = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, ',' | '/');
        let fits = (1..=Self::BYTES_MAX).contains(&text.len()) && text.chars().all(allowed);
        if fits { Ok(Self(text.to_lowercase())) } else { Err(NameError::NotInitiator) }
    }
}

/// How a volume shows itself to hosts, by whatever path they come.
///
/// ```
/// use diptych_cha::LuOptions;
/// let plain = LuOptions::default();
/// assert!(plain.thin && !plain.removable && !plain.write_protected);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LuOptions {
    /// Hosts are told that blocks may be given up (UNMAP, WRITE SAME with UNMAP, BLOCK ERASE).
    pub thin: bool,
    /// Hosts are told of physical blocks of 4 KiB under the logical ones of 512 bytes.
    pub physical_4k: bool,
    /// The medium can be ejected and loaded. WRITE SAME up to its end, without a length, is refused then.
    pub removable: bool,
    /// Hosts may not change it.
    pub write_protected: bool,
    /// It is a command device: it takes pair commands in band, and nothing is ever stored on it.
    pub command_device: bool,
}

impl Default for LuOptions {
    fn default() -> Self {
        Self {
            thin: true,
            physical_4k: false,
            removable: false,
            write_protected: false,
            command_device: false,
        }
    }
}

/// One host group of a port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostGroup {
    /// What people call it.
    pub name: HostGroupName,
    /// Who may log in; nobody named means everybody.
    pub initiators: BTreeSet<InitiatorName>,
    pub(crate) luns: BTreeMap<Lun, LdevId>,
}

impl HostGroup {
    /// The most initiators of a group.
    pub const INITIATORS_MAX: usize = 64;

    /// A group that admits everybody and has no logical units.
    pub fn new(name: HostGroupName) -> Self {
        Self { name, ..Self::default() }
    }

    /// Whether an initiator called so may log in.
    pub fn admits(&self, initiator: &InitiatorName) -> bool {
        self.initiators.is_empty() || self.initiators.contains(initiator)
    }

    /// The logical units, by ascending LUN.
    pub fn units(&self) -> impl Iterator<Item = (Lun, LdevId)> {
        self.luns.iter().map(|(&lun, &ldev)| (lun, ldev))
    }

    /// The volume behind a LUN.
    pub fn unit(&self, lun: Lun) -> Option<LdevId> {
        self.luns.get(&lun).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        fn group(text: &str, expected: bool) {
            assert_eq!(text.parse::<HostGroupName>().is_ok(), expected, "{text:?}");
        }
        group("db-hosts.1", true);
        group("", false);
        group("two words", false);
        group(&"x".repeat(33), false);
        fn initiator(text: &str, expected: Option<&str>) {
            let name = text.parse::<InitiatorName>().ok();
            assert_eq!(name.as_ref().map(InitiatorName::as_str), expected, "{text:?}");
        }
        initiator("iqn.2001-04.com.Example:Host", Some("iqn.2001-04.com.example:host"));
        initiator("", None);
        initiator("a b", None);
        initiator("iqn.x,i,0x00", None);
        initiator(&"x".repeat(223), Some(&"x".repeat(223)));
        initiator(&"x".repeat(224), None);
    }

    #[test]
    fn a_group_without_names_admits_everybody() {
        let mut group = HostGroup::new("a".parse().expect("a name"));
        let [one, other] = ["iqn.one", "iqn.other"].map(|name| name.parse().expect("a name"));
        assert!(group.admits(&one) && group.admits(&other));
        group.initiators.insert(one.clone());
        assert!(group.admits(&one) && !group.admits(&other));
    }
}
