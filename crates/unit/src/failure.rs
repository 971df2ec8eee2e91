//! What a failure does to a pair: it suspends that pair, or is noted; hosts and other pairs go on.

use crate::Mailbox;
use crate::change::{activate_followers, mark};
use crate::commands::follows_nothing;
use crate::core::{Core, slot};
use crate::destage::destaged_lost;
use crate::history::Message;
use diptych_format::{DriveNo, LdevId, PairId, TrackNo, TrackRange};
use diptych_shared::{Change, FamilyState, Pair, PairStatus};
use diptych_sync::mutant;

/// A track that the pair copies cannot be read. In 802 and while restoring it is noted and stays to be
/// copied; where an image needs it, the pair is suspended.
pub(crate) fn source(
    m: &Mailbox,
    core: &Core,
    family: &mut FamilyState,
    id: PairId,
    track: TrackNo,
) {
    let pair = family.pair(id).expect("a pair of this family");
    match pair.status {
        PairStatus::PairedNotCopied | PairStatus::Restoring => {
            if pair.unreadable.get(track) {
                return; // a host tried it again
            }
            let (status, target) = (Some(pair.status), pair.direction().1);
            core.record_of(m.now(), pair, Message::SourceUnreadable(track), status, status);
            family.change(Change::Unreadable { pair: id, track });
            // The level below waits for this track no longer.
            activate_followers(m, core, family, target);
        }
        PairStatus::Suspended => {}
        _ => suspend(m, core, family, id, Message::SuspendedBySource(track)),
    }
}

/// A track that the pair copies cannot be written. Nobody knows what it holds now. A restore that ends
/// so leaves a primary that is neither the old nor the new.
pub(crate) fn target(
    m: &Mailbox,
    core: &Core,
    family: &mut FamilyState,
    id: PairId,
    track: TrackNo,
    message: Message,
) {
    let pair = family.pair(id).expect("a pair of this family");
    let (status, secondary) = (pair.status, pair.secondary);
    if status != PairStatus::Suspended {
        suspend(m, core, family, id, message);
    }
    if status != PairStatus::Restoring && !mutant::removed("mark-failed-track") {
        let tracks = TrackRange::one(track);
        family.change(Change::SecondaryChange { secondary, tracks });
    }
}

/// A drive could not make durable what was written to it: nobody knows what it holds. Its volumes are
/// blocked, their contents undefined; pairs are suspended as [`contents_lost`] says.
pub(crate) fn drive(m: &Mailbox, core: &Core, drive: DriveNo) {
    for home in core.groups.homes().into_iter().filter(|home| home.drive() == drive) {
        let key = slot(home.backing(), TrackNo(0));
        let ldev = core.backings.lock().get(&key.backing).copied();
        if let Some(ldev) = ldev {
            destaged_lost(m, core, ldev, key);
        }
    }
}

/// What was destaged for a volume may be older on its drive than the log can tell once it is trimmed. Every
/// track counts as changed. Pairs that copy to it, or need it for an image, are suspended; an image that
/// is complete elsewhere stays what it is.
pub(crate) fn contents_lost(m: &Mailbox, core: &Core, family: &mut FamilyState, ldev: LdevId) {
    let volume = family.volume(ldev).expect("a volume of this family");
    if volume.undefined || volume.allocated.is_empty() {
        return; // it was said already, or there is nothing
    }
    let message = Message::DestageFailed(TrackNo(0));
    let of_secondary = family.pair_of_secondary(ldev).map(|pair| (pair.id, pair.status));
    let needs =
        |pair: &&Pair| matches!(pair.status, PairStatus::CopyInProgress | PairStatus::Restoring);
    let needed = family.pairs_of_primary(ldev).filter(needs).map(|pair| pair.id);
    let suspended = of_secondary.filter(|(_, status)| *status != PairStatus::Suspended);
    let suspended: Vec<PairId> = needed.chain(suspended.map(|(pair, _)| pair)).collect();
    for pair in suspended {
        suspend(m, core, family, pair, message);
    }
    let tracks = family.all_tracks();
    if of_secondary.is_some() {
        family.change(Change::SecondaryChange { secondary: ldev, tracks });
    }
    mark(m, core, family, ldev, tracks);
    family.change(Change::Undefined { ldev, undefined: true });
}

fn suspend(m: &Mailbox, core: &Core, family: &mut FamilyState, id: PairId, message: Message) {
    let pair = family.pair(id).expect("a pair of this family");
    let (from, primary, secondary) = (pair.status, pair.primary, pair.secondary);
    if from == PairStatus::Restoring {
        family.change(Change::AbandonRestore { pair: id });
    } else {
        let all_different = from == PairStatus::PairedNotCopied && follows_nothing(family, primary);
        family.change(Change::Suspend { pair: id, all_different });
    }
    core.scheduler.lock().stop(id);
    let pair = family.pair(id).expect("a pair of this family");
    core.record_of(m.now(), pair, message, Some(from), Some(pair.status));
    // What the level below waited for may not come any more.
    activate_followers(m, core, family, secondary);
}
