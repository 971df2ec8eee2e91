//! A change of a volume (Fig. 9): what has to happen before the data may change.

use crate::Mailbox;
use crate::copy_track::Why;
use crate::core::Core;
use crate::held::{Held, NotHeld, Room, Under, Wanted};
use diptych_cha::HostError;
use diptych_format::{LdevId, PairId, TrackNo, TrackRange};
use diptych_shared::{Change, FamilyState, Pair, PairStatus};
use diptych_sync::mutant;

/// Whether an image depends on this track of the pair's primary.
fn depends(pair: &Pair, track: TrackNo) -> bool {
    pair.status == PairStatus::CopyInProgress // 902
        && pair.c.get(track) // 903
}

/// The pairs whose image needs the old track of this primary before it changes (901-903).
pub(crate) fn pairs_to_protect(
    family: &FamilyState,
    primary: LdevId,
    track: TrackNo,
) -> Vec<PairId> {
    if mutant::removed("protect-before-write") {
        return Vec::new();
    }
    // 901
    let pairs = family.pairs_of_primary(primary).filter(|pair| depends(pair, track));
    let pairs = pairs.map(|pair| pair.id);
    if mutant::removed("protect-every-pair") { pairs.take(1).collect() } else { pairs.collect() }
}

/// The pair that must still bring this track to the volume before a host may use it there: that of a
/// quick secondary, or of a primary that is being restored.
pub(crate) fn pair_to_bring(family: &FamilyState, ldev: LdevId, track: TrackNo) -> Option<&Pair> {
    let pair = bringing(family, ldev).filter(|pair| pair.c.get(track));
    pair.filter(|_| !mutant::removed("bring-before-use"))
}

/// The pair that brings an image to this secondary, or its secondary's content back to this primary.
pub(crate) fn bringing(family: &FamilyState, ldev: LdevId) -> Option<&Pair> {
    // A primary that is being restored is nobody's secondary.
    match family.pair_of_secondary(ldev) {
        Some(pair) => Some(pair).filter(|pair| pair.status == PairStatus::CopyInProgress),
        None => restored_by(family, ldev),
    }
}

/// The pair from whose secondary this primary is being restored.
pub(crate) fn restored_by(family: &FamilyState, primary: LdevId) -> Option<&Pair> {
    family.pairs_of_primary(primary).find(|pair| pair.status == PairStatus::Restoring)
}

/// What copying the old tracks takes from the cache, if these tracks of a volume change.
pub(crate) fn wanted_for_change(family: &FamilyState, ldev: LdevId, tracks: TrackRange) -> Wanted {
    let mut wanted = Wanted::default();
    for pair in family.pairs_of_primary(ldev) {
        if pair.status != PairStatus::CopyInProgress {
            continue;
        }
        for track in tracks.iter().filter(|t| pair.c.get(*t)) {
            wanted = wanted.plus(Wanted::copies(1));
            let below = wanted_for_change(family, pair.secondary, TrackRange::one(track));
            wanted = wanted.plus(below);
        }
    }
    wanted
}

/// What bringing tracks to a quick secondary, or back to a primary, takes from the cache.
pub(crate) fn wanted_to_bring(
    family: &FamilyState,
    ldev: LdevId,
    tracks: impl Iterator<Item = TrackNo>,
) -> Wanted {
    Wanted::copies(tracks.filter(|t| pair_to_bring(family, ldev, *t).is_some()).count())
}

/// Copies what depends on the old state of one track, under a claim and with room of its own, and
/// brings the track itself if that is asked for. For requests whose copies do not fit the cache all at
/// once: a copy may be made at any time before the change. A track that cannot be brought is a medium
/// error.
pub(crate) async fn copy_ahead(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    track: TrackNo,
    bring: bool,
) -> Result<(), NotHeld> {
    let tracks = TrackRange::one(track);
    let needed = |family: &mut FamilyState| {
        let to_bring = wanted_to_bring(family, ldev, tracks.iter().filter(|_| bring));
        wanted_for_change(family, ldev, tracks).plus(to_bring)
    };
    let mut wanted = Wanted::default();
    loop {
        let room = match Room::admit(m, core, wanted).await {
            Err(NotHeld::NoRoom) => {
                copy_one_ahead(m, core, ldev, track).await?;
                wanted = Wanted::default();
                continue;
            }
            admitted => admitted?,
        };
        let (held, needed) = Held::claim(m, core, ldev, Some(tracks), needed).await?;
        if !wanted.covers(needed) {
            wanted = needed;
            continue;
        }
        let mut under = Under { m, core, held, room };
        under.protect_track(ldev, track).await;
        if !bring || under.bring_track(ldev, track).await {
            return Ok(());
        }
        let block = core.shape(ldev).map_err(NotHeld::Refused)?.geometry.first_block(track);
        return Err(NotHeld::Refused(HostError::Medium { ldev, block }));
    }
}

