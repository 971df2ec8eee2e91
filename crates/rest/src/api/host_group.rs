//! Host groups: who may log in to a port, and finds which volumes there.

use serde::{Deserialize, Serialize};

/// A host group of a port.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostGroupInfo {
    /// Port and number, as `CL1-A` for the first group of a port, or `CL1-A.2`.
    pub group: String,
    /// What people call it.
    pub name: String,
    /// The name by which hosts log in to it.
    pub target: String,
    /// Who may log in; nobody named means everybody.
    pub initiators: Vec<String>,
    /// Who is logged in, once for each session.
    pub sessions: Vec<String>,
    /// How many LUNs it has.
    pub luns: usize,
}

/// A host group to be made: it admits everybody, and has no LUNs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewHostGroup {
    /// The port, as `CL1-A`; with a number behind a point, the group gets that one, and else the lowest
    /// that is free.
    pub port: String,
    /// What people call it.
    pub name: String,
}

/// What of a host group is to be another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeHostGroup {
    /// What people call it.
    pub name: String,
}

/// An initiator that is to be admitted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admit {
    /// Its name, as it says at login.
    pub initiator: String,
}
