//! Volumes in memory, a target before them, and hosts that give commands.

use crate::scsi::{
    InitiatorPort, Managed, NexusId, ScsiReply, ScsiStatus, ScsiStep, ScsiTarget, ScsiTask,
    TaskManagement, UnitIdentity,
};
use crate::{
    AccessBoard, AllocatedRun, ChannelAdapter, Forbidden, HostError, HostOp, HostReply, LuOptions,
    LuPath, PairFacts, PairTable, PairsOf, Tried, VolumeFacts,
};
use bytes::Bytes;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, LdevId};
use diptych_sync::Arc;
use std::collections::BTreeMap;

pub(super) const BLOCKS: u64 = 4_096;
const TRACK: u64 = 128;

/// A volume.
pub(super) struct Disk {
    pub(super) bytes: Vec<u8>,
    allocated: Vec<bool>,
    pub(super) forbids: Option<Forbidden>,
}

impl Disk {
    fn new() -> Self {
        Self {
            bytes: vec![0; BLOCKS as usize * BLOCK_BYTES],
            allocated: vec![false; (BLOCKS / TRACK) as usize],
            forbids: None,
        }
    }

    fn write(&mut self, block: BlockNo, data: &[u8]) {
        let at = block.0 as usize * BLOCK_BYTES;
        self.bytes[at..at + data.len()].copy_from_slice(data);
        let last = block.0 + (data.len() / BLOCK_BYTES) as u64 - 1;
        for track in block.0 / TRACK..=last / TRACK {
            self.allocated[track as usize] = true;
        }
    }

    fn unmap(&mut self, blocks: BlockRange) {
        let at = |block: BlockNo| block.0 as usize * BLOCK_BYTES;
        self.bytes[at(blocks.start)..at(blocks.end)].fill(0);
        for track in blocks.start.0.div_ceil(TRACK)..blocks.end.0 / TRACK {
            self.allocated[track as usize] = false;
        }
    }

    fn runs(&self, blocks: BlockRange) -> Vec<AllocatedRun> {
        let mut runs: Vec<AllocatedRun> = Vec::new();
        for block in blocks.iter() {
            let allocated = self.allocated[(block.0 / TRACK) as usize];
            match runs.last_mut() {
                Some(run) if run.allocated == allocated => run.blocks.end.0 += 1,
                _ => runs.push(AllocatedRun { blocks: BlockRange::one(block), allocated }),
            }
        }
        runs
    }
}

/// The whole of it: volumes 00:01 (thin, LUN 1), 00:02 (removable, LUN 2), 00:03 (write-protected, LUN 3)
/// and 00:04 (not thin, LUN 4), and 00:05, which only group 2 sees.
pub(super) struct Bench {
    pub(super) target: Arc<ScsiTarget>,
    pub(super) access: Arc<AccessBoard>,
    pub(super) disks: BTreeMap<LdevId, Disk>,
    pub(super) kept: BTreeMap<String, Bytes>,
    /// What was asked of the unit.
    pub(super) ops: Vec<HostOp>,
    /// What is told of pairs.
    pub(super) pairs: Vec<PairFacts>,
}

pub(super) fn ldev(no: u8) -> LdevId {
    LdevId::new(0, no)
}

pub(super) fn path(text: &str) -> LuPath {
    text.parse().expect("a path")
}

pub(super) fn lun(no: u8) -> [u8; 8] {
    [0, no, 0, 0, 0, 0, 0, 0]
}

impl Bench {
    pub(super) fn new() -> Self {
        Self::with_kept(BTreeMap::new())
    }

    pub(super) fn with_kept(kept: BTreeMap<String, Bytes>) -> Self {
        let adapter = Arc::new(ChannelAdapter::new(0, ["CL1-A".parse().expect("a port")]));
        let access = Arc::new(AccessBoard::new());
        let unit = UnitIdentity { unit_id: 0x1234_5678 };
        let target = Arc::new(ScsiTarget::new(unit, adapter, access.clone()));
        for (name, value) in &kept {
            assert!(target.restore(name, value));
        }
        target.change_lu_map(|map| {
            for no in 1..=4 {
                map.add(path(&format!("CL1-A:{no}")), ldev(no)).expect("a free path");
            }
            let other = "CL1-A.2".parse().expect("a target");
            map.add_group(other, "other".parse().expect("a name")).expect("a free number");
            map.add(path("CL1-A.2:5"), ldev(5)).expect("a free path");
            map.add(path("CL1-A.2:1"), ldev(1)).expect("a free path");
            let plain = LuOptions::default();
            map.set_options(ldev(1), LuOptions { physical_4k: true, ..plain });
            map.set_options(ldev(2), LuOptions { removable: true, ..plain });
            map.set_options(ldev(3), LuOptions { write_protected: true, ..plain });
            map.set_options(ldev(4), LuOptions { thin: false, ..plain });
        });
        let disks = (1..=5).map(|no| (ldev(no), Disk::new())).collect();
        Self { target, access, disks, kept, ops: Vec::new(), pairs: Vec::new() }
    }

