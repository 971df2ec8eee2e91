//! How fast a verified transfer is, beside a plain copy of the same tracks in the same run.
//!
//! 1 GiB of tracks of 48 KiB and as much to copy into, all touched beforehand. The subjects take
//! turns for many rounds, so that a slow moment of the machine meets all of them; the table has
//! medians, and the ratio to the plain copy as the median of the rounds' ratios.
//!
//! `cargo bench -p diptych-drr --features rayon [-- <rounds>]`
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

use diptych_drr::{
    Source, TrackPlace, Transfer, data_codes, parity, seal_blocks, transfer, transfer_batch,
    transfer_by_reference, verify, verify_batch,
};
use diptych_format::{BackingId, BlockMask, BlockNo, CheckArea, Generation, TrackBuf, TrackPool};
use std::hint::black_box;
use std::time::Instant;

const BLOCKS: u64 = 96;
const TRACK_BYTES: usize = 48 << 10;
const TRACK_COUNT: usize = (1 << 30) / TRACK_BYTES;
const TARGET: [BackingId; 1] = [BackingId(2)];
const FOUR: [BackingId; 4] = [BackingId(2), BackingId(3), BackingId(4), BackingId(5)];

struct Tracks {
    data: Vec<TrackBuf>,
    checks: Vec<CheckArea>,
    copies: Vec<TrackBuf>,
    areas: Vec<[CheckArea; 1]>,
    four: [CheckArea; 4],
}

impl Tracks {
    fn new() -> Self {
        let pool = TrackPool::new(2 * TRACK_COUNT, TRACK_BYTES);
        assert!(pool.reserve(2 * TRACK_COUNT), "an empty pool has room");
        let mut random = fastrand::Rng::with_seed(0);
        let mut tracks = Self {
            data: Vec::new(),
            checks: Vec::new(),
            copies: Vec::new(),
            areas: Vec::new(),
            four: std::array::from_fn(|_| CheckArea::zeroed(BLOCKS)),
        };
        let mut codes = Vec::new();
        for track in 0..TRACK_COUNT {
            let mut data = pool.take_reserved();
            random.fill(data.bytes_mut());
            codes.clear();
            data_codes(data.bytes(), &mut codes);
            let mut checks = CheckArea::zeroed(BLOCKS);
            seal_blocks(&codes, place(track), 0, Generation(track as u64), &mut checks);
            tracks.data.push(data);
            tracks.checks.push(checks);
            let mut copy = pool.take_reserved();
            copy.bytes_mut().fill(1);
            tracks.copies.push(copy);
            let mut area = CheckArea::zeroed(BLOCKS);
            area.as_bytes_mut().fill(1);
            tracks.areas.push([area]);
        }
        tracks
    }

    fn sources(&self) -> impl Iterator<Item = Source<'_>> {
        self.data.iter().zip(&self.checks).enumerate().map(|(track, (data, checks))| Source {
            data: data.bytes(),
            checks,
            place: place(track),
        })
    }

    fn batch(&mut self, copied: bool) -> Vec<Transfer<'_>> {
        let sources = self.data.iter().zip(&self.checks).enumerate();
        sources
            .zip(self.copies.iter_mut().zip(&mut self.areas))
            .map(|((track, (data, checks)), (copy, areas))| Transfer {
                source: Source { data: data.bytes(), checks, place: place(track) },
                copy: copied.then(|| copy.bytes_mut()),
                targets: &TARGET,
                areas,
            })
            .collect()
    }
}

fn place(track: usize) -> TrackPlace {
    let first_block = BlockNo(track as u64 * BLOCKS);
    TrackPlace { backing: BackingId(1), first_block, block_count: BLOCKS }
}

fn copy(tracks: &mut Tracks) {
    for (data, copy) in tracks.data.iter().zip(&mut tracks.copies) {
        copy.bytes_mut().copy_from_slice(data.bytes());
    }
}

fn read(tracks: &mut Tracks) {
    let mut sum = 0_u64;
    for data in &tracks.data {
        for word in data.bytes().as_chunks().0 {
            sum = sum.wrapping_add(u64::from_le_bytes(*word));
        }
    }
    black_box(sum);
}

fn write(tracks: &mut Tracks) {
    for copy in &mut tracks.copies {
        copy.bytes_mut().fill(black_box(2));
    }
}

