//! A SCSI command under way: who steps it, and how it ends or is aborted.
//!
//! | place | who has the runner |
//! |---|---|
//! | driven | the thread that steps it |
//! | asking | the thread that asks the unit; the answer may be here before that thread is back |
//! | answered | the same: it goes on with the answer, on its own thread |
//! | parked | nobody: whoever has the answer goes on with it |
//!
//! So what the cache serves goes from question to question on the connection's own thread, and what has
//! to wait goes on where the answer comes from.
//!
//! Invariants:
//! - A command is answered once, or aborted and never answered: whoever takes it off the list decides.
//! - What waits for aborted commands ([`Waiting`]) is answered when the last of them has ended.
//! - No lock is held while a task is stepped, the unit asked or an answer sent.

use crate::params::Params;
use crate::response::Command;
use crate::session::{Outgoing, Session};
use diptych_cha::scsi::{Keep, ScsiReply, ScsiStep, ScsiTarget, ScsiTask};
use diptych_cha::{HostError, HostOp, HostReply};
use diptych_rt::net::Pending;
use diptych_rt::{Rt, RtError};
use diptych_sync::atomic::{AtomicBool, Ordering};
use diptych_sync::{Arc, Condvar, Mutex};
use diptych_unit::UnitError;
use std::collections::BTreeMap;

/// What all commands of a session share.
#[derive(Debug)]
pub(crate) struct Context {
    pub(crate) rt: Rt,
    pub(crate) target: Arc<ScsiTarget>,
    pub(crate) session: Session,
    pub(crate) params: Params,
    pub(crate) tasks: Tasks,
}

/// The commands of a session that are under way, by their tags.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    listed: Mutex<BTreeMap<u32, Listed>>,
    /// None is left.
    emptied: Condvar,
}

#[derive(Debug)]
struct Listed {
    lun: [u8; 8],
    running: Arc<Running>,
    /// Who waits for its end, as it is aborted.
    waiting: Vec<Arc<Waiting>>,
}

#[derive(Debug)]
struct Running {
    /// It is to end without an answer.
    aborted: AtomicBool,
    place: Mutex<Place>,
}

#[derive(Debug)]
enum Place {
    Driven,
    Asking,
    Answered(HostReply),
    Parked(Runner),
}

impl Tasks {
    pub(crate) fn has(&self, tag: u32) -> bool {
        self.listed.lock().contains_key(&tag)
    }

    pub(crate) fn len(&self) -> usize {
        self.listed.lock().len()
    }

    /// Aborts those that are chosen by tag and LUN; how many they are.
    pub(crate) fn abort(
        &self,
        waiting: Option<&Arc<Waiting>>,
        chosen: impl Fn(u32, [u8; 8]) -> bool,
    ) -> usize {
        let mut count = 0;
        for (tag, listed) in self.listed.lock().iter_mut() {
            if chosen(*tag, listed.lun) {
                listed.running.aborted.store(true, Ordering::Release);
                listed.waiting.extend(waiting.cloned());
                count += 1;
            }
        }
        count
    }

    /// Waits until none is left.
    pub(crate) fn wait_for_none(&self) {
        let mut listed = self.listed.lock();
        while !listed.is_empty() {
            listed = self.emptied.wait(listed);
        }
    }

    fn take(&self, tag: u32) -> Option<Listed> {
        let mut listed = self.listed.lock();
        let taken = listed.remove(&tag);
        if listed.is_empty() {
            self.emptied.notify_all();
        }
        taken
    }
}

/// An answer that is sent when the commands that hold it have ended.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub(crate) context: Arc<Context>,
    /// Taken when it is sent.
    pub(crate) answer: Mutex<Option<(Pending, Outgoing)>>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some((pending, pdu)) = self.answer.lock().take() {
            self.context.session.answer(pending, [pdu]);
        }
    }
}

/// A command and all that it takes to bring it to its end.
#[derive(Debug)]
pub(crate) struct Runner {
    context: Arc<Context>,
    running: Arc<Running>,
    command: Command,
    task: ScsiTask,
    /// Taken when it is off the list.
    pending: Option<Pending>,
}

