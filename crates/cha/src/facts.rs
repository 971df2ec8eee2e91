//! What a host may ask about a volume, beside its blocks.

use crate::Forbidden;
use diptych_format::{BlockRange, LdevId};

/// The most runs of one answer to [`HostOp::Allocation`](crate::HostOp::Allocation).
pub const ALLOCATION_RUNS_MAX: usize = 256;

/// A run of blocks that have storage, or have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AllocatedRun {
    /// Which blocks.
    pub blocks: BlockRange,
    /// Whether there is storage under them. Blocks without read zero; blocks with storage may.
    pub allocated: bool,
}

/// What a volume is, and what a host may do with it now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeFacts {
    /// The volume.
    pub ldev: LdevId,
    /// Its blocks of 512 bytes.
    pub block_count: u64,
    /// Blocks of a track: what is given up whole loses its storage.
    pub blocks_per_track: u64,
    /// Whether its contents mean anything.
    pub contents_defined: bool,
    /// Whether it is blocked.
    pub blocked: bool,
    /// Whether it is reserved for use as a secondary.
    pub reserved: bool,
    /// What forbids reading it, if anything does.
    pub read: Option<Forbidden>,
    /// What forbids changing it, if anything does.
    pub write: Option<Forbidden>,
}