    pub(super) fn login(&self, name: &str) -> NexusId {
        self.login_at(name, "CL1-A")
    }

    pub(super) fn login_at(&self, name: &str, target: &str) -> NexusId {
        let name = format!("iqn.{name}").parse().expect("a name");
        let port = InitiatorPort::new(name, [1; 6]);
        self.target.login(port, target.parse().expect("a target")).expect("a session")
    }

    pub(super) fn task(&self, nexus: NexusId, no: u8, cdb: &[u8], data: &[u8]) -> ScsiTask {
        self.target.task(nexus, lun(no), cdb, Bytes::copy_from_slice(data))
    }

    /// Carries a command out, to its end.
    pub(super) fn run(&mut self, nexus: NexusId, no: u8, cdb: &[u8], data: &[u8]) -> ScsiReply {
        let mut task = self.task(nexus, no, cdb, data);
        self.finish(&mut task, None)
    }

    pub(super) fn finish(&mut self, task: &mut ScsiTask, reply: Option<HostReply>) -> ScsiReply {
        let mut reply = reply;
        let mut early = None;
        loop {
            match task.step(reply.take()) {
                ScsiStep::Done(done) => return early.unwrap_or(done),
                ScsiStep::Answer(answer) => early = Some(answer),
                other => reply = self.serve(other),
            }
        }
    }

    /// Does what a task asks.
    pub(super) fn serve(&mut self, step: ScsiStep) -> Option<HostReply> {
        match step {
            ScsiStep::Ask(op) => Some(self.perform(op)),
            ScsiStep::Keep(keep) => {
                match keep.value {
                    Some(value) => self.kept.insert(keep.name, value),
                    None => self.kept.remove(&keep.name),
                };
                Some(HostReply::Done)
            }
            ScsiStep::Answer(_) | ScsiStep::Done(_) => None,
        }
    }

    fn perform(&mut self, op: HostOp) -> HostReply {
        self.ops.push(op.clone());
        if let HostOp::Pairs { of } = &op {
            return HostReply::Pairs(self.pairs_of(of));
        }
        let ldev = match &op {
            HostOp::Read { ldev, .. }
            | HostOp::Write { ldev, .. }
            | HostOp::CompareAndWrite { ldev, .. }
            | HostOp::OrWrite { ldev, .. }
            | HostOp::Unmap { ldev, .. }
            | HostOp::Format { ldev }
            | HostOp::Flush { ldev }
            | HostOp::Allocation { ldev, .. }
            | HostOp::Describe { ldev } => *ldev,
            HostOp::Command(_) | HostOp::CreateAuto(_) => {
                return HostReply::Outcome(crate::Outcome::Nothing { met: None });
            }
            other => panic!("no SCSI command makes {other:?}"),
        };
        let Some(disk) = self.disks.get_mut(&ldev) else {
            return HostReply::Failed(HostError::NoVolume { ldev });
        };
        match disk.refuses(ldev, &op) {
            Some(failed) => HostReply::Failed(failed),
            None => disk.perform(ldev, op),
        }
    }

    fn pairs_of(&self, of: &PairsOf) -> PairTable {
        let all = self.pairs.iter().copied();
        match *of {
            PairsOf::Volumes { primary, secondary } => {
                let is = |pair: &PairFacts| (pair.primary, pair.secondary) == (primary, secondary);
                PairTable { pairs: all.filter(is).collect(), ..PairTable::default() }
            }
            PairsOf::Numbers { first, last } => PairTable {
                pairs: all.filter(|pair| (first..=last).contains(&pair.id.no)).collect(),
                count: self.pairs.len() as u32,
                numbers_end: self.pairs.last().map_or(0, |last| u32::from(last.id.no) + 1),
            },
        }
    }

    pub(super) fn manage(&self, nexus: NexusId, no: u8, function: TaskManagement) -> Managed {
        self.target.manage(nexus, lun(no), function)
    }

