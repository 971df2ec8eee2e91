//! Users: who may log in, by CHAP.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserInfo {
    /// The name.
    pub name: String,
    /// It stands in the settings that the unit was started with, and is not changed while it runs.
    pub fixed: bool,
}

/// A user to be made. The secret is told by nobody afterwards.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewUser {
    /// The name.
    pub name: String,
    /// The secret, of 12 to 128 bytes.
    pub secret: String,
}

/// Another secret for a user.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// The secret, of 12 to 128 bytes.
    pub secret: String,
}

impl fmt::Debug for NewUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewUser").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for ChangeUser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChangeUser").finish_non_exhaustive()
    }
}
