//! Names of volumes: small values that are kept, one to a volume, under its number.
//!
//! What a name may be, and that no two volumes have the same, is the business of who gives names. One that
//! was left by a volume that is no more means nothing.

use crate::{Unit, UnitError};
use bytes::Bytes;
use diptych_format::LdevId;
use std::collections::BTreeMap;

const PREFIX: &str = "name/";

impl Unit {
    /// The names of all volumes that have one.
    pub fn volume_names(&self) -> BTreeMap<LdevId, String> {
        let name = |key: String| {
            let ldev = key.strip_prefix(PREFIX)?.parse().ok()?;
            let name = String::from_utf8(self.kept(&key)?.to_vec()).ok()?;
            self.volume(ldev).map(|_| (ldev, name))
        };
        self.kept_names(PREFIX).into_iter().filter_map(name).collect()
    }

    /// The name of a volume, if it has one.
    pub fn volume_name(&self, ldev: LdevId) -> Option<String> {
        self.volume(ldev)?;
        String::from_utf8(self.kept(&key(ldev))?.to_vec()).ok()
    }

    /// The volume of this number, as `00:1A`, or of this name.
    pub fn find_volume(&self, text: &str) -> Option<LdevId> {
        if text.contains(':') {
            let ldev = text.parse().ok()?;
            return self.volume(ldev).map(|_| ldev);
        }
        let mut names = self.volume_names().into_iter();
        names.find(|(_, name)| name == text).map(|(ldev, _)| ldev)
    }

    /// Gives a volume a name, or takes it away: durable once this returns.
    ///
    /// # Errors
    ///
    /// As of [`Unit::keep`].
    pub fn set_volume_name(&self, ldev: LdevId, name: Option<&str>) -> Result<(), UnitError> {
        let key = key(ldev);
        let value = name.map(|name| Bytes::copy_from_slice(name.as_bytes()));
        if self.kept(&key) == value {
            return Ok(());
        }
        self.keep(&key, value)
    }
}

fn key(ldev: LdevId) -> String {
    format!("{PREFIX}{ldev}")
}
