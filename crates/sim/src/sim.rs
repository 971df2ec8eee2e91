//! The driver: one thread, one order of events.

use crate::agenda::{Agenda, Event};
use crate::hardware::{Context, Hardware};
use crate::slab::Slab;
use crate::task::{Task, Turned};
use crate::trace::{Trace, TraceEntry, Traced};
use crate::{Answered, Host, ReadyOrder, RequestNo, ResourceUse, SimConfig, SimError, SplitMix64};
use diptych_cha::{HostOp, HostReply};
use diptych_format::{LdevId, OwnerId, Time};
use diptych_unit::{Plant, Reply, Unit, Wakes};
use rustc_hash::FxHashMap;
use std::collections::VecDeque;
use std::fmt;

/// Jobs turned without time going on, before a run counts as stuck.
const TURNS_AT_ONE_INSTANT_MAX: u64 = 1 << 28;

/// A request that is not answered.
#[derive(Debug)]
struct Request {
    request: RequestNo,
    submitted_at: Time,
    /// The host that gets the answer; `None`: it is kept for [`Sim::take_answers`].
    host: Option<usize>,
    /// Until its job begins.
    op: Option<HostOp>,
}

/// What a run came to so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimStats {
    /// The virtual time.
    pub now: Time,
    /// Events: requests, ends of effects, deadlines of the unit.
    pub events: u64,
    /// Steps of jobs.
    pub turns: u64,
    /// Host operations answered.
    pub host_ops: u64,
    /// What each resource has done, the drives first.
    pub resources: Vec<ResourceUse>,
}

/// A control unit in virtual time. See the crate's documentation.
pub struct Sim {
    unit: Unit,
    hardware: Hardware,
    config: SimConfig,
    random: SplitMix64,
    now: Time,
    agenda: Agenda,
    /// Jobs that can go on now.
    ready: VecDeque<Task>,
    /// Jobs that wait, by owner.
    parked: FxHashMap<OwnerId, Task>,
    requests: Slab<Request>,
    hosts: Vec<Option<Box<dyn Host>>>,
    /// Requests of no host that are not answered.
    submitted: usize,
    answers: Vec<Answered>,
    last_owner: u64,
    next_request: u64,
    trace: Trace,
    events: u64,
    turns: u64,
    turns_now: u64,
    host_ops: u64,
}

impl fmt::Debug for Sim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sim(at {}, {} events)", self.now, self.events)
    }
}

impl Sim {
    /// A driver of this unit over the hardware it was made with, at time 0.
    pub fn new(unit: Unit, plant: Plant, config: SimConfig) -> Self {
        let mut sim = Self {
            unit,
            hardware: Hardware::new(plant, &config),
            config,
            random: SplitMix64::new(config.seed),
            now: Time::ZERO,
            agenda: Agenda::default(),
            ready: VecDeque::new(),
            parked: FxHashMap::default(),
            requests: Slab::new(),
            hosts: Vec::new(),
            submitted: 0,
            answers: Vec::new(),
            last_owner: 0,
            next_request: 0,
            trace: Trace::new(config.trace_max),
            events: 0,
            turns: 0,
            turns_now: 0,
            host_ops: 0,
        };
        sim.start_due();
        sim
    }

    /// The unit that is driven.
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// The hardware below it.
    pub fn plant(&self) -> &Plant {
        self.hardware.plant()
    }

    /// The virtual time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Sends a request at `at`, or now if that is over. Its job begins when the operation's own cost
    /// is spent; its answer comes with [`Sim::take_answers`].
    ///
    /// # Errors
    ///
    /// If too many requests are open.
    pub fn submit(&mut self, at: Time, op: HostOp) -> Result<RequestNo, SimError> {
        self.check_room()?;
        self.submitted += 1;
        Ok(self.send(at, op, None))
    }

    /// Adds a host, which sends its first request.
    ///
    /// # Errors
    ///
    /// If there are as many hosts and open requests as may be.
    pub fn add_host(&mut self, mut host: Box<dyn Host>) -> Result<(), SimError> {
        self.check_room()?;
        let no = self.hosts.len();
        let first = host.next(self.now, None);
        self.hosts.push(first.is_some().then_some(host));
        if let Some((at, op)) = first {
            self.send(at, op, Some(no));
        }
        Ok(())
    }

    /// Lets everything happen that happens until `until`, which is the time afterwards.
    pub fn run_until(&mut self, until: Time) {
        while self.advance_until(until) {}
        self.now = self.now.max(until);
    }

