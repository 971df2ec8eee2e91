//! How fast a verified transfer is, beside a plain copy of the same tracks in the same run.
//!
//! 1 GiB of tracks of 48 KiB and as much to copy into, all touched beforehand, in slices of 1,024.
//! The subjects take turns, each on another slice, until each has had every slice many times: a
//! slow moment of the machine meets all of them, and no slice is still in a cache. Speeds are
//! medians, and a ratio is the median of the turns' ratios. A speed counts the bytes of data
//! read; the check fields, read and written besides, are not counted.
//!
//! `cargo bench -p diptych-drr --features rayon [-- <rounds>]`; the rows of two threads need the
//! feature.
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

use diptych_drr::{
    Source, TrackPlace, data_codes, parity, seal_blocks, transfer, transfer_by_reference, verify,
};
#[cfg(feature = "rayon")]
use diptych_drr::{Transfer, transfer_batch, verify_batch};
use diptych_format::{BackingId, BlockMask, BlockNo, CheckArea, Generation, TrackBuf, TrackPool};
use std::hint::black_box;
use std::time::Instant;

const BLOCKS: u64 = 96;
const TRACK_BYTES: usize = 48 << 10;
/// Tracks of one slice: a few milliseconds, so that a sample is seldom cut in two, and a thread
/// that sleeps has time to wake.
const TRACK_COUNT: usize = 1024;
/// All slices together are 1 GiB.
const SLICE_COUNT: usize = (1 << 30) / TRACK_BYTES / TRACK_COUNT;
const TARGET: [BackingId; 1] = [BackingId(2)];
const FOUR: [BackingId; 4] = [BackingId(2), BackingId(3), BackingId(4), BackingId(5)];

/// A slice of the tracks: one sample is taken over one slice.
struct Tracks {
    first: usize,
    data: Vec<TrackBuf>,
    checks: Vec<CheckArea>,
    copies: Vec<TrackBuf>,
    areas: Vec<[CheckArea; 1]>,
}

impl Tracks {
    fn new(slice_no: usize) -> Self {
        let pool = TrackPool::new(2 * TRACK_COUNT, TRACK_BYTES);
        assert!(pool.reserve(2 * TRACK_COUNT), "an empty pool has room");
        let mut random = fastrand::Rng::with_seed(slice_no as u64);
        let first = slice_no * TRACK_COUNT;
        let (data, checks, copies, areas) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut tracks = Self { first, data, checks, copies, areas };
        let mut codes = Vec::new();
        for track in first..first + TRACK_COUNT {
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
        sources(self.first, &self.data, &self.checks)
    }

    #[allow(clippy::type_complexity, reason = "three iterators, named by the function")]
    fn parts(
        &mut self,
    ) -> (
        impl Iterator<Item = Source<'_>>,
        impl Iterator<Item = &mut TrackBuf>,
        impl Iterator<Item = &mut [CheckArea; 1]>,
    ) {
        let sources = sources(self.first, &self.data, &self.checks);
        (sources, self.copies.iter_mut(), self.areas.iter_mut())
    }

    #[cfg(feature = "rayon")]
    fn batch(&mut self, copied: bool) -> Vec<Transfer<'_>> {
        let (sources, copies, areas) = self.parts();
        let with = sources.zip(copies).zip(areas);
        with.map(|((source, copy), areas)| {
            let copy = copied.then(|| copy.bytes_mut());
            Transfer { source, copy, targets: &TARGET, areas }
        })
        .collect()
    }
}

fn place(track: usize) -> TrackPlace {
    let first_block = BlockNo(track as u64 * BLOCKS);
    TrackPlace { backing: BackingId(1), first_block, block_count: BLOCKS }
}

fn sources<'a>(
    first: usize,
    data: &'a [TrackBuf],
    checks: &'a [CheckArea],
) -> impl Iterator<Item = Source<'a>> {
    let tracks = (first..).zip(data.iter().zip(checks));
    tracks.map(|(track, (data, checks))| Source { data: data.bytes(), checks, place: place(track) })
}

