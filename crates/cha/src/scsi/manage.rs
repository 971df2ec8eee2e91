//! Task management (SAM-6, 7): aborts and resets.
//!
//! A transport ends the tasks of its own session itself, when it may drop them ([`super::ScsiTask`]), and
//! before it answers. Tasks of other sessions end by themselves: they say TASK ABORTED at their next step.

use super::attention::Attention;
use super::nexus::{Nexus, NexusId};
use super::target::{ScsiTarget, Seen};
use crate::Lun;

/// A task management function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TaskManagement {
    /// ABORT TASK: the transport ends the task.
    AbortTask,
    /// ABORT TASK SET: the transport ends the tasks of this session at the logical unit.
    AbortTaskSet,
    /// CLEAR TASK SET: those of all sessions at the logical unit.
    ClearTaskSet,
    /// CLEAR ACA: there is none.
    ClearAca,
    /// LOGICAL UNIT RESET.
    UnitReset,
    /// TARGET WARM RESET: every logical unit of the session's target.
    WarmReset,
    /// TARGET COLD RESET: the same; the transport may end its sessions.
    ColdReset,
}

/// How a task management function ends (SAM-6, 7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Managed {
    /// FUNCTION COMPLETE.
    Complete,
    /// FUNCTION REJECTED: it is not supported.
    Rejected,
    /// INCORRECT LOGICAL UNIT NUMBER.
    NoUnit,
}

impl ScsiTarget {
    /// Carries out a task management function for a session.
    pub fn manage(&self, nexus: NexusId, lun: [u8; 8], function: TaskManagement) -> Managed {
        let Some(nexus) = self.nexus(nexus) else { return Managed::Rejected };
        match function {
            TaskManagement::AbortTask => Managed::Complete,
            TaskManagement::ClearAca => Managed::Rejected,
            TaskManagement::AbortTaskSet => at_unit(&nexus, lun, |_| {}),
            TaskManagement::ClearTaskSet => {
                at_unit(&nexus, lun, |seen| seen.unit.abort(|id, _| id != nexus.id))
            }
            TaskManagement::UnitReset => {
                at_unit(&nexus, lun, |seen| seen.unit.reset(Attention::UnitReset))
            }
            TaskManagement::WarmReset => reset_all(&nexus, Attention::Reset),
            TaskManagement::ColdReset => reset_all(&nexus, Attention::PowerOn),
        }
    }
}

fn at_unit(nexus: &Nexus, lun: [u8; 8], act: impl FnOnce(Seen)) -> Managed {
    match super::task::lun_of(lun).and_then(|lun: Lun| nexus.unit(lun)) {
        Some(seen) => {
            act(seen);
            Managed::Complete
        }
        None => Managed::NoUnit,
    }
}

fn reset_all(nexus: &Nexus, tells: Attention) -> Managed {
    for seen in nexus.units() {
        seen.unit.reset(tells);
    }
    Managed::Complete
}
