//! What a failure does to a pair: it suspends that pair, or is noted; hosts and other pairs go on.

use crate::Mailbox;
use crate::change::activate_followers;
use crate::commands::follows_nothing;
use crate::core::Core;
use crate::history::Message;
use diptych_format::{PairId, TrackNo, TrackRange};
use diptych_shared::{Change, FamilyState, PairStatus};
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
