//! What a recorder is told, and when.

use crate::tracks;
use diptych_format::{BackingId, Geometry, LdevId, OwnerId, PairId, Time, TrackNo};
use diptych_shared::{
    Change, Claimed, Limits, MapName, Pair, PairOptions, Recorder, SharedMemory, Volume,
};
use diptych_sync::{Arc, Mutex};
use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) const TRACKS: u64 = 8;

/// What was recorded, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    Changed(LdevId, Vec<Change>),
    Added(Box<Volume>),
    Removed(LdevId, BackingId),
}

/// Keeps everything.
#[derive(Debug, Default)]
pub(crate) struct Tape(Mutex<Vec<Record>>);

impl Tape {
    pub(crate) fn take(&self) -> Vec<Record> {
        std::mem::take(&mut self.0.lock())
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().len()
    }
}

impl Recorder for Tape {
    fn changed(&self, of: LdevId, changes: &mut Vec<Change>) {
        assert!(!changes.is_empty(), "told of nothing");
        self.0.lock().push(Record::Changed(of, changes.clone()));
    }

    fn volume_added(&self, volume: &Volume) {
        self.0.lock().push(Record::Added(Box::new(volume.clone())));
    }

    fn volume_removed(&self, ldev: LdevId, backing: BackingId) {
        self.0.lock().push(Record::Removed(ldev, backing));
    }
}

pub(crate) fn ldev(no: u8) -> LdevId {
    LdevId::new(0, no)
}

pub(crate) fn new_volume(no: u8) -> Volume {
    Volume::new(ldev(no), Geometry::with_tracks(1, TRACKS), BackingId(u32::from(no)))
}

/// A recorded memory of volumes 1 to `count`, with nothing on its tape.
pub(crate) fn recorded(count: u8) -> (SharedMemory, Arc<Tape>) {
    let tape = Arc::new(Tape::default());
    let memory = SharedMemory::recorded(Limits::default(), tape.clone());
    for no in 1..=count {
        memory.add_volume(new_volume(no)).unwrap();
    }
    assert_eq!(
        tape.take(),
        (1..=count).map(|no| Record::Added(Box::new(new_volume(no)))).collect::<Vec<_>>()
    );
    (memory, tape)
}

fn allocate(no: u8, start: u64, end: u64) -> Change {
    Change::Allocate { ldev: ldev(no), tracks: tracks(start, end) }
}

#[test]
fn every_visit_is_recorded_as_it_ends() {
    let (memory, tape) = recorded(2);
    let (one, all) = (ldev(1), tracks(0, TRACKS));
    let told = |expected: &[Change]| {
        let expected = [Record::Changed(one, expected.to_vec())];
        assert_eq!(tape.take(), expected);
    };

    memory
        .with_family(one, |family| {
            family.change(allocate(1, 0, 1));
            family.change(allocate(1, 2, 3));
            assert_eq!(tape.len(), 0, "told before the end");
        })
        .unwrap();
    told(&[allocate(1, 0, 1), allocate(1, 2, 3)]);

    let view = |at: u64| {
        move |family: &mut diptych_shared::FamilyState| {
            family.change(allocate(1, at, at + 1));
        }
    };
    let Ok(Claimed::Granted(claim, ())) = memory.claim(OwnerId(1), one, all, view(3)) else {
        panic!("nobody holds it")
    };
    told(&[allocate(1, 3, 4)]);
    claim.with(view(4));
    told(&[allocate(1, 4, 5)]);
    let Ok(Claimed::Queued(queued)) = memory.claim_family(OwnerId(2), one, view(5)) else {
        panic!("it is held")
    };
    assert_eq!(tape.len(), 0, "a view that did not run");
    assert_eq!(claim.release().len(), 1);
    let (claim, ()) = queued.granted(view(6));
    told(&[allocate(1, 6, 7)]);
    assert!(claim.release().is_empty());
    let (claim, ()) = memory.try_claim(OwnerId(3), one, all, view(7)).unwrap().unwrap();
    told(&[allocate(1, 7, 8)]);
    assert!(claim.release().is_empty());
    assert_eq!(tape.len(), 0, "a release changes nothing");
}

#[test]
fn what_is_taken_is_told_by_who_took_it() {
    let (memory, tape) = recorded(1);
    let taken = memory.with_family(ldev(1), |family| {
        family.change(allocate(1, 0, 1));
        let taken = family.take_changes();
        family.change(allocate(1, 1, 2));
        taken
    });
    assert_eq!(taken.as_deref(), Ok([allocate(1, 0, 1)].as_slice()));
    assert_eq!(tape.take(), [Record::Changed(ldev(1), vec![allocate(1, 1, 2)])]);
    let memory = SharedMemory::default();
    memory.add_volume(new_volume(1)).unwrap();
    let taken = memory.with_family(ldev(1), |family| {
        family.change(allocate(1, 0, 1));
        family.take_changes()
    });
    assert_eq!(taken.as_deref(), Ok([].as_slice()), "nothing is recorded");
}

#[test]
fn what_ends_with_the_unit_is_not_recorded() {
    let (memory, tape) = recorded(2);
    let claim = crate::memory::join(&memory, ldev(1), ldev(2));
    assert_eq!(tape.take(), [], "a merge changes nothing");
    let id = PairId { no: 0, epoch: 0 };
    let pair = Box::new(Pair::new(id, ldev(1), ldev(2), TRACKS, PairOptions::default(), true));
    let settled = Change::Settled { pair: id, tracks: vec![tracks(2, 3)] };
    claim.with(|family| {
        family.change(Change::AddPair(pair.clone()));
        family.change(Change::HostWrote { ldev: ldev(1), at: Time::from_ns(5) });
        family.change(Change::Settling { pair: id, track: TrackNo(2) });
        family.change(settled.clone());
    });
    assert_eq!(tape.take(), [Record::Changed(ldev(1), vec![Change::AddPair(pair), settled])]);
    claim.with(|family| family.change(Change::Settling { pair: id, track: TrackNo(3) }));
    assert_eq!(tape.take(), []);
    claim.with(|family| family.change(Change::RemovePair(id)));
    let (claims, _nobody) = memory.split(claim);
    assert_eq!(tape.take(), [Record::Changed(ldev(1), vec![Change::RemovePair(id)])]);
    for claim in claims {
        let no = claim.with(|family| family.volumes()[0].ldev.ldev);
        claim.with(|family| family.change(allocate(no, 0, 1)));
        assert_eq!(tape.take(), [Record::Changed(ldev(no), vec![allocate(no, 0, 1)])]);
        assert!(claim.release().is_empty());
    }
}

#[test]
fn a_panic_in_a_visit_records_nothing() {
    let (memory, tape) = recorded(1);
    let id = PairId { no: 0, epoch: 0 };
    let visit = || {
        memory.with_family(ldev(1), |family| {
            family.change(allocate(1, 0, 1));
            family.change(Change::Set { pair: id, map: MapName::C, tracks: tracks(0, 1) });
        })
    };
    assert!(catch_unwind(AssertUnwindSafe(visit)).is_err());
    assert_eq!(tape.take(), []);
}

#[test]
fn a_volume_that_goes_is_told_with_its_storage() {
    let (memory, tape) = recorded(2);
    assert_eq!(memory.remove_volume(ldev(2)).map(|volume| volume.ldev), Ok(ldev(2)));
    assert!(memory.remove_volume(ldev(2)).is_err());
    assert!(memory.add_volume(new_volume(1)).is_err());
    assert_eq!(tape.take(), [Record::Removed(ldev(2), BackingId(2))]);
}
