//! What a plan has done so far.

use super::FaultKind;
use crate::{Op, SectorRange};
use std::fmt;

/// A fault that struck a drive. Shown as one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultEvent {
    /// The request that met the fault.
    pub op: Op,
    /// The sectors concerned. For a write that came from elsewhere: where it landed.
    pub sectors: SectorRange,
    /// The fault.
    pub kind: FaultKind,
    /// What came of it.
    pub effect: FaultEffect,
}

/// What came of a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultEffect {
    /// A request to this drive met it.
    Struck,
    /// A write meant for elsewhere landed here.
    Landed,
    /// Nothing: the drive has as many damaged sectors as it can have.
    NoRoom,
}

impl fmt::Display for FaultEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, sectors, kind, effect } = self;
        match op {
            Op::Flush => write!(f, "{op}: {kind}")?,
            Op::Read | Op::Write => write!(f, "{op} {sectors}: {kind}")?,
        }
        match effect {
            FaultEffect::Struck => Ok(()),
            FaultEffect::Landed => f.write_str(", landed here"),
            FaultEffect::NoRoom => f.write_str(", no room"),
        }
    }
}
