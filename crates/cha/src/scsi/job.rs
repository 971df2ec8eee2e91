//! A command that takes more than one question: what all of them have, and which does what.

use super::cdb::Cdb;
use super::logical_unit::LogicalUnit;
use super::mailbox::{Ask, Mailbox};
use super::nexus::Nexus;
use super::operation::{Operation, Verb};
use super::reply::{Done, Refused, ScsiReply, ScsiStatus};
use super::sense::{Asc, Sense};
use super::target::ScsiTarget;
use super::task::{Keep, changed, cut, unexpected};
use crate::{HostOp, HostReply, LuOptions, VolumeFacts};
use bytes::Bytes;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, LdevId};
use diptych_sync::Arc;

/// One command, let in by its logical unit.
pub(crate) struct Job {
    pub(crate) target: Arc<ScsiTarget>,
    pub(crate) nexus: Arc<Nexus>,
    pub(crate) unit: Arc<LogicalUnit>,
    pub(crate) options: LuOptions,
    pub(crate) operation: &'static Operation,
    pub(crate) cdb: Cdb,
    pub(crate) data: Bytes,
    pub(crate) mailbox: Arc<Mailbox>,
}

impl Job {
    /// Carries the command out.
    pub(crate) async fn run(self) -> Done {
        let mut data = match self.operation.verb {
            Verb::Read if self.options.command_device => return self.in_band_read().await,
            Verb::Write if self.options.command_device => return self.in_band_write().await,
            Verb::Read => return self.read_blocks().await,
            Verb::Write => return self.write_blocks().await,
            Verb::WriteAtomic => return self.write_atomic().await,
            Verb::WriteAndVerify => return self.write_and_verify().await,
            Verb::Verify => return self.verify().await,
            Verb::OrWrite => return self.or_write().await,
            Verb::CompareAndWrite => return self.compare_and_write().await,
            Verb::PreFetch => return self.prefetch().await,
            Verb::SynchronizeCache => return self.synchronize().await,
            Verb::Unmap => return self.unmap().await,
            Verb::WriteSame => return self.write_same().await,
            Verb::Sanitize => return self.sanitize().await,
            Verb::ExtendedCopy => return self.extended_copy().await,
            Verb::StartStop => return self.start_stop().await,
            Verb::ModeSelect => return self.mode_select().await,
            Verb::PersistentReserveOut => return self.reserve_out().await,
            Verb::TestUnitReady => return self.test_ready().await,
            Verb::PreventRemoval => return self.prevent_removal(),
            Verb::Reserve => return self.reserve(),
            Verb::Release => return self.release(),
            Verb::GetLbaStatus => self.lba_status().await?,
            Verb::ReadCapacity => self.read_capacity().await?,
            Verb::ModeSense => self.mode_sense().await?,
            Verb::Inquiry => self.inquiry().await?,
            Verb::PersistentReserveIn => self.reserve_in(),
            Verb::ReadDefectData => self.defects(),
            Verb::ReceiveCopyResults => self.copy_results()?,
            Verb::ReportLuns => self.report_luns()?,
            Verb::ReportOperations => self.report_operations()?,
            Verb::ReportPortGroups => self.report_port_groups()?,
            Verb::RequestSense => self.request_sense(),
        };
        cut(&mut data, self.operation.data, &self.cdb);
        Ok(data.into())
    }

    pub(crate) fn ldev(&self) -> LdevId {
        self.unit.ldev
    }

    pub(crate) async fn ask(&self, op: HostOp) -> Option<HostReply> {
        self.mailbox.ask(Ask::Op(op)).await
    }

    /// Has a change, or a flush, done.
    pub(crate) async fn change(&self, op: HostOp) -> Result<(), Refused> {
        changed(self.ask(op).await).map(drop)
    }

    pub(crate) async fn flush(&self) -> Result<(), Refused> {
        self.change(HostOp::Flush { ldev: self.ldev() }).await
    }

    /// Flushes if FUA asks for it.
    pub(crate) async fn flush_if_forced(&self) -> Done {
        if self.cdb.has(1, 0x08) {
            self.flush().await?;
        }
        Ok(Bytes::new())
    }

