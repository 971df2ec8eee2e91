//! A host's change that depends on what the blocks hold (Fig. 9): compare and write, OR write.
//!
//! The blocks are read under the claim under which they are changed, so nothing comes between. They are
//! read before anything is copied or marked: where the comparison fails, nothing has changed.

use crate::Mailbox;
use crate::core::Core;
use crate::held::{NotHeld, Under};
use crate::host_read::read_claimed;
use crate::host_write::{HostChange, Payload, chunks, in_range};
use bytes::{Bytes, BytesMut};
use diptych_cha::HostError;
use diptych_format::{BLOCK_BYTES, BackingId, BlockNo, LdevId};

/// How a change depends on what the blocks hold.
pub(crate) enum Depends {
    /// It is made if they hold this.
    Compare(Bytes),
    /// What they hold is in it: their bits stay set.
    Or,
}

/// Writes blocks if they hold what is expected, in one chunk. Else returns the first byte that differs.
pub(crate) async fn compare_and_write(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    block: BlockNo,
    (expected, data): (Bytes, Bytes),
) -> Result<Option<u64>, HostError> {
    let (expected_bytes, data_bytes) = (expected.len(), data.len());
    if !data_bytes.is_multiple_of(BLOCK_BYTES) {
        return Err(HostError::NotWholeBlocks { bytes: data_bytes });
    }
    if expected_bytes != data_bytes {
        return Err(HostError::NotAsMany { expected_bytes, data_bytes });
    }
    let count = (data_bytes / BLOCK_BYTES) as u64;
    let shape = core.shape(ldev)?;
    let blocks = in_range(core, shape, ldev, block, count)?;
    let most_blocks = core.config.chunk_blocks;
    if count > most_blocks {
        return Err(HostError::TooLarge { blocks: count, most_blocks });
    }
    if blocks.is_empty() {
        return Ok(None);
    }
    let (payload, depends) = (Payload::Data(data), Some(Depends::Compare(expected)));
    HostChange { ldev, shape, blocks, payload, depends, formats: false }.run(m, core).await
}

/// Sets bits: chunks of at most 1 MiB, each with its own claim; the first failure ends the rest.
pub(crate) async fn or_write(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    block: BlockNo,
    data: Bytes,
) -> Result<(), HostError> {
    if !data.len().is_multiple_of(BLOCK_BYTES) {
        return Err(HostError::NotWholeBlocks { bytes: data.len() });
    }
    let shape = core.shape(ldev)?;
    let request = in_range(core, shape, ldev, block, (data.len() / BLOCK_BYTES) as u64)?;
    for blocks in chunks(request, core.config.chunk_blocks) {
        let from = (blocks.start.0 - request.start.0) as usize * BLOCK_BYTES;
        let payload = Payload::Data(data.slice(from..from + blocks.count() as usize * BLOCK_BYTES));
        let depends = Some(Depends::Or);
        let change = HostChange { ldev, shape, blocks, payload, depends, formats: false };
        change.run(m, core).await?;
    }
    Ok(())
}

impl HostChange {
    /// Under the claim: reads what there is, and makes the change that comes of it. Returns the first byte
    /// that differs, if none does.
    pub(crate) async fn modify(
        &self,
        under: Under<'_>,
        backing: BackingId,
    ) -> Result<Option<u64>, HostError> {
        // What is in cache or on the drive may be older than what was answered.
        if under.core.journal.has_failed() {
            return Err(HostError::Stopping);
        }
        let (ldev, shape, blocks) = (self.ldev, self.shape, self.blocks);
        let mut found = BytesMut::zeroed(blocks.count() as usize * BLOCK_BYTES);
        let place = (ldev, backing);
        let mut under = read_claimed(under, place, shape.geometry, blocks, &mut found).await?;
        let (Payload::Data(data), Some(depends)) = (&self.payload, &self.depends) else {
            unreachable!("a change that depends on what there is has data");
        };
        let data = match depends {
            Depends::Compare(expected) => {
                let differs = found.iter().zip(expected).position(|(found, byte)| found != byte);
                if differs.is_some() {
                    return Ok(differs.map(|at| at as u64));
                }
                data.clone()
            }
            Depends::Or => {
                found.iter_mut().zip(data).for_each(|(byte, bits)| *byte |= bits);
                found.freeze()
            }
        };
        let payload = Payload::Data(data);
        let change = Self { ldev, shape, blocks, payload, depends: None, formats: self.formats };
        let codes = change.codes();
        let marked = change.protect_and_mark(&mut under, &codes).await?;
        // Before the data can be seen.
        let failed = |error: NotHeld| error.host_error(ldev);
        under.core.journal.append(under.m, marked.put.as_ref()).await.map_err(failed)?;
        change.store(&mut under, backing, &codes, &marked);
        Ok(None)
    }
}
