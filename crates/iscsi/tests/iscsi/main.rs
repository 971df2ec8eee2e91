//! The protocol, byte by byte, over a unit in memory.
#![cfg(not(any(diptych_loom, diptych_shuttle)))]
#![allow(missing_docs)] // a test program has no public items

mod anything;
mod client;
mod commands;
mod initiator;
mod limits;
mod login;
mod manage;
mod rig;
mod sessions;