    pub(crate) async fn read(&self, ldev: LdevId, blocks: BlockRange) -> Done {
        match self.ask(HostOp::Read { ldev, blocks }).await {
            Some(HostReply::Data(data)) => Ok(data),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn facts_of(&self, ldev: LdevId) -> Result<VolumeFacts, Refused> {
        match self.ask(HostOp::Describe { ldev }).await {
            Some(HostReply::Volume(facts)) => Ok(facts),
            other => Err(unexpected(other)),
        }
    }

    pub(crate) async fn facts(&self) -> Result<VolumeFacts, Refused> {
        self.facts_of(self.ldev()).await
    }

    /// The blocks of the command, if the volume has them all. None at its very end are blocks too.
    pub(crate) async fn blocks(&self, block: u64, count: u64) -> Result<BlockRange, Refused> {
        let facts = self.facts().await?;
        blocks_of(&facts, block, count)
    }

    /// Answers now, and goes on.
    pub(crate) async fn answer_early(&self) {
        let reply = ScsiReply::good(Bytes::new());
        self.mailbox.ask(Ask::Answer(reply)).await;
    }

    /// Keeps what outlives the unit's power, as it is now. One task at a time does so for a logical unit.
    pub(crate) async fn keep(&self) -> Result<(), Refused> {
        let kept = self.unit.state().kept();
        let value = match kept.as_ref().map(postcard::to_allocvec) {
            None => None,
            Some(Ok(bytes)) => Some(Bytes::from(bytes)),
            Some(Err(_)) => return Err(unexpected(None)),
        };
        let name = ScsiTarget::kept_name(self.ldev());
        match self.mailbox.ask(Ask::Keep(Keep { name, value })).await {
            Some(HostReply::Done) => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    /// The right to change what is kept, until it is dropped. Another is told to come again.
    pub(crate) fn keeping(&self) -> Result<Keeping, Refused> {
        let mut state = self.unit.state();
        if state.is_keeping {
            return Err(Refused::Status(ScsiStatus::Busy));
        }
        state.is_keeping = true;
        drop(state);
        Ok(Keeping(self.unit.clone()))
    }

    /// The data that came, up to `wanted` bytes, if it is whole blocks.
    pub(crate) fn whole_blocks(&self, wanted: u64) -> Done {
        let came =
            usize::try_from(wanted).map_or(self.data.len(), |most| self.data.len().min(most));
        if came % BLOCK_BYTES != 0 {
            return Err(Sense::illegal(Asc::INVALID_FIELD_IN_INFORMATION_UNIT).into());
        }
        Ok(self.data.slice(..came))
    }

    /// The parameter list: as long as the CDB says, or what came of it.
    pub(crate) fn list(&self, len: u64) -> &[u8] {
        let most = usize::try_from(len).unwrap_or(usize::MAX);
        &self.data[..self.data.len().min(most)]
    }
}

/// See [`Job::keeping`].
pub(crate) struct Keeping(Arc<LogicalUnit>);

impl Drop for Keeping {
    fn drop(&mut self) {
        self.0.state().is_keeping = false;
    }
}

/// Blocks of a volume, if it has them all.
pub(crate) fn blocks_of(
    facts: &VolumeFacts,
    block: u64,
    count: u64,
) -> Result<BlockRange, Refused> {
    match block.checked_add(count) {
        Some(end) if end <= facts.block_count => Ok(BlockRange::new(BlockNo(block), count)),
        _ => Err(Sense::illegal(Asc::LBA_OUT_OF_RANGE).into()),
    }
}

/// The same blocks, `most` at a time.
pub(crate) fn parts(blocks: BlockRange, most: u64) -> impl Iterator<Item = BlockRange> {
    let mut from = blocks.start;
    std::iter::from_fn(move || {
        let count = blocks.end.0.saturating_sub(from.0).min(most);
        let part = (count > 0).then(|| BlockRange::new(from, count))?;
        from = part.end;
        Some(part)
    })
}
