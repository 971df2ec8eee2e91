//! Hosts that write on and on while steps go by, and what an image may hold of their writes.
//!
//! A host of this kind has one write under way at a time, and each says which one it is. Its writes
//! go to its volumes in turn and, volume by volume, over an area of blocks again and again. So an
//! image of one instant holds its writes up to one of them and none after it: a prefix.

use bytes::{Bytes, BytesMut};
use diptych::cha::{HostError, HostOp, HostReply};
use diptych::format::{BLOCK_BYTES, BlockNo, BlockRange, LdevId, Time};
use diptych::sim::SplitMix64;
use diptych::sync::{Arc, Mutex};
use std::fmt;

const MAGIC: [u8; 8] = *b"DIPTLOAD";

/// A host that writes: the driver's side and the scenario's side have a handle each.
#[derive(Debug, Clone)]
pub(crate) struct Load(Arc<Mutex<Ledger>>);

/// What a host writes, where, and how far it is.
#[derive(Debug)]
struct Ledger {
    plan: Plan,
    /// Writes sent, or about to be.
    sent: u64,
    /// Writes answered.
    done: u64,
    sent_at: Time,
    wait_ns: u128,
    wait_max_ns: u64,
    failed: Option<HostError>,
    stopping: bool,
    ended: bool,
    /// Writes answered before the last copy command, and sent before its answer.
    cut: Option<(u64, u64)>,
}

/// What a host writes, and where.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The volumes, in turn.
    pub(crate) volumes: Vec<LdevId>,
    /// The blocks of each, in turn.
    pub(crate) area: BlockRange,
    /// Nanoseconds from an answer to the next write.
    pub(crate) rest_ns: u64,
    /// What tells the hosts of a scenario from each other.
    pub(crate) seed: u64,
    /// It reads instead: a block here and a block there, so that each is of another track.
    pub(crate) reads: bool,
}

/// From one block that is read to the next.
const READ_STRIDE: u64 = 129;

/// What a host did so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Served {
    pub(crate) requests: u64,
    /// The mean wait for an answer, in nanoseconds.
    pub(crate) mean_ns: u64,
    /// The longest wait.
    pub(crate) max_ns: u64,
    pub(crate) failed: Option<HostError>,
}

impl Plan {
    /// Where write `no` goes.
    fn place(&self, no: u64) -> (LdevId, BlockNo) {
        let count = self.volumes.len() as u64;
        let stride = if self.reads { READ_STRIDE } else { 1 };
        let block = self.area.start.0 + (no / count).wrapping_mul(stride) % self.area.count();
        (self.volumes[(no % count) as usize], BlockNo(block))
    }

    /// What write `no` writes.
    fn data(&self, no: u64) -> Bytes {
        let mut data = BytesMut::zeroed(BLOCK_BYTES);
        let mut random = SplitMix64::new(self.seed.rotate_left(48) ^ no);
        for word in data.chunks_exact_mut(8) {
            word.copy_from_slice(&random.next_u64().to_le_bytes());
        }
        data[..8].copy_from_slice(&MAGIC);
        data[8..16].copy_from_slice(&no.to_le_bytes());
        data.freeze()
    }

    /// Which write made this block; `None` if none did.
    fn write_of(&self, block: &[u8]) -> Option<u64> {
        let no = block[8..16].try_into().map(u64::from_le_bytes).expect("eight bytes");
        (block[..8] == MAGIC && self.data(no) == block).then_some(no)
    }

    /// Which of the first `count` writes is last in this block of volume `index`, if any is.
    fn last_in(&self, count: u64, index: usize, block: BlockNo) -> Option<u64> {
        let (volumes, index) = (self.volumes.len() as u64, index as u64);
        let here = (count + volumes - 1).saturating_sub(index) / volumes;
        let nth = block.0 - self.area.start.0;
        let turn = here.checked_sub(nth + 1)? / self.area.count();
        Some((nth + turn * self.area.count()) * volumes + index)
    }

    /// How many writes these images of the area hold, volume by volume.
    ///
    /// # Errors
    ///
    /// What shows that they are not of one instant.
    pub(crate) fn prefix(&self, images: &[Bytes]) -> Result<u64, NotOneInstant> {
        let found = |index: usize| {
            let blocks = images[index].chunks(BLOCK_BYTES).map(|block| self.write_of(block));
            blocks.zip(self.area.iter())
        };
        let all = (0..images.len()).flat_map(found);
        let count = all.filter_map(|(no, _)| no).max().map_or(0, |last| last + 1);
        for (index, ldev) in (0..images.len()).zip(self.volumes.iter().copied()) {
            for (no, block) in found(index) {
                let wanted = self.last_in(count, index, block);
                if no != wanted {
                    let (found, wanted, last) = (Held(no), Held(wanted), count.saturating_sub(1));
                    return Err(NotOneInstant { ldev, block, found, last, wanted });
                }
            }
        }
        Ok(count)
    }
}

/// Images that are not of one instant: where it shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "block {block} of the image of {ldev} holds {found}; the images hold write {last}, and before it \
     this block got {wanted}"
)]
pub(crate) struct NotOneInstant {
    ldev: LdevId,
    block: BlockNo,
    found: Held,
    last: u64,
    wanted: Held,
}

