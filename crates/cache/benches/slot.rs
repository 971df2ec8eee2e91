//! What the cache's control costs: nanoseconds a 4 KiB hit, with and without the data's copy.
#![allow(missing_docs)] // criterion's macros make public items

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use diptych_cache::{Admission, Admit, Cache, CacheConfig, SlotKey};
use diptych_format::{BackingId, BlockMask, OwnerId, TrackNo};
use std::hint::black_box;

const BLOCKS_PER_TRACK: u64 = 128;
const TRACKS: u64 = 1024;
const CHUNK_BYTES: usize = 4096;

fn key(track: u64) -> SlotKey {
    SlotKey { backing: BackingId(1), track: TrackNo(track) }
}

fn room(cache: &Cache) -> Admission {
    match cache.admit(OwnerId(1), 1, 1) {
        Ok(Admit::Granted(room)) => room,
        other => panic!("the cache is large enough: {other:?}"),
    }
}

fn write(cache: &Cache, track: u64, chunk: &[u8]) {
    let blocks = BlockMask::first(8);
    let mut room = room(cache);
    let mut write = cache.begin_write(key(track), BLOCKS_PER_TRACK, &mut room);
    if !chunk.is_empty() {
        write.data_mut()[..chunk.len()].copy_from_slice(chunk);
    }
    black_box(cache.commit_write(write, blocks, &mut room));
    black_box(cache.return_room(room));
}

fn destage(cache: &Cache) -> bool {
    let destage = cache.next_dirty(None);
    destage.map(|destage| cache.destage_done(destage, true)).is_some()
}

fn slot(criterion: &mut Criterion) {
    let cache = Cache::new(CacheConfig::new(4 * TRACKS as usize, 64 << 10)).expect("a valid size");
    let chunk = [7; CHUNK_BYTES];
    (0..TRACKS).for_each(|track| write(&cache, track, &chunk));
    let mut turn = 0;
    let mut next = move || {
        turn = (turn + 7) % TRACKS;
        turn
    };
    let mut group = criterion.benchmark_group("slot");
    group.throughput(Throughput::Elements(1));
    group.bench_function("hit write, dirty already, control only", |b| {
        b.iter(|| write(&cache, next(), &[]));
    });
    group.bench_function("hit write, dirty already, with 4 KiB", |b| {
        b.iter(|| write(&cache, next(), &chunk));
    });
    group.bench_function("hit write, clean before, and destage, control only", |b| {
        while destage(&cache) {}
        b.iter(|| {
            write(&cache, next(), &[]);
            destage(&cache)
        });
    });
    group.bench_function("hit read, control only", |b| {
        b.iter(|| {
            let pin = cache.read(key(next()), BlockMask::first(8)).expect("a hit");
            black_box(cache.unpin(pin))
        });
    });
    while destage(&cache) {}
    (0..TRACKS).for_each(|track| write(&cache, track, &[]));
    group.bench_function("flush of a clean volume beside 1,024 dirty slots", |b| {
        b.iter(|| cache.wait_clean(OwnerId(2), BackingId(2), cache.dirty_mark()));
    });
    group.bench_function("flush that waits for 1,024 dirty slots, given up", |b| {
        b.iter(|| {
            let clean = cache.wait_clean(OwnerId(2), key(0).backing, cache.dirty_mark());
            (clean, cache.cancel(OwnerId(2)))
        });
    });
    group.finish();
}

criterion_group!(benches, slot);
criterion_main!(benches);
