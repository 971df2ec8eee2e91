//! What a host asks of the control unit, whatever protocol it came by.

use crate::{
    AllocatedRun, COMMAND_BLOCK_BYTES, Command, CreateAuto, GroupCommand, GroupOutcome,
    OUTCOME_BLOCK_BYTES, VolumeFacts,
};
use bytes::Bytes;
use diptych_format::{BlockNo, BlockRange, LdevId};
use std::fmt;

/// A host operation: what the channel adapter makes of a host's request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostOp {
    /// Read blocks.
    Read {
        /// The volume.
        ldev: LdevId,
        /// Which blocks.
        blocks: BlockRange,
    },
    /// Write blocks. Chunks of at most 1 MiB are atomic against each other.
    Write {
        /// The volume.
        ldev: LdevId,
        /// The first block.
        block: BlockNo,
        /// Whole blocks of 512 bytes.
        data: Bytes,
    },
    /// Write blocks if they hold what is expected, in one step: nothing comes between. At most one
    /// chunk of 1 MiB.
    CompareAndWrite {
        /// The volume.
        ldev: LdevId,
        /// The first block.
        block: BlockNo,
        /// What the blocks must hold: as many bytes as there are of data.
        expected: Bytes,
        /// Whole blocks of 512 bytes.
        data: Bytes,
    },
    /// Set bits: the blocks hold what they held, or data. Each chunk of at most 1 MiB in one step.
    OrWrite {
        /// The volume.
        ldev: LdevId,
        /// The first block.
        block: BlockNo,
        /// Whole blocks of 512 bytes.
        data: Bytes,
    },
    /// Give blocks up: they read zero afterwards, whole tracks lose their storage.
    Unmap {
        /// The volume.
        ldev: LdevId,
        /// Which blocks.
        blocks: BlockRange,
    },
    /// Format the volume: all its blocks read zero, and its contents are defined.
    Format {
        /// The volume.
        ldev: LdevId,
    },
    /// Accept the contents of the volume as they are, where they are undefined: the operator says so.
    AcceptContents {
        /// The volume.
        ldev: LdevId,
    },
    /// Say which of these blocks have storage.
    Allocation {
        /// The volume.
        ldev: LdevId,
        /// Which blocks.
        blocks: BlockRange,
    },
    /// Say what the volume is, and what a host may do with it now.
    Describe {
        /// The volume.
        ldev: LdevId,
    },
    /// Say what pairs there are, and how far they are.
    Pairs {
        /// Which.
        of: crate::PairsOf,
    },
    /// Make every acknowledged write of the volume durable.
    Flush {
        /// The volume.
        ldev: LdevId,
    },
    /// A pair command (Fig. 2).
    Command(Command),
    /// A create command whose secondary the unit chooses.
    CreateAuto(CreateAuto),
    /// A command for a consistency group.
    Group(GroupCommand),
}

impl HostOp {
    /// What kind of operation it is.
    pub const fn kind(&self) -> OpKind {
        match self {
            Self::Read { .. } => OpKind::Read,
            Self::Write { .. } | Self::CompareAndWrite { .. } | Self::OrWrite { .. } => {
                OpKind::Write
            }
            Self::Unmap { .. } | Self::Format { .. } => OpKind::Unmap,
            Self::Allocation { .. } | Self::Describe { .. } | Self::Pairs { .. } => {
                OpKind::Describe
            }
            Self::Flush { .. } => OpKind::Flush,
            Self::Command(_)
            | Self::CreateAuto(_)
            | Self::Group(_)
            | Self::AcceptContents { .. } => OpKind::Command,
        }
    }

    /// Bytes that the channel carries from the host to the unit: the data of a write, the command
    /// block of a command. What a protocol wraps around them is not counted.
    pub fn host_bytes_in(&self) -> u64 {
        match self {
            Self::Write { data, .. } | Self::OrWrite { data, .. } => data.len() as u64,
            Self::CompareAndWrite { expected, data, .. } => (expected.len() + data.len()) as u64,
            Self::Command(_) | Self::CreateAuto(_) => COMMAND_BLOCK_BYTES as u64,
            Self::Group(command) => (COMMAND_BLOCK_BYTES * command.pairs.len()) as u64,
            Self::Read { .. }
            | Self::Unmap { .. }
            | Self::Format { .. }
            | Self::AcceptContents { .. }
            | Self::Flush { .. } => 0,
            Self::Allocation { .. } | Self::Describe { .. } | Self::Pairs { .. } => 0,
        }
    }
}

/// The kinds of host operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpKind {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Blocks given up.
    Unmap,
    /// Flushes.
    Flush,
    /// Pair commands.
    Command,
    /// Questions about a volume or pairs: they carry no data.
    Describe,
}

