//! How long a group command may hold hosts up: until its limit, then it is refused.
//!
//! The command waits in the queues of its families, and every host request behind it waits as well. So
//! that a request which is stuck on a drive holds up nobody else for longer than the limit,
//! [`Unit::due`](crate::Unit::due) takes the command out of the queue it is in when the limit is over.

use crate::Mailbox;
use crate::core::Core;
use diptych_format::{LdevId, OwnerId, Time};
use diptych_shared::Wakes;
use std::collections::BTreeMap;

/// After a limit is over, the command is looked for again so often: it may be between two queues.
const AGAIN_NS: u64 = 1_000_000;

/// Commands that wait, and until when.
#[derive(Debug, Default)]
pub(crate) struct Drains(BTreeMap<OwnerId, Wait>);

#[derive(Debug)]
struct Wait {
    until: Time,
    /// Which family's queue it is in: that of this volume.
    family_of: LdevId,
}

impl Drains {
    /// Those whose limit is over, and when to look again.
    fn late(&mut self, now: Time) -> (Vec<(OwnerId, LdevId)>, Option<Time>) {
        let mut late = Vec::new();
        for (owner, wait) in &mut self.0 {
            if wait.until <= now {
                late.push((*owner, wait.family_of));
                wait.until = now + AGAIN_NS;
            }
        }
        (late, self.0.values().map(|wait| wait.until).min())
    }
}

/// A command whose wait is limited.
#[derive(Debug)]
pub(crate) struct Drain<'a> {
    m: &'a Mailbox,
    core: &'a Core,
    until: Time,
}

impl<'a> Drain<'a> {
    pub(crate) fn new(m: &'a Mailbox, core: &'a Core, until: Time) -> Self {
        Self { m, core, until }
    }

    /// It is about to wait in the queue of this volume's family.
    pub(crate) fn waits_at(&self, family_of: LdevId) {
        let wait = Wait { until: self.until, family_of };
        self.core.drains.lock().0.insert(self.m.owner(), wait);
        self.m.kick(); // its deadline is one of the unit's
    }

    pub(crate) fn until(&self) -> Time {
        self.until
    }
}

impl Drop for Drain<'_> {
    fn drop(&mut self) {
        self.core.drains.lock().0.remove(&self.m.owner());
    }
}

/// Takes the commands whose limit is over out of their queues. Returns whom to tell, and when to look
/// again.
pub(crate) fn end_late(core: &Core, now: Time) -> (Wakes, Option<Time>) {
    let (late, next) = core.drains.lock().late(now);
    let wakes = late.into_iter().flat_map(|(owner, ldev)| core.shared.time_out(owner, ldev));
    (wakes.collect(), next)
}
