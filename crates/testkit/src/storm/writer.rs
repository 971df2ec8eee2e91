//! A host that writes: one write after another, each after the one before it was acknowledged, to one
//! volume after another.

use super::cut::Write;
use super::world::{Shared, op_of};
use crate::ldev;
use diptych_cha::{HostOp, HostReply};
use diptych_format::Time;
use diptych_sim::{Answered, Host};

/// The longest rest between two writes.
const REST_NS_MAX: u64 = 50_000;

#[derive(Debug)]
pub(super) struct Writer {
    world: Shared,
    no: usize,
    /// The primary that is next.
    primary: usize,
}

impl Writer {
    pub(super) fn new(world: Shared, no: usize) -> Self {
        Self { world, no, primary: no }
    }
}

impl Host for Writer {
    fn next(&mut self, now: Time, last: Option<&Answered>) -> Option<(Time, HostOp)> {
        let world = &mut *self.world.borrow_mut();
        if let Some(answered) = last {
            if answered.reply != HostReply::Done {
                world.wrong_answer("a write", ldev(self.primary as u8), &answered.reply);
                return None;
            }
            world.acknowledged(self.no, answered.answered_at);
        }
        if !world.goes_on() {
            return None;
        }
        self.primary = (self.primary + 1) % world.layout.primaries;
        let rest_ns = if world.rng.bool() { 0 } else { world.rng.u64(..REST_NS_MAX) };
        let (primary, submitted_at) = (self.primary, now + rest_ns);
        let blocks = world.layout.draw_blocks(&mut world.rng, primary, self.no);
        let tag = world.next_tag();
        world.sent(self.no, &Write { primary, blocks, tag, submitted_at, answered_at: None });
        Some((submitted_at, op_of(ldev(primary as u8), blocks, tag)))
    }
}
