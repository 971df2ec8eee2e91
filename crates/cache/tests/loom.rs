//! Models of the cache's protocols: every interleaving of a few owners on one or two slots.
//!
//! One-block tracks, one shard. Every actor is a spawned thread.
#![cfg(diptych_loom)]

use diptych_cache::{Admission, Admit, Cache, CacheConfig, CacheError, SlotKey, Wakes};
use diptych_format::{Answer, BLOCK_BYTES, BackingId, BlockMask, OwnerId, TrackNo};
use diptych_sync::model::{Bound, Model, Mutant};
use diptych_sync::{Arc, Condvar, Mutex, thread};

const HALF: usize = BLOCK_BYTES / 2;
const HOST: OwnerId = OwnerId(1);
const OTHER: OwnerId = OwnerId(2);

fn key(track: u64) -> SlotKey {
    SlotKey { backing: BackingId(1), track: TrackNo(track) }
}

fn block() -> BlockMask {
    BlockMask::first(1)
}

/// A cache, the drive under track 1, and what a driver does: deliver answers and wait for them.
struct Unit {
    cache: Cache,
    drive: Mutex<u8>,
    answers: Mutex<Wakes>,
    arrived: Condvar,
}

impl Unit {
    fn with_slots(capacity_slots: usize) -> Held {
        let config = CacheConfig {
            capacity_slots,
            track_bytes: BLOCK_BYTES,
            shards: 1,
            write_pending_limit_slots: capacity_slots,
            waiters_max: 4,
        };
        Held(Some(Arc::new(Self {
            cache: Cache::new(config).unwrap(),
            drive: Mutex::new(0),
            answers: Mutex::new(Wakes::new()),
            arrived: Condvar::new(),
        })))
    }

    fn deliver(&self, wakes: Wakes) {
        if !wakes.is_empty() {
            self.answers.lock().extend(wakes);
            self.arrived.notify_all();
        }
    }

    fn wait(&self, owner: OwnerId) -> Answer {
        let mut answers = self.answers.lock();
        loop {
            if let Some(at) = answers.iter().position(|(other, _)| *other == owner) {
                return answers.remove(at).1;
            }
            answers = self.arrived.wait(answers);
        }
    }

    fn admit(&self, owner: OwnerId, buffers: usize, dirty: usize) -> Admission {
        match self.cache.admit(owner, buffers, dirty).unwrap() {
            Admit::Granted(room) => room,
            Admit::Queued => {
                assert_eq!(self.wait(owner), Answer::Granted);
                self.cache.admitted(owner)
            }
        }
    }

    /// Writes a track in two halves.
    fn write(&self, owner: OwnerId, key: SlotKey, value: u8) {
        let mut room = self.admit(owner, 1, 1);
        let mut write = self.cache.begin_write(key, 1, &mut room);
        write.data_mut()[..HALF].fill(value);
        write.data_mut()[HALF..].fill(value);
        self.deliver(self.cache.commit_write(write, block(), &mut room));
        self.deliver(self.cache.return_room(room));
    }

    /// Reads a track without a claim and looks twice.
    fn read(&self, key: SlotKey) {
        let Some(pin) = self.cache.read(key, block()) else { return };
        let first = pin.data()[0];
        self.drop_in();
        let same = pin.data()[..BLOCK_BYTES].iter().all(|byte| *byte == first);
        assert!(same, "invariant: a pinned block is whole and does not change");
        self.deliver(self.cache.unpin(pin));
    }

    /// When all is over: if track 1 is clean, the drive has it.
    fn check_clean(&self) {
        let pin = self.cache.pin(key(1)).expect("nothing evicts it");
        if pin.dirty().is_empty() {
            let drive = *self.drive.lock();
            assert_eq!(pin.data()[0], drive, "invariant: a clean slot is what the drive holds");
        }
        self.deliver(self.cache.unpin(pin));
    }

    /// A point where others may run.
    fn drop_in(&self) {
        drop(self.drive.lock());
    }

    /// Destages one slot of track 1, if one is offered.
    fn destage(&self) -> bool {
        let Some(destage) = self.cache.next_dirty(None) else { return false };
        *self.drive.lock() = destage.pin().data()[0];
        self.deliver(self.cache.destage_done(destage, true));
        true
    }
}

/// A handle of the unit. A model that dies leaves it be: letting go is a step of the model, and a
/// second panic during the first would end the whole run.
struct Held(Option<Arc<Unit>>);

impl Held {
    fn again(&self) -> Self {
        Self(self.0.clone())
    }
}

