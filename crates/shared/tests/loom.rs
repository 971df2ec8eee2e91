//! Models of the claims and of merging and splitting: the code that ships, under loom.
//!
//! Dropping a shared handle is a step of the model, and a model that dies takes no more steps: a
//! second panic while the first unwinds would end the whole test run. So what lives across a wait
//! is `ManuallyDrop`, dropped where a model that lives comes by.
#![cfg(diptych_loom)]

use diptych_format::{Answer, BackingId, Geometry, LdevId, OwnerId, TrackNo, TrackRange};
use diptych_shared::{Change, Claim, Claimed, FamilyState, Limits, SharedError, SharedMemory};
use diptych_shared::{Volume, Wakes};
use diptych_sync::model::{Bound, Model, Mutant};
use diptych_sync::{Arc, Condvar, Mutex, thread};
use std::mem::ManuallyDrop;

const X: LdevId = LdevId::new(0, 1);
const Y: LdevId = LdevId::new(0, 2);
const TRACKS: u64 = 4;

fn tracks(start: u64, end: u64) -> TrackRange {
    TrackRange { start: TrackNo(start), end: TrackNo(end) }
}

/// Shared memory, and a mailbox where owners wait for their answers.
struct Unit {
    memory: SharedMemory,
    answers: Mutex<Wakes>,
    answered: Condvar,
    /// How many owners are inside the range under test.
    inside: Mutex<u32>,
}

impl Unit {
    fn new(volumes: &[LdevId]) -> ManuallyDrop<Arc<Self>> {
        let memory = SharedMemory::new(Limits { volumes: 2, pairs: 1, queued_claims: 4 });
        for (no, &ldev) in volumes.iter().enumerate() {
            let backing = BackingId(no as u32 + 1);
            memory
                .add_volume(Volume::new(ldev, Geometry::with_tracks(1, TRACKS), backing))
                .unwrap();
        }
        let (answers, answered) = (Mutex::new(Wakes::new()), Condvar::new());
        ManuallyDrop::new(Arc::new(Self { memory, answers, answered, inside: Mutex::new(0) }))
    }

    fn deliver(&self, wakes: Wakes) {
        if !wakes.is_empty() {
            self.answers.lock().extend(wakes);
            self.answered.notify_all();
        }
    }

    fn wait(&self, owner: OwnerId) -> Answer {
        let mut answers = self.answers.lock();
        loop {
            if let Some(index) = answers.iter().position(|&(who, _)| who == owner) {
                return answers.remove(index).1;
            }
            answers = self.answered.wait(answers);
        }
    }

    /// Claims as a job does: asks, waits for the answer, asks again when moved.
    fn claim<R>(
        &self,
        owner: OwnerId,
        ask: impl Fn(&SharedMemory) -> Result<Claimed<R>, SharedError>,
        view: impl Fn(&mut FamilyState) -> R,
    ) -> (Claim, R) {
        loop {
            match ask(&self.memory).unwrap() {
                Claimed::Granted(claim, seen) => return (claim, seen),
                Claimed::Queued(queued) => {
                    let queued = ManuallyDrop::new(queued);
                    match self.wait(owner) {
                        Answer::Granted => return ManuallyDrop::into_inner(queued).granted(&view),
                        Answer::Moved => drop(ManuallyDrop::into_inner(queued)),
                        Answer::Cancelled => panic!("nobody cancels"),
                    }
                }
            }
        }
    }

    fn claim_tracks(&self, owner: u64, ldev: LdevId, range: TrackRange) -> Claim {
        let owner = OwnerId(owner);
        self.claim(owner, |memory| memory.claim(owner, ldev, range, |_| ()), |_| ()).0
    }

    fn claim_family(&self, owner: u64, ldev: LdevId) -> Claim {
        let owner = OwnerId(owner);
        self.claim(owner, |memory| memory.claim_family(owner, ldev, |_| ()), |_| ()).0
    }

    /// Holds what overlaps the other owners' tracks for a moment.
    fn visit(&self) {
        {
            let mut inside = self.inside.lock();
            *inside += 1;
            assert_eq!(*inside, 1, "invariant: two owners are inside overlapping ranges");
        }
        *self.inside.lock() -= 1;
    }

    fn allocate(&self, claim: &Claim, ldev: LdevId, track: u64) {
        let tracks = TrackRange::one(TrackNo(track));
        claim.with(|family| family.change(Change::Allocate { ldev, tracks }));
    }

    fn assert_idle(&self, ldev: LdevId) {
        let claims = |family: &mut FamilyState| (family.claims_held(), family.claims_queued());
        let left = self.memory.with_family(ldev, claims);
        assert_eq!(left, Ok((0, 0)), "invariant: claims are left over");
    }
}

/// Spawns every actor and joins them all.
fn run(unit: &Arc<Unit>, actors: &[fn(&Unit)]) {
    let spawn = |&actor: &fn(&Unit)| {
        let unit = ManuallyDrop::new(unit.clone());
        thread::spawn(move || {
            actor(&unit);
            drop(ManuallyDrop::into_inner(unit));
        })
    };
    let threads: Vec<_> = actors.iter().map(spawn).collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn claims_exclude() {
    Model {
        name: "claims_exclude",
        protocol: "two owners of overlapping tracks, a third beside them in the same map word",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(30)],
        floor: 12_500,
        mutants: &[Mutant {
            name: "claim-exclusive",
            dies_by: "invariant: two owners are inside overlapping ranges",
        }],
    }
    .check(|| {
        let unit = Unit::new(&[X]);
        fn overlapping(unit: &Unit, owner: u64, range: TrackRange, track: u64) {
            let claim = unit.claim_tracks(owner, X, range);
            unit.visit();
            unit.allocate(&claim, X, track);
            unit.deliver(claim.release());
        }
        let beside = |unit: &Unit| {
            let claim = unit.claim_tracks(3, X, tracks(3, 4));
            unit.allocate(&claim, X, 3);
            unit.deliver(claim.release());
        };
        run(
            &unit,
            &[
                |unit| overlapping(unit, 1, tracks(0, 2), 0),
                |unit| overlapping(unit, 2, tracks(1, 3), 2),
                beside,
            ],
        );
        unit.assert_idle(X);
        let allocated = |family: &mut FamilyState| {
            family.volume(X).map(|volume| volume.allocated.runs().collect::<Vec<_>>())
        };
        let allocated = unit.memory.with_family(X, allocated);
        let expected = Ok(Some(vec![tracks(0, 1), tracks(2, 4)]));
        assert_eq!(allocated, expected, "invariant: no change of a neighbouring bit is lost");
        drop(ManuallyDrop::into_inner(unit));
    });
}

