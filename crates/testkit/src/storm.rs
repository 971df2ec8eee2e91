//! The storm of splits: images under load in virtual time, each block of each held against what was
//! acknowledged and what was submitted.
//!
//! Small units, each drawn from a seed: several primaries, writers that write to all of them in turn
//! (each write after the one before it was acknowledged, so that they depend on each other across
//! volumes), and hosts that create pairs, split them, look at the images, write to them, make images of
//! them at a second level and take those back, and give them back, again and again. Some copies have
//! limits.
//!
//! | noun | file |
//! |---|---|
//! | [`run_storm`], [`StormReport`] | here |
//! | what a unit looks like | `layout` |
//! | what the hosts know together | `world` |
//! | hosts that write, hosts that split, their second level | `writer`, `splitter`, `splitter/below` |
//! | the checker | `cut` |
//!
//! Invariants:
//! - The checker knows what hosts know: when requests were sent, when and how they were answered, what
//!   was read. It never asks the unit when the instant was.
//! - A seed makes one storm, and a storm that found something is made again by its seed.
//! - A storm that is made wrong on purpose ([`Flaw`]) finds wrong blocks.

mod cut;
mod layout;
mod splitter;
mod world;
mod writer;

use crate::Tag;
use diptych_cha::{HostOp, HostReply};
use diptych_format::{BlockNo, LdevId};
use diptych_sim::Sim;
use fastrand::Rng;
use layout::Layout;
use splitter::Splitter;
use std::any::Any;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use world::{Shared, World, tags_of};
use writer::Writer;

/// Splits of one unit; the next unit is another.
const SPLITS_OF_A_UNIT: u64 = 50;

/// A storm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storm {
    /// The seed of the first unit; the next has the next.
    pub seed: u64,
    /// Splits to make.
    pub splits: u64,
    /// What is wrong on purpose.
    pub flaw: Option<Flaw>,
}

/// What can be wrong with a storm on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// The pairs of a group are split one after another.
    OneByOne,
    /// The checker takes the instant to be before everything that was under way at the command.
    InstantEarly,
    /// The checker takes the instant to be when the image is first looked at.
    InstantLate,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OneByOne, Self::InstantEarly, Self::InstantLate];
}

/// What a storm came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StormReport {
    /// The seed of the first unit.
    pub seed: u64,
    /// Splits whose images were all looked at, those of groups among them.
    pub splits: u64,
    /// Splits of several pairs by a group command.
    pub group_splits: u64,
    /// Group commands that were refused because hosts would have waited for too long.
    pub refused: u64,
    /// Their images.
    pub images: u64,
    /// Images of these images, at the second level, that were looked at.
    pub images_below: u64,
    /// Such images that were taken back.
    pub restores: u64,
    /// Blocks of images, and of what became of them, that were compared.
    pub blocks: u64,
    /// Writes to primaries that were acknowledged.
    pub writes: u64,
    /// Tracks that were copied because a write was about to change them.
    pub protected_tracks: u64,
    /// Blocks that were not what they should have been.
    pub wrong_blocks: u64,
    /// The first of them.
    pub first_wrong: Option<Wrong>,
    /// The time that passed in the units, in nanoseconds.
    pub virtual_ns: u64,
}

/// A block that is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "invariant I1: seed {seed}: block {block} of the image of {primary} in {secondary} is {}, \
     expected {expected}", found.map_or("no write's data".to_owned(), |tag| format!("tag {tag}"))
)]
pub struct Wrong {
    /// The seed of the unit: a storm of this seed finds it again.
    pub seed: u64,
    /// The primary.
    pub primary: LdevId,
    /// The secondary.
    pub secondary: LdevId,
    /// The block.
    pub block: BlockNo,
    /// The write it holds; `None` if its data is not that of a write.
    pub found: Option<Tag>,
    /// The write it should hold.
    pub expected: Tag,
}

/// A storm that could not go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StormError {
    /// An answer that must not be.
    #[error("seed {seed}: {what} at volume {ldev} was answered {reply:?}")]
    Answer {
        /// The seed of the unit.
        seed: u64,
        /// What was asked.
        what: &'static str,
        /// The volume.
        ldev: LdevId,
        /// The answer.
        reply: Box<HostReply>,
    },
    /// Nothing happens any more, and not all was answered.
    #[error("invariant I6: seed {seed}: {open} requests are not answered, {waiting} jobs wait")]
    Stuck {
        /// The seed of the unit.
        seed: u64,
        /// Requests without an answer.
        open: usize,
        /// Jobs that wait for room or a claim.
        waiting: usize,
    },
    /// The unit, or its driver, found one of its own invariants broken.
    #[error("seed {seed}: {message}")]
    Panicked {
        /// The seed of the unit.
        seed: u64,
        /// What the panic said.
        message: String,
    },
}

