//! The queue of tasks that can go on, and the threads that go on with them.

use crate::gates::Gates;
use crate::parking::{Parked, Parking, Stopped};
use crate::task::{Task, Timed, Turned, perform_all};
use crate::traffic::{Counting, Traffic};
use crate::{Clock, RtError};
use diptych_cha::{HostError, HostOp, HostReply};
use diptych_format::{DriveNo, OwnerId, Step, Time};
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::{Condvar, Mutex, Tally, mutant};
use diptych_unit::{Plant, Reply, Unit, Wakes};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::OnceLock;

/// What the driver's threads share.
pub(crate) struct Engine {
    pub(crate) unit: Unit,
    pub(crate) plant: Plant,
    pub(crate) clock: Clock,
    pub(crate) traffic: Traffic,
    /// How long requests to each drive took together.
    pub(crate) drive_ns: Box<[Tally]>,
    pub(crate) parking: Parking,
    queue: Mutex<Queue>,
    /// Whether workers ask before they go to a drive.
    is_gated: bool,
    /// Something was added to the queue, or its deadline changed: for the workers alone, since one of
    /// them is told.
    changed: Condvar,
    /// Nothing is left to do, or the end has come.
    idle: Condvar,
    next_owner: AtomicU64,
    /// Set when the driver stops, before anything else. It only saves what begins later its way: who
    /// misses it meets the end in the queue or in the parking, where the checkers see it.
    stopped: OnceLock<()>,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    deadline: Option<Time>,
    /// The number of the answer that the deadline is of.
    answer: u64,
    /// Tasks that a worker is turning, and workers that ask what is due.
    running: usize,
    /// Requests submitted and not answered.
    requests: usize,
    gates: Gates,
    stopping: bool,
}

enum Next {
    Task(Task),
    Due,
    Stop,
}

/// How far a thread goes with a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upto {
    /// Until it waits or ends.
    End,
    /// Only as long as it needs no drive; the workers go on with it then.
    Slow,
}

impl Queue {
    /// Whether nothing is queued, running or due at some time.
    fn is_idle(&self) -> bool {
        self.tasks.is_empty() && self.running == 0 && self.deadline.is_none()
    }

    /// The deadline is here: whoever gets this asks what is due.
    fn deadline_came(&mut self) -> Next {
        self.deadline = None;
        // A turn like any other: perhaps nothing is due any more, and its end tells who waits for that.
        self.running += 1;
        Next::Due
    }

    /// The next task, or the end; `None` if there is nothing to do now.
    fn take(&mut self) -> Option<Next> {
        if self.stopping {
            return Some(Next::Stop);
        }
        let task = self.tasks.pop_front()?;
        self.running += 1;
        Some(Next::Task(task))
    }
}

impl Engine {
    /// For so many workers.
    pub(crate) fn new(unit: Unit, plant: Plant, clock: Clock, workers: usize) -> Self {
        let drives = plant.drives().list().count();
        let gates = Gates::new(workers, drives);
        Self {
            is_gated: gates.are_shut(),
            unit,
            plant,
            clock,
            traffic: Traffic::new(),
            drive_ns: (0..drives).map(|_| Tally::new()).collect(),
            parking: Parking::default(),
            queue: Mutex::new(Queue { gates, ..Queue::default() }),
            changed: Condvar::new(),
            idle: Condvar::new(),
            next_owner: AtomicU64::new(1),
            stopped: OnceLock::new(),
        }
    }

