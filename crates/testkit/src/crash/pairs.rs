//! What was answered of pairs, and what a command leaves in their volumes.

use super::registers::{Registers, Value};
use diptych_cha::CommandCode;
use diptych_format::LdevId;
use diptych_shared::PairStatus;

/// The volumes of a pair, by their numbers.
pub(super) type Names = (usize, usize);

/// A command for one pair.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) code: CommandCode,
    pub(super) names: Names,
    pub(super) freeze: bool,
    pub(super) quick: bool,
}

/// A pair, as it was answered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) status: PairStatus,
    /// As it was last seen, which nobody promised to stay.
    pub(super) seen: PairStatus,
    pub(super) quick: bool,
    /// Some of the image was undefined at the instant. Whoever was being copied to when the power went
    /// may be torn: an old track that cannot be read suspends the pair.
    pub(super) torn: bool,
    /// One of its volumes is on a drive that goes wrong.
    pub(super) may_fail: bool,
    /// It was seen suspended by that.
    pub(super) failed: bool,
}

impl Known {
    /// Whether the status may have become this without a command.
    pub(super) fn may_become(&self, found: PairStatus) -> bool {
        use PairStatus::{Copied, CopyInProgress, PairedNotCopied, Restoring};
        matches!((self.status, found), (CopyInProgress, Copied) | (Restoring, PairedNotCopied))
            || self.status == found
            || self.may_fail() && found == PairStatus::Suspended
    }

    fn may_fail(&self) -> bool {
        self.may_fail || self.torn && self.status == PairStatus::CopyInProgress
    }

    /// Whether hosts may be refused at the secondary.
    pub(super) fn may_refuse(&self) -> bool {
        let open = self.status == PairStatus::CopyInProgress && self.quick;
        self.status != PairStatus::Copied && !open || self.may_fail()
    }
}

impl Asked {
    pub(super) fn ldevs(&self) -> (LdevId, LdevId) {
        (crate::ldev(self.names.0 as u8), crate::ldev(self.names.1 as u8))
    }

    /// The volumes that it may change.
    pub(super) fn targets(&self, was: Option<PairStatus>) -> Vec<usize> {
        let (primary, secondary) = self.names;
        match self.code {
            CommandCode::Restore | CommandCode::QuickRestore => vec![primary, secondary],
            CommandCode::Delete if was == Some(PairStatus::Restoring) => vec![primary, secondary],
            _ => vec![secondary],
        }
    }

    /// Whether it leaves an image of the primary in the secondary.
    pub(super) fn splits(&self, to: Option<PairStatus>) -> bool {
        use PairStatus::{Copied, CopyInProgress};
        match self.code {
            CommandCode::Copy => true,
            CommandCode::Create => matches!(to, Some(Copied | CopyInProgress)),
            _ => false,
        }
    }

    /// What it leaves in volumes when it is accepted at a moment between `from` and `to`.
    pub(super) fn leaves(
        &self,
        was: Option<PairStatus>,
        is: Option<PairStatus>,
        registers: &Registers,
        (from, to): (u64, u64),
    ) -> Vec<(usize, Vec<Value>)> {
        use PairStatus::{Copied, Restoring, Suspended};
        let (primary, secondary) = self.names;
        let any = |volume: usize| (volume, vec![Value::Any; registers.of(volume).len()]);
        let image = |of: usize| registers.image(of, from, to);
        match self.code {
            _ if self.splits(is) => vec![(secondary, image(primary))],
            CommandCode::Create | CommandCode::Copy | CommandCode::Resync => vec![any(secondary)],
            CommandCode::Suspend | CommandCode::Delete => match was {
                Some(Copied | Suspended) | None => Vec::new(),
                Some(Restoring) => vec![any(primary)],
                Some(_) => vec![any(secondary)],
            },
            CommandCode::Restore => vec![(primary, image(secondary)), any(secondary)],
            CommandCode::QuickRestore => {
                let old = (secondary, image(primary));
                let other = if self.freeze { old } else { any(secondary) };
                vec![(primary, image(secondary)), other]
            }
        }
    }

    /// Whether it was accepted, by what became of the pair; `None` if that does not tell.
    pub(super) fn was_accepted(
        &self,
        answered: Option<PairStatus>,
        found: Option<PairStatus>,
    ) -> Option<bool> {
        use PairStatus::{Copied, CopyInProgress, PairedNotCopied, Restoring, Suspended};
        let Some(was) = answered else {
            return Some(self.code == CommandCode::Create && found.is_some());
        };
        let Some(is) = found else { return Some(self.code == CommandCode::Delete) };
        let was_split = matches!(was, Copied | CopyInProgress);
        Some(match self.code {
            CommandCode::Create | CommandCode::Delete => false,
            CommandCode::Copy => !was_split && matches!(is, Copied | CopyInProgress),
            CommandCode::Resync => (was_split || was == Suspended) && is == PairedNotCopied,
            CommandCode::Suspend => was != Suspended && is == Suspended,
            CommandCode::Restore => was_split && matches!(is, Restoring | PairedNotCopied),
            CommandCode::QuickRestore if self.freeze => {
                return (!was_split || is != Copied).then_some(false);
            }
            CommandCode::QuickRestore => was_split && is == PairedNotCopied,
        })
    }
}
