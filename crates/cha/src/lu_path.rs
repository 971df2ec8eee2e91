//! A logical unit as a host sees it: a LUN behind a port (Figs. 11A, 11C).

use crate::{NameError, PortId};
use std::fmt;
use std::str::FromStr;

/// The number of a logical unit on its port. A byte, so that no port has more than 256.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lun(pub u8);

impl fmt::Display for Lun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Lun {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        // The parser of numbers would take a plus sign.
        let digits = text.bytes().all(|b| b.is_ascii_digit());
        let number = if digits { text.parse().ok() } else { None };
        number.map(Self).ok_or(NameError::NotLun)
    }
}

/// A path to a volume: a LUN of a port, shown as `CL1-A:3`.
///
/// ```
/// use diptych_cha::{LuPath, Lun};
/// let path: LuPath = "CL1-A:3".parse().unwrap();
/// assert_eq!(path, LuPath { port: "CL1-A".parse().unwrap(), lun: Lun(3) });
/// assert_eq!(path.to_string(), "CL1-A:3");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LuPath {
    /// The port.
    pub port: PortId,
    /// The LUN on it.
    pub lun: Lun,
}

impl LuPath {
    /// LUN `lun` of `port`.
    pub const fn new(port: PortId, lun: Lun) -> Self {
        Self { port, lun }
    }
}

impl fmt::Display for LuPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.port, self.lun)
    }
}

impl FromStr for LuPath {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (port, lun) = text.split_once(':').ok_or(NameError::NotPath)?;
        Ok(Self { port: port.parse()?, lun: lun.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_paths() {
        fn check(text: &str, expected: Result<&str, NameError>) {
            let shown = text.parse::<LuPath>().map(|path| path.to_string());
            assert_eq!(shown, expected.map(str::to_owned), "{text:?}");
        }
        check("CL1-A:0", Ok("CL1-A:0"));
        check("cl3-k:255", Ok("CL3-K:255"));
        check("CL1-A", Err(NameError::NotPath));
        check("CL1-A:", Err(NameError::NotLun));
        check("CL1-A:256", Err(NameError::NotLun));
        check("CL1-A:+1", Err(NameError::NotLun));
        check("CL1-A:1:2", Err(NameError::NotLun));
        check("CL1:1", Err(NameError::NotPort));
    }
}
