//! A drive that does not answer, and the hosts of the others.
#![allow(missing_docs)] // a test program has no public items

use diptych_cha::{HostOp, HostReply};
use diptych_device::{Device, DeviceError, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId, SectorNo};
use diptych_rt::{Rt, RtConfig};
use diptych_sync::{Arc, Condvar, Mutex};
use diptych_unit::{Plant, Unit, UnitConfig};
use std::io::{IoSlice, IoSliceMut};
use std::time::Duration;

/// A drive whose reads wait until they may go on.
#[derive(Debug)]
struct Stuck {
    inner: MemoryDrive,
    free: Arc<(Mutex<bool>, Condvar)>,
}

impl Device for Stuck {
    fn sector_count(&self) -> u64 {
        self.inner.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let (free, changed) = &*self.free;
        let mut free = free.lock();
        while !*free {
            free = changed.wait(free);
        }
        drop(free);
        self.inner.read_at(sector, bufs)
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        self.inner.write_at(sector, bufs)
    }

    fn flush(&self) -> Result<(), DeviceError> {
        self.inner.flush()
    }
}

/// The volumes whose reads were answered, in order.
#[derive(Default)]
struct Answers {
    volumes: Mutex<Vec<u8>>,
    changed: Condvar,
}

impl Answers {
    fn add(&self, volume: u8) {
        self.volumes.lock().push(volume);
        self.changed.notify_all();
    }

    /// Waits until so many are there.
    #[track_caller]
    fn wait(&self, count: usize) -> Vec<u8> {
        let mut volumes = self.volumes.lock();
        let mut waited = 0;
        while volumes.len() < count {
            assert!(waited < 600, "{count} answers, after a minute: {volumes:?}");
            volumes = self.changed.wait_for(volumes, Duration::from_millis(100));
            waited += 1;
        }
        volumes.clone()
    }
}

const TRACK_BLOCKS: u64 = 8;
const TRACKS: u64 = 64;

fn ldev(no: u8) -> LdevId {
    LdevId::new(0, no)
}

fn blocks(track: u64) -> BlockRange {
    BlockRange::new(BlockNo(track * TRACK_BLOCKS), TRACK_BLOCKS)
}

/// More requests than there are workers wait for a drive that does not answer. Those for the other drive
/// are answered, one after another, and in the end all are.
#[test]
fn a_drive_that_does_not_answer_stops_no_other() {
    for workers in [2, 3, 6] {
        let free = Arc::new((Mutex::new(true), Condvar::new()));
        let drive = || Stuck { inner: MemoryDrive::new(4_096), free: free.clone() };
        let other = Box::new(MemoryDrive::new(4_096));
        let plant = Plant::new(Drives::new(vec![(0, Box::new(drive())), (0, other)]));
        // A small cache: what is read last is not in it.
        let config = UnitConfig::with_cache(32, TRACK_BLOCKS as usize * 512);
        let unit = Unit::new(config, &plant).unwrap();
        for no in 0..2 {
            let geometry = Geometry::with_tracks(TRACK_BLOCKS, TRACKS);
            unit.add_volume(ldev(no), geometry, usize::from(no)).unwrap();
        }
        let rt = Rt::start(unit, plant, RtConfig { workers, ..RtConfig::default() }).unwrap();
        for no in 0..2 {
            for track in 0..TRACKS {
                let data = vec![track as u8; TRACK_BLOCKS as usize * 512].into();
                let op = HostOp::Write { ldev: ldev(no), block: blocks(track).start, data };
                assert_eq!(rt.execute(op), HostReply::Done);
            }
            assert_eq!(rt.execute(HostOp::Flush { ldev: ldev(no) }), HostReply::Done);
        }
        let answers = Arc::new(Answers::default());
        let read = |no: u8, track: u64| {
            let answers = answers.clone();
            let op = HostOp::Read { ldev: ldev(no), blocks: blocks(track) };
            rt.submit(op, move |reply| {
                let expected = vec![track as u8; TRACK_BLOCKS as usize * 512].into();
                assert_eq!(reply, HostReply::Data(expected));
                answers.add(no);
            })
            .unwrap();
        };
        *free.0.lock() = false;
        let stuck = 2 * workers as u64;
        (0..stuck).for_each(|track| read(0, track));
        for track in 0..8 {
            read(1, track);
            let answered = answers.wait(track as usize + 1);
            assert!(answered.iter().all(|volume| *volume == 1), "{workers} workers: {answered:?}");
        }
        *free.0.lock() = true;
        free.1.notify_all();
        answers.wait(8 + stuck as usize);
        rt.stop();
    }
}
