//! Restores against hosts on both sides, and against what fails.

use crate::world::{P, S, Shape, World};
use diptych_cha::CommandCode::Restore;
use diptych_shared::PairStatus;
use diptych_sync::model::{Bound, Model, Mutant};
use std::sync::Arc;

/// P and S in 804; P is filled with 1, and hosts have filled S with 2 since.
fn split(shape: Shape) -> Arc<World> {
    let blocks = (shape.tracks * shape.blocks_per_track) as usize;
    let world = World::new(shape);
    world.write(P, 0, &vec![1; blocks]);
    world.create_copied(P, S);
    world.write(S, 0, &vec![2; blocks]);
    world
}

#[test]
fn restore_against_reads() {
    Model {
        name: "restore_against_reads",
        protocol: "a restore while hosts read both sides: the primary is the secondary at once",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 22_000,
        mutants: &[Mutant { name: "bring-before-use", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = split(Shape::PAIR);
        let restore = |world: &World| {
            world.command(Restore, P, S);
            assert_eq!(world.read(P), [2], "invariant I1: a restored primary reads as it was");
            let found = world.try_read(S, 0, 1);
            assert_eq!(found, None, "invariant: hosts are kept off the secondary");
        };
        let read = |world: &World| {
            let (first, second) = (world.read(P), world.read(P));
            assert!(first <= second, "invariant I1: a restored primary reads as it was");
        };
        world.run([restore, read, World::background]);
        world.settle();
        world.assert_follows(P, S);
        assert_eq!(world.read(P), [2], "invariant I1: a restored primary is the secondary");
    });
}

#[test]
fn restore_against_part_writes() {
    Model {
        name: "restore_against_part_writes",
        protocol: "a host writes part of a track of a primary that is being restored",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 22_000,
        mutants: &[Mutant { name: "bring-before-use", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = split(Shape { blocks_per_track: 2, ..Shape::PAIR });
        world.command(Restore, P, S);
        world.run([|world| world.write(P, 0, &[3]), World::background]);
        world.settle();
        world.assert_follows(P, S);
        assert_eq!(world.read(P), [3, 2], "invariant I1: a host's block in what was restored");
    });
}

#[test]
fn restore_against_whole_writes() {
    Model {
        name: "restore_against_whole_writes",
        protocol: "a host writes a whole track of a primary that is being restored; the restore's end finds it changed",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 2_300,
        mutants: &[
            Mutant { name: "whole-write-clears", dies_by: "invariant I1" },
            Mutant { name: "recheck-under-claim", dies_by: "invariant" },
            Mutant { name: "restore-end-takes-dp", dies_by: "invariant I2" },
        ],
    }
    .check(|| {
        let world = split(Shape { tracks: 2, ..Shape::PAIR });
        world.command(Restore, P, S);
        world.run([|world| world.write(P, 0, &[3]), World::background]);
        world.settle();
        world.assert_follows(P, S);
        assert_eq!(world.read(P), [3, 2], "invariant I5: an acknowledged write stays");
    });
}

#[test]
fn restore_against_secondary_writes() {
    Model {
        name: "restore_against_secondary_writes",
        protocol: "a restore command while a host writes the secondary: what was accepted is restored",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 2_800,
        mutants: &[Mutant { name: "mark-secondary-changes", dies_by: "invariant I2" }],
    }
    .check(|| {
        let world = World::new(Shape { tracks: 2, ..Shape::PAIR });
        world.write(P, 0, &[1, 1]);
        world.create_copied(P, S);
        world.write(P, 0, &[3]);
        let write = |world: &World| {
            // Refused after the restore command.
            world.note(if world.try_write(S, 1, &[4]) { 4 } else { 1 });
        };
        world.run([|world| world.command(Restore, P, S), write, World::background]);
        world.settle();
        let noted = world.noted();
        world.assert_follows(P, S);
        assert_eq!(world.read(P), [1, noted], "invariant I1: a primary is not what was restored");
    });
}

#[test]
fn restore_given_up() {
    Model {
        name: "restore_given_up",
        protocol: "a destage of the primary fails while a host's read brings a track back",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 3_200,
        mutants: &[Mutant { name: "given-up-restore", dies_by: "invariant" }],
    }
    .check(|| {
        let world = split(Shape { tracks: 2, ..Shape::PAIR });
        world.flush(P);
        world.write(P, 1, &[3]);
        world.fail(P, true);
        world.command(Restore, P, S);
        world.ask_flush(P);
        let read = |world: &World| {
            // Refused once the volume is blocked; of a lane's failure a host is told that the
            // contents are undefined.
            let found = world.try_read(P, 0, 1);
            let brought = found.is_none_or(|found| found == [2]) || world.volume(P).undefined;
            assert!(brought, "invariant I1: a track that is not brought is read");
        };
        world.run([read, World::background]);
        world.settle();
        let pair = world.pair(P, S);
        assert_eq!(pair.status, PairStatus::Suspended, "a primary that fails ends its restore");
        assert!(world.volume(P).undefined, "the primary is neither the old nor the new");
        // What was brought back before stays in cache until the drive takes it.
        world.fail(P, false);
        world.release(P);
        world.flush(P);
        world.flush(S);
        world.assert_marked((P, S), &world.on_drive(P), &world.on_drive(S));
    });
}
