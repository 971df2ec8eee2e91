//! Appending to a log in a file, beside the bare `pwritev` of the same bytes: what the log itself costs.
//!
//! *Put and written* is what a unit does: groups of one record, queued and written out together; it has the
//! codes of all blocks before and pays for joining them here. *Appended* is one call, which looks at every
//! byte. Both pay for the locks and for the code of the heads.
//!
//! All write to a file of written sectors in the page cache, and none flushes while the clock runs. They
//! take short turns; the figures are medians of the turns.
//!
//! `cargo bench -p diptych-log --bench append`
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

use bytes::Bytes;
use diptych_device::FileDrive;
use diptych_log::{Entry, Log, LogConfig, LogId, Record, payload_code};
use std::cell::Cell;
use std::fs::File;
use std::hint::black_box;
use std::io::IoSlice;
use std::path::Path;
use std::time::Instant;

/// 256 MiB: four times what is written between two flushes.
const SECTORS: u64 = 1 << 19;
const ROUND_BYTES: usize = 64 << 20;
const ROUNDS: usize = 12;
/// Each way has its turn for so many bytes, so that all have the same disturbances.
const TURN_BYTES: usize = 1 << 20;
/// A record's own head, as of a host write.
const HEAD: [u8; 40] = [7; 40];

struct Bench {
    log: Log<FileDrive>,
    plain: File,
    /// Where the next bytes go, around the file as they go around the log.
    plain_at: Cell<u64>,
    payload: Bytes,
    /// Of the payload's blocks.
    codes: Vec<u32>,
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
        let payload = Bytes::from(vec![3; payload_bytes]);
        let codes = payload.chunks(512).map(crc32fast::hash).collect();
        Self { log, plain, plain_at: Cell::new(0), payload, codes }
    }

    /// Batches of a turn.
    fn batches(&self, batch: usize) -> usize {
        TURN_BYTES / (batch * self.payload.len())
    }

    /// What is written becomes durable, and the log is empty again.
    fn flush(&self) {
        drop(self.log.trim(self.log.end()).expect("a flush"));
        self.plain.sync_all().expect("a flush");
    }

    /// Nanoseconds a batch.
    fn put(&self, batch: usize) -> f64 {
        self.timed(batch, || {
            for _ in 0..batch {
                self.log.put(vec![Entry {
                    kind: 1,
                    head: HEAD.to_vec(),
                    payload: self.payload.clone(),
                    payload_code: Some(payload_code(&self.codes)),
                }]);
            }
            self.log.write_out(self.log.end()).expect("room");
        })
    }

    fn append(&self, batch: usize) -> f64 {
        let record = Record { kind: 1, head: &HEAD, payload: &self.payload };
        let records = vec![record; batch];
        self.timed(batch, || {
            black_box(self.log.append(&records)).expect("room");
        })
    }

    fn timed(&self, batch: usize, one: impl Fn()) -> f64 {
        let started = Instant::now();
        (0..self.batches(batch)).for_each(|_| one());
        started.elapsed().as_nanos() as f64 / self.batches(batch) as f64
    }

    /// The same sectors, one call a batch.
    fn pwritev(&self, batch: usize) -> f64 {
        let head_bytes = (64 + batch * (12 + HEAD.len())).next_multiple_of(512);
        let head = vec![1; head_bytes];
        let mut bufs = vec![IoSlice::new(&head)];
        bufs.extend((0..batch).map(|_| IoSlice::new(&self.payload)));
        let bytes = (head_bytes + batch * self.payload.len()) as u64;
        let started = Instant::now();
        for _ in 0..self.batches(batch) {
            let at = self.plain_at.get();
            let at = if at + bytes > SECTORS * 512 { 0 } else { at };
            self.plain_at.set(at + bytes);
            let written = rustix::io::pwritev(&self.plain, &bufs, at);
            assert_eq!(written.map(|count| count as u64), Ok(bytes));
        }
        started.elapsed().as_nanos() as f64 / self.batches(batch) as f64
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Medians of put, append and pwritev.
fn measure(payload_bytes: usize, batch: usize) -> [f64; 3] {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let bench = Bench::new(dir.path(), payload_bytes);
    let mut turns: Vec<[f64; 3]> = Vec::new();
    for _ in 0..ROUNDS {
        let turn = |_| [bench.put(batch), bench.append(batch), bench.pwritev(batch)];
        // Two of the three ways write to the log.
        turns.extend((0..ROUND_BYTES / TURN_BYTES / 2).map(turn));
        bench.flush();
    }
    [0, 1, 2].map(|way| median(turns.iter().map(|turn| turn[way]).collect()))
}

fn main() {
    let met = |met| if met { "yes" } else { "no" };
    let [put, appended, bare] = measure(4096, 16).map(|batch| batch / 16e3);
    for (way, record) in [("put and written", put), ("appended", appended)] {
        let (ratio, met) = (record / bare, met(record - bare <= 1.5));
        println!(
            "bench|4 KiB records {way}, 16 a batch|{record:.2} us a record|{bare:.2} us pwritev|\
             {ratio:.2}|<= 1.5 us more|{met}"
        );
    }
    let [put, appended, bare] = measure(128 << 10, 1).map(|batch| batch / 1e3);
    for (way, record, limit) in [("put and written", put, "<= 1.2"), ("appended", appended, "-")] {
        let ratio = record / bare;
        let met = if limit == "-" { "-" } else { met(ratio <= 1.2) };
        println!(
            "bench|128 KiB record {way}|{record:.1} us|{bare:.1} us pwritev|{ratio:.2}|{limit}|{met}"
        );
    }
}
