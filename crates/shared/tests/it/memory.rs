//! The directory, claims through it, merging and splitting.

use crate::tracks;
use diptych_format::{Answer, BackingId, Geometry, LdevId, OwnerId, PairId, TrackNo};
use diptych_shared::{
    Change, Claim, Claimed, Limits, MapName, Pair, PairOptions, QueuedClaim, SharedError,
    SharedMemory, Volume, VolumeState, Wakes,
};

const TRACKS: u64 = 4;

fn volume(no: u8) -> LdevId {
    LdevId::new(0, no)
}

fn memory_of(volumes: &[u8]) -> SharedMemory {
    let memory = SharedMemory::new(Limits { volumes: 8, pairs: 4, queued_claims: 3 });
    for &no in volumes {
        memory.add_volume(new_volume(no)).unwrap();
    }
    memory
}

fn new_volume(no: u8) -> Volume {
    Volume::new(volume(no), Geometry::with_tracks(1, TRACKS), BackingId(u32::from(no)))
}

/// Merges the families of two volumes, unclaimed so far, under a claim of owner 0.
pub(crate) fn join(memory: &SharedMemory, a: LdevId, b: LdevId) -> Claim {
    let a = held(memory.claim_family(OwnerId(0), a, |_| ()));
    let b = held(memory.claim_family(OwnerId(0), b, |_| ()));
    let (claim, wakes) = memory.merge(a, b);
    assert_eq!(wakes, []);
    claim
}

fn held<R>(claimed: Result<Claimed<R>, SharedError>) -> Claim {
    match claimed {
        Ok(Claimed::Granted(claim, _)) => claim,
        _ => panic!("not granted"),
    }
}

fn queued<R>(claimed: Result<Claimed<R>, SharedError>) -> QueuedClaim {
    match claimed {
        Ok(Claimed::Queued(claim)) => claim,
        _ => panic!("not queued"),
    }
}

fn wakes(all: &[(u64, Answer)]) -> Wakes {
    all.iter().map(|&(owner, answer)| (OwnerId(owner), answer)).collect()
}

fn family_of(memory: &SharedMemory, no: u8) -> u64 {
    memory.with_family(volume(no), |family| family.id().0).unwrap()
}

fn add_pair(claim: &Claim, id: PairId, primary: u8, secondary: u8) {
    let options = PairOptions::default();
    let pair = Pair::new(id, volume(primary), volume(secondary), TRACKS, options, true);
    claim.with(|family| family.change(Change::AddPair(Box::new(pair))));
}

#[test]
fn volumes_come_and_go() {
    let memory = memory_of(&[3, 1, 2]);
    assert_eq!(memory.volumes(), [volume(1), volume(2), volume(3)]);
    let exists = Err(SharedError::VolumeExists { ldev: volume(2) });
    assert_eq!(memory.add_volume(new_volume(2)), exists);
    assert_eq!(memory.remove_volume(volume(2)).map(|v| v.ldev), Ok(volume(2)));
    let unknown = SharedError::UnknownVolume { ldev: volume(2) };
    assert_eq!(memory.remove_volume(volume(2)), Err(unknown));
    assert_eq!(memory.with_family(volume(2), |_| ()), Err(unknown));
    assert_eq!(memory.claim_family(OwnerId(1), volume(2), |_| ()).err(), Some(unknown));
    for no in 4..=9 {
        memory.add_volume(new_volume(no)).unwrap();
    }
    assert_eq!(memory.add_volume(new_volume(2)), Err(SharedError::TooManyVolumes { limit: 8 }));
}

