//! Histories of operations that overlap, and what a read may find in them.

use crate::{Tag, Violation};
use diptych_format::{BlockNo, BlockRange, LdevId};
use std::collections::BTreeSet;

/// An operation that changes what a volume holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// A host writes these blocks; tag 0 gives them up.
    Write(BlockRange, Tag),
    /// The volume becomes an image of this one, as of some moment of the operation.
    Image(LdevId),
    /// Nobody may tell what the volume holds from here on.
    Unknown,
}

#[derive(Debug, Clone, Copy)]
struct Event {
    volume: LdevId,
    effect: Effect,
    from: u64,
    to: u64,
    /// It was done to its end, so whatever was before is gone.
    whole: bool,
}

impl Event {
    fn touches(&self, volume: LdevId, block: BlockNo) -> bool {
        self.volume == volume
            && match self.effect {
                Effect::Write(blocks, _) => blocks.contains(block),
                Effect::Image(_) | Effect::Unknown => true,
            }
    }
}

/// What a block may be read as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// The tags.
    pub tags: BTreeSet<Tag>,
    /// Anything.
    pub any: bool,
}

/// A history: when each operation was submitted and when it was answered, in moments from 1 on.
///
/// Each block is a register with a tag for each write, so what a read may give is plain: a write
/// that began before the read's end and was not certainly overwritten before the read's beginning.
/// A copy command is a write of the whole secondary whose value is such a read of the primary.
///
/// ```
/// use diptych_format::{BlockNo, BlockRange};
/// use diptych_testkit::{History, HistoryEffect, Tag, ldev};
///
/// let mut history = History::new();
/// let block = BlockRange::one(BlockNo(3));
/// let first = history.now();
/// history.ended(ldev(0), HistoryEffect::Write(block, Tag(1)), first, true);
/// let second = history.now(); // not answered yet
/// history.under_way(ldev(0), HistoryEffect::Write(block, Tag(2)), second);
/// let read = history.now();
/// let allowed = history.allowed(ldev(0), BlockNo(3), read, history.latest());
/// assert_eq!(allowed.tags, [Tag(1), Tag(2)].into());
/// ```
#[derive(Debug, Clone, Default)]
pub struct History {
    latest: u64,
    events: Vec<Event>,
}

impl History {
    /// Nothing has happened: all blocks are zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next moment.
    pub fn now(&mut self) -> u64 {
        self.latest += 1;
        self.latest
    }

    /// The last moment there was.
    pub fn latest(&self) -> u64 {
        self.latest
    }

    /// An operation that was submitted at `from` is answered now. `whole`: it was carried out to
    /// its end; else some of it may have been.
    pub fn ended(&mut self, volume: LdevId, effect: Effect, from: u64, whole: bool) {
        self.ended_all(&[(volume, effect)], from, whole);
    }

    /// As [`ended`](Self::ended), for one that changes several volumes at one moment: none of the
    /// images among its effects has another effect of it.
    pub fn ended_all(&mut self, effects: &[(LdevId, Effect)], from: u64, whole: bool) {
        let to = self.now();
        for (volume, effect) in effects.iter().copied() {
            self.settle_under_way(volume, from);
            self.events.push(Event { volume, effect, from, to, whole });
        }
    }

    /// An operation was submitted at `from` and may take effect at any moment.
    pub fn under_way(&mut self, volume: LdevId, effect: Effect, from: u64) {
        self.events.push(Event { volume, effect, from, to: u64::MAX, whole: false });
    }

    /// The operation that was submitted at `from` had no effect.
    pub fn settle_under_way(&mut self, volume: LdevId, from: u64) {
        self.events.retain(|e| (e.volume, e.from, e.to) != (volume, from, u64::MAX));
    }

    /// What a read submitted at `from` and answered at `to` may give.
    pub fn allowed(&self, volume: LdevId, block: BlockNo, from: u64, to: u64) -> Allowed {
        let mut allowed = Allowed::default();
        self.gather(volume, block, (from, to), &mut Vec::new(), &mut allowed);
        allowed
    }

    /// `images` are the operations that the read is a part of, by when they were submitted. Copies
    /// under way may form a circle until they are refused; an image of itself adds nothing.
    fn gather(
        &self,
        volume: LdevId,
        block: BlockNo,
        (from, to): (u64, u64),
        images: &mut Vec<u64>,
        allowed: &mut Allowed,
    ) {
        let touching = || self.events.iter().filter(|e| e.touches(volume, block));
        let overwritten = |since: u64| {
            touching().any(|later| later.whole && later.from > since && later.to < from)
        };
        if !overwritten(0) {
            allowed.tags.insert(Tag::ZERO);
        }
        for event in touching().filter(|e| e.from < to && !overwritten(e.to)) {
            if images.contains(&event.from) {
                continue;
            }
            match event.effect {
                Effect::Write(_, tag) => {
                    allowed.tags.insert(tag);
                }
                Effect::Image(source) => {
                    images.push(event.from);
                    self.gather(source, block, (event.from, event.to), images, allowed);
                    images.pop();
                }
                Effect::Unknown => allowed.any = true,
            }
        }
    }

    /// Checks what a host read.
    ///
    /// # Errors
    ///
    /// [`Violation::Read`] for the first block that may not hold that.
    pub fn check_read(
        &self,
        ldev: LdevId,
        start: BlockNo,
        found: &[Tag],
        from: u64,
        to: u64,
    ) -> Result<(), Violation> {
        for (no, found) in (start.0..).zip(found.iter().copied()) {
            let block = BlockNo(no);
            let allowed = self.allowed(ldev, block, from, to);
            if !allowed.any && !allowed.tags.contains(&found) {
                return Err(Violation::Read { ldev, block, found, from, to });
            }
        }
        Ok(())
    }