    pub(crate) fn next_owner(&self) -> OwnerId {
        OwnerId(self.next_owner.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.get().is_some()
    }

    /// Counts a request in, if there are fewer than `limit`.
    pub(crate) fn count_request(&self, limit: usize) -> Result<(), RtError> {
        let mut queue = self.queue.lock();
        if queue.stopping {
            return Err(RtError::Stopped);
        }
        if queue.requests >= limit {
            return Err(RtError::TooManyRequests { limit });
        }
        queue.requests += 1;
        Ok(())
    }

    fn request_ended(&self) {
        self.queue.lock().requests -= 1;
    }

    /// Leaves a task to the workers.
    pub(crate) fn push(&self, task: Task) {
        let mut queue = self.queue.lock();
        if queue.stopping && !mutant::removed("no-work-after-stop") {
            drop(queue);
            return task.stop();
        }
        queue.tasks.push_back(task);
        drop(queue);
        self.changed.notify_one();
    }

    /// Passes on what a job said when it stopped.
    pub(crate) fn pass_on(&self, wakes: Wakes, kick: bool) {
        for (owner, answer) in wakes {
            if let Some(mut task) = self.parking.wake(owner, answer) {
                task.answer(Reply::Wait(answer));
                self.push(task);
            }
        }
        if kick {
            self.start_due();
        }
    }

    /// Starts what is due and notes when to look again.
    pub(crate) fn start_due(&self) {
        if self.is_stopped() {
            return;
        }
        let due = self.unit.due(self.clock.now(), || self.next_owner());
        self.pass_on(due.wakes, false);
        let mut queue = self.queue.lock();
        if queue.stopping {
            drop(queue);
            return drop(due.jobs);
        }
        let started = due.jobs.len();
        queue.tasks.extend(due.jobs.into_iter().map(Task::background));
        let before = queue.deadline;
        // Another thread may have asked later and come here first.
        if due.no > queue.answer || mutant::removed("latest-answer") {
            (queue.deadline, queue.answer) = (due.next, due.no);
        }
        let sooner = queue.deadline.is_some_and(|new| before.is_none_or(|old| new < old));
        // What was due is not any more: nobody comes to a turn that would say so.
        let is_idle = before.is_some() && queue.is_idle();
        drop(queue);
        if is_idle {
            self.idle.notify_all();
        }
        if started > 1 || (sooner && started > 0) {
            self.changed.notify_all();
        } else if started > 0 || sooner {
            self.changed.notify_one();
        }
    }

    /// A worker's life.
    pub(crate) fn work(&self) {
        while self.turn(self.next()) {}
    }

    /// Turns what is queued and starts what is due, on this thread, until nothing is left of both up
    /// to `upto`.
    pub(crate) fn run_background(&self, upto: Time) {
        while self.turn(self.next_at_hand(upto)) {}
    }

    /// One turn; `false` at the end.
    fn turn(&self, next: Next) -> bool {
        match next {
            Next::Task(task) => self.run(task, Upto::End),
            Next::Due => self.or_stop(&mut None, |_| self.start_due()),
            Next::Stop => return false,
        }
        self.ended_turn();
        true
    }

    fn next_at_hand(&self, upto: Time) -> Next {
        let mut queue = self.queue.lock();
        if let Some(next) = queue.take() {
            return next;
        }
        match queue.deadline {
            Some(at) if at <= upto && self.clock.wait_until(at).is_none() => queue.deadline_came(),
            _ => Next::Stop,
        }
    }

    fn next(&self) -> Next {
        let mut queue = self.queue.lock();
        loop {
            if let Some(next) = queue.take() {
                return next;
            }
            queue = match queue.deadline.map(|at| self.clock.wait_until(at)) {
                Some(None) => return queue.deadline_came(),
                Some(Some(wait)) => self.changed.wait_for(queue, wait),
                None => self.changed.wait(queue),
            };
        }
    }

    fn ended_turn(&self) {
        let mut queue = self.queue.lock();
        queue.running -= 1;
        if queue.is_idle() && !mutant::removed("turn-tells-idle") {
            drop(queue);
            self.idle.notify_all();
        }
    }

    /// Turns a task on this thread.
    pub(crate) fn run(&self, task: Task, upto: Upto) {
        self.or_stop(&mut Some(task), |task| self.advance(task, upto));
    }

    fn advance(&self, running: &mut Option<Task>, upto: Upto) {
        while let Some(task) = running {
            if task.has_pending() {
                if upto == Upto::Slow && task.is_slow() {
                    return running.take().map_or((), |task| self.push(task));
                }
                self.perform(running);
            }
            let Some(task) = running else { return };
            let (turned, wakes, kick) = task.turn(self.clock.now());
            self.pass_on(wakes, kick);
            match turned {
                Turned::Effects => {}
                Turned::Waits => *running = running.take().and_then(|task| self.park(task)),
                Turned::Ended(answered) => {
                    let counting = task.counting.zip(task.begun);
                    *running = None;
                    if let Some(answered) = answered {
                        self.request_ended();
                        if let Some((counting, begun)) = counting {
                            self.traffic.count(counting, begun, self.clock.now(), answered.reply());
                        }
                        answered.deliver();
                    }
                }
            }
        }
    }

    /// Performs what the task asked for. If too many workers are at the drive it waits there, and is not
    /// here any more.
    fn perform(&self, running: &mut Option<Task>) {
        let drive = running.as_ref().and_then(Task::drive).filter(|_| self.is_gated);
        if let Some(drive) = drive {
            *running = running.take().and_then(|task| self.enter(drive, task));
        }
        let Some(task) = running else { return };
        let sound = task.perform(&self.timed());
        if let Some(drive) = drive {
            self.leave(drive);
        }
        if !sound {
            self.stop();
        }
    }

    fn timed(&self) -> Timed<'_> {
        Timed { plant: &self.plant, clock: &self.clock, drive_ns: &self.drive_ns }
    }

