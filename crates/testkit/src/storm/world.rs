//! What the hosts of a storm know together: what was written, which splits are under way, and what was
//! found.

use super::cut::{Contents, Window, Write, WrongBlock};
use super::layout::{Layout, StormPair};
use super::{Flaw, StormError, StormReport, Wrong};
use crate::Tag;
use diptych_cha::{HostOp, HostReply};
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, LdevId, Time};
use fastrand::Rng;
use std::cell::RefCell;
use std::rc::Rc;

/// The hosts' handle of their world: one thread turns them all.
pub(super) type Shared = Rc<RefCell<World>>;

#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) layout: Layout,
    pub(super) flaw: Option<Flaw>,
    /// What the primaries hold by what was acknowledged.
    primaries: Vec<Contents>,
    /// Of each writer, the chunks of the write that is under way: they are done in order, and each is
    /// there as a whole or not at all.
    under_way: Vec<Vec<Write>>,
    /// Of each split of the layout, its window, from the command to its answer.
    windows: Vec<Option<Window>>,
    last_tag: u64,
    seed: u64,
    /// Splits still to begin.
    pub(super) splits_left: u64,
    /// Hosts that split and have not ended.
    pub(super) splitters: usize,
    pub(super) report: StormReport,
    pub(super) error: Option<StormError>,
}

impl World {
    pub(super) fn new(
        rng: Rng,
        layout: Layout,
        flaw: Option<Flaw>,
        seed: u64,
        splits_left: u64,
    ) -> Self {
        let zeros = vec![Tag::ZERO; layout.geometry.block_count() as usize];
        Self {
            rng,
            primaries: vec![zeros; layout.primaries],
            under_way: vec![Vec::new(); layout.writers],
            windows: layout.splits.iter().map(|_| None).collect(),
            splitters: layout.splits.len(),
            layout,
            flaw,
            last_tag: 0,
            seed,
            splits_left,
            report: StormReport { seed, ..StormReport::default() },
            error: None,
        }
    }

    /// Whether the writers go on.
    pub(super) fn goes_on(&self) -> bool {
        self.splitters > 0 && self.error.is_none()
    }

    /// A tag that no write had before; zero now and then, which is a write that gives blocks up.
    pub(super) fn next_tag(&mut self) -> Tag {
        self.last_tag += 1;
        if self.rng.u8(..8) == 0 { Tag::ZERO } else { Tag(self.last_tag) }
    }

    /// A writer sends a write.
    pub(super) fn sent(&mut self, writer: usize, write: &Write) {
        let chunks = match write.tag {
            Tag::ZERO => self.chunks_given_up(write.blocks),
            _ => self.chunks_written(write.blocks),
        };
        let chunks: Vec<Write> =
            chunks.into_iter().map(|blocks| Write { blocks, ..write.clone() }).collect();
        for window in self.windows.iter_mut().flatten() {
            window.logs[writer].extend(chunks.iter().cloned());
        }
        assert!(self.under_way[writer].is_empty(), "a writer has one write under way");
        self.under_way[writer] = chunks;
    }

    fn chunks_written(&self, blocks: BlockRange) -> Vec<BlockRange> {
        let most = self.layout.chunk_blocks;
        let chunk = |start| BlockRange::new(BlockNo(start), most).intersection(blocks);
        (blocks.start.0..blocks.end.0).step_by(most as usize).map(chunk).collect()
    }

    /// As many tracks at once as fit a chunk, at least one.
    fn chunks_given_up(&self, blocks: BlockRange) -> Vec<BlockRange> {
        let track = self.layout.geometry.blocks_per_track();
        let most = (self.layout.chunk_blocks / track).max(1) * track;
        let first = blocks.start.0 / track * track;
        let chunk = |start| BlockRange::new(BlockNo(start), most).intersection(blocks);
        (first..blocks.end.0).step_by(most as usize).map(chunk).collect()
    }

    /// A writer's write is acknowledged.
    pub(super) fn acknowledged(&mut self, writer: usize, at: Time) {
        self.report.writes += 1;
        for window in self.windows.iter_mut().flatten() {
            for write in window.logs[writer].iter_mut().filter(|w| w.answered_at.is_none()) {
                write.answered_at = Some(at);
            }
        }
        for write in self.under_way[writer].drain(..) {
            self.primaries[write.primary][range_of(write.blocks)].fill(write.tag);
        }
    }

    /// The command of a split is about to be submitted, now.
    pub(super) fn open(&mut self, split: usize) {
        let primaries: Vec<usize> =
            self.layout.splits[split].iter().map(|pair| pair.primary).collect();
        let base = primaries.iter().map(|primary| self.primaries[*primary].clone()).collect();
        let logs = self.under_way.clone();
        self.windows[split] = Some(Window { primaries, base, logs });
    }

    /// The command of a split was answered.
    pub(super) fn close(&mut self, split: usize, at: Time) -> Window {
        let mut window = self.windows[split].take().expect("a split is opened before");
        for log in &mut window.logs {
            // Planned for later.
            log.retain(|write| write.submitted_at <= at);
            if self.flaw == Some(Flaw::InstantEarly) {
                log.clear();
            }
        }
        window
    }

    /// Counts blocks that were looked at, and notes those that are wrong.
    pub(super) fn looked_at(&mut self, pairs: &[StormPair], blocks: usize, wrong: &[WrongBlock]) {
        self.report.blocks += blocks as u64;
        self.report.wrong_blocks += wrong.len() as u64;
        let Some(&WrongBlock { image, block, found, expected }) = wrong.first() else { return };
        self.report.first_wrong.get_or_insert(Wrong {
            seed: self.seed,
            primary: pairs[image].primary(),
            secondary: pairs[image].secondary,
            block,
            found,
            expected,
        });
    }

    /// What the primaries hold by what was acknowledged.
    pub(super) fn contents(&self, primary: usize) -> &Contents {
        &self.primaries[primary]
    }

    /// Something was answered as it must not be. The storm ends.
    pub(super) fn wrong_answer(&mut self, what: &'static str, ldev: LdevId, reply: &HostReply) {
        let (seed, reply) = (self.seed, Box::new(reply.clone()));
        self.error.get_or_insert(StormError::Answer { seed, what, ldev, reply });
    }
}

/// The operation that leaves a tag in some blocks.
pub(super) fn op_of(ldev: LdevId, blocks: BlockRange, tag: Tag) -> HostOp {
    match tag {
        Tag::ZERO => HostOp::Unmap { ldev, blocks },
        tag => HostOp::Write { ldev, block: blocks.start, data: tag.data(blocks) },
    }
}

/// The tags of what was read; `None` where it is no write's data.
pub(super) fn tags_of(blocks: BlockRange, data: &[u8]) -> Vec<Option<Tag>> {
    blocks.iter().zip(data.chunks(BLOCK_BYTES)).map(|(block, data)| Tag::of(data, block)).collect()
}

pub(super) fn range_of(blocks: BlockRange) -> std::ops::Range<usize> {
    blocks.start.0 as usize..blocks.end.0 as usize
}