    /// What a command came to: `good`, a status, or key and code.
    pub(super) fn said(&mut self, nexus: NexusId, no: u8, cdb: &[u8], data: &[u8]) -> String {
        said(&self.run(nexus, no, cdb, data))
    }

    pub(super) fn check(
        &mut self,
        nexus: NexusId,
        no: u8,
        cdb: &[u8],
        data: &[u8],
        expected: &str,
    ) {
        let found = self.said(nexus, no, cdb, data);
        assert_eq!(found, expected, "LUN {no}, {cdb:02X?}");
    }
}

pub(super) fn said(reply: &ScsiReply) -> String {
    match (reply.status, reply.sense) {
        (ScsiStatus::Good, None) => "good".to_owned(),
        (ScsiStatus::CheckCondition, Some(sense)) => format!("{:?} {:?}", sense.key, sense.asc),
        (status, None) => format!("{status:?}"),
        (status, Some(sense)) => panic!("{status:?} with {sense:?}"),
    }
}

/// The blocks that an operation is about, if it is about some.
fn blocks_of(op: &HostOp) -> Option<BlockRange> {
    let of = |block: BlockNo, data: &Bytes| {
        Some(BlockRange::new(block, (data.len() / BLOCK_BYTES) as u64))
    };
    match op {
        HostOp::Read { blocks, .. }
        | HostOp::Unmap { blocks, .. }
        | HostOp::Allocation { blocks, .. } => Some(*blocks),
        HostOp::Write { block, data, .. }
        | HostOp::OrWrite { block, data, .. }
        | HostOp::CompareAndWrite { block, data, .. } => of(*block, data),
        _ => None,
    }
}

/// Whether an operation changes a volume.
pub(super) fn changes(op: &HostOp) -> bool {
    matches!(
        op,
        HostOp::Write { .. }
            | HostOp::CompareAndWrite { .. }
            | HostOp::OrWrite { .. }
            | HostOp::Unmap { .. }
            | HostOp::Format { .. }
    )
}

impl Disk {
    fn refuses(&self, ldev: LdevId, op: &HostOp) -> Option<HostError> {
        if let Some(blocks) = blocks_of(op)
            && blocks.end.0 > BLOCKS
        {
            return Some(HostError::OutOfRange { ldev, blocks, block_count: BLOCKS });
        }
        let tried = if changes(op) { Tried::Write } else { Tried::Read };
        let asks = changes(op) || matches!(op, HostOp::Read { .. });
        let why = self.forbids.filter(|_| asks)?;
        if why == Forbidden::Reserved && tried == Tried::Read {
            return None;
        }
        Some(HostError::Access { ldev, tried, why })
    }

    fn perform(&mut self, ldev: LdevId, op: HostOp) -> HostReply {
        match op {
            HostOp::Read { blocks, .. } => {
                let at = |block: BlockNo| block.0 as usize * BLOCK_BYTES;
                let found = &self.bytes[at(blocks.start)..at(blocks.end)];
                return HostReply::Data(Bytes::copy_from_slice(found));
            }
            HostOp::Write { block, data, .. } => self.write(block, &data),
            HostOp::OrWrite { block, data, .. } => {
                let at = block.0 as usize * BLOCK_BYTES;
                let now = &self.bytes[at..at + data.len()];
                let or: Vec<u8> = now.iter().zip(&data).map(|(a, b)| a | b).collect();
                self.write(block, &or);
            }
            HostOp::CompareAndWrite { block, expected, data, .. } => {
                let at = block.0 as usize * BLOCK_BYTES;
                let now = &self.bytes[at..at + expected.len()];
                if let Some(at) = now.iter().zip(&expected).position(|(a, b)| a != b) {
                    return HostReply::Miscompare { at_bytes: at as u64 };
                }
                self.write(block, &data);
            }
            HostOp::Unmap { blocks, .. } => self.unmap(blocks),
            HostOp::Format { .. } => self.unmap(BlockRange::new(BlockNo(0), BLOCKS)),
            HostOp::Allocation { blocks, .. } => return HostReply::Allocation(self.runs(blocks)),
            HostOp::Describe { .. } => {
                return HostReply::Volume(VolumeFacts {
                    ldev,
                    block_count: BLOCKS,
                    blocks_per_track: TRACK,
                    contents_defined: true,
                    blocked: false,
                    reserved: false,
                    read: self.forbids.filter(|why| *why != Forbidden::Reserved),
                    write: self.forbids,
                });
            }
            _ => {}
        }
        HostReply::Done
    }
}
