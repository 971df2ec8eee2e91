//! One tick: a job like any other.

use super::rotate::rotate;
use super::table::{Tick, TickEnd};
use super::{ScheduleEvent, ScheduleId};
use crate::Mailbox;
use crate::core::Core;
use crate::held::NotHeld;
use crate::history::{HistoryEntry, Message};
use crate::job::JobMailbox;
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
        if ended {
            let entry =
                HistoryEntry::new(self.m.now(), Message::Schedule(id, ScheduleEvent::Ended));
            self.core.record(entry.of_volume(schedule.scope.primary()));
        }
        self.m.kick();
    }
}

/// Takes a tick: the secondary whose turn it is gets the image of the instant at which the family is
/// claimed.
pub(crate) async fn tick(mut ticking: Ticking) {
    let (m, core): (&Mailbox, &Core) = (&ticking.m, &ticking.core);
    let came_to = rotate(m, core, &ticking.tick).await;
    let refused = match came_to {
        Ok(()) => None,
        Err(NotHeld::Busy | NotHeld::Stopping) => return,
        Err(error) => Some(error.refusal(ticking.tick.schedule.scope.primary())),
    };
    if let Some(why) = refused {
        core.record(ticking.tick.entry(m.now(), ScheduleEvent::Refused(why)));
    }
    ticking.end = TickEnd::Taken;
}

impl Tick {
    /// What the history says of the schedule's primary.
    pub(super) fn entry(&self, now: Time, event: ScheduleEvent) -> HistoryEntry {
        let primary = self.schedule.scope.primary();
        HistoryEntry::new(now, message(self.id, event)).of_volume(primary)
    }
}

pub(super) fn message(id: ScheduleId, event: ScheduleEvent) -> Message {
    Message::Schedule(id, event)
}
