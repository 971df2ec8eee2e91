//! How time goes on: wait for a pair, let time pass, let everything end.

use super::option;
use crate::play::PlayError;
use crate::play::answer::StatusName;
use crate::play::stage::Stage;
use crate::play::verb::{Act, Happened};
use crate::play::words::{OneOrMany, PairName, Span, UtcWord};
use diptych::format::Time;
use diptych::shared::{Pair, SIMPLEX};
use diptych::unit::Unit;
use serde::Deserialize;
use std::fmt;

/// How long a pair is waited for unless the step says so.
const LIMIT: Span = Span { ns: 60_000_000_000 };
const SECOND_NS: u64 = 1_000_000_000;
/// The longest time that passes in one step of real time.
const REAL_MAX: Span = Span { ns: 10_000_000_000 };

/// Waits until each of these pairs has this status.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Wait {
    wait: OneOrMany<PairName>,
    status: StatusName,
    limit: Option<Span>,
}

/// Lets time pass.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pass {
    pass: Span,
}

/// Lets time pass until a civil time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Until {
    until: UtcWord,
}

/// Waits until nothing is left to do.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settle {
    #[serde(rename = "settle")]
    _settle: True,
}

/// A verb without a subject is `true`.
#[derive(Debug, Deserialize)]
#[serde(try_from = "bool")]
struct True;

/// It was `false`.
#[derive(Debug, thiserror::Error)]
#[error("write true, or leave the step away")]
struct NotTrue;

impl TryFrom<bool> for True {
    type Error = NotTrue;

    fn try_from(is_so: bool) -> Result<Self, NotTrue> {
        if is_so { Ok(Self) } else { Err(NotTrue) }
    }
}

fn after(began: Time, ended: Time) -> String {
    format!("after {:.3} ms", (ended - began).as_secs_f64() * 1e3)
}

fn pair_of(unit: &Unit, name: PairName) -> Option<Pair> {
    unit.pair(name.primary, name.secondary)
}

impl Act for Wait {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let (wanted, began) = (self.status, stage.now());
        let limit = self.limit.unwrap_or(LIMIT);
        for pair in self.wait.words.iter().copied() {
            let mut is_so = |unit: &Unit| wanted.is_of(pair_of(unit, pair).as_ref());
            if !stage.driver().wait_until(began + limit.ns, &mut is_so) {
                let found = pair_of(stage.unit(), pair);
                let found = found.map_or(SIMPLEX, |pair| pair.shown_as());
                return Err(PlayError::NeverReached { pair, wanted, found, limit });
            }
        }
        Ok(Happened::seen(after(began, stage.now())))
    }
}

fn pass(stage: &mut Stage, time: Span) -> Result<Happened, PlayError> {
    if stage.is_real() && time.ns > REAL_MAX.ns {
        return Err(PlayError::TooLong { passes: time, most: REAL_MAX });
    }
    stage.driver().pass(time.ns);
    Ok(Happened::default())
}

impl Act for Pass {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        pass(stage, self.pass)
    }
}

impl Act for Until {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let start = stage.unit().utc(Time::ZERO);
        let seconds = self.until.0.seconds.saturating_sub(start.seconds).max(0).unsigned_abs();
        let until = Time::from_ns(seconds.saturating_mul(SECOND_NS));
        let now = stage.now();
        if until < now {
            return Err(PlayError::Past { now: stage.unit().utc(now) });
        }
        pass(stage, Span { ns: until.ns_since(now) })
    }
}

impl Act for Settle {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let began = stage.now();
        stage.settle()?;
        Ok(Happened::seen(after(began, stage.now())))
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "wait {} until {}", self.wait, self.status)?;
        option(f, "limit", self.limit.as_ref())
    }
}

impl fmt::Display for Pass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pass {}", self.pass)
    }
}

impl fmt::Display for Until {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "until {}", self.until)
    }
}

impl fmt::Display for Settle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("settle")
    }
}
