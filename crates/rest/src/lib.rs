//! HTTP for operators and programs: a running control unit is looked at and told what to do.
//!
//! | noun | file |
//! |---|---|
//! | [`RestServer`]: sockets, connections, their limits | `server.rs`, `socket.rs` |
//! | the routes, one file a noun | `routes.rs` and those in `routes/` |
//! | the bodies of requests and answers, as JSON | [`api`] |
//! | [`Client`]: a client that blocks | `client.rs` |
//! | `/metrics`, as Prometheus reads them | `metrics.rs` |
//!
//! A request is carried out on a thread that may wait, by the same calls that hosts and schedules use:
//! [`Rt::execute`](diptych_rt::Rt::execute) for commands, calls of [`Unit`](diptych_unit::Unit) for what
//! operators keep in it. What the unit refuses is an [`api::Problem`], with the status of HTTP that fits.
//! `docs/rest.md` lists the routes.
//!
//! Invariants:
//! - No rule of pairs or volumes is decided here, but one: what cuts hosts off a volume that they use
//!   wants to be forced.
//! - Connections, headers, bodies, transfers of contents under way and time are limited
//!   ([`RestLimits`]); a body is read before anything is done, contents excepted.
//! - Nobody's browser is made to give commands: a request that comes by a page of another origin, or to
//!   a name that is not this machine's address, is refused (`guard.rs`).
//! - The clock and the sockets are used by one small runtime in a thread of its own; nothing of it is
//!   seen by the layers below.
//!
//! ```
//! use diptych_device::MemoryDrive;
//! use diptych_dka::Drives;
//! use diptych_format::{Geometry, LdevId};
//! use diptych_rest::api::VolumeInfo;
//! use diptych_rest::{Client, Method, RestLimits, RestServer, Served, Servers};
//! use diptych_rt::{Rt, RtConfig};
//! use diptych_unit::{Plant, Unit, UnitConfig};
//!
//! let plant = Plant::new(Drives::new(vec![(0, Box::new(MemoryDrive::new(1 << 16)))]));
//! let unit = Unit::new(UnitConfig::with_cache(64, 64 << 10), &plant)?;
//! unit.add_volume(LdevId::new(0, 0), Geometry::with_tracks(128, 10), 0)?;
//! let rt = Rt::start(unit, plant, RtConfig::default())?;
//!
//! let any_port = "127.0.0.1:0".parse()?;
//! let served = Served { rt: rt.clone(), id: 7, scsi: None, servers: Servers::default() };
//! let mut server = RestServer::listen(&[any_port], RestLimits::default(), served)?;
//! let url = server.urls().next().expect("one address");
//! let client = Client::new(&url.parse()?)?;
//! let volumes: Vec<VolumeInfo> = client.call(Method::Get, "/v1/ldevs", &())?;
//! assert_eq!(volumes[0].ldev, "00:00");
//! server.stop();
//! rt.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod api;
mod client;
mod endpoint;
mod error;
mod guard;
mod management;
mod metrics;
mod names;
mod problem;
mod routes;
mod server;
mod socket;
mod stream;
mod waits;

pub use client::{Client, Method};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{ClientError, RestError};
pub use names::VOLUME_NAME_CHARS_MAX;
pub use server::{RestLimits, RestServer, Scsi, Served, Servers, TargetName};
