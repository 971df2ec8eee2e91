//! Copies at their times, and the images that they make.

use super::command::{changed, show};
use super::option;
use crate::play::PlayError;
use crate::play::answer::{Answer, Expect};
use crate::play::stage::Stage;
use crate::play::verb::{Act, Happened};
use crate::play::words::{
    CountWanted, CronWord, Ldev, LimitWord, OneOrMany, PaceWord, PairName, Span, UtcWord,
};
use diptych::format::LdevId;
use diptych::shared::PairOptions;
use diptych::unit::{Image, Rotation, Schedule, Scope, When};
use serde::Deserialize;
use std::fmt;
use std::num::NonZeroU32;

const SECOND_NS: u64 = 1_000_000_000;

/// Adds a schedule under a name: of a pair, or of pairs whose secondaries take turns.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddSchedule {
    schedule: String,
    of: OneOrMany<PairName>,
    /// How many complete images a tick must leave, where secondaries take turns.
    keep: Option<usize>,
    at: Option<UtcWord>,
    cron: Option<CronWord>,
    every: Option<Span>,
    pace: Option<PaceWord>,
    lanes: Option<u8>,
    limit: Option<LimitWord>,
    /// Ticks later than this are taken, be they past.
    since: Option<UtcWord>,
}

/// Takes a schedule back.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unschedule {
    unschedule: String,
}

/// Looks at the images of a primary, or of a schedule's series: the oldest first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Images {
    images: String,
    /// The volumes that hold them.
    #[serde(rename = "in")]
    volumes: Option<OneOrMany<Ldev>>,
    /// Their instants.
    at: Option<OneOrMany<UtcWord>>,
    complete: Option<CountWanted>,
}

impl AddSchedule {
    fn scope(&self) -> Result<Scope, PlayError> {
        let no_scope = || PlayError::NoScope { name: self.schedule.clone() };
        let &PairName { primary, secondary } = self.of.words.first().ok_or_else(no_scope)?;
        if self.of.words.iter().any(|pair| pair.primary != primary) {
            return Err(no_scope());
        }
        let secondaries = self.of.words.iter().map(|pair| pair.secondary).collect();
        match self.keep {
            Some(images) => Ok(Scope::Rotation(Rotation { primary, secondaries, images })),
            None if self.of.is_list => Err(no_scope()),
            None => Ok(Scope::Pair { primary, secondary }),
        }
    }

    fn when(&self, stage: &Stage) -> Result<When, PlayError> {
        match (&self.at, &self.cron, self.every) {
            (Some(UtcWord(at)), None, None) => Ok(When::At(*at)),
            (None, Some(CronWord(cron)), None) => Ok(When::Cron(cron.clone())),
            (None, None, Some(Span { ns })) if ns.is_multiple_of(SECOND_NS) => {
                let seconds = u32::try_from(ns / SECOND_NS).ok().and_then(NonZeroU32::new);
                let seconds = seconds.ok_or(PlayError::Every)?;
                let mut from = stage.unit().utc(stage.now());
                from.seconds = from.seconds.saturating_add(i64::from(seconds.get()));
                Ok(When::Every { from, seconds })
            }
            (None, None, Some(_)) => Err(PlayError::Every),
            _ => Err(PlayError::NoWhen { name: self.schedule.clone() }),
        }
    }

    fn options(&self) -> Option<PairOptions> {
        let named = self.pace.is_some() || self.lanes.is_some() || self.limit.is_some();
        named.then(|| changed(PairOptions::default(), self.pace, self.lanes, self.limit))
    }
}

impl Act for AddSchedule {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        if stage.schedules.contains_key(&self.schedule) {
            return Err(PlayError::ScheduleExists { name: self.schedule.clone() });
        }
        let (scope, when, options) = (self.scope()?, self.when(stage)?, self.options());
        let (schedule, now) = (Schedule { scope, when, options }, stage.now());
        let done = match self.since {
            None => stage.unit().add_schedule(schedule, now),
            Some(UtcWord(since)) => stage.unit().resume_schedule(schedule, since, now),
        };
        match done {
            Ok(id) => {
                stage.add_schedule(&self.schedule, id);
                Ok(Answer::Done.into())
            }
            Err(error) => Ok(Answer::refused(&error).into()),
        }
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Unschedule {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let id = stage.schedule(&self.unschedule)?;
        stage.schedules.remove(&self.unschedule);
        match stage.unit().remove_schedule(id, stage.now()) {
            Ok(_) => Ok(Answer::Done.into()),
            Err(error) => Ok(Answer::refused(&error).into()),
        }
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Images {
    fn found(&self, stage: &Stage) -> Result<Vec<Image>, PlayError> {
        match self.images.parse::<LdevId>() {
            Ok(primary) => Ok(stage.unit().images(primary)),
            Err(_) => {
                let id = stage.schedule(&self.images)?;
                let over = |_| PlayError::NoSchedule { name: self.images.clone() };
                stage.unit().images_of_schedule(id).map_err(over)
            }
        }
    }
}

impl Act for Images {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let images = self.found(stage)?;
        let show = |image: &Image| {
            let incomplete = if image.complete { "" } else { " (incomplete)" };
            format!("{} of {}{incomplete}", image.secondary, image.utc)
        };
        let shown: Vec<String> = images.iter().map(show).collect();
        let mut happened = Happened::seen(match shown.len() {
            0 => "none".to_owned(),
            _ => shown.join(", "),
        });
        let found = &happened.found;
        let mut differences = Vec::new();
        if let Some(wanted) = &self.volumes {
            let same = wanted.words.iter().map(|Ldev(ldev)| *ldev);
            let other = !same.eq(images.iter().map(|image| image.secondary));
            differences.push(other.then(|| format!("the images are {found}, expected {wanted}")));
        }
        if let Some(wanted) = &self.at {
            let same = wanted.words.iter().map(|UtcWord(at)| *at);
            let other = !same.eq(images.iter().map(|image| image.utc));
            differences.push(other.then(|| format!("the images are {found}, expected {wanted}")));
        }
        if let Some(wanted) = self.complete {
            let complete = images.iter().filter(|image| image.complete).count() as u64;
            differences.push(wanted.difference("complete", complete));
        }
        differences.into_iter().for_each(|difference| happened.compare(difference));
        Ok(happened)
    }
}

impl fmt::Display for AddSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "schedule {} of {}", self.schedule, self.of)?;
        option(f, "keep", self.keep.as_ref())?;
        option(f, "at", self.at.as_ref())?;
        option(f, "cron", self.cron.as_ref())?;
        option(f, "every", self.every.as_ref())?;
        option(f, "since", self.since.as_ref())?;
        show(f, self.pace, self.lanes, self.limit)
    }
}

impl fmt::Display for Unschedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unschedule {}", self.unschedule)
    }
}

impl fmt::Display for Images {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "images {}", self.images)
    }
}
