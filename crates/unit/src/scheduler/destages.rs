//! When what is dirty is destaged, and by how many jobs.

use diptych_format::Time;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Destages {
    running: usize,
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

    /// How many jobs to start so that `most` run.
    pub(super) fn start(&mut self, most: usize) -> usize {
        let more = most.saturating_sub(self.running);
        self.running += more;
        more
    }

    pub(super) fn ended(&mut self) {
        self.running -= 1;
    }
}
