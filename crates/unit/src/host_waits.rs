//! How long hosts wait for what lanes hold or do: what a target of added latency is measured by.
//!
//! Two things of a lane are in a host's way: the track that it holds a claim of, and its request to a
//! drive. A host that queues behind either notes when it began to wait and for which pairs, and the
//! wait ends when what it waited for is over. Only pairs with a target are watched; if there is none,
//! a look at an empty table is all that a host pays, and a request that hits the cache and gets its
//! claim pays nothing at all.
//!
//! What counts as waiting at a drive: the time until the last of the lanes' requests that were there
//! first has ended, but not more than the host's request took longer than the quickest one that found
//! no lane there. So a drive that serves several requests at once is not taken for a queue.
//!
//! Not counted is what a host does for an image (904 to 907): a slower copy has it do more of that.
//! Nor waits for room in the cache: the governor sees those as write pending.
//!
//! Invariant: figures alone. Nothing is held here, so nothing waits for what is noted here.

use crate::Mailbox;
use diptych_format::{DriveNo, FamilyId, PairId, Time, TrackRange};
use diptych_sync::Unseen;
use std::collections::{BTreeMap, BTreeSet};

/// Hosts' requests that had to go where lanes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Requests to a drive that the lanes use, and requests that waited for a claim of a lane.
    pub(crate) requests: u64,
    /// Those that waited for lanes longer than the target.
    pub(crate) late: u64,
    /// When the latest of these began to wait.
    pub(crate) late_since: Option<Time>,
    /// How long all of them waited for lanes.
    pub(crate) waited_ns: u64,
    /// The longest of these waits.
    pub(crate) worst_ns: u64,
}

impl Tally {
    /// Both together; `later` came after.
    pub(crate) fn add(&mut self, later: &Self) {
        self.requests += later.requests;
        self.late += later.late;
        self.late_since = later.late_since.or(self.late_since);
        self.waited_ns = self.waited_ns.saturating_add(later.waited_ns);
        self.worst_ns = self.worst_ns.max(later.worst_ns);
    }
}

/// A pair with a target.
#[derive(Debug)]
struct Watched {
    target_ns: u64,
    /// Tracks that its lanes hold or ask for.
    tracks: Vec<(u64, FamilyId, TrackRange)>,
    /// Since it was last taken.
    tally: Tally,
}

impl Watched {
    fn note(&mut self, began: Time, waited_ns: u64) {
        let late = waited_ns > self.target_ns;
        self.tally.add(&Tally {
            requests: 1,
            late: late.into(),
            late_since: late.then_some(began),
            waited_ns,
            worst_ns: waited_ns,
        });
    }
}

/// A host's request to a drive.
#[derive(Debug)]
struct AtDrive {
    no: u64,
    began: Time,
    /// Requests of lanes that were there first and are there still.
    ahead: Vec<u64>,
    /// The pairs they were for.
    behind: BTreeSet<PairId>,
    /// When the last of them ended.
    free: Option<Time>,
}

/// A drive that lanes of watched pairs use.
#[derive(Debug, Default)]
struct Drive {
    /// The pairs, as long as they are watched.
    pairs: BTreeSet<PairId>,
    /// Requests of lanes under way.
    lanes: Vec<(u64, PairId)>,
    hosts: Vec<AtDrive>,
    /// How long the quickest request takes that finds no lane there; forgotten by and by.
    quick_ns: Option<u64>,
}

#[derive(Debug, Default)]
struct State {
    pairs: BTreeMap<PairId, Watched>,
    drives: BTreeMap<DriveNo, Drive>,
    last_no: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct HostWaits(Unseen<State>);

/// What a guard notes the end of.
#[derive(Debug)]
enum What {
    /// A lane holds a track, or asks for one.
    Track(PairId),
    /// A lane's request to a drive.
    Lane(DriveNo),
    /// A host's request to a drive.
    Host(DriveNo),
    /// A host waits for a claim behind lanes of these pairs.
    Claim(Vec<PairId>, Time),
}

/// Something that is under way until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay<'a> {
    waits: &'a HostWaits,
    m: &'a Mailbox,
    no: u64,
    what: What,
}

impl HostWaits {
    /// From now on the waits that the pair's lanes cause are noted.
    pub(crate) fn watch(&self, pair: PairId, target_ns: u64) {
        self.0.with(|state| {
            let new = || Watched { target_ns, tracks: Vec::new(), tally: Tally::default() };
            state.pairs.entry(pair).or_insert_with(new).target_ns = target_ns;
        });
    }