fn codes(tracks: &mut Tracks) {
    let mut codes = Vec::with_capacity(BLOCKS as usize);
    for data in &tracks.data {
        codes.clear();
        data_codes(data.bytes(), &mut codes);
        black_box(&codes);
    }
}

fn verified(tracks: &mut Tracks) {
    for track in tracks.sources() {
        let all = BlockMask::first(BLOCKS);
        verify(track.data, track.checks, track.place, all).expect("a right track");
    }
}

fn transferred(tracks: &mut Tracks) {
    for one in tracks.batch(true) {
        let copy = one.copy.expect("a second buffer");
        transfer(one.source, copy, one.targets, one.areas).expect("a right track");
    }
}

fn transferred_to_four(tracks: &mut Tracks) {
    let areas = &mut tracks.four;
    let sources = tracks.data.iter().zip(&tracks.checks).enumerate();
    for ((track, (data, checks)), copy) in sources.zip(&mut tracks.copies) {
        let source = Source { data: data.bytes(), checks, place: place(track) };
        transfer(source, copy.bytes_mut(), &FOUR, areas).expect("a right track");
    }
}

fn referred(tracks: &mut Tracks) {
    for one in tracks.batch(false) {
        transfer_by_reference(one.source, one.targets, one.areas).expect("a right track");
    }
}

fn transferred_batch(tracks: &mut Tracks) {
    let results = transfer_batch(&mut tracks.batch(true));
    assert!(results.iter().all(Result::is_ok), "right tracks");
}

fn referred_batch(tracks: &mut Tracks) {
    let results = transfer_batch(&mut tracks.batch(false));
    assert!(results.iter().all(Result::is_ok), "right tracks");
}

fn verified_batch(tracks: &mut Tracks) {
    let all: Vec<_> = tracks.sources().map(|track| (track, BlockMask::first(BLOCKS))).collect();
    assert!(verify_batch(&all).iter().all(Result::is_ok), "right tracks");
}

fn added(tracks: &mut Tracks) {
    for (data, copy) in tracks.data.iter().zip(&mut tracks.copies) {
        parity::xor_into(copy.bytes_mut(), data.bytes());
    }
}

/// A row of the table, what is timed, on how many threads, and the row it is compared with.
type Subject = (&'static str, fn(&mut Tracks), usize, usize);

const SUBJECTS: [Subject; 13] = [
    ("plain copy", copy, 1, 0),
    ("memory: read", read, 1, 0),
    ("memory: write", write, 1, 0),
    ("payload codes", codes, 1, 0),
    ("parity, one member added", added, 1, 0),
    ("verify, each block", verified, 1, 0),
    ("verified transfer", transferred, 1, 0),
    ("verified transfer, four targets", transferred_to_four, 1, 0),
    ("by reference, verified", referred, 1, 0),
    ("plain copy, again", copy, 1, 0),
    ("verify, two cores, to one", verified_batch, 2, 5),
    ("verified transfer, two cores, to one", transferred_batch, 2, 6),
    ("by reference, two cores, to one", referred_batch, 2, 8),
];

fn main() {
    // Cargo passes flags of its own.
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(15);
    let pools = [1, 2].map(|threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads")
    });
    let mut tracks = Tracks::new();
    let gigabytes = (TRACK_COUNT * TRACK_BYTES) as f64 / 1e9;
    let mut taken_s = vec![[0.0; SUBJECTS.len()]; rounds];
    for round in &mut taken_s {
        for (taken_s, (_, run, threads, _)) in round.iter_mut().zip(SUBJECTS) {
            // All run inside a pool: a thread's own costs are the same for each.
            *taken_s = pools[threads - 1].install(|| {
                let started = Instant::now();
                run(&mut tracks);
                started.elapsed().as_secs_f64()
            });
        }
    }
    println!("{TRACK_COUNT} tracks of 48 KiB, {rounds} rounds, medians; ratio to the plain copy,");
    println!("or where it says two cores, to the same on one");
    println!("{:<38} {:>6} {:>6} {:>7}", "", "GB/s", "ratio", "us/track");
    for (no, (name, _, _, base)) in SUBJECTS.iter().enumerate() {
        let taken = median(taken_s.iter().map(|round| round[no]));
        let ratio = median(taken_s.iter().map(|round| round[*base] / round[no]));
        let per_track_us = taken * 1e6 / TRACK_COUNT as f64;
        println!("{name:<38} {:6.2} {ratio:6.2} {per_track_us:7.2}", gigabytes / taken);
    }
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
