//! What an image must hold, told from outside: by when writes were submitted and acknowledged.
//!
//! Writers are not stopped for the copy command, so nobody outside can say at which moment between
//! its submission and its answer the instant was. What can be said, and is what a host may rely on:
//!
//! - a write acknowledged before the command was submitted is in the image, unless a later one has
//!   overwritten it there;
//! - a write submitted after the command was answered is not;
//! - a write in flight in between is in or out, but wholly, and if a writer's later write is in, so
//!   are its earlier ones.

use super::marked::WriteId;
use diptych::format::BlockRange;
use diptych::sync::atomic::{AtomicU64, Ordering};
use std::collections::BTreeMap;

/// A logical clock. Every reading is larger than all readings that were over before it began.
#[derive(Debug, Default)]
pub(crate) struct Stamps(AtomicU64);

impl Stamps {
    pub(crate) fn next(&self) -> u64 {
        self.0.fetch_add(1, Ordering::SeqCst) + 1
    }
}

/// One host write.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HostWrite {
    pub(crate) blocks: BlockRange,
    /// Read before it was submitted.
    pub(crate) submitted: u64,
    /// Read after it was acknowledged.
    pub(crate) acknowledged: u64,
}

/// All writes, by writer, each writer's in its order.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    writers: Vec<Vec<HostWrite>>,
}

/// The copy command, seen from outside: the instant lies between these readings.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cut {
    pub(crate) submitted: u64,
    pub(crate) answered: u64,
}

impl Ledger {
    /// Adds a writer's log; gives the number that its writes must carry.
    pub(crate) fn add(&mut self, writes: Vec<HostWrite>) {
        self.writers.push(writes);
    }

    /// How many writers there are: the number of the next.
    pub(crate) fn writer_count(&self) -> u16 {
        self.writers.len() as u16
    }

    fn get(&self, id: WriteId) -> Option<&HostWrite> {
        self.writers.get(usize::from(id.writer))?.get(id.no as usize)
    }

    fn all(&self) -> impl Iterator<Item = (WriteId, &HostWrite)> {
        let of_writer =
            |(writer, writes): (usize, &'_ Vec<HostWrite>)| (writer as u16, writes.len());
        let sizes: Vec<(u16, usize)> = self.writers.iter().enumerate().map(of_writer).collect();
        sizes.into_iter().flat_map(move |(writer, count)| {
            let writes = &self.writers[usize::from(writer)];
            (0..count).map(move |no| (WriteId { writer, no: no as u32 }, &writes[no]))
        })
    }

    /// Writes acknowledged before the cut, and writes submitted after it.
    pub(crate) fn around(&self, cut: Cut) -> (u64, u64) {
        let before = self.all().filter(|(_, w)| w.acknowledged < cut.submitted).count();
        let after = self.all().filter(|(_, w)| w.submitted > cut.answered).count();
        (before as u64, after as u64)
    }
}

/// Where a block's content comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// From the image that was imported.
    Imported,
    /// From this write.
    Write(WriteId),
    /// From nowhere that is known.
    Unknown,
}

/// Judges what an image holds, block by block.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    ledger: &'a Ledger,
    cut: Cut,
    /// For each block, the latest submission of a write that must have happened; 0 if none must.
    /// What was acknowledged before that is overwritten.
    must: Vec<u64>,
    in_flight: BTreeMap<WriteId, Seen>,
    /// Which of them touch a block.
    touching: BTreeMap<u64, Vec<WriteId>>,
}

/// How a write in flight shows in the image.
#[derive(Debug, Clone, Copy, Default)]
struct Seen {
    is_in: bool,
    is_out: bool,
}

/// What became of the writes in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InFlight {
    /// Writes in flight at the instant.
    pub(crate) writes: u64,
    /// Of these, writes that show in the image. The others came after the instant, or were
    /// overwritten before it.
    pub(crate) writes_in: u64,
    /// Of these, writes of which the image has a part, or which it has without an earlier one of
    /// the same writer: these are errors.
    pub(crate) torn: u64,
}

impl<'a> Judge<'a> {
    /// A judge of an image of `block_count` blocks; no write reaches past them.
    pub(crate) fn new(ledger: &'a Ledger, cut: Cut, block_count: u64) -> Self {
        let mut must = vec![0; block_count as usize];
        let mut in_flight = BTreeMap::new();
        let mut touching: BTreeMap<u64, Vec<WriteId>> = BTreeMap::new();
        for (id, write) in ledger.all() {
            let blocks = write.blocks.start.0..write.blocks.end.0;
            if write.acknowledged < cut.submitted {
                for must in &mut must[blocks.start as usize..blocks.end as usize] {
                    *must = write.submitted.max(*must);
                }
            } else if write.submitted < cut.answered {
                in_flight.insert(id, Seen::default());
                blocks.for_each(|block| touching.entry(block).or_default().push(id));
            }
        }
        Self { ledger, cut, must, in_flight, touching }
    }

