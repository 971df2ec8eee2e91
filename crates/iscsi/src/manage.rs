//! Task management (RFC 7143, 11.5 and 11.6): aborts and resets.
//!
//! Commands of this session that are concerned are ended here: those whose data is not all there at once,
//! those under way as soon as what they have asked of the unit is done. The answer waits for that. What
//! concerns others is the SCSI target's.

use crate::IscsiError;
use crate::bhs::{Bhs, FINAL, opcode};
use crate::full_feature::{Next, REQUEST_BYTES, Reader};
use crate::session::Outgoing;
use crate::task::Waiting;
use diptych_cha::scsi::{Managed, TaskManagement};
use diptych_sync::{Arc, Mutex};

/// Responses (RFC 7143, 11.6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Response {
    Complete = 0,
    NoTask = 1,
    NoUnit = 2,
    NoReassignment = 4,
    NotSupported = 5,
    Rejected = 255,
}

impl From<Managed> for Response {
    fn from(managed: Managed) -> Self {
        match managed {
            Managed::Complete => Self::Complete,
            Managed::NoUnit => Self::NoUnit,
            Managed::Rejected => Self::NotSupported,
        }
    }
}

impl Reader<'_> {
    pub(crate) fn manage(&mut self, header: &Bhs) -> Result<Next, IscsiError> {
        let pending = self.connection.begin_held(REQUEST_BYTES, 0)?;
        let lun = header.lun();
        let context = self.context.clone();
        let waiting = Arc::new(Waiting { context, answer: Mutex::new(None) });
        let is_same = |other| is_same_unit(lun, other);
        let (response, next) = match header.flags() & 0x7F {
            1 => (self.abort_task(header, &waiting), Next::Request),
            2 => (
                self.at_target(lun, TaskManagement::AbortTaskSet, &waiting, is_same),
                Next::Request,
            ),
            3 => (Response::NotSupported, Next::Request),
            4 => (
                self.at_target(lun, TaskManagement::ClearTaskSet, &waiting, is_same),
                Next::Request,
            ),
            5 => (self.at_target(lun, TaskManagement::UnitReset, &waiting, is_same), Next::Request),
            6 => {
                (self.at_target(lun, TaskManagement::WarmReset, &waiting, |_| true), Next::Request)
            }
            7 => (self.at_target(lun, TaskManagement::ColdReset, &waiting, |_| true), Next::End),
            8 => (Response::NoReassignment, Next::Request),
            _ => (Response::Rejected, Next::Request),
        };
        let mut answer = Bhs::new(opcode::MANAGED, FINAL);
        answer.0[2] = response as u8;
        answer.set_tag(header.tag());
        self.give_back(header);
        *waiting.answer.lock() = Some((pending, Outgoing::new(answer)));
        drop(waiting);
        if let (Next::End, Some(target)) = (next, self.target) {
            // A cold reset ends all connections, this one when the answer is out.
            let _ = self.connection.drain();
            self.shared.sessions.end_all_at(target);
        }
        self.ask_all()?;
        Ok(next)
    }

    fn abort_task(&mut self, header: &Bhs, waiting: &Arc<Waiting>) -> Response {
        let tag = header.target_tag();
        if let Some(collected) = self.forget(tag) {
            if !collected.command.is_immediate {
                self.context.session.give_back();
            }
            return Response::Complete;
        }
        if self.context.tasks.abort(Some(waiting), |other, _| other == tag) > 0 {
            return Response::Complete;
        }
        // One that did not come yet is as good as aborted when it does (RFC 7143, 11.5.1).
        let (number, expected) = (header.word(32), self.context.session.expected());
        let until = match header.is_immediate() {
            true => header.command_no(),
            false => header.command_no().wrapping_add(1),
        };
        let is_to_come = number.wrapping_sub(expected) < until.wrapping_sub(expected)
            && self.context.session.most().wrapping_sub(number) < crate::session::WINDOW;
        if is_to_come {
            self.early.insert(number, None);
            return Response::Complete;
        }
        Response::NoTask
    }

    fn at_target(
        &mut self,
        lun: [u8; 8],
        function: TaskManagement,
        waiting: &Arc<Waiting>,
        is_concerned: impl Fn([u8; 8]) -> bool,
    ) -> Response {
        let Some(nexus) = self.nexus else { return Response::Rejected };
        let concerned = |tag: &u32| is_concerned(self.collecting[tag].command.lun);
        let tags: Vec<u32> = self.collecting.keys().copied().filter(concerned).collect();
        for tag in tags {
            let collected = self.forget(tag);
            if collected.is_some_and(|collected| !collected.command.is_immediate) {
                self.context.session.give_back();
            }
        }
        self.context.tasks.abort(Some(waiting), |_, lun| is_concerned(lun));
        self.context.target.manage(nexus, lun, function).into()
    }
}

/// Whether two LUN fields mean the same: the way of addressing does not count (SAM-6, 4.7.7).
fn is_same_unit(one: [u8; 8], other: [u8; 8]) -> bool {
    one[0] & 0x3F == other[0] & 0x3F && one[1..] == other[1..]
}
