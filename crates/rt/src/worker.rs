//! The queue of tasks that can go on, and the threads that go on with them.

use crate::Clock;
use crate::parking::Parking;
use crate::task::{Task, Turned};
use diptych_cha::{HostError, HostReply};
use diptych_format::{OwnerId, Time};
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::{Condvar, Mutex};
use diptych_unit::{Plant, Reply, Unit, Wakes};
use std::collections::VecDeque;

/// What the driver's threads share.
pub(crate) struct Engine {
    pub(crate) unit: Unit,
    pub(crate) plant: Plant,
    pub(crate) clock: Clock,
    pub(crate) parking: Parking,
    queue: Mutex<Queue>,
    /// Something was added to the queue, or its deadline changed.
    changed: Condvar,
    next_owner: AtomicU64,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    deadline: Option<Time>,
    /// Tasks that a worker is turning.
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

impl Engine {
    pub(crate) fn new(unit: Unit, plant: Plant, clock: Clock) -> Self {
        Self {
            unit,
            plant,
            clock,
            parking: Parking::default(),
            queue: Mutex::new(Queue::default()),
            changed: Condvar::new(),
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
        queue.deadline = due.next;
        drop(queue);
        if started > 1 || (sooner && started > 0) {
            self.changed.notify_all();
        } else if started > 0 || sooner {
            self.changed.notify_one();
        }
    }

    /// A worker's life.
    pub(crate) fn work(&self) {
        loop {
            match self.next() {
                Next::Task(task) => {
                    self.run(task);
                    self.ended_turn();
                }
                Next::Due => self.start_due(),
                Next::Stop => return,
            }
        }
    }

    fn next(&self) -> Next {
        let mut queue = self.queue.lock();
        loop {
            if queue.stopping {
                return Next::Stop;
            }
            if let Some(task) = queue.tasks.pop_front() {
                queue.running += 1;
                return Next::Task(task);
            }
            queue = match queue.deadline.map(|at| self.clock.wait_until(at)) {
                Some(None) => {
                    queue.deadline = None;
                    return Next::Due;
                }
                Some(Some(wait)) => self.changed.wait_for(queue, wait),
                None => self.changed.wait(queue),
            };
        }
    }

    fn ended_turn(&self) {
        let mut queue = self.queue.lock();
        queue.running -= 1;
        if queue.running == 0 && queue.tasks.is_empty() {
            drop(queue);
            self.changed.notify_all();
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
        while !queue.tasks.is_empty() || queue.running > 0 || queue.deadline.is_some() {
            queue = self.changed.wait(queue);
        }
    }

    /// Tells the workers to stop after the task they are at.
    pub(crate) fn stop(&self) {
        self.queue.lock().stopping = true;
        self.changed.notify_all();
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
