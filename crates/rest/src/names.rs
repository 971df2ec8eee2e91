//! Names of volumes: kept in the unit, one to a volume.
//!
//! A name is kept under the volume's number. One that was left by a volume that is no more means
//! nothing: a new volume of that number gets its own, or none.

use crate::management::App;
use crate::problem::Failure;
use bytes::Bytes;
use diptych_format::LdevId;
use std::collections::BTreeMap;

/// The most characters of a volume's name.
pub const VOLUME_NAME_CHARS_MAX: usize = 32;

const PREFIX: &str = "name/";

/// All names, by volume.
pub(crate) type Names = BTreeMap<LdevId, String>;

/// Checks a name: it is no number of a volume.
fn check(name: &str) -> Result<(), Failure> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fits = (1..=VOLUME_NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(allowed);
    // These are parts of paths.
    if fits && !matches!(name, "." | "..") {
        return Ok(());
    }
    let most = VOLUME_NAME_CHARS_MAX;
    Err(Failure::bad(format_args!(
        "a volume's name is 1 to {most} letters, digits, dots, dashes and underscores"
    )))
}

impl App {
    /// The names of all volumes that have one.
    pub(crate) fn names(&self) -> Names {
        let unit = self.rt.unit();
        let name = |key: String| {
            let ldev = key.strip_prefix(PREFIX)?.parse().ok()?;
            let name = String::from_utf8(unit.kept(&key)?.to_vec()).ok()?;
            unit.volume(ldev).map(|_| (ldev, name))
        };
        unit.kept_names(PREFIX).into_iter().filter_map(name).collect()
    }

    /// The volume of this number or name.
    pub(crate) fn ldev(&self, text: &str) -> Result<LdevId, Failure> {
        if text.contains(':') {
            let ldev = text.parse()?;
            let volume = self.rt.unit().volume(ldev);
            return volume.map(|_| ldev).ok_or_else(|| Failure::no_volume(ldev));
        }
        let found = self.names().into_iter().find(|(_, name)| name == text);
        let no_volume = || {
            let message = format_args!("no volume is called {text:?}");
            Failure::missing("no-volume", message).or("diptych ldev list tells the volumes")
        };
        found.map(|(ldev, _)| ldev).ok_or_else(no_volume)
    }

    /// Whether a volume may be called so.
    pub(crate) fn check_name(&self, ldev: LdevId, name: &str) -> Result<(), Failure> {
        check(name)?;
        match self.names().into_iter().find(|(other, taken)| taken == name && *other != ldev) {
            Some((other, _)) => Err(Failure::conflict(
                "name-taken",
                format_args!("volume {other} is called {name:?} already"),
            )),
            None => Ok(()),
        }
    }

    /// Gives a volume a name, or takes it away. Who calls this holds the names.
    pub(crate) fn set_name(&self, ldev: LdevId, name: Option<&str>) -> Result<(), Failure> {
        let key = format!("{PREFIX}{ldev}");
        let value = name.map(|name| Bytes::copy_from_slice(name.as_bytes()));
        if self.rt.unit().kept(&key) == value {
            return Ok(());
        }
        self.managed(|unit| unit.keep(&key, value.clone()))
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn names() {
        fn check(name: &str, expected: bool) {
            assert_eq!(super::check(name).is_ok(), expected, "{name:?}");
        }
        check("payroll-db_1.old", true);
        check("1", true);
        check("", false);
        check(".", false);
        check("..", false);
        check("00:1A", false);
        check("a/b", false);
        check("two words", false);
        check(&"x".repeat(32), true);
        check(&"x".repeat(33), false);
    }
}
