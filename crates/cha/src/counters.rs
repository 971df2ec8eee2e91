//! What the host channels of an adapter carried.
//!
//! Only requests and answers of hosts are counted here. Staging, destaging and copying move data
//! inside the control unit and never pass a channel adapter, so a copy of any size adds a command
//! block and an answer block, and nothing else.
//!
//! Invariants: counts only grow, each by one atomic addition; no lock is taken.

use crate::{HostOp, HostReply, OpKind};
use diptych_sync::atomic::{AtomicU64, Ordering};
use std::fmt;

const KINDS: usize = OpKind::ALL.len();

/// The counters of one port of a channel adapter.
#[derive(Default)]
pub struct ChannelCounters {
    by_kind: [KindCounters; KINDS],
    rejected: AtomicU64,
    failed: AtomicU64,
    inside_bytes: AtomicU64,
}

#[derive(Default)]
struct KindCounters {
    operations: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
}

// The counts order nothing else, so relaxed additions are enough.
fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl ChannelCounters {
    /// Counters at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts a host operation that goes to the control unit.
    pub fn count_request(&self, op: &HostOp) {
        let counters = &self.by_kind[op.kind() as usize];
        count(&counters.operations, 1);
        count(&counters.bytes_in, op.host_bytes_in());
    }

    /// Counts a request that became no host operation.
    pub fn count_rejected(&self) {
        count(&self.rejected, 1);
    }

    /// Counts bytes that a host had copied from volume to volume and that never crossed its channel.
    pub fn count_inside(&self, bytes: u64) {
        count(&self.inside_bytes, bytes);
    }

    /// Counts an answer that goes to the host.
    pub fn count_answer(&self, reply: &HostReply) {
        let kind = match reply {
            HostReply::Data(_) => OpKind::Read,
            HostReply::Outcome(_) | HostReply::Group(_) => OpKind::Command,
            HostReply::Done | HostReply::Miscompare { .. } => return,
            HostReply::Allocation(_) | HostReply::Volume(_) | HostReply::Pairs(_) => {
                OpKind::Describe
            }
            HostReply::Failed(_) => return count(&self.failed, 1),
        };
        count(&self.by_kind[kind as usize].bytes_out, reply.host_bytes_out());
    }

    /// The counts now. Each is exact; with requests under way, one may be newer than another.
    pub fn snapshot(&self) -> ChannelSnapshot {
        let by_kind = OpKind::ALL.map(|kind| {
            let counters = &self.by_kind[kind as usize];
            Traffic {
                operations: read(&counters.operations),
                bytes_in: read(&counters.bytes_in),
                bytes_out: read(&counters.bytes_out),
            }
        });
        ChannelSnapshot {
            by_kind,
            rejected: read(&self.rejected),
            failed: read(&self.failed),
            inside_bytes: read(&self.inside_bytes),
        }
    }
}

impl fmt::Debug for ChannelCounters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.snapshot().fmt(f)
    }
}

/// Operations, and the bytes that the host channel carried for them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Operations.
    pub operations: u64,
    /// Bytes from hosts to the unit.
    pub bytes_in: u64,
    /// Bytes from the unit to hosts.
    pub bytes_out: u64,
}

impl Traffic {
    fn plus(self, other: Self) -> Self {
        Self {
            operations: self.operations + other.operations,
            bytes_in: self.bytes_in + other.bytes_in,
            bytes_out: self.bytes_out + other.bytes_out,
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            operations: self.operations.saturating_sub(earlier.operations),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
        }
    }
}

/// What [`ChannelCounters`] stood at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChannelSnapshot {
    by_kind: [Traffic; KINDS],
    /// Requests that became no host operation: no such path, or no command in the block. Their
    /// bytes are not counted.
    pub rejected: u64,
    /// Host operations answered with an error. A refused pair command is answered with an outcome.
    pub failed: u64,
    /// Bytes that hosts had copied from volume to volume (EXTENDED COPY): they crossed no channel.
    pub inside_bytes: u64,
}

impl ChannelSnapshot {
    /// The traffic of one kind of operations.
    pub fn of(&self, kind: OpKind) -> Traffic {
        self.by_kind[kind as usize]
    }

    /// The traffic of all operations.
    pub fn total(&self) -> Traffic {
        self.by_kind.into_iter().fold(Traffic::default(), Traffic::plus)
    }