fn copy(tracks: &mut Tracks) {
    for (data, copy) in tracks.data.iter().zip(&mut tracks.copies) {
        copy.bytes_mut().copy_from_slice(data.bytes());
    }
}

fn copy_with_fields(tracks: &mut Tracks) {
    let (sources, copies, areas) = tracks.parts();
    for ((source, copy), [area]) in sources.zip(copies).zip(areas) {
        copy.bytes_mut().copy_from_slice(source.data);
        area.as_bytes_mut().copy_from_slice(source.checks.as_bytes());
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
    let (sources, copies, areas) = tracks.parts();
    for ((source, copy), areas) in sources.zip(copies).zip(areas) {
        transfer(source, copy.bytes_mut(), &TARGET, areas).expect("a right track");
    }
}

fn transferred_to_four(tracks: &mut Tracks) {
    let mut four = FOUR.map(|_| CheckArea::zeroed(BLOCKS));
    let (sources, copies, _) = tracks.parts();
    for (source, copy) in sources.zip(copies) {
        transfer(source, copy.bytes_mut(), &FOUR, &mut four).expect("a right track");
    }
}

fn referred(tracks: &mut Tracks) {
    let (sources, _, areas) = tracks.parts();
    for (source, areas) in sources.zip(areas) {
        transfer_by_reference(source, &TARGET, areas).expect("a right track");
    }
}

#[cfg(feature = "rayon")]
fn copied_on_two(tracks: &mut Tracks) {
    let (data, copies) = (&tracks.data, &mut tracks.copies);
    let (upper, lower) = copies.split_at_mut(TRACK_COUNT / 2);
    let copy = |copies: &mut [TrackBuf], data: &[TrackBuf]| {
        for (copy, data) in copies.iter_mut().zip(data) {
            copy.bytes_mut().copy_from_slice(data.bytes());
        }
    };
    rayon::join(|| copy(upper, &data[..TRACK_COUNT / 2]), || copy(lower, &data[TRACK_COUNT / 2..]));
}

#[cfg(feature = "rayon")]
fn transferred_batch(tracks: &mut Tracks) {
    let results = transfer_batch(&mut tracks.batch(true));
    assert!(results.iter().all(Result::is_ok), "right tracks");
}

#[cfg(feature = "rayon")]
fn referred_batch(tracks: &mut Tracks) {
    let results = transfer_batch(&mut tracks.batch(false));
    assert!(results.iter().all(Result::is_ok), "right tracks");
}

#[cfg(feature = "rayon")]
fn verified_batch(tracks: &mut Tracks) {
    let all: Vec<_> = tracks.sources().map(|track| (track, BlockMask::first(BLOCKS))).collect();
    assert!(verify_batch(&all).iter().all(Result::is_ok), "right tracks");
}

fn added(tracks: &mut Tracks) {
    for (data, copy) in tracks.data.iter().zip(&mut tracks.copies) {
        parity::xor_into(copy.bytes_mut(), data.bytes());
    }
}

/// What is timed, on how many threads, and what it is held against: a subject's number, its name,
/// and the ratio wanted.
struct Subject {
    what: &'static str,
    run: fn(&mut Tracks),
    threads: usize,
    against: usize,
    wanted: Option<f64>,
}

const fn one_core(what: &'static str, run: fn(&mut Tracks), wanted: Option<f64>) -> Subject {
    Subject { what, run, threads: 1, against: COPY, wanted }
}

#[cfg(feature = "rayon")]
const fn two_cores(
    what: &'static str,
    run: fn(&mut Tracks),
    against: usize,
    wanted: Option<f64>,
) -> Subject {
    Subject { what, run, threads: 2, against, wanted }
}

const COPY: usize = 0;
#[cfg(feature = "rayon")]
const VERIFY: usize = 1;
#[cfg(feature = "rayon")]
const TRANSFER: usize = 2;
#[cfg(feature = "rayon")]
const REFERENCE: usize = 3;

const SUBJECTS: &[Subject] = &[
    one_core("plain copy (memcpy)", copy, None),
    one_core("verify, each block by itself", verified, None),
    one_core("verified transfer", transferred, Some(0.85)),
    one_core("by reference, verified", referred, Some(1.2)),
    one_core("verified transfer, four targets", transferred_to_four, None),
    one_core("plain copy with check areas", copy_with_fields, None),
    one_core("memory, read", read, None),
    one_core("memory, write", write, None),
    one_core("payload codes", codes, None),
    one_core("parity, one member added", added, None),
    #[cfg(feature = "rayon")]
    two_cores("plain copy, two cores", copied_on_two, COPY, None),
    #[cfg(feature = "rayon")]
    two_cores("verify, two cores", verified_batch, VERIFY, None),
    #[cfg(feature = "rayon")]
    two_cores("verified transfer, two cores", transferred_batch, TRANSFER, Some(1.2)),
    #[cfg(feature = "rayon")]
    two_cores("by reference, two cores", referred_batch, REFERENCE, Some(1.2)),
];

#[cfg(feature = "rayon")]
fn pools() -> [rayon::ThreadPool; 2] {
    [1, 2].map(|threads| {
        rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool of threads")
    })
}

fn main() {
    // Cargo passes flags of its own.
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(15);
    #[cfg(feature = "rayon")]
    let pools = pools();
    let mut slices: Vec<Tracks> = (0..SLICE_COUNT).map(Tracks::new).collect();
    let mut taken_s = Vec::new();
    for turn in 0..rounds * SLICE_COUNT {
        let mut row = Vec::new();
        for (no, subject) in SUBJECTS.iter().enumerate() {
            // Never the slice that was just used: nothing of it may be left in a cache.
            let tracks = &mut slices[(turn + no * 5) % SLICE_COUNT];
            #[cfg(feature = "rayon")]
            let taken = pools[subject.threads - 1].install(|| timed(subject.run, tracks));
            #[cfg(not(feature = "rayon"))]
            let taken = timed(subject.run, tracks);
            row.push(taken);
        }
        taken_s.push(row);
    }
    let tracks = TRACK_COUNT * SLICE_COUNT;
    println!("{tracks} tracks of 48 KiB, {} samples, medians", taken_s.len());
    for (no, subject) in SUBJECTS.iter().enumerate() {
        report(&taken_s, no, subject);
    }
}

fn timed(run: fn(&mut Tracks), tracks: &mut Tracks) -> f64 {
    let started = Instant::now();
    run(tracks);
    started.elapsed().as_secs_f64()
}

fn report(taken_s: &[Vec<f64>], no: usize, subject: &Subject) {
    let speed = |no: usize| {
        let taken_s = median(taken_s.iter().map(|round| round[no]));
        (TRACK_COUNT * TRACK_BYTES) as f64 / 1e9 / taken_s
    };
    let ratio = median(taken_s.iter().map(|round| round[subject.against] / round[no]));
    let against = SUBJECTS[subject.against].what;
    let (wanted, met) = match subject.wanted {
        None => ("-".to_owned(), "-"),
        Some(least) => (format!(">= {least}"), if ratio >= least { "yes" } else { "no" }),
    };
    let (what, threads) = (subject.what, subject.threads);
    let per_track_us = TRACK_BYTES as f64 / 1e3 / speed(no);
    println!(
        "bench|{what}, {threads} thread{}|{:.1} GB/s, {per_track_us:.2} us a track\
         |{:.1} GB/s {against}|{ratio:.2}|{wanted}|{met}",
        if threads == 1 { "" } else { "s" },
        speed(no),
        speed(subject.against),
    );
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