/// As [`copy_ahead`], for one of the pairs, where the cache has no room for the copies of one track.
async fn copy_one_ahead(
    m: &Mailbox,
    core: &Core,
    ldev: LdevId,
    track: TrackNo,
) -> Result<(), NotHeld> {
    let room = Room::admit(m, core, Wanted::copies(1)).await?;
    let lowest = |family: &mut FamilyState| lowest_dependent(family, ldev, track);
    let (held, pair) = Held::claim(m, core, ldev, Some(TrackRange::one(track)), lowest).await?;
    if let Some((from, pair)) = pair {
        let mut under = Under { m, core, held, room };
        under.copy_track(from, &[pair], track, Why::Protect).await;
    }
    Ok(())
}

/// A pair of this primary, or below it, whose image needs the old track and on whose secondary none
/// depends; and its primary.
fn lowest_dependent(
    family: &FamilyState,
    primary: LdevId,
    track: TrackNo,
) -> Option<(LdevId, PairId)> {
    let pair = family.pairs_of_primary(primary).find(|pair| depends(pair, track))?;
    lowest_dependent(family, pair.secondary, track).or(Some((primary, pair.id)))
}

impl Under<'_> {
    /// Copies a track that a quick secondary, or a primary that is being restored, lacks. `false`: it
    /// lacks it still, since nobody can read it.
    pub(crate) async fn bring_track(&mut self, ldev: LdevId, track: TrackNo) -> bool {
        let lacking = |family: &mut FamilyState| {
            pair_to_bring(family, ldev, track).map(|pair| (pair.id, pair.direction().0))
        };
        let Some((pair, from)) = self.with(lacking) else { return true };
        self.copy_track(from, &[pair], track, Why::Protect).await;
        self.with(lacking).is_none()
    }

    /// Steps 901-907 for one track of one volume, and its marks: afterwards the track may change.
    ///
    /// Used for internal copies into a volume that is itself a primary; a host's change of several
    /// tracks does the steps for all of them before it marks any.
    pub(crate) async fn prepare_track(&mut self, ldev: LdevId, track: TrackNo) {
        if !mutant::removed("protect-internal-copy") {
            self.protect_track(ldev, track).await;
        }
        let (m, core) = (self.m, self.core);
        self.with(|family| mark(m, core, family, ldev, TrackRange::one(track)));
    }

    /// Steps 902-907: every image that needs the old track gets it. A pair that cannot be served is
    /// suspended, and the change goes on.
    pub(crate) async fn protect_track(&mut self, ldev: LdevId, track: TrackNo) {
        let pairs = self.with(|family| pairs_to_protect(family, ldev, track));
        if !pairs.is_empty() {
            self.copy_track(ldev, &pairs, track, Why::Protect).await;
        }
    }
}

/// Marks these tracks of a volume as changed, in every pair, before the data changes.
pub(crate) fn mark(
    m: &Mailbox,
    core: &Core,
    family: &mut FamilyState,
    ldev: LdevId,
    tracks: TrackRange,
) {
    if mutant::removed("mark-changes") {
        return;
    }
    if family.pairs_of_primary(ldev).next().is_none() {
        return;
    }
    family.change(Change::HostChange { primary: ldev, tracks });
    activate_followers(m, core, family, ldev);
}

/// A pair that follows this primary may have something to copy again.
pub(crate) fn activate_followers(m: &Mailbox, core: &Core, family: &FamilyState, primary: LdevId) {
    for pair in family.pairs_of_primary(primary) {
        if pair.is_copying() && pair.copier && core.scheduler.lock().activate(pair.id) {
            m.kick();
        }
    }
}