#[test]
fn a_volume_in_use_stays() {
    let memory = memory_of(&[1, 2]);
    let claim = join(&memory, volume(1), volume(2));
    add_pair(&claim, PairId { no: 3, epoch: 1 }, 1, 2);
    for no in [1, 2] {
        let refused =
            SharedError::VolumePaired { ldev: volume(no), pair: PairId { no: 3, epoch: 1 } };
        assert_eq!(memory.remove_volume(volume(no)), Err(refused));
    }
    claim.with(|family| family.change(Change::RemovePair(PairId { no: 3, epoch: 1 })));
    let waiting = queued(memory.claim(OwnerId(1), volume(1), tracks(0, 1), |_| ()));
    let refused = SharedError::VolumeClaimed { ldev: volume(1), held_count: 1, queued_count: 1 };
    assert_eq!(memory.remove_volume(volume(1)), Err(refused));
    assert_eq!(waiting.cancel(), []);
    assert_eq!(claim.release(), []);
    assert_eq!(memory.remove_volume(volume(1)).map(|v| v.ldev), Ok(volume(1)));
    assert_eq!(memory.volumes(), [volume(2)]);
    assert_eq!(memory.with_family(volume(2), |family| family.volumes().len()), Ok(1));
}

#[test]
fn changes_of_a_volume() {
    let memory = memory_of(&[1]);
    let ldev = volume(1);
    let seen = memory.with_family(ldev, |family| {
        for change in [
            Change::Allocate { ldev, tracks: tracks(0, 3) },
            Change::Deallocate { ldev, tracks: tracks(1, 2) },
            Change::Reserve { ldev, reserved: true },
            Change::Undefined { ldev, undefined: true },
            Change::VolumeState { ldev, state: VolumeState::Format },
            // A volume that is in no pair: nothing to mark.
            Change::HostChange { primary: ldev, tracks: tracks(0, 4) },
        ] {
            assert_eq!(family.change(change), None);
        }
        family.volume(ldev).cloned().unwrap()
    });
    let mut expected = new_volume(1);
    expected.allocated.set_range(tracks(0, 1));
    expected.allocated.set_range(tracks(2, 3));
    (expected.reserved, expected.undefined) = (true, true);
    expected.state = VolumeState::Format;
    assert_eq!(seen, Ok(expected));
}

#[test]
fn claims_are_granted_queued_and_refused() {
    let memory = memory_of(&[1]);
    let ldev = volume(1);
    let claim = |owner, from, to| memory.claim(OwnerId(owner), ldev, tracks(from, to), |_| ());
    let first = held(claim(1, 0, 2));
    assert_eq!((first.owner(), first.tracks()), (OwnerId(1), tracks(0, 2)));
    assert_eq!(first.family_id().0, family_of(&memory, 1));
    let whole = queued(memory.claim_family(OwnerId(2), ldev, |_| ()));
    // Free, but the whole family was asked for earlier.
    let try_claim = |owner, from, to| {
        let claimed = memory.try_claim(OwnerId(owner), ldev, tracks(from, to), |f| f.claims_held());
        claimed.unwrap()
    };
    assert!(try_claim(3, 3, 4).is_none());
    let late = queued(claim(4, 3, 4));
    let busy = |track| memory.with_family(ldev, |family| family.is_busy(TrackNo(track)));
    assert_eq!(busy(3), Ok(true));
    assert_eq!(first.release(), wakes(&[(2, Answer::Granted)]));
    let (whole, held_count) = whole.granted(|family| family.claims_held());
    assert_eq!(held_count, 1);
    assert_eq!(whole.release(), wakes(&[(4, Answer::Granted)]));
    // Granted, but its owner has given up meanwhile.
    assert_eq!(late.cancel(), []);
    assert_eq!(busy(3), Ok(false));
    let (last, held_count) = try_claim(5, 3, 4).unwrap();
    assert_eq!(held_count, 1);
    assert_eq!(last.release(), []);
    for range in [tracks(0, 0), tracks(4, 5), tracks(0, 5)] {
        let refused = SharedError::TracksOutOfRange { ldev, tracks: range, track_count: TRACKS };
        assert_eq!(memory.claim(OwnerId(6), ldev, range, |_| ()).err(), Some(refused));
        assert_eq!(memory.try_claim(OwnerId(6), ldev, range, |_| ()).err(), Some(refused));
    }
}

