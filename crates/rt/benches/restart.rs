//! How long a unit takes to come back: 100 GiB configured, 256 MiB that are not on their drives.
//!
//! Hosts write 256 MiB to random tracks, nothing of it is destaged, and the process lets go of the unit
//! as if it had died. Then the page cache is told to forget the log, and the clock runs from the
//! opening of the directory to the answer to the first read.
//!
//! `cargo bench -p diptych-rt --bench restart`; `DIPTYCH_BENCH_DIR` names the directory (about 800 MiB).
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

use diptych_cha::{HostOp, HostReply};
use diptych_dka::Groups;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, Emulation, Geometry, LdevId};
use diptych_rt::{DriveShape, OpenedUnit, Rt, RtConfig, UnitDir, UnitShape};
use diptych_unit::UnitConfig;
use rustix::fs::{Advice, fadvise};
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

const VOLUMES: u8 = 10;
const VOLUME_BYTES: u64 = 10 << 30;
const LOG_BYTES: u64 = 768 << 20;
const DIRTY_BYTES: u64 = 256 << 20;
const TRACK_BYTES: u64 = 64 << 10;
const SLOTS: usize = 16_384;
const LIMIT: Duration = Duration::from_secs(5);

fn geometry() -> Geometry {
    let blocks = VOLUME_BYTES / BLOCK_BYTES as u64;
    Geometry::new(Emulation::OpenV, blocks).expect("a size that OPEN-V has")
}

fn config() -> UnitConfig {
    let mut config = UnitConfig::with_cache(SLOTS, TRACK_BYTES as usize);
    config.destage_delay_ns = 3_600_000_000_000; // what is dirty stays so
    config
}

fn start(opened: OpenedUnit) -> (UnitDir, Rt) {
    let OpenedUnit { dir, unit, plant, .. } = opened;
    (dir, Rt::start(unit, plant, RtConfig::default()).expect("workers"))
}

/// A unit with volumes, and so much of it dirty, in requests of so many bytes.
fn fill(path: &Path, request_bytes: u64) -> (LdevId, BlockNo) {
    let sectors = Groups::sectors_for(geometry());
    let drive = |dka_no| DriveShape { dka_no, sectors };
    let drives = (0..u16::from(VOLUMES)).map(drive).collect();
    let shape = UnitShape { id: 1, log_sectors: LOG_BYTES / BLOCK_BYTES as u64, drives };
    let dir = UnitDir::create(path, &shape).expect("a unit directory");
    let (dir, rt) = start(dir.recover(config()).expect("a new unit"));
    for no in 0..VOLUMES {
        let ldev = LdevId::new(0, no);
        rt.unit().add_volume(ldev, geometry(), usize::from(no)).expect("room for a volume");
    }
    let mut rng = fastrand::Rng::with_seed(1);
    let blocks_per_track = geometry().blocks_per_track();
    let mut last = (LdevId::new(0, 0), BlockNo(0));
    for _ in 0..DIRTY_BYTES / TRACK_BYTES {
        let ldev = LdevId::new(0, rng.u8(..VOLUMES));
        let first = rng.u64(..geometry().track_count()) * blocks_per_track;
        for at in (0..TRACK_BYTES).step_by(request_bytes as usize) {
            let block = BlockNo(first + at / BLOCK_BYTES as u64);
            let data = vec![rng.u8(..); request_bytes as usize].into();
            assert_eq!(rt.execute(HostOp::Write { ldev, block, data }), HostReply::Done);
            last = (ldev, block);
        }
    }
    rt.stop();
    drop((dir, rt));
    last
}

fn restart(request_bytes: u64, name: &str) {
    let parent = std::env::var_os("DIPTYCH_BENCH_DIR").map(std::path::PathBuf::from);
    let temp =
        tempfile::tempdir_in(parent.unwrap_or_else(std::env::temp_dir)).expect("a directory");
    let path = temp.path().join("unit");
    let (ldev, block) = fill(&path, request_bytes);
    let log = File::open(path.join("log")).expect("the log");
    log.sync_all().expect("the log on its disk");
    fadvise(&log, 0, None, Advice::DontNeed).expect("advice is taken");
    let begun = Instant::now();
    let opened = UnitDir::open(&path, config()).expect("the unit comes back");
    let found = opened.recovered;
    let (_dir, rt) = start(opened);
    let reply = rt.execute(HostOp::Read { ldev, blocks: BlockRange::one(block) });
    let taken = begun.elapsed();
    assert!(matches!(reply, HostReply::Data(_)), "{reply:?}");
    rt.stop();
    assert!(found.payload_bytes >= DIRTY_BYTES, "{found:?}");
    println!("{name}: {} records, {} tracks put back into the cache", found.records, found.tracks);
    let seconds = taken.as_secs_f64();
    let met = if taken <= LIMIT { "yes" } else { "no" };
    println!(
        "bench|restart, 100 GiB configured, 256 MiB dirty in {name}|{seconds:.2} s|-|-|<= 5 s|{met}"
    );
}

fn main() {
    restart(TRACK_BYTES, "whole tracks");
    restart(4 << 10, "4 KiB writes");
}
