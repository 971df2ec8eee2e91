//! Battery mode: hosts that write together, each answer durable before it is given.
//!
//! 32 threads write 4 KiB each to a unit whose log makes every answer durable; the yardstick is `fio`
//! with as many jobs, each write followed by an fdatasync, on one preallocated file of the same file
//! system. Where there is no `fio` threads of our own do the same.
//!
//! `cargo bench -p diptych-rt --bench battery`; `DIPTYCH_BENCH_DIR` names the directory (about 800 MiB).
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

use bytes::Bytes;
use diptych_cha::{HostOp, HostReply};
use diptych_dka::Groups;
use diptych_format::{BLOCK_BYTES, BlockNo, Emulation, Geometry, LdevId};
use diptych_rt::{DriveShape, OpenedUnit, Rt, RtConfig, UnitDir, UnitShape};
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::thread;
use diptych_unit::{Durability, UnitConfig};
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const WRITERS: u64 = 32;
const WRITE_BYTES: u64 = 4 << 10;
const AREA_BYTES: u64 = 4 << 20;
const LOG_BYTES: u64 = 512 << 20;
const TRACK_BYTES: usize = 64 << 10;
const RUN: Duration = Duration::from_secs(5);
const ROUNDS: usize = 3;
const WANTED: f64 = 0.7;
const VOLUME: LdevId = LdevId::new(0, 0);

/// How many writes a second threads make that each write their own part of something, in turn.
fn per_second(write: impl Fn(u64) + Sync) -> f64 {
    let (count, begun) = (AtomicU64::new(0), Instant::now());
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (count, write) = (&count, &write);
            scope.spawn(move || {
                for turn in 0.. {
                    if begun.elapsed() >= RUN {
                        break;
                    }
                    write(writer * AREA_BYTES + turn * WRITE_BYTES % AREA_BYTES);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    count.into_inner() as f64 / begun.elapsed().as_secs_f64()
}

fn start(path: &Path) -> (UnitDir, Rt) {
    let geometry = Geometry::new(Emulation::OpenV, WRITERS * AREA_BYTES / BLOCK_BYTES as u64);
    let geometry = geometry.expect("a size that OPEN-V has");
    let drives = vec![DriveShape { dka_no: 0, sectors: Groups::sectors_for(geometry) }];
    let shape = UnitShape { id: 1, log_sectors: LOG_BYTES / BLOCK_BYTES as u64, drives };
    let dir = UnitDir::create(path, &shape).expect("a unit directory");
    let mut config = UnitConfig::with_cache(4_096, TRACK_BYTES);
    config.durability = Durability::Battery;
    let OpenedUnit { dir, unit, plant, .. } = dir.recover(config).expect("a new unit");
    let rt = Rt::start(unit, plant, RtConfig::default()).expect("workers");
    rt.unit().add_volume(VOLUME, geometry, 0).expect("room for a volume");
    (dir, rt)
}

fn unit(rt: &Rt) -> f64 {
    let data = Bytes::from(vec![7; WRITE_BYTES as usize]);
    per_second(|at| {
        let block = BlockNo(at / BLOCK_BYTES as u64);
        let op = HostOp::Write { ldev: VOLUME, block, data: data.clone() };
        assert_eq!(rt.execute(op), HostReply::Done);
    })
}

/// The file is written once before, so that its blocks are there.
fn preallocated(path: &Path) -> File {
    let file = File::create(path).expect("a file");
    let zeros = vec![0; 1 << 20];
    for at in (0..WRITERS * AREA_BYTES).step_by(zeros.len()) {
        file.write_all_at(&zeros, at).expect("room");
    }
    file.sync_all().expect("a disk");
    file
}

/// What `fio` says, if there is one.
fn fio(path: &Path) -> Option<f64> {
    let output = Command::new("fio")
        .arg("--name=battery")
        .arg(format!("--filename={}", path.display()))
        .arg(format!("--size={}", WRITERS * AREA_BYTES))
        .arg(format!("--numjobs={WRITERS}"))
        .arg(format!("--runtime={}", RUN.as_secs()))
        .args(["--rw=write", "--bs=4k", "--fdatasync=1", "--ioengine=psync"])
        .args(["--time_based", "--group_reporting", "--overwrite=1", "--output-format=json"])
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON of fio");
    said["jobs"][0]["write"]["iops"].as_f64()
}

fn own(file: &File) -> f64 {
    let data = vec![7; WRITE_BYTES as usize];
    per_second(|at| {
        file.write_all_at(&data, at).expect("room");
        file.sync_data().expect("a disk");
    })
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let parent = std::env::var_os("DIPTYCH_BENCH_DIR").map(std::path::PathBuf::from);
    let temp =
        tempfile::tempdir_in(parent.unwrap_or_else(std::env::temp_dir)).expect("a directory");
    let (_dir, rt) = start(&temp.path().join("unit"));
    let file = preallocated(&temp.path().join("file"));
    let mut name = "fio";
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(unit(&rt));
        theirs.push(fio(&temp.path().join("file")).unwrap_or_else(|| {
            name = "threads that write and fdatasync";
            own(&file)
        }));
    }
    rt.stop();
    println!("unit {ours:.0?}, {name} {theirs:.0?} writes a second");
    let (ours, theirs) = (median(ours), median(theirs));
    let ratio = ours / theirs;
    let met = if ratio >= WANTED { "yes" } else { "no" };
    println!(
        "bench|battery mode, {WRITERS} hosts write 4 KiB each|{ours:.0} /s|{theirs:.0} /s {name}, fdatasync \
         after each write|{ratio:.2}|>= {WANTED}|{met}"
    );
}