#[test]
fn claims_are_not_overtaken() {
    Model {
        name: "claims_are_not_overtaken",
        protocol: "the whole family is asked for while single tracks come and go",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(30)],
        floor: 8_800,
        mutants: &[Mutant {
            name: "claim-fifo",
            dies_by: "invariant: an earlier claim is overtaken",
        }],
    }
    .check(|| {
        let unit = Unit::new(&[X]);
        let holder = |unit: &Unit| {
            let claim = unit.claim_tracks(1, X, tracks(0, 1));
            unit.deliver(claim.release());
        };
        let command = |unit: &Unit| {
            let claim = unit.claim_family(2, X);
            unit.visit();
            unit.deliver(claim.release());
        };
        let late = |unit: &Unit| {
            let owner = OwnerId(3);
            // At the instant of the grant nobody may be waiting: only the command ever waits for
            // these tracks, and it would have come before.
            let ask = |memory: &SharedMemory| {
                memory.claim(owner, X, tracks(1, 2), |family| family.claims_queued())
            };
            let (claim, waiting) = unit.claim(owner, ask, |_| 0);
            assert_eq!(waiting, 0, "invariant: an earlier claim is overtaken");
            unit.visit();
            unit.deliver(claim.release());
        };
        run(&unit, &[holder, command, late]);
        unit.assert_idle(X);
        drop(ManuallyDrop::into_inner(unit));
    });
}

#[test]
fn a_merge_moves_who_waits() {
    Model {
        name: "a_merge_moves_who_waits",
        protocol: "two families are merged while claims of both are asked for",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(30)],
        floor: 23_000,
        mutants: &[Mutant { name: "moved-on-merge", dies_by: "deadlock" }],
    }
    .check(|| {
        let unit = Unit::new(&[X, Y]);
        let command = |unit: &Unit| {
            let x = ManuallyDrop::new(unit.claim_family(1, X));
            let y = unit.claim_family(1, Y);
            let (claim, wakes) = unit.memory.merge(ManuallyDrop::into_inner(x), y);
            let claim = ManuallyDrop::new(claim);
            unit.deliver(wakes);
            unit.visit();
            unit.deliver(ManuallyDrop::into_inner(claim).release());
        };
        fn host(unit: &Unit, owner: u64, ldev: LdevId, track: u64) {
            let claim = unit.claim_tracks(owner, ldev, TrackRange::one(TrackNo(track)));
            unit.allocate(&claim, ldev, track);
            unit.deliver(claim.release());
        }
        run(&unit, &[command, |unit| host(unit, 2, X, 0), |unit| host(unit, 3, Y, 0)]);
        unit.assert_idle(X);
        unit.assert_idle(Y);
        let family = |ldev| unit.memory.with_family(ldev, |family| family.id()).unwrap();
        assert_eq!(family(X), family(Y), "invariant: merged volumes are of one family");
        let allocated = |family: &mut FamilyState| -> u64 {
            family.volumes().iter().map(|volume| volume.allocated.count()).sum()
        };
        let allocated = unit.memory.with_family(X, allocated);
        assert_eq!(allocated, Ok(2), "invariant: no change is lost in a merge");
        drop(ManuallyDrop::into_inner(unit));
    });
}

#[test]
fn a_split_moves_who_waits() {
    Model {
        name: "a_split_moves_who_waits",
        protocol: "a family falls apart while claims of it are asked for",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(30)],
        floor: 18_000,
        mutants: &[Mutant { name: "moved-on-split", dies_by: "deadlock" }],
    }
    .check(|| {
        let unit = Unit::new(&[X, Y]);
        let (x, y) = (unit.claim_family(0, X), unit.claim_family(0, Y));
        let (claim, _nobody) = unit.memory.merge(x, y);
        let _nobody = claim.release();
        let command = |unit: &Unit| {
            // No pair joins the two any more.
            let claim = unit.claim_family(1, X);
            let (claims, wakes) = unit.memory.split(claim);
            unit.deliver(wakes);
            for claim in claims {
                unit.deliver(claim.release());
            }
        };
        fn host(unit: &Unit, owner: u64, ldev: LdevId, track: u64) {
            let claim = unit.claim_tracks(owner, ldev, TrackRange::one(TrackNo(track)));
            unit.allocate(&claim, ldev, track);
            unit.deliver(claim.release());
        }
        run(&unit, &[command, |unit| host(unit, 2, X, 0), |unit| host(unit, 3, Y, 0)]);
        for ldev in [X, Y] {
            unit.assert_idle(ldev);
            let volumes = unit.memory.with_family(ldev, |family| family.volumes().len());
            assert_eq!(volumes, Ok(1), "invariant: split volumes are of two families");
        }
        drop(ManuallyDrop::into_inner(unit));
    });
}
