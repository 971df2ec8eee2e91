//! Track maps of 2^28 tracks (16 TiB): scans of an empty, a full and a scattered map, single changes.

use criterion::{Criterion, criterion_group, criterion_main};
use diptych_format::{TrackNo, TrackRange};
use diptych_shared::TrackMap;
use std::hint::black_box;

const TRACKS: u64 = 1 << 28;

/// One track in a hundred, anywhere in each hundred.
fn scattered() -> TrackMap {
    let mut map = TrackMap::new(TRACKS);
    let mut random = 1_u64;
    for hundred in 0..TRACKS / 100 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        map.set(TrackNo(hundred * 100 + (random >> 33) % 100));
    }
    map
}

fn visit(map: &TrackMap) -> u64 {
    map.runs().map(TrackRange::count).sum()
}

fn benches(c: &mut Criterion) {
    let (empty, full, scattered) = (TrackMap::new(TRACKS), TrackMap::full(TRACKS), scattered());
    let mut group = c.benchmark_group("map");
    group.sample_size(20);
    group.bench_function("scan empty", |b| b.iter(|| visit(black_box(&empty))));
    group.bench_function("scan full", |b| b.iter(|| visit(black_box(&full))));
    group.bench_function("scan 1 % (2.7 million runs)", |b| b.iter(|| visit(&scattered)));
    let mut map = scattered.clone();
    group.bench_function("set and clear in a mixed page", |b| {
        let mut at = 0;
        b.iter(|| {
            at = (at + 7_919) % 4_096;
            black_box(map.set(TrackNo(at)));
            black_box(map.clear(TrackNo(at)));
        });
    });
    let mut map = TrackMap::new(TRACKS);
    group.bench_function("set and clear in an empty map", |b| {
        let mut at = 0;
        b.iter(|| {
            at = (at + 7_919) % TRACKS;
            black_box(map.set(TrackNo(at)));
            black_box(map.clear(TrackNo(at)));
        });
    });
    group.bench_function("get in a mixed page", |b| {
        let mut at = 0;
        b.iter(|| {
            at = (at + 7_919) % TRACKS;
            scattered.get(TrackNo(at))
        });
    });
    group.bench_function("or of two scattered maps", |b| {
        let mut map = scattered.clone();
        b.iter(|| map.or_assign(black_box(&scattered)));
    });
    group.finish();
}

criterion_group!(map, benches);
criterion_main!(map);