impl std::ops::Deref for Held {
    type Target = Unit;

    fn deref(&self) -> &Unit {
        self.0.as_ref().expect("held until it is dropped")
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::mem::forget(self.0.take());
        }
    }
}

type Actor = fn(&Unit);

/// Runs each actor in a thread of its own.
fn run(unit: &Held, actors: &[Actor]) {
    let threads: Vec<_> = actors
        .iter()
        .map(|&actor| {
            let unit = unit.again();
            thread::spawn(move || actor(&unit))
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn reader_against_writer() {
    Model {
        name: "cache-reader-writer",
        protocol: "copy-on-write: a reader without a claim and a writer on one slot",
        bounds: &[Bound::Preemptions(3), Bound::Unbounded],
        deep: &[],
        floor: 332,
        mutants: &[Mutant { name: "cow-pin", dies_by: "invariant: nobody reads a buffer" }],
    }
    .check(|| {
        let unit = Unit::with_slots(2);
        unit.write(OwnerId(0), key(1), 1);
        run(&unit, &[|unit| unit.write(HOST, key(1), 2), |unit| unit.read(key(1))]);
    });
}

#[test]
fn destages_against_writer() {
    Model {
        name: "cache-destage-writer",
        protocol: "destage order: two destages and a writer on one slot",
        bounds: &[Bound::Preemptions(4)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 45_500,
        mutants: &[
            Mutant { name: "destage-version", dies_by: "invariant: a clean slot" },
            Mutant { name: "destage-one-in-flight", dies_by: "invariant: a clean slot" },
        ],
    }
    .check(|| {
        let unit = Unit::with_slots(2);
        unit.write(OwnerId(0), key(1), 1);
        let destage: Actor = |unit| {
            unit.destage();
        };
        run(&unit, &[|unit| unit.write(HOST, key(1), 2), destage, destage]);
        unit.check_clean();
    });
}

#[test]
fn purge_against_destage() {
    Model {
        name: "cache-purge-destage",
        protocol: "destage order: a track is purged and written again during its destage",
        bounds: &[Bound::Preemptions(3), Bound::Unbounded],
        deep: &[],
        floor: 336,
        mutants: &[Mutant { name: "purge-keeps-destage", dies_by: "invariant: a clean slot" }],
    }
    .check(|| {
        let unit = Unit::with_slots(2);
        unit.write(OwnerId(0), key(1), 1);
        let again: Actor = |unit| {
            unit.deliver(unit.cache.purge(BackingId(1), None));
            unit.write(HOST, key(1), 2);
            unit.destage();
        };
        let destage: Actor = |unit| {
            unit.destage();
        };
        run(&unit, &[again, destage]);
        unit.check_clean();
    });
}

#[test]
fn flush_against_destage() {
    Model {
        name: "cache-flush",
        protocol: "flush: what was written before it, against a destage in flight",
        bounds: &[Bound::Preemptions(4)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 3_030,
        mutants: &[
            Mutant { name: "destage-version", dies_by: "invariant: a flush" },
            Mutant { name: "flush-one-look", dies_by: "deadlock" },
        ],
    }
    .check(|| {
        let unit = Unit::with_slots(2);
        unit.write(OwnerId(0), key(1), 1);
        let host: Actor = |unit| {
            unit.write(HOST, key(1), 2);
            let upto = unit.cache.dirty_mark();
            while unit.destage() {}
            if !unit.cache.wait_clean(HOST, BackingId(1), upto).unwrap() {
                assert_eq!(unit.wait(HOST), Answer::Granted);
            }
            let drive = *unit.drive.lock();
            assert_eq!(drive, 2, "invariant: a flush ends when the drive has what came before it");
        };
        run(&unit, &[host, |unit| while unit.destage() {}]);
    });
}

#[test]
fn flush_against_failure() {
    Model {
        name: "cache-flush-failure",
        protocol: "flush: a destage of its volume fails, is tried again and written",
        bounds: &[Bound::Preemptions(4)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 41_400,
        mutants: &[Mutant { name: "retry-counted", dies_by: "invariant: no more places" }],
    }
    .check(|| {
        let unit = Unit::with_slots(1);
        unit.write(OwnerId(0), key(1), 2);
        let host: Actor = |unit| {
            let upto = unit.cache.dirty_mark();
            match unit.cache.wait_clean(HOST, BackingId(1), upto) {
                Ok(false) if unit.wait(HOST) == Answer::Cancelled => {}
                Ok(_) => {
                    let drive = *unit.drive.lock();
                    assert_eq!(drive, 2, "invariant: a flush ends when the drive has its data");
                }
                Err(error) => assert_eq!(error, CacheError::DestageFailed { key: key(1) }),
            }
        };
        let fails: Actor = |unit| {
            if let Some(destage) = unit.cache.next_dirty(None) {
                unit.deliver(unit.cache.destage_done(destage, false));
            }
        };
        let tries_again: Actor = |unit| {
            unit.cache.retry_failed(BackingId(1));
            unit.destage();
        };
        run(&unit, &[host, fails, tries_again]);
        let counts = unit.cache.counts();
        let agree = counts.dirty_permits == 0 && counts.waiters == 0;
        assert!(agree, "invariant: a flush is answered and its slot is counted once");
    });
}

#[test]
fn flush_against_purge() {
    Model {
        name: "cache-flush-purge",
        protocol: "flush: its track is purged, written again and destaged",
        bounds: &[Bound::Preemptions(3), Bound::Unbounded],
        deep: &[],
        floor: 555,
        mutants: &[Mutant { name: "purge-strikes", dies_by: "deadlock" }],
    }
    .check(|| {
        let unit = Unit::with_slots(1);
        unit.write(OwnerId(0), key(1), 1);
        let host: Actor = |unit| {
            let upto = unit.cache.dirty_mark();
            if !unit.cache.wait_clean(HOST, BackingId(1), upto).unwrap() {
                assert_eq!(unit.wait(HOST), Answer::Granted);
            }
            let drive = *unit.drive.lock();
            assert!(upto < 2 || drive == 2, "invariant: a flush waits for what came before it");
        };
        let again: Actor = |unit| {
            unit.deliver(unit.cache.purge(BackingId(1), None));
            unit.write(OTHER, key(1), 2);
            unit.destage();
        };
        run(&unit, &[host, again]);
        unit.check_clean();
    });
}

#[test]
fn eviction_against_pin() {
    Model {
        name: "cache-evict-pin",
        protocol: "slot reuse: a pinned slot and an admission that needs its buffer",
        bounds: &[Bound::Preemptions(3), Bound::Unbounded],
        deep: &[],
        floor: 164,
        mutants: &[Mutant { name: "press-first", dies_by: "deadlock" }],
    }
    .check(|| {
        let unit = Unit::with_slots(1);
        unit.write(OwnerId(0), key(1), 1);
        unit.destage();
        run(&unit, &[|unit| unit.write(HOST, key(2), 2), |unit| unit.read(key(1))]);
        let pin = unit.cache.pin(key(2)).expect("it was written");
        assert_eq!(pin.data()[0], 2);
        drop(unit.cache.unpin(pin));
    });
}

#[test]
fn two_owners_and_room_for_one() {
    Model {
        name: "cache-admission",
        protocol: "admission: two owners, room for one",
        bounds: &[Bound::Preemptions(3), Bound::Unbounded],
        deep: &[],
        floor: 313,
        mutants: &[Mutant { name: "admit-wake", dies_by: "deadlock" }],
    }
    .check(|| {
        let unit = Unit::with_slots(1);
        run(&unit, &[|unit| hold(unit, HOST), |unit| hold(unit, OTHER)]);
        assert_eq!(unit.cache.counts().buffers, 0, "invariant: no room leaks");
    });
}

#[test]
fn cancel_against_grant() {
    Model {
        name: "cache-cancel",
        protocol: "admission: an owner gives up while it is granted room",
        bounds: &[Bound::Preemptions(3), Bound::Unbounded],
        deep: &[],
        floor: 124,
        mutants: &[Mutant { name: "cancel-granted", dies_by: "invariant: no room leaks" }],
    }
    .check(|| {
        let unit = Unit::with_slots(1);
        let gives_up: Actor = |unit| match unit.cache.admit(OTHER, 1, 0).unwrap() {
            Admit::Granted(room) => unit.deliver(unit.cache.return_room(room)),
            Admit::Queued => unit.deliver(unit.cache.cancel(OTHER)),
        };
        run(&unit, &[|unit| hold(unit, HOST), gives_up]);
        assert_eq!(unit.cache.counts().buffers, 0, "invariant: no room leaks");
    });
}

/// Takes the only buffer for a while.
fn hold(unit: &Unit, owner: OwnerId) {
    let mut room = unit.admit(owner, 1, 0);
    drop(unit.cache.buffer(&mut room));
    unit.deliver(unit.cache.return_room(room));
}
