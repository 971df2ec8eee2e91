//! What was read from a volume, by a host or behind the unit's back, against the model.

use super::{Content, Model};
use crate::{Tag, Violation};
use diptych_format::{BlockNo, LdevId};
use diptych_shared::PairStatus;

impl Model {
    /// Compares blocks that a host read, in answer to a read that the model expected to give
    /// `expected`. Where nobody could tell what a block holds, it is known from now on.
    ///
    /// # Errors
    ///
    /// If a block holds something else.
    pub fn compare_read(
        &mut self,
        ldev: LdevId,
        start: BlockNo,
        expected: &[Content],
        found: &[Tag],
    ) -> Result<(), Violation> {
        let fixed = self.is_fixed(ldev);
        for (no, (expected, found)) in (start.0..).zip(expected.iter().zip(found)) {
            self.compare_block(ldev, BlockNo(no), *expected, *found, fixed)?;
        }
        Ok(())
    }

    /// Compares what the drives hold of a volume while nothing is under way and nothing is dirty.
    ///
    /// # Errors
    ///
    /// If a block holds something else, as far as the model can tell.
    pub fn compare_stored(&mut self, ldev: LdevId, found: &[Tag]) -> Result<(), Violation> {
        let fixed = self.is_fixed(ldev);
        let geometry = self.volumes[&ldev].geometry;
        for (no, found) in (0..).zip(found) {
            let block = BlockNo(no);
            let track = geometry.track_of(block);
            if self.brought_by(ldev, track).is_none() {
                let expected = self.volumes[&ldev].content[no as usize];
                self.compare_block(ldev, block, expected, *found, fixed)?;
            }
        }
        Ok(())
    }

    /// Whether no copy writes to the volume.
    fn is_fixed(&self, ldev: LdevId) -> bool {
        let followed = self.pairs.get(&ldev);
        let followed = followed.filter(|p| p.copies() && p.status != PairStatus::Restoring);
        followed.or_else(|| self.restored_by(ldev)).is_none()
    }

    fn compare_block(
        &mut self,
        ldev: LdevId,
        block: BlockNo,
        expected: Content,
        found: Tag,
        fixed: bool,
    ) -> Result<(), Violation> {
        match expected {
            Content::Tag(tag) if tag == found => {}
            Content::Tag(before) if fixed && self.pairs.get(&ldev).is_none_or(is_suspended) => {
                return Err(Violation::Changed { ldev, block, before, after: found });
            }
            Content::Tag(_) => return Err(Violation::Content { ldev, block, found, expected }),
            Content::Unknown if fixed => {
                let volume = self.volumes.get_mut(&ldev).expect("a volume");
                volume.content[block.0 as usize] = Content::Tag(found);
            }
            Content::Unknown => {}
        }
        Ok(())
    }
}

fn is_suspended(pair: &super::PairModel) -> bool {
    pair.status == PairStatus::Suspended
}
