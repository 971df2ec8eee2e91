//! What hosts did with each volume, by whatever protocol, and how long it took.
//!
//! Invariants: counts only grow, each by one relaxed addition; no lock is taken. There is room for each
//! number that a volume can have, made when it is first used, and for no more.

use diptych_cha::{HostOp, HostReply, OpKind};
use diptych_format::{BLOCK_BYTES, LdevId, Time};
use diptych_sync::Tally;
use std::sync::OnceLock;

const IMAGES: usize = 1 << 8;
const LDEVS_OF_IMAGE: usize = 1 << 8;

/// What hosts do with a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrafficKind {
    /// Reads.
    Read,
    /// Writes.
    Write,
    /// Blocks given up, and formats.
    Unmap,
    /// Flushes.
    Flush,
}

impl TrafficKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Read, Self::Write, Self::Unmap, Self::Flush];

    /// As metrics call it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Unmap => "unmap",
            Self::Flush => "flush",
        }
    }

    const fn of(kind: OpKind) -> Option<Self> {
        match kind {
            OpKind::Read => Some(Self::Read),
            OpKind::Write => Some(Self::Write),
            OpKind::Unmap => Some(Self::Unmap),
            OpKind::Flush => Some(Self::Flush),
            OpKind::Command | OpKind::Describe => None,
        }
    }
}

/// Operations of one kind on one volume, so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Bytes read, written or given up by operations that ended well.
    pub bytes: u64,
    /// Operations that failed.
    pub failed: u64,
    /// How long all operations took together, from when they were taken up to their answers.
    pub time_ns: u64,
    /// Operations that took at most as long as each of [`Carried::BOUNDS_NS`], and longer than the one
    /// before; the last are those that took longer than all.
    pub took: [u64; Self::BOUNDS_NS.len() + 1],
}

impl Carried {
    /// 50 us to 1 s.
    pub const BOUNDS_NS: [u64; 13] = [
        50_000,
        100_000,
        250_000,
        500_000,
        1_000_000,
        2_500_000,
        5_000_000,
        10_000_000,
        25_000_000,
        50_000_000,
        100_000_000,
        250_000_000,
        1_000_000_000,
    ];

    /// Operations that were answered.
    pub fn operations(&self) -> u64 {
        self.took.iter().sum()
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Self) -> Self {
        let mut took = self.took;
        took.iter_mut().zip(other.took).for_each(|(here, there)| *here += there);
        Self {
            bytes: self.bytes + other.bytes,
            failed: self.failed + other.failed,
            time_ns: self.time_ns + other.time_ns,
            took,
        }
    }
}

#[derive(Default)]
struct Counts {
    bytes: Tally,
    failed: Tally,
    time_ns: Tally,
    took: [Tally; Carried::BOUNDS_NS.len() + 1],
}

type OfVolume = [Counts; TrafficKind::ALL.len()];
type OfImage = Box<[OnceLock<Box<OfVolume>>]>;

/// All counts.
pub(crate) struct Traffic {
    images: Box<[OnceLock<OfImage>]>,
}

/// An operation that is to be counted when it is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Counting {
    ldev: LdevId,
    kind: TrafficKind,
    bytes: u64,
}

impl Counting {
    /// What is to be counted of this operation, if anything.
    pub(crate) fn of(op: &HostOp) -> Option<Self> {
        let kind = TrafficKind::of(op.kind())?;
        let of = |blocks: u64| blocks.saturating_mul(BLOCK_BYTES as u64);
        let (ldev, bytes) = match op {
            HostOp::Read { ldev, blocks } | HostOp::Unmap { ldev, blocks } => {
                (*ldev, of(blocks.count()))
            }
            HostOp::Write { ldev, data, .. }
            | HostOp::OrWrite { ldev, data, .. }
            | HostOp::CompareAndWrite { ldev, data, .. } => (*ldev, data.len() as u64),
            HostOp::Format { ldev } | HostOp::Flush { ldev } => (*ldev, 0),
            _ => return None,
        };
        Some(Self { ldev, kind, bytes })
    }
}

fn slots<T>(count: usize) -> Box<[OnceLock<T>]> {
    (0..count).map(|_| OnceLock::new()).collect()
}

