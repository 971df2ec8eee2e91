//! Blocks given up, filled, and asked about (SBC-4, 4.7, 5): UNMAP, WRITE SAME, GET LBA STATUS.

use super::cdb::at;
use super::job::{Job, blocks_of, parts};
use super::limits;
use super::reply::{Done, Refused};
use super::sense::{Asc, Sense};
use crate::HostOp;
use bytes::Bytes;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange};

impl Job {
    /// UNMAP. All descriptors are looked at before anything is given up.
    pub(crate) async fn unmap(&self) -> Done {
        let len = self.cdb.extent().1;
        if len == 0 {
            return Ok(Bytes::new());
        }
        let list = self.list(len);
        if list.len() < 8 {
            return Err(Sense::illegal(Asc::PARAMETER_LIST_LENGTH).into());
        }
        let described = at::<2>(list, 2) as usize;
        let descriptors = &list[8..list.len().min(8 + described)];
        let descriptors = descriptors.chunks_exact(16);
        if descriptors.len() > limits::UNMAP_DESCRIPTORS as usize {
            return Err(Sense::in_list(2).into());
        }
        let facts = self.facts().await?;
        let mut all = Vec::with_capacity(descriptors.len());
        let mut total = 0;
        for (no, descriptor) in descriptors.enumerate() {
            let (block, count) = (at::<8>(descriptor, 0), at::<4>(descriptor, 8));
            total += count;
            if total > u64::from(limits::UNMAP_BLOCKS) {
                return Err(Sense::in_list(8 + 16 * no as u16 + 8).into());
            }
            all.push(blocks_of(&facts, block, count)?);
        }
        for blocks in all.into_iter().filter(|blocks| !blocks.is_empty()) {
            self.change(HostOp::Unmap { ldev: self.ldev(), blocks }).await?;
        }
        Ok(Bytes::new())
    }

    /// WRITE SAME: one block everywhere, or, with UNMAP and zeros, nothing.
    pub(crate) async fn write_same(&self) -> Done {
        let (block, count) = self.cdb.extent();
        let [unmaps, no_data] = [0x08, 0x01].map(|mask| self.cdb.has(1, mask));
        let no_data = no_data && self.cdb.opcode() == 0x93;
        if unmaps && !self.options.thin {
            return Err(Sense::in_cdb_bit(1, Some(3)).into());
        }
        let facts = self.facts().await?;
        let blocks = blocks_of(&facts, block, count)?;
        let length = Sense::in_cdb(if self.cdb.opcode() == 0x93 { 10 } else { 7 });
        // WSNZ, as the block limits say it.
        if count == 0 && self.options.removable {
            return Err(length.into());
        }
        // No length means up to the end.
        let count = if count == 0 { facts.block_count - block } else { count };
        if count > u64::from(limits::WRITE_SAME_BLOCKS) {
            return Err(length.into());
        }
        if !no_data && self.data.len() != BLOCK_BYTES {
            return Err(Sense::illegal(Asc::INVALID_FIELD_IN_INFORMATION_UNIT).into());
        }
        let blocks = BlockRange::new(blocks.start, count);
        if blocks.is_empty() {
            return Ok(Bytes::new());
        }
        let is_zero = no_data || self.data.iter().all(|&byte| byte == 0);
        if unmaps && is_zero {
            self.change(HostOp::Unmap { ldev: self.ldev(), blocks }).await?;
        } else if no_data {
            self.fill(blocks, &[0; BLOCK_BYTES]).await?;
        } else {
            self.fill(blocks, &self.data).await?;
        }
        Ok(Bytes::new())
    }

    /// Writes a pattern, which fits a block a whole number of times, over blocks.
    pub(crate) async fn fill(&self, blocks: BlockRange, pattern: &[u8]) -> Result<(), Refused> {
        let part_blocks = u64::from(limits::TRANSFER_BLOCKS);
        let whole = blocks.count().min(part_blocks) as usize * BLOCK_BYTES;
        let buffer = Bytes::from(pattern.repeat(whole / pattern.len()));
        for part in parts(blocks, part_blocks) {
            let data = buffer.slice(..part.count() as usize * BLOCK_BYTES);
            let op = HostOp::Write { ldev: self.ldev(), block: part.start, data };
            self.change(op).await?;
        }
        Ok(())
    }

    /// GET LBA STATUS: which blocks have storage, in as many descriptors as there is room for.
    pub(crate) async fn lba_status(&self) -> Result<Vec<u8>, Refused> {
        let (block, room) = self.cdb.extent();
        let facts = self.facts().await?;
        if block >= facts.block_count {
            return Err(Sense::illegal(Asc::LBA_OUT_OF_RANGE).into());
        }
        let most = (room.saturating_sub(8) / 16).clamp(1, crate::ALLOCATION_RUNS_MAX as u64);
        let rest = BlockRange::new(BlockNo(block), facts.block_count - block);
        let runs = if self.options.thin {
            self.runs(rest).await?
        } else {
            vec![crate::AllocatedRun { blocks: rest, allocated: true }]
        };
        let mut bytes = vec![0; 8];
        let mut count = 0;
        for run in runs {
            let mut blocks = run.blocks;
            while !blocks.is_empty() && count < most {
                // A descriptor has four bytes for its length.
                let part = BlockRange::new(blocks.start, blocks.count().min(0xFFFF_FFF8));
                bytes.extend(part.start.0.to_be_bytes());
                bytes.extend((part.count() as u32).to_be_bytes());
                bytes.extend([u8::from(!run.allocated), 0, 0, 0]);
                blocks.start = part.end;
                count += 1;
            }
        }
        let len = 4 + 16 * count as u32;
        bytes[..4].copy_from_slice(&len.to_be_bytes());
        Ok(bytes)
    }
}
