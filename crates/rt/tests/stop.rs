//! The end of a driver: by `stop`, or by a panic in it. And what a completion may do.

use diptych_cha::{HostError, HostOp, HostReply};
use diptych_device::{Device, DeviceError, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId, SectorNo};
use diptych_rt::{Rt, RtConfig, RtError};
use diptych_sync::{Arc, Condvar, Mutex, thread};
use diptych_unit::{Plant, Unit, UnitConfig};
use std::io::{IoSlice, IoSliceMut};

const LDEV: LdevId = LdevId::new(0, 0);
const TRACKS: u64 = 16;
const BLOCKS: u64 = 8;
const STOPPING: HostReply = HostReply::Failed(HostError::Stopping);

/// A value that somebody waits for.
struct Awaited<T> {
    values: Mutex<Vec<T>>,
    given: Condvar,
}

impl<T: Send + 'static> Awaited<T> {
    fn new() -> Arc<Self> {
        Arc::new(Self { values: Mutex::new(Vec::new()), given: Condvar::new() })
    }

    fn give(&self, value: T) {
        self.values.lock().push(value);
        self.given.notify_all();
    }

    /// Takes the next value; waits for it.
    fn take(&self) -> T {
        let mut values = self.values.lock();
        while values.is_empty() {
            values = self.given.wait(values);
        }
        values.remove(0)
    }

    fn left(&self) -> usize {
        self.values.lock().len()
    }
}

/// What the drive does with the next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Serve,
    Hold,
    Panic,
}

/// A drive whose reads are held until they may go on.
struct Gate {
    read: Mutex<Read>,
    changed: Condvar,
    held: Arc<Awaited<()>>,
}

impl Gate {
    fn set(&self, read: Read) {
        *self.read.lock() = read;
        self.changed.notify_all();
    }

    /// Waits while reads are held.
    fn pass(&self) -> Read {
        let mut read = self.read.lock();
        if *read == Read::Hold {
            self.held.give(());
        }
        while *read == Read::Hold {
            read = self.changed.wait(read);
        }
        *read
    }
}

struct Gated {
    drive: MemoryDrive,
    gate: Arc<Gate>,
}

impl std::fmt::Debug for Gated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gated")
    }
}

impl Device for Gated {
    fn sector_count(&self) -> u64 {
        self.drive.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let panics = self.gate.pass() == Read::Panic;
        assert!(!panics, "a fault of the drive, as planned");
        self.drive.read_at(sector, bufs)
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        self.drive.write_at(sector, bufs)
    }

    fn flush(&self) -> Result<(), DeviceError> {
        self.drive.flush()
    }
}

struct Rig {
    rt: Rt,
    gate: Arc<Gate>,
    answers: Arc<Awaited<(&'static str, HostReply)>>,
}

impl Rig {
    /// A volume that is written, and too large for its cache: track 0 is on the drive alone.
    fn new(requests_max: usize) -> Self {
        let gate = Arc::new(Gate {
            read: Mutex::new(Read::Serve),
            changed: Condvar::new(),
            held: Awaited::new(),
        });
        let drive = Gated { drive: MemoryDrive::new(1 << 12), gate: gate.clone() };
        let plant = Plant::new(Drives::new(vec![(0, Box::new(drive))]));
        let mut config = UnitConfig::with_cache(8, BLOCKS as usize * 512);
        config.cache.write_pending_limit_slots = 6;
        let unit = Unit::new(config, &plant).unwrap();
        unit.add_volume(LDEV, Geometry::with_tracks(BLOCKS, TRACKS), 0).unwrap();
        let rt = Rt::start(unit, plant, RtConfig { requests_max, ..RtConfig::default() }).unwrap();
        for track in 0..TRACKS {
            let data = vec![1; BLOCKS as usize * 512].into();
            let block = BlockNo(track * BLOCKS);
            assert_eq!(rt.execute(HostOp::Write { ldev: LDEV, block, data }), HostReply::Done);
        }
        assert_eq!(rt.execute(HostOp::Flush { ldev: LDEV }), HostReply::Done);
        // All is clean: whatever was there gives way to these.
        for track in (1..TRACKS).chain(1..TRACKS) {
            assert!(matches!(rt.execute(read(track)), HostReply::Data(_)));
        }
        Self { rt, gate, answers: Awaited::new() }
    }

    fn submit(&self, name: &'static str, op: HostOp) {
        let answers = self.answers.clone();
        self.rt.submit(op, move |reply| answers.give((name, reply))).unwrap();
    }

    /// A read of track 0, held in the drive by a worker.
    fn submit_held_read(&self) {
        self.gate.set(Read::Hold);
        self.submit("held", read(0));
        self.gate.held.take();
    }

    /// The next answers, by name.
    fn take<const N: usize>(&self) -> Vec<(&'static str, HostReply)> {
        let mut answers: Vec<_> = (0..N).map(|_| self.answers.take()).collect();
        answers.sort_by_key(|(name, _)| *name);
        answers
    }

