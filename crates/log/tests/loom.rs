//! Models of the log: who shares a flush, under loom. The code that ships, over a device whose cache
//! is lost when nobody flushes it.
//!
//! What lives when a model dies is not dropped: see the models of the shared memory.
#![cfg(diptych_loom)]

use bytes::Bytes;
use diptych_device::{Device, DeviceError};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_log::{Entry, Log, LogConfig, LogId, Sequence};
use diptych_sync::model::{Bound, Model, Mutant};
use diptych_sync::{Arc, Mutex, thread};
use std::io::{IoSlice, IoSliceMut};
use std::mem::ManuallyDrop;

const SECTORS: usize = 80;

/// What was written, and what of it was there when it was flushed.
#[derive(Debug)]
struct Contents {
    cached: Vec<u8>,
    durable: Vec<u8>,
}

/// A device with a volatile cache. A flush takes what was written before it began.
#[derive(Debug)]
struct Volatile(Mutex<Contents>);

impl Device for &'static Volatile {
    fn sector_count(&self) -> u64 {
        SECTORS as u64
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let contents = self.0.lock();
        let mut at = sector.0 as usize * BLOCK_BYTES;
        for buf in bufs {
            let end = at + buf.len();
            buf.copy_from_slice(&contents.cached[at..end]);
            at = end;
        }
        Ok(())
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let mut contents = self.0.lock();
        let mut at = sector.0 as usize * BLOCK_BYTES;
        for buf in bufs {
            let end = at + buf.len();
            contents.cached[at..end].copy_from_slice(buf);
            at = end;
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), DeviceError> {
        let flushed = self.0.lock().cached.clone();
        self.0.lock().durable = flushed;
        Ok(())
    }
}

struct Unit {
    log: Log<&'static Volatile>,
    device: &'static Volatile,
}

impl Unit {
    fn new() -> ManuallyDrop<Arc<Self>> {
        let empty = || vec![0; SECTORS * BLOCK_BYTES];
        let contents = Contents { cached: empty(), durable: empty() };
        // Given up with the model: a device has to outlive its log.
        let device: &'static Volatile = Box::leak(Box::new(Volatile(Mutex::new(contents))));
        let log = Log::create(device, LogId(1), LogConfig::default()).unwrap();
        ManuallyDrop::new(Arc::new(Self { log, device }))
    }

    fn put(&self, tag: u8) -> Sequence {
        let payload = Bytes::from(vec![tag; BLOCK_BYTES]);
        self.log.put(vec![Entry::new(1, vec![], payload)]).end
    }

    /// A host whose answer is durable.
    fn write_durably(&self, tag: u8) {
        let end = self.put(tag);
        self.log.sync(end).unwrap();
        let durable = &self.device.0.lock().durable;
        let mut sectors = durable.chunks(BLOCK_BYTES);
        let is_there = sectors.any(|sector| sector.iter().all(|byte| *byte == tag));
        assert!(is_there, "invariant I5: a record that is said to be durable is not");
    }

    /// A host whose answer only has to survive the process.
    fn write(&self, tag: u8) {
        let end = self.put(tag);
        self.log.write_out(end).unwrap();
    }
}

fn run(unit: &Arc<Unit>, actors: &[fn(&Unit)]) {
    let spawn = |&actor: &fn(&Unit)| {
        let unit = ManuallyDrop::new(unit.clone());
        thread::spawn(move || {
            actor(&unit);
            drop(ManuallyDrop::into_inner(unit));
        })
    };
    let threads: Vec<_> = actors.iter().map(spawn).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_flush_is_shared() {
    Model {
        name: "a_flush_is_shared",
        protocol: "two hosts write durably and share flushes, a third writes beside them",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(30)],
        floor: 9_800,
        mutants: &[
            Mutant {
                name: "written-before-flush",
                dies_by: "invariant I5: a record that is said to be durable is not",
            },
            Mutant { name: "flush-tells", dies_by: "deadlock" },
        ],
    }
    .check(|| {
        let unit = Unit::new();
        run(
            &unit,
            &[|unit| unit.write_durably(1), |unit| unit.write_durably(2), |unit| unit.write(3)],
        );
        drop(ManuallyDrop::into_inner(unit));
    });
}

#[test]
fn a_trim_beside_a_flush() {
    Model {
        name: "a_trim_beside_a_flush",
        protocol: "the log is trimmed while a host writes durably",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(30)],
        floor: 360,
        mutants: &[Mutant { name: "flush-tells", dies_by: "deadlock" }],
    }
    .check(|| {
        let unit = Unit::new();
        unit.write_durably(1);
        run(
            &unit,
            &[
                |unit| unit.write_durably(2),
                |unit| drop(unit.log.trim(Sequence(unit.log.first_sequence().0 + 1)).unwrap()),
            ],
        );
        drop(ManuallyDrop::into_inner(unit));
    });
}
