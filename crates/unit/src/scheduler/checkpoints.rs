//! When a checkpoint is made. First everything that is dirty then is destaged, by the destage jobs of its
//! drives; the checkpoint starts when all of it is on the drives but for what late ones do not take.

use diptych_format::Time;

/// A checkpoint that would have freed nothing is not thought of again for so long.
const REST_NS: u64 = 20_000_000;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Checkpoints {
    state: State,
    not_before: Time,
    /// Sectors of the log that the last control state took.
    pub(super) sectors: u64,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Idle,
    /// Everything that became dirty up to this mark is to be destaged before.
    Waits(u64),
    Runs,
}

impl Checkpoints {
    /// A checkpoint is needed: what has to be destaged before, `mark` from now on if none is on its way,
    /// or when to ask again.
    pub(super) fn begin(&mut self, now: Time, mark: u64) -> Result<Option<u64>, Time> {
        if self.state == State::Idle {
            if now < self.not_before {
                return Err(self.not_before);
            }
            self.state = State::Waits(mark);
        }
        Ok(self.waits())
    }

    /// What has to be destaged before the next one starts.
    pub(super) fn waits(&self) -> Option<u64> {
        match self.state {
            State::Waits(mark) => Some(mark),
            State::Idle | State::Runs => None,
        }
    }

    pub(super) fn start(&mut self) {
        self.state = State::Runs;
    }

    /// It ended, and was of use or not.
    pub(super) fn ended(&mut self, now: Time, freed: bool) {
        self.state = State::Idle;
        self.not_before = if freed { now } else { now + REST_NS };
    }
}
