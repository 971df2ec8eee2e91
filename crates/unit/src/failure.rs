//! What a failure does to a pair: it suspends that pair, or is noted; hosts and other pairs go on.

use crate::Mailbox;
use crate::change::activate_followers;
use crate::commands::follows_nothing;
use crate::core::Core;
use crate::history::Message;
use diptych_format::{LdevId, PairId, TrackNo, TrackRange};
use diptych_shared::{Change, FamilyState, PairStatus};

/// A track of the pair's primary cannot be read. In 802 it is noted and stays to be copied; where an
/// image needs it, the pair is suspended.
pub(crate) fn source(
    m: &Mailbox,
    core: &Core,
    family: &mut FamilyState,
    id: PairId,
    track: TrackNo,
) {
    let pair = family.pair(id).expect("a pair of this family");
    match pair.status {
        PairStatus::PairedNotCopied => {
            let status = Some(pair.status);
            core.record_of(m.now(), pair, Message::SourceUnreadable(track), status, status);
            let secondary = pair.secondary;
            family.change(Change::Unreadable { pair: id, track });
            // The level below waits for this track no longer.
            activate_followers(m, core, family, secondary);
        }
        PairStatus::Suspended => {}
        _ => suspend(m, core, family, id, Message::SuspendedBySource(track)),
    }
}

/// A track of a secondary cannot be written. Nobody knows what it holds now.
pub(crate) fn target(
    m: &Mailbox,
    core: &Core,
    family: &mut FamilyState,
    secondary: LdevId,
    track: TrackNo,
    message: Message,
) {
    let Some(pair) = family.pair_of_secondary(secondary) else { return };
    let (id, status) = (pair.id, pair.status);
    if status != PairStatus::Suspended {
        suspend(m, core, family, id, message);
    }
    let tracks = TrackRange::one(track);
    family.change(Change::SecondaryChange { secondary, tracks });
}

fn suspend(m: &Mailbox, core: &Core, family: &mut FamilyState, id: PairId, message: Message) {
    let pair = family.pair(id).expect("a pair of this family");
    let (from, primary, secondary) = (pair.status, pair.primary, pair.secondary);
    let all_different = from == PairStatus::PairedNotCopied && follows_nothing(family, primary);
    family.change(Change::Suspend { pair: id, all_different });
    core.scheduler.lock().stop(id);
    let pair = family.pair(id).expect("a pair of this family");
    core.record_of(m.now(), pair, message, Some(from), Some(pair.status));
    // What the level below waited for may not come any more.
    activate_followers(m, core, family, secondary);
}
