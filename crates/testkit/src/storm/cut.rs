//! The checker of a cut: whether images are their primaries at one instant.
//!
//! Every block of every primary belongs to one writer, and a writer has one write under way at a time.
//! So what a writer has done is a sequence, and the images of one split hold, of each writer, all
//! writes up to a place in it, on all volumes of the split:
//!
//! - not before the place it had reached when the command was submitted: those writes were
//!   acknowledged;
//! - not after the place it had reached when the command was answered: those were not submitted;
//! - if they hold a write, they hold whatever was acknowledged, to whichever writer, before that one was
//!   submitted: a dependent write is never there without what it depends on.
//!
//! The first two leave a few places to choose from, those in the *window*. The third makes the places of
//! all writers one choice. There is an instant that fits, or blocks are wrong.

use crate::Tag;
use diptych_format::{BlockNo, BlockRange, Time};

/// A write of a writer.
#[derive(Debug, Clone)]
pub(crate) struct Write {
    /// Which primary, by its number in the storm.
    pub(crate) primary: usize,
    /// Which of its blocks; all belong to the writer.
    pub(crate) blocks: BlockRange,
    /// What they hold afterwards.
    pub(crate) tag: Tag,
    /// When it is sent.
    pub(crate) submitted_at: Time,
    /// When it was acknowledged.
    pub(crate) answered_at: Option<Time>,
}

/// The contents of a volume, block by block.
pub(crate) type Contents = Vec<Tag>;

/// What may have happened before the instant of a split.
#[derive(Debug)]
pub(crate) struct Window {
    /// The primaries of the split, by their numbers in the storm; one may be there twice.
    pub(crate) primaries: Vec<usize>,
    /// What they held by all that was acknowledged when the command was submitted.
    pub(crate) base: Vec<Contents>,
    /// Of each writer, in order: writes to any primary of the storm that were under way then, or were
    /// submitted before the command was answered.
    pub(crate) logs: Vec<Vec<Write>>,
}

/// A block of an image that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WrongBlock {
    /// Which image, in the order of the split's pairs.
    pub(crate) image: usize,
    pub(crate) block: BlockNo,
    pub(crate) found: Option<Tag>,
    pub(crate) expected: Tag,
}

/// What the images should hold, and where they do not.
#[derive(Debug)]
pub(crate) struct Verdict {
    pub(crate) expected: Vec<Contents>,
    pub(crate) wrong: Vec<WrongBlock>,
}

impl Window {
    /// Holds images against the window. `images` are in the order of `primaries`, `None` being a block
    /// that no write can have made; `owner` says whose a block is.
    pub(crate) fn judge(
        &self,
        images: &[Vec<Option<Tag>>],
        owner: impl Fn(usize, BlockNo) -> usize,
    ) -> Verdict {
        let fits: Vec<Vec<usize>> =
            (0..self.logs.len()).map(|writer| self.mismatches(writer, images, &owner)).collect();
        let mut places: Vec<usize> = fits.iter().map(|counts| fitting(counts, 0)).collect();
        // A place further on asks for more of others, never for less: the least that fits is found by
        // going on from the least.
        loop {
            let required = self.required(&places);
            let next: Vec<usize> = (0..places.len())
                .map(|writer| fitting(&fits[writer], places[writer].max(required[writer])))
                .collect();
            if next == places {
                break;
            }
            places = next;
        }
        let expected = self.at(&places);
        let wrong = differences(images, &expected);
        Verdict { expected, wrong }
    }

    /// At each place of a writer, how many of its blocks in the images would be wrong.
    fn mismatches(
        &self,
        writer: usize,
        images: &[Vec<Option<Tag>>],
        owner: impl Fn(usize, BlockNo) -> usize,
    ) -> Vec<usize> {
        let mut contents = self.base.clone();
        let is_wrong = |contents: &[Contents], image: usize, block: usize| {
            images[image][block] != Some(contents[image][block])
        };
        let mut count = 0;
        for (image, &primary) in self.primaries.iter().enumerate() {
            let own = |block: &usize| owner(primary, BlockNo(*block as u64)) == writer;
            let blocks = (0..contents[image].len()).filter(own);
            count += blocks.filter(|block| is_wrong(&contents, image, *block)).count();
        }
        let mut counts = vec![count];
        for write in &self.logs[writer] {
            for image in self.images_of(write.primary) {
                for block in write.blocks.iter().map(|block| block.0 as usize) {
                    count -= usize::from(is_wrong(&contents, image, block));
                    contents[image][block] = write.tag;
                    count += usize::from(is_wrong(&contents, image, block));
                }
            }
            counts.push(count);
        }
        counts
    }

    /// How far each writer must have come, if the others have come so far.
    fn required(&self, places: &[usize]) -> Vec<usize> {
        let last = |writer: usize| places[writer].checked_sub(1).map(|no| &self.logs[writer][no]);
        let latest = (0..places.len()).filter_map(last).map(|write| write.submitted_at).max();
        let before = |write: &&Write| write.answered_at.is_some_and(|at| Some(at) < latest);
        self.logs.iter().map(|log| log.iter().take_while(before).count()).collect()
    }

