//! Snapshot, restore and replay: random histories come back, impossible records are told.

use crate::recorder::{Record, TRACKS, Tape, ldev, new_volume, recorded};
use crate::tracks;
use diptych_format::{BackingId, Geometry, ImageNo, LdevId, OwnerId, PairId, Time, TrackNo};
use diptych_shared::{
    Change, Claim, Claimed, Limits, MapName, Pair, PairOptions, PairStatus, ReplayError,
    SharedError, SharedMemory, State, StateError, TrackMap, Volume, VolumeState,
};
use diptych_sync::atomic::{AtomicBool, Ordering};
use diptych_sync::{Arc, thread};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::Duration;

const VOLUMES: u8 = 5;
const NONE: PairId = PairId { no: 77, epoch: 0 };

/// What a step is made of; small numbers that choose among what there is.
#[derive(Debug, Clone, Copy)]
struct Dice {
    kind: u8,
    pair: u8,
    ldev: u8,
    other: u8,
    track: u64,
    length: u64,
    flag: bool,
}

fn dice() -> impl Strategy<Value = Dice> {
    // Past the last volume, and past the last track, now and then.
    let places = (0..12_u8, 1..=VOLUMES + 1, 1..=VOLUMES + 1);
    (0..34_u8, places, 0..TRACKS + 1, 0..TRACKS, any::<bool>()).prop_map(
        |(kind, (pair, ldev, other), track, length, flag)| Dice {
            kind,
            pair,
            ldev,
            other,
            track,
            length,
            flag,
        },
    )
}

/// A recorded memory, and what a test knows of it.
struct World {
    memory: SharedMemory,
    tape: Arc<Tape>,
    pairs: Vec<(PairId, LdevId)>,
    numbers: BTreeSet<PairId>,
    clock: u64,
}

fn held(claimed: Result<Claimed<()>, SharedError>) -> Option<Claim> {
    match claimed {
        Ok(Claimed::Granted(claim, ())) => Some(claim),
        Ok(Claimed::Queued(_)) => panic!("nobody else claims"),
        Err(_) => None,
    }
}

impl World {
    fn new() -> Self {
        let (memory, tape) = recorded(VOLUMES);
        let (pairs, numbers) = (Vec::new(), BTreeSet::new());
        Self { memory, tape, pairs, numbers, clock: 0 }
    }

    fn step(&mut self, dice: Dice) {
        self.clock += 1;
        match dice.kind {
            0..4 => self.create(dice),
            4 => self.delete(dice),
            5 => {
                let _paired = self.memory.remove_volume(ldev(dice.ldev));
                let mut volume = new_volume(dice.ldev);
                volume.backing = BackingId(1_000 + self.clock as u32);
                let _there_already = self.memory.add_volume(volume);
            }
            _ => self.change(dice),
        }
    }

    /// As the create command: claims, merges, takes a number, adds; or gives all back.
    fn create(&mut self, dice: Dice) {
        let (primary, secondary) = (ldev(dice.ldev), ldev(dice.other));
        let Some(a) = held(self.memory.claim_family(OwnerId(1), primary, |_| ())) else { return };
        let same = a.with(|family| family.volume(secondary).is_some());
        let claim = if same {
            a
        } else {
            match held(self.memory.claim_family(OwnerId(1), secondary, |_| ())) {
                Some(b) => self.memory.merge(a, b).0,
                None => a,
            }
        };
        let id = self.memory.allocate_pair().unwrap();
        let options = PairOptions { lanes: 1 + dice.pair % 3, ..PairOptions::default() };
        let mut pair = Pair::new(id, primary, secondary, TRACKS, options, dice.flag);
        if dice.length == 0 {
            pair.c = TrackMap::new(TRACKS + 1);
        }
        if dice.length == 1 {
            pair.status = PairStatus::Copied;
        }
        let change = Change::AddPair(Box::new(pair));
        let allowed = claim.with(|family| family.allows(&change));
        if allowed.is_ok() {
            claim.with(|family| family.change(change));
            self.pairs.push((id, primary));
            assert!(self.numbers.insert(id), "{id} was used before");
        } else {
            self.panics(primary, change);
            self.memory.free_pair(id);
        }
        for claim in self.memory.split(claim).0 {
            assert!(claim.release().is_empty());
        }
    }