/// Lists a command, and carries it out as far as that goes now.
pub(crate) fn run(context: Arc<Context>, command: Command, task: ScsiTask, pending: Pending) {
    let running =
        Arc::new(Running { aborted: AtomicBool::new(false), place: Mutex::new(Place::Driven) });
    let listed = Listed { lun: command.lun, running: running.clone(), waiting: Vec::new() };
    context.tasks.listed.lock().insert(command.tag, listed);
    Runner { context, running, command, task, pending: Some(pending) }.drive(None);
}

impl Running {
    /// The unit has answered.
    fn answered(&self, reply: HostReply) {
        let mut place = self.place.lock();
        let runner = match std::mem::replace(&mut *place, Place::Driven) {
            Place::Parked(runner) => runner,
            Place::Asking => {
                *place = Place::Answered(reply);
                return;
            }
            Place::Driven | Place::Answered(_) => unreachable!("a question is answered once"),
        };
        drop(place);
        runner.drive(Some(reply));
    }
}

impl Runner {
    fn drive(mut self, mut reply: Option<HostReply>) {
        loop {
            if self.running.aborted.load(Ordering::Acquire) && self.pending.is_some() {
                self.leave();
                if !self.task.outlives() {
                    return;
                }
            }
            reply = match self.task.step(reply.take()) {
                ScsiStep::Ask(op) => match self.ask(op) {
                    Some((runner, reply)) => {
                        self = runner;
                        Some(reply)
                    }
                    None => return,
                },
                ScsiStep::Keep(keep) => Some(self.keep(keep)),
                ScsiStep::Answer(reply) => {
                    self.end(reply);
                    None
                }
                ScsiStep::Done(reply) => return self.end(reply),
            };
        }
    }

    /// Asks the unit. `None`: whoever has the answer goes on.
    fn ask(self, op: HostOp) -> Option<(Self, HostReply)> {
        let running = self.running.clone();
        *running.place.lock() = Place::Asking;
        let asked = running.clone();
        let submitted = self.context.rt.submit(op, move |reply| asked.answered(reply));
        let mut place = running.place.lock();
        match (std::mem::replace(&mut *place, Place::Driven), submitted) {
            (Place::Answered(reply), _) => Some((self, reply)),
            (_, Ok(())) => {
                *place = Place::Parked(self);
                None
            }
            (_, Err(RtError::TooManyRequests { .. })) => {
                Some((self, HostReply::Failed(HostError::Busy)))
            }
            (_, Err(_)) => Some((self, HostReply::Failed(HostError::Stopping))),
        }
    }

    fn keep(&self, Keep { name, value }: Keep) -> HostReply {
        let rt = &self.context.rt;
        let kept = rt.unit().keep(&name, value);
        rt.ask_due();
        match kept {
            Ok(()) => HostReply::Done,
            Err(UnitError::LogBusy(_)) => HostReply::Failed(HostError::Busy),
            Err(error) => {
                tracing::warn!(name, %error, "a reservation is not kept");
                HostReply::Failed(HostError::NoRoom)
            }
        }
    }

    /// The command ends without an answer.
    fn leave(&mut self) {
        let listed = self.context.tasks.take(self.command.tag);
        self.give_back();
        self.pending = None;
        drop(listed);
    }

    /// The command ends with this answer, unless it was aborted, or has ended before.
    fn end(&mut self, reply: ScsiReply) {
        if self.pending.is_none() {
            return;
        }
        let Context { session, params, tasks, .. } = &*self.context;
        let pdus = self.command.answer(session, params, reply);
        let listed = tasks.take(self.command.tag);
        self.give_back();
        let aborted = self.running.aborted.load(Ordering::Acquire);
        if let (Some(pending), false) = (self.pending.take(), aborted) {
            session.answer(pending, pdus);
        }
        drop(listed);
    }

    fn give_back(&self) {
        if !self.command.is_immediate {
            self.context.session.give_back();
        }
    }
}
