//! The control unit 102: commands, status rules, copy and change processing, pace, history.
//!
//! | figure | here |
//! |---|---|
//! | Fig. 2, 8: commands and statuses | `commands` |
//! | Fig. 5: copy processing | `scheduler` and [`Unit::due`] |
//! | Fig. 6: elemental copy | `elemental`, `copy_track` |
//! | Fig. 9: change request | `host_write`, `change`, `copy_track` |
//!
//! Each flowchart is a [`Job`]: an `async fn` over its mailbox that a driver turns. A job asks for
//! [`Effect`]s, which [`Plant::perform`] does, and waits for room in the cache or for a claim; it never
//! blocks, reads no clock and starts no thread.
//!
//! Invariants:
//! - A host's change and an internal copy into a volume pass the same steps (Fig. 9) under a claim of
//!   the tracks, for every pair of that volume.
//! - A command claims the whole family; whatever it changes, no host change is half-way through it.
//! - A job holds nothing while it waits for room, and one claim otherwise; create holds two families,
//!   taken in ascending order of their ids.
//! - Locks are taken in the order family, scheduler, history and cache; none is held across an effect
//!   or a wait.
//!
//! # Example
//!
//! A unit turned by hand: every effect is done at once.
//!
//! ```
//! use diptych_device::MemoryDrive;
//! use diptych_dka::Drives;
//! use diptych_format::{BlockNo, Geometry, LdevId, OwnerId, Step, Time};
//! use diptych_cha::{HostOp, HostReply};
//! use diptych_unit::{Plant, Reply, Unit, UnitConfig};
//!
//! let plant = Plant::new(Drives::new(vec![(0, Box::new(MemoryDrive::new(1 << 16)))]));
//! let unit = Unit::new(UnitConfig::with_cache(64, 64 << 10), &plant)?;
//! let ldev = LdevId::new(0, 0);
//! unit.add_volume(ldev, Geometry::with_tracks(128, 10), 0)?;
//!
//! let op = HostOp::Write { ldev, block: BlockNo(5), data: vec![1; 512].into() };
//! let mut job = unit.job(OwnerId(1), op);
//! let reply = loop {
//!     match job.step(Time::ZERO) {
//!         Step::Done(reply) => break reply,
//!         Step::Do(effects) => {
//!             let events = effects.into_iter().map(|effect| plant.perform(effect)).collect();
//!             job.answer(Reply::Events(events));
//!         }
//!         Step::Wait(wait) => unreachable!("nobody else is here: {wait:?}"),
//!     }
//! };
//! assert_eq!(reply, HostReply::Done);
//! # Ok::<(), diptych_unit::UnitError>(())
//! ```

mod accept;
mod access;
mod change;
mod changed;
mod checkpoint;
mod commands;
mod config;
mod copy_track;
mod core;
mod destage;
mod drain;
mod effect;
mod elemental;
mod error;
mod facts;
mod failure;
mod format;
mod groups;
mod held;
mod history;
mod host_modify;
mod host_read;
mod host_waits;
mod host_write;
mod job;
mod journal;
mod kept;
mod ledger;
mod mailbox;
mod names;
mod pairs;
mod park;
mod record;
mod recovery;
mod schedule;
mod scheduler;
mod settle;
mod slots;
mod unit;
mod writers;

pub use changed::{Changed, ChangedMap, ChangedQuery};
pub use config::{Durability, UnitConfig};
pub use diptych_format::Wakes;
pub use effect::{Effect, Event, LogOp, Plant, UnitLog};
pub use error::UnitError;
pub use history::{
    HistoryColumn, HistoryEntry, HistoryFilter, HistoryPage, HistoryQuery, Message, MessageType,
    Reason,
};
pub use job::Job;
pub use journal::LogBusy;
pub use ledger::ControlFull;
pub use mailbox::Reply;
pub use recovery::{NotWritten, Opened, Recovered, RecoveryError, StoredTrack};

pub(crate) use mailbox::Mailbox;
pub use schedule::{
    Cron, CronError, CronField, Image, Passed, Rotation, Schedule, ScheduleError, ScheduleEvent,
    ScheduleId, ScheduleState, Scope, Utc, UtcError, When,
};
pub use scheduler::{CopySpeed, HeldBy, HostsSeen};
pub use unit::{Due, Unit};
pub use writers::WriterGuard;
