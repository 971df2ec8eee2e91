//! SCSI block commands (SPC-5, SBC-4, SAM-6): from a CDB to host operations, and from their answers to
//! status, data and sense data.
//!
//! [`ScsiTarget`] is the logical units behind the ports of a [`crate::ChannelAdapter`], and who is logged in.
//! A transport makes a [`ScsiTask`] of each command and steps it. Which commands there are, and when each
//! is refused, is one table: [`OPERATIONS`].
//!
//! Invariants, most of them about what is absent:
//! - Pure: no thread, no clock, no socket, no random number; no lock is held between steps.
//! - Every command that changes a volume does so by host operations, so it passes the control unit's
//!   rules like any other host's write; one that is refused here has changed nothing.
//! - No bytes of a CDB or a parameter list make it panic, or allocate more than they warrant.
//! - Every table has a limit ([`limits`]).

mod about;
mod answers;
mod attention;
mod cdb;
mod command_device;
mod control;
mod copy;
mod copy_results;
mod erase;
mod identity;
mod inquiry;
mod job;
pub mod limits;
mod logical_unit;
mod mailbox;
mod manage;
mod mode;
mod nexus;
mod operation;
mod persistent;
mod port_groups;
mod provision;
mod registrations;
mod reply;
mod sense;
mod table;
mod target;
mod task;
#[cfg(test)]
mod tests;
mod transfer;

pub use answers::{ANSWERS_MAX, InBand};
pub use attention::Attention;
pub use cdb::{CDB_BYTES_MAX, Field};
pub use command_device::{
    AnswerBlock, PAIRS_BLOCK, PAIRS_HEAD_BLOCK, PAIRS_OF_A_BLOCK, PairsHead, request,
};
pub use identity::UnitIdentity;
pub use manage::{Managed, TaskManagement};
pub use nexus::{InitiatorPort, NexusId, Registrant};
pub use operation::{Conflict, DataLength, DataRule, Has, Operation, When};
pub use registrations::REGISTRATIONS_MAX;
pub use reply::{ScsiReply, ScsiStatus};
pub use sense::{Asc, Sense, SenseKey, Specific};
pub use table::OPERATIONS;
pub use target::{LoginError, ScsiTarget, expected_data};
pub use task::{Keep, ScsiStep, ScsiTask};
