//! Destages against copies and writes of the same track.

use crate::world::{P, S, Shape, World};
use diptych_cha::CommandCode::{Copy, Resync};
use diptych_sync::model::{Bound, Model, Mutant};

#[test]
fn copy_after_destage() {
    Model {
        name: "copy_after_destage",
        protocol: "a lane writes a track on the drive while an older state of it is being destaged",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 6_400,
        mutants: &[Mutant { name: "copy-after-destage", dies_by: "invariant I2" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        world.write(P, 0, &[1]);
        world.create_copied(P, S);
        world.flush(P);
        world.write(S, 0, &[2]);
        world.command(Resync, P, S);
        world.ask_flush(S);
        // One takes the lane, the other the destage.
        world.run([World::background, World::background]);
        world.flush(S);
        assert!(world.pair(P, S).c.is_empty(), "invariant I6: every copy ends");
        assert_eq!(world.on_drive(S), [1], "invariant I2: the sides differ and no bit says so");
    });
}

#[test]
fn slot_between_transfer_and_destage() {
    Model {
        name: "slot_between_transfer_and_destage",
        protocol: "a track is written whose buffer went to the secondary's slot by reference, and is destaged",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 3_400,
        mutants: &[Mutant { name: "mark-shared", dies_by: "invariant" }],
    }
    .check(|| {
        let world = World::new(Shape { blocks_per_track: 2, cache_slots: 4, ..Shape::PAIR });
        world.write(P, 0, &[1, 1]);
        world.create_idle(P, S);
        world.flush(P);
        world.command(Copy, P, S);
        let destage = |world: &World| {
            world.ask_flush(S);
            world.background();
        };
        world.run([|world| world.write(P, 0, &[2]), destage]);
        world.flush(P);
        world.assert_image(P, S, &[&[1, 1]]);
        assert_eq!(world.on_drive(S), [1, 1], "invariant I1: the image on the drive");
        assert_eq!(world.on_drive(P), [2, 1], "invariant I5: an acknowledged write is destaged");
    });
}

#[test]
fn flush_against_writer() {
    Model {
        name: "flush_against_writer",
        protocol: "a track is written in part while a flush destages it",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 6_500,
        mutants: &[
            Mutant { name: "cow-pin", dies_by: "invariant" },
            Mutant { name: "destage-version", dies_by: "invariant" },
        ],
    }
    .check(|| {
        let world = World::new(Shape { volumes: &[P], blocks_per_track: 2, ..Shape::PAIR });
        world.write(P, 0, &[1, 1]);
        let flush = |world: &World| {
            world.ask_flush(P);
            world.background();
        };
        world.run([flush, |world| world.write(P, 0, &[2])]);
        world.settle();
        assert!(world.is_flushed(), "invariant I6: every flush ends");
        world.flush(P);
        assert_eq!(world.on_drive(P), [2, 1], "invariant I5: an acknowledged write is destaged");
    });
}