    /// Nothing is carried out any more.
    fn assert_stopped(&self) {
        assert_eq!(self.rt.execute(write(0, 9)), STOPPING);
        assert_eq!(self.rt.execute(read(TRACKS - 1)), STOPPING);
        let answers = self.answers.clone();
        let submitted = self.rt.submit(read(0), move |reply| answers.give(("late", reply)));
        assert!(matches!(submitted, Err(RtError::Stopped)), "{submitted:?}");
        assert_eq!(self.answers.left(), 0, "what was refused is not answered as well");
        self.rt.wait_idle();
        self.rt.stop();
    }
}

fn read(track: u64) -> HostOp {
    HostOp::Read { ldev: LDEV, blocks: BlockRange::one(BlockNo(track * BLOCKS)) }
}

fn write(track: u64, byte: u8) -> HostOp {
    let data = vec![byte; 512].into();
    HostOp::Write { ldev: LDEV, block: BlockNo(track * BLOCKS), data }
}

#[test]
fn a_stopped_driver_says_so() {
    let rig = Rig::new(16);
    rig.rt.stop();
    rig.assert_stopped();
}

#[test]
fn who_waits_is_told_of_the_end() {
    let rig = Rig::new(16);
    rig.submit_held_read();
    // Both wait for the claim of the read, which is in the drive.
    rig.submit("waits", write(0, 2));
    let host = {
        let rt = rig.rt.clone();
        thread::spawn(move || rt.execute(write(0, 3)))
    };
    let stopper = {
        let rt = rig.rt.clone();
        thread::spawn(move || rt.stop())
    };
    // They are told while the worker is still in the drive.
    assert_eq!(rig.take::<1>(), [("waits", STOPPING)]);
    assert_eq!(host.join().unwrap(), STOPPING);
    rig.gate.set(Read::Serve);
    assert_eq!(rig.take::<1>(), [("held", HostReply::Data(vec![1; 512].into()))]);
    stopper.join().unwrap();
    rig.assert_stopped();
}

#[test]
fn a_panic_on_a_worker_stops_the_driver() {
    let rig = Rig::new(16);
    rig.submit_held_read();
    rig.submit("waits", write(0, 2));
    let wait = |run: fn(&Rt) -> Option<HostReply>| {
        let rt = rig.rt.clone();
        thread::spawn(move || run(&rt))
    };
    let host = wait(|rt| Some(rt.execute(write(0, 3))));
    let idler = wait(|rt| {
        rt.wait_idle();
        None
    });
    rig.gate.set(Read::Panic);
    assert_eq!(rig.take::<2>(), [("held", STOPPING), ("waits", STOPPING)]);
    assert_eq!(host.join().unwrap(), Some(STOPPING));
    assert_eq!(idler.join().unwrap(), None);
    rig.assert_stopped();
}

#[test]
fn a_panic_on_a_hosts_thread_stops_the_driver() {
    let rig = Rig::new(16);
    rig.gate.set(Read::Hold);
    let host = {
        let rt = rig.rt.clone();
        thread::spawn(move || rt.execute(read(0)))
    };
    rig.gate.held.take();
    rig.submit("waits", write(0, 2));
    rig.gate.set(Read::Panic);
    assert!(host.join().is_err(), "the panic goes on");
    assert_eq!(rig.take::<1>(), [("waits", STOPPING)]);
    rig.assert_stopped();
}

#[test]
fn a_completion_that_panics_stops_the_driver() {
    let rig = Rig::new(16);
    rig.submit_held_read();
    rig.rt.submit(read(0), |_| panic!("a fault of the host, as planned")).unwrap();
    rig.gate.set(Read::Serve);
    assert_eq!(rig.take::<1>(), [("held", HostReply::Data(vec![1; 512].into()))]);
    // The driver is not idle before the other read has ended.
    rig.rt.wait_idle();
    rig.assert_stopped();
}

/// A host that submits the next of `left` hits when the last is answered.
fn next_hit(rt: &Rt, left: u64, ended: Arc<Awaited<u64>>) {
    let again = rt.clone();
    let done = move |reply| {
        assert_eq!(reply, HostReply::Done);
        match left {
            0 => ended.give(0),
            _ => next_hit(&again, left - 1, ended),
        }
    };
    rt.submit(write(1, left as u8), done).expect("the last request is counted out");
}

#[test]
fn a_host_goes_from_hit_to_hit() {
    // One request at a time, so each is counted out before its completion submits the next.
    let rig = Rig::new(1);
    let ended = Awaited::new();
    next_hit(&rig.rt, 100_000, ended.clone());
    assert_eq!(ended.take(), 0);
    let last = HostReply::Data(vec![0; 512].into());
    assert_eq!(rig.rt.execute(read(1)), last);
    rig.rt.stop();
}

#[test]
fn wakes_are_passed_on_before_the_completion() {
    let rig = Rig::new(16);
    rig.gate.set(Read::Hold);
    let (rt, answers) = (rig.rt.clone(), rig.answers.clone());
    // It queues for the claim behind the write, which the read has woken.
    let done = move |_| answers.give(("last", rt.execute(write(0, 3))));
    rig.rt.submit(read(0), done).unwrap();
    rig.gate.held.take();
    rig.submit("first", write(0, 2));
    rig.gate.set(Read::Serve);
    let done = HostReply::Done;
    assert_eq!(rig.take::<2>(), [("first", done.clone()), ("last", done)]);
    assert_eq!(rig.rt.execute(read(0)), HostReply::Data(vec![3; 512].into()));
    rig.rt.stop();
}
