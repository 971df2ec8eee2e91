//! What operators do besides commands, and what goes wrong in drives.

use super::command::{changed, show};
use super::{flag, option};
use crate::play::PlayError;
use crate::play::answer::{Answer, Expect};
use crate::play::stage::Stage;
use crate::play::verb::{Act, Happened};
use crate::play::words::{Ldev, LimitWord, PaceWord, PairName, Span, Tracks};
use diptych::cha::HostOp;
use diptych::device::{FaultKind, FaultRule, Op, SectorRange};
use diptych::format::{CheckArea, SectorNo, TrackNo};
use diptych::shared::PairOptions;
use serde::Deserialize;
use std::fmt;

/// Changes pace and lanes of a pair, also while it is copied.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Change {
    change: PairName,
    pace: Option<PaceWord>,
    lanes: Option<u8>,
    limit: Option<LimitWord>,
}

/// Sets the reserve attribute.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reserve {
    reserve: Ldev,
}

/// Resets the reserve attribute.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unreserve {
    unreserve: Ldev,
}

/// Releases a volume that is blocked.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    release: Ldev,
}

/// Formats a volume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Format {
    format: Ldev,
}

/// Accepts the contents of a volume as they are.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Accept {
    accept: Ldev,
}

/// Plans a fault of the drive under a volume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlanFault {
    fault: Ldev,
    kind: Kind,
    on: Option<On>,
    tracks: Option<Tracks>,
    nth: Option<u64>,
    #[serde(default)]
    repeated: bool,
    /// How much longer a slow drive takes.
    #[serde(default = "ten_ms")]
    delay: Span,
}

fn ten_ms() -> Span {
    Span { ns: 10_000_000 }
}

/// Ends all trouble of the drive under a volume.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Heal {
    heal: Ldev,
}

/// The faults that a scenario may plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    LatentError,
    BitRot,
    LostWrite,
    TornWrite,
    StaleRead,
    Slow,
    TimeOut,
    StorageFull,
    Fail,
}

/// The requests that meet a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum On {
    Read,
    Write,
    Flush,
}

impl PlanFault {
    fn kind(&self) -> FaultKind {
        self.kind.of_drive(self.delay)
    }
}

impl Kind {
    fn of_drive(self, delay: Span) -> FaultKind {
        match self {
            Self::LatentError => FaultKind::LatentError,
            Self::BitRot => FaultKind::BitRot { bit: 0 },
            Self::LostWrite => FaultKind::LostWrite,
            // The first of its sectors alone.
            Self::TornWrite => FaultKind::TornWrite { survivors: vec![0] },
            Self::StaleRead => FaultKind::StaleRead,
            Self::Slow => FaultKind::Slow { delay_ns: delay.ns },
            Self::TimeOut => FaultKind::TimeOut,
            Self::StorageFull => FaultKind::StorageFull,
            Self::Fail => FaultKind::Fail,
        }
    }
}

impl PlanFault {
    /// A read if it can meet the fault, else a write.
    fn op(&self) -> Op {
        match self.on {
            Some(On::Read) => Op::Read,
            Some(On::Write) => Op::Write,
            Some(On::Flush) => Op::Flush,
            None if self.kind().suits(Op::Read) => Op::Read,
            None => Op::Write,
        }
    }

    fn rule(&self) -> FaultRule {
        let rule = FaultRule::new(self.op(), self.kind()).nth(self.nth.unwrap_or(1));
        if self.repeated { rule.repeated() } else { rule }
    }
}

impl Act for Change {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let PairName { primary, secondary } = self.change;
        let now = stage.unit().pair(primary, secondary);
        let now = now.map_or_else(PairOptions::default, |pair| pair.options);
        let options = changed(now, self.pace, self.lanes, self.limit);
        let done = stage.unit().change_pace(primary, secondary, options, stage.now());
        stage.ask_due();
        Ok(Answer::of_operator(done).into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Reserve {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let done = stage.unit().set_reserved(self.reserve.0, true, stage.now());
        Ok(Answer::of_operator(done).into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Unreserve {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let done = stage.unit().set_reserved(self.unreserve.0, false, stage.now());
        Ok(Answer::of_operator(done).into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Release {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let ldev = self.release.0;
        let answer = Answer::of_operator(stage.unit().release_volume(ldev, stage.now()));
        stage.ask_due();
        Ok(answer.into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Format {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        Ok(Answer::of(&stage.ask(HostOp::Format { ldev: self.format.0 })?).into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for Accept {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        Ok(Answer::of(&stage.ask(HostOp::AcceptContents { ldev: self.accept.0 })?).into())
    }

    fn default_expect(&self) -> Option<Expect> {
        Some(Expect::Done)
    }
}

impl Act for PlanFault {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        let home = stage.home(self.fault.0)?;
        let drive = stage.drive_under(self.fault.0)?;
        match &self.tracks {
            None => drive.push(self.rule())?,
            Some(tracks) => {
                let geometry = home.geometry();
                let sectors = CheckArea::sectors_for(geometry.blocks_per_track());
                for track in (0..geometry.track_count()).filter(|track| tracks.contains(*track)) {
                    let place = home.place(TrackNo(track));
                    let end = SectorNo(place.checks.0 + sectors);
                    let touched = SectorRange { start: place.data, end };
                    drive.push(self.rule().touching(touched))?;
                }
            }
        }
        // Who is slow loses nothing.
        stage.faulty |= self.kind != Kind::Slow;
        Ok(Happened::default())
    }
}

impl Act for Heal {
    fn carry_out(&self, stage: &mut Stage) -> Result<Happened, PlayError> {
        stage.drive_under(self.heal.0)?.heal();
        Ok(Happened::default())
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "change {}", self.change)?;
        show(f, self.pace, self.lanes, self.limit)
    }
}

impl fmt::Display for Reserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reserve {}", self.reserve)
    }
}

impl fmt::Display for Unreserve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unreserve {}", self.unreserve)
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "release {}", self.release)
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "format {}", self.format)
    }
}

impl fmt::Display for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accept {}", self.accept)
    }
}

impl fmt::Display for PlanFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fault {} on {}: {}", self.fault, self.op(), self.kind())?;
        option(f, "tracks", self.tracks.as_ref())?;
        option(f, "nth", self.nth.as_ref())?;
        flag(f, "repeated", self.repeated)
    }
}

impl fmt::Display for Heal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "heal {}", self.heal)
    }
}
