//! The driver: parking, wakes, deadlines, the end.

use crate::world::{P, S, Shape, T, World};
use diptych_cha::{Command, CommandCode};
use diptych_shared::{Pace, PairOptions};
use diptych_sync::model::{Bound, Model, Mutant};

#[test]
fn wake_before_park() {
    Model {
        name: "wake_before_park",
        protocol: "a claim is granted before the one who waits for it is parked",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 3_400,
        mutants: &[Mutant { name: "early-wake", dies_by: "deadlock" }],
    }
    .check(|| {
        let world = World::new(Shape { volumes: &[P], ..Shape::PAIR });
        world.write(P, 0, &[1]);
        world.run([|world| world.write(P, 0, &[2]), |world| world.write(P, 0, &[3])]);
        assert!([2, 3].contains(&world.read(P)[0]), "one of the writes is the last");
    });
}

#[test]
fn a_rest_is_not_forgotten() {
    Model {
        name: "a_rest_is_not_forgotten",
        protocol: "a lane goes to rest while a command asks what is due",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 1_700,
        mutants: &[Mutant { name: "latest-answer", dies_by: "invariant I6" }],
    }
    .check(|| {
        let world = World::new(Shape { copy_rest_ns: 100, tracks: 2, ..Shape::THREE });
        world.write(P, 0, &[1, 1]);
        world.create_idle(P, S);
        let slowly = PairOptions { pace: Pace::SLOW, ..PairOptions::default() };
        world.accepted(Command::new(CommandCode::Copy, P, S).with_options(slowly));
        // A command on no pair: it changes nothing, and asks what is due.
        let nothing = |world: &World| {
            world.order(Command::new(CommandCode::Suspend, T, S));
        };
        world.run([World::background, nothing]);
        world.settle();
        world.assert_image(P, S, &[&[1, 1]]);
    });
}

#[test]
fn idle_is_told() {
    Model {
        name: "idle_is_told",
        protocol: "somebody waits for the workers to have nothing to do, and the last deadline comes",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 6_100,
        mutants: &[Mutant { name: "turn-tells-idle", dies_by: "deadlock" }],
    }
    .check(|| {
        let world = World::new(Shape { volumes: &[P], workers: 1, ..Shape::PAIR });
        world.run([World::wait_idle, |world| world.write(P, 0, &[1])]);
        world.wait_idle();
        world.stop();
        assert_eq!(world.on_drive(P), [1], "what is dirty is destaged after its delay");
    });
}

#[test]
fn stop_against_waiters() {
    Model {
        name: "stop_against_waiters",
        protocol: "the driver stops while a host comes to wait for the claim of another",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 11_400,
        mutants: &[Mutant { name: "no-wait-after-stop", dies_by: "deadlock" }],
    }
    .check(|| {
        let world = World::new(Shape { volumes: &[P], ..Shape::PAIR });
        let write = |world: &World| {
            // Carried out, or told of the end.
            world.try_write(P, 0, &[1]);
        };
        world.run([write, write, World::stop]);
        assert!(!world.try_write(P, 0, &[2]), "a stopped driver carries nothing out");
    });
}

#[test]
fn stop_against_wakes() {
    Model {
        name: "stop_against_wakes",
        protocol: "the driver stops while a destage wakes the flush that waits for it",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 240,
        mutants: &[Mutant { name: "no-work-after-stop", dies_by: "invariant I6" }],
    }
    .check(|| {
        let world = World::new(Shape { volumes: &[P], ..Shape::PAIR });
        world.write(P, 0, &[1]);
        let flush = |world: &World| {
            world.submit_flush(P);
            world.background();
        };
        world.run([flush, World::stop]);
        assert_eq!(world.unanswered(), 0, "invariant I6: every request is answered");
    });
}
