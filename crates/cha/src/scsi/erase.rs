//! SANITIZE (SBC-4, 4.11, 5.37): everything on the medium goes.
//!
//! Once begun it goes on whatever becomes of its initiator, of aborts and of resets; commands meanwhile
//! hear how far it is. That it began is kept, so that a unit that comes up in the middle of it says that
//! it failed and does not show what is left.

use super::cdb::at;
use super::job::{Job, parts};
use super::limits;
use super::logical_unit::{LogicalUnit, Sanitizing};
use super::reply::{Done, Refused, access};
use super::sense::{Asc, Sense, SenseKey};
use crate::{HostOp, Tried};
use bytes::Bytes;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange};
use diptych_sync::Arc;

const OVERWRITE: u8 = 0x01;
const EXIT_FAILURE_MODE: u8 = 0x1F;

/// OVERWRITE's parameter list.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Overwrite {
    inverts: bool,
    passes: u8,
    pattern: Vec<u8>,
}

impl Overwrite {
    fn of(list: &[u8]) -> Result<Self, Refused> {
        if list.len() < 5 {
            return Err(Sense::in_cdb(7).into());
        }
        let (inverts, passes) = (list[0] & 0x80 != 0, list[0] & 0x1F);
        let len = at::<2>(list, 2) as usize;
        // TEST is for vendors.
        if passes == 0 || list[0] & 0x60 != 0 {
            return Err(Sense::in_list(0).into());
        }
        if len == 0 || len > BLOCK_BYTES || list.len() != 4 + len {
            return Err(Sense::in_list(2).into());
        }
        Ok(Self { inverts, passes, pattern: list[4..].to_vec() })
    }

    /// A block of a pass, from 0: the pattern as often as it fits, a part of it last.
    fn block(&self, pass: u8) -> Vec<u8> {
        let is_inverted = self.inverts && pass % 2 == 1;
        let bytes = self.pattern.iter().map(|&byte| if is_inverted { !byte } else { byte });
        bytes.cycle().take(BLOCK_BYTES).collect()
    }
}

/// The operation's hold on the logical unit: if it is dropped in the middle, the operation has failed.
struct Running {
    unit: Arc<LogicalUnit>,
    may_exit: bool,
    ended: bool,
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.unit.state().sanitizing = Sanitizing::Failed { may_exit: self.may_exit };
        }
    }
}

impl Job {
    pub(crate) async fn sanitize(&self) -> Done {
        let (action, len) = (self.cdb.action(), self.cdb.extent().1);
        if action == EXIT_FAILURE_MODE {
            return self.exit_failure_mode(len).await;
        }
        let overwrite = match action {
            OVERWRITE => Some(Overwrite::of(self.list(len))?),
            _ if len != 0 => return Err(Sense::in_cdb(7).into()),
            _ => None,
        };
        let facts = self.facts().await?;
        if let Some(why) = facts.write {
            return Err(access(Tried::Write, why).into());
        }
        let keeping = self.keeping()?;
        let may_exit = self.cdb.has(1, 0x20);
        let mut running = Running { unit: self.unit.clone(), may_exit, ended: false };
        self.unit.state().sanitizing = Sanitizing::Running(0);
        self.mailbox.outlive();
        let begun = self.keep().await;
        drop(keeping);
        begun?;
        if self.cdb.has(1, 0x80) {
            self.answer_early().await;
        }
        let done = match overwrite {
            Some(overwrite) => self.overwrite(&overwrite, facts.block_count).await,
            None => self.change(HostOp::Format { ldev: self.ldev() }).await,
        };
        let done = match done {
            Ok(()) => self.flush().await,
            failed => failed,
        };
        running.ended = done.is_ok();
        if done.is_ok() {
            self.unit.state().sanitizing = Sanitizing::No;
        }
        drop(running);
        self.keep_on().await?;
        done.map_err(|_| Sense::new(SenseKey::MediumError, Asc::SANITIZE_FAILED))?;
        Ok(Bytes::new())
    }

    async fn overwrite(&self, list: &Overwrite, block_count: u64) -> Result<(), Refused> {
        let part_blocks = u64::from(limits::TRANSFER_BLOCKS);
        let all = BlockRange::new(BlockNo(0), block_count);
        let whole = u64::from(list.passes) * block_count;
        let mut done = 0;
        for pass in 0..list.passes {
            let buffer = Bytes::from(list.block(pass).repeat(part_blocks as usize));
            for part in parts(all, part_blocks) {
                let data = buffer.slice(..part.count() as usize * BLOCK_BYTES);
                let op = HostOp::Write { ldev: self.ldev(), block: part.start, data };
                self.change(op).await?;
                done += part.count();
                let progress = (u128::from(done) * 0xFFFF / u128::from(whole)) as u16;
                self.unit.state().sanitizing = Sanitizing::Running(progress);
            }
            // A pass has to reach the medium before the next one changes it again.
            self.flush().await?;
        }
        Ok(())
    }

    async fn exit_failure_mode(&self, len: u64) -> Done {
        if len != 0 {
            return Err(Sense::in_cdb(7).into());
        }
        let found = self.unit.state().sanitizing;
        match found {
            Sanitizing::Failed { may_exit: true } => {
                let _keeping = self.keeping()?;
                self.unit.state().sanitizing = Sanitizing::No;
                self.keep().await?;
                Ok(Bytes::new())
            }
            Sanitizing::Failed { may_exit: false } => Err(Sense::in_cdb_bit(1, Some(4)).into()),
            _ => Ok(Bytes::new()),
        }
    }

    /// Keeps how it ended. If another keeps something just then, that has it too.
    async fn keep_on(&self) -> Result<(), Refused> {
        loop {
            match self.keeping() {
                Ok(_keeping) => return self.keep().await,
                // A question to let time pass: the other one needs it to end.
                Err(_) => drop(self.facts().await),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_overwrite() {
        fn check(list: &[u8], expected: Option<(bool, u8, usize)>) {
            let found = Overwrite::of(list).ok();
            let found = found.map(|found| (found.inverts, found.passes, found.pattern.len()));
            assert_eq!(found, expected, "{list:?}");
        }
        check(&[1, 0, 0, 1, 0xAA], Some((false, 1, 1)));
        check(&[0x82, 0, 0, 4, 1, 2, 3, 4], Some((true, 2, 4)));
        check(&[], None);
        check(&[1, 0, 0, 0], None);
        check(&[0, 0, 0, 1, 0xAA], None);
        check(&[1, 0, 0, 2, 0xAA], None);
        check(&[1, 0, 0, 1, 0xAA, 0xAA], None);
        check(&[0x21, 0, 0, 1, 0xAA], None);
        let long = [&[1, 0, 2, 1][..], &[0; 513]].concat();
        check(&long, None);
    }

    #[test]
    fn blocks_of_passes() {
        let list = Overwrite { inverts: true, passes: 2, pattern: vec![0, 1, 2] };
        assert_eq!(list.block(0)[..4], [0, 1, 2, 0]);
        assert_eq!(list.block(1)[..4], [255, 254, 253, 255]);
        assert_eq!(list.block(2).len(), BLOCK_BYTES);
    }
}
