//! What a host may do with a volume (design table of pair statuses).

use diptych_cha::{AccessBoard, Forbidden, HostError, Tried};
use diptych_format::LdevId;
use diptych_shared::{FamilyState, PairStatus, Volume, VolumeState, Watcher};
use diptych_sync::Arc;

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

/// Puts it on the board when hosts may do more or less with a volume than before.
#[derive(Debug)]
pub(crate) struct AccessWatcher {
    pub(crate) board: Arc<AccessBoard>,
}

impl Watcher for AccessWatcher {
    fn rights(&self, family: &FamilyState, volume: &Volume) -> u8 {
        let may = |tried| u8::from(access(family, volume, tried).is_ok());
        may(Tried::Read) | may(Tried::Write) << 1
    }

    fn rights_changed(&self, ldev: LdevId) {
        self.board.changed(ldev);
    }
}

fn is_primary(family: &FamilyState, volume: &Volume) -> bool {
    family.pairs_of_primary(volume.ldev).next().is_some()
}
