//! Drives: the storage devices 103 to 106 that a control unit keeps its volumes on (Fig. 1).
//!
//! A drive is sectors of 512 bytes behind one small trait, [`Device`]: read, write, flush. What the
//! sectors mean is decided above: a disk adapter stages tracks from a drive (Figs. 6 and 9, steps
//! 603 and 904) and destages them to it, and puts a logical address and a check code beside each
//! block (Fig. 10B).
//!
//! | type | what it is |
//! |---|---|
//! | [`MemoryDrive`] | a sparse drive in memory |
//! | [`FileDrive`] | a sparse drive in a file |
//! | [`Fault`] | a drive that goes wrong as a [`FaultPlan`] says |
//! | [`Trace`] | a drive that records the requests to it |
//! | [`PowerCut`] | a drive with a volatile cache, whose power can be cut |
//!
//! [`Fault`], [`Trace`] and [`PowerCut`] wrap any drive and are drives themselves, so they stack in any order.
//!
//! # What a drive can hide
//!
//! A drive may lie. Beside errors it reports, it loses writes, puts them elsewhere, tears them and
//! flips bits, all in silence; [`FaultKind`] lists what notices which. One thing nothing notices:
//! **if a single drive loses a whole write, data and check fields, then what it holds is an older
//! state that is right in itself, and no check on that drive can tell.** Only what is kept
//! elsewhere can: parity with the generations of its members, or a log.
//!
//! # Invariants
//!
//! - A drive knows no track, volume or pair, and does not look into sectors.
//! - Whole sectors within the drive, or a typed error before anything is done.
//! - No thread, no clock, no sleep and no random number: delays are numbers that are handed on,
//!   faults are a plan that is handed in. [`FileDrive`] alone touches files.
//! - A flush that fails ends the drive; it is never made again.
//! - Overlays, traces, plans and lists of events have a limit each.
//!
//! # Example
//!
//! ```
//! use diptych_device::{Device, MemoryDrive};
//! use diptych_format::SectorNo;
//! use std::io::{IoSlice, IoSliceMut};
//!
//! # fn main() -> Result<(), diptych_device::DeviceError> {
//! let drive = MemoryDrive::new(1000);
//! let (data, check_area) = ([1; 96 * 512], [2; 8 * 512]);
//! drive.write_at(SectorNo(104), &[IoSlice::new(&data), IoSlice::new(&check_area)])?;
//! drive.flush()?;
//! let mut sector = [0; 512];
//! drive.read_at(SectorNo(104 + 96), &mut [IoSliceMut::new(&mut sector)])?;
//! assert_eq!(sector, [2; 512]);
//! # Ok(())
//! # }
//! ```

mod buffers;
mod device;
mod error;
mod fault;
mod file;
mod memory;
mod op;
mod overlay;
mod power_cut;
mod range;
mod ring;
mod trace;
mod transfer;

pub use device::Device;
pub use error::DeviceError;
pub use fault::{Fault, FaultEffect, FaultEvent, FaultKind, FaultPlan, FaultRule, PlanError};
pub use file::FileDrive;
pub use memory::MemoryDrive;
pub use op::Op;
pub use overlay::Overlay;
pub use power_cut::{PowerCut, UnflushedSector};
pub use range::SectorRange;
pub use trace::{Trace, TraceEntry};
