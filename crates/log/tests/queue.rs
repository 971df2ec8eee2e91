//! Put, write out, sync: from several threads, over drives that are stuck, fail and lose power.
#![cfg(not(any(diptych_loom, diptych_shuttle)))]

use bytes::Bytes;
use diptych_device::{
    Device, DeviceError, Fault, FaultKind, FaultPlan, FaultRule, MemoryDrive, Op, PowerCut,
};
use diptych_format::{OwnerId, SectorNo};
use diptych_log::{Entry, Log, LogAdmit, LogConfig, LogError, LogId, Record, Replayed, Sequence};
use diptych_sync::{Arc, Condvar, Mutex, thread};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

const ID: LogId = LogId(0xD1D1);

fn create<D: Device>(device: D) -> Log<D> {
    Log::create(device, ID, LogConfig::default()).expect("room")
}

fn entry(head: &[u8], blocks: usize) -> Entry {
    let value = head.first().copied().unwrap_or(0);
    Entry::new(1, head.to_vec(), Bytes::from(vec![value; blocks * 512]))
}

/// Heads of the records of a log, and what opening it came to.
#[track_caller]
fn open(device: impl Device) -> (Vec<(Sequence, Vec<u8>)>, Replayed) {
    let mut found = Vec::new();
    let opened = Log::open(device, LogConfig::default(), |sequence, record| {
        let value = record.head.first().copied().unwrap_or(0);
        assert!(record.payload.iter().all(|byte| *byte == value));
        found.push((sequence, record.head.to_vec()));
    });
    let (log, replayed) = opened.expect("nothing durable is missing");
    assert!(found.last().is_none_or(|(last, _)| last.0 + 1 == log.end().0));
    (found, replayed)
}

/// A drive whose writes do not end before they are told to.
#[derive(Debug)]
struct Stuck {
    drive: MemoryDrive,
    /// Whether writes are held, and how many are.
    held: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Stuck {
    fn new(sectors: u64) -> Self {
        let (drive, held) = (MemoryDrive::new(sectors), Mutex::new((false, 0)));
        Self { drive, held, changed: Condvar::new() }
    }

    fn hold(&self, hold: bool) {
        self.held.lock().0 = hold;
        self.changed.notify_all();
    }

    /// Waits until a write is held.
    fn wait_held(&self) {
        let mut held = self.held.lock();
        while held.1 == 0 {
            held = self.changed.wait(held);
        }
    }
}

impl Device for Stuck {
    fn sector_count(&self) -> u64 {
        self.drive.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        self.drive.read_at(sector, bufs)
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let mut held = self.held.lock();
        held.1 += 1;
        self.changed.notify_all();
        while held.0 {
            held = self.changed.wait(held);
        }
        held.1 -= 1;
        drop(held);
        self.drive.write_at(sector, bufs)
    }

