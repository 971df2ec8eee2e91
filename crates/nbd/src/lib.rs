//! NBD, fixed newstyle: volumes of a control unit as network block devices.
//!
//! | phase | what happens | file |
//! |---|---|---|
//! | handshake | magic numbers and flags, then options until one of them chooses a volume | `handshake.rs`, `option.rs` |
//! | transmission | requests with a cookie each, answered in any order | `transmission.rs`, `request.rs`, `context.rs`, `answer.rs` |
//!
//! An export is a volume, and its name the volume's number, `00:1A`. The empty name is the volume with
//! the lowest number. What hosts may do on a volume is decided by the unit, at each request; what the
//! unit refuses is EPERM. `docs/hosts.md` says what hosts meet.
//!
//! Invariants:
//! - No length from outside is believed: options have at most [`OPTION_BYTES_MAX`] bytes, payloads at
//!   most [`PAYLOAD_BYTES_MAX`].
//! - Every request is answered once, whatever becomes of it, or the connection has ended.
//! - Payload is handed on by reference: a write's to the unit, a read's to the socket.
//! - No rule of pairs, no slot, no drive: only `HostOp`s and their replies.
//!
//! ```
//! use diptych_device::MemoryDrive;
//! use diptych_dka::Drives;
//! use diptych_format::{Geometry, LdevId};
//! use diptych_nbd::{NbdService, export_uri};
//! use diptych_rt::net::{NetLimits, Server};
//! use diptych_rt::{Rt, RtConfig};
//! use diptych_unit::{Plant, Unit, UnitConfig};
//!
//! let plant = Plant::new(Drives::new(vec![(0, Box::new(MemoryDrive::new(1 << 16)))]));
//! let unit = Unit::new(UnitConfig::with_cache(64, 64 << 10), &plant)?;
//! let ldev = LdevId::new(0, 0);
//! unit.add_volume(ldev, Geometry::with_tracks(128, 10), 0)?;
//!
//! let rt = Rt::start(unit, plant, RtConfig::default())?;
//! let any_port = "127.0.0.1:0".parse()?;
//! let service = NbdService::new(rt.clone());
//! let mut server = Server::listen(&[any_port], NetLimits::default(), service)?;
//! for address in server.addresses() {
//!     println!("{}", export_uri(address, ldev));
//! }
//! server.stop();
//! rt.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod context;
mod errno;
mod error;
mod export;
mod handshake;
mod option;
mod request;
mod service;
mod transmission;

pub use error::NbdError;
pub use export::export_uri;
pub use option::OPTION_BYTES_MAX;
pub use request::PAYLOAD_BYTES_MAX;
pub use service::NbdService;
