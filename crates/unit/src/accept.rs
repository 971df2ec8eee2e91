//! Accepting the contents of a volume as they are, where they are undefined.
//!
//! Two things could make them others than those that were accepted, after a crash: what a copy has
//! written to the drive and no flush has covered, and older records of the log, which say what was
//! there before the copy. So all that is dirty goes to the drive, the drive is flushed, and the record
//! that accepts the contents voids all records of them before it. (`cargo xtask search` finds what
//! happens otherwise: `accept-without-flush`, `accept-keeps-records`.)

use crate::Mailbox;
use crate::change::activate_followers;
use crate::core::Core;
use crate::destage::to_drive;
use crate::held::Held;
use crate::history::{HistoryEntry, Message};
use crate::record;
use diptych_cha::HostError;
use diptych_format::{BackingId, LdevId};
use diptych_shared::{Change, FamilyState};

/// The job. Hosts of the family wait while the last of it is done.
pub(crate) async fn accept_contents(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
) -> Result<(), HostError> {
    let no_volume = || HostError::NoVolume { ldev };
    let geometry = core.shape(ldev)?.geometry;
    let backing = |family: &mut FamilyState| family.volume(ldev).map(|volume| volume.backing);
    let now = core.shared.with_family(ldev, backing).ok().flatten().ok_or_else(no_volume)?;
    // Most of it with nothing held.
    bring_to_drive(m, core, ldev, now).await?;
    let held = Held::claim(m, core, ldev, None, backing).await;
    let (held, backing) = held.map_err(|error| error.host_error(ldev))?;
    let backing = backing.ok_or_else(no_volume)?;
    // A destage takes no claim, so whoever holds one may wait for it.
    bring_to_drive(m, core, ldev, backing).await?;
    held.with(|family| {
        family.change(Change::Undefined { ldev, undefined: false });
        // Pairs that follow it may have waited for that.
        activate_followers(m, core, family, ldev);
        let older = || vec![record::discard(backing, geometry.all_blocks())];
        core.journal.put(None, ldev, family, older);
    });
    core.record(HistoryEntry::new(m.now(), Message::ContentsAccepted).of_volume(ldev));
    core.journal.commit(m).await.map_err(|error| error.host_error(ldev))
}

/// A unit without a log comes back from nothing, and a volume of maps alone has no data.
async fn bring_to_drive(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    backing: BackingId,
) -> Result<(), HostError> {
    if core.journal.is_on() && core.groups.home(backing).is_some() {
        to_drive(m, core, ldev, backing).await?;
    }
    Ok(())
}
