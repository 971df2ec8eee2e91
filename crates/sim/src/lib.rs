//! The virtual-time driver: event heap, resource queues, cost models, scenario player.
//!
//! A driver turns the crank of the control unit's jobs. This one does it on one thread and in
//! virtual time, so that a run is fast, is decided by its seed alone, and can be asked what the
//! hardware would have taken: it is how the copy processing of Figs. 5 and 6 and the change request
//! of Fig. 9 are measured.
//!
//! | noun | what it is |
//! |---|---|
//! | [`Sim`] | the driver |
//! | [`SimConfig`], [`Costs`] | the seed and what it decides; what drives, transfers and hosts cost |
//! | [`Host`], [`Answered`] | closed-loop hosts: each answer may lead to the next request |
//! | [`SimStats`], [`ResourceUse`] | events, operations, and how busy each drive and DRR was |
//! | [`TraceEntry`] | what each job did, and when |
//! | [`Scenario`], [`play`], [`Driver`] | plain data that any driver can play |
//! | [`Picture`] | all that a run leaves behind, to be compared with another run's |
//!
//! # The model
//!
//! - An event has a time and a number in the order of planning; the heap is ordered by both.
//! - A drive and an address change unit (Fig. 1: 1020) are FIFO servers: a request starts when the
//!   one before it has ended, and takes what [`Costs`] says.
//! - The effects that a job asks for in one step are queued at once, each on its resource; the job
//!   goes on when all are done.
//! - An effect is performed when it is queued or when it is done, as the seed says. Whatever lies in
//!   between may be lost ([`Sim::into_plant`]).
//! - A job's own steps take no time. A host operation costs [`Costs::host_op_ns`] before it begins.
//!
//! Invariants, most of them about what is absent:
//! - No thread, no clock, no lock of its own, no random number but those of the seed.
//! - The same unit, requests and [`SimConfig`] make the same run, step by step.
//! - Time never goes back, and goes on only when no job can.
//! - A job's signals are passed on when it has its next place, so no wake comes before its wait.
//!
//! # Example
//!
//! Two writes of one track each go into the cache: both are answered in the time of a host operation.
//! The drive works later.
//!
//! ```
//! use diptych_cha::{HostOp, HostReply};
//! use diptych_device::MemoryDrive;
//! use diptych_dka::Drives;
//! use diptych_format::{BlockNo, DriveNo, Geometry, LdevId, Resource, Time};
//! use diptych_sim::{Sim, SimConfig};
//! use diptych_unit::{Plant, Unit, UnitConfig};
//!
//! let plant = Plant::new(Drives::new(vec![(0, Box::new(MemoryDrive::new(1 << 16)))]));
//! let unit = Unit::new(UnitConfig::with_cache(64, 64 << 10), &plant)?;
//! let ldev = LdevId::new(0, 0);
//! unit.add_volume(ldev, Geometry::with_tracks(128, 10), 0)?;
//!
//! let mut sim = Sim::new(unit, plant, SimConfig::default());
//! for track in 0..2 {
//!     let data = vec![7; 64 << 10].into();
//!     sim.submit(Time::ZERO, HostOp::Write { ldev, block: BlockNo(track * 128), data })?;
//! }
//! sim.run_to_end();
//! for answered in sim.take_answers() {
//!     assert_eq!((answered.reply, answered.answered_at.ns), (HostReply::Done, 20_000));
//! }
//! // A second later both were destaged, one after the other: 200 us and 69,632 bytes at 200 MB/s each.
//! let drive = sim.stats().resources[0];
//! assert_eq!(drive.resource, Resource::Drive(DriveNo(0)));
//! assert_eq!((drive.requests, drive.busy_ns), (2, 2 * (200_000 + 69_632 * 5)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agenda;
mod config;
mod error;
mod hardware;
mod host;
mod picture;
mod play;
mod random;
mod scenario;
mod servers;
mod sim;
mod slab;
mod task;
mod trace;

pub use config::{Costs, Perform, ReadyOrder, SimConfig};
pub use error::SimError;
pub use host::{Answered, Host, RequestNo};
pub use picture::{PairPicture, Picture, StoredTrack, VolumePicture, stored_tracks};
pub use play::{Driver, play};
pub use random::SplitMix64;
pub use scenario::{Scenario, ScenarioStep, ScenarioVolume, Seen, fill_blocks};
pub use servers::ResourceUse;
pub use sim::{Sim, SimStats};
pub use trace::{TraceEntry, Traced};
