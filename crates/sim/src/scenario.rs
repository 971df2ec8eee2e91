//! Scenarios: what hosts and operators do, as plain data that any driver can play.

use crate::SplitMix64;
use bytes::{Bytes, BytesMut};
use diptych_cha::{Command, HostOp};
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, Geometry, LdevId};
use diptych_shared::{PairOptions, PairStatus};
use std::fmt;

/// Volumes, and what is done with them.
///
/// Steps that touch the same tracks of one volume are done in their order; others may be under way
/// together. Commands are alone. Where a step's result depends on how far a copy has come, the
/// scenario waits for that first ([`ScenarioStep::WaitPair`], [`ScenarioStep::Settle`]); then every
/// driver comes to the same volumes, maps and statuses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scenario {
    /// The volumes there are at the start.
    pub volumes: Vec<ScenarioVolume>,
    /// What is done.
    pub steps: Vec<ScenarioStep>,
}

/// A volume of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScenarioVolume {
    /// Its name.
    pub ldev: LdevId,
    /// Its shape.
    pub geometry: Geometry,
    /// The parity group it lies in; `None` makes a volume of maps and claims without payload.
    pub group_no: Option<usize>,
    /// Whether it is reserved as a secondary.
    pub reserved: bool,
}

/// One step of a scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScenarioStep {
    /// A host writes blocks made from `fill` ([`fill_blocks`]).
    Write {
        /// The volume.
        ldev: LdevId,
        /// Which blocks.
        blocks: BlockRange,
        /// What they are made from.
        fill: u64,
    },
    /// A host reads.
    Read {
        /// The volume.
        ldev: LdevId,
        /// Which blocks.
        blocks: BlockRange,
    },
    /// A host gives blocks up.
    Unmap {
        /// The volume.
        ldev: LdevId,
        /// Which blocks.
        blocks: BlockRange,
    },
    /// A host makes its writes durable.
    Flush {
        /// The volume.
        ldev: LdevId,
    },
    /// A pair command.
    Command(Command),
    /// The operator changes pace and lanes of a pair.
    ChangePace {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// What is wanted.
        options: PairOptions,
    },
    /// Waits until the pair has this status; `None` is *no pair*.
    WaitPair {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// The status waited for.
        status: Option<PairStatus>,
    },
    /// Waits until nothing is left to do: all answered, all copied that is to be copied, all
    /// destaged.
    Settle,
}

/// `count` blocks, all different, made from `fill`.
pub fn fill_blocks(fill: u64, count: u64) -> Bytes {
    let mut random = SplitMix64::new(fill);
    let mut data = BytesMut::zeroed(count as usize * BLOCK_BYTES);
    for word in data.chunks_exact_mut(8) {
        word.copy_from_slice(&random.next_u64().to_le_bytes());
    }
    data.freeze()
}

impl ScenarioStep {
    /// A write of `count` blocks from block `block` on.
    pub fn write(ldev: LdevId, block: u64, count: u64, fill: u64) -> Self {
        Self::Write { ldev, blocks: BlockRange::new(BlockNo(block), count), fill }
    }

    /// The host operation that it is, if it is one.
    pub fn op(&self) -> Option<HostOp> {
        match *self {
            Self::Write { ldev, blocks, fill } => {
                let data = fill_blocks(fill, blocks.count());
                Some(HostOp::Write { ldev, block: blocks.start, data })
            }
            Self::Read { ldev, blocks } => Some(HostOp::Read { ldev, blocks }),
            Self::Unmap { ldev, blocks } => Some(HostOp::Unmap { ldev, blocks }),
            Self::Flush { ldev } => Some(HostOp::Flush { ldev }),
            Self::Command(command) => Some(HostOp::Command(command)),
            Self::ChangePace { .. } | Self::WaitPair { .. } | Self::Settle => None,
        }
    }
}

/// A status as it is seen from outside: `None` is *no pair* (801).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen(pub Option<PairStatus>);

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(status) => status.fmt(f),
            None => f.pad("no pair"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn blocks_are_all_different_and_the_same_every_time() {
        let blocks = |fill| fill_blocks(fill, 100);
        let distinct = |data: &Bytes| data.chunks(BLOCK_BYTES).collect::<BTreeSet<_>>().len();
        assert_eq!(distinct(&blocks(1)), 100);
        assert_eq!(blocks(1), blocks(1));
        assert_ne!(blocks(1), blocks(2));
    }
}
