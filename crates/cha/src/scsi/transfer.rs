//! Commands that move blocks (SBC-4, 5): READ, WRITE, VERIFY, ORWRITE, COMPARE AND WRITE and their like.

use super::job::{Job, parts};
use super::limits;
use super::reply::{Done, Refused};
use super::sense::{Asc, Sense, SenseKey};
use super::task::{changed, unexpected};
use crate::{HostOp, HostReply};
use bytes::Bytes;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange};

const PART_BLOCKS: u64 = limits::TRANSFER_BLOCKS as u64;

/// MISCOMPARE, with the first byte that differs.
fn miscompare(at_bytes: u64) -> Refused {
    Sense::new(SenseKey::Miscompare, Asc::MISCOMPARE).with_information(at_bytes).into()
}

fn too_long() -> Refused {
    Sense::illegal(Asc::INVALID_FIELD_IN_CDB).into()
}

impl Job {
    /// READ of no blocks: only whether there could be some.
    pub(crate) async fn read_blocks(&self) -> Done {
        let (block, count) = self.cdb.extent();
        let blocks = self.blocks(block, count).await?;
        if blocks.is_empty() { Ok(Bytes::new()) } else { self.read(self.ldev(), blocks).await }
    }

    /// WRITE of no blocks, or of fewer than the CDB says: those that came.
    pub(crate) async fn write_blocks(&self) -> Done {
        let (block, data) = self.data_blocks().await?;
        if !data.is_empty() {
            self.change(HostOp::Write { ldev: self.ldev(), block, data }).await?;
        }
        // READ(6) and WRITE(6) have a part of the address there.
        if self.cdb.opcode() < 0x20 { Ok(Bytes::new()) } else { self.flush_if_forced().await }
    }

    /// The first block, and what goes there; the blocks of the CDB are all there.
    async fn data_blocks(&self) -> Result<(BlockNo, Bytes), Refused> {
        let (block, count) = self.cdb.extent();
        if count > u64::from(limits::TRANSFER_BLOCKS_MOST) {
            return Err(too_long());
        }
        let blocks = self.blocks(block, count).await?;
        Ok((blocks.start, self.whole_blocks(count * BLOCK_BYTES as u64)?))
    }

    pub(crate) async fn write_atomic(&self) -> Done {
        let (block, count) = self.cdb.extent();
        if count > u64::from(limits::ATOMIC_BLOCKS) {
            return Err(Sense::in_cdb(12).into());
        }
        let blocks = self.blocks(block, count).await?;
        // A part of it would not be atomic.
        let data = self.whole_blocks(count * BLOCK_BYTES as u64)?;
        if data.len() as u64 != count * BLOCK_BYTES as u64 {
            return Err(Sense::illegal(Asc::INVALID_FIELD_IN_INFORMATION_UNIT).into());
        }
        if !data.is_empty() {
            let block = blocks.start;
            self.change(HostOp::Write { ldev: self.ldev(), block, data }).await?;
        }
        self.flush_if_forced().await
    }

    pub(crate) async fn or_write(&self) -> Done {
        let (block, data) = self.data_blocks().await?;
        if !data.is_empty() {
            self.change(HostOp::OrWrite { ldev: self.ldev(), block, data }).await?;
        }
        self.flush_if_forced().await
    }

    pub(crate) async fn compare_and_write(&self) -> Done {
        let (block, count) = self.cdb.extent();
        let half = count as usize * BLOCK_BYTES;
        let blocks = self.blocks(block, count).await?;
        if self.data.len() != 2 * half {
            return Err(Sense::in_cdb(13).into());
        }
        if half == 0 {
            return Ok(Bytes::new());
        }
        let op = HostOp::CompareAndWrite {
            ldev: self.ldev(),
            block: blocks.start,
            expected: self.data.slice(..half),
            data: self.data.slice(half..),
        };
        match self.ask(op).await {
            Some(HostReply::Miscompare { at_bytes }) => Err(miscompare(at_bytes)),
            other => {
                changed(other)?;
                self.flush_if_forced().await
            }
        }
    }

    /// WRITE AND VERIFY: writes, brings it to the medium, and looks whether it is there.
    pub(crate) async fn write_and_verify(&self) -> Done {
        let compares = match self.byte_check()? {
            3 => return Err(Sense::in_cdb_bit(1, Some(2)).into()),
            check => check == 1,
        };
        let (block, data) = self.data_blocks().await?;
        if data.is_empty() {
            return Ok(Bytes::new());
        }
        let ldev = self.ldev();
        self.change(HostOp::Write { ldev, block, data: data.clone() }).await?;
        self.flush().await?;
        let blocks = BlockRange::new(block, (data.len() / BLOCK_BYTES) as u64);
        self.compare(blocks, compares.then_some(&data)).await
    }

