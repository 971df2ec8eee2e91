//! The verbs of a scenario: one a step. Each is a type with its fields, and what it does.

use super::PlayError;
use super::answer::{Answer, Expect};
use super::stage::Stage;
use super::verbs::{changed, command, group, host, load, look, operator, schedule, time};
use serde::Deserialize;
use std::fmt;
use toml::Spanned;
use toml::de::{DeValue, Error, ValueDeserializer};

/// What a step does. Shown as it is done, in one line.
pub(crate) trait Act: fmt::Debug + fmt::Display + Send {
    /// Does it.
    ///
    /// # Errors
    ///
    /// If the scenario cannot go on.
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError>;

    /// What is expected unless the step says so; `None` if there is no answer to expect.
    fn default_expect(&self) -> Option<Expect> {
        None
    }
}

/// What happened in a step.
#[derive(Debug, Default)]
pub(crate) struct Happened {
    /// What it was answered, if anything.
    pub(crate) answer: Option<Answer>,
    /// What was found, if something was looked at.
    pub(crate) found: String,
    /// What was looked at and is not as expected.
    pub(crate) differences: Vec<String>,
    /// How much was compared with an expectation, besides the answer.
    pub(crate) compared: usize,
}

impl From<Answer> for Happened {
    fn from(answer: Answer) -> Self {
        Self { answer: Some(answer), ..Self::default() }
    }
}

impl Happened {
    /// Something was seen, and nothing expected.
    pub(crate) fn seen(found: impl Into<String>) -> Self {
        Self { found: found.into(), ..Self::default() }
    }

    /// Notes a comparison.
    pub(crate) fn compare(&mut self, difference: Option<String>) {
        self.compared += 1;
        self.differences.extend(difference);
    }
}

type Reader = fn(Spanned<DeValue<'_>>) -> Result<Box<dyn Act>, Error>;

fn reader<T: Act + for<'de> Deserialize<'de> + 'static>(
    step: Spanned<DeValue<'_>>,
) -> Result<Box<dyn Act>, Error> {
    Ok(Box::new(T::deserialize(ValueDeserializer::from(step))?))
}

/// Every verb, in the order in which they are explained.
const VERBS: &[(&str, Reader)] = &[
    ("write", reader::<host::Write>),
    ("read", reader::<host::Read>),
    ("unmap", reader::<host::Unmap>),
    ("flush", reader::<host::Flush>),
    ("load", reader::<load::Begin>),
    ("stop", reader::<load::Stop>),
    ("create", reader::<command::Create>),
    ("copy", reader::<command::Copy>),
    ("resync", reader::<command::Resync>),
    ("restore", reader::<command::Restore>),
    ("quick-restore", reader::<command::QuickRestore>),
    ("suspend", reader::<command::Suspend>),
    ("delete", reader::<command::Delete>),
    ("change", reader::<operator::Change>),
    ("reserve", reader::<operator::Reserve>),
    ("unreserve", reader::<operator::Unreserve>),
    ("release", reader::<operator::Release>),
    ("format", reader::<operator::Format>),
    ("accept", reader::<operator::Accept>),
    ("group", reader::<group::DefineGroup>),
    ("ungroup", reader::<group::Ungroup>),
    ("schedule", reader::<schedule::AddSchedule>),
    ("unschedule", reader::<schedule::Unschedule>),
    ("fault", reader::<operator::PlanFault>),
    ("heal", reader::<operator::Heal>),
    ("wait", reader::<time::Wait>),
    ("pass", reader::<time::Pass>),
    ("until", reader::<time::Until>),
    ("settle", reader::<time::Settle>),
    ("mark", reader::<look::Mark>),
    ("same", reader::<look::Same>),
    ("cut", reader::<load::Cut>),
    ("pair", reader::<look::PairIs>),
    ("volume", reader::<look::VolumeIs>),
    ("images", reader::<schedule::Images>),
    ("changed", reader::<changed::WhatChanged>),
    ("history", reader::<look::HistoryIs>),
    ("verify", reader::<look::Verify>),
];

/// The verbs' names.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    VERBS.iter().map(|(name, _)| *name)
}

/// Reads a step with this verb.
pub(crate) fn read(verb: &str, step: Spanned<DeValue<'_>>) -> Result<Box<dyn Act>, Error> {
    let (_, reader) = VERBS.iter().find(|(name, _)| *name == verb).expect("a verb's name");
    reader(step)
}
