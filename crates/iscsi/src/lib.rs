//! iSCSI (RFC 7143): the logical units of a control unit for SCSI initiators.
//!
//! | phase | what happens | file |
//! |---|---|---|
//! | login | names, CHAP, and what both sides agree on | `login.rs`, `chap.rs`, `params.rs`, `text.rs` |
//! | full feature | requests in the order of their numbers | `full_feature.rs` |
//! | | SCSI commands, their data, their answers | `commands.rs`, `collect.rs`, `task.rs`, `response.rs` |
//! | | aborts and resets; discovery | `manage.rs`, `texts.rs` |
//! | the other side | a small initiator, for programs that give commands in band | `client.rs` |
//!
//! Every host group of every port is a target with a name of its own ([`TargetNames`]). What a command
//! means is [`diptych_cha::scsi`]'s business: here PDUs are moved. A session has one connection and error
//! recovery level 0: what goes wrong on a connection ends its session, and the initiator logs in again.
//! `docs/hosts.md` says what hosts meet.
//!
//! Invariants:
//! - No length from outside is believed: texts have at most [`TEXT_BYTES_MAX`] bytes, requests and their
//!   data are bounded by [`WINDOW`] and [`ASKED_BYTES_MAX`].
//! - A command that came in the window is answered once, or aborted, or its session has ended.
//! - Payload is handed on by reference: a write's to the unit, a read's to the socket.
//! - A session that ends leaves nothing under way behind, but for a SANITIZE.
//! - No rule of pairs, no SCSI command, no slot, no drive.
//!
//! ```
//! use diptych_cha::ChannelAdapter;
//! use diptych_cha::scsi::{ScsiTarget, UnitIdentity};
//! use diptych_device::MemoryDrive;
//! use diptych_dka::Drives;
//! use diptych_format::{Geometry, LdevId};
//! use diptych_iscsi::{IscsiService, IscsiSettings, TargetNames};
//! use diptych_rt::net::{NetLimits, Server};
//! use diptych_rt::{Rt, RtConfig};
//! use diptych_sync::Arc;
//! use diptych_unit::{Plant, Unit, UnitConfig};
//!
//! let plant = Plant::new(Drives::new(vec![(0, Box::new(MemoryDrive::new(1 << 16)))]));
//! let unit = Unit::new(UnitConfig::with_cache(64, 64 << 10), &plant)?;
//! let ldev = LdevId::new(0, 0);
//! unit.add_volume(ldev, Geometry::with_tracks(128, 10), 0)?;
//!
//! let adapter = Arc::new(ChannelAdapter::new(0, ["CL1-A".parse()?]));
//! adapter.change_lu_map(|map| map.add("CL1-A:0".parse().unwrap(), ldev))?;
//! let target = ScsiTarget::new(UnitIdentity { unit_id: 7 }, adapter, unit.access_board());
//!
//! let rt = Rt::start(unit, plant, RtConfig::default())?;
//! let (names, settings) = (TargetNames::new(7), IscsiSettings::default());
//! println!("{}", names.of("CL1-A".parse()?));
//! let service = IscsiService::new(rt.clone(), Arc::new(target), names, settings);
//! let mut server = Server::listen(&["127.0.0.1:0".parse()?], NetLimits::default(), service)?;
//! server.stop();
//! rt.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bhs;
mod chap;
pub mod client;
mod collect;
mod commands;
mod digest;
mod error;
mod full_feature;
mod login;
mod manage;
mod names;
mod params;
mod receive;
mod response;
mod service;
mod session;
mod sessions;
mod settings;
mod task;
mod text;
mod texts;

pub use chap::ChapError;
pub use collect::{ASKED_BYTES_MAX, COMMAND_BYTES_MAX};
pub use diptych_cha::{Credentials, Secret, Users};
pub use error::{Fault, IscsiError, LoginRefused};
pub use full_feature::IMMEDIATE_MAX;
pub use names::{Portal, TargetNames};
pub use service::IscsiService;
pub use session::WINDOW;
pub use settings::IscsiSettings;
pub use text::{TEXT_BYTES_MAX, TextError};