    /// As [`Sim::advance`], unless the next event is later than `until`.
    ///
    /// # Panics
    ///
    /// As [`Sim::advance`].
    pub fn advance_until(&mut self, until: Time) -> bool {
        self.run_ready();
        self.agenda.next_at().is_some_and(|at| at <= until) && self.advance()
    }

    /// Asks the unit what is due. For those who have changed something in it by hand, as
    /// [`Unit::add_schedule`] does: nobody else tells the driver.
    pub fn ask_due(&mut self) {
        self.start_due();
    }

    /// Lets everything happen until nothing is left to happen. Hosts that never end never let it, nor
    /// does a schedule that goes on.
    pub fn run_to_end(&mut self) {
        while self.advance() {}
    }

    /// Lets the next event happen, with all that follows from it at the same instant. `false` if
    /// nothing is left to happen.
    ///
    /// # Panics
    ///
    /// If the unit breaks the driver's rules: it wakes a job that does not wait, names a deadline
    /// that is over, or its jobs go on for ever without time going on.
    pub fn advance(&mut self) -> bool {
        self.run_ready();
        let Some((at, event)) = self.agenda.take() else { return false };
        assert!(at >= self.now, "events happen in order");
        if at > self.now {
            self.now = at;
            self.turns_now = 0;
        }
        self.events += 1;
        match event {
            Event::Request { place } => self.begin(place),
            Event::Effect { place, index } => {
                let context =
                    context(self.now, &mut self.agenda, &mut self.random, &mut self.trace);
                let done = self.hardware.complete(place, index, context);
                self.ready.extend(done);
            }
            Event::Due => self.start_due(),
        }
        self.run_ready();
        true
    }

    /// The answers to [`Sim::submit`] that came since the last call, in their order.
    pub fn take_answers(&mut self) -> Vec<Answered> {
        std::mem::take(&mut self.answers)
    }

    /// The answer to one request, if it came and was not taken.
    pub fn take_answer(&mut self, request: RequestNo) -> Option<Answered> {
        let index = self.answers.iter().position(|answered| answered.request == request)?;
        Some(self.answers.remove(index))
    }

    /// Requests that are not answered, those of hosts included.
    pub fn open_requests(&self) -> usize {
        self.requests.len()
    }

    /// Jobs that wait for room or for a claim. None is left when a run has ended well.
    pub fn waiting_jobs(&self) -> usize {
        self.parked.len()
    }

    /// Jobs that wait for effects.
    pub fn busy_jobs(&self) -> usize {
        self.hardware.busy_jobs()
    }

    /// What the run came to so far.
    pub fn stats(&self) -> SimStats {
        SimStats {
            now: self.now,
            events: self.events,
            turns: self.turns,
            host_ops: self.host_ops,
            resources: self.hardware.used(),
        }
    }

    /// The latest steps, the oldest first.
    pub fn trace(&self) -> impl ExactSizeIterator<Item = &TraceEntry> {
        self.trace.entries()
    }

    /// The latest steps as text, one a line.
    pub fn trace_text(&self) -> String {
        self.trace().map(|entry| format!("{entry}\n")).collect()
    }

    /// Stops at this instant and gives up the hardware as it stands: jobs are dropped where they
    /// are, and what was not performed never happens.
    pub fn into_plant(self) -> Plant {
        self.hardware.into_plant()
    }

    fn check_room(&self) -> Result<(), SimError> {
        let limit = self.config.requests_max;
        let open = self.hosts.len() + self.submitted + self.answers.len();
        if open < limit { Ok(()) } else { Err(SimError::TooManyRequests { limit }) }
    }

    fn send(&mut self, at: Time, op: HostOp, host: Option<usize>) -> RequestNo {
        let request = RequestNo(self.next_request);
        self.next_request += 1;
        let submitted_at = at.max(self.now);
        let place = self.requests.insert(Request { request, submitted_at, host, op: Some(op) });
        let begins = submitted_at + self.config.costs.host_op_ns;
        self.agenda.plan(begins, Event::Request { place });
        request
    }

    fn begin(&mut self, place: u32) {
        let op = self.requests.get_mut(place).op.take().expect("a request begins once");
        let owner = self.next_owner();
        self.trace.record(self.now, owner, || Traced::Begins(op.kind(), volume_of(&op)));
        let job = self.unit.job(owner, op);
        self.ready.push_back(Task::Host(job, place));
    }

