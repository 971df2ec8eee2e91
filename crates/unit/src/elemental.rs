//! Elemental copy processing (Fig. 6): one turn of a lane.

use crate::Mailbox;
use crate::change::{copy_ahead, wanted_for_change};
use crate::copy_track::{CopyPlan, Why};
use crate::core::Core;
use crate::held::{Held, NotHeld, Room, Under, Wanted};
use crate::job::JobMailbox;
use crate::scheduler::{Ended, Turn, TurnEnd};
use diptych_format::{FamilyId, PairId, TrackNo, TrackRange};
use diptych_shared::{FamilyState, Pair, PairStatus};
use diptych_sync::{Arc, mutant};

/// Tracks looked at in one search for one that is not busy.
const SEARCH_TRACKS: usize = 32;

/// One turn: up to `pace` tracks of one pair. Fig. 5 starts the next turn when this one has ended
/// (502), as long as the pair's status says so (501) and bits are left (503).
pub(crate) async fn elemental_copy(mut lane: Lane) {
    for _ in 0..lane.turn.tracks {
        lane.ended.end = copy_next(&lane.m, &lane.core, &lane.turn).await;
        if lane.ended.end != TurnEnd::Copied {
            break;
        }
        lane.ended.tracks += 1;
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
        let ended = Ended { end: TurnEnd::Busy, tracks: 0 };
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

/// Tracks that a lane could copy.
#[derive(Debug, Default)]
struct Candidates {
    /// Held by somebody: skip them, or queue for one.
    busy: Vec<TrackNo>,
    /// The first one behind them that nobody holds.
    free: Option<TrackNo>,
}

/// What the pair says of the next track (601, 602).
enum Search {
    Stopped,
    Nothing,
    Found(Candidates, Wanted, FamilyId),
}

/// Steps 601-607 for one track.
async fn copy_next(m: &Mailbox, core: &Core, turn: &Turn) -> TurnEnd {
    let durable = core.journal.is_on();
    let found = core.shared.with_family(turn.primary, |family| search(family, turn.pair, durable));
    let (candidates, wanted, family) = match found {
        Err(_) | Ok(Search::Stopped) => return TurnEnd::Stopped,
        Ok(Search::Nothing) => return TurnEnd::Nothing,
        Ok(Search::Found(candidates, wanted, family)) => (candidates, wanted, family),
    };
    let Some((track, queue)) = choose(core, turn, &candidates) else { return TurnEnd::Busy };
    let room = match Room::admit(m, core, wanted).await {
        Ok(room) => room,
        Err(NotHeld::NoRoom) => return copy_below_ahead(m, core, turn, track).await,
        Err(error) => return end_of(error),
    };
    let tracks = TrackRange::one(track);
    // Until the claim is released: hosts that wait for it meanwhile wait for this pair.
    let _holds = m.lane_of().and_then(|pair| core.waits.lane_holds(m, pair, family, tracks));
    let view = |family: &mut FamilyState| {
        let left = core.journal.is_on() && left_above(family, turn.pair, track);
        recheck(family, turn.pair, track).filter(|_| !left)
    };
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
    if !candidates.busy.is_empty() {
        core.scheduler.lock().unskip(turn.pair, track);
    }
    // Somebody else may have copied it, or it needs more room than was asked for: the next search
    // tells.
    if let Some((plan, now)) = still
        && wanted.covers(now)
    {
        let mut under = Under { m, core, held, room };
        under.copy_planned(plan, track, Why::Background).await;
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
    let target = core
        .shared
        .with_family(turn.primary, |family| family.pair(turn.pair).map(|pair| pair.direction().1));
    let Ok(Some(target)) = target else { return TurnEnd::Stopped };
    match copy_ahead(m, core, target, track, false).await {
        Ok(()) => TurnEnd::Copied,
        Err(error) => end_of(error),
    }
}

/// 501, 601, 602: the next tracks whose inequality bit is 1, from the copy pointer on and around.
/// No bit left is the end of the copy (503), wherever the pointer stands.
///
/// `durable`: there is a log. After a crash the primary may hold something older in what was left to be
/// copied to it, whoever stopped that, and where its contents mean nothing. So a pair that follows it
/// leaves that alone. An image is another matter: it is to be completed.
fn search(family: &FamilyState, id: PairId, durable: bool) -> Search {
    // 501
    let Some(pair) = family.pair(id).filter(|pair| pair.copier) else { return Search::Stopped };
    if !pair.is_copying() {
        return Search::Stopped;
    }
    let follows = pair.status == PairStatus::PairedNotCopied;
    let primary = family.volume(pair.primary).expect("a volume of this family");
    if durable && follows && primary.undefined {
        return Search::Nothing;
    }
    // 601, 602
    let mut found = Candidates::default();
    for track in to_copy(family, pair, durable).take(SEARCH_TRACKS) {
        if family.is_busy(track) {
            found.busy.push(track);
            continue;
        }
        found.free = Some(track);
        break;
    }
    let Some(track) = found.free.or(found.busy.last().copied()) else {
        return Search::Nothing; // 503
    };
    Search::Found(found, wanted_to_copy(family, pair, track), family.id())
}

/// The tracks that a lane of the pair may copy, from the pointer on and around.
fn to_copy<'a>(
    family: &'a FamilyState,
    pair: &'a Pair,
    durable: bool,
) -> impl Iterator<Item = TrackNo> + 'a {
    let above = family.pair_of_secondary(pair.primary);
    // One that is restored brings nothing to its secondary.
    let brings = |above: &&Pair| above.direction().1 == pair.primary && above.is_copying();
    let above = above.filter(|above| {
        let left = durable
            && pair.status == PairStatus::PairedNotCopied
            && above.direction().1 == pair.primary;
        brings(above) && above.copier || left
    });
    let next = move |from| next_to_copy(pair, above, from);
    let pointer = pair.copy_pointer;
    let behind = std::iter::successors(next(pointer), move |t| next(TrackNo(t.0 + 1)));
    let before = std::iter::successors(next(TrackNo(0)), move |t| next(TrackNo(t.0 + 1)))
        .take_while(move |track| *track < pointer);
    behind.chain(before)
}

/// The first track from `from` on that is in C, readable, and not about to be brought by the level
/// above, which changes it again.
fn next_to_copy(pair: &Pair, above: Option<&Pair>, mut from: TrackNo) -> Option<TrackNo> {
    loop {
        let track = pair.c.next_set_except(from, &pair.unreadable)?;
        if pair.settling().get(track) {
            from = pair.settling().next_clear(track)?;
            continue;
        }
        let Some(above) = above.filter(|above| above.c.get(track)) else { return Some(track) };
        // What the level above cannot read will not be brought.
        if above.unreadable.get(track) && above.is_copying() {
            return Some(track);
        }
        let brought = pair.c.next_set_except(track, &above.c);
        let left = above.is_copying().then(|| above.unreadable.next_set(track)).flatten();
        from = brought.into_iter().chain(left).min()?;
    }
}

fn wanted_to_copy(family: &FamilyState, pair: &Pair, track: TrackNo) -> Wanted {
    let below = wanted_for_change(family, pair.direction().1, TrackRange::one(track));
    Wanted { buffers: 1, dirty: 1, records: 1, ..Wanted::default() }.plus(below)
}

/// Whether the track of a pair in 802 is one that the level above has still to copy.
fn left_above(family: &FamilyState, id: PairId, track: TrackNo) -> bool {
    let pair = family.pair(id).filter(|pair| pair.status == PairStatus::PairedNotCopied);
    let above = pair.and_then(|pair| family.pair_of_secondary(pair.primary));
    // A restore takes from this primary, and brings it nothing.
    let above = above.filter(|above| above.direction().1 == above.secondary);
    above.is_some_and(|above| {
        above.c.get(track) && !(above.is_copying() && above.unreadable.get(track))
    })
}

/// Under the claim: what is to be copied and what that takes, if the track is still to be copied.
fn recheck(family: &FamilyState, id: PairId, track: TrackNo) -> Option<(CopyPlan, Wanted)> {
    let pair = family.pair(id)?;
    let wanted = pair.is_copying()
        && pair.c.get(track)
        && !pair.unreadable.get(track)
        && !pair.settling().get(track);
    let wanted = wanted || mutant::removed("recheck-under-claim");
    wanted.then(|| {
        let plan = CopyPlan::of(family, pair.direction().0, &[id], track);
        (plan, wanted_to_copy(family, pair, track))
    })
}

/// The free track, or a busy one that was skipped often enough to queue for.
fn choose(core: &Core, turn: &Turn, candidates: &Candidates) -> Option<(TrackNo, bool)> {
    let Candidates { busy, free } = candidates;
    let waited_for = || {
        let mut scheduler = core.scheduler.lock();
        busy.iter().copied().find(|track| scheduler.skip(turn.pair, *track))
    };
    // Nothing to skip, no look at the scheduler.
    let waited_for = if busy.is_empty() { None } else { waited_for() };
    waited_for.map(|track| (track, true)).or(free.map(|track| (track, false)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_format::{BackingId, Geometry, LdevId, OwnerId};
    use diptych_shared::{Change, Claim, Claimed, MapName, PairOptions, SharedMemory, Volume};

    /// Far more tracks than a search could look at one by one.
    const TRACKS: u64 = 1 << 40;

    const fn ldev(no: u8) -> LdevId {
        LdevId::new(0, no)
    }

    /// Volumes 0, 1 and 2 in one family, under a claim.
    fn family(shared: &SharedMemory) -> Claim {
        let mut claims = (0..3).map(|no| {
            let volume =
                Volume::new(ldev(no), Geometry::with_tracks(1, TRACKS), BackingId(no.into()));
            shared.add_volume(volume).expect("no such volume yet");
            match shared.claim_family(OwnerId(1), ldev(no), |_| ()) {
                Ok(Claimed::Granted(claim, ())) => claim,
                other => panic!("nobody else is here: {other:?}"),
            }
        });
        let first = claims.next().expect("three volumes");
        claims.fold(first, |one, other| shared.merge(one, other).0)
    }

    /// The first free track that a lane of the second level finds, after these changes of the
    /// first-level pair, which has everything to copy.
    fn found(changes: impl IntoIterator<Item = Change>) -> Option<TrackNo> {
        let shared = SharedMemory::default();
        let claim = family(&shared);
        claim.with(|family| {
            for no in [0, 1] {
                let (primary, secondary) = (ldev(no), ldev(no + 1));
                let options = PairOptions::default();
                let pair = Pair::new(pair_id(no), primary, secondary, TRACKS, options, true);
                family.change(Change::AddPair(Box::new(pair)));
            }
            for change in changes {
                family.change(change);
            }
        });
        let wakes = claim.release();
        assert!(wakes.is_empty(), "nobody waits");
        let search = shared.with_family(ldev(1), |family| search(family, pair_id(1), false));
        match search.expect("the volume") {
            Search::Found(found, ..) => {
                assert!(found.busy.is_empty(), "nobody holds a track: {found:?}");
                found.free
            }
            Search::Nothing => None,
            Search::Stopped => panic!("both levels copy"),
        }
    }

    fn pair_id(no: u8) -> PairId {
        PairId { no: no.into(), epoch: 0 }
    }

    #[test]
    fn a_search_at_the_second_level_does_not_look_at_each_track() {
        let (pair, map) = (pair_id(0), MapName::C);
        let clear = |track| {
            let tracks = TrackRange::one(TrackNo(track));
            Change::Clear { pair, map, tracks }
        };
        assert_eq!(found([]), None);
        assert_eq!(found([clear(TRACKS - 1)]), Some(TrackNo(TRACKS - 1)));
        assert_eq!(found([clear(TRACKS - 1), clear(TRACKS / 3)]), Some(TrackNo(TRACKS / 3)));
        // What the level above cannot read will not be brought, and is not waited for.
        let track = TrackNo(TRACKS / 5);
        assert_eq!(found([Change::Unreadable { pair, track }]), Some(track));
        // A pair above that stands still brings nothing.
        assert_eq!(found([Change::Suspend { pair, all_different: false }]), Some(TrackNo(0)));
    }
}