    fn flush(&self) -> Result<(), DeviceError> {
        self.drive.flush()
    }
}

#[test]
fn a_put_waits_for_no_request() {
    let drive = Stuck::new(200);
    let log = create(&drive);
    drive.hold(true);
    let first = log.put(vec![entry(b"1", 1)]);
    thread::scope(|scope| {
        let writer = scope.spawn(|| log.write_out(Sequence(2)));
        drive.wait_held();
        // The write is under way and stays so: all of these come back.
        let second = log.put(vec![entry(b"2", 0), entry(b"2", 1)]);
        assert_eq!((first.end, second), (Sequence(2), Sequence(2)..Sequence(4)));
        assert_eq!((log.end(), log.durable_sequence()), (Sequence(4), Sequence(1)));
        let room = log.admit(OwnerId(1), 4).expect("a queue");
        assert!(matches!(room, LogAdmit::Granted(_)));
        assert_eq!(log.usage().promised_sectors, 4);
        assert!(!writer.is_finished());
        let mut writers = vec![writer];
        writers.extend((0..3).map(|_| scope.spawn(|| log.write_out(Sequence(4)))));
        drive.hold(false);
        for writer in writers {
            assert_eq!(writer.join().expect("no panic"), Ok(()));
        }
    });
    let (found, replayed) = open(&drive);
    assert_eq!((found.len(), replayed.batch_count), (3, 2), "one writes for all who wait");
}

#[test]
fn what_is_queued_is_written_in_as_few_batches_as_there_can_be() {
    #[track_caller]
    fn check(groups: &[(usize, usize)], batches: u64) {
        let drive = MemoryDrive::new(100_000);
        let log = create(&drive);
        for &(entries, blocks) in groups {
            log.put(vec![entry(b"x", blocks); entries]);
        }
        log.write_out(log.end()).expect("room");
        let (found, replayed) = open(&drive);
        assert_eq!(found.len(), groups.iter().map(|(entries, _)| entries).sum::<usize>());
        assert_eq!(replayed.batch_count, batches);
    }
    const MIB: usize = 2048;
    check(&[], 0);
    check(&[(0, 0), (0, 0)], 0);
    check(&[(1, 8); 100], 1);
    check(&[(1, 4 * MIB), (1, 4 * MIB)], 1);
    check(&[(1, 4 * MIB), (1, 4 * MIB), (1, 1)], 2);
    check(&[(1, 4 * MIB), (2, 3 * MIB), (1, 4 * MIB)], 3);
}

#[test]
#[should_panic(expected = "a group fits a batch")]
fn a_group_that_fits_no_batch_is_a_broken_invariant() {
    let drive = MemoryDrive::new(200);
    create(&drive).put(vec![Entry::new(1, vec![], Bytes::from_static(&[0; 511]))]);
}

/// What a payload shows of its end.
struct Owned(Arc<Mutex<usize>>);

impl AsRef<[u8]> for Owned {
    fn as_ref(&self) -> &[u8] {
        &[7; 512]
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        *self.0.lock() -= 1;
    }
}

#[test]
fn handles_are_given_back_before_the_write_returns() {
    let handles = Arc::new(Mutex::new(0));
    let owned = || {
        *handles.lock() += 1;
        Entry::new(1, vec![7], Bytes::from_owner(Owned(handles.clone())))
    };
    let drive = Fault::new(MemoryDrive::new(200), FaultPlan::none()).expect("no rule");
    let log = create(&drive);
    let written = log.put(vec![owned(), owned()]);
    assert_eq!(*handles.lock(), 2);
    log.write_out(written.end).expect("room");
    assert_eq!(*handles.lock(), 0);
    // A failure: what was to be written and what is put afterwards goes nowhere.
    drive.push(FaultRule::new(Op::Write, FaultKind::Fail)).expect("a rule");
    let lost = log.put(vec![owned()]);
    let error = log.write_out(lost.end).expect_err("a write that fails");
    assert!(matches!(error, LogError::Device(_)));
    assert_eq!(*handles.lock(), 0);
    drive.heal();
    let nowhere = log.put(vec![owned()]);
    assert_eq!((nowhere.start, *handles.lock()), (lost.end, 0));
    assert_eq!((log.write_out(nowhere.end), log.sync(nowhere.end)), (Err(error), Err(error)));
    assert_eq!(log.write_out(written.end), Ok(()), "that was written before");
    assert_eq!(log.append(&[]).map(|_| ()), Err(error));
    assert_eq!(open(&drive).0.len(), 2);
}

/// A payload that is not given back before it is told to.
struct Gate(Arc<(Mutex<(bool, bool)>, Condvar)>);

impl AsRef<[u8]> for Gate {
    fn as_ref(&self) -> &[u8] {
        &[7; 512]
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let (reached_opened, changed) = &*self.0;
        let mut state = reached_opened.lock();
        state.0 = true;
        changed.notify_all();
        while !state.1 {
            state = changed.wait(state);
        }
    }
}

#[test]
fn who_finds_his_own_written_finds_the_handles_given_back() {
    let gate = Arc::new((Mutex::new((false, false)), Condvar::new()));
    let (reached_opened, changed) = &*gate;
    let log = create(MemoryDrive::new(200));
    let put = log.put(vec![Entry::new(1, vec![7], Bytes::from_owner(Gate(gate.clone())))]);
    let mut ended = false;
    thread::scope(|scope| {
        let writers = [(); 2].map(|()| scope.spawn(|| log.write_out(put.end)));
        let mut state = reached_opened.lock();
        while !state.0 {
            state = changed.wait(state);
        }
        let asked = scope.spawn(|| log.write_out(put.end));
        // Long enough for whoever would not wait.
        let mut state = changed.wait_for(state, Duration::from_millis(20));
        ended = asked.is_finished() || writers.iter().any(thread::ScopedJoinHandle::is_finished);
        state.1 = true;
        changed.notify_all();
    });
    assert!(!ended);
    assert!(log.write_out(put.end).is_ok());
}

#[test]
fn a_full_log_keeps_what_is_queued() {
    let drive = MemoryDrive::new(64);
    let log = create(&drive);
    for head in [b"1", b"2"] {
        log.put(vec![entry(head, 20)]);
    }
    log.write_out(Sequence(3)).expect("room");
    log.put(vec![entry(b"3", 10)]);
    // 7 to the end of the ring, and 11.
    let full = LogError::Full { wanted_sectors: 18, free_sectors: 6 };
    assert_eq!(log.write_out(Sequence(4)), Err(full));
    log.put(vec![entry(b"4", 1)]);
    assert_eq!(log.sync(Sequence(5)), Err(full));
    log.trim(Sequence(3)).expect("a flush");
    log.sync(Sequence(5)).expect("room");
    let (found, _) = open(&drive);
    assert_eq!(found, [(Sequence(3), b"3".to_vec()), (Sequence(4), b"4".to_vec())]);
    // What can never be written ends the log instead of filling the memory.
    let ended = (0..6).map(|_| log.put(vec![entry(b"5", 8)])).last().expect("six");
    let full = LogError::Full { wanted_sectors: 54, free_sectors: 28 };
    assert_eq!(log.write_out(ended.end), Err(full));
    assert_eq!(log.trim(Sequence(5)), Err(full));
}

#[test]
fn an_appended_batch_stands_behind_what_is_queued() {
    let drive = MemoryDrive::new(64);
    let log = create(&drive);
    log.put(vec![entry(b"1", 0)]);
    let record = Record { kind: 1, head: b"2", payload: &[] };
    assert_eq!(log.append(&[record]), Ok(Sequence(2)..Sequence(3)));
    assert_eq!(log.write_out(Sequence(3)), Ok(()));
    assert_eq!(open(&drive).0.len(), 2);
}

/// What a thread does.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A group of so many records.
    Put(u8),
    WriteOut,
    Sync,
    /// Up to the last own group, of whomever the others are.
    Trim,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (1..5_u8).prop_map(Step::Put),
        2 => Just(Step::WriteOut),
        1 => Just(Step::Sync),
        1 => Just(Step::Trim),
    ]
}