    /// What the primaries hold when the writers have come so far.
    fn at(&self, places: &[usize]) -> Vec<Contents> {
        let mut contents = self.base.clone();
        let included = self.logs.iter().zip(places).flat_map(|(log, place)| &log[..*place]);
        for write in included {
            for image in self.images_of(write.primary) {
                for block in write.blocks.iter() {
                    contents[image][block.0 as usize] = write.tag;
                }
            }
        }
        contents
    }

    fn images_of(&self, primary: usize) -> impl Iterator<Item = usize> {
        let images = self.primaries.iter().enumerate();
        images.filter(move |(_, other)| **other == primary).map(|(image, _)| image)
    }
}

/// The first place from `least` on where nothing is wrong; if there is none, the one where the least
/// is.
fn fitting(counts: &[usize], least: usize) -> usize {
    let places = least..counts.len();
    let place = places.min_by_key(|place| counts[*place]);
    place.expect("a writer comes no further than its last write")
}

/// Where contents differ.
pub(crate) fn differences(found: &[Vec<Option<Tag>>], expected: &[Contents]) -> Vec<WrongBlock> {
    let mut wrong = Vec::new();
    for (image, (found, expected)) in found.iter().zip(expected).enumerate() {
        for (no, (found, expected)) in (0..).zip(found.iter().zip(expected)) {
            if *found != Some(*expected) {
                let (block, found, expected) = (BlockNo(no), *found, *expected);
                wrong.push(WrongBlock { image, block, found, expected });
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A write of one block: primary, block, tag, from, to.
    type Spec = (usize, u64, u64, u64, Option<u64>);

    fn write(&(primary, block, tag, from, to): &Spec) -> Write {
        Write {
            primary,
            blocks: BlockRange::one(BlockNo(block)),
            tag: Tag(tag),
            submitted_at: Time::from_ns(from),
            answered_at: to.map(Time::from_ns),
        }
    }

    /// Two primaries of two blocks that held 1; block n belongs to writer n.
    fn check(logs: [&[Spec]; 2], images: [[u64; 2]; 2], wrong: &[(usize, u64)]) {
        let logs = logs.map(|log| log.iter().map(write).collect()).to_vec();
        let base = vec![vec![Tag(1); 2]; 2];
        let window = Window { primaries: vec![0, 1], base, logs };
        let found = images.map(|image| image.map(|tag| Some(Tag(tag))).to_vec());
        let verdict = window.judge(&found, |_, block| block.0 as usize);
        let blocks: Vec<_> = verdict.wrong.iter().map(|w| (w.image, w.block.0)).collect();
        assert_eq!(blocks, wrong, "{images:?}: {verdict:?}");
    }

    #[test]
    fn a_writer_is_cut_at_one_place() {
        // Writer 0 writes 2 to the first volume, then 3 to the second, then 4 to the first.
        let log: &[Spec] = &[(0, 0, 2, 10, Some(20)), (1, 0, 3, 20, Some(30)), (0, 0, 4, 30, None)];
        let check = |images, wrong: &[_]| check([log, &[]], images, wrong);
        check([[1, 1], [1, 1]], &[]);
        check([[2, 1], [1, 1]], &[]);
        check([[2, 1], [3, 1]], &[]);
        check([[4, 1], [3, 1]], &[]);
        check([[1, 1], [3, 1]], &[(1, 0)]); // the dependent write without the first
        check([[4, 1], [1, 1]], &[(0, 0)]);
        check([[9, 1], [3, 1]], &[(0, 0)]); // a write after the answer
        check([[2, 0], [3, 1]], &[(0, 1)]); // what was acknowledged before the command
    }

    #[test]
    fn writers_are_cut_at_one_instant() {
        // What the second writer writes first was submitted after the first writer's was acknowledged.
        let logs: [&[Spec]; 2] = [&[(0, 0, 2, 10, Some(20))], &[(1, 1, 3, 21, Some(30))]];
        check(logs, [[1, 1], [1, 1]], &[]);
        check(logs, [[2, 1], [1, 1]], &[]);
        check(logs, [[2, 1], [1, 3]], &[]);
        check(logs, [[1, 1], [1, 3]], &[(0, 0)]);
        // If they overlap, either may be first.
        let logs: [&[Spec]; 2] = [&[(0, 0, 2, 10, Some(20))], &[(1, 1, 3, 20, Some(30))]];
        check(logs, [[1, 1], [1, 3]], &[]);
        // A write whose place does not show in the images is taken for granted.
        let logs: [&[Spec]; 2] =
            [&[(7, 0, 2, 10, Some(20)), (0, 0, 4, 22, None)], &[(1, 1, 3, 21, Some(30))]];
        check(logs, [[1, 1], [1, 3]], &[]);
        check(logs, [[4, 1], [1, 1]], &[]);
    }

    #[test]
    fn zeros_may_have_been_there_before() {
        let log: &[Spec] = &[(0, 0, 0, 1, Some(2)), (0, 0, 5, 3, Some(4)), (0, 0, 0, 5, Some(6))];
        let other: &[Spec] = &[(1, 1, 8, 9, None)];
        check([log, other], [[0, 1], [1, 1]], &[]);
        check([log, other], [[5, 1], [1, 1]], &[]);
        check([log, other], [[0, 1], [1, 8]], &[]);
        check([log, other], [[5, 1], [1, 8]], &[(0, 0)]);
    }
}