#[test]
fn the_queue_has_a_limit() {
    let memory = memory_of(&[1]);
    let whole = held(memory.claim_family(OwnerId(0), volume(1), |_| ()));
    let ask = |owner| memory.claim(OwnerId(owner), volume(1), tracks(0, 1), |_| ());
    let waiting: Vec<_> = (1..=3).map(|owner| queued(ask(owner))).collect();
    assert_eq!(ask(4).err(), Some(SharedError::TooManyQueued { limit: 3 }));
    assert_eq!(whole.release(), wakes(&[(1, Answer::Granted)]));
    for (next, claim) in (2..).zip(waiting) {
        let (claim, ()) = claim.granted(|_| ());
        let expected: &[_] = if next <= 3 { &[(next, Answer::Granted)] } else { &[] };
        assert_eq!(claim.release(), wakes(expected));
    }
}

#[test]
fn families_merge_and_split() {
    // Neither families nor pairs come in the order of the volumes.
    let memory = memory_of(&[3, 4, 2, 1]);
    let [first, second, third] = [(); 3].map(|()| memory.allocate_pair().unwrap());
    for (id, primary, secondary) in [(third, 3, 4), (first, 2, 1), (second, 2, 3)] {
        let claim = join(&memory, volume(primary), volume(secondary));
        add_pair(&claim, id, primary, secondary);
        assert_eq!(claim.release(), []);
    }
    let one = family_of(&memory, 1);
    assert_eq!([2, 3, 4].map(|no| family_of(&memory, no)), [one; 3]);
    memory
        .with_family(volume(4), |family| {
            let volumes: Vec<_> = family.volumes().iter().map(|volume| volume.ldev).collect();
            assert_eq!(volumes, [1, 2, 3, 4].map(volume));
            let of_2: Vec<_> = family.pairs_of_primary(volume(2)).map(|pair| pair.id).collect();
            assert_eq!(of_2, [first, second]);
            assert_eq!(family.pairs().len(), 3);
            assert!([first, second, third].iter().all(|&id| family.pair(id).is_some()));
            assert_eq!(family.pair_of_secondary(volume(4)).map(|pair| pair.id), Some(third));
            assert_eq!(family.pair_of_secondary(volume(2)), None);
            let between = |p, s| family.pair_between(volume(p), volume(s)).map(|pair| pair.id);
            assert_eq!((between(2, 3), between(3, 2)), (Some(second), None));
        })
        .unwrap();

    let claim = held(memory.claim_family(OwnerId(0), volume(3), |_| ()));
    let waiting = queued(memory.claim(OwnerId(9), volume(4), tracks(0, 1), |_| ()));
    // Still one part: nobody is moved.
    let (mut claims, moved) = memory.split(claim);
    assert_eq!((claims.len(), moved), (1, wakes(&[])));
    let claim = claims.pop().unwrap();
    claim.with(|family| family.change(Change::RemovePair(second)));
    let (claims, moved) = memory.split(claim);
    assert_eq!(moved, wakes(&[(9, Answer::Moved)]));
    drop(waiting);
    assert_eq!([1, 2].map(|no| family_of(&memory, no)), [one; 2]);
    let other = family_of(&memory, 3);
    assert!(other > 4, "a family id was used again: {other}");
    assert_eq!(family_of(&memory, 4), other);
    assert_eq!(claims.iter().map(|claim| claim.family_id().0).collect::<Vec<_>>(), [one, other]);
    for claim in claims {
        claim.with(|family| assert_eq!((family.pairs().len(), family.volumes().len()), (1, 2)));
        assert_eq!(claim.release(), []);
    }
    assert_eq!(held(memory.claim(OwnerId(9), volume(4), tracks(0, 1), |_| ())).release(), []);
}