impl Traffic {
    pub(crate) fn new() -> Self {
        Self { images: slots(IMAGES) }
    }

    /// The operation has ended so, after so long.
    pub(crate) fn count(&self, op: Counting, begun: Time, now: Time, reply: &HostReply) {
        if matches!(reply, HostReply::Failed(diptych_cha::HostError::NoVolume { .. })) {
            return;
        }
        let image = self.images[usize::from(op.ldev.cu)].get_or_init(|| slots(LDEVS_OF_IMAGE));
        let volume = image[usize::from(op.ldev.ldev)].get_or_init(Box::default);
        let counts = &volume[op.kind as usize];
        let ns = now.ns_since(begun);
        counts.time_ns.add(ns);
        counts.took[Carried::BOUNDS_NS.partition_point(|bound| *bound < ns)].add(1);
        match reply {
            HostReply::Failed(_) => counts.failed.add(1),
            // Nothing was written.
            HostReply::Miscompare { .. } => {}
            _ => counts.bytes.add(op.bytes),
        }
    }

    /// What was counted of a volume.
    pub(crate) fn of(&self, ldev: LdevId, kind: TrafficKind) -> Carried {
        let image = self.images[usize::from(ldev.cu)].get();
        let volume = image.and_then(|image| image[usize::from(ldev.ldev)].get());
        let Some(counts) = volume.map(|volume| &volume[kind as usize]) else {
            return Carried::default();
        };
        Carried {
            bytes: counts.bytes.get(),
            failed: counts.failed.get(),
            time_ns: counts.time_ns.get(),
            took: std::array::from_fn(|no| counts.took[no].get()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use diptych_cha::HostError;
    use diptych_format::{BlockNo, BlockRange};

    #[test]
    fn operations_stand_at_their_volume_and_kind() {
        let traffic = Traffic::new();
        let (ldev, blocks) = (LdevId::new(7, 0xFF), BlockRange::new(BlockNo(0), 8));
        let count = |op: &HostOp, us: u64, reply: HostReply| {
            let counting = Counting::of(op).expect("it is counted");
            traffic.count(counting, Time::from_ns(5), Time::from_ns(5 + us * 1_000), &reply);
        };
        let read = HostOp::Read { ldev, blocks };
        count(&read, 50, HostReply::Data(Bytes::from_static(&[0; 4096])));
        count(&read, 51, HostReply::Data(Bytes::from_static(&[0; 4096])));
        count(&read, 2_000_000, HostReply::Failed(HostError::Stopping));
        let data = Bytes::from_static(&[0; 512]);
        let expected = data.clone();
        let compare = HostOp::CompareAndWrite { ldev, block: BlockNo(0), expected, data };
        count(&compare, 1, HostReply::Miscompare { at_bytes: 0 });
        count(&HostOp::Unmap { ldev, blocks }, 1, HostReply::Done);

        let found = traffic.of(ldev, TrafficKind::Read);
        assert_eq!((found.bytes, found.failed, found.operations()), (8_192, 1, 3));
        assert_eq!((found.time_ns, found.took[0], found.took[1]), (2_000_101_000, 1, 1));
        assert_eq!(found.took[Carried::BOUNDS_NS.len()], 1);
        let bytes = |kind| traffic.of(ldev, kind).bytes;
        assert_eq!((bytes(TrafficKind::Write), bytes(TrafficKind::Unmap)), (0, 4_096));
        assert_eq!(traffic.of(LdevId::new(7, 0), TrafficKind::Read), Carried::default());
        assert_eq!(found.plus(&found).operations(), 6);
    }

    #[test]
    fn what_is_not_counted() {
        let ldev = LdevId::new(0, 0);
        assert!(Counting::of(&HostOp::Describe { ldev }).is_none());
        assert!(Counting::of(&HostOp::AcceptContents { ldev }).is_none());
        let traffic = Traffic::new();
        let op = Counting::of(&HostOp::Flush { ldev }).expect("it is counted");
        let reply = HostReply::Failed(HostError::NoVolume { ldev });
        traffic.count(op, Time::ZERO, Time::ZERO, &reply);
        assert_eq!(traffic.of(ldev, TrafficKind::Flush), Carried::default());
    }
}
