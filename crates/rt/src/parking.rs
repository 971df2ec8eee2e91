//! Where jobs and threads wait for a wake.

use crate::task::Task;
use diptych_format::{Answer, OwnerId};
use diptych_sync::{Arc, Condvar, Mutex, mutant};
use std::collections::BTreeMap;

/// The driver has stopped: nobody is woken any more, and a job that waits is to be dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// How a wait ended.
pub(crate) type Woken = Result<Answer, Stopped>;

/// A thread's place to wait.
#[derive(Default)]
struct Signal {
    woken: Mutex<Option<Woken>>,
    given: Condvar,
}

impl Signal {
    fn wait(&self) -> Woken {
        let mut woken = self.woken.lock();
        loop {
            match woken.take() {
                Some(woken) => return woken,
                None => woken = self.given.wait(woken),
            }
        }
    }

    fn give(&self, how: Woken) {
        *self.woken.lock() = Some(how);
        self.given.notify_one();
    }
}

enum Place {
    Task(Task),
    Thread(Arc<Signal>),
    /// The wake came first.
    Early(Answer),
}

/// What came of parking a task.
pub(crate) enum Parked {
    /// It waits here.
    Waits,
    /// The wait is over already.
    Over(Task, Woken),
}

/// All jobs that wait, by owner.
#[derive(Default)]
pub(crate) struct Parking {
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    by_owner: BTreeMap<OwnerId, Place>,
    /// The end has come. Nobody is here from then on, and nobody is let in.
    stopped: bool,
}

impl Places {
    /// How the wait of an owner ended that comes to wait only now.
    fn over(&mut self, owner: OwnerId) -> Option<Woken> {
        if self.stopped && !mutant::removed("no-wait-after-stop") {
            return Some(Err(Stopped));
        }
        match self.by_owner.remove(&owner) {
            Some(Place::Early(answer)) => Some(Ok(answer)),
            Some(Place::Task(_) | Place::Thread(_)) => panic!("owner {owner} waits twice"),
            None => None,
        }
    }
}

impl Parking {
    /// Parks a task, unless its wake came first or the driver has stopped.
    pub(crate) fn park(&self, task: Task) -> Parked {
        let owner = task.owner();
        let mut places = self.places.lock();
        match places.over(owner) {
            Some(woken) => Parked::Over(task, woken),
            None => {
                places.by_owner.insert(owner, Place::Task(task));
                Parked::Waits
            }
        }
    }

    /// Parks the calling thread until its owner is woken or the driver stops.
    pub(crate) fn wait(&self, owner: OwnerId) -> Woken {
        let signal = Arc::new(Signal::default());
        {
            let mut places = self.places.lock();
            if let Some(woken) = places.over(owner) {
                return woken;
            }
            places.by_owner.insert(owner, Place::Thread(signal.clone()));
        }
        signal.wait()
    }

    /// Wakes an owner. Gives back its task, if it is one.
    pub(crate) fn wake(&self, owner: OwnerId, answer: Answer) -> Option<Task> {
        let mut places = self.places.lock();
        match places.by_owner.remove(&owner) {
            Some(Place::Task(task)) => Some(task),
            Some(Place::Thread(signal)) => {
                drop(places);
                signal.give(Ok(answer));
                None
            }
            None | Some(Place::Early(_)) => {
                // After the end nobody comes for it.
                if !places.stopped && !mutant::removed("early-wake") {
                    places.by_owner.insert(owner, Place::Early(answer));
                }
                None
            }
        }
    }

    /// Ends every wait, now and from now on. Gives back the tasks that waited.
    pub(crate) fn stop(&self) -> Vec<Task> {
        let by_owner = {
            let mut places = self.places.lock();
            places.stopped = true;
            std::mem::take(&mut places.by_owner)
        };
        let mut tasks = Vec::new();
        for place in by_owner.into_values() {
            match place {
                Place::Task(task) => tasks.push(task),
                Place::Thread(signal) => signal.give(Err(Stopped)),
                Place::Early(_) => {}
            }
        }
        tasks
    }
}
