//! Elemental copy processing (Fig. 6): one turn of a lane.

use crate::Mailbox;
use crate::change::{copy_ahead, wanted_for_change};
use crate::copy_track::Why;
use crate::core::Core;
use crate::held::{Held, NotHeld, Room, Under, Wanted};
use crate::job::JobMailbox;
use crate::scheduler::{Ended, Turn, TurnEnd};
use diptych_format::{PairId, TrackNo, TrackRange};
use diptych_shared::{FamilyState, Pair, PairStatus};
use diptych_sync::{Arc, mutant};

/// Tracks looked at in one search for one that is not busy.
const SEARCH_TRACKS: usize = 32;

/// One turn: up to `pace` tracks of one pair. Fig. 5 starts the next turn when this one has ended
/// (502), as long as the pair's status says so (501) and bits are left (503).
pub(crate) async fn elemental_copy(mut lane: Lane) {
    for _ in 0..lane.turn.pace.tracks() {
        lane.ended.end = copy_next(&lane.m, &lane.core, &lane.turn).await;
        if lane.ended.end != TurnEnd::Copied {
            break;
        }
        lane.ended.copied_any = true;
    }
    // 608: the lane says how its turn ended.
}

/// A lane in its turn, counted by the scheduler from the moment it is due.
pub(crate) struct Lane {
    m: JobMailbox,
    core: Arc<Core>,
    turn: Turn,
    ended: Ended,
}

impl Lane {
    pub(crate) fn new(m: JobMailbox, core: Arc<Core>, turn: Turn) -> Self {
        // One that is dropped before it knows better leaves its tracks to the next.
        let ended = Ended { end: TurnEnd::Busy, copied_any: false };
        Self { m, core, turn, ended }
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let (now, rest_unit_ns) = (self.m.now(), self.core.config.copy_rest_ns);
        self.core.scheduler.lock().turn_ended(self.turn, self.ended, now, rest_unit_ns);
        self.m.kick();
    }
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
    let room = match Room::admit(m, core, wanted).await {
        Ok(room) => room,
        Err(NotHeld::NoRoom) => return copy_below_ahead(m, core, turn, track).await,
        Err(error) => return end_of(error),
    };
    let tracks = TrackRange::one(track);
    let view = |family: &mut FamilyState| recheck(family, turn.pair, track);
    let (held, still) = if queue {
        match Held::claim(m, core, turn.primary, Some(tracks), view).await {
            Ok(got) => got,
            Err(error) => return end_of(error),
        }
    } else {
        match core.shared.try_claim(m.owner(), turn.primary, tracks, view) {
            Ok(Some((claim, still))) => (Held::new(m, claim), still),
            Ok(None) => return TurnEnd::Busy,
            Err(error) => return end_of(error.into()),
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

/// How a turn ends that did not get what it asked for. Where queues are full it looks again later.
fn end_of(error: NotHeld) -> TurnEnd {
    match error {
        NotHeld::Busy => TurnEnd::Busy,
        _ => TurnEnd::Stopped,
    }
}

/// What the level below needs of the secondary's old track does not fit the cache together with the
/// copy: it is copied ahead.
async fn copy_below_ahead(m: &Mailbox, core: &Core, turn: &Turn, track: TrackNo) -> TurnEnd {
    let secondary = core
        .shared
        .with_family(turn.primary, |family| family.pair(turn.pair).map(|pair| pair.secondary));
    let Ok(Some(secondary)) = secondary else { return TurnEnd::Stopped };
    match copy_ahead(m, core, secondary, track).await {
        Ok(()) => TurnEnd::Copied,
        Err(error) => end_of(error),
    }
}

/// 501, 601, 602: the next tracks whose inequality bit is 1, from the copy pointer on and around.
/// No bit left is the end of the copy (503), wherever the pointer stands.
fn search(family: &FamilyState, id: PairId) -> Search {
    // 501
    let Some(pair) = family.pair(id).filter(|pair| pair.copier) else { return Search::Stopped };
    if !is_copying(pair) {
        return Search::Stopped;
    }
    // 601, 602
    let mut candidates = Vec::new();
    for track in to_copy(family, pair).take(SEARCH_TRACKS) {
        if family.is_busy(track) {
            candidates.push(Candidate::Busy(track));
            continue;
        }
        candidates.push(Candidate::Free(track));
        break;
    }
    let Some(Candidate::Free(track) | Candidate::Busy(track)) = candidates.last().copied() else {
        return Search::Nothing; // 503
    };
    Search::Found(candidates, wanted_to_copy(family, pair.secondary, track))
}

fn is_copying(pair: &Pair) -> bool {
    matches!(pair.status, PairStatus::PairedNotCopied | PairStatus::CopyInProgress)
}

/// The tracks that a lane of the pair may copy, from the pointer on and around: in C, readable, and
/// not about to be brought by the level above, which changes them again.
fn to_copy<'a>(family: &'a FamilyState, pair: &'a Pair) -> impl Iterator<Item = TrackNo> + 'a {
    let above = family.pair_of_secondary(pair.primary);
    let above = above.filter(|above| is_copying(above) && above.copier);
    let next = move |from: TrackNo| match above {
        Some(above) => pair.c.next_set_except(from, &above.c),
        None => pair.c.next_set(from),
    };
    // What the level above cannot read will not be brought.
    let left_by_above = above.into_iter().flat_map(move |above| {
        above.unreadable.runs().flat_map(TrackRange::iter).filter(|track| pair.c.get(*track))
    });
    let pointer = pair.copy_pointer;
    let behind = std::iter::successors(next(pointer), move |t| next(TrackNo(t.0 + 1)));
    let before = std::iter::successors(next(TrackNo(0)), move |t| next(TrackNo(t.0 + 1)))
        .take_while(move |track| *track < pointer);
    let readable = |track: &TrackNo| !pair.unreadable.get(*track);
    behind.chain(before).chain(left_by_above).filter(readable)
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
    let wanted = is_copying(pair) && pair.c.get(track) && !pair.unreadable.get(track);
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
