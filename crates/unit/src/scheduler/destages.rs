//! When what is dirty is destaged, by how many jobs, and which drives do not get on with it.

use diptych_format::{DriveNo, Time};
use std::collections::BTreeMap;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Destages {
    /// The jobs of each drive that has any: when each last got on. As many as a drive may have.
    running: BTreeMap<DriveNo, BTreeMap<u64, Time>>,
    /// The number of the last job.
    last_no: u64,
    /// Everything that became dirty up to this mark is to be destaged.
    upto: Option<u64>,
    /// When what is dirty has waited long enough.
    at: Option<Time>,
}

impl Destages {
    pub(super) fn ask_upto(&mut self, mark: u64) {
        self.upto = Some(self.upto.map_or(mark, |m| m.max(mark)));
    }

    pub(super) fn upto(&self) -> Option<u64> {
        self.upto
    }

    pub(super) fn all_clean(&mut self) {
        self.upto = None;
    }

    pub(super) fn dirty(&mut self, now: Time, delay_ns: u64) {
        self.at.get_or_insert(now + delay_ns);
    }

    /// Whether the delay is over; it starts anew with the next write.
    pub(super) fn delay_over(&mut self, now: Time) -> bool {
        let over = self.at.is_some_and(|at| at <= now);
        if over {
            self.at = None;
        }
        over
    }

    pub(super) fn at(&self) -> Option<Time> {
        self.at
    }

    /// Starts jobs so that `most` run for the drive: their numbers.
    pub(super) fn start(&mut self, drive: DriveNo, most: usize, now: Time) -> Vec<u64> {
        let running = self.running.entry(drive).or_default();
        let mut started = Vec::new();
        while running.len() < most {
            self.last_no += 1;
            running.insert(self.last_no, now);
            started.push(self.last_no);
        }
        started
    }

    /// The drive has answered a job.
    pub(super) fn moved(&mut self, drive: DriveNo, no: u64, now: Time) {
        if let Some(moved) = self.running.get_mut(&drive).and_then(|jobs| jobs.get_mut(&no)) {
            *moved = now;
        }
    }

    pub(super) fn ended(&mut self, drive: DriveNo, no: u64) {
        let Some(jobs) = self.running.get_mut(&drive) else { return };
        jobs.remove(&no);
        if jobs.is_empty() {
            self.running.remove(&drive);
        }
    }

    /// When the drive will be late, or since when it is: so long after any of its jobs got on. `None` if
    /// it has none.
    pub(super) fn late_at(&self, drive: DriveNo, late_ns: u64) -> Option<Time> {
        let last = self.running.get(&drive)?.values().max()?;
        Some(*last + late_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATE_NS: u64 = 100;

    #[test]
    fn a_drive_is_late_when_none_of_its_jobs_gets_on() {
        let (one, other) = (DriveNo(1), DriveNo(2));
        let mut destages = Destages::default();
        assert_eq!(destages.late_at(one, LATE_NS), None);
        assert_eq!(destages.start(one, 2, Time::from_ns(5)), [1, 2]);
        assert_eq!(destages.start(other, 1, Time::from_ns(50)), [3]);
        let check = |destages: &Destages, drive, expected: Option<u64>| {
            assert_eq!(destages.late_at(drive, LATE_NS), expected.map(Time::from_ns));
        };
        check(&destages, one, Some(105));
        destages.moved(one, 2, Time::from_ns(60));
        check(&destages, one, Some(160));
        check(&destages, other, Some(150));
        // What is left is the job that is stuck; another takes the place of the one that ended.
        destages.ended(one, 2);
        check(&destages, one, Some(105));
        assert_eq!(destages.start(one, 2, Time::from_ns(70)), [4]);
        check(&destages, one, Some(170));
        destages.ended(other, 3);
        check(&destages, other, None);
    }
}
