//! Models of the control unit under its driver: the code that ships, under loom.
//!
//! The unit has memory drives and volumes of one to three tracks. Its driver has no worker: an actor
//! that is spawned like the hosts runs the lanes and destages that are due. The main thread sets up,
//! spawns, joins, lets what is left end, and looks at the invariants.
#![cfg(diptych_loom)]

mod command;
mod copy;
mod destage;
mod driver;
mod exchange;
mod failure;
mod group;
mod net;
mod restore;
mod schedule;
mod secondary;
mod world;
