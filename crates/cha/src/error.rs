//! Why a name, a path or a request is refused before it becomes a host operation.

use crate::{LuPath, PortId, TargetId, WireError};
use diptych_format::LdevId;

/// A text or a number that names nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Not the name of a port.
    #[error("a port is written CL, cluster, hyphen, channel, as in CL1-A")]
    NotPort,
    /// No such cluster.
    #[error("cluster {cluster} is not one of 1 to {most}")]
    NoCluster {
        /// The cluster asked for.
        cluster: u8,
        /// The last cluster.
        most: u8,
    },
    /// No such channel.
    #[error("channel number {channel_no} is not below {channel_count}")]
    NoChannel {
        /// The channel asked for, from 0.
        channel_no: u8,
        /// Channels of a cluster.
        channel_count: u8,
    },
    /// Not the number of a logical unit.
    #[error("a LUN is a number from 0 to 255")]
    NotLun,
    /// Not a path.
    #[error("a path is written port, colon, LUN, as in CL1-A:3")]
    NotPath,
    /// Not the word of a command.
    #[error(
        "the commands are create, delete, copy (or split), resync, suspend, restore and quick-restore"
    )]
    NotCommand,
    /// Not the name of a consistency group.
    #[error("a group's name is 1 to 32 letters, digits, dots, dashes and underscores")]
    NotGroup,
    /// Not the word for somebody who gives commands.
    #[error("who gives commands is host, operator, schedule or unit")]
    NotWho,
    /// Not the number of a host group.
    #[error("a host group has a number from 0 to 255")]
    NotHostGroupNo,
    /// Not the name of a host group.
    #[error("a host group's name is 1 to 32 letters, digits, dots, dashes and underscores")]
    NotHostGroup,
    /// Not the name of an initiator.
    #[error("an initiator's name is 1 to 223 characters without spaces, commas and slashes")]
    NotInitiator,
}

/// Why a path cannot be added, removed or used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LuError {
    /// The channel adapter has no such port.
    #[error("the channel adapter has no port {port}")]
    NoPort {
        /// The port named.
        port: PortId,
    },
    /// There is no volume at this path.
    #[error("there is no logical unit {path}")]
    NoLu {
        /// The path named.
        path: LuPath,
    },
    /// There is a volume at this path already.
    #[error("logical unit {path} is volume {ldev} already")]
    Taken {
        /// The path named.
        path: LuPath,
        /// The volume there.
        ldev: LdevId,
    },
    /// The port has no such host group.
    #[error("there is no host group {target}")]
    NoGroup {
        /// The host group named.
        target: TargetId,
    },
    /// There is a host group of that number already.
    #[error("there is a host group {target} already")]
    GroupTaken {
        /// The host group named.
        target: TargetId,
    },
    /// A port keeps its first host group.
    #[error("host group {target} is the first of its port and stays")]
    FirstGroup {
        /// The host group named.
        target: TargetId,
    },
    /// The port has as many host groups as it may have.
    #[error("port {port} has {most} host groups, and no more fit")]
    TooManyGroups {
        /// The port named.
        port: PortId,
        /// The most there can be.
        most: usize,
    },
    /// The host group names as many initiators as it may.
    #[error("host group {target} names {most} initiators, and no more fit")]
    TooManyInitiators {
        /// The host group named.
        target: TargetId,
        /// The most there can be.
        most: usize,
    },
}

/// Why a host's request does not become a [`HostOp`](crate::HostOp).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The path leads nowhere.
    #[error(transparent)]
    Lu(#[from] LuError),
    /// The command block makes no sense.
    #[error(transparent)]
    Block(#[from] WireError),
}
