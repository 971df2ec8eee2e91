//! Writes that go on for longer than cache and log have room: what the disk decides.

use super::client::{Load, fio};
use super::server::{Unit, scratch};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Sixteen caches, eight logs.
const BYTES: u64 = 4 << 30;
const WANTED: f64 = 0.4;

pub(crate) fn measure(filter: &str) {
    let load = Load { writes: true, bytes: 128 << 10, depth: 8 };
    let what = format!("NBD, fio: {load}, 4 GiB through a cache of 256 MiB and a log of 512 MiB");
    if !what.contains(filter) {
        return;
    }
    let dd_before = dd();
    let unit = Unit::start(&BYTES.to_string(), "256MiB", "512MiB");
    let size = format!("--size={BYTES}");
    let said = fio(unit.uri("nbd://", "/00:00"), load, BYTES / u64::from(load.bytes), &[size]);
    drop(unit);
    let dd = f64::max(dd_before, dd());
    let ours = said.figure.per_second * f64::from(load.bytes) / 1e6;
    let ratio = ours / dd;
    println!(
        "bench|{what}, write-back|{}|{dd:.0} MB/s dd oflag=direct, the same disk|{ratio:.2}|>= {WANTED:.2}|{}",
        said.figure.text(load),
        if ratio >= WANTED { "yes" } else { "no" },
    );
}

/// Megabytes a second.
fn dd() -> f64 {
    let temp = tempfile::tempdir_in(scratch()).expect("a directory");
    let file = temp.path().join("dd");
    let mut dd = Command::new("dd");
    dd.args(["if=/dev/zero", "bs=128k", "oflag=direct"]).arg(format!("of={}", file.display()));
    dd.arg(format!("count={}", BYTES >> 18)).stderr(Stdio::null());
    let began = Instant::now();
    assert!(dd.status().expect("dd").success(), "dd");
    (BYTES / 2) as f64 / 1e6 / began.elapsed().as_secs_f64()
}
