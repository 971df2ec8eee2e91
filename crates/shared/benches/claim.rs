//! What a host request pays: a look into the family, a claim and its release, the marks of Fig. 9.

use criterion::{Criterion, criterion_group, criterion_main};
use diptych_format::{BackingId, Geometry, LdevId, OwnerId, TrackNo, TrackRange};
use diptych_shared::{Change, Claimed, MapName, Pair, PairOptions, SharedMemory, Volume};
use std::hint::black_box;

const PRIMARY: LdevId = LdevId::new(0, 0);
const TRACKS: u64 = 50_070;

/// Shared memory with a primary that has `pair_count` pairs.
fn memory(pair_count: u8) -> SharedMemory {
    let memory = SharedMemory::default();
    let add = |ldev: LdevId| {
        let backing = BackingId(u32::from(ldev.ldev) + 1);
        let volume = Volume::new(ldev, Geometry::with_tracks(96, TRACKS), backing);
        memory.add_volume(volume).expect("a new volume");
    };
    let claim = |ldev| match memory.claim_family(OwnerId(0), ldev, |_| ()) {
        Ok(Claimed::Granted(claim, ())) => claim,
        _ => unreachable!("nobody else claims"),
    };
    add(PRIMARY);
    for no in 1..=pair_count {
        let secondary = LdevId::new(0, no);
        add(secondary);
        let (whole, _) = memory.merge(claim(PRIMARY), claim(secondary));
        let id = memory.allocate_pair().expect("a free number");
        let pair = Pair::new(id, PRIMARY, secondary, TRACKS, PairOptions::default(), true);
        whole.with(|family| {
            family.change(Change::AddPair(Box::new(pair)));
            let tracks = family.all_tracks();
            family.change(Change::Clear { pair: id, map: MapName::C, tracks });
        });
        let _nobody = whole.release();
    }
    memory
}

fn benches(c: &mut Criterion) {
    let mut group = c.benchmark_group("claim");
    let alone = memory(0);
    group.bench_function("look into a family", |b| {
        b.iter(|| alone.with_family(black_box(PRIMARY), |family| family.track_count()));
    });
    for pair_count in [0, 1, 3] {
        let memory = memory(pair_count);
        let mut owner = 0;
        let mut request = |change: bool| {
            owner += 1;
            let tracks = TrackRange::one(TrackNo(owner % TRACKS));
            let mark = Change::HostChange { primary: PRIMARY, tracks };
            let view = |family: &mut diptych_shared::FamilyState| {
                if change {
                    family.change(mark);
                }
            };
            match memory.claim(OwnerId(owner), PRIMARY, tracks, view) {
                Ok(Claimed::Granted(claim, ())) => claim.release(),
                _ => unreachable!("nobody else claims"),
            }
        };
        group.bench_function(format!("claim and release, {pair_count} pairs"), |b| {
            b.iter(|| request(false));
        });
        group.bench_function(format!("claim, mark and release, {pair_count} pairs"), |b| {
            b.iter(|| request(true));
        });
    }
    group.finish();
}

criterion_group!(claim, benches);
criterion_main!(claim);