    /// Whether the write, by its number alone, could have made the block.
    pub(crate) fn covers(&self, id: WriteId, block: u64) -> bool {
        let write = self.ledger.get(id);
        write.is_some_and(|w| (w.blocks.start.0..w.blocks.end.0).contains(&block))
    }

    /// Whether the image may hold at this block what it holds there.
    pub(crate) fn allows(&mut self, block: u64, origin: Origin) -> bool {
        let must = self.must.get(block as usize).copied().unwrap_or(0);
        let write = match origin {
            Origin::Unknown => return false,
            Origin::Imported => None,
            Origin::Write(id) => self.ledger.get(id).map(|write| (id, write)),
        };
        for id in self.touching.get(&block).into_iter().flatten() {
            let seen = self.in_flight.get_mut(id).expect("a write that touches a block is known");
            let submitted = self.ledger.get(*id).map_or(0, |w| w.submitted);
            match write {
                Some((found, _)) if found == *id => seen.is_in = true,
                Some((_, found)) if found.acknowledged > submitted => {}
                _ => seen.is_out = true,
            }
        }
        write.map_or(must == 0, |(_, w)| w.submitted < self.cut.answered && w.acknowledged > must)
    }

    /// What became of the writes in flight, once all blocks were looked at.
    pub(crate) fn in_flight(&self) -> InFlight {
        let mut found = InFlight { writes: self.in_flight.len() as u64, writes_in: 0, torn: 0 };
        let mut out_of = None;
        for (id, seen) in &self.in_flight {
            found.writes_in += u64::from(seen.is_in);
            let too_late = seen.is_in && out_of == Some(id.writer);
            found.torn += u64::from((seen.is_in && seen.is_out) || too_late);
            if seen.is_out {
                out_of = Some(id.writer);
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych::format::BlockNo;

    const CUT: Cut = Cut { submitted: 10, answered: 20 };

    fn write(start: u64, count: u64, submitted: u64, acknowledged: u64) -> HostWrite {
        HostWrite { blocks: BlockRange::new(BlockNo(start), count), submitted, acknowledged }
    }

    fn of(writer: u16, no: u32) -> Origin {
        Origin::Write(WriteId { writer, no })
    }

    #[test]
    fn what_a_block_may_hold() {
        let mut ledger = Ledger::default();
        ledger.add(vec![write(0, 1, 1, 2), write(0, 1, 3, 6), write(1, 1, 12, 13)]);
        ledger.add(vec![write(0, 1, 4, 5), write(2, 1, 21, 22)]);
        let mut judge = Judge::new(&ledger, CUT, 4);
        let mut check = |block, origin, expected| {
            assert_eq!(judge.allows(block, origin), expected, "block {block}: {origin:?}");
        };
        check(0, Origin::Imported, false);
        check(0, of(0, 0), false); // overwritten by both others
        check(0, of(0, 1), true); // these two overlap in time: either may be the last
        check(0, of(1, 0), true);
        check(1, Origin::Imported, true); // in flight
        check(1, of(0, 2), true);
        check(2, Origin::Imported, true);
        check(2, of(1, 1), false); // after the instant
        check(3, Origin::Imported, true);
        check(3, Origin::Unknown, false);
        check(9, Origin::Imported, true);
        assert_eq!(ledger.around(CUT), (3, 1));
    }

    #[test]
    fn writes_in_flight_are_whole_and_in_order() {
        fn check(found: [Origin; 4], writes_in: u64, torn: u64) {
            let mut ledger = Ledger::default();
            ledger.add(vec![write(0, 2, 9, 11), write(2, 2, 12, 13)]);
            let mut judge = Judge::new(&ledger, CUT, 4);
            for (block, origin) in (0..).zip(found) {
                assert!(judge.allows(block, origin));
            }
            assert_eq!(judge.in_flight(), InFlight { writes: 2, writes_in, torn }, "{found:?}");
        }
        let (old, first, second) = (Origin::Imported, of(0, 0), of(0, 1));
        check([old, old, old, old], 0, 0);
        check([first, first, old, old], 1, 0);
        check([first, first, second, second], 2, 0);
        check([first, old, old, old], 1, 1);
        check([old, old, second, second], 1, 1);
    }
}
