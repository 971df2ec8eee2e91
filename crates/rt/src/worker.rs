//! The queue of tasks that can go on, and the threads that go on with them.

use crate::Clock;
use crate::parking::Parking;
use crate::task::{Task, Turned};
use diptych_cha::{HostError, HostReply};
use diptych_format::{OwnerId, Time};
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::{Condvar, Mutex, mutant};
use diptych_unit::{Plant, Reply, Unit, Wakes};
use std::collections::VecDeque;

/// What the driver's threads share.
pub(crate) struct Engine {
    pub(crate) unit: Unit,
    pub(crate) plant: Plant,
    pub(crate) clock: Clock,
    pub(crate) parking: Parking,
    queue: Mutex<Queue>,
    /// Something was added to the queue, or its deadline changed: for the workers alone, since one of
    /// them is told.
    changed: Condvar,
    /// Nothing is left to do, or the end has come.
    idle: Condvar,
    next_owner: AtomicU64,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    deadline: Option<Time>,
    /// Tasks that a worker is turning, and workers that ask what is due.
    running: usize,
    /// Requests submitted and not answered.
    requests: usize,
    stopping: bool,
}

enum Next {
    Task(Task),
    Due,
    Stop,
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
    pub(crate) fn new(unit: Unit, plant: Plant, clock: Clock) -> Self {
        Self {
            unit,
            plant,
            clock,
            parking: Parking::default(),
            queue: Mutex::new(Queue::default()),
            changed: Condvar::new(),
            idle: Condvar::new(),
            next_owner: AtomicU64::new(1),
        }
    }

    pub(crate) fn next_owner(&self) -> OwnerId {
        OwnerId(self.next_owner.fetch_add(1, Ordering::Relaxed))
    }

    /// Counts a request in; `false` if there are `most` already.
    pub(crate) fn count_request(&self, most: usize) -> bool {
        let mut queue = self.queue.lock();
        let fits = queue.requests < most;
        queue.requests += usize::from(fits);
        fits
    }

    fn request_ended(&self) {
        self.queue.lock().requests -= 1;
    }

    pub(crate) fn push(&self, task: Task) {
        self.queue.lock().tasks.push_back(task);
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
        let due = self.unit.due(self.clock.now(), || self.next_owner());
        let mut queue = self.queue.lock();
        let started = due.jobs.len();
        queue.tasks.extend(due.jobs.into_iter().map(Task::background));
        let sooner = match (queue.deadline, due.next) {
            (None, Some(_)) => true,
            (Some(old), Some(new)) => new < old,
            (_, None) => false,
        };
        // Another thread may have asked later and come here first: a deadline only moves nearer. One
        // that comes too early costs a look.
        if sooner || mutant::removed("deadline-only-nearer") {
            queue.deadline = due.next;
        }
        drop(queue);
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
            Next::Task(task) => self.run(task),
            Next::Due => self.start_due(),
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

    /// Turns a task until it waits or ends.
    pub(crate) fn run(&self, mut task: Task) {
        loop {
            if task.has_pending() {
                task.perform(&self.plant);
            }
            let is_host = task.is_host();
            let (turned, wakes, kick) = task.turn(self.clock.now());
            self.pass_on(wakes, kick);
            match turned {
                Turned::Effects => {}
                Turned::Ended => {
                    if is_host {
                        self.request_ended();
                    }
                    return;
                }
                Turned::Waits => match self.parking.park(task) {
                    Some((parked, answer)) => {
                        task = parked;
                        task.answer(Reply::Wait(answer));
                    }
                    None => return,
                },
            }
        }
    }

    /// Turns a task as long as it needs no drive and no wait; a worker goes on with it then.
    pub(crate) fn run_hit(&self, mut task: Task) {
        loop {
            if task.has_pending() {
                if task.is_slow() {
                    return self.push(task);
                }
                task.perform(&self.plant);
            }
            let (turned, wakes, kick) = task.turn(self.clock.now());
            self.pass_on(wakes, kick);
            match turned {
                Turned::Effects => {}
                Turned::Ended => return self.request_ended(),
                Turned::Waits => {
                    if let Some((mut parked, answer)) = self.parking.park(task) {
                        parked.answer(Reply::Wait(answer));
                        self.push(parked);
                    }
                    return;
                }
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

    /// Tells the workers to stop after the task they are at.
    pub(crate) fn stop(&self) {
        self.queue.lock().stopping = true;
        self.changed.notify_all();
        self.idle.notify_all();
    }

    /// Drops everything that is left; hosts are told that the unit stops.
    pub(crate) fn cancel_all(&self) {
        let mut tasks: Vec<Task> = self.queue.lock().tasks.drain(..).collect();
        tasks.extend(self.parking.cancel_all());
        for task in tasks {
            // Whoever is woken by this is cancelled as well.
            let _wakes = task.cancel(HostReply::Failed(HostError::Stopping));
        }
        for task in self.parking.cancel_all() {
            let _wakes = task.cancel(HostReply::Failed(HostError::Stopping));
        }
    }
}
