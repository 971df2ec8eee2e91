//! When a schedule's ticks come.

use super::{Cron, Utc};
use std::fmt;
use std::num::NonZeroU32;

/// Ticks by the calendar are counted one by one, up to this many.
const CRON_COUNT_MAX: u64 = 1_000;

/// When the ticks of a schedule come.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub enum When {
    /// Once.
    At(Utc),
    /// At `from`, and every so many seconds after it.
    Every {
        /// The first.
        from: Utc,
        /// From one to the next.
        seconds: NonZeroU32,
    },
    /// By the calendar, in UTC.
    Cron(Cron),
}

impl When {
    /// The first tick later than `after`; `None` if there is none.
    pub fn next(&self, after: Utc) -> Option<Utc> {
        match self {
            Self::At(at) => (*at > after).then_some(*at),
            Self::Every { from, .. } if *from > after => Some(*from),
            Self::Every { from, seconds } => {
                let period = i64::from(seconds.get());
                let passed = after.seconds.checked_sub(from.seconds)?;
                let next = (passed / period + 1).checked_mul(period)?;
                from.seconds.checked_add(next).map(Utc::from_seconds)
            }
            Self::Cron(cron) => cron.next(after),
        }
    }

    /// How many ticks come later than `after` and up to `upto`. By the calendar, 1000 stands for that
    /// many or more.
    pub(crate) fn count(&self, after: Utc, upto: Utc) -> u64 {
        match (self, self.next(after)) {
            (_, None) => 0,
            (_, Some(first)) if first > upto => 0,
            (Self::At(_), Some(_)) => 1,
            (Self::Every { seconds, .. }, Some(first)) => {
                upto.seconds.abs_diff(first.seconds) / u64::from(seconds.get()) + 1
            }
            (Self::Cron(_), first) => {
                let ticks = std::iter::successors(first, |at| self.next(*at));
                let in_time = ticks.take_while(|at| *at <= upto);
                in_time.take(CRON_COUNT_MAX as usize).count() as u64
            }
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(at) => write!(f, "at {at}"),
            Self::Every { from, seconds } => write!(f, "every {seconds} s from {from}"),
            Self::Cron(cron) => write!(f, "cron {cron}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn every(from: i64, seconds: u32) -> When {
        let seconds = NonZeroU32::new(seconds).expect("at least 1");
        When::Every { from: Utc::from_seconds(from), seconds }
    }

    #[test]
    fn the_next_tick() {
        #[track_caller]
        fn check(when: &When, after: i64, expected: Option<i64>) {
            let next = when.next(Utc::from_seconds(after));
            assert_eq!(next, expected.map(Utc::from_seconds), "{when} after {after}");
        }
        let once = When::At(Utc::from_seconds(100));
        check(&once, 99, Some(100));
        check(&once, 100, None);
        check(&every(100, 10), 0, Some(100));
        check(&every(100, 10), 99, Some(100));
        check(&every(100, 10), 100, Some(110));
        check(&every(100, 10), 109, Some(110));
        check(&every(100, 10), 110, Some(120));
        check(&every(-5, 3), -2, Some(1));
        check(&every(i64::MAX - 1, 10), i64::MAX - 1, None);
        check(&every(i64::MIN, 1), i64::MAX, None);
        check(&When::Cron("*/5 * * * *".parse().expect("a cron text")), 299, Some(300));
    }

    #[test]
    fn ticks_are_counted() {
        #[track_caller]
        fn check(when: &When, after: i64, upto: i64, expected: u64) {
            let count = when.count(Utc::from_seconds(after), Utc::from_seconds(upto));
            assert_eq!(count, expected, "{when} after {after} up to {upto}");
        }
        let once = When::At(Utc::from_seconds(100));
        check(&once, 0, 99, 0);
        check(&once, 0, 100, 1);
        check(&once, 100, 200, 0);
        check(&every(100, 10), 0, 100, 1);
        check(&every(100, 10), 100, 100, 0);
        check(&every(100, 10), 100, 139, 3);
        check(&every(0, 1), 0, 1 << 40, 1 << 40);
        let minutes = When::Cron("* * * * *".parse().expect("a cron text"));
        check(&minutes, 0, 59, 0);
        check(&minutes, 0, 600, 10);
        check(&minutes, 0, 1 << 40, 1_000);
    }

    #[test]
    fn what_it_is_called() {
        insta::assert_snapshot!(When::At(Utc::from_seconds(100)), @"at 1970-01-01T00:01:40Z");
        insta::assert_snapshot!(every(0, 3600), @"every 3600 s from 1970-01-01T00:00:00Z");
        let cron: Cron = "0 2 * * *".parse().expect("a cron text");
        insta::assert_snapshot!(When::Cron(cron), @"cron 0 2 * * *");
    }

    proptest! {
        #[test]
        fn the_count_is_that_of_the_ticks(
            from in -1_000..1_000_i64,
            seconds in 1..50_u32,
            after in -1_000..1_000_i64,
            span in 0..1_000_i64,
        ) {
            let (when, after) = (every(from, seconds), Utc::from_seconds(after));
            let upto = Utc::from_seconds(after.seconds + span);
            let ticks = std::iter::successors(when.next(after), |at| when.next(*at));
            let ticks: Vec<Utc> = ticks.take_while(|at| *at <= upto).collect();
            prop_assert_eq!(when.count(after, upto), ticks.len() as u64);
            let in_step = |at: &Utc| (at.seconds - from) % i64::from(seconds) == 0;
            prop_assert!(ticks.iter().all(|at| *at > after && at.seconds >= from && in_step(at)));
        }
    }
}
