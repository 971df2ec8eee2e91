//! One SCSI command, from its CDB to its status.
//!
//! A driver steps a task as it turns a job: [`ScsiTask::step`] says what the task needs, the driver has it
//! done, and steps again with the answer. READ and WRITE, as they mostly are, take two steps and allocate
//! nothing here; everything else is an `async fn` over a mailbox, boxed once.
//!
//! Invariants: a task ends once; a task that was aborted by another initiator says TASK ABORTED at its
//! next step; one that outlives its initiator is never aborted.

use super::cdb::Cdb;
use super::inquiry;
use super::job::Job;
use super::limits;
use super::logical_unit::LogicalUnit;
use super::mailbox::{Ask, Mailbox};
use super::nexus::{Nexus, NexusId};
use super::operation::{DataRule, Operation, Verb};
use super::reply::{Done, Refused, ScsiReply, ScsiStatus};
use super::sense::{Asc, Sense};
use super::table::{Found, find};
use super::target::{ScsiTarget, Seen};
use crate::{HostError, HostOp, HostReply, Lun, PortId};
use bytes::Bytes;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, LdevId};
use diptych_sync::Arc;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// What a task needs next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScsiStep {
    /// Have this done; step again with the answer.
    Ask(HostOp),
    /// Keep this, durably; step again with [`HostReply::Done`], or with the failure.
    Keep(Keep),
    /// Send this answer now, and step again, without an answer, to go on: what the task says in the end is
    /// nobody's then.
    Answer(ScsiReply),
    /// The command's end.
    Done(ScsiReply),
}

/// A small value that the driver keeps for when the unit comes up again; see [`ScsiTarget::restore`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keep {
    /// What it is called.
    pub name: String,
    /// The value; nothing, if nothing is to be kept any more.
    pub value: Option<Bytes>,
}

/// A SCSI command that is being carried out.
///
/// A driver does not drop a task between a question and its answer: it waits for the answer, and drops
/// it then. It never drops one that [outlives](Self::outlives) its initiator before its end.
pub struct ScsiTask {
    target: Arc<ScsiTarget>,
    /// Which unit's, and whose, aborts end the task, and where they stood.
    bound: Option<Bound>,
    /// By which port it came, and as what is counted that it asks.
    counted: Option<(PortId, Counted)>,
    state: State,
}

struct Bound {
    unit: Arc<LogicalUnit>,
    nexus: NexusId,
    aborts: u64,
    own_aborts: u64,
}

enum State {
    New { nexus: Option<Arc<Nexus>>, lun: [u8; 8], cdb: Cdb, data: Bytes },
    Reading,
    Writing { ldev: LdevId, flushes: bool },
    Flushing,
    Slow { future: Pin<Box<dyn Future<Output = Done> + Send>>, mailbox: Arc<Mailbox> },
    Ended,
}

impl ScsiTask {
    pub(crate) fn new(
        target: Arc<ScsiTarget>,
        nexus: Option<Arc<Nexus>>,
        lun: [u8; 8],
        cdb: Cdb,
        data: Bytes,
    ) -> Self {
        let state = State::New { nexus, lun, cdb, data };
        Self { target, bound: None, counted: None, state }
    }

    /// Whether its session is logged out already, so that it ends as aborted.
    pub fn is_nobodys(&self) -> bool {
        matches!(&self.state, State::New { nexus: None, .. })
    }

