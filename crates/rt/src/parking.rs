//! Where jobs and threads wait for a wake.

use crate::task::Task;
use diptych_format::{Answer, OwnerId};
use diptych_sync::{Arc, Condvar, Mutex, mutant};
use std::collections::BTreeMap;

/// A thread's place to wait.
#[derive(Default)]
pub(crate) struct Signal {
    answer: Mutex<Option<Answer>>,
    given: Condvar,
}

impl Signal {
    pub(crate) fn wait(&self) -> Answer {
        let mut answer = self.answer.lock();
        loop {
            match answer.take() {
                Some(answer) => return answer,
                None => answer = self.given.wait(answer),
            }
        }
    }

    fn give(&self, answer: Answer) {
        *self.answer.lock() = Some(answer);
        self.given.notify_one();
    }
}

enum Place {
    Task(Task),
    Thread(Arc<Signal>),
    /// The wake came first.
    Early(Answer),
}

/// All jobs that wait, by owner.
#[derive(Default)]
pub(crate) struct Parking {
    places: Mutex<BTreeMap<OwnerId, Place>>,
}

impl Parking {
    /// Parks a task; gives it back with the answer if the wake came first.
    pub(crate) fn park(&self, task: Task) -> Option<(Task, Answer)> {
        let owner = task.owner();
        let mut places = self.places.lock();
        if let Some(Place::Early(answer)) = places.remove(&owner) {
            return Some((task, answer));
        }
        places.insert(owner, Place::Task(task));
        None
    }

    /// Parks the calling thread until its owner is woken.
    pub(crate) fn wait(&self, owner: OwnerId) -> Answer {
        let signal = Arc::new(Signal::default());
        {
            let mut places = self.places.lock();
            if let Some(Place::Early(answer)) = places.remove(&owner) {
                return answer;
            }
            places.insert(owner, Place::Thread(signal.clone()));
        }
        signal.wait()
    }

    /// Wakes an owner. Gives back its task, if it is one.
    pub(crate) fn wake(&self, owner: OwnerId, answer: Answer) -> Option<Task> {
        let mut places = self.places.lock();
        match places.remove(&owner) {
            Some(Place::Task(task)) => Some(task),
            Some(Place::Thread(signal)) => {
                drop(places);
                signal.give(answer);
                None
            }
            None | Some(Place::Early(_)) => {
                if !mutant::removed("early-wake") {
                    places.insert(owner, Place::Early(answer));
                }
                None
            }
        }
    }

    /// Wakes everybody with "cancelled"; gives back the tasks.
    pub(crate) fn cancel_all(&self) -> Vec<Task> {
        let places = std::mem::take(&mut *self.places.lock());
        let mut tasks = Vec::new();
        for place in places.into_values() {
            match place {
                Place::Task(task) => tasks.push(task),
                Place::Thread(signal) => signal.give(Answer::Cancelled),
                Place::Early(_) => {}
            }
        }
        tasks
    }
}
