//! The life of a pair in shared memory alone: what each command and each write does to its maps.
//!
//! `cargo run -p diptych-shared --example pair_life`
#![allow(clippy::print_stdout, reason = "the lines are what the example is for")]

use diptych_format::{BackingId, Geometry, ImageNo, LdevId, OwnerId, TrackNo, TrackRange};
use diptych_shared::{
    Change, Claimed, FamilyState, MapName, Pair, PairOptions, SharedError, SharedMemory, TrackMap,
    Volume,
};

const TRACKS: u64 = 12;

fn main() -> Result<(), SharedError> {
    let (primary, secondary) = (LdevId::new(0, 0), LdevId::new(0, 1));
    let memory = SharedMemory::default();
    for (ldev, backing) in [(primary, 1), (secondary, 2)] {
        let geometry = Geometry::with_tracks(128, TRACKS);
        memory.add_volume(Volume::new(ldev, geometry, BackingId(backing)))?;
    }

    // A command claims whole families, so nobody else touches any of their tracks.
    let owner = OwnerId(1);
    let a = granted(memory.claim_family(owner, primary, |_| ())?);
    let b = granted(memory.claim_family(owner, secondary, |_| ())?);
    let (claim, _nobody) = memory.merge(a, b);
    let (pair, options) = (memory.allocate_pair()?, PairOptions::default());
    let new = Pair::new(pair, primary, secondary, TRACKS, options, true);
    claim.with(|family| family.change(Change::AddPair(Box::new(new))));
    let _nobody = claim.release();

    let copied = |track| Change::Copied { pair, track: TrackNo(track), protecting: false };
    let written = |start, count| {
        let tracks = TrackRange::new(TrackNo(start), count);
        Change::HostChange { primary, tracks }
    };
    let protected = Change::Copied { pair, track: TrackNo(9), protecting: true };
    let changed = TrackRange::new(TrackNo(5), 1);
    let rest = TrackRange::new(TrackNo(0), TRACKS);
    let steps = [
        ("create pair", vec![]),
        ("tracks 0-3 copied", (0..4).map(copied).collect()),
        ("host writes track 1: copied again later", vec![written(1, 1)]),
        ("copy command: the image is now", vec![Change::Copy { pair, image: ImageNo(1), options }]),
        ("host writes track 9: copied before", vec![protected, written(9, 1)]),
        ("the rest is copied", vec![Change::Clear { pair, map: MapName::C, tracks: rest }]),
        ("host writes tracks 2-3", vec![written(2, 2)]),
        (
            "and track 5 of the secondary",
            vec![Change::SecondaryChange { secondary, tracks: changed }],
        ),
        ("resync: what differs is copied", vec![Change::Resync { pair, options }]),
        ("all of it is copied", [2, 3, 5, 9].map(copied).to_vec()),
    ];
    println!("{:<42}{:<12} C            DP           DS           A", "", "status");
    for (name, changes) in steps {
        memory.with_family(primary, |family| {
            for change in changes {
                family.change(change);
            }
            show(name, family);
        })?;
    }
    Ok(())
}

fn granted<R>(claimed: Claimed<R>) -> diptych_shared::Claim {
    match claimed {
        Claimed::Granted(claim, _) => claim,
        Claimed::Queued(_) => unreachable!("nobody else claims"),
    }
}

fn show(name: &str, family: &FamilyState) {
    for pair in family.pairs() {
        let [c, dp, ds, a] = MapName::ALL.map(|map| bits(pair.map(map)));
        println!("{name:<42}{:<12} {c} {dp} {ds} {a}", pair.shown_as());
    }
}

fn bits(map: &TrackMap) -> String {
    (0..TRACKS).map(|track| if map.get(TrackNo(track)) { '1' } else { '.' }).collect()
}
