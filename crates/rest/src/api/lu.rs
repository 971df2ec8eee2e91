//! Logical units: which volume is behind which LUN of which port.

use serde::{Deserialize, Serialize};

/// A path to a volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LuInfo {
    /// Port, host group and LUN, as `CL1-A:3` or `CL1-A.2:3`.
    pub path: String,
    /// The volume.
    pub ldev: String,
    /// The name of the volume.
    pub name: Option<String>,
    /// Hosts are told that blocks may be given up.
    pub thin: bool,
    /// The medium can be ejected and loaded.
    pub removable: bool,
    /// Hosts may not change it.
    pub write_protected: bool,
    /// It takes pair commands in band, and holds no data.
    pub command_device: bool,
}

/// A path to be made. The options are the volume's: they hold for each of its paths.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewLu {
    /// Port, host group and LUN, as `CL1-A:3`.
    pub path: String,
    /// The volume.
    pub ldev: String,
    /// Whether hosts are told that blocks may be given up.
    pub thin: Option<bool>,
    /// Whether the medium can be ejected and loaded.
    pub removable: Option<bool>,
    /// Whether hosts may not change it.
    pub write_protected: Option<bool>,
    /// Whether it takes pair commands in band; hosts do not reach its data any more.
    pub command_device: Option<bool>,
}
