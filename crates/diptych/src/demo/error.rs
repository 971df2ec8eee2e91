//! Why a demo ends early.

use diptych::cha::{CommandCode, HostError, Outcome, RequestError};
use diptych::device::DeviceError;
use diptych::format::{Emulation, GeometryError};
use diptych::rt::RtError;
use diptych::shared::PairStatus;
use diptych::unit::UnitError;
use std::io;
use std::path::PathBuf;

/// Why a demo ends early. Each is one line for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum DemoError {
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not a regular file", path.display())]
    NotFile { path: PathBuf },
    #[error("{} is not a directory", path.display())]
    NotDirectory { path: PathBuf },
    #[error("{} is empty", path.display())]
    Empty { path: PathBuf },
    #[error("{} has {bytes} bytes, a volume of {emulation} only {most_bytes}", path.display())]
    TooLarge { path: PathBuf, bytes: u64, emulation: Emulation, most_bytes: u64 },
    #[error("{} packs to more than {most_bytes} bytes: name another with --from", path.display())]
    PackTooLarge { path: PathBuf, most_bytes: u64 },
    #[error("cannot work in {}: {source}", dir.display())]
    Directory { dir: PathBuf, source: io::Error },
    #[error("cannot make a drive in {}: {source}", dir.display())]
    MakeDrive { dir: PathBuf, source: DeviceError },
    #[error("a drive in {} fails: {source}", dir.display())]
    Drive { dir: PathBuf, source: DeviceError },
    #[error("cannot read the drive behind the unit's back: {0}")]
    ReadDrive(#[source] io::Error),
    #[error("cannot export to {}: {source}", path.display())]
    Export { path: PathBuf, source: io::Error },
    #[error("cannot rewrite {asked} tracks: the image has {tracks}")]
    TooManyTracks { asked: u64, tracks: u64 },
    #[error("a cache of {bytes} bytes is too small: it has to be at least {least_bytes}")]
    CacheTooSmall { bytes: u64, least_bytes: u64 },
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    #[error("cannot set up the control unit: {0}")]
    Unit(#[from] UnitError),
    #[error(transparent)]
    Rt(#[from] RtError),
    #[error("cannot write the report: {0}")]
    Report(#[source] io::Error),
    #[error("a path leads to no volume: {0}")]
    Request(#[from] RequestError),
    #[error("a host operation failed: {0}")]
    Host(#[from] HostError),
    #[error("the command {code} was not carried out: {outcome:?}")]
    NotAccepted { code: CommandCode, outcome: Outcome },
    #[error("a host operation got an answer of another kind")]
    WrongAnswer,
    #[error("the pair is gone")]
    NoPair,
    #[error("the copying stopped: the pair is {status}")]
    CopyStopped { status: PairStatus },
    #[error("the copying stands still for {seconds} s, with {left} tracks left")]
    Stalled { seconds: u64, left: u64 },
    #[error("a writer panicked")]
    Writer,
}

impl DemoError {
    /// 2 for what the user can put right, 1 for what the control unit did wrong.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Request(_)
            | Self::Host(_)
            | Self::NotAccepted { .. }
            | Self::WrongAnswer
            | Self::NoPair
            | Self::CopyStopped { .. }
            | Self::Stalled { .. }
            | Self::Writer => 1,
            _ => 2,
        }
    }
}
