//! Formatting a volume: it reads zero, has no storage, and its contents are defined from then on.

use crate::Mailbox;
use crate::access::access;
use crate::change::{activate_followers, bringing};
use crate::core::Core;
use crate::history::{HistoryEntry, Message};
use crate::host_write::{give_up_tracks, tracks_in_chunk};
use diptych_cha::{Forbidden, HostError, Tried};
use diptych_format::{LdevId, TrackNo};
use diptych_shared::{Change, FamilyState};

/// Gives up all tracks that have storage or will get some by a copy, chunk by chunk, each a host change as any other (Fig. 9).
/// Hosts may go on meanwhile; what they write behind it stays. A reserved volume may be formatted.
pub(crate) async fn format(m: &Mailbox, core: &Core, ldev: LdevId) -> Result<(), HostError> {
    let began = m.now();
    let shape = core.shape(ldev)?;
    let no_volume = |_| HostError::NoVolume { ldev };
    let per_chunk = tracks_in_chunk(core, shape);
    let mut from = TrackNo(0);
    loop {
        let next = |family: &mut FamilyState| next_to_give_up(family, ldev, from);
        let Some(track) = core.shared.with_family(ldev, next).map_err(no_volume)? else { break };
        give_up_tracks(m, core, ldev, track, per_chunk).await?;
        from = TrackNo(track.0 + per_chunk);
    }
    let defined = |family: &mut FamilyState| {
        let volume = family.volume(ldev).expect("the volume is in its family");
        match access(family, volume, Tried::Write) {
            Err(HostError::Access { why, .. }) if why != Forbidden::Reserved => return Err(why),
            _ => {}
        }
        family.change(Change::Undefined { ldev, undefined: false });
        // Pairs that follow it may have waited for that.
        activate_followers(m, core, family, ldev);
        Ok(())
    };
    let defined = core.shared.with_family(ldev, defined).map_err(no_volume)?;
    defined.map_err(|why| HostError::Access { ldev, tried: Tried::Write, why })?;
    let entry = HistoryEntry::new(m.now(), Message::Formatted).of_volume(ldev);
    core.record(entry.took(m.now().ns_since(began)));
    Ok(())
}

/// The next track that does not read zero by itself: it has storage, or a copy is to bring it.
fn next_to_give_up(family: &FamilyState, ldev: LdevId, from: TrackNo) -> Option<TrackNo> {
    let volume = family.volume(ldev).expect("the volume is in its family");
    let brought = bringing(family, ldev).and_then(|pair| pair.c.next_set(from));
    volume.allocated.next_set(from).into_iter().chain(brought).min()
}