    /// Runs the task to its next question, or to its end. `reply` answers the last question.
    ///
    /// # Panics
    ///
    /// If the task has ended.
    pub fn step(&mut self, reply: Option<HostReply>) -> ScsiStep {
        if let (Some((port, Counted::Channel)), Some(reply)) = (self.counted, &reply) {
            self.target.adapter().answer(port, reply);
        }
        if self.is_aborted() {
            self.state = State::Ended;
            return ScsiStep::Done(Refused::Status(ScsiStatus::TaskAborted).reply(false));
        }
        match std::mem::replace(&mut self.state, State::Ended) {
            State::New { nexus, lun, cdb, data } => match self.begin(nexus, lun, &cdb, data) {
                Ok(step) => step,
                Err(refused) => self.end(Err(refused)),
            },
            State::Reading => self.end(match reply {
                Some(HostReply::Data(data)) => Ok(data),
                other => Err(unexpected(other)),
            }),
            State::Writing { ldev, flushes } => match reply {
                Some(HostReply::Done) if flushes => {
                    self.state = State::Flushing;
                    ScsiStep::Ask(HostOp::Flush { ldev })
                }
                other => self.end(changed(other)),
            },
            State::Flushing => self.end(changed(reply)),
            State::Slow { future, mailbox } => {
                mailbox.put_reply(reply);
                self.poll(future, mailbox)
            }
            State::Ended => panic!("the task has ended"),
        }
    }

    /// Whether the task goes on whatever becomes of its initiator, and of resets: SANITIZE does, once it
    /// has begun, and a pair command in band. The former may take long; a driver may hold it back in
    /// favour of others.
    pub fn outlives(&self) -> bool {
        matches!(&self.state, State::Slow { mailbox, .. } if mailbox.outlives())
    }

    fn is_aborted(&self) -> bool {
        let Some(bound) = &self.bound else { return false };
        bound.unit.aborts() != bound.aborts
            && !self.outlives()
            && bound.unit.aborts_of(bound.nexus) != Some(bound.own_aborts)
    }

    fn end(&mut self, done: Done) -> ScsiStep {
        self.state = State::Ended;
        let refused = match done {
            Ok(data) => return ScsiStep::Done(ScsiReply::good(data)),
            Err(refused) => refused,
        };
        let unit = self.bound.as_ref().map(|bound| &bound.unit);
        let in_descriptors = unit.is_some_and(|unit| unit.state().modes.now.in_descriptors);
        ScsiStep::Done(refused.reply(in_descriptors))
    }

    fn begin(
        &mut self,
        nexus: Option<Arc<Nexus>>,
        lun: [u8; 8],
        cdb: &Cdb,
        data: Bytes,
    ) -> Result<ScsiStep, Refused> {
        let nexus = nexus.ok_or(Refused::Status(ScsiStatus::TaskAborted))?;
        let seen = lun_of(lun).and_then(|lun| nexus.unit(lun));
        let found = find(cdb);
        let Some(seen) = seen else {
            return Ok(self.end(without_unit(&nexus, cdb, &found)));
        };
        let operation = match found {
            Found::Operation(operation) if seen.has(operation.has) => operation,
            Found::NoAction => return Err(Sense::in_cdb_bit(1, Some(4)).into()),
            Found::Operation(Operation { action: Some(_), .. }) => {
                return Err(Sense::in_cdb_bit(1, Some(4)).into());
            }
            _ => return Err(Sense::illegal(Asc::INVALID_OPCODE).into()),
        };
        self.bind(&nexus, &seen, operation, cdb)?;
        let port = nexus.who.target.port;
        self.counted = counted_as(operation.verb).map(|counted| (port, counted));
        match operation.verb {
            Verb::Read => self.read(&seen, cdb, &nexus, operation, data),
            Verb::Write => self.write(&seen, cdb, &nexus, operation, data),
            _ => Ok(self.slowly(&seen, cdb, nexus, operation, data)),
        }
    }

    /// Binds the task to its logical unit, if that lets it.
    fn bind(
        &mut self,
        nexus: &Nexus,
        seen: &Seen,
        operation: &Operation,
        cdb: &Cdb,
    ) -> Result<(), Refused> {
        let unit = seen.unit.clone();
        let epoch = self.target.access_epoch(unit.ldev);
        // Taken before: an abort that comes between is seen at the next step.
        let aborts = unit.aborts();
        let bound = self.bound.insert(Bound { unit, nexus: nexus.id, aborts, own_aborts: 0 });
        let mut state = bound.unit.state();
        state.access_is_at(epoch);
        bound.own_aborts = state.admit(nexus, operation, cdb, seen.options)?;
        Ok(())
    }

