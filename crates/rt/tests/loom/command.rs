//! Commands against host changes and copies in flight.

use crate::world::{P, S, Shape, T, World};
use diptych_cha::CommandCode::{Copy, Create, Delete, Resync, Suspend};
use diptych_shared::PairStatus;
use diptych_sync::model::{Bound, Model, Mutant};

#[test]
fn split_against_two_tracks() {
    Model {
        name: "split_against_two_tracks",
        protocol: "a copy command while a write of two tracks is in flight: all of it or nothing",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 4_000,
        mutants: &[Mutant { name: "protect-every-track", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = World::new(Shape { tracks: 2, ..Shape::PAIR });
        world.write(P, 0, &[1, 1]);
        world.create_idle(P, S);
        let split = |world: &World| {
            world.write(P, 0, &[2]);
            world.command(Copy, P, S);
            world.background();
            world.write(P, 0, &[3]);
        };
        world.run([split, |world| world.write(P, 0, &[4, 4])]);
        world.settle();
        // The other write came before the first, between it and the copy command, or after.
        world.assert_image(P, S, &[&[2, 4], &[4, 4], &[2, 1]]);
    });
}

#[test]
fn split_against_protecting_write() {
    Model {
        name: "split_against_protecting_write",
        protocol: "a copy command while a host's write copies the track for another pair",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 35_000,
        mutants: &[Mutant { name: "command-barrier", dies_by: "invariant I1" }],
    }
    .check(|| {
        // The mutant claims the first track alone: the model uses the other.
        let world = World::new(Shape { tracks: 2, ..Shape::THREE });
        world.write(P, 1, &[1]);
        world.create_idle(P, S);
        world.create_idle(P, T);
        world.command(Copy, P, S);
        let split = |world: &World| {
            world.command(Copy, P, T);
            world.write(P, 1, &[3]);
        };
        world.run([split, |world| world.write(P, 1, &[2])]);
        world.settle();
        world.assert_image(P, S, &[&[0, 1]]);
        world.assert_image(P, T, &[&[0, 1], &[0, 2]]);
    });
}

#[test]
fn delete_against_copy() {
    Model {
        name: "delete_against_copy",
        protocol: "a pair is deleted under a lane; then a host writes the former secondary",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 9_400,
        // A lane that works beside the command meets a family that its volume has left.
        mutants: &[Mutant { name: "claim-exclusive", dies_by: "is not in family" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        world.write(P, 0, &[1]);
        world.create_idle(P, S);
        world.command(Copy, P, S);
        let delete = |world: &World| {
            world.command(Delete, P, S);
            world.close(true);
            world.write(S, 0, &[2]);
        };
        world.run([delete, World::background]);
        world.settle();
        world.close(false);
        world.flush(S);
        assert_eq!(world.read(S), [2], "invariant I3: a former secondary is the host's");
        assert_eq!(world.on_drive(S), [2], "invariant I3: a former secondary is the host's");
    });
}

#[test]
fn suspend_against_copy() {
    Model {
        name: "suspend_against_copy",
        protocol: "a pair is suspended under a lane",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 4_900,
        mutants: &[Mutant { name: "command-barrier", dies_by: "invariant" }],
    }
    .check(|| {
        let world = World::new(Shape { tracks: 2, ..Shape::PAIR });
        world.write(P, 1, &[1]);
        world.create_copied(P, S);
        world.write(P, 1, &[2]);
        world.command(Resync, P, S);
        let suspend = |world: &World| {
            world.command(Suspend, P, S);
            world.close(true);
        };
        world.run([suspend, World::background]);
        world.settle();
        world.close(false);
        let pair = world.pair(P, S);
        assert_eq!(pair.status, PairStatus::Suspended, "the pair is suspended");
        world.flush(P);
        let differ = world.on_drive(P) != world.on_drive(S);
        assert_eq!(differ, !pair.c.is_empty(), "invariant I2: C tells whether the sides differ");
    });
}

#[test]
fn resync_against_writes() {
    Model {
        name: "resync_against_writes",
        protocol: "a resync while hosts write both sides",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 8_100,
        mutants: &[
            Mutant { name: "mark-changes", dies_by: "invariant I2" },
            Mutant { name: "mark-secondary-changes", dies_by: "invariant I2" },
        ],
    }
    .check(|| {
        let world = World::new(Shape { tracks: 2, ..Shape::PAIR });
        world.write(P, 0, &[1, 1]);
        world.create_copied(P, S);
        let on_secondary = |world: &World| {
            // Refused after the resync.
            world.try_write(S, 1, &[3]);
        };
        world.run([
            |world| world.command(Resync, P, S),
            |world| world.write(P, 0, &[2]),
            on_secondary,
        ]);
        world.settle();
        world.assert_follows(P, S);
        assert_eq!(world.read(P), [2, 1], "the secondary's change is undone");
    });
}

#[test]
fn create_moves_who_waits() {
    Model {
        name: "create_moves_who_waits",
        protocol: "a pair is created while a host's write waits for the primary's family",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 2_200,
        mutants: &[Mutant { name: "moved-on-merge", dies_by: "deadlock" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        world.write(P, 0, &[1]);
        world.write(S, 0, &[9]);
        world.run([|world| world.command(Create, P, S), |world| world.write(P, 0, &[2])]);
        world.settle();
        world.assert_follows(P, S);
        assert_eq!(world.read(S), [2], "the secondary follows");
    });
}

#[test]
fn delete_moves_who_waits() {
    Model {
        name: "delete_moves_who_waits",
        protocol: "a pair is deleted while a host's write waits for the family",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 2_000,
        mutants: &[Mutant { name: "moved-on-split", dies_by: "deadlock" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        world.write(P, 0, &[1]);
        world.create_copied(P, S);
        world.run([|world| world.command(Delete, P, S), |world| world.write(S, 0, &[2])]);
        world.settle();
        assert_eq!(world.read(S), [2], "an acknowledged write stays");
    });
}

#[test]
fn resync_under_an_old_turn() {
    Model {
        name: "resync_under_an_old_turn",
        protocol: "a pair is suspended and resynchronized before the lane's turn has ended",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 12_000,
        mutants: &[Mutant { name: "turn-of-this-copier", dies_by: "invariant I6" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        world.write(P, 0, &[1]);
        world.command(Create, P, S);
        let again = |world: &World| {
            world.command(Suspend, P, S);
            world.command(Resync, P, S);
        };
        world.run([again, World::background]);
        world.settle();
        world.assert_follows(P, S);
    });
}