    /// As the delete command; what else it changes is in the same visit, wherever it lies afterwards.
    fn delete(&mut self, dice: Dice) {
        if self.pairs.is_empty() {
            return;
        }
        let (id, primary) = self.pairs.swap_remove(usize::from(dice.pair) % self.pairs.len());
        let claim = held(self.memory.claim_family(OwnerId(1), primary, |_| ())).unwrap();
        claim.with(|family| {
            let secondary = family.pair(id).unwrap().secondary;
            let others: Vec<_> = family.pairs().iter().map(|pair| pair.id).collect();
            family.change(Change::RemovePair(id));
            family.change(Change::Undefined { ldev: secondary, undefined: true });
            for pair in others.into_iter().filter(|other| *other != id) {
                let tracks = tracks(dice.track.min(TRACKS), TRACKS);
                family.change(Change::Set { pair, map: MapName::A, tracks });
            }
        });
        for claim in self.memory.split(claim).0 {
            assert!(claim.release().is_empty());
        }
        self.memory.free_pair(id);
    }

    /// Any other change, if it is possible. That it is told must be right.
    fn change(&mut self, dice: Dice) {
        let known = self.pairs.get(usize::from(dice.pair) % self.pairs.len().max(1));
        let known = known.filter(|_| dice.pair != 11);
        let (id, of) = known.copied().unwrap_or((NONE, ldev(1)));
        let change = self.change_of(id, dice);
        let of = match change {
            Change::HostChange { primary: ldev, .. } | Change::Allocate { ldev, .. } => ldev,
            Change::SecondaryChange { secondary: ldev, .. } => ldev,
            Change::Deallocate { ldev, .. } | Change::VolumeState { ldev, .. } => ldev,
            Change::Reserve { ldev, .. } | Change::Undefined { ldev, .. } => ldev,
            Change::HostWrote { ldev, .. } => ldev,
            _ => of,
        };
        match self.memory.with_family(of, |family| family.allows(&change)) {
            Ok(Ok(())) => {
                self.memory.with_family(of, |family| family.change(change)).unwrap();
            }
            Ok(Err(_)) => self.panics(of, change),
            Err(_) => assert_eq!(of, ldev(VOLUMES + 1)),
        }
    }

    fn change_of(&self, pair: PairId, dice: Dice) -> Change {
        let Dice { track, length, flag, .. } = dice;
        let (ldev, image) = (ldev(dice.ldev), ImageNo(self.clock));
        let (at, tracks) = (Time::from_ns(self.clock), tracks(track, track + length));
        let track = TrackNo(track);
        let all = crate::tracks(0, TRACKS);
        let lanes = if dice.other == 1 { 0 } else { dice.other };
        let options = PairOptions { lanes, quick: flag, ..PairOptions::default() };
        let map = MapName::ALL[usize::from(dice.other) % 4];
        let state = VolumeState::ALL[usize::from(dice.other) % 6];
        match dice.kind {
            6 => Change::Set { pair, map, tracks },
            7 => Change::Clear { pair, map, tracks },
            8 | 9 => Change::Clear { pair, map: MapName::C, tracks: all },
            10 | 11 => Change::Copied { pair, track, protecting: flag },
            12..16 => Change::Settling { pair, track },
            16 | 17 => Change::Settled { pair, tracks: self.settled(pair, dice) },
            18 | 19 => Change::HostChange { primary: ldev, tracks },
            20 => Change::SecondaryChange { secondary: ldev, tracks },
            21 | 22 => Change::Copy { pair, image, options },
            23 => Change::Resync { pair, options },
            24 => Change::CopyBegins { pair, at },
            25 => Change::Restore { pair, options },
            26 => Change::AbandonRestore { pair },
            27 => Change::Exchange { pair, freeze: flag.then_some(image), options },
            28 => Change::Suspend { pair, all_different: flag },
            29 => Change::Unreadable { pair, track },
            30 => Change::Options { pair, options },
            31 if flag => Change::Allocate { ldev, tracks },
            31 => Change::Deallocate { ldev, tracks },
            32 if flag => Change::Reserve { ldev, reserved: lanes > 2 },
            32 => Change::Undefined { ldev, undefined: lanes > 2 },
            _ if flag => Change::HostWrote { ldev, at },
            _ => Change::VolumeState { ldev, state },
        }
    }