    fn read(
        &mut self,
        seen: &Seen,
        cdb: &Cdb,
        nexus: &Arc<Nexus>,
        operation: &'static Operation,
        data: Bytes,
    ) -> Result<ScsiStep, Refused> {
        let (block, count) = cdb.extent();
        let blocks = extent(block, count)?;
        if count == 0 || seen.options.command_device {
            return Ok(self.slowly(seen, cdb, nexus.clone(), operation, data));
        }
        self.state = State::Reading;
        Ok(self.ask(HostOp::Read { ldev: seen.unit.ldev, blocks }))
    }

    fn write(
        &mut self,
        seen: &Seen,
        cdb: &Cdb,
        nexus: &Arc<Nexus>,
        operation: &'static Operation,
        data: Bytes,
    ) -> Result<ScsiStep, Refused> {
        let (block, count) = cdb.extent();
        extent(block, count)?;
        let whole = data.len() as u64 == count * BLOCK_BYTES as u64;
        if count == 0 || !whole || seen.options.command_device {
            return Ok(self.slowly(seen, cdb, nexus.clone(), operation, data));
        }
        let ldev = seen.unit.ldev;
        self.state = State::Writing { ldev, flushes: cdb.has(1, 0x08) && cdb.opcode() >= 0x20 };
        Ok(self.ask(HostOp::Write { ldev, block: BlockNo(block), data }))
    }

    fn slowly(
        &mut self,
        seen: &Seen,
        cdb: &Cdb,
        nexus: Arc<Nexus>,
        operation: &'static Operation,
        data: Bytes,
    ) -> ScsiStep {
        let mailbox = Arc::new(Mailbox::default());
        let job = Job {
            target: self.target.clone(),
            nexus,
            unit: seen.unit.clone(),
            options: seen.options,
            operation,
            cdb: *cdb,
            data,
            mailbox: mailbox.clone(),
        };
        self.poll(Box::pin(job.run()), mailbox)
    }

    fn poll(
        &mut self,
        mut future: Pin<Box<dyn Future<Output = Done> + Send>>,
        mailbox: Arc<Mailbox>,
    ) -> ScsiStep {
        // No waker: a task waits for its mailbox and for nothing else.
        match future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => self.end(done),
            Poll::Pending => {
                let ask = mailbox.take_ask().expect("a task stops with a question");
                self.state = State::Slow { future, mailbox };
                match ask {
                    Ask::Op(op) => self.ask(op),
                    Ask::Keep(keep) => ScsiStep::Keep(keep),
                    Ask::Answer(reply) => ScsiStep::Answer(reply),
                }
            }
        }
    }

    fn ask(&self, op: HostOp) -> ScsiStep {
        let adapter = self.target.adapter();
        match (self.counted, &op) {
            (Some((port, Counted::Channel)), op) => adapter.count(port, op),
            (Some((port, Counted::Inside)), HostOp::Write { data, .. }) => {
                adapter.count_inside(port, data.len() as u64);
            }
            _ => {}
        }
        ScsiStep::Ask(op)
    }
}

impl fmt::Debug for ScsiTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::New { cdb, .. } => return write!(f, "ScsiTask({:02X}, new)", cdb.opcode()),
            State::Reading => "reading",
            State::Writing { .. } => "writing",
            State::Flushing => "flushing",
            State::Slow { .. } => "slow",
            State::Ended => "ended",
        };
        write!(f, "ScsiTask({state})")
    }
}

/// As what is counted that a task asks of the unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counted {
    /// What passes the host's channel.
    Channel,
    /// What is written without passing it.
    Inside,
}