/// What was put, by its first record, and how far it was written out and synced.
#[derive(Debug)]
struct Known {
    groups: BTreeMap<Sequence, Vec<Vec<u8>>>,
    written: Sequence,
    synced: Sequence,
    trimmed: Sequence,
}

fn nothing() -> Known {
    let (written, synced, trimmed) = (Sequence(1), Sequence(1), Sequence(1));
    Known { groups: BTreeMap::new(), written, synced, trimmed }
}

fn run(log: &Log<impl Device>, thread_no: u8, steps: &[Step], known: &Mutex<Known>) {
    let mut last = Sequence(1);
    for (no, step) in steps.iter().enumerate() {
        match *step {
            Step::Put(count) => {
                let heads: Vec<_> = (0..count).map(|at| vec![thread_no, no as u8, at]).collect();
                let blocks = |at: usize| (no + at) % 3;
                let entries = heads.iter().enumerate().map(|(at, head)| entry(head, blocks(at)));
                let given = log.put(entries.collect());
                assert_eq!(given.end.0 - given.start.0, u64::from(count));
                assert!(given.start >= last, "in order");
                last = given.end;
                known.lock().groups.insert(given.start, heads);
            }
            Step::WriteOut => {
                log.write_out(last).expect("room");
                let mut known = known.lock();
                known.written = known.written.max(last);
            }
            Step::Sync => {
                log.sync(last).expect("room");
                assert!(log.durable_sequence() >= last);
                let mut known = known.lock();
                known.synced = known.synced.max(last);
            }
            Step::Trim => {
                let mut known = known.lock();
                known.trimmed = known.trimmed.max(last);
                drop(known);
                drop(log.trim(last).expect("power"));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn groups_of_several_threads_are_there_whole_and_in_order(
        threads in prop::collection::vec(prop::collection::vec(step(), 1..20), 1..4),
        cut in prop::option::of(any::<u64>()),
    ) {
        let drive = PowerCut::new(MemoryDrive::new(2_000), 10_000);
        let log = create(&drive);
        let known = Mutex::new(nothing());
        thread::scope(|scope| {
            for (no, steps) in threads.iter().enumerate() {
                let (log, known) = (&log, &known);
                scope.spawn(move || run(log, no as u8, steps, known));
            }
        });
        let put_to = log.end();
        drop(log);
        let Known { groups, written, synced, trimmed } =
            std::mem::replace(&mut *known.lock(), nothing());
        let mut least = written.max(synced);
        if let Some(mut bits) = cut {
            least = synced;
            drive.cut(|_| {
                bits = bits.rotate_left(9).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                bits >> 63 == 1
            });
            drive.restore_power();
        }
        let (found, _) = open(&drive);
        let first = found.first().map_or(trimmed, |(first, _)| *first);
        let end = Sequence(first.0 + found.len() as u64);
        prop_assert!(first <= trimmed, "{first} {trimmed}");
        prop_assert!((found.is_empty() || least <= end) && end <= put_to, "{least} {end} {put_to}");
        let whole = groups.range(first..end).flat_map(|(_, heads)| heads.clone());
        let found: Vec<_> = found.into_iter().map(|(_, head)| head).collect();
        prop_assert_eq!(found, whole.collect::<Vec<_>>(), "no group is divided");
    }
}
