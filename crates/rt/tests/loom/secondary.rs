//! Hosts on the secondary of a quick copy.

use crate::world::{P, S, Shape, World};
use diptych_cha::{Command, CommandCode};
use diptych_shared::{Pace, PairOptions, PairStatus};
use diptych_sync::model::{Bound, Model, Mutant};
use std::sync::Arc;

/// P and S in 803 with quick access to S; P holds 1, the old S 9, and nothing is copied yet.
fn copying_quickly(blocks_per_track: u64) -> Arc<World> {
    let world = World::new(Shape { blocks_per_track, ..Shape::PAIR });
    world.write(P, 0, &vec![1; blocks_per_track as usize]);
    world.write(S, 0, &vec![9; blocks_per_track as usize]);
    world.create_idle(P, S);
    let options = PairOptions { pace: Pace::FAST, quick: true, ..PairOptions::default() };
    world.accepted(Command::new(CommandCode::Copy, P, S).with_options(options));
    world
}

#[test]
fn quick_read() {
    Model {
        name: "quick_read",
        protocol: "a host reads a secondary's track that is still to be copied, while the primary changes",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 18_300,
        mutants: &[Mutant { name: "bring-before-use", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = copying_quickly(1);
        let read = |world: &World| {
            let found = world.try_read(S, 0, 1);
            assert_eq!(found, Some(vec![1]), "invariant I1: a host reads something else");
        };
        world.run([read, |world| world.write(P, 0, &[2]), World::background]);
        world.settle();
        world.assert_image(P, S, &[&[1]]);
    });
}

#[test]
fn quick_write() {
    Model {
        name: "quick_write",
        protocol: "a host writes part of a secondary's track that is still to be copied",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 19_000,
        mutants: &[Mutant { name: "bring-before-use", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = copying_quickly(2);
        world.run([
            |world| world.write(S, 0, &[3]),
            |world| world.write(P, 0, &[2, 2]),
            World::background,
        ]);
        world.settle();
        let pair = world.pair(P, S);
        assert_eq!(pair.status, PairStatus::Copied, "invariant I6: every copy ends");
        assert!(pair.ds.is_full(), "invariant I2: the secondary has changed");
        assert_eq!(world.read(S), [3, 1], "invariant I1: the host's block in the image");
    });
}

#[test]
fn quick_write_of_a_whole_track() {
    Model {
        name: "quick_write_of_a_whole_track",
        protocol: "a host writes all of a secondary's track that is still to be copied",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 5_600,
        mutants: &[Mutant { name: "bring-before-use", dies_by: "invariant" }],
    }
    .check(|| {
        let world = copying_quickly(1);
        world.run([|world| world.write(S, 0, &[3]), World::background]);
        world.settle();
        assert_eq!(world.read(S), [3], "invariant: no copy overwrites a host's write");
    });
}