/// What EXTENDED COPY moves does not pass the host's channel; what SANITIZE and comparisons move is
/// nobody's data.
fn counted_as(verb: Verb) -> Option<Counted> {
    use Verb::{CompareAndWrite, OrWrite, Read, SynchronizeCache, Unmap, Write, WriteAtomic};
    match verb {
        CompareAndWrite | OrWrite | Read | SynchronizeCache | Unmap | Write | WriteAtomic => {
            Some(Counted::Channel)
        }
        Verb::ExtendedCopy => Some(Counted::Inside),
        _ => None,
    }
}

/// The blocks of a transfer, if they can be and are not too many.
fn extent(block: u64, count: u64) -> Result<BlockRange, Refused> {
    if count > u64::from(limits::TRANSFER_BLOCKS_MOST) {
        return Err(Sense::illegal(Asc::INVALID_FIELD_IN_CDB).into());
    }
    match block.checked_add(count) {
        Some(_) => Ok(BlockRange::new(BlockNo(block), count)),
        None => Err(Sense::illegal(Asc::LBA_OUT_OF_RANGE).into()),
    }
}

/// What a change came to. What cannot be written is a write error.
pub(crate) fn changed(reply: Option<HostReply>) -> Done {
    match reply {
        Some(HostReply::Done) => Ok(Bytes::new()),
        Some(HostReply::Failed(HostError::Medium { block, .. })) => {
            let sense = Sense::new(super::sense::SenseKey::MediumError, Asc::WRITE_ERROR);
            Err(sense.with_information(block.0).into())
        }
        other => Err(unexpected(other)),
    }
}

/// A failure, or an answer that fits no question.
pub(crate) fn unexpected(reply: Option<HostReply>) -> Refused {
    match reply {
        Some(HostReply::Failed(error)) => error.into(),
        _ => Sense::new(super::sense::SenseKey::HardwareError, Asc::INTERNAL_FAILURE).into(),
    }
}

/// The LUN of a LUN structure (SAM-6, 4.7): one level, by peripheral device or flat addressing.
pub(crate) fn lun_of(lun: [u8; 8]) -> Option<Lun> {
    let [first, second, rest @ ..] = lun;
    let one_level = matches!(first, 0x00 | 0x40) && rest == [0; 6];
    one_level.then_some(Lun(second))
}

/// What is answered for a LUN without a logical unit (SPC-5, 4.3.2).
fn without_unit(nexus: &Nexus, cdb: &Cdb, found: &Found) -> Done {
    let no_unit = Sense::illegal(Asc::LUN_NOT_SUPPORTED);
    let Found::Operation(operation) = found else { return Err(no_unit.into()) };
    let mut data = match operation.verb {
        Verb::Inquiry if !cdb.has(1, 0x01) && cdb.byte(2) == 0 => {
            inquiry::standard(inquiry::NO_UNIT, crate::LuOptions::default())
        }
        Verb::ReportLuns => nexus.report_luns(cdb)?,
        Verb::RequestSense => Sense { in_descriptors: cdb.has(1, 0x01), ..no_unit }.encode(),
        _ => return Err(no_unit.into()),
    };
    cut(&mut data, operation.data, cdb);
    Ok(data.into())
}

/// Cuts data to the allocation length.
pub(crate) fn cut(data: &mut Vec<u8>, rule: DataRule, cdb: &Cdb) {
    if let DataRule::In(field) = rule
        && field.bytes > 0
    {
        data.truncate(usize::try_from(cdb.number(field)).unwrap_or(usize::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn luns() {
        fn check(lun: [u8; 8], expected: Option<u8>) {
            assert_eq!(lun_of(lun), expected.map(Lun), "{lun:?}");
        }
        check([0, 5, 0, 0, 0, 0, 0, 0], Some(5));
        check([0x40, 255, 0, 0, 0, 0, 0, 0], Some(255));
        check([0x41, 0, 0, 0, 0, 0, 0, 0], None);
        check([0xC1, 1, 0, 0, 0, 0, 0, 0], None);
        check([0, 5, 0, 1, 0, 0, 0, 0], None);
    }
}