    /// VERIFY: that blocks can be read, or are as the host says.
    pub(crate) async fn verify(&self) -> Done {
        let (block, count) = self.cdb.extent();
        let check = self.byte_check()?;
        if check == 1 && count > u64::from(limits::TRANSFER_BLOCKS_MOST) {
            return Err(too_long());
        }
        let blocks = self.blocks(block, count).await?;
        match check {
            0 => self.compare(blocks, None).await,
            1 => {
                let data = self.whole_blocks(count * BLOCK_BYTES as u64)?;
                let came = BlockRange::new(blocks.start, (data.len() / BLOCK_BYTES) as u64);
                self.compare(came, Some(&data)).await
            }
            _ => {
                let one = self.whole_blocks(BLOCK_BYTES as u64)?;
                if one.is_empty() && !blocks.is_empty() {
                    return Err(Sense::illegal(Asc::INVALID_FIELD_IN_INFORMATION_UNIT).into());
                }
                self.compare(blocks, Some(&one)).await
            }
        }
    }

    /// BYTCHK.
    fn byte_check(&self) -> Result<u8, Refused> {
        match self.cdb.byte(1) >> 1 & 0x03 {
            2 => Err(Sense::in_cdb_bit(1, Some(2)).into()),
            check => Ok(check),
        }
    }

    /// Reads blocks, part by part, and compares them with `data`; one block of data is for all of them.
    async fn compare(&self, blocks: BlockRange, data: Option<&Bytes>) -> Done {
        let mut before = 0;
        for part in parts(blocks, PART_BLOCKS) {
            let found = self.read(self.ldev(), part).await?;
            let differs = match data {
                None => None,
                Some(one) if one.len() == BLOCK_BYTES => {
                    // Where in the one block they differ, as that is all there is to point into.
                    found.chunks(BLOCK_BYTES).find_map(|block| first_difference(block, one))
                }
                Some(all) => {
                    let same = &all[before..before + found.len()];
                    first_difference(&found, same).map(|at| before + at)
                }
            };
            if let Some(at) = differs {
                return Err(miscompare(at as u64));
            }
            before += found.len();
        }
        Ok(Bytes::new())
    }

    /// PRE-FETCH: as much as is reasonable goes through the cache. Whether it stays there nobody promises,
    /// so the answer is GOOD, not CONDITION MET.
    pub(crate) async fn prefetch(&self) -> Done {
        let (block, count) = self.cdb.extent();
        let facts = self.facts().await?;
        let blocks = super::job::blocks_of(&facts, block, count)?;
        let end = if count == 0 { facts.block_count } else { blocks.end.0 };
        let most = u64::from(limits::PREFETCH_BLOCKS);
        let blocks = BlockRange::new(blocks.start, (end - block).min(most));
        if self.cdb.has(1, 0x02) {
            self.answer_early().await;
        }
        for part in parts(blocks, PART_BLOCKS) {
            // What cannot be read is found when it is asked for.
            if let Some(HostReply::Failed(_)) | None =
                self.ask(HostOp::Read { ldev: self.ldev(), blocks: part }).await
            {
                break;
            }
        }
        Ok(Bytes::new())
    }

    /// SYNCHRONIZE CACHE: of the whole volume, as there is no less.
    pub(crate) async fn synchronize(&self) -> Done {
        let (block, count) = self.cdb.extent();
        self.blocks(block, count).await?;
        if self.cdb.has(1, 0x02) {
            self.answer_early().await;
        }
        self.flush().await?;
        Ok(Bytes::new())
    }

    /// The answer of a question about storage.
    pub(crate) async fn runs(
        &self,
        blocks: BlockRange,
    ) -> Result<Vec<crate::AllocatedRun>, Refused> {
        match self.ask(HostOp::Allocation { ldev: self.ldev(), blocks }).await {
            Some(HostReply::Allocation(runs)) => Ok(runs),
            other => Err(unexpected(other)),
        }
    }
}

/// The first byte in which two differ.
fn first_difference(a: &[u8], b: &[u8]) -> Option<usize> {
    if a == b {
        return None;
    }
    let both = a.iter().zip(b).position(|(a, b)| a != b);
    both.or(Some(a.len().min(b.len())))
}