    /// What is settling, and now and then what may not be settled.
    fn settled(&self, id: PairId, dice: Dice) -> Vec<diptych_format::TrackRange> {
        let some = tracks(dice.track, dice.track + dice.length);
        match dice.other {
            1 => vec![some],
            2 => vec![some, some],
            _ => {
                let of = self.pairs.iter().find(|(pair, _)| *pair == id);
                let settling = of.map(|&(_, of)| {
                    let runs = |pair: &Pair| pair.settling().runs().collect();
                    self.memory.with_family(of, |family| family.pair(id).map_or(vec![], runs))
                });
                settling.map_or(vec![], Result::unwrap)
            }
        }
    }

    /// What is not allowed must be a broken invariant.
    fn panics(&self, of: LdevId, change: Change) {
        let copy = SharedMemory::default();
        copy.restore(self.memory.snapshot(|| ()).0).unwrap();
        if let Change::AddPair(pair) = &change {
            join(&copy, pair.primary, pair.secondary);
        }
        let name = format!("{change:?}");
        let apply = || copy.with_family(of, |family| family.change(change)).map(drop);
        let outcome = quietly(|| catch_unwind(AssertUnwindSafe(apply)));
        assert!(outcome.is_err(), "not allowed, and yet: {name}");
    }

    /// Families as sets of volumes, volumes and pairs, without what a restart may change.
    fn seen(memory: &SharedMemory) -> (Vec<(u64, LdevId)>, State) {
        let (mut state, ()) = memory.snapshot(|| ());
        state.pair_numbers.clear();
        for pair in &mut state.pairs {
            pair.copy_pointer = TrackNo(0);
        }
        let volumes = memory.volumes();
        let family = |of: &LdevId| memory.with_family(*of, |family| family.id()).unwrap();
        let first = |of: &LdevId| volumes.iter().position(|other| family(other) == family(of));
        let families = volumes.iter().map(|of| (first(of).unwrap() as u64, *of)).collect();
        (families, state)
    }
}

fn join(memory: &SharedMemory, primary: LdevId, secondary: LdevId) {
    let Some(a) = held(memory.claim_family(OwnerId(1), primary, |_| ())) else { return };
    let same = a.with(|family| family.volume(secondary).is_some());
    let b = if same { None } else { held(memory.claim_family(OwnerId(1), secondary, |_| ())) };
    let claim = match b {
        Some(b) => memory.merge(a, b).0,
        None => a,
    };
    assert!(claim.release().is_empty());
}

thread_local! {
    static QUIET: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `body` without a word about its panic.
fn quietly<R>(body: impl FnOnce() -> R) -> R {
    static HOOK: OnceLock<()> = OnceLock::new();
    HOOK.get_or_init(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !QUIET.get() {
                before(info);
            }
        }));
    });
    QUIET.set(true);
    let result = body();
    QUIET.set(false);
    result
}

