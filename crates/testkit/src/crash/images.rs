//! Images of splits: when each was made, and what was found of it.

use super::cut::{Found, Instant, TooOld};
use super::pairs::Names;
use crate::Tag;
use diptych_format::BlockRange;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Looks at one image that are held against its instant.
const LOOKS_MAX: u32 = 4;

/// An image of a primary in a secondary.
#[derive(Debug)]
struct Image {
    names: Names,
    /// When the command was answered.
    made_at: u64,
    /// Shared with the others of its group.
    instant: Rc<Instant>,
    /// Blocks that hosts may have changed since.
    changed: BTreeSet<u64>,
    looked: Option<Vec<Option<Tag>>>,
    looks: u32,
}

/// All that are still there.
#[derive(Debug, Default)]
pub(super) struct Images {
    images: Vec<Image>,
}

impl Images {
    /// Pairs were split at one moment.
    pub(super) fn split(&mut self, pairs: &[Names], instant: Instant, made_at: u64) {
        let instant = Rc::new(instant);
        for names in pairs {
            let (instant, changed) = (instant.clone(), BTreeSet::new());
            let (names, looked, looks) = (*names, None, 0);
            self.images.push(Image { names, made_at, instant, changed, looked, looks });
        }
    }

    /// The volume holds no image any more.
    pub(super) fn forget(&mut self, secondary: usize) {
        self.images.retain(|image| image.names.1 != secondary);
    }

    /// A host may change a volume.
    pub(super) fn secondary_changes(&mut self, volume: usize, blocks: BlockRange) {
        for image in self.images.iter_mut().filter(|image| image.names.1 == volume) {
            image.changed.extend(blocks.iter().map(|block| block.0));
        }
    }

    /// A whole volume was read, from this moment on. Returns how many blocks were checked.
    pub(super) fn looked(
        &mut self,
        volume: usize,
        from: u64,
        tags: &[Tag],
        chunk_blocks: u64,
    ) -> Result<u64, TooOld> {
        let of_volume = |image: &Image| image.names.1 == volume && image.made_at < from;
        let Some(at) = self.images.iter().position(of_volume) else {
            return Ok(0);
        };
        let image = &mut self.images[at];
        image.looks += 1;
        if image.looks > LOOKS_MAX {
            return Ok(0);
        }
        let unchanged = |(no, tag): (u64, &Tag)| (!image.changed.contains(&no)).then_some(*tag);
        image.looked = Some((0..).zip(tags).map(unchanged).collect());
        let image = &self.images[at];
        let mut found = Found::new();
        found.insert(image.names.0, image.looked.clone().expect("just looked at"));
        for other in self.images.iter().filter(|other| Rc::ptr_eq(&other.instant, &image.instant)) {
            if let Some(tags) = &other.looked {
                found.entry(other.names.0).or_insert_with(|| tags.clone());
            }
        }
        image.instant.check(&found, chunk_blocks)
    }
}
