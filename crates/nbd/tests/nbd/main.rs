//! The protocol, byte by byte, over a unit in memory.
#![cfg(not(any(diptych_loom, diptych_shuttle)))]
#![allow(missing_docs)] // a test program has no public items

mod client;
mod handshake;
mod limits;
mod noise;
mod rig;
mod status;
mod transmission;
