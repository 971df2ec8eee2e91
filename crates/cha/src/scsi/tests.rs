//! Tests over whole commands: a target in front of volumes in memory.

mod access;
mod bench;
mod blocks;
mod copy;
mod fuzz;
mod in_band;
mod medium;
mod operations;
mod report;
mod reservations;
mod sanitize;
mod sessions;