/// Makes a storm. `progress` is shown what it came to so far after each unit; the storm ends early when
/// a block is wrong.
///
/// # Errors
///
/// If the unit answers as it must not, or not at all, or panics.
pub fn run_storm(
    storm: Storm,
    mut progress: impl FnMut(&StormReport),
) -> Result<StormReport, StormError> {
    let mut report = StormReport { seed: storm.seed, ..StormReport::default() };
    for seed in storm.seed.. {
        let left = storm.splits.saturating_sub(report.splits);
        if left == 0 || report.wrong_blocks > 0 {
            break;
        }
        let splits = left.min(SPLITS_OF_A_UNIT);
        let unit = AssertUnwindSafe(|| one_unit(seed, splits, storm.flaw));
        report.add(catch_unwind(unit).unwrap_or_else(|panic| Err(panicked(seed, &*panic)))?);
        progress(&report);
    }
    Ok(report)
}

impl StormReport {
    fn add(&mut self, other: Self) {
        self.splits += other.splits;
        self.group_splits += other.group_splits;
        self.refused += other.refused;
        self.images += other.images;
        self.images_below += other.images_below;
        self.restores += other.restores;
        self.blocks += other.blocks;
        self.writes += other.writes;
        self.protected_tracks += other.protected_tracks;
        self.wrong_blocks += other.wrong_blocks;
        self.first_wrong = self.first_wrong.or(other.first_wrong);
        self.virtual_ns += other.virtual_ns;
    }
}

fn panicked(seed: u64, panic: &(dyn Any + Send)) -> StormError {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    StormError::Panicked { seed, message: text.unwrap_or("a panic without a text").to_owned() }
}

/// The storm over one unit.
fn one_unit(seed: u64, splits: u64, flaw: Option<Flaw>) -> Result<StormReport, StormError> {
    let mut rng = Rng::with_seed(seed);
    let layout = Layout::draw(&mut rng);
    let (unit, plant) = layout.build(&mut rng);
    let mut sim = Sim::new(unit.clone(), plant, Layout::driver(&mut rng));
    let world = World::new(rng, layout.clone(), flaw, seed, splits);
    let world: Shared = Rc::new(RefCell::new(world));
    for no in 0..layout.writers {
        let writer = Writer::new(world.clone(), no);
        sim.add_host(Box::new(writer)).expect("few hosts");
    }
    for no in 0..layout.splits.len() {
        let splitter = Splitter::new(world.clone(), unit.clone(), no);
        sim.add_host(Box::new(splitter)).expect("few hosts");
    }
    sim.run_to_end();
    if let Some(error) = world.borrow_mut().error.take() {
        return Err(error);
    }
    let (open, waiting) = (sim.open_requests(), sim.waiting_jobs());
    if open + waiting > 0 {
        return Err(StormError::Stuck { seed, open, waiting });
    }
    look_at_primaries(&mut sim, &world)?;
    let report = world.borrow().report;
    Ok(StormReport { virtual_ns: sim.now().ns, ..report })
}

/// All is quiet: the primaries hold what was acknowledged.
fn look_at_primaries(sim: &mut Sim, world: &Shared) -> Result<(), StormError> {
    let world = &mut *world.borrow_mut();
    let blocks = world.layout.geometry.all_blocks();
    for primary in 0..world.layout.primaries {
        let ldev = crate::ldev(primary as u8);
        sim.submit(sim.now(), HostOp::Read { ldev, blocks }).expect("one request");
        sim.run_to_end();
        let answered = sim.take_answers().remove(0);
        let HostReply::Data(data) = &answered.reply else {
            world.wrong_answer("a read of a primary", ldev, &answered.reply);
            continue;
        };
        let (found, expected) = (tags_of(blocks, data), world.contents(primary).clone());
        let wrong = cut::differences(&[found], &[expected]);
        let pair = layout::StormPair { primary, secondary: ldev };
        world.looked_at(&[pair], blocks.count() as usize, &wrong);
    }
    world.error.take().map_or(Ok(()), Err)
}
