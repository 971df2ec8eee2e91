//! Quick restores, which exchange the backings, against what is in flight on either.

use crate::world::{P, S, Shape, World};
use diptych_cha::CommandCode::{Copy, QuickRestore};
use diptych_cha::{Command, Outcome};
use diptych_format::LdevId;
use diptych_shared::{PairStatus, VolumeState};
use diptych_sync::model::{Bound, Model, Mutant};
use std::sync::Arc;

/// P and S in 804. In the second track P holds 1, and S what a host has written since: 2.
///
/// It is the second track that matters: the mutant of the barrier claims the first alone.
fn split() -> Arc<World> {
    let world = World::new(Shape { tracks: 2, ..Shape::PAIR });
    world.write(P, 1, &[1]);
    world.create_copied(P, S);
    world.write(S, 1, &[2]);
    world
}

/// What a host reads in the second track, without a claim.
fn second(world: &World, ldev: LdevId) -> u8 {
    world.try_read(ldev, 1, 1).expect("a host may read the volume")[0]
}

fn freeze(world: &World) -> Outcome {
    world.order(Command::new(QuickRestore, P, S).frozen())
}

#[test]
fn quick_restore_against_writes() {
    Model {
        name: "quick_restore_against_writes",
        protocol: "a quick restore while hosts write both sides",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 12_500,
        mutants: &[Mutant { name: "mark-changes", dies_by: "invariant I2" }],
    }
    .check(|| {
        let world = split();
        let exchange = |world: &World| {
            world.command(QuickRestore, P, S);
            world.note(second(world, P));
        };
        let write = |world: &World| {
            // Refused after the exchange.
            world.try_write(S, 1, &[4]);
        };
        // In the first track: of the second the pair knows already that it differs.
        world.run([exchange, |world| world.write(P, 0, &[3]), write]);
        world.flush(P);
        world.flush(S);
        assert!(world.pair(P, S).c.is_empty(), "invariant I6: every copy ends");
        assert_eq!(world.on_drive(P), world.on_drive(S), "invariant I2: the sides differ");
        let (now, then) = (second(&world, P), world.noted());
        assert_eq!(then, now, "invariant: what nobody wrote has changed");
    });
}

#[test]
fn freeze_against_writes() {
    Model {
        name: "freeze_against_writes",
        protocol: "a quick restore with freeze while hosts write both sides",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 19_500,
        mutants: &[Mutant { name: "command-barrier", dies_by: "invariant" }],
    }
    .check(|| {
        let world = split();
        let exchange = |world: &World| {
            let outcome = freeze(world);
            assert!(matches!(outcome, Outcome::Accepted { .. }), "{outcome:?}");
            world.note(10 * second(world, P) + second(world, S));
        };
        world.run([exchange, |world| world.write(P, 1, &[3]), |world| world.write(S, 1, &[4])]);
        world.settle();
        assert_eq!(world.pair(P, S).status, PairStatus::Copied, "frozen");
        let (primary, secondary) = (world.read(P), world.read(S));
        world.assert_marked((P, S), &primary, &secondary);
        for (then, own, now) in
            [(world.noted() / 10, 3, primary[1]), (world.noted() % 10, 4, secondary[1])]
        {
            assert!(
                [then, own].contains(&now),
                "invariant: {then} became {now}, and nobody wrote it"
            );
        }
    });
}

/// Reads what the sides of [`quick_restore_against_reads`] differ in.
fn read_whole(world: &World, ldev: LdevId) {
    let found = world.try_read(ldev, 1, 2).expect("a host may read both sides");
    let whole = [[1, 0], [2, 5]].iter().any(|side| found == side);
    assert!(whole, "invariant: {ldev} reads as {found:?}, half of each side");
}

#[test]
fn quick_restore_against_reads() {
    Model {
        name: "quick_restore_against_reads",
        protocol: "a quick restore while hosts read both sides from the drives: all old or all new",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 7_800,
        mutants: &[Mutant { name: "command-barrier", dies_by: "invariant" }],
    }
    .check(|| {
        let world = World::new(Shape { tracks: 3, ..Shape::PAIR });
        world.write(P, 0, &[7]);
        world.write(P, 1, &[1]);
        world.create_copied(P, S);
        // Now P has the backing that the lane wrote: nothing of it is in cache.
        world.command(QuickRestore, P, S);
        world.command(Copy, P, S);
        world.write(S, 1, &[2, 5]);
        let exchange = |world: &World| {
            assert!(matches!(freeze(world), Outcome::Accepted { .. }), "nothing is in the way");
        };
        world.run([exchange, |world| read_whole(world, P), |world| read_whole(world, S)]);
        assert_eq!(world.read(P), [7, 2, 5], "the sides have changed places");
        assert_eq!(world.read(S), [7, 1, 0], "the sides have changed places");
    });
}

#[test]
fn quick_restore_against_destage() {
    Model {
        name: "quick_restore_against_destage",
        protocol: "a quick restore while the primary's old backing is being destaged, and a lane that writes that drive then",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 17_000,
        mutants: &[Mutant { name: "copy-after-destage", dies_by: "invariant I2" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        world.write(P, 0, &[1]);
        world.create_copied(P, S);
        world.flush(P);
        world.write(P, 0, &[2]);
        world.ask_flush(P);
        let exchange = |world: &World| {
            world.command(QuickRestore, P, S);
            world.background();
        };
        world.run([exchange, World::background]);
        world.flush(S);
        assert!(world.pair(P, S).c.is_empty(), "invariant I6: every copy ends");
        for (ldev, side) in [(P, "primary"), (S, "secondary")] {
            assert_eq!(world.on_drive(ldev), [1], "invariant I2: the {side} on its drive");
        }
    });
}

#[test]
fn quick_restore_against_failing_destage() {
    Model {
        name: "quick_restore_against_failing_destage",
        protocol: "a quick restore while a destage of the primary's old backing fails",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 5_600,
        mutants: &[Mutant { name: "backing-under-lock", dies_by: "invariant" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        world.write(P, 0, &[1]);
        world.create_copied(P, S);
        world.flush(P);
        world.write(P, 0, &[2]);
        world.fail(P, true);
        world.ask_flush(P);
        let exchange = |world: &World| {
            // Refused once the volume is blocked.
            if matches!(freeze(world), Outcome::Accepted { .. }) {
                world.note(1);
            }
        };
        world.run([exchange, World::background]);
        world.settle();
        let exchanged = world.noted() == 1;
        let (fails, works) = if exchanged { (S, P) } else { (P, S) };
        let states = [fails, works].map(|ldev| world.volume(ldev).state);
        let expected = [VolumeState::Blocked, VolumeState::Normal];
        assert_eq!(states, expected, "invariant: who has the backing that fails is blocked");
        assert_eq!(world.read(works), [1], "the other volume is as it was");
        let status = if exchanged { PairStatus::Suspended } else { PairStatus::Copied };
        assert_eq!(world.pair(P, S).status, status, "a secondary that fails suspends its pair");
    });
}
