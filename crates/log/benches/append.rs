//! Appending to a log in a file, beside the bare `pwritev` of the same bytes: what the log itself costs.
//!
//! Both write to a file of written sectors in the page cache, and neither flushes while the clock runs.
//! They take turns; the figures are medians.
//!
//! `cargo bench -p diptych-log --bench append`
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

use diptych_device::FileDrive;
use diptych_log::{Log, LogConfig, LogId, Record};
use std::fs::File;
use std::hint::black_box;
use std::io::IoSlice;
use std::path::Path;
use std::time::Instant;

/// 256 MiB: four times what a round appends.
const SECTORS: u64 = 1 << 19;
const ROUND_BYTES: usize = 64 << 20;
const ROUNDS: usize = 9;
/// A record's own head, as of a host write.
const HEAD: [u8; 40] = [7; 40];

struct Bench {
    log: Log<FileDrive>,
    plain: File,
    payload: Vec<u8>,
}

impl Bench {
    fn new(dir: &Path, payload_bytes: usize) -> Self {
        let drive = FileDrive::create(dir.join("log"), SECTORS).expect("a drive");
        let log = Log::create(drive, LogId(1), LogConfig::default()).expect("room");
        let plain = File::options().create_new(true).write(true).open(dir.join("plain"));
        let plain = plain.expect("a file");
        let zeros = vec![0; 1 << 20];
        for at in 0..(SECTORS * 512) >> 20 {
            rustix::io::pwritev(&plain, &[IoSlice::new(&zeros)], at << 20).expect("room");
        }
        plain.sync_all().expect("a flush");
        Self { log, plain, payload: vec![3; payload_bytes] }
    }

    fn batches(&self, batch: usize) -> usize {
        ROUND_BYTES / (batch * self.payload.len())
    }

    /// Nanoseconds a batch.
    fn append(&self, batch: usize) -> f64 {
        let record = Record { kind: 1, head: &HEAD, payload: &self.payload };
        let records = vec![record; batch];
        let started = Instant::now();
        for _ in 0..self.batches(batch) {
            black_box(self.log.append(&records)).expect("room");
        }
        let took = started.elapsed().as_nanos() as f64;
        self.log.trim(self.log.end()).expect("a flush");
        took / self.batches(batch) as f64
    }

    /// The same sectors, one call a batch.
    fn pwritev(&self, batch: usize) -> f64 {
        let head_bytes = (64 + batch * (12 + HEAD.len())).next_multiple_of(512);
        let head = vec![1; head_bytes];
        let mut bufs = vec![IoSlice::new(&head)];
        bufs.extend((0..batch).map(|_| IoSlice::new(&self.payload)));
        let bytes = (head_bytes + batch * self.payload.len()) as u64;
        let started = Instant::now();
        for no in 0..self.batches(batch) as u64 {
            let at = no * bytes % (SECTORS * 512 - bytes);
            let written = rustix::io::pwritev(&self.plain, &bufs, at / 512 * 512);
            assert_eq!(written.map(|count| count as u64), Ok(bytes));
        }
        let took = started.elapsed().as_nanos() as f64;
        self.plain.sync_all().expect("a flush");
        took / self.batches(batch) as f64
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn measure(payload_bytes: usize, batch: usize) -> (f64, f64) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let bench = Bench::new(dir.path(), payload_bytes);
    let rounds = (0..ROUNDS).map(|_| (bench.append(batch), bench.pwritev(batch)));
    let (ours, plain): (Vec<f64>, Vec<f64>) = rounds.collect();
    (median(ours), median(plain))
}

fn main() {
    let (ours, plain) = measure(4096, 16);
    let (record, bare) = (ours / 16e3, plain / 16e3);
    let met = if record - bare <= 1.5 { "yes" } else { "no" };
    let ratio = record / bare;
    println!(
        "bench|4 KiB records appended, 16 a batch|{record:.2} us a record|{bare:.2} us pwritev|\
         {ratio:.2}|<= 1.5 us more|{met}"
    );
    let (ours, plain) = measure(128 << 10, 1);
    let (record, bare, ratio) = (ours / 1e3, plain / 1e3, ours / plain);
    let met = if ratio <= 1.2 { "yes" } else { "no" };
    println!(
        "bench|128 KiB record appended|{record:.1} us|{bare:.1} us pwritev|{ratio:.2}|<= 1.2|{met}"
    );
}
