//! What a track's write costs: 48 KiB of data and 4 KiB of check fields, through [`FileDrive`] in
//! one vectored call, against a plain `pwrite` of the same 52 KiB out of one buffer.
//!
//! Both go to the page cache of the operating system; neither is flushed.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use diptych_device::{Device, FileDrive};
use diptych_format::SectorNo;
use std::fs::OpenOptions;
use std::io::IoSlice;
use std::os::unix::fs::FileExt;

const DATA_BYTES: usize = 48 << 10;
const CHECK_BYTES: usize = 4 << 10;
const RECORD_BYTES: u64 = (DATA_BYTES + CHECK_BYTES) as u64;
/// Tracks written in turn: 52 MiB, so that neither side writes one place over and over.
const TRACK_COUNT: u64 = 1024;

fn track_write(c: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory for the drives");
    let sector_count = TRACK_COUNT * RECORD_BYTES / 512;
    let path = directory.path().join("drive");
    let drive = FileDrive::create(&path, sector_count).expect("a drive");
    let plain = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(directory.path().join("plain"))
        .expect("a file");
    plain.set_len(TRACK_COUNT * RECORD_BYTES).expect("the length of the file");

    let (data, check_area) = (vec![1; DATA_BYTES], vec![2; CHECK_BYTES]);
    let whole = [&data[..], &check_area[..]].concat();
    let mut group = c.benchmark_group("52 KiB");
    group.throughput(Throughput::Bytes(RECORD_BYTES));
    let mut track = 0;
    group.bench_function("plain pwrite, one buffer", |b| {
        b.iter(|| {
            track = (track + 1) % TRACK_COUNT;
            plain.write_all_at(&whole, track * RECORD_BYTES).expect("a plain write");
        });
    });
    group.bench_function("FileDrive::write_at, two buffers", |b| {
        b.iter(|| {
            track = (track + 1) % TRACK_COUNT;
            let bufs = [IoSlice::new(&data), IoSlice::new(&check_area)];
            drive.write_at(SectorNo(track * RECORD_BYTES / 512), &bufs).expect("a track's write");
        });
    });
    group.finish();
}

criterion_group!(benches, track_write);
criterion_main!(benches);
