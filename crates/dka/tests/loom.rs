//! Model of a drive that does not answer in time: the code that ships, under loom.
#![cfg(diptych_loom)]

use diptych_device::{Device, DeviceError};
use diptych_dka::{Drives, Op};
use diptych_format::{CheckArea, DriveNo, SectorNo};
use diptych_sync::model::{Bound, Model, Mutant};
use diptych_sync::{Arc, Mutex, thread};
use std::io::{IoSlice, IoSliceMut};

/// A drive that never answers in time. Its writes may be carried out at any time from then on, so
/// there may be one at most.
#[derive(Debug)]
struct Silent(Mutex<u32>);

impl Device for Silent {
    fn sector_count(&self) -> u64 {
        8
    }

    fn read_at(&self, _: SectorNo, _: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        Err(DeviceError::TimedOut)
    }

    fn write_at(&self, _: SectorNo, _: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let mut writes = self.0.lock();
        *writes += 1;
        assert_eq!(*writes, 1, "a write is under way that may overwrite what is newer");
        Err(DeviceError::TimedOut)
    }

    fn flush(&self) -> Result<(), DeviceError> {
        Err(DeviceError::TimedOut)
    }
}

#[test]
fn a_write_behind_one_that_times_out() {
    let model = Model {
        name: "a_write_behind_one_that_times_out",
        protocol: "two writes of one track of a drive that does not answer in time",
        bounds: &[Bound::Preemptions(3), Bound::Unbounded],
        deep: &[],
        floor: 140,
        mutants: &[Mutant { name: "fence-after-wait", dies_by: "overwrite what is newer" }],
    };
    model.check(|| {
        let drives = Arc::new(Drives::new(vec![(0, Box::new(Silent(Mutex::new(0))))]));
        let writers = [0, 1].map(|_| {
            let drives = drives.clone();
            thread::spawn(move || {
                let checks = Some(Arc::new(CheckArea::zeroed(4)));
                let (drive, sector) = (DriveNo(0), SectorNo(0));
                drives.perform(Op::Write { drive, sector, data: None, checks }).result
            })
        });
        let results = writers.map(|writer| writer.join().expect("a writer"));
        let timed_out = results.iter().filter(|r| **r == Err(DeviceError::TimedOut)).count();
        let refused = results.iter().filter(|r| **r == Err(DeviceError::Failed)).count();
        assert_eq!((timed_out, refused), (1, 1));
        assert!(drives.is_fenced(DriveNo(0)));
    });
}
