//! Group commands: one instant for pairs of several families.

use crate::world::{P, S, Shape, T, U, World};
use diptych_cha::CommandCode::{Copy, Delete};
use diptych_cha::GroupOutcome;
use diptych_format::LdevId;
use diptych_shared::PairStatus;
use diptych_sync::model::{Bound, Model, Mutant};
use std::sync::Arc;

const PAIRS: [(LdevId, LdevId); 2] = [(P, S), (T, U)];

/// Two pairs in 802 with everything still to copy, their volumes filled with 1.
fn two_families(tracks: u64) -> Arc<World> {
    let world = World::new(Shape { tracks, ..Shape::FOUR });
    for (primary, secondary) in PAIRS {
        world.write(primary, 0, &vec![1; tracks as usize]);
        world.create_idle(primary, secondary);
    }
    world
}

#[test]
fn group_split_against_dependent_writes() {
    Model {
        name: "group_split_against_dependent_writes",
        protocol: "a group is split while a host writes one volume and, once that is acknowledged, the other",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 11_000,
        mutants: &[Mutant { name: "group-barrier", dies_by: "invariant I1" }],
    }
    .check(|| {
        // The mutant claims the first tracks alone: the hosts write the second.
        let world = two_families(2);
        let split = |world: &World| {
            world.write(P, 0, &[2]);
            let outcome = world.group(Copy, &PAIRS);
            assert!(matches!(outcome, GroupOutcome::Accepted { .. }), "{outcome:?}");
            world.write(T, 0, &[3]);
        };
        let write = |world: &World| {
            world.write(P, 1, &[4]);
            world.write(T, 1, &[5]);
        };
        world.run([split, write]);
        world.settle();
        for (primary, secondary) in PAIRS {
            let status = world.pair(primary, secondary).status;
            assert_eq!(status, PairStatus::Copied, "invariant I6: every copy ends");
        }
        let images = [world.read(S), world.read(U)];
        // Of the dependent writes none, the first, or both.
        let possible = [[[2, 1], [1, 1]], [[2, 4], [1, 1]], [[2, 4], [1, 5]]];
        assert!(
            possible.iter().any(|possible| images == *possible),
            "invariant I1: the images {images:?} are of no one instant"
        );
    });
}

#[test]
fn group_split_against_two_writers() {
    Model {
        name: "group_split_against_two_writers",
        protocol: "a group is split while a host writes each of its volumes",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 29_000,
        mutants: &[Mutant { name: "protect-before-write", dies_by: "invariant I1" }],
    }
    .check(|| {
        let world = two_families(1);
        let split = |world: &World| {
            let outcome = world.group(Copy, &PAIRS);
            assert!(matches!(outcome, GroupOutcome::Accepted { .. }), "{outcome:?}");
        };
        world.run([split, |world| world.write(P, 0, &[4]), |world| world.write(T, 0, &[5])]);
        world.settle();
        world.assert_image(P, S, &[&[1], &[4]]);
        world.assert_image(T, U, &[&[1], &[5]]);
        let primaries = [world.read(P), world.read(T)];
        assert_eq!(primaries, [[4], [5]], "invariant I5: an acknowledged write stays");
    });
}

#[test]
fn group_split_against_delete() {
    Model {
        name: "group_split_against_delete",
        protocol: "a group is split while one of its pairs is deleted: all or none",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 12_600,
        mutants: &[Mutant { name: "plan-before-change", dies_by: "invariant" }],
    }
    .check(|| {
        let world = two_families(1);
        let split = |world: &World| {
            let accepted = matches!(world.group(Copy, &PAIRS), GroupOutcome::Accepted { .. });
            world.note(accepted.into());
        };
        world.run([split, |world| world.command(Delete, T, U)]);
        let copied = world.pair(P, S).status != PairStatus::PairedNotCopied;
        assert_eq!(
            copied,
            world.noted() == 1,
            "invariant: a group is split as a whole or not at all"
        );
        world.settle();
        if copied {
            world.assert_image(P, S, &[&[1]]);
        }
    });
}
