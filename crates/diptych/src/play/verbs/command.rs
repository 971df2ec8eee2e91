//! The pair commands of Fig. 2, suspend, and the two restores: for a pair, or for the pairs of a list
//! at one instant.

use super::{flag, option};
use crate::play::PlayError;
use crate::play::answer::{Answer, Expect};
use crate::play::stage::Stage;
use crate::play::verb::{Act, Happened};
use crate::play::words::{Ldev, LimitWord, NewPair, OneOrMany, PaceWord, PairName, Span, Target};
use diptych::cha::{
    Command, CommandCode, CreateAuto, GroupCommand, GroupOutcome, HostOp, HostReply, Outcome,
};
use diptych::format::LdevId;
use diptych::shared::PairOptions;
use serde::Deserialize;
use std::fmt;

/// Create pair 211.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Create {
    create: NewPair,
    pace: Option<PaceWord>,
    lanes: Option<u8>,
    limit: Option<LimitWord>,
    #[serde(default = "yes")]
    initial_copy: bool,
    /// A copy command in the same record (Fig. 11E).
    #[serde(default)]
    and_copy: bool,
    #[serde(default)]
    quick: bool,
    /// The secondary that the unit has to choose.
    chosen: Option<Ldev>,
}

/// Copy 213; people call it split.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Copy {
    copy: OneOrMany<Target>,
    pace: Option<PaceWord>,
    lanes: Option<u8>,
    limit: Option<LimitWord>,
    drain_limit: Option<Span>,
    barrier_max: Option<Span>,
    #[serde(default)]
    quick: bool,
}

/// Re-synchronize 214.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Resync {
    resync: OneOrMany<Target>,
    pace: Option<PaceWord>,
    lanes: Option<u8>,
    limit: Option<LimitWord>,
    drain_limit: Option<Span>,
    barrier_max: Option<Span>,
}

/// Restore: the primary takes the secondary's content.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Restore {
    restore: OneOrMany<Target>,
    pace: Option<PaceWord>,
    lanes: Option<u8>,
    limit: Option<LimitWord>,
    drain_limit: Option<Span>,
    barrier_max: Option<Span>,
}

/// Quick restore: the volumes exchange what lies under them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct QuickRestore {
    quick_restore: OneOrMany<Target>,
    pace: Option<PaceWord>,
    lanes: Option<u8>,
    limit: Option<LimitWord>,
    drain_limit: Option<Span>,
    barrier_max: Option<Span>,
    #[serde(default)]
    freeze: bool,
}

/// Suspend 1509.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Suspend {
    suspend: OneOrMany<Target>,
    drain_limit: Option<Span>,
    barrier_max: Option<Span>,
}

/// Delete pair 212.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delete {
    delete: OneOrMany<Target>,
    #[serde(default)]
    force: bool,
}

const fn yes() -> bool {
    true
}

fn command(code: CommandCode, pair: PairName) -> Command {
    Command::new(code, pair.primary, pair.secondary)
}

/// Usual options, but for what the step names.
fn options(pace: Option<PaceWord>, lanes: Option<u8>, limit: Option<LimitWord>) -> PairOptions {
    changed(PairOptions::default(), pace, lanes, limit)
}

/// These options, but for what the step names.
pub(super) fn changed(
    usual: PairOptions,
    pace: Option<PaceWord>,
    lanes: Option<u8>,
    limit: Option<LimitWord>,
) -> PairOptions {
    PairOptions {
        pace: pace.map_or(usual.pace, |PaceWord(pace)| pace),
        lanes: lanes.unwrap_or(usual.lanes),
        limit: limit.map(|LimitWord(limit)| limit).or(usual.limit),
        ..usual
    }
}

/// What a command says besides its pairs.
struct Order {
    code: CommandCode,
    options: PairOptions,
    freeze: bool,
    force: bool,
    drain_limit: Option<Span>,
    barrier_max: Option<Span>,
}

impl Order {
    fn new(code: CommandCode) -> Self {
        let options = PairOptions::default();
        Self { code, options, freeze: false, force: false, drain_limit: None, barrier_max: None }
    }

    /// Gives the command for a pair, or at one instant for the pairs of a list or of a group.
    fn give(self, stage: &mut Stage, targets: &OneOrMany<Target>) -> Result<Happened, PlayError> {
        let Self { code, options, freeze, force, .. } = self;
        let pair = match targets.words[..] {
            [Target::Pair(pair)] if !targets.is_list => pair,
            _ => {
                let pairs = pairs_of(stage, &targets.words)?;
                return self.give_to_group(stage, pairs);
            }
        };
        if self.drain_limit.is_some() || self.barrier_max.is_some() {
            return Err(PlayError::NoGroup);
        }
        let command = Command { freeze, force, ..command(code, pair).with_options(options) };
        Ok(Answer::of(&stage.ask(HostOp::Command(command))?).into())
    }

    fn give_to_group(
        self,
        stage: &mut Stage,
        pairs: Vec<(LdevId, LdevId)>,
    ) -> Result<Happened, PlayError> {
        let command = GroupCommand {
            options: self.options,
            freeze: self.freeze,
            drain_limit_ns: self.drain_limit.map(|limit| limit.ns),
            ..GroupCommand::new(self.code, pairs)
        };
        let reply = stage.ask(HostOp::Group(command))?;
        let mut happened = Happened::from(Answer::of(&reply));
        let HostReply::Group(GroupOutcome::Accepted { barrier_ns, .. }) = reply else {
            return Ok(happened);
        };
        let barrier = format!("{:.3} ms", barrier_ns as f64 / 1e6);
        happened.found = format!("hosts waited at most {barrier}");
        if let Some(most) = self.barrier_max {
            let longer = barrier_ns > most.ns;
            let difference = format!("hosts waited {barrier}, expected at most {most}");
            happened.compare(longer.then_some(difference));
        }
        Ok(happened)
    }
}

