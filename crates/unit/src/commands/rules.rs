//! What a command needs, beyond the pair's own status. Each refusal is its own reason.

use crate::writers::Writers;
use diptych_cha::{Command, Refusal};
use diptych_format::{LdevId, PairId, Time};
use diptych_shared::{FamilyState, PairStatus, Volume, VolumeState};

/// Whether this pair may be created, as far as one of its families can tell. Asked of the family of
/// the primary and of the family of the secondary, which may be one.
pub(super) struct CreateRules<'a> {
    pub(super) command: &'a Command,
    pub(super) secondaries_max: usize,
    pub(super) needs_reserve: bool,
    /// What [`UnitConfig::in_use_ns`](crate::UnitConfig) says, and the time.
    pub(super) in_use: (u64, Time),
    pub(super) writers: &'a Writers,
}

impl CreateRules<'_> {
    /// What the primary's side says.
    pub(super) fn primary(&self, family: &FamilyState) -> Result<(), Refusal> {
        let ldev = self.command.primary;
        let volume = family.volume(ldev).ok_or(Refusal::NoVolume { ldev })?;
        usable(volume)?;
        if let Some(above) = family.pair_of_secondary(ldev) {
            if above.primary == self.command.secondary {
                return Err(Refusal::Cycle { ldev });
            }
            if family.pair_of_secondary(above.primary).is_some() {
                return Err(Refusal::ThirdLevel { ldev });
            }
            if above.status != PairStatus::Copied {
                return Err(Refusal::FirstLevelNotCopied { status: above.status });
            }
        }
        if volume.undefined {
            return Err(Refusal::Undefined { ldev });
        }
        if family.pairs_of_primary(ldev).any(|pair| pair.status == PairStatus::Restoring) {
            return Err(Refusal::Restoring);
        }
        let most = self.secondaries_max;
        if family.pairs_of_primary(ldev).count() >= most {
            return Err(Refusal::TooManySecondaries { ldev, most });
        }
        Ok(())
    }

    /// What the secondary's side says.
    pub(super) fn secondary(&self, family: &FamilyState) -> Result<(), Refusal> {
        let ldev = self.command.secondary;
        let volume = family.volume(ldev).ok_or(Refusal::NoVolume { ldev })?;
        usable(volume)?;
        if family.pair_of_secondary(ldev).is_some() {
            return Err(Refusal::SecondaryIsSecondary { ldev });
        }
        if family.pairs_of_primary(ldev).next().is_some() {
            return Err(Refusal::SecondaryIsPrimary { ldev });
        }
        if self.needs_reserve && !volume.reserved {
            return Err(Refusal::NotReserved { ldev });
        }
        let (in_use_ns, now) = self.in_use;
        if in_use(volume, self.writers, in_use_ns, now) {
            return Err(Refusal::InUse { ldev });
        }
        Ok(())
    }
}

/// Whether a host uses the volume: it has it open for writing, or wrote it less than `in_use_ns` ago.
pub(crate) fn in_use(volume: &Volume, writers: &Writers, in_use_ns: u64, now: Time) -> bool {
    writers.has(volume) || volume.host_wrote_at.is_some_and(|at| now.ns_since(at) < in_use_ns)
}

fn usable(volume: &Volume) -> Result<(), Refusal> {
    if volume.state == VolumeState::Blocked {
        return Err(Refusal::Blocked { ldev: volume.ldev });
    }
    Ok(())
}

/// Whether the volumes are of one size and type.
pub(super) fn alike(primary: &Volume, secondary: &Volume) -> Result<(), Refusal> {
    if primary.geometry.emulation() != secondary.geometry.emulation() {
        return Err(Refusal::TypeMismatch);
    }
    if primary.geometry != secondary.geometry || primary.metadata_only != secondary.metadata_only {
        return Err(Refusal::SizeMismatch {
            primary_blocks: primary.geometry.block_count(),
            secondary_blocks: secondary.geometry.block_count(),
        });
    }
    Ok(())
}

/// Copy and resync: the primary's contents mean something, and no pair of it is being restored.
pub(crate) fn primary_defined(family: &FamilyState, primary: LdevId) -> Result<(), Refusal> {
    let volume = family.volume(primary).expect("the primary is in its family");
    if volume.undefined {
        return Err(Refusal::Undefined { ldev: primary });
    }
    if family.pairs_of_primary(primary).any(|pair| pair.status == PairStatus::Restoring) {
        return Err(Refusal::Restoring);
    }
    Ok(())
}

/// Resync and restore: neither volume of the pair is blocked. A copy command needs no drive to take
/// anything: an image may be saved from a primary that is blocked.
pub(super) fn both_usable(family: &FamilyState, command: &Command) -> Result<(), Refusal> {
    [command.primary, command.secondary]
        .into_iter()
        .try_for_each(|ldev| usable(family.volume(ldev).expect("a volume of the pair")))
}

/// Restore and quick restore: the primary may change as it does, and nobody copies from either volume.
pub(super) fn restorable(
    family: &FamilyState,
    command: &Command,
    pair: PairId,
) -> Result<(), Refusal> {
    let Command { primary, secondary, .. } = *command;
    both_usable(family, command)?;
    if family.pair_of_secondary(primary).is_some() {
        return Err(Refusal::PrimaryIsSecondary { ldev: primary });
    }
    let rests = |status| matches!(status, PairStatus::Copied | PairStatus::Suspended);
    let others = family.pairs_of_primary(primary).chain(family.pairs_of_primary(secondary));
    match others.filter(|other| other.id != pair).find(|other| !rests(other.status)) {
        Some(other) => Err(Refusal::OtherPair { ldev: other.secondary, status: other.status }),
        None => Ok(()),
    }
}

/// Copy: a second-level pair needs its first-level pair split.
pub(crate) fn first_level_copied(family: &FamilyState, primary: LdevId) -> Result<(), Refusal> {
    match family.pair_of_secondary(primary) {
        Some(above) if above.status != PairStatus::Copied => {
            Err(Refusal::FirstLevelNotCopied { status: above.status })
        }
        _ => Ok(()),
    }
}

/// Whether what a secondary in 802 follows means nothing: its primary is undefined, or is itself a
/// secondary that does not hold an image.
pub(crate) fn follows_nothing(family: &FamilyState, primary: LdevId) -> bool {
    let undefined = family.volume(primary).is_some_and(|volume| volume.undefined);
    undefined || first_level_copied(family, primary).is_err()
}
