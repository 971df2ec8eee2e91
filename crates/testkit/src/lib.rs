//! Reference model, checkers and storms for tests of the control unit.
//!
//! | noun | what it is |
//! |---|---|
//! | [`ByHand`] | a driver turned by hand: one thread, every interleaving at await points |
//! | [`Choices`], [`explore`] | what decides which: a seed, or all there is |
//! | [`Model`] | the executable specification of pairs and host access (Figs. 2, 6, 8, 9) |
//! | [`Stored`] | what the drives hold, seen behind the unit's back |
//! | [`History`] | overlapping operations, and what a read may find in them |
//! | [`Tag`] | data that says which write made it, and where it belongs |
//! | [`Program`], [`run_sequential`], [`run_concurrent`] | random storms |
//! | [`SearchConfig`], [`search`] | every state that the rules of pairs can come to, with crashes |
//! | [`run_crashes`] | the unit killed and cut off again and again, and what it comes back with |
//! | [`fault_cases`], [`run_fault`] | the n-th request to a device goes wrong, for every n |
//! | [`CrashImages`], [`run_crash_images`] | every image that a cut of power can leave, and a unit that comes back on it |
//! | [`FUZZ_TARGETS`] | what is read from devices, files and channels, handed anything |
//! | [`Storm`], [`run_storm`] | splits under load in virtual time, every block of every image checked |
//!
//! Invariants:
//! - The model has no cache, no drive, no job and no code of the control unit; it shares only the
//!   words of the interface with it.
//! - Everything depends on seeds alone: no thread, no clock, no random number from elsewhere.
//! - A violation of an invariant of the design says so: its text starts with `invariant I1` and so
//!   on, so that a model with a protection removed is seen to die by it.
//!
//! # Example
//!
//! A copy, and every moment at which a host's write can come in between.
//!
//! ```
//! use diptych_cha::{Command, CommandCode, HostOp};
//! use diptych_format::{BlockNo, BlockRange};
//! use diptych_testkit::{Choices, Setup, Tag, explore, ldev};
//!
//! let blocks = BlockRange::new(BlockNo(0), 1);
//! let write = |tag| HostOp::Write {
//!     ldev: ldev(0),
//!     block: blocks.start,
//!     data: Tag(tag).data(blocks),
//! };
//! let explored = explore(2_000, |choices| {
//!     let mut hand = Setup::new(2, 1, 1, 1).build();
//!     let mut quiet = Choices::from_seed(0);
//!     hand.run(write(1), &mut quiet).unwrap();
//!     for code in [CommandCode::Create, CommandCode::Copy] {
//!         let command = Command::new(code, ldev(0), ldev(1));
//!         hand.run(HostOp::Command(command), &mut quiet).unwrap();
//!     }
//!     hand.run(write(2), choices).unwrap();
//!     hand.settle(&mut quiet).unwrap();
//!     let stored = hand.check_stored().unwrap();
//!     assert_eq!(stored[&ldev(1)].tags(ldev(1)), Ok(vec![Tag(1)]));
//! });
//! assert!(explored.runs > 1);
//! ```

mod by_hand;
mod checker;
mod choices;
mod concurrent;
mod crash;
mod fuzz;
mod history;
mod images;
#[cfg(not(any(diptych_loom, diptych_shuttle)))] // real processes
mod kill;
mod model;
mod modify;
mod program;
mod replay;
mod search;
mod sequential;
mod setup;
mod storm;
mod tag;
mod violation;

pub use by_hand::{ByHand, Move};
pub use checker::{Stored, StoredVolume};
pub use choices::{Choices, Explored, explore};
pub use concurrent::run_concurrent;
pub use crash::{
    CrashFlaw, CrashFound, CrashReport, CrashWrong, FaultCase, FaultEnding, FaultForm, FaultFound,
    FaultReport, FaultWrong, fault_cases, run_crashes, run_fault,
};
pub use fuzz::{FUZZ_TARGETS, FuzzTarget, mutate_input};
pub use history::{Allowed, Effect as HistoryEffect, History};
pub use images::{
    CrashImages, CrashImagesReport, LyingDrive, ProgramError, WrongImage, run_crash_images,
};
#[cfg(not(any(diptych_loom, diptych_shuttle)))]
pub use kill::{KillConfig, KillError, KillReport, Life, Wrong as KillWrong, live, run_kills};
pub use model::{Content, Expected, ExpectedGroup, Model, UnderWay};
pub use program::{Action, Extras, Group, Guess, Program, Target, programs};
pub use replay::{Failure, SEED_VARIABLE, run_programs};
pub use search::{BrokenRule, SearchConfig, SearchReport, SearchTrace, search};
pub use sequential::run_sequential;
pub use setup::{Setup, ldev};
pub use storm::{Flaw, Storm, StormError, StormReport, Wrong, run_storm};
pub use tag::Tag;
pub use violation::Violation;
