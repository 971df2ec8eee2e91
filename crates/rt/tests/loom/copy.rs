//! Copies against host changes of the primary.

use crate::world::{P, S, Shape, T, World};
use diptych_cha::CommandCode::{Copy, Create, Resync};
use diptych_sync::model::{Bound, Model, Mutant};
use std::sync::Arc;

/// P and S in 803, P filled with 1, nothing copied yet.
fn copying(shape: Shape) -> Arc<World> {
    let world = World::new(shape);
    world.write(P, 0, &vec![1; shape.tracks as usize]);
    world.create_idle(P, S);
    world.command(Copy, P, S);
    world
}

#[test]
fn copier_against_writer() {
    Model {
        name: "copier_against_writer",
        protocol: "a lane and a host's write meet on one track in 803",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 9_200,
        mutants: &[
            Mutant { name: "protect-before-write", dies_by: "invariant I1" },
            Mutant { name: "recheck-under-claim", dies_by: "invariant" },
        ],
    }
    .check(|| {
        let world = copying(Shape::PAIR);
        world.run([World::background, |world| world.write(P, 0, &[2])]);
        world.settle();
        world.assert_image(P, S, &[&[1]]);
        assert_eq!(world.read(P), [2], "an acknowledged write stays");
    });
}

#[test]
fn two_writers_of_one_track() {
    Model {
        name: "two_writers_of_one_track",
        protocol: "two hosts write one track in 803",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 11_600,
        mutants: &[Mutant { name: "claim-exclusive", dies_by: "invariant" }],
    }
    .check(|| {
        let world = copying(Shape::PAIR);
        world.run([|world| world.write(P, 0, &[2]), |world| world.write(P, 0, &[3])]);
        world.settle();
        world.assert_image(P, S, &[&[1]]);
        assert!([2, 3].contains(&world.read(P)[0]), "one of the writes is the last");
    });
}

#[test]
fn a_write_over_two_tracks() {
    Model {
        name: "a_write_over_two_tracks",
        protocol: "a host writes two tracks while a lane copies them",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 24_800,
        mutants: &[Mutant { name: "protect-every-track", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = copying(Shape { tracks: 2, ..Shape::PAIR });
        world.run([World::background, |world| world.write(P, 0, &[2, 2])]);
        world.settle();
        world.assert_image(P, S, &[&[1, 1]]);
    });
}

#[test]
fn neighbouring_bits() {
    Model {
        name: "neighbouring_bits",
        protocol: "hosts write neighbouring tracks: four bits of two map words change at once",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 3_300,
        mutants: &[Mutant { name: "protect-before-write", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = copying(Shape { tracks: 2, ..Shape::PAIR });
        world.run([|world| world.write(P, 0, &[2]), |world| world.write(P, 1, &[3])]);
        let pair = world.pair(P, S);
        assert!(pair.c.is_empty(), "invariant: both bits of C are cleared");
        assert!(pair.dp.is_full(), "invariant: both bits of DP are set");
        world.settle();
        world.assert_image(P, S, &[&[1, 1]]);
    });
}

#[test]
fn two_pairs_of_one_primary() {
    Model {
        name: "two_pairs_of_one_primary",
        protocol: "a host writes a track that two pairs have still to copy, while one lane copies it",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 30_000,
        mutants: &[Mutant { name: "protect-every-pair", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = World::new(Shape::THREE);
        world.write(P, 0, &[1]);
        world.create_idle(P, S);
        world.create_idle(P, T);
        world.command(Copy, P, S);
        world.command(Copy, P, T);
        world.run([World::background, |world| world.write(P, 0, &[2])]);
        world.settle();
        world.assert_image(P, S, &[&[1]]);
        world.assert_image(P, T, &[&[1]]);
    });
}

#[test]
fn cascade() {
    Model {
        name: "cascade",
        protocol: "a resync of the first level brings a track that the second level has still to copy",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 34_000,
        mutants: &[Mutant { name: "protect-internal-copy", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = World::new(Shape::THREE);
        world.write(P, 0, &[1]);
        world.create_copied(P, S);
        world.create_idle(S, T);
        world.command(Copy, S, T);
        world.write(P, 0, &[2]);
        let resync = |world: &World| {
            world.command(Resync, P, S);
            world.background();
        };
        world.run([resync, World::background]);
        world.settle();
        let pair = world.pair(P, S);
        assert!(pair.c.is_empty(), "invariant I6: every copy ends");
        world.assert_image(S, T, &[&[1]]);
        world.assert_follows(P, S);
    });
}

#[test]
fn cascade_write() {
    Model {
        name: "cascade_write",
        protocol: "a host writes a first-level primary: its old track goes to the secondary, and that one's to the level below",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 2_600,
        mutants: &[Mutant { name: "protect-internal-copy", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = World::new(Shape::THREE);
        world.write(P, 0, &[1]);
        world.create_copied(P, S);
        world.create_idle(S, T);
        world.command(Copy, S, T);
        world.write(P, 0, &[2]);
        world.command(Resync, P, S);
        world.command(Copy, P, S);
        world.run([|world| world.write(P, 0, &[3]), World::background]);
        world.settle();
        world.assert_image(P, S, &[&[2]]);
        world.assert_image(S, T, &[&[1]]);
        assert_eq!(world.read(P), [3], "an acknowledged write stays");
    });
}

#[test]
fn cascade_follows() {
    Model {
        name: "cascade_follows",
        protocol: "a host writes a first-level primary in 803 while the level below follows in 802",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 2_500,
        mutants: &[Mutant { name: "wake-level-below", dies_by: "invariant I6" }],
    }
    .check(|| {
        let world = World::new(Shape::THREE);
        world.write(P, 0, &[1]);
        world.create_copied(P, S);
        world.command(Create, S, T);
        world.settle();
        world.write(P, 0, &[2]);
        world.command(Resync, P, S);
        world.command(Copy, P, S);
        world.run([|world| world.write(P, 0, &[3]), World::background]);
        world.settle();
        world.assert_image(P, S, &[&[2]]);
        world.assert_follows(S, T);
        assert_eq!(world.read(P), [3], "an acknowledged write stays");
    });
}
