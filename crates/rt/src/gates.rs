//! Workers at drives: so few at one that a drive which does not answer leaves workers for the others.

use crate::task::Task;
use diptych_format::DriveNo;
use std::collections::{BTreeMap, VecDeque};

/// A gate for each drive that somebody is at.
#[derive(Default)]
pub(crate) struct Gates {
    /// Workers at one drive, at most; 0: as many as there are.
    most: usize,
    at: BTreeMap<DriveNo, Gate>,
}

#[derive(Default)]
struct Gate {
    inside: usize,
    waiting: VecDeque<Task>,
}

impl Gates {
    /// For so many workers over so many drives.
    pub(crate) fn new(workers: usize, drives: usize) -> Self {
        let most = match (workers, drives) {
            // One worker is never at two drives, and one drive has nobody to leave workers for.
            (0 | 1, _) | (_, 0 | 1) => 0,
            _ => ((workers - 1) / drives).max(1),
        };
        Self { most, at: BTreeMap::new() }
    }

    /// Whether workers ask at all.
    pub(crate) fn are_shut(&self) -> bool {
        self.most > 0
    }

    /// A worker is about to ask a drive for what the task needs. The task waits here unless it is given
    /// back.
    pub(crate) fn enter(&mut self, drive: DriveNo, mut task: Task) -> Option<Task> {
        // It was let in when another left.
        if std::mem::take(&mut task.let_in) {
            return Some(task);
        }
        let gate = self.at.entry(drive).or_default();
        if gate.inside < self.most {
            gate.inside += 1;
            return Some(task);
        }
        gate.waiting.push_back(task);
        None
    }

    /// The drive has answered. The task that waited longest has the place.
    pub(crate) fn leave(&mut self, drive: DriveNo) -> Option<Task> {
        let gate = self.at.get_mut(&drive).expect("who leaves a drive has entered");
        if let Some(mut task) = gate.waiting.pop_front() {
            task.let_in = true;
            return Some(task);
        }
        gate.inside -= 1;
        if gate.inside == 0 {
            self.at.remove(&drive);
        }
        None
    }

    /// The end has come: all who wait.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Task> + '_ {
        self.at.values_mut().flat_map(|gate| gate.waiting.drain(..))
    }
}