/// The write that a block holds, if any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Held(Option<u64>);

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(no) => write!(f, "write {no}"),
            None => f.write_str("no write"),
        }
    }
}

impl Load {
    pub(crate) fn new(plan: Plan) -> Self {
        Self(Arc::new(Mutex::new(Ledger {
            plan,
            sent: 0,
            done: 0,
            sent_at: Time::ZERO,
            wait_ns: 0,
            wait_max_ns: 0,
            failed: None,
            stopping: false,
            ended: false,
            cut: None,
        })))
    }

    /// The driver's side: notes the last answer. Returns the next request and when it is sent; `None`
    /// at the end.
    pub(crate) fn next(&self, now: Time, last: Option<&HostReply>) -> Option<(Time, HostOp)> {
        let mut ledger = self.0.lock();
        let ledger = &mut *ledger;
        match last {
            None => {}
            Some(HostReply::Failed(error)) => ledger.failed = Some(*error),
            Some(_) => {
                let waited = now.ns_since(ledger.sent_at);
                ledger.done += 1;
                ledger.wait_ns += u128::from(waited);
                ledger.wait_max_ns = ledger.wait_max_ns.max(waited);
            }
        }
        ledger.ended = ledger.stopping || ledger.failed.is_some();
        if ledger.ended {
            return None;
        }
        let (no, at) = (ledger.sent, now + ledger.plan.rest_ns);
        ledger.sent += 1;
        ledger.sent_at = at;
        let (ldev, block) = ledger.plan.place(no);
        let op = if ledger.plan.reads {
            HostOp::Read { ldev, blocks: BlockRange::one(block) }
        } else {
            HostOp::Write { ldev, block, data: ledger.plan.data(no) }
        };
        Some((at, op))
    }

    /// Tells the host to end.
    pub(crate) fn stop(&self) {
        self.0.lock().stopping = true;
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.0.lock().ended
    }

    pub(crate) fn plan(&self) -> Plan {
        self.0.lock().plan.clone()
    }

    pub(crate) fn served(&self) -> Served {
        let ledger = self.0.lock();
        let mean_ns = ledger.wait_ns.checked_div(u128::from(ledger.done)).unwrap_or(0);
        Served {
            requests: ledger.done,
            mean_ns: u64::try_from(mean_ns).unwrap_or(u64::MAX),
            max_ns: ledger.wait_max_ns,
            failed: ledger.failed,
        }
    }

    /// Writes answered and sent so far: what an image of now has at least, and at most.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let ledger = self.0.lock();
        (ledger.done, ledger.sent)
    }

    /// A copy command was given when `done` writes were answered, and is answered now.
    pub(crate) fn note_cut(&self, done: u64) {
        let mut ledger = self.0.lock();
        ledger.cut = Some((done, ledger.sent));
    }

    /// What an image of the last copy command has at least, and at most.
    pub(crate) fn cut(&self) -> Option<(u64, u64)> {
        self.0.lock().cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> Plan {
        let volumes = vec![LdevId::new(0, 0), LdevId::new(0, 1), LdevId::new(0, 2)];
        let area = BlockRange::new(BlockNo(10), 4);
        Plan { volumes, area, rest_ns: 0, seed: 1, reads: false }
    }

    /// The area of all volumes after these writes.
    fn images(plan: &Plan, writes: impl IntoIterator<Item = u64>) -> Vec<Bytes> {
        let mut images = vec![vec![0; 4 * BLOCK_BYTES]; 3];
        for no in writes {
            let (ldev, block) = plan.place(no);
            let at = (block.0 - 10) as usize * BLOCK_BYTES;
            images[usize::from(ldev.ldev)][at..at + BLOCK_BYTES].copy_from_slice(&plan.data(no));
        }
        images.into_iter().map(Bytes::from).collect()
    }

    #[test]
    fn every_prefix_is_one_instant() {
        let plan = plan();
        for count in 0..40 {
            assert_eq!(plan.prefix(&images(&plan, 0..count)), Ok(count), "{count} writes");
        }
    }

    #[test]
    fn anything_else_is_not() {
        fn check(writes: impl IntoIterator<Item = u64>, expected: &str) {
            let plan = plan();
            let found = plan.prefix(&images(&plan, writes)).map_err(|error| error.to_string());
            assert_eq!(found, Err(expected.to_owned()));
        }
        // The third volume is one write ahead of the second.
        check(
            [0, 2],
            "block 10 of the image of 00:01 holds no write; the images hold write 2, and before it \
             this block got write 1",
        );
        // A write of the first round that is missing, long after.
        check(
            (0..20).filter(|no| *no != 15),
            "block 11 of the image of 00:00 holds write 3; the images hold write 19, and before it \
             this block got write 15",
        );
        let plan = plan();
        let mut torn = images(&plan, 0..5);
        let mut bytes = torn[1].to_vec();
        bytes[BLOCK_BYTES - 1] ^= 1;
        torn[1] = bytes.into();
        assert!(plan.prefix(&torn).is_err_and(|error| error.found == Held(None)));
    }
}
