//! A secondary's drive that fails: its pair is suspended, hosts and other pairs go on.

use crate::world::{P, S, Shape, T, World};
use diptych_cha::CommandCode::{Copy, Resync};
use diptych_shared::PairStatus;
use diptych_sync::model::{Bound, Model, Mutant};

#[test]
fn error_suspend() {
    Model {
        name: "error_suspend",
        protocol: "a secondary's drive fails under a lane while a host writes a track of two pairs",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 2_200,
        mutants: &[
            Mutant { name: "failed-copy-keeps-c", dies_by: "invariant" },
            Mutant { name: "mark-failed-track", dies_by: "invariant I2" },
        ],
    }
    .check(|| {
        let world = World::new(Shape::THREE);
        world.write(S, 0, &[9]);
        world.flush(S);
        world.write(P, 0, &[1]);
        for secondary in [S, T] {
            world.create_idle(P, secondary);
            world.command(Copy, P, secondary);
        }
        world.fail(S, true);
        world.run([World::background, |world| world.write(P, 0, &[2])]);
        world.settle();
        // Where the host came first the track is in cache, and fails now.
        world.ask_flush(S);
        world.settle();
        world.assert_image(P, T, &[&[1]]);
        let pair = world.pair(P, S);
        assert_eq!(pair.status, PairStatus::Suspended, "invariant: a pair whose secondary fails");
        assert!(pair.ds.is_full(), "invariant I2: nobody knows what the secondary holds");
        assert_eq!(world.try_read(S, 0, 1), None, "invariant I3: nothing of it is visible");
        world.fail(S, false);
        world.close(true);
        world.write(P, 0, &[3]);
        world.flush(P);
        assert_eq!(world.on_drive(P), [3], "hosts go on");
        world.assert_marked((P, S), &world.on_drive(P), &world.on_drive(S));
    });
}

#[test]
fn error_suspend_by_destage() {
    Model {
        name: "error_suspend_by_destage",
        protocol: "destages of a secondary fail while a lane copies a track into the cache after them",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 13_000,
        mutants: &[Mutant { name: "mark-failed-track", dies_by: "invariant I2" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        world.write(P, 0, &[1]);
        world.create_copied(P, S);
        world.write(S, 0, &[2]);
        world.flush(S);
        world.write(S, 0, &[3]);
        world.command(Resync, P, S);
        world.fail(S, true);
        world.ask_flush(S);
        // One takes the lane, the other the destage.
        world.run([World::background, World::background]);
        world.settle();
        let pair = world.pair(P, S);
        assert_eq!(pair.status, PairStatus::Suspended, "invariant: a pair whose secondary fails");
        world.assert_marked((P, S), &world.on_drive(P), &world.on_drive(S));
        assert_eq!(world.read(P), [1], "hosts go on");
    });
}
