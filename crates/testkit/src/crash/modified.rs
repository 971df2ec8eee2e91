//! What hosts know of changes that may fail, and of those that depend on what there is: compare and write,
//! OR write.

use super::registers::Value;
use super::world::{What, World, wrong};
use super::wrong::CrashWrong;
use crate::{Tag, ldev};
use diptych_cha::{Forbidden, HostError, HostReply};
use diptych_format::{BlockNo, BlockRange};

impl World {
    /// Whether a change was done to its end, where it may fail.
    pub(super) fn is_whole(
        &self,
        volume: usize,
        moments: (u64, u64),
        reply: &HostReply,
    ) -> Result<bool, CrashWrong> {
        match reply {
            HostReply::Done => Ok(true),
            HostReply::Failed(HostError::Access { why: Forbidden::Secondary(_), .. })
                if self.may_be_refused(volume) =>
            {
                Ok(false)
            }
            // The rest of a track has to be brought by a restore, and cannot be read.
            HostReply::Failed(HostError::Medium { block, .. })
                if self.may_be_unreadable(volume, *block, moments) =>
            {
                Ok(false)
            }
            _ => Err(wrong("a write", ldev(volume as u8), reply)),
        }
    }

    /// One of the tags that a block may hold now.
    pub(super) fn seems(&mut self, volume: usize, block: BlockNo, no: usize) -> Tag {
        let now = self.now();
        match self.registers.block(volume, block).seen(now, now) {
            Value::OneOf(tags) if !tags.is_empty() => tags[no % tags.len()],
            _ => Tag::ZERO,
        }
    }

    /// Such a change is answered. What it says of the block must be possible.
    pub(super) fn modified(
        &mut self,
        what: &What,
        (from, to): (u64, u64),
        reply: &HostReply,
    ) -> Result<(), CrashWrong> {
        match *what {
            What::Swap { volume, block, expected, tag } => {
                let seen = self.registers.block(volume, block).seen(from, to);
                let certain = |tags: &[Tag]| tags.iter().all(|seen| [expected, tag].contains(seen));
                let possible = match (reply, &seen) {
                    (HostReply::Done, seen) => seen.may_be(expected),
                    (HostReply::Miscompare { .. }, Value::OneOf(tags)) => !certain(tags),
                    _ => true,
                };
                if !possible {
                    return Err(wrong("a compare and write", ldev(volume as u8), reply));
                }
                if matches!(reply, HostReply::Miscompare { .. }) {
                    self.withdraw(volume, from);
                    return Ok(());
                }
                self.wrote(volume, BlockRange::one(block), false, (from, to), reply)
            }
            // It sets no bit: what it says is all there is of it, unless it writes back what was there
            // before somebody else wrote.
            What::Or { volume } => self.is_whole(volume, (from, to), reply).map(drop),
            _ => unreachable!("no such change"),
        }
    }
}
