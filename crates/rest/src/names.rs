//! Names of volumes: what they may be. The unit keeps them, one to a volume.

use crate::management::App;
use crate::problem::Failure;
use diptych_format::LdevId;
use std::collections::BTreeMap;

/// The most characters of a volume's name.
pub const VOLUME_NAME_CHARS_MAX: usize = 32;

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
        self.rt.unit().volume_names()
    }

    /// The volume of this number or name.
    pub(crate) fn ldev(&self, text: &str) -> Result<LdevId, Failure> {
        if let Some(ldev) = self.rt.unit().find_volume(text) {
            return Ok(ldev);
        }
        if text.contains(':') {
            return Err(Failure::no_volume(text.parse()?));
        }
        let message = format_args!("no volume is called {text:?}");
        Err(Failure::missing("no-volume", message).or("diptych ldev list tells the volumes"))
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
        self.managed(|unit| unit.set_volume_name(ldev, name))
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
