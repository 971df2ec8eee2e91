//! The real-time driver: worker threads, real drives, wall clock.
//!
//! A driver turns the crank of the control unit's jobs: it performs their effects, parks them while
//! they wait, wakes them when another job says so, and starts what is due. This one does it on
//! threads:
//!
//! - [`Rt::execute`] runs a host operation on the caller's own thread, and parks that thread.
//! - [`Rt::submit`] runs it on the caller's thread as long as the cache serves it; on a wait or a
//!   request to a drive a worker goes on with it, so nothing behind it on that connection waits.
//! - Workers run lanes and destages.
//!
//! The files of a unit that outlives its process are a [`UnitDir`].
//!
//! Invariants:
//! - A job is turned by one thread at a time.
//! - A wake that comes before its owner is parked is kept for it: none is lost.
//! - Every request is answered once: from the moment the driver stops, nothing waits any more.
//! - A panic in a job, a drive or a completion stops the driver; it never goes on with a part missing.
//! - Before a completion runs, its job has ended, its wakes are passed on and its request is counted
//!   out. Completions do not nest.
//! - No lock is held while a job is turned or an effect performed.
//! - The clock is read here and nowhere below.
//!
//! # Example
//!
//! ```
//! use diptych_cha::{HostOp, HostReply};
//! use diptych_device::MemoryDrive;
//! use diptych_dka::Drives;
//! use diptych_format::{BlockNo, BlockRange, Geometry, LdevId};
//! use diptych_rt::{Rt, RtConfig};
//! use diptych_unit::{Plant, Unit, UnitConfig};
//!
//! let plant = Plant::new(Drives::new(vec![(0, Box::new(MemoryDrive::new(1 << 16)))]));
//! let unit = Unit::new(UnitConfig::with_cache(64, 64 << 10), &plant)?;
//! let ldev = LdevId::new(0, 0);
//! unit.add_volume(ldev, Geometry::with_tracks(128, 10), 0)?;
//!
//! let rt = Rt::start(unit, plant, RtConfig::default())?;
//! let data = vec![7; 1024];
//! let write = HostOp::Write { ldev, block: BlockNo(3), data: data.clone().into() };
//! assert_eq!(rt.execute(write), HostReply::Done);
//! let read = HostOp::Read { ldev, blocks: BlockRange::new(BlockNo(3), 2) };
//! assert_eq!(rt.execute(read), HostReply::Data(data.into()));
//! rt.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod clock;
mod completion;
mod dir_error;
mod error;
mod gates;
mod manifest;
pub mod net;
mod parking;
mod rt;
mod task;
mod traffic;
mod unit_dir;
mod verify;
mod worker;

pub use clock::Clock;
pub use dir_error::UnitDirError;
pub use error::RtError;
pub use manifest::{DriveShape, UnitShape};
pub use rt::{Rt, RtConfig};
pub use traffic::{Carried, TrafficKind};
pub use unit_dir::{OpenedUnit, UnitDir};
pub use verify::{Verified, VerifiedVolume, WrongTrack, allocated_tracks};
