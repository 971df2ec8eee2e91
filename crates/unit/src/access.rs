//! What a host may do with a volume (design table of pair statuses).

use diptych_cha::{Forbidden, HostError, Tried};
use diptych_shared::{FamilyState, PairStatus, Volume, VolumeState};

/// Whether a host may read or write the volume now.
pub(crate) fn access(family: &FamilyState, volume: &Volume, tried: Tried) -> Result<(), HostError> {
    let ldev = volume.ldev;
    let no = |why| Err(HostError::Access { ldev, tried, why });
    if volume.state == VolumeState::Blocked {
        return no(Forbidden::Blocked);
    }
    match family.pair_of_secondary(ldev) {
        Some(pair) => match pair.status {
            PairStatus::Copied => Ok(()),
            PairStatus::CopyInProgress if pair.options.quick => Ok(()),
            status => no(Forbidden::Secondary(status)),
        },
        // The attribute is for volumes in no pair: a primary may be left of two levels.
        None if volume.reserved && tried == Tried::Write && !is_primary(family, volume) => {
            no(Forbidden::Reserved)
        }
        None => Ok(()),
    }
}

fn is_primary(family: &FamilyState, volume: &Volume) -> bool {
    family.pairs_of_primary(volume.ldev).next().is_some()
}
