//! The driver's clock.

use diptych_format::Time;
use diptych_sync::Unseen;
use std::fmt;
use std::time::{Duration, Instant};

/// Where a driver's time comes from.
pub struct Clock(Source);

enum Source {
    Wall(Instant),
    /// Under a lock that the checkers do not see: time is no part of what they check.
    Jump(Unseen<Time>),
}

impl Clock {
    /// Wall time since now.
    pub fn wall() -> Self {
        Self(Source::Wall(Instant::now()))
    }

    /// A clock that stands still while there is work, and jumps to the next deadline when there is
    /// none: as fast as possible, and the same in every run. For model checking. With several
    /// workers it may jump while another of them is still at work.
    pub fn jump() -> Self {
        Self(Source::Jump(Unseen::new(Time::ZERO)))
    }

    /// The time.
    pub fn now(&self) -> Time {
        match &self.0 {
            Source::Wall(start) => {
                Time::from_ns(u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX))
            }
            Source::Jump(now) => now.with(|now| *now),
        }
    }

    /// How long to wait for `deadline`; `None` if it is here. A jumping clock is there at once.
    pub(crate) fn wait_until(&self, deadline: Time) -> Option<Duration> {
        match &self.0 {
            Source::Wall(_) => {
                let now = self.now();
                (deadline > now).then(|| deadline - now)
            }
            Source::Jump(now) => {
                now.with(|now| *now = (*now).max(deadline));
                None
            }
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Wall(_) => "Clock::wall",
            Source::Jump(_) => "Clock::jump",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Clock;
    use diptych_format::Time;
    use diptych_sync::{Arc, thread};

    #[test]
    fn a_jumping_clock_never_goes_back() {
        let clock = Arc::new(Clock::jump());
        let jump = |from: u64| {
            let clock = clock.clone();
            thread::spawn(move || {
                for ns in from..from + 20_000 {
                    assert!(clock.wait_until(Time::from_ns(ns)).is_none());
                    assert!(clock.now() >= Time::from_ns(ns));
                }
            })
        };
        for jumper in [0, 5_000, 10_000].map(jump) {
            jumper.join().unwrap();
        }
        assert_eq!(clock.now(), Time::from_ns(29_999));
    }
}