#[test]
fn all_who_wait_are_moved_by_a_merge() {
    let memory = memory_of(&[1, 2]);
    let a = held(memory.claim_family(OwnerId(0), volume(1), |_| ()));
    let b = held(memory.claim_family(OwnerId(0), volume(2), |_| ()));
    let waiting: Vec<_> = [(1, 1), (2, 2), (3, 1)]
        .map(|(owner, no)| memory.claim(OwnerId(owner), volume(no), tracks(0, 1), |_| ()))
        .into_iter()
        .map(queued)
        .collect();
    // Given in the other order; the lower id stays.
    let stays = a.family_id();
    let (claim, moved) = memory.merge(b, a);
    assert_eq!(claim.family_id(), stays);
    let all = [(1, Answer::Moved), (3, Answer::Moved), (2, Answer::Moved)];
    assert_eq!(moved, wakes(&all));
    for claim in waiting {
        assert_eq!(claim.cancel(), [], "a moved claim holds nothing");
    }
    let again = queued(memory.claim(OwnerId(2), volume(2), tracks(0, 1), |_| ()));
    assert_eq!(claim.release(), wakes(&[(2, Answer::Granted)]));
    assert_eq!(again.granted(|family| family.volumes().len()).0.release(), []);
}

#[test]
fn every_pair_of_a_primary_is_marked() {
    let memory = memory_of(&[1, 2, 3]);
    let (first, second) = (PairId { no: 0, epoch: 0 }, PairId { no: 1, epoch: 0 });
    for (id, secondary) in [(first, 2), (second, 3)] {
        let claim = join(&memory, volume(1), volume(secondary));
        add_pair(&claim, id, 1, secondary);
        assert_eq!(claim.release(), []);
    }
    memory
        .with_family(volume(1), |family| {
            for pair in [first, second] {
                family.change(Change::Clear { pair, map: MapName::C, tracks: tracks(0, TRACKS) });
            }
            family.change(Change::Suspend { pair: second, all_different: false });
            family.change(Change::HostChange { primary: volume(1), tracks: tracks(1, 3) });
            let marked = |id, name| {
                let map = family.pair(id).unwrap().map(name);
                map.runs().collect::<Vec<_>>()
            };
            assert_eq!(marked(first, MapName::C), [tracks(1, 3)]);
            assert_eq!(marked(first, MapName::Dp), []);
            assert_eq!(marked(second, MapName::C), []);
            assert_eq!(marked(second, MapName::Dp), [tracks(1, 3)]);
        })
        .unwrap();
}

#[test]
fn a_pair_number_comes_back_with_another_epoch() {
    let memory = memory_of(&[]);
    let id = |no, epoch| PairId { no, epoch };
    for no in 0..4 {
        assert_eq!(memory.allocate_pair(), Ok(id(no, 0)));
    }
    assert_eq!(memory.allocate_pair(), Err(SharedError::TooManyPairs { limit: 4 }));
    memory.free_pair(id(2, 0));
    memory.free_pair(id(1, 0));
    assert_eq!(memory.allocate_pair(), Ok(id(1, 1)));
    memory.free_pair(id(1, 1));
    assert_eq!(memory.allocate_pair(), Ok(id(1, 2)));
    assert_eq!(memory.allocate_pair(), Ok(id(2, 1)));
}

#[test]
#[should_panic(expected = "pair 0.0 is not in use")]
fn a_pair_number_is_given_back_once() {
    let memory = memory_of(&[]);
    let id = memory.allocate_pair().unwrap();
    memory.free_pair(id);
    memory.free_pair(id);
}

#[test]
#[should_panic(expected = "has not claimed the whole family")]
fn a_family_is_split_under_its_whole_claim() {
    let memory = memory_of(&[1]);
    let part = held(memory.claim(OwnerId(1), volume(1), tracks(0, 1), |_| ()));
    let _split = memory.split(part);
}

#[test]
#[should_panic(expected = "two owners merge families")]
fn one_owner_merges() {
    let memory = memory_of(&[1, 2]);
    let a = held(memory.claim_family(OwnerId(1), volume(1), |_| ()));
    let b = held(memory.claim_family(OwnerId(2), volume(2), |_| ()));
    let _merged = memory.merge(a, b);
}
