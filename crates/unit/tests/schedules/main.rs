//! Copies at their times, and secondaries that take turns.

mod bench;
mod drivers_time;
mod groups;
mod long;
mod operators;
mod passed_over;
mod rotation;
mod series;
