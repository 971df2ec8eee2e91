//! One tick: a job like any other.

use super::rotate::rotate;
use super::table::{Tick, TickEnd};
use super::{Schedule, ScheduleEvent, ScheduleId};
use crate::Mailbox;
use crate::core::Core;
use crate::history::{HistoryEntry, Message};
use crate::job::JobMailbox;
use crate::ledger;
use diptych_cha::Refusal;
use diptych_format::Time;
use diptych_sync::Arc;

/// A tick under way. However it ends, the schedule goes on.
pub(crate) struct Ticking {
    m: JobMailbox,
    core: Arc<Core>,
    tick: Tick,
    end: TickEnd,
}

impl Ticking {
    pub(crate) fn new(m: JobMailbox, core: Arc<Core>, tick: Tick) -> Self {
        // A job that is dropped has done nothing: its tick is still to be taken.
        Self { m, core, tick, end: TickEnd::Again }
    }
}

impl Drop for Ticking {
    fn drop(&mut self) {
        let Tick { id, ref schedule, due, .. } = self.tick;
        let ended = self.core.scheduler.lock().schedules.ended(id, due, self.end, self.m.now());
        self.core.put_schedules();
        if ended {
            self.core.ledger.put_back(ledger::of_value(schedule));
            self.core.record(entry(self.m.now(), id, schedule, ScheduleEvent::Ended));
        }
        self.m.kick();
    }
}

/// Takes a tick: whoever's turn it is gets the image of the instant at which all is claimed.
pub(crate) async fn tick(mut ticking: Ticking) {
    let (m, core): (&Mailbox, &Core) = (&ticking.m, &ticking.core);
    match rotate(m, core, &ticking.tick).await {
        Ok(()) => {}
        // Nothing is done yet.
        Err(Refusal::Busy | Refusal::Stopping) => return,
        Err(why) => core.record(ticking.tick.entry(m.now(), ScheduleEvent::Refused(why))),
    }
    ticking.end = TickEnd::Taken;
}

impl Tick {
    /// What the history says of the schedule.
    pub(super) fn entry(&self, now: Time, event: ScheduleEvent) -> HistoryEntry {
        entry(now, self.id, &self.schedule, event)
    }
}

/// What the history says of a schedule, and of its primary if it has one.
pub(super) fn entry(
    at: Time,
    id: ScheduleId,
    schedule: &Schedule,
    event: ScheduleEvent,
) -> HistoryEntry {
    let entry = HistoryEntry::new(at, Message::Schedule(id, event));
    match schedule.scope.primary() {
        Some(primary) => entry.of_volume(primary),
        None => entry,
    }
}