    /// The pair is not copied any more, or has no target.
    pub(crate) fn unwatch(&self, pair: PairId) {
        self.0.with(|state| {
            if state.pairs.remove(&pair).is_some() {
                state.drives.values_mut().for_each(|drive| drive.pairs.retain(|p| *p != pair));
                state.forget_drives();
            }
        });
    }

    /// What was noted of the pair since this was last asked.
    pub(crate) fn take(&self, pair: PairId) -> Tally {
        self.0.with(|state| {
            state.pairs.get_mut(&pair).map(|w| std::mem::take(&mut w.tally)).unwrap_or_default()
        })
    }

    /// A lane of the pair holds these tracks, or asks for them.
    pub(crate) fn lane_holds<'a>(
        &'a self,
        m: &'a Mailbox,
        pair: PairId,
        family: FamilyId,
        tracks: TrackRange,
    ) -> Option<UnderWay<'a>> {
        let no = self.0.with(|state| {
            let no = state.next_no();
            state.pairs.get_mut(&pair)?.tracks.push((no, family, tracks));
            Some(no)
        })?;
        Some(UnderWay { waits: self, m, no, what: What::Track(pair) })
    }

    /// A job makes a request to a drive: a host's, or one of a lane that is watched.
    pub(crate) fn at_drive<'a>(&'a self, m: &'a Mailbox, drive: DriveNo) -> Option<UnderWay<'a>> {
        let (lane, now) = (m.lane_of(), m.now());
        if lane.is_none() && !m.is_host() {
            return None;
        }
        let no = self.0.with(|state| match lane {
            Some(pair) => state.lane_at_drive(pair, drive),
            None => state.host_at_drive(drive, now),
        })?;
        let what = if lane.is_some() { What::Lane(drive) } else { What::Host(drive) };
        Some(UnderWay { waits: self, m, no, what })
    }

    /// A host queues for a claim of these tracks; the wait is over when the guard goes.
    pub(crate) fn host_queues<'a>(
        &'a self,
        m: &'a Mailbox,
        family: FamilyId,
        tracks: TrackRange,
    ) -> Option<UnderWay<'a>> {
        if !m.is_host() {
            return None;
        }
        let pairs: Vec<PairId> = self.0.with(|state| {
            let holds = |watched: &Watched| {
                let mut held = watched.tracks.iter();
                held.any(|(_, of, held)| *of == family && held.overlaps(tracks))
            };
            state.pairs.iter().filter(|(_, w)| holds(w)).map(|(pair, _)| *pair).collect()
        });
        let what = What::Claim(pairs, m.now());
        Some(UnderWay { waits: self, m, no: 0, what })
    }
}

impl State {
    fn next_no(&mut self) -> u64 {
        self.last_no += 1;
        self.last_no
    }

    fn lane_at_drive(&mut self, pair: PairId, drive: DriveNo) -> Option<u64> {
        if !self.pairs.contains_key(&pair) {
            return None;
        }
        let no = self.next_no();
        let drive = self.drives.entry(drive).or_default();
        drive.pairs.insert(pair);
        drive.lanes.push((no, pair));
        Some(no)
    }

    fn host_at_drive(&mut self, drive: DriveNo, began: Time) -> Option<u64> {
        let no = self.last_no + 1;
        let drive = self.drives.get_mut(&drive)?;
        self.last_no = no;
        let (ahead, behind) = drive.lanes.iter().copied().unzip();
        drive.hosts.push(AtDrive { no, began, ahead, behind, free: None });
        Some(no)
    }

    fn lane_ends(&mut self, drive: DriveNo, no: u64, now: Time) {
        let Some(drive) = self.drives.get_mut(&drive) else { return };
        drive.lanes.retain(|(of, _)| *of != no);
        for host in &mut drive.hosts {
            let before = host.ahead.len();
            host.ahead.retain(|of| *of != no);
            if before > 0 && host.ahead.is_empty() {
                host.free = Some(now);
            }
        }
        self.forget_drives();
    }

    fn host_ends(&mut self, drive: DriveNo, no: u64, now: Time) {
        let Some(at) = self.drives.get_mut(&drive) else { return };
        let Some(index) = at.hosts.iter().position(|host| host.no == no) else { return };
        let host = at.hosts.swap_remove(index);
        let took_ns = now.ns_since(host.began);
        if host.behind.is_empty() {
            let quick_ns = at.quick_ns.map_or(took_ns, |quick| quick.saturating_add(quick / 64));
            at.quick_ns = Some(quick_ns.min(took_ns));
        }
        let slower_ns = took_ns.saturating_sub(at.quick_ns.unwrap_or(0));
        let until = host.free.unwrap_or(now);
        for pair in &at.pairs {
            let was_behind = host.behind.contains(pair);
            let waited_ns = if was_behind { until.ns_since(host.began).min(slower_ns) } else { 0 };
            if let Some(watched) = self.pairs.get_mut(pair) {
                watched.note(host.began, waited_ns);
            }
        }
        self.forget_drives();
    }

