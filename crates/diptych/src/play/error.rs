//! Why a scenario cannot be played, or does not come to its end.

use super::answer::StatusName;
use super::file::Mistake;
use super::words::{PairName, Span};
use diptych::cha::HostError;
use diptych::device::{DeviceError, PlanError};
use diptych::format::{BlockRange, LdevId, TrackNo};
use diptych::rt::RtError;
use diptych::sim::SimError;
use diptych::unit::{UnitError, Utc};
use std::io;
use std::path::PathBuf;

/// Why a scenario cannot be played, or does not come to its end. Each is one line for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum PlayError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} has {bytes} bytes, a scenario at most {most_bytes}", path.display())]
    FileTooLarge { path: PathBuf, bytes: u64, most_bytes: u64 },
    #[error("{}:{line}: {mistake}", path.display())]
    Scenario { path: PathBuf, line: usize, mistake: Mistake },
    #[error(
        "{}: this scenario is tied to {tied} time: leave --time {asked} away", path.display()
    )]
    Tied { path: PathBuf, tied: &'static str, asked: &'static str },
    #[error("a seed decides nothing in real time: leave --seed or --time real away")]
    SeedInRealTime,
    #[error("{}: cannot set up the control unit: {source}", path.display())]
    SetUp { path: PathBuf, source: Box<PlayError> },
    #[error("{}:{line}: {source}", path.display())]
    Step { path: PathBuf, line: usize, source: Box<PlayError> },
    #[error("there is no scenario in {}: its files end in .toml", dir.display())]
    NoScenarios { dir: PathBuf },
    #[error("{} is not a directory", path.display())]
    NotDirectory { path: PathBuf },
    #[error("cannot work in {}: {source}", dir.display())]
    Directory { dir: PathBuf, source: io::Error },
    #[error("cannot make a drive in {}: {source}", dir.display())]
    MakeDrive { dir: PathBuf, source: DeviceError },
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Unit(#[from] UnitError),
    #[error(transparent)]
    Rt(#[from] RtError),
    #[error("cannot write the report: {0}")]
    Report(#[source] io::Error),
    #[error("volume {ldev} does not exist")]
    NoVolume { ldev: LdevId },
    #[error("volume {ldev} lies on no drive")]
    NoDrive { ldev: LdevId },
    #[error("there is no mark {name:?}: set it by a step mark before")]
    NoMark { name: String },
    #[error("the mark {name:?} is of no secondary that held an image")]
    NoImage { name: String },
    #[error("there is no host {name:?}: it begins with a step load")]
    NoHost { name: String },
    #[error("there is a host {name:?} already")]
    HostExists { name: String },
    #[error("nothing settles while the host {name:?} writes: stop it first")]
    HostWrites { name: String },
    #[error("blocks {area} are too many, or past the end: there are {most}")]
    Area { area: BlockRange, most: u64 },
    #[error("a host needs a volume to write to: on = [\"00:00\"]")]
    WritesNowhere,
    #[error(
        "there is no group {name:?}: make it by a step group, or write a pair as \"00:00 -> 00:01\""
    )]
    NoGroupNamed { name: String },
    #[error("there is a schedule {name:?} already")]
    ScheduleExists { name: String },
    #[error("there is no schedule {name:?}: it begins with a step schedule")]
    NoSchedule { name: String },
    #[error(
        "the schedule {name:?} is of one pair, or of a list of pairs of one primary with keep = 7 or so"
    )]
    NoScope { name: String },
    #[error("the schedule {name:?} has one of at, cron and every")]
    NoWhen { name: String },
    #[error("every is whole seconds, at least one and at most 2^32")]
    Every,
    #[error("it is {now} already")]
    Past { now: Utc },
    #[error("only a group command, whose pairs are a list, has drain-limit and barrier-max")]
    NoGroup,
    #[error("there was no copy command that was accepted since the host {name:?} began")]
    NoCut { name: String },
    #[error(
        "the host {name:?} writes to {volumes} volumes, so it has as many images, not {images}"
    )]
    Images { name: String, volumes: usize, images: usize },
    #[error("the last write of the host {name:?} is never answered")]
    HostNeverEnds { name: String },
    #[error("a volume is compared with one of another shape")]
    Shapes,
    #[error("a step of {passes} is not waited for in real time, which has at most {most}")]
    TooLong { passes: Span, most: Span },
    #[error(transparent)]
    Driver(#[from] SimError),
    #[error("pair {pair} is {found}, and after {limit} still not {wanted}")]
    NeverReached { pair: PairName, wanted: StatusName, found: &'static str, limit: Span },
    #[error("the volume cannot be read: {error}")]
    NotRead { error: HostError },
    #[error("track {track} of volume {ldev} cannot be read from its drive")]
    Unreadable { ldev: LdevId, track: TrackNo },
    #[error("a host operation got an answer of another kind")]
    WrongAnswer,
}

impl PlayError {
    /// 2 for what the user can put right, 1 for what the control unit did wrong.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Driver(_)
            | Self::NeverReached { .. }
            | Self::NotRead { .. }
            | Self::Unreadable { .. }
            | Self::HostNeverEnds { .. }
            | Self::WrongAnswer => 1,
            _ => 2,
        }
    }
}