impl OpKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Write, Self::Unmap, Self::Flush, Self::Command, Self::Describe];

    /// The word of the kind.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Unmap => "unmap",
            Self::Flush => "flush",
            Self::Command => "command",
            Self::Describe => "describe",
        }
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The answer to a [`HostOp`], sent with device end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostReply {
    /// The blocks read.
    Data(Bytes),
    /// The change, or the flush, is done.
    Done,
    /// A compare and write found something else, and changed nothing.
    Miscompare {
        /// Bytes from the first block of the request to the first byte that differs.
        at_bytes: u64,
    },
    /// Which blocks have storage: runs in turn with and without, from the first block asked for on.
    /// At most [`ALLOCATION_RUNS_MAX`](crate::ALLOCATION_RUNS_MAX); the last may end before what was
    /// asked for does.
    Allocation(Vec<AllocatedRun>),
    /// What the volume is.
    Volume(VolumeFacts),
    /// Pairs.
    Pairs(crate::PairTable),
    /// What a pair command came to.
    Outcome(crate::Outcome),
    /// What a group command came to.
    Group(GroupOutcome),
    /// The operation was not carried out, or not to its end.
    Failed(HostError),
}

impl HostReply {
    /// Bytes that the channel carries from the unit to the host: the data of a read, the answer
    /// block of a command. What a protocol wraps around them is not counted.
    pub fn host_bytes_out(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Outcome(_) => OUTCOME_BLOCK_BYTES as u64,
            Self::Group(GroupOutcome::Accepted { pairs, .. }) => {
                (OUTCOME_BLOCK_BYTES * pairs.len()) as u64
            }
            Self::Group(_) => OUTCOME_BLOCK_BYTES as u64,
            Self::Done | Self::Miscompare { .. } | Self::Failed(_) => 0,
            Self::Allocation(_) | Self::Volume(_) | Self::Pairs(_) => 0,
        }
    }
}

/// Why a read, a write, an unmap or a flush failed. Protocols turn it into sense data or an errno.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HostError {
    /// No such volume.
    #[error("volume {ldev} does not exist")]
    NoVolume {
        /// The volume asked for.
        ldev: LdevId,
    },
    /// The request reaches past the volume's end.
    #[error("blocks {blocks} reach past the end of volume {ldev}, which has {block_count}")]
    OutOfRange {
        /// The volume.
        ldev: LdevId,
        /// The blocks asked for.
        blocks: BlockRange,
        /// Blocks of the volume.
        block_count: u64,
    },
    /// The data is not a whole number of blocks.
    #[error("{bytes} bytes are not a whole number of 512-byte blocks")]
    NotWholeBlocks {
        /// Bytes handed in.
        bytes: usize,
    },
    /// A compare and write that compares fewer or more bytes than it writes.
    #[error("{expected_bytes} bytes are compared and {data_bytes} written: not as many")]
    NotAsMany {
        /// Bytes to compare.
        expected_bytes: usize,
        /// Bytes to write.
        data_bytes: usize,
    },
    /// The pair's status keeps hosts off its secondary, or the volume is reserved.
    #[error("volume {ldev} may not be {tried} now: {why}")]
    Access {
        /// The volume.
        ldev: LdevId,
        /// What was tried.
        tried: Tried,
        /// What forbids it.
        why: Forbidden,
    },
    /// Blocks could not be read from the drives: the first of them.
    #[error("medium error at block {block} of volume {ldev}")]
    Medium {
        /// The volume.
        ldev: LdevId,
        /// The first block that could not be read.
        block: BlockNo,
    },
    /// A drive under the volume failed.
    #[error("a drive under volume {ldev} failed")]
    Drive {
        /// The volume.
        ldev: LdevId,
    },
    /// The request is larger than one request may be.
    #[error("a request has at most {most_blocks} blocks, not {blocks}")]
    TooLarge {
        /// Blocks asked for.
        blocks: u64,
        /// The most there can be.
        most_blocks: u64,
    },
    /// Too many requests wait already: ask again later.
    #[error("too many requests wait already")]
    Busy,
    /// There is no room for the request, and there will be none.
    #[error("the cache is too small for a request of this size")]
    NoRoom,
    /// The unit stops.
    #[error("the control unit is stopping")]
    Stopping,
}

/// What a host tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// A read.
    Read,
    /// A write or another change.
    Write,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "written",
        })
    }
}

/// What forbids a host's access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Forbidden {
    /// The volume is the secondary of a pair in this status.
    Secondary(diptych_shared::PairStatus),
    /// The volume is reserved for use as a secondary.
    Reserved,
    /// The volume is blocked.
    Blocked,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secondary(status) => write!(f, "it is the secondary of a pair that is {status}"),
            Self::Reserved => f.write_str("it is reserved"),
            Self::Blocked => f.write_str("it is blocked"),
        }
    }
}
