//! The disk adapter 108, 1008, 1010: staging, destaging and parity groups.
//!
//! A disk adapter (DKA) owns drives and moves tracks between them and the cache. It knows where a
//! track of a backing lies ([`Home`]), what to ask of a drive ([`Op`]) and how to carry that out
//! ([`Drives::perform`]); [`read_track`] (steps 603, 904; arrows 3 and 1 of Figs. 10A, 10B) and
//! [`write_track`] (steps 605, 906; arrows 5 and 6) put the requests together.
//!
//! Invariants:
//! - It knows neither hosts nor pairs. No thread, no clock.
//! - Every block read from a drive is checked for LA and CD before it is given out; a block that
//!   fails is named, never returned as data and never given a new code.
//! - One request at a time is under way on one track of a drive ([`Drives`]), so the drive never
//!   chooses the order of two of them.
//! - A drive belongs to one DKA. What one DKA stages another may destage: they share the cache.
//!
//! On a group of a single drive a lost write of data *and* check fields cannot be noticed.
//!
//! # Example
//!
//! ```
//! use diptych_device::MemoryDrive;
//! use diptych_dka::{Drives, Groups};
//! use diptych_format::{BackingId, DriveNo, Geometry};
//!
//! let drives = Drives::new(vec![(0, Box::new(MemoryDrive::new(1 << 16)))]);
//! let groups = Groups::single_drives(&drives);
//! let home = groups.allocate(BackingId(1), Geometry::with_tracks(128, 10), 0).unwrap();
//! assert_eq!(home.drive(), DriveNo(0));
//! ```

mod drives;
mod error;
mod group;
mod op;
mod port;
mod stage;

pub use drives::{DriveCounts, Drives};
pub use error::DkaError;
pub use group::{Extent, Groups, Home, Place};
pub use op::{Done, Op, Part};
pub use port::Port;
pub use stage::{Staged, TrackWrite, read_track, write_track};
