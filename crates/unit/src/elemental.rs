//! Elemental copy processing (Fig. 6): one turn of a lane.

use crate::Mailbox;
use crate::change::wanted_for_change;
use crate::copy_track::Why;
use crate::core::Core;
use crate::held::{Held, Room, Under, Wanted};
use crate::scheduler::{Ended, Turn, TurnEnd};
use diptych_format::{PairId, TrackNo, TrackRange};
use diptych_shared::{FamilyState, PairStatus};
use diptych_sync::mutant;

/// Tracks looked at in one search for one that is not busy.
const SEARCH_TRACKS: usize = 32;

/// One turn: up to `pace` tracks of one pair. Fig. 5 starts the next turn when this one has ended
/// (502), as long as the pair's status says so (501) and bits are left (503).
pub(crate) async fn elemental_copy(m: &Mailbox, core: &Core, turn: Turn) {
    let mut ended = Ended { end: TurnEnd::Copied, copied_any: false };
    for _ in 0..turn.pace.tracks() {
        ended.end = copy_next(m, core, &turn).await;
        if ended.end != TurnEnd::Copied {
            break;
        }
        ended.copied_any = true;
    }
    let rest_unit_ns = core.config.copy_rest_ns;
    core.scheduler.lock().turn_ended(turn, ended, m.now(), rest_unit_ns);
    m.kick();
}

/// A track that a lane could copy.
#[derive(Debug, Clone, Copy)]
enum Candidate {
    Free(TrackNo),
    /// Held by somebody: skip it, or queue for it.
    Busy(TrackNo),
}

/// What the pair says of the next track (601, 602).
enum Search {
    Stopped,
    Nothing,
    Found(Vec<Candidate>, Wanted),
}

/// Steps 601-607 for one track.
async fn copy_next(m: &Mailbox, core: &Core, turn: &Turn) -> TurnEnd {
    let found = core.shared.with_family(turn.primary, |family| search(family, turn.pair));
    let (candidates, wanted) = match found {
        Err(_) | Ok(Search::Stopped) => return TurnEnd::Stopped,
        Ok(Search::Nothing) => return TurnEnd::Nothing,
        Ok(Search::Found(candidates, wanted)) => (candidates, wanted),
    };
    let Some((track, queue)) = choose(core, turn, &candidates) else { return TurnEnd::Busy };
    let Ok(room) = Room::admit(m, core, wanted).await else { return TurnEnd::Stopped };
    let tracks = TrackRange::one(track);
    let view = |family: &mut FamilyState| recheck(family, turn.pair, track);
    let (held, still) = if queue {
        match Held::claim(m, core, turn.primary, Some(tracks), view).await {
            Ok(got) => got,
            Err(_) => return TurnEnd::Stopped,
        }
    } else {
        match core.shared.try_claim(m.owner(), turn.primary, tracks, view) {
            Ok(Some((claim, still))) => (Held::new(m, claim), still),
            Ok(None) => return TurnEnd::Busy,
            Err(_) => return TurnEnd::Stopped,
        }
    };
    core.scheduler.lock().unskip(turn.pair, track);
    // Somebody else may have copied it, or it needs more room than was asked for: the next search
    // tells.
    if still.is_some_and(|now| wanted.covers(now)) {
        let mut under = Under { m, core, held, room };
        under.copy_track(turn.primary, &[turn.pair], track, Why::Background).await;
    }
    TurnEnd::Copied
}

/// 601, 602: the next tracks whose inequality bit is 1, from the copy pointer on and around.
fn search(family: &FamilyState, id: PairId) -> Search {
    let Some(pair) = family.pair(id).filter(|pair| pair.copier) else { return Search::Stopped };
    if !matches!(pair.status, PairStatus::PairedNotCopied | PairStatus::CopyInProgress) {
        return Search::Stopped;
    }
    let mut candidates = Vec::new();
    let mut from = pair.copy_pointer;
    let mut wrapped = false;
    let mut looked = 0;
    while looked < SEARCH_TRACKS {
        let next = pair.c.next_set(from);
        let Some(track) = next.filter(|t| !wrapped || *t < pair.copy_pointer) else {
            if wrapped || pair.copy_pointer == TrackNo(0) {
                break;
            }
            (wrapped, from) = (true, TrackNo(0));
            continue;
        };
        from = TrackNo(track.0 + 1);
        if pair.unreadable.get(track) || lacks_above(family, pair.primary, track) {
            continue;
        }
        looked += 1;
        if family.is_busy(track) {
            candidates.push(Candidate::Busy(track));
            continue;
        }
        candidates.push(Candidate::Free(track));
        break;
    }
    let Some(Candidate::Free(track) | Candidate::Busy(track)) = candidates.last().copied() else {
        return Search::Nothing;
    };
    let wanted = wanted_to_copy(family, pair.secondary, track);
    Search::Found(candidates, wanted)
}

/// A second-level lane skips tracks that the first level is still to bring: they change again.
fn lacks_above(family: &FamilyState, primary: diptych_format::LdevId, track: TrackNo) -> bool {
    family.pair_of_secondary(primary).is_some_and(|above| {
        let copies =
            matches!(above.status, PairStatus::PairedNotCopied | PairStatus::CopyInProgress);
        copies && above.copier && above.c.get(track) && !above.unreadable.get(track)
    })
}

fn wanted_to_copy(
    family: &FamilyState,
    secondary: diptych_format::LdevId,
    track: TrackNo,
) -> Wanted {
    let below = wanted_for_change(family, secondary, TrackRange::one(track));
    Wanted { buffers: 1, dirty: 1 }.plus(below)
}

/// Under the claim: what copying the track takes, if it is still to be copied.
fn recheck(family: &FamilyState, id: PairId, track: TrackNo) -> Option<Wanted> {
    let pair = family.pair(id)?;
    let copying = matches!(pair.status, PairStatus::PairedNotCopied | PairStatus::CopyInProgress);
    let wanted = copying && pair.c.get(track) && !pair.unreadable.get(track);
    let wanted = wanted || mutant::removed("recheck-under-claim");
    wanted.then(|| wanted_to_copy(family, pair.secondary, track))
}

/// The free track, or a busy one that was skipped often enough to queue for.
fn choose(core: &Core, turn: &Turn, candidates: &[Candidate]) -> Option<(TrackNo, bool)> {
    let mut scheduler = core.scheduler.lock();
    for candidate in candidates {
        match *candidate {
            Candidate::Free(track) => return Some((track, false)),
            Candidate::Busy(track) if scheduler.skip(turn.pair, track) => {
                return Some((track, true));
            }
            Candidate::Busy(_) => {}
        }
    }
    None
}