    fn next_owner(&mut self) -> OwnerId {
        self.last_owner += 1;
        OwnerId(self.last_owner)
    }

    #[inline]
    fn run_ready(&mut self) {
        while let Some(task) = self.next_ready() {
            self.turn(task);
        }
    }

    fn next_ready(&mut self) -> Option<Task> {
        if self.config.ready_order == ReadyOrder::Fifo || self.ready.len() < 2 {
            return self.ready.pop_front();
        }
        let index = self.random.below(self.ready.len() as u64) as usize;
        self.ready.swap_remove_front(index)
    }

    /// Turns a job once. Its signals are passed on when it has its new place, so no wake comes
    /// before the wait it ends.
    fn turn(&mut self, mut task: Task) {
        self.turns += 1;
        self.turns_now += 1;
        assert!(
            self.turns_now <= TURNS_AT_ONE_INSTANT_MAX,
            "{TURNS_AT_ONE_INSTANT_MAX} turns and no time goes on: the run is stuck at {}",
            self.now
        );
        let turned = task.turn(self.now);
        let (wakes, kick) = task.take_signals();
        match turned {
            Turned::Ended(answer) => {
                let owner = task.owner();
                self.trace.record(self.now, owner, || Traced::Ends);
                drop(task);
                if let Some((place, reply)) = answer {
                    self.answer(place, reply);
                }
            }
            Turned::Asks(effects) => {
                let context =
                    context(self.now, &mut self.agenda, &mut self.random, &mut self.trace);
                let at_once = self.hardware.submit(task, effects, context);
                self.ready.extend(at_once);
            }
            Turned::Waits(wait) => {
                let owner = task.owner();
                self.trace.record(self.now, owner, || Traced::Waits(wait));
                self.parked.insert(owner, task);
            }
        }
        self.wake(wakes);
        if kick {
            self.start_due();
        }
    }

    fn wake(&mut self, wakes: Wakes) {
        for (owner, answer) in wakes {
            let Some(mut task) = self.parked.remove(&owner) else {
                panic!("job {owner} is woken, but it does not wait");
            };
            self.trace.record(self.now, owner, || Traced::Woken(answer));
            task.answer(Reply::Wait(answer));
            self.ready.push_back(task);
        }
    }

    /// Starts what is due and notes when to look again.
    fn start_due(&mut self) {
        let (unit, now, last_owner) = (&self.unit, self.now, &mut self.last_owner);
        let due = unit.due(now, || {
            *last_owner += 1;
            OwnerId(*last_owner)
        });
        let not_over = due.next.is_none_or(|next| next > now);
        assert!(not_over, "the unit's next deadline is over, and nothing was done about it");
        self.agenda.set_deadline(due.next);
        self.wake(due.wakes);
        for job in due.jobs {
            self.trace.record(now, job.owner(), || Traced::BeginsBackground);
            self.ready.push_back(Task::Background(job));
        }
    }

    fn answer(&mut self, place: u32, reply: HostReply) {
        self.host_ops += 1;
        let Request { request, submitted_at, host, .. } = self.requests.remove(place);
        let answered = Answered { request, submitted_at, answered_at: self.now, reply };
        let Some(no) = host else {
            self.submitted -= 1;
            self.answers.push(answered);
            return;
        };
        let host = self.hosts[no].as_mut().expect("a host has a request until it is done");
        match host.next(self.now, Some(&answered)) {
            Some((at, op)) => {
                self.send(at, op, Some(no));
            }
            None => self.hosts[no] = None,
        }
    }
}

fn context<'a>(
    now: Time,
    agenda: &'a mut Agenda,
    random: &'a mut SplitMix64,
    trace: &'a mut Trace,
) -> Context<'a> {
    Context { now, agenda, random, trace }
}

/// The volume of an operation, if it is of one.
fn volume_of(op: &HostOp) -> Option<LdevId> {
    match op {
        HostOp::Read { ldev, .. }
        | HostOp::Write { ldev, .. }
        | HostOp::CompareAndWrite { ldev, .. }
        | HostOp::OrWrite { ldev, .. }
        | HostOp::Unmap { ldev, .. }
        | HostOp::Format { ldev }
        | HostOp::AcceptContents { ldev }
        | HostOp::Allocation { ldev, .. }
        | HostOp::Describe { ldev }
        | HostOp::Flush { ldev } => Some(*ldev),
        HostOp::Command(_) | HostOp::CreateAuto(_) | HostOp::Group(_) | HostOp::Pairs { .. } => {
            None
        }
    }
}
