//! The channel adapter (CHA 109): what hosts say, in the control unit's words, and back.
//!
//! A protocol receives a request for a LUN of a port. The channel adapter finds the volume behind
//! it and makes a [`HostOp`]; the control unit answers with a [`HostReply`]. Pair commands (Fig. 2)
//! come as a command block (Fig. 7) and are answered with an answer block.
//!
//! | type | meaning |
//! |---|---|
//! | [`HostOp`], [`HostReply`], [`HostError`] | what a host asks, whatever protocol it came by |
//! | [`AllocatedRun`], [`VolumeFacts`] | what is told of a volume beside its blocks |
//! | [`Command`], [`CreateAuto`], [`Outcome`], [`Refusal`] | pair commands and what they come to (Figs. 2, 8) |
//! | [`CommandBlock`], [`OutcomeBlock`] | their bytes: code 701, primary 702, secondary 703, ... |
//! | [`PairsOf`], [`PairFacts`] | pair information, and its bytes (Fig. 3) |
//! | [`PortId`], [`Lun`], [`LuPath`], [`LuMap`] | ports and the volumes behind them (Fig. 11A) |
//! | [`HostGroup`], [`TargetId`], [`InitiatorName`] | which hosts see which of them |
//! | [`AccessBoard`] | that hosts' access to a volume has changed |
//! | [`ChannelCounters`], [`ChannelSnapshot`] | what the host channels carried |
//! | [`scsi::ScsiTarget`], [`scsi::ScsiTask`] | SCSI block commands over them |
//! | [`ChannelAdapter`] | an adapter: ports, map and counters in one |
//!
//! Invariants, most of them about what is absent:
//! - This is protocol and nothing else: no drives, slots, transfers, claims, jobs or threads. Whether
//!   a volume exists, or a command is allowed, the control unit decides.
//! - No bytes from outside make a decoder panic; what decodes encodes to the same bytes.
//! - Data of a host is handed on by reference ([`bytes::Bytes`]), never copied here.
//! - Data that the control unit copies for itself never passes here, so the host channels carry two
//!   small blocks for a copy of any size, and [`ChannelSnapshot`] shows it.
//!
//! # Example
//!
//! ```
//! use diptych_cha::{ChannelAdapter, Command, CommandCode, HostOp, HostRequest, OpKind};
//! use diptych_format::LdevId;
//!
//! let [primary, secondary] = [LdevId::new(0, 0x1A), LdevId::new(0, 0x3B)];
//! let adapter = ChannelAdapter::new(0, ["CL1-A".parse().unwrap()]);
//! let path = "CL1-A:0".parse().unwrap();
//! adapter.change_lu_map(|map| map.add(path, primary)).unwrap();
//!
//! let command = Command::new(CommandCode::Create, primary, secondary);
//! let block = command.encode().to_vec().into();
//! let op = adapter.request(path, HostRequest::Command { block }).unwrap();
//! assert_eq!(op, HostOp::Command(command));
//! assert_eq!(adapter.counters().of(OpKind::Command).bytes_in, 24);
//! ```

mod access_board;
mod adapter;
mod command;
mod command_block;
mod counters;
mod error;
#[cfg(test)]
mod error_texts;
mod facts;
mod group;
mod host_group;
mod lu_map;
mod lu_path;
mod op;
mod outcome_block;
mod pair_block;
mod pair_facts;
mod port;
pub mod scsi;
mod users;
mod wire;

pub use access_board::AccessBoard;
pub use adapter::{ChannelAdapter, HostRequest};
pub use command::{Command, CommandCode, CreateAuto, Outcome, Refusal, Who};
pub use command_block::{COMMAND_BLOCK_BYTES, CommandBlock};
pub use counters::{ChannelCounters, ChannelSnapshot, Traffic};
pub use error::{LuError, NameError, RequestError};
pub use facts::{ALLOCATION_RUNS_MAX, AllocatedRun, VolumeFacts};
pub use group::{GroupCommand, GroupName, GroupOutcome, GroupedPair};
pub use host_group::{HostGroup, HostGroupName, InitiatorName, LuOptions};
pub use lu_map::{HOST_GROUPS_MAX, LuMap};
pub use lu_path::{LuPath, Lun, TargetId};
pub use op::{Forbidden, HostError, HostOp, HostReply, OpKind, Tried};
pub use outcome_block::{OUTCOME_BLOCK_BYTES, OutcomeBlock};
pub use pair_block::PAIR_BLOCK_BYTES;
pub use pair_facts::{PairFacts, PairTable, PairsOf};
pub use port::PortId;
pub use users::{Credentials, Secret, UserError, Users};
pub use wire::WireError;
