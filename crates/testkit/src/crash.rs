//! The storm of crashes: the whole unit in virtual time, killed and cut off again and again, and what it
//! comes back with held against what was answered.
//!
//! Small units, each drawn from a seed: hosts that read, write, give blocks up and flush, operators that
//! give every command of pairs; then a crash at any request to a device, or in the middle of a write,
//! perhaps another while the unit comes back, and so on for a few lives. The last life ends in quiet:
//! everything that was begun has to end.
//!
//! | noun | file |
//! |---|---|
//! | [`run_crashes`], [`CrashReport`], [`CrashFlaw`] | here |
//! | what a unit looks like | `layout` |
//! | devices, and how they end | `machine` |
//! | one life of a unit | `life` |
//! | what is asked for | `draw` |
//! | what hosts and operators know | `world`; of compare and write, and OR: `modified` |
//! | what blocks may hold | `registers` |
//! | what was answered of pairs | `pairs` |
//! | one instant, of an image or of the unit after a crash | `cut`, `images` |
//! | [`CrashWrong`] | `wrong` |
//! | the n-th request of a device goes wrong instead: [`run_fault`] | `faults` |
//!
//! Invariants:
//! - The checker knows what hosts know. It asks the unit what pairs there are, as an operator would who
//!   had no answer, and holds that against the answers there were.
//! - A seed makes one storm.
//! - A storm that is made wrong on purpose ([`CrashFlaw`]) is found out.

mod cut;
mod draw;
mod faults;
mod images;
mod layout;
mod life;
mod machine;
mod modified;
mod pairs;
mod registers;
mod world;
mod wrong;

use fastrand::Rng;
use layout::Layout;
use life::Lives;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

pub use faults::{
    FaultCase, FaultEnding, FaultForm, FaultFound, FaultReport, FaultWrong, fault_cases, run_fault,
};
pub use wrong::CrashWrong;

/// What can be wrong with a storm on purpose, to see that it is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrashFlaw {
    /// What was appended to the log and not flushed is lost when the process dies: it was answered
    /// before it was written.
    AnswerBeforeAppend,
    /// The log's device says that it has flushed and has not: slots are destaged, and commands
    /// answered, before their records are durable.
    LogFlushLies,
    /// Drives say that they have flushed and have not: C clears, and the log is trimmed, before data is
    /// durable.
    DriveFlushLies,
}

impl CrashFlaw {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::AnswerBeforeAppend, Self::LogFlushLies, Self::DriveFlushLies];
}

/// What storms of crashes came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CrashReport {
    /// Units.
    pub seeds: u64,
    /// Deaths of the process.
    pub kills: u64,
    /// Cuts of power.
    pub cuts: u64,
    /// Those of both that came before the unit was back.
    pub in_recovery: u64,
    /// Times that a unit came back.
    pub restarts: u64,
    /// Requests answered.
    pub operations: u64,
    /// Writes done, among them.
    pub writes: u64,
    /// Commands that were accepted, pair by pair.
    pub commands: u64,
    /// Commands that were not answered and were found to be accepted, among them.
    pub found_accepted: u64,
    /// Images made by them.
    pub images: u64,
    /// Blocks compared, some of them in several ways.
    pub blocks: u64,
    /// Tracks of which something rotted on a drive.
    pub rotten: u64,
    /// Times that all had ended and the drives were looked at.
    pub quiet: u64,
    /// The time that passed in the units, in nanoseconds.
    pub virtual_ns: u64,
}

impl CrashReport {
    /// Adds what another came to.
    pub fn add(&mut self, other: &Self) {
        self.seeds += other.seeds;
        self.kills += other.kills;
        self.cuts += other.cuts;
        self.in_recovery += other.in_recovery;
        self.restarts += other.restarts;
        self.operations += other.operations;
        self.writes += other.writes;
        self.commands += other.commands;
        self.found_accepted += other.found_accepted;
        self.images += other.images;
        self.blocks += other.blocks;
        self.rotten += other.rotten;
        self.quiet += other.quiet;
        self.virtual_ns += other.virtual_ns;
    }
}

/// A storm of one seed that found something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("seed {seed}, life {life}: {wrong}")]
pub struct CrashFound {
    /// The seed, which finds it again.
    pub seed: u64,
    /// The life of the unit, from 0.
    pub life: usize,
    /// What.
    pub wrong: CrashWrong,
    /// What was drawn.
    pub drawn: String,
    /// The end of what happened, if it was asked for.
    pub trace: String,
}

/// Makes the storm of one seed. `trace_max` lines of what happened are kept.
///
/// # Errors
///
/// What it found.
pub fn run_crashes(
    seed: u64,
    flaw: Option<CrashFlaw>,
    trace_max: usize,
) -> Result<CrashReport, Box<CrashFound>> {
    let mut rng = Rng::with_seed(seed);
    let layout = Layout::draw(&mut rng, seed % 4 == 3);
    let drawn = format!("{layout:?}");
    let mut lives = Lives::new(rng, layout, flaw, trace_max);
    let run = AssertUnwindSafe(|| lives.run());
    let ended = catch_unwind(run).unwrap_or_else(|panic| Err(panicked(&*panic)));
    match ended {
        Ok(()) => Ok(CrashReport { seeds: 1, ..lives.report() }),
        Err(wrong) => {
            let (life, trace) = (lives.life(), lives.trace());
            Err(Box::new(CrashFound { seed, life, wrong, drawn, trace }))
        }
    }
}

fn panicked(panic: &(dyn Any + Send)) -> CrashWrong {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    CrashWrong::Panicked { message: text.unwrap_or("a panic without a text").to_owned() }
}