    /// Checks that an image is one moment of its primary: with a write it has all that was answered
    /// before that write was submitted, and each chunk of a write is in or out as a whole.
    ///
    /// `image` is the tag of each block, `None` where the secondary was changed since.
    ///
    /// # Errors
    ///
    /// [`Violation::ImageTorn`].
    pub fn check_image(
        &self,
        primary: LdevId,
        secondary: LdevId,
        image: &[Option<Tag>],
        chunk_blocks: u64,
    ) -> Result<(), Violation> {
        let of_primary = || self.events.iter().filter(|e| e.volume == primary);
        if of_primary().any(|e| !matches!(e.effect, Effect::Write(..))) {
            // Its own contents came from elsewhere; reads of the image are checked all the same.
            return Ok(());
        }
        for (seen_at, seen) in (0..).map(BlockNo).zip(image) {
            let writer = of_primary().find(|e| match e.effect {
                Effect::Write(blocks, tag) => {
                    tag != Tag::ZERO && Some(tag) == *seen && blocks.contains(seen_at)
                }
                _ => false,
            });
            let Some(writer) = writer else { continue };
            let Effect::Write(blocks, seen) = writer.effect else { continue };
            let chunk_no = |block: BlockNo| (block.0 - blocks.start.0) / chunk_blocks;
            let same_chunk = blocks.iter().filter(|b| chunk_no(*b) <= chunk_no(seen_at));
            for block in same_chunk {
                self.check_not_before(secondary, image, block, writer, seen, primary)?;
            }
            for before in of_primary().filter(|e| e.whole && e.to < writer.from) {
                let Effect::Write(earlier, _) = before.effect else { continue };
                for block in earlier.iter() {
                    self.check_not_before(secondary, image, block, before, seen, primary)?;
                }
            }
        }
        Ok(())
    }

    /// The image has `write` at `block`, or a write that may have come after it.
    fn check_not_before(
        &self,
        secondary: LdevId,
        image: &[Option<Tag>],
        block: BlockNo,
        write: &Event,
        seen: Tag,
        primary: LdevId,
    ) -> Result<(), Violation> {
        let Some(found) = image[block.0 as usize] else { return Ok(()) };
        let Effect::Write(_, missing) = write.effect else { return Ok(()) };
        let later = |e: &&Event| {
            let makes = matches!(e.effect, Effect::Write(_, tag) if tag == found);
            makes && e.touches(primary, block) && e.to >= write.from
        };
        if self.events.iter().any(|e| later(&e)) {
            return Ok(());
        }
        Err(Violation::ImageTorn { secondary, block, found, missing, seen })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ldev;

    fn write(history: &mut History, blocks: (u64, u64), tag: u64) {
        let from = history.now();
        let blocks = BlockRange::new(BlockNo(blocks.0), blocks.1);
        history.ended(ldev(0), Effect::Write(blocks, Tag(tag)), from, true);
    }

    #[test]
    fn an_image_is_one_moment() {
        let mut history = History::new();
        write(&mut history, (0, 2), 1);
        write(&mut history, (1, 2), 2);
        write(&mut history, (3, 2), 3); // two chunks of one block
        #[track_caller]
        fn check(history: &History, image: [u64; 5], sound: bool) {
            let image = image.map(|tag| Some(Tag(tag)));
            let checked = history.check_image(ldev(0), ldev(1), &image, 1);
            assert_eq!(checked.is_ok(), sound, "{image:?}: {checked:?}");
        }
        check(&history, [0, 0, 0, 0, 0], true);
        check(&history, [1, 1, 0, 0, 0], true);
        check(&history, [1, 0, 0, 0, 0], true);
        check(&history, [0, 1, 0, 0, 0], false);
        check(&history, [1, 2, 2, 0, 0], true);
        check(&history, [0, 2, 2, 0, 0], false);
        check(&history, [1, 2, 2, 3, 0], true);
        check(&history, [1, 2, 2, 0, 3], false);
        check(&history, [1, 1, 0, 3, 3], false);
    }

    #[test]
    fn an_exchange_is_one_moment() {
        let mut history = History::new();
        write(&mut history, (0, 1), 1);
        let exchange = history.now();
        let (a, b) = (ldev(0), ldev(1));
        history.ended_all(&[(a, Effect::Image(b)), (b, Effect::Image(a))], exchange, true);
        let from = history.now();
        let allowed = |volume| history.allowed(volume, BlockNo(0), from, from).tags;
        assert_eq!((allowed(a), allowed(b)), ([Tag::ZERO].into(), [Tag(1)].into()));
    }

    #[test]
    fn an_image_holds_what_a_read_at_the_command_might_have_given() {
        let mut history = History::new();
        write(&mut history, (0, 1), 1);
        let copy = history.now();
        history.ended(ldev(1), Effect::Image(ldev(0)), copy, true);
        write(&mut history, (0, 1), 2);
        let from = history.now();
        let allowed = history.allowed(ldev(1), BlockNo(0), from, from);
        assert_eq!(allowed, Allowed { tags: [Tag(1)].into(), any: false });
        assert!(history.check_read(ldev(1), BlockNo(0), &[Tag(2)], from, from).is_err());
    }
}
