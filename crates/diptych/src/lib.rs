//! Diptych: a disk-array control unit in software, with in-system replication.
//!
//! Hosts see volumes. A *pair* joins a primary volume and a secondary of the same size, and the
//! *copy* command (people call it split) gives the secondary the primary's content **at the instant
//! of the command**, while hosts go on writing. The copying is done by the control unit itself,
//! from cache to drive: the host channels carry the command and its answer, and nothing else.
//!
//! This crate is every layer under one name, and the `diptych` program. Each layer is a crate of
//! its own and useful alone; depend on that crate if one is all you need.
//!
//! # The layers
//!
//! ```text
//!   hosts ──────────────┐
//!   L6  iscsi nbd rest  │  one protocol each
//!   L5  rt              │  threads, wall clock: turns the crank of the jobs
//!   L4  unit            │  control unit 102: commands, copy (Figs. 5, 6), change (Fig. 9)
//!   L3  cha  dka        └▶ channel adapter 109 (Fig. 7), disk adapter 108 (Fig. 10A)
//!   L2  drr  log           address change unit 1020: LA and CD rewritten (Fig. 10B); the durable log
//!   L1  cache shared device   cache memory 107, shared memory 110 (Figs. 3, 4), drives 103-106
//!   L0  format sync        blocks, geometry, ids; the one switch to the model checkers
//! ```
//!
//! | module | what it is good for alone |
//! |---|---|
//! | [`sync`](mod@sync) | locks and threads that a model checker can replace |
//! | [`format`](mod@format) | ids, geometry per emulation type, the block layout and its printer |
//! | [`device`](mod@device) | drives in memory and in files, drives that go wrong as planned |
//! | [`cache`](mod@cache) | a bounded track cache with a slot per track |
//! | [`shared`](mod@shared) | pair information, track maps, claims |
//! | [`drr`](mod@drr) | check codes, verified transfers, parity |
//! | [`log`](mod@log) | the durable log |
//! | [`dka`](mod@dka) | staging, destaging, where tracks lie |
//! | [`cha`](mod@cha) | command and answer blocks, ports, counters of the host channels |
//! | [`unit`](mod@unit) | the control unit as jobs and effects, without a thread or a clock |
//! | [`rt`](mod@rt) | the control unit on threads |
//! | [`sim`](mod@sim) | the control unit in virtual time |
//! | [`iscsi`](mod@iscsi) | logical units for SCSI initiators, over iSCSI |
//! | [`nbd`](mod@nbd) | volumes as network block devices |
//! | [`rest`](mod@rest) | a running control unit over HTTP, and a client of it |
//!
//! Invariants:
//! - This crate adds nothing to the layers: no type, no function, no state.
//! - With the feature `program` off, no dependency of the program is pulled in.
//!
//! # Example
//!
//! A pair on two drives: the secondary keeps what the primary was.
//!
//! ```
//! use diptych::cha::{Command, CommandCode, HostOp, HostReply};
//! use diptych::device::MemoryDrive;
//! use diptych::dka::Drives;
//! use diptych::format::{BlockNo, BlockRange, Geometry, LdevId};
//! use diptych::rt::{Rt, RtConfig};
//! use diptych::shared::PairStatus;
//! use diptych::unit::{Plant, Unit, UnitConfig};
//!
//! // Two drives, each under a disk adapter of its own, and a volume on each.
//! let drive = || Box::new(MemoryDrive::new(1 << 16));
//! let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
//! let unit = Unit::new(UnitConfig::with_cache(256, 64 << 10), &plant)?;
//! let [primary, secondary] = [LdevId::new(0, 0), LdevId::new(0, 1)];
//! unit.add_volume(primary, Geometry::with_tracks(128, 20), 0)?;
//! unit.add_volume(secondary, Geometry::with_tracks(128, 20), 1)?;
//! unit.set_reserved(secondary, true, diptych::format::Time::ZERO)?;
//! let rt = Rt::start(unit, plant, RtConfig::default())?;
//!
//! let write = |byte| {
//!     let data = vec![byte; 512].into();
//!     rt.execute(HostOp::Write { ldev: primary, block: BlockNo(300), data })
//! };
//! let command = |code| rt.execute(HostOp::Command(Command::new(code, primary, secondary)));
//!
//! assert_eq!(write(b'a'), HostReply::Done);
//! command(CommandCode::Create);
//! command(CommandCode::Copy);
//! // The copy may be under way still; this write cannot get into the image any more.
//! assert_eq!(write(b'b'), HostReply::Done);
//! while rt.unit().pair(primary, secondary).is_some_and(|p| p.status != PairStatus::Copied) {
//!     diptych::sync::thread::yield_now();
//! }
//! let blocks = BlockRange::one(BlockNo(300));
//! let read = rt.execute(HostOp::Read { ldev: secondary, blocks });
//! assert_eq!(read, HostReply::Data(vec![b'a'; 512].into()));
//! rt.stop();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub use diptych_cache as cache;
pub use diptych_cha as cha;
pub use diptych_device as device;
pub use diptych_dka as dka;
pub use diptych_drr as drr;
pub use diptych_format as format;
pub use diptych_iscsi as iscsi;
pub use diptych_log as log;
pub use diptych_nbd as nbd;
pub use diptych_rest as rest;
pub use diptych_rt as rt;
pub use diptych_shared as shared;
pub use diptych_sim as sim;
pub use diptych_sync as sync;
pub use diptych_unit as unit;