    /// A drive that no watched pair uses is not known.
    fn forget_drives(&mut self) {
        self.drives.retain(|_, drive| {
            !drive.pairs.is_empty() || !drive.lanes.is_empty() || !drive.hosts.is_empty()
        });
    }

    fn ends(&mut self, no: u64, what: &What, now: Time) {
        match what {
            What::Track(pair) => {
                if let Some(watched) = self.pairs.get_mut(pair) {
                    watched.tracks.retain(|(of, ..)| *of != no);
                }
            }
            What::Lane(drive) => self.lane_ends(*drive, no, now),
            What::Host(drive) => self.host_ends(*drive, no, now),
            What::Claim(pairs, began) => {
                for pair in pairs {
                    if let Some(watched) = self.pairs.get_mut(pair) {
                        watched.note(*began, now.ns_since(*began));
                    }
                }
            }
        }
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let (no, now) = (self.no, self.m.now());
        self.waits.0.with(|state| state.ends(no, &self.what, now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mailbox::Role;
    use diptych_format::{OwnerId, TrackNo};
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    const PAIR: PairId = PairId { no: 0, epoch: 0 };
    const OTHER: PairId = PairId { no: 1, epoch: 0 };
    const TARGET_NS: u64 = 100;
    const FAMILY: FamilyId = FamilyId(1);

    /// What happens to whom.
    #[derive(Debug, Clone, Copy)]
    enum Do {
        HostAt(u16),
        LaneAt(u16),
        OtherLaneAt(u16),
        HostQueues(u64),
        LaneHolds(u64),
        End,
    }
    use Do::{End, HostAt, HostQueues, LaneAt, LaneHolds, OtherLaneAt};

    /// Plays what happens, each with its time and the job it happens to, and tells what was noted of
    /// both pairs: requests, late, waited, worst.
    fn check(script: &[(u64, u8, Do)], expected: &str) {
        let waits = HostWaits::default();
        waits.watch(PAIR, TARGET_NS);
        waits.watch(OTHER, TARGET_NS);
        let mailboxes: Vec<Mailbox> = (0..=u8::MAX)
            .map(|job| {
                let what = script.iter().find(|(_, of, _)| *of == job).map(|(.., what)| what);
                let role = match what {
                    Some(LaneAt(_) | LaneHolds(_)) => Role::WatchedLane(PAIR),
                    Some(OtherLaneAt(_)) => Role::WatchedLane(OTHER),
                    _ => Role::Host,
                };
                Mailbox::new(OwnerId(job.into()), role)
            })
            .collect();
        let mut under_way = BTreeMap::new();
        let one = |track: u64| TrackRange::one(TrackNo(track));
        for (now, job, what) in script {
            let m = &mailboxes[usize::from(*job)];
            m.set_now(Time::from_ns(*now));
            let begun = match what {
                HostAt(drive) | LaneAt(drive) | OtherLaneAt(drive) => {
                    waits.at_drive(m, DriveNo(*drive))
                }
                HostQueues(track) => waits.host_queues(m, FAMILY, one(*track)),
                LaneHolds(track) => waits.lane_holds(m, PAIR, FAMILY, one(*track)),
                End => None,
            };
            under_way.remove(job);
            under_way.extend(begun.map(|begun| (*job, begun)));
        }
        assert!(under_way.is_empty(), "all of it ends");
        let mut noted = String::new();
        for pair in [PAIR, OTHER] {
            let Tally { requests, late, waited_ns, worst_ns, .. } = waits.take(pair);
            let _ = write!(noted, "{requests} {late} {waited_ns} {worst_ns}; ");
            assert_eq!(waits.take(pair), Tally::default(), "it is taken once");
        }
        assert_eq!(noted.trim_end_matches("; "), expected, "{script:?}");
    }

    const NONE: &str = "0 0 0 0; 0 0 0 0";

    #[test]
    fn a_wait_for_a_claim_is_that_of_whose_lane_holds_it() {
        check(
            &[(0, 0, LaneHolds(5)), (10, 1, HostQueues(5)), (60, 0, End), (60, 1, End)],
            "1 0 50 50; 0 0 0 0",
        );
        // Later than the target, and two of them.
        let two = [
            (0, 0, LaneHolds(5)),
            (10, 1, HostQueues(5)),
            (60, 2, HostQueues(5)),
            (160, 0, End),
            (160, 1, End),
            (200, 2, End),
        ];
        check(&two, "2 2 290 150; 0 0 0 0");
        // Another track: the host waits for somebody else.
        check(&[(0, 0, LaneHolds(4)), (10, 1, HostQueues(5)), (60, 0, End), (60, 1, End)], NONE);
        // It was not held any more.
        check(&[(0, 0, LaneHolds(5)), (5, 0, End), (10, 1, HostQueues(5)), (60, 1, End)], NONE);
    }

    #[test]
    fn a_wait_at_a_drive_is_for_what_was_there_first() {
        // A host that finds no lane waits for none, and shows how quick the drive is: 40.
        let quick = [(0, 0, LaneAt(3)), (10, 0, End), (20, 1, HostAt(3)), (60, 1, End)];
        check(&quick, "1 0 0 0; 0 0 0 0");
        let behind = |then: &[(u64, u8, Do)], expected: &str| {
            check(&[&quick, then].concat(), expected);
        };
        // First the lane's request, then the host's.
        behind(
            &[(100, 2, LaneAt(3)), (150, 3, HostAt(3)), (200, 2, End), (240, 3, End)],
            "2 0 50 50; 0 0 0 0",
        );
        // The lane's came later.
        behind(
            &[(100, 3, HostAt(3)), (110, 2, LaneAt(3)), (150, 3, End), (200, 2, End)],
            "2 0 0 0; 0 0 0 0",
        );
        // Both at once at a drive that serves several: the host's took no longer for it.
        behind(
            &[(100, 2, LaneAt(3)), (150, 3, HostAt(3)), (190, 3, End), (200, 2, End)],
            "2 0 0 0; 0 0 0 0",
        );
        // Two lanes of two pairs are in the way until the last is done.
        let two = [
            (100, 2, LaneAt(3)),
            (110, 4, OtherLaneAt(3)),
            (150, 3, HostAt(3)),
            (200, 2, End),
            (300, 4, End),
            (340, 3, End),
        ];
        behind(&two, "2 1 150 150; 1 1 150 150");
        // Another drive is none of theirs.
        behind(
            &[(100, 2, LaneAt(3)), (150, 3, HostAt(4)), (200, 2, End), (240, 3, End)],
            "1 0 0 0; 0 0 0 0",
        );
    }

    #[test]
    fn a_slow_request_is_not_taken_for_the_drives_usual_time() {
        let waits = HostWaits::default();
        waits.watch(PAIR, TARGET_NS);
        let lane = Mailbox::new(OwnerId(1), Role::WatchedLane(PAIR));
        let host = Mailbox::new(OwnerId(2), Role::Host);
        drop(waits.at_drive(&lane, DriveNo(0)));
        let mut now = 0;
        let mut serve = |took_ns| {
            host.set_now(Time::from_ns(now));
            let at_drive = waits.at_drive(&host, DriveNo(0));
            now += took_ns;
            host.set_now(Time::from_ns(now));
            drop(at_drive);
            waits.0.with(|state| state.drives[&DriveNo(0)].quick_ns)
        };
        assert_eq!(serve(6_400), Some(6_400));
        assert_eq!(serve(9_999), Some(6_500), "by and by");
        assert_eq!(serve(1_000), Some(1_000));
    }

    #[test]
    fn nothing_is_kept_of_what_nobody_watches() {
        let waits = HostWaits::default();
        let lane = Mailbox::new(OwnerId(1), Role::WatchedLane(PAIR));
        let host = Mailbox::new(OwnerId(2), Role::Host);
        let other = Mailbox::new(OwnerId(3), Role::Background);
        assert!(waits.at_drive(&host, DriveNo(0)).is_none());
        waits.watch(PAIR, 1);
        assert!(waits.at_drive(&host, DriveNo(0)).is_none(), "no lane was there");
        assert!(waits.at_drive(&other, DriveNo(0)).is_none());
        let (one, two) = (waits.at_drive(&lane, DriveNo(0)), waits.at_drive(&host, DriveNo(0)));
        let holds = waits.lane_holds(&lane, PAIR, FAMILY, TrackRange::one(TrackNo(0)));
        waits.unwatch(PAIR);
        drop((one, two, holds));
        assert!(waits.at_drive(&lane, DriveNo(0)).is_none());
        waits.0.with(|state| assert!(state.pairs.is_empty() && state.drives.is_empty()));
    }
}