    /// What was counted after `earlier`, a snapshot of the same counters.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            by_kind: OpKind::ALL.map(|kind| self.of(kind).since(earlier.of(kind))),
            rejected: self.rejected.saturating_sub(earlier.rejected),
            failed: self.failed.saturating_sub(earlier.failed),
            inside_bytes: self.inside_bytes.saturating_sub(earlier.inside_bytes),
        }
    }

    /// Both together: those of two ports.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            by_kind: OpKind::ALL.map(|kind| self.of(kind).plus(other.of(kind))),
            rejected: self.rejected + other.rejected,
            failed: self.failed + other.failed,
            inside_bytes: self.inside_bytes + other.inside_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Command, CommandCode, HostError, Outcome};
    use bytes::Bytes;
    use diptych_format::{BlockNo, BlockRange, LdevId};

    const LDEV: LdevId = LdevId::new(0, 1);

    #[test]
    fn kinds_are_places_in_a_table() {
        assert_eq!(OpKind::ALL.map(|kind| kind as usize), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn bytes_of_operations() {
        fn check(op: &HostOp, kind: OpKind, bytes_in: u64) {
            assert_eq!((op.kind(), op.host_bytes_in()), (kind, bytes_in), "{op:?}");
        }
        let blocks = BlockRange::new(BlockNo(0), 8);
        let data = Bytes::from_static(&[0; 4096]);
        check(&HostOp::Read { ldev: LDEV, blocks }, OpKind::Read, 0);
        check(
            &HostOp::Write { ldev: LDEV, block: BlockNo(0), data: data.clone() },
            OpKind::Write,
            4096,
        );
        let (ldev, block, expected) = (LDEV, BlockNo(0), data.clone());
        let op = HostOp::CompareAndWrite { ldev, block, expected, data: data.clone() };
        check(&op, OpKind::Write, 2 * 4096);
        check(&HostOp::OrWrite { ldev, block, data: data.clone() }, OpKind::Write, 4096);
        check(&HostOp::Allocation { ldev, blocks }, OpKind::Describe, 0);
        check(&HostOp::Describe { ldev }, OpKind::Describe, 0);
        check(&HostOp::Unmap { ldev: LDEV, blocks }, OpKind::Unmap, 0);
        check(&HostOp::Flush { ldev: LDEV }, OpKind::Flush, 0);
        let command = Command::new(CommandCode::Create, LDEV, LdevId::new(0, 2));
        check(&HostOp::Command(command), OpKind::Command, 24);
    }

    #[test]
    fn bytes_of_answers() {
        fn check(reply: &HostReply, bytes_out: u64) {
            assert_eq!(reply.host_bytes_out(), bytes_out, "{reply:?}");
        }
        check(&HostReply::Data(Bytes::from_static(&[0; 512])), 512);
        check(&HostReply::Done, 0);
        check(&HostReply::Miscompare { at_bytes: 7 }, 0);
        check(&HostReply::Outcome(Outcome::Nothing { met: None }), 40);
        check(&HostReply::Failed(HostError::NoRoom), 0);
    }

    #[test]
    fn counts_stand_at_their_kind() {
        let counters = ChannelCounters::new();
        let blocks = BlockRange::new(BlockNo(0), 2);
        counters.count_request(&HostOp::Read { ldev: LDEV, blocks });
        counters.count_answer(&HostReply::Data(Bytes::from_static(&[0; 1024])));
        let earlier = counters.snapshot();
        let command = Command::new(CommandCode::Copy, LDEV, LdevId::new(0, 2));
        counters.count_request(&HostOp::Command(command));
        counters.count_answer(&HostReply::Outcome(Outcome::Nothing { met: None }));
        counters.count_request(&HostOp::Flush { ldev: LDEV });
        counters.count_answer(&HostReply::Failed(HostError::Stopping));
        counters.count_rejected();

        let traffic = |operations, bytes_in, bytes_out| Traffic { operations, bytes_in, bytes_out };
        let now = counters.snapshot();
        assert_eq!(now.of(OpKind::Read), traffic(1, 0, 1024));
        assert_eq!(now.of(OpKind::Command), traffic(1, 24, 40));
        assert_eq!(now.of(OpKind::Flush), traffic(1, 0, 0));
        assert_eq!(now.of(OpKind::Write), Traffic::default());
        assert_eq!(now.total(), traffic(3, 24, 1064));
        let later = now.since(&earlier);
        assert_eq!(later.total(), traffic(2, 24, 40));
        assert_eq!((later.rejected, later.failed), (1, 1));
        assert_eq!(earlier.since(&now), ChannelSnapshot::default());
    }
}