/// All pairs of these, those of a group in its place.
fn pairs_of(stage: &Stage, targets: &[Target]) -> Result<Vec<(LdevId, LdevId)>, PlayError> {
    let mut pairs = Vec::new();
    for target in targets {
        match target {
            Target::Pair(PairName { primary, secondary }) => pairs.push((*primary, *secondary)),
            Target::Group(name) => {
                let named = stage.unit().group(&name.0);
                let unknown = || PlayError::NoGroupNamed { name: name.to_string() };
                pairs.extend(named.ok_or_else(unknown)?);
            }
        }
    }
    Ok(pairs)
}

impl Act for Create {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let options =
            PairOptions { quick: self.quick, ..options(self.pace, self.lanes, self.limit) };
        let (initial_copy, and_copy) = (self.initial_copy, self.and_copy);
        let op = match self.create {
            NewPair::Named(pair) => {
                let create = command(CommandCode::Create, pair).with_options(options);
                HostOp::Command(Command { initial_copy, and_copy, ..create })
            }
            NewPair::Auto(primary) => {
                let create = CreateAuto::new(primary);
                HostOp::CreateAuto(CreateAuto { options, initial_copy, and_copy, ..create })
            }
        };
        let reply = stage.ask(op)?;
        let mut happened = Happened::from(Answer::of(&reply));
        let chosen = match reply {
            HostReply::Outcome(Outcome::Chosen { secondary, .. }) => Some(secondary),
            _ => None,
        };
        if let Some(chosen) = chosen {
            happened.found = format!("the unit chose {chosen}");
        }
        if let Some(Ldev(wanted)) = self.chosen {
            let other = chosen != Some(wanted);
            let found = chosen.map_or("none".to_owned(), |ldev| ldev.to_string());
            happened.compare(other.then(|| format!("chosen is {found}, expected {wanted}")));
        }
        Ok(happened)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Accepted(None))
    }
}

impl Act for Copy {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let options = options(self.pace, self.lanes, self.limit);
        let options = PairOptions { quick: self.quick, ..options };
        let (drain_limit, barrier_max) = (self.drain_limit, self.barrier_max);
        let order = Order::new(CommandCode::Copy);
        Order { options, drain_limit, barrier_max, ..order }.give(stage, &self.copy)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Accepted(None))
    }
}

impl Act for Resync {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let options = options(self.pace, self.lanes, self.limit);
        let (drain_limit, barrier_max) = (self.drain_limit, self.barrier_max);
        let order = Order::new(CommandCode::Resync);
        Order { options, drain_limit, barrier_max, ..order }.give(stage, &self.resync)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Accepted(None))
    }
}

impl Act for Restore {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let options = options(self.pace, self.lanes, self.limit);
        let (drain_limit, barrier_max) = (self.drain_limit, self.barrier_max);
        let order = Order::new(CommandCode::Restore);
        Order { options, drain_limit, barrier_max, ..order }.give(stage, &self.restore)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Accepted(None))
    }
}

impl Act for QuickRestore {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let options = options(self.pace, self.lanes, self.limit);
        let (drain_limit, barrier_max) = (self.drain_limit, self.barrier_max);
        let order = Order { options, freeze: self.freeze, ..Order::new(CommandCode::QuickRestore) };
        Order { drain_limit, barrier_max, ..order }.give(stage, &self.quick_restore)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Accepted(None))
    }
}

impl Act for Suspend {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let (drain_limit, barrier_max) = (self.drain_limit, self.barrier_max);
        let order = Order::new(CommandCode::Suspend);
        Order { drain_limit, barrier_max, ..order }.give(stage, &self.suspend)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Accepted(None))
    }
}

impl Act for Delete {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        Order { force: self.force, ..Order::new(CommandCode::Delete) }.give(stage, &self.delete)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Accepted(None))
    }
}

/// Shows what is named of the options.
pub(super) fn show(
    f: &mut fmt::Formatter<'_>,
    pace: Option<PaceWord>,
    lanes: Option<u8>,
    limit: Option<LimitWord>,
) -> fmt::Result {
    option(f, "pace", pace.map(|PaceWord(pace)| pace).as_ref())?;
    option(f, "lanes", lanes.as_ref())?;
    option(f, "limit", limit.map(|LimitWord(limit)| limit).as_ref())
}

impl fmt::Display for Create {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "create {}", self.create)?;
        show(f, self.pace, self.lanes, self.limit)?;
        flag(f, "without initial copy", !self.initial_copy)?;
        flag(f, "and copy", self.and_copy)?;
        flag(f, "quick", self.quick)
    }
}

impl fmt::Display for Copy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "copy {}", self.copy)?;
        show(f, self.pace, self.lanes, self.limit)?;
        flag(f, "quick", self.quick)
    }
}

impl fmt::Display for Resync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "resync {}", self.resync)?;
        show(f, self.pace, self.lanes, self.limit)
    }
}

impl fmt::Display for Restore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "restore {}", self.restore)?;
        show(f, self.pace, self.lanes, self.limit)
    }
}

impl fmt::Display for QuickRestore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "quick-restore {}", self.quick_restore)?;
        show(f, self.pace, self.lanes, self.limit)?;
        flag(f, "freeze", self.freeze)
    }
}

impl fmt::Display for Suspend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "suspend {}", self.suspend)
    }
}

impl fmt::Display for Delete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delete {}", self.delete)?;
        flag(f, "force", self.force)
    }
}