fn replay(memory: &SharedMemory, records: &[Record]) {
    for record in records {
        match record {
            Record::Changed(of, changes) => {
                for change in changes {
                    memory.replay(*of, change.clone()).unwrap();
                }
            }
            Record::Added(volume) => memory.replay_volume_added((**volume).clone()).unwrap(),
            Record::Removed(ldev, backing) => {
                assert_eq!(memory.replay_volume_removed(*ldev).unwrap().backing, *backing);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_was_recorded_comes_back(
        steps in prop::collection::vec(dice(), 1..160),
        point in any::<prop::sample::Index>(),
    ) {
        let mut world = World::new();
        let mut kept = None;
        for (no, &step) in steps.iter().enumerate() {
            if no == point.index(steps.len()) {
                // What was recorded before `at` is in the state and not replayed.
                let (state, before) = world.memory.snapshot(|| world.tape.take());
                drop(before);
                let bytes = postcard::to_allocvec(&state).unwrap();
                prop_assert_eq!(postcard::from_bytes::<State>(&bytes), Ok(state.clone()));
                kept = Some(state);
            }
            world.step(step);
        }
        let records = world.tape.take();
        let tape = Arc::new(Tape::default());
        let back = SharedMemory::recorded(Limits::default(), tape.clone());
        back.restore(kept.unwrap()).unwrap();
        replay(&back, &records);
        prop_assert_eq!(World::seen(&back), World::seen(&world.memory));
        prop_assert_eq!(tape.take(), []);
        // No number of a pair comes back as it was.
        for _ in 0..4 {
            let id = back.allocate_pair().unwrap();
            prop_assert!(!world.numbers.contains(&id), "{} again", id);
        }
    }
}

/// Snapshots while other threads change, pair, and add: each, with what was recorded after it, is what
/// memory is at the end.
#[test]
fn a_snapshot_is_one_instant() {
    let (memory, tape) = recorded(4);
    let stop = AtomicBool::new(false);
    let mut kept = Vec::new();
    thread::scope(|scope| {
        let (memory, tape, stop) = (&memory, &tape, &stop);
        let visit = move |no: u8| {
            for n in (0..1_000_000_u64).take_while(|_| !stop.load(Ordering::Relaxed)) {
                let change =
                    |start| Change::Allocate { ldev: ldev(no), tracks: tracks(start, start + 1) };
                let visited = memory.with_family(ldev(no), |family| {
                    family.change(change(n % TRACKS));
                    family.change(change((n + 1) % TRACKS));
                    let tracks = tracks((n + 2) % TRACKS, (n + 2) % TRACKS + 1);
                    family.change(Change::Deallocate { ldev: ldev(no), tracks });
                });
                visited.unwrap();
            }
        };
        let writers = [1, 3].map(|no| scope.spawn(move || visit(no)));
        let pairs = scope.spawn(move || {
            for n in (0..1_000_000_u64).take_while(|_| !stop.load(Ordering::Relaxed)) {
                let owner = OwnerId(n);
                let Some(a) = held(memory.claim_family(owner, ldev(1), |_| ())) else { continue };
                let b = held(memory.claim_family(owner, ldev(2), |_| ())).unwrap();
                let claim = memory.merge(a, b).0;
                let id = memory.allocate_pair().unwrap();
                let options = PairOptions::default();
                let pair = Box::new(Pair::new(id, ldev(1), ldev(2), TRACKS, options, true));
                claim.with(|family| family.change(Change::AddPair(pair)));
                claim.with(|family| family.change(Change::RemovePair(id)));
                for claim in memory.split(claim).0 {
                    assert!(claim.release().is_empty());
                }
                memory.free_pair(id);
                memory.remove_volume(ldev(4)).unwrap();
                memory.add_volume(new_volume(4)).unwrap();
            }
        });
        for _ in 0..30 {
            kept.push(memory.snapshot(|| tape.len()));
            thread::sleep(Duration::from_micros(300));
        }
        stop.store(true, Ordering::Relaxed);
        for thread in writers.into_iter().chain([pairs]) {
            thread.join().unwrap();
        }
    });
    let (records, end) = (tape.take(), World::seen(&memory));
    for (state, from) in kept {
        let back = SharedMemory::default();
        back.restore(state).unwrap();
        replay(&back, &records[from..]);
        assert_eq!(World::seen(&back), end, "from {from}");
    }
}

fn numbered(id: PairId, primary: u8, secondary: u8) -> Pair {
    Pair::new(id, ldev(primary), ldev(secondary), TRACKS, PairOptions::default(), true)
}

fn a_pair(no: u16, primary: u8, secondary: u8) -> Pair {
    numbered(PairId { no, epoch: 3 }, primary, secondary)
}

/// Volumes 1 to 4 and a pair of the first two.
fn a_state() -> State {
    let volumes = (1..=4).map(new_volume).collect();
    State { volumes, pairs: vec![a_pair(1, 1, 2)], pair_numbers: vec![None, Some(3), Some(8)] }
}

/// A command under way has a number whose pair is not there yet, or not any more. Nobody can tell.
#[test]
fn a_number_under_way_is_not_given_out_again() {
    let (memory, _tape) = recorded(2);
    let id = memory.allocate_pair().unwrap();
    let back = SharedMemory::default();
    back.restore(memory.snapshot(|| ()).0).unwrap();
    let next = PairId { no: id.no, epoch: id.epoch + 1 };
    assert_eq!(back.allocate_pair(), Ok(next), "it may have been a pair's");
    back.free_pair(next);
    let back = SharedMemory::default();
    back.restore(memory.snapshot(|| ()).0).unwrap();
    let pair = Change::AddPair(Box::new(numbered(id, 1, 2)));
    assert_eq!(back.replay(ldev(1), pair), Ok(None), "it may become a pair's");
    assert_eq!(back.replay(ldev(1), Change::RemovePair(id)), Ok(None));
    assert_eq!(back.allocate_pair(), Ok(next));
}

#[test]
fn the_bytes_of_a_state_do_not_change() {
    let mut state = a_state();
    state.volumes.truncate(2);
    let bytes = postcard::to_allocvec(&state).unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    insta::assert_snapshot!(hex, @"020001050108010100000001080000020501080202000000010800010103000100010002000301000001020811010801080208110000010800000000030001030108");
}

#[test]
fn impossible_states_are_refused() {
    let refused = |spoil: &dyn Fn(&mut State)| {
        let limits = Limits { volumes: 5, pairs: 4, ..Limits::default() };
        let (memory, mut state) = (SharedMemory::new(limits), a_state());
        spoil(&mut state);
        let error = memory.restore(state).expect_err("refused");
        assert_eq!(memory.volumes(), [], "and nothing happened");
        memory.restore(a_state()).unwrap();
        assert_eq!(memory.allocate_pair(), Ok(PairId { no: 2, epoch: 8 }));
        error.to_string()
    };
    let texts = [
        refused(&|state| state.volumes[3].backing = BackingId(1)),
        refused(&|state| state.volumes[3].ldev = ldev(1)),
        refused(&|state| state.volumes[3].allocated = TrackMap::new(1)),
        refused(&|state| state.volumes.extend([new_volume(5), new_volume(6)])),
        refused(&|state| state.pair_numbers = vec![None; 5]),
        refused(&|state| state.pair_numbers[1] = Some(4)),
        refused(&|state| state.pair_numbers[1] = None),
        refused(&|state| state.pairs[0].primary = ldev(9)),
        refused(&|state| state.pairs[0].primary = ldev(2)),
        refused(&|state| state.pairs.push(a_pair(1, 3, 4))),
        refused(&|state| state.pairs.push(numbered(PairId { no: 2, epoch: 8 }, 3, 2))),
        refused(&|state| state.pairs.push(numbered(PairId { no: 2, epoch: 8 }, 2, 1))),
        refused(&|state| state.pairs[0].status = PairStatus::Copied),
        refused(&|state| state.pairs[0].ds = TrackMap::new(1)),
        refused(&|state| state.pairs[0].begun_tracks = 1),
        refused(&|state| {
            let geometry = Geometry::with_tracks(1, 3);
            state.volumes[1] = Volume::new(ldev(2), geometry, BackingId(2));
        }),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r"
    two volumes lie on backing 1
    there is a volume 00:01 already
    volume 00:04 has 8 tracks, but a map of 1
    there are 5 volumes, the most there can be
    5 pair numbers, but there can be 4
    number and epoch of pair 1.3 cannot be used
    number and epoch of pair 1.3 cannot be used
    there is no volume 00:09
    volume 00:02 would be paired with itself
    number and epoch of pair 1.3 cannot be used
    volume 00:02 is a secondary already
    pair 2.8 leads back to its primary
    status, maps and numbers of pair 1.3 contradict each other
    status, maps and numbers of pair 1.3 contradict each other
    status, maps and numbers of pair 1.3 contradict each other
    pair 1.3 is of volumes of 8 and 3 tracks
    ");
    let (memory, _tape) = recorded(2);
    assert_eq!(memory.restore(a_state()), Err(StateError::NotEmpty { volume_count: 2 }));
}

#[test]
fn records_of_another_history_are_refused() {
    let memory = SharedMemory::default();
    memory.restore(a_state()).unwrap();
    let before = memory.snapshot(|| ()).0;
    let pair = |no, epoch| PairId { no, epoch };
    let check = |change: Change, expected: ReplayError| {
        assert_eq!(memory.replay(ldev(1), change), Err(expected));
        assert_eq!(memory.snapshot(|| ()).0, before);
    };
    let add = |id, primary, secondary| Change::AddPair(Box::new(numbered(id, primary, secondary)));
    check(Change::RemovePair(pair(1, 2)), ReplayError::NoPair { pair: pair(1, 2) });
    check(add(pair(0, 3), 3, 4), ReplayError::PairNumber { pair: pair(0, 3) });
    check(add(pair(2, 6), 3, 4), ReplayError::PairNumber { pair: pair(2, 6) });
    check(add(pair(1, 4), 3, 4), ReplayError::PairNumber { pair: pair(1, 4) });
    check(add(pair(9, 0), 3, 9), ReplayError::NoVolume { ldev: ldev(9) });
    check(add(pair(9, 0), 2, 1), ReplayError::Cycle { pair: pair(9, 0) });
    check(add(pair(9, 0), 3, 3), ReplayError::SameVolume { ldev: ldev(3) });
    let paired = ReplayError::VolumePaired { ldev: ldev(2), pair: pair(1, 3) };
    assert_eq!(memory.replay_volume_removed(ldev(2)), Err(paired));
    let gone = ReplayError::NoVolume { ldev: ldev(9) };
    assert_eq!(memory.replay_volume_removed(ldev(9)), Err(gone));
    let there = ReplayError::VolumeExists { ldev: ldev(4) };
    assert_eq!(memory.replay_volume_added(new_volume(4)), Err(there));
    let track = TrackNo(1);
    let copied = Change::Copied { pair: pair(1, 3), track, protecting: false };
    let copied_twice = ReplayError::NotToCopy { pair: pair(1, 3), tracks: tracks(1, 2) };
    assert_eq!(memory.replay(ldev(1), copied.clone()), Ok(None));
    assert_eq!(memory.replay(ldev(1), copied), Err(copied_twice));

    // The number was given out when the state was taken, and its pair came after; or some between
    // were given back without a pair.
    assert_eq!(memory.replay(ldev(3), add(pair(2, 7), 3, 4)), Ok(None));
    assert_eq!(memory.replay(ldev(1), add(pair(4, 5), 1, 3)), Ok(None));
    assert_eq!(memory.allocate_pair(), Ok(pair(3, 0)));
    // Found though the volume that it was recorded of is in another family.
    assert_eq!(memory.replay(ldev(9), Change::RemovePair(pair(4, 5))), Ok(None));
    let family = |no| memory.with_family(ldev(no), |family| family.id());
    assert_ne!(family(1), family(3));
    assert_eq!(memory.allocate_pair(), Ok(pair(4, 6)));
}
