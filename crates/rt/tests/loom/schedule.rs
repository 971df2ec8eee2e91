//! Ticks of schedules against commands and hosts.

use crate::world::{P, S, Shape, World};
use diptych_cha::{Command, CommandCode};
use diptych_shared::{Pace, PairOptions};
use diptych_sync::model::{Bound, Model, Mutant};
use diptych_unit::{Schedule, Scope, Utc, When};

/// A schedule with one tick, a second after the start.
fn schedule(world: &World, options: Option<PairOptions>) {
    let scope = Scope::Pair { primary: P, secondary: S };
    let when = When::At(Utc::from_seconds(1));
    world.add_schedule(Schedule { options, ..Schedule::new(scope, when) });
}

#[test]
fn tick_against_command() {
    Model {
        name: "tick_against_command",
        protocol: "a schedule's tick while the pair is deleted; then a host writes the secondary",
        bounds: &[Bound::Preemptions(2)],
        deep: &[Bound::Preemptions(3), Bound::UnboundedFor(20)],
        floor: 3_000,
        mutants: &[Mutant { name: "tick-one-claim", dies_by: "invariant" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        world.write(P, 0, &[1]);
        world.create_idle(P, S);
        schedule(&world, None);
        let delete = |world: &World| {
            world.command(CommandCode::Delete, P, S);
            world.close(true);
            world.write(S, 0, &[2]);
        };
        world.run([World::ticks, delete]);
        world.settle();
        world.close(false);
        world.flush(S);
        assert_eq!(world.read(S), [2], "invariant I3: a former secondary is the host's");
        assert_eq!(world.on_drive(S), [2], "invariant I3: a former secondary is the host's");
    });
}

#[test]
fn tick_against_reader() {
    Model {
        name: "tick_against_reader",
        protocol: "a schedule's tick renews the image of a quick pair while a host reads it",
        bounds: &[Bound::Preemptions(3)],
        deep: &[Bound::UnboundedFor(20)],
        floor: 3_800,
        mutants: &[Mutant { name: "tick-one-visit", dies_by: "invariant" }],
    }
    .check(|| {
        let world = World::new(Shape::PAIR);
        let quick = PairOptions { pace: Pace::FAST, quick: true, ..PairOptions::default() };
        world.write(P, 0, &[1]);
        world.create_idle(P, S);
        world.accepted(Command::new(CommandCode::Copy, P, S).with_options(quick));
        world.settle();
        // Nothing has changed, so that no job has to wait for one that nobody turns any more.
        schedule(&world, Some(quick));
        let read = |world: &World| {
            let found = world.try_read(S, 0, 1);
            let found = found.expect("invariant: nobody sees 802 between one image and the next");
            assert_eq!(found, [1], "invariant I1: the image is that of the primary");
        };
        world.run([World::ticks, read]);
        world.settle();
        world.assert_image(P, S, &[&[1]]);
    });
}
