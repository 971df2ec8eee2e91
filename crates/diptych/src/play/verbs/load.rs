//! Hosts that write while steps go by, and images of their writes.

use super::{flag, option};
use crate::play::PlayError;
use crate::play::answer::{Answer, Expect};
use crate::play::load::Plan;
use crate::play::stage::Stage;
use crate::play::verb::{Act, Happened};
use crate::play::words::{Blocks, Ldev, OneOrMany, Span};
use bytes::Bytes;
use diptych::cha::{HostOp, HostReply};
use diptych::format::{BlockNo, BlockRange, LdevId};
use serde::Deserialize;
use std::fmt;

/// The most blocks that a host of this kind writes over on each volume.
const AREA_MAX: u64 = 1 << 14;
/// From an answer to the next write.
const REST: Span = Span { ns: 100_000 };

/// A host begins to write: to its volumes in turn, one write under way at a time.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Begin {
    load: String,
    on: OneOrMany<Ldev>,
    blocks: Option<Blocks>,
    rest: Option<Span>,
    #[serde(default)]
    reads: bool,
}

/// A host ends; what it was served is shown.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Stop {
    stop: String,
    requests_min: Option<u64>,
    wait_max: Option<Span>,
}

/// Images of a host's volumes hold its writes up to one of them, and that is the instant of the last
/// copy command.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cut {
    cut: String,
    #[serde(rename = "in")]
    images: OneOrMany<Ldev>,
}

impl Begin {
    /// The blocks named, or those of the first track, or all there are.
    fn area(&self, stage: &Stage) -> Result<BlockRange, PlayError> {
        let mut blocks = u64::MAX;
        for Ldev(ldev) in &self.on.words {
            blocks = blocks.min(stage.volume(*ldev)?.geometry.block_count());
        }
        let usual = blocks.min(128);
        let area = self.blocks.map_or(BlockRange::new(BlockNo(0), usual), Blocks::range);
        let most = blocks.min(AREA_MAX);
        if area.end.0 > blocks || area.count() > AREA_MAX {
            return Err(PlayError::Area { area, most });
        }
        Ok(area)
    }
}

impl Act for Begin {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        if stage.loads.contains_key(&self.load) {
            return Err(PlayError::HostExists { name: self.load.clone() });
        }
        if self.on.words.is_empty() {
            return Err(PlayError::WritesNowhere);
        }
        let area = self.area(stage)?;
        let volumes: Vec<LdevId> = self.on.words.iter().map(|Ldev(ldev)| *ldev).collect();
        let (rest_ns, seed) = (self.rest.unwrap_or(REST).ns, stage.loads.len() as u64 + 1);
        let reads = self.reads;
        stage.add_load(&self.load, Plan { volumes, area, rest_ns, seed, reads })?;
        Ok(Happened::default())
    }
}

impl Act for Stop {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let served = stage.stop_load(&self.stop)?;
        let ms = |ns: u64| ns as f64 / 1e6;
        let answer = match served.failed {
            None => Answer::Done,
            Some(error) => Answer::of(&HostReply::Failed(error)),
        };
        let mut happened = Happened::from(answer);
        happened.found = format!(
            "{} requests, mean wait {:.3} ms, longest {:.3} ms",
            served.requests,
            ms(served.mean_ns),
            ms(served.max_ns)
        );
        if let Some(wanted) = self.requests_min {
            let few = served.requests < wanted;
            let difference =
                format!("{} requests were answered, expected {wanted}", served.requests);
            happened.compare(few.then_some(difference));
        }
        if let Some(wanted) = self.wait_max {
            let long = served.max_ns > wanted.ns;
            let found = ms(served.max_ns);
            let difference = format!("a request waited {found:.3} ms, expected at most {wanted}");
            happened.compare(long.then_some(difference));
        }
        Ok(happened)
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Cut {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let name = || self.cut.clone();
        let load = stage.loads.get(&self.cut).ok_or_else(|| PlayError::NoHost { name: name() })?;
        let (plan, cut) = (load.plan(), load.cut().filter(|_| !load.plan().reads));
        let (least, most) = cut.ok_or_else(|| PlayError::NoCut { name: name() })?;
        let (volumes, images) = (plan.volumes.len(), self.images.words.len());
        if volumes != images {
            return Err(PlayError::Images { name: name(), volumes, images });
        }
        let read = |Ldev(ldev): &Ldev| -> Result<Bytes, PlayError> {
            match stage.ask(HostOp::Read { ldev: *ldev, blocks: plan.area })? {
                HostReply::Data(data) => Ok(data),
                HostReply::Failed(error) => Err(PlayError::NotRead { error }),
                _ => Err(PlayError::WrongAnswer),
            }
        };
        let images: Vec<Bytes> = self.images.words.iter().map(read).collect::<Result<_, _>>()?;
        let prefix = plan.prefix(&images);
        let mut happened = Happened::default();
        happened.compare(prefix.as_ref().err().map(ToString::to_string));
        if let Ok(count) = prefix {
            happened.found = format!("{count} writes, of {least} to {most} possible");
            let outside = !(least..=most).contains(&count);
            let difference = format!(
                "the images hold {count} writes; when the copy command was given {least} were \
                 answered, and {most} sent when it was answered"
            );
            happened.compare(outside.then_some(difference));
        }
        Ok(happened)
    }
}

impl fmt::Display for Begin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "load {} on {}", self.load, self.on)?;
        option(f, "blocks", self.blocks.as_ref())?;
        option(f, "rest", self.rest.as_ref())?;
        flag(f, "reads", self.reads)
    }
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "stop {}", self.stop)
    }
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut {} in {}", self.cut, self.images)
    }
}