    fn enter(&self, drive: DriveNo, task: Task) -> Option<Task> {
        let mut queue = self.queue.lock();
        if queue.stopping {
            drop(queue);
            task.stop();
            return None;
        }
        queue.gates.enter(drive, task)
    }

    fn leave(&self, drive: DriveNo) {
        let next = self.queue.lock().gates.leave(drive);
        if let Some(task) = next {
            self.push(task);
        }
    }

    /// Parks a task; gives it back if it can go on already.
    fn park(&self, task: Task) -> Option<Task> {
        match self.parking.park(task) {
            Parked::Waits => None,
            Parked::Over(mut task, Ok(answer)) => {
                task.answer(Reply::Wait(answer));
                Some(task)
            }
            Parked::Over(task, Err(Stopped)) => {
                task.stop();
                None
            }
        }
    }

    /// Carries out a host operation on this thread, which waits where the job does.
    pub(crate) fn execute(&self, op: HostOp) -> HostReply {
        if self.is_stopped() {
            return HostReply::Failed(HostError::Stopping);
        }
        self.or_stop(&mut None, |_| {
            let (counting, begun) = (Counting::of(&op), self.clock.now());
            let mut job = self.unit.job(self.next_owner(), op);
            loop {
                let step = job.step(self.clock.now());
                let (wakes, kick) = job.take_signals();
                self.pass_on(wakes, kick);
                match step {
                    Step::Done(reply) => {
                        if let Some(counting) = counting {
                            self.traffic.count(counting, begun, self.clock.now(), &reply);
                        }
                        return reply;
                    }
                    Step::Do(effects) => {
                        let (events, sound) = perform_all(&self.timed(), effects);
                        if !sound {
                            self.stop();
                        }
                        job.answer(Reply::Events(events));
                    }
                    Step::Wait(_) => match self.parking.wait(job.owner()) {
                        Ok(answer) => job.answer(Reply::Wait(answer)),
                        Err(Stopped) => return HostReply::Failed(HostError::Stopping),
                    },
                }
            }
        })
    }

    /// Runs a part of the driver. If it panics, nobody goes on with what it had begun: the driver
    /// stops, all who wait are told, the host of the task in hand last, and the panic goes on.
    fn or_stop<R>(
        &self,
        running: &mut Option<Task>,
        body: impl FnOnce(&mut Option<Task>) -> R,
    ) -> R {
        // Nothing is done with the state behind this afterwards but to give back what is held.
        match catch_unwind(AssertUnwindSafe(|| body(running))) {
            Ok(result) => result,
            Err(panic) => {
                self.stop();
                if let Some(task) = running.take() {
                    task.stop();
                }
                resume_unwind(panic)
            }
        }
    }

    /// Waits until no task is queued or running and nothing is due: what is left waits for somebody
    /// else.
    pub(crate) fn wait_idle(&self) {
        let mut queue = self.queue.lock();
        while !queue.is_idle() && !queue.stopping {
            queue = self.idle.wait(queue);
        }
    }

    /// Ends everything: whoever waits, now or later, is told that the driver stops, and workers end
    /// after the task they are at.
    pub(crate) fn stop(&self) {
        let _set_before = self.stopped.set(());
        // First nobody waits any more, so that dropping a task wakes no other: however many hang on
        // each other, they are dropped one by one.
        let mut tasks = self.parking.stop();
        let mut queue = self.queue.lock();
        queue.stopping = true;
        tasks.extend(queue.tasks.drain(..));
        tasks.extend(queue.gates.drain());
        drop(queue);
        self.changed.notify_all();
        self.idle.notify_all();
        tasks.into_iter().for_each(Task::stop);
    }
}
