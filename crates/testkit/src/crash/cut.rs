//! Whether what was found is one instant of the unit: with a write it holds all that was answered
//! before that write was sent, and each chunk of a write is there as a whole or not at all.

use super::registers::Registers;
use crate::Tag;
use diptych_format::{BlockNo, BlockRange};
use std::collections::BTreeMap;

/// A write of a host.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) volume: usize,
    pub(super) blocks: BlockRange,
    pub(super) tag: Tag,
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) whole: bool,
}

/// What was found in a volume; `None` where it does not count.
pub(super) type Found = BTreeMap<usize, Vec<Option<Tag>>>;

/// A block that is too old.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooOld {
    pub(super) volume: usize,
    pub(super) block: BlockNo,
    pub(super) found: Tag,
    pub(super) missing: Tag,
    pub(super) seen: Tag,
}

/// The instant: what was known of it, and the writes around it.
#[derive(Debug, Clone)]
pub(super) struct Instant {
    pub(super) registers: Registers,
    pub(super) writes: Vec<Written>,
}

impl Instant {
    /// Checks what was found. Returns how many blocks were looked at.
    pub(super) fn check(&self, found: &Found, chunk_blocks: u64) -> Result<u64, TooOld> {
        let in_found = |volume: usize, block: BlockNo| {
            found.get(&volume).and_then(|tags| tags[block.0 as usize])
        };
        let mut latest = 0;
        let mut latest_tag = Tag::ZERO;
        for write in self.writes.iter().filter(|write| write.tag != Tag::ZERO) {
            let is_seen = |block: &BlockNo| in_found(write.volume, *block) == Some(write.tag);
            let Some(last) = write.blocks.iter().rev().find(is_seen) else { continue };
            let chunk = |block: BlockNo| (block.0 - write.blocks.start.0) / chunk_blocks;
            for block in write.blocks.iter().filter(|block| chunk(*block) <= chunk(last)) {
                self.check_block(in_found(write.volume, block), write, block, write.tag)?;
            }
            if write.from > latest {
                (latest, latest_tag) = (write.from, write.tag);
            }
        }
        for write in self.writes.iter().filter(|write| write.whole && write.to < latest) {
            for block in write.blocks.iter() {
                self.check_block(in_found(write.volume, block), write, block, latest_tag)?;
            }
        }
        Ok(found.values().flatten().flatten().count() as u64)
    }

    fn check_block(
        &self,
        found: Option<Tag>,
        write: &Written,
        block: BlockNo,
        seen: Tag,
    ) -> Result<(), TooOld> {
        let Some(found) = found else { return Ok(()) };
        if self.registers.block(write.volume, block).may_be_since(found, write.from) {
            return Ok(());
        }
        Err(TooOld { volume: write.volume, block, found, missing: write.tag, seen })
    }
}
