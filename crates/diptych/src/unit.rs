//! `diptych unit`: makes unit directories, and shows what is in them.

mod create;
mod show;

use diptych::format::{GeometryError, Time};
use diptych::rt::{UnitDir, UnitDirError};
use diptych::unit::{UnitConfig, UnitError};
use std::io;
use std::process::ExitCode;

/// Cache slots of a unit that is only looked at.
const SLOTS: usize = 1_024;
/// The largest track.
const TRACK_BYTES: usize = 64 << 10;

const EXAMPLES: &str = "\
Examples:
  diptych unit create array                      two volumes of 64 MiB, each on a drive of its own
  diptych unit create array --volumes 8 --drives 4 --volume-size 1GiB --log 256MiB
  diptych unit show array
  diptych unit show array --json | jq .pairs
  diptych verify array

Exit codes:
  0  done
  1  the unit is there and does not come back: see diptych verify
  2  bad input, or the environment did not allow it; nothing half-made is left behind";

/// Make a unit directory, or show what is in one.
///
/// A unit directory holds a control unit that outlives its process: a log with everything that was
/// answered, and drives in files.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct UnitArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    Create(create::CreateArgs),
    Show(show::ShowArgs),
}

/// Why a command on a unit directory ends early. Each is one line for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum UnitCommandError {
    #[error(transparent)]
    Dir(#[from] UnitDirError),
    #[error("cannot set up the control unit: {0}")]
    Unit(#[from] UnitError),
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    #[error("{asked} drives do not fit {volumes} volumes: each drive is for one at least")]
    Drives { asked: u16, volumes: u16 },
    #[error("the log has {bytes} bytes, it has to be at least {least_bytes}")]
    LogTooSmall { bytes: u64, least_bytes: u64 },
    #[error("cannot write the report: {0}")]
    Report(#[source] io::Error),
}

impl UnitCommandError {
    /// 1 where a unit is and is not what it was, 2 for what the user can put right.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Dir(error) if is_damage(error) => 1,
            _ => 2,
        }
    }
}

/// Whether a unit is there, and not as it was left.
pub(crate) fn is_damage(error: &UnitDirError) -> bool {
    matches!(
        error,
        UnitDirError::Missing { .. }
            | UnitDirError::Resized { .. }
            | UnitDirError::ForeignLog { .. }
            | UnitDirError::Manifest { .. }
            | UnitDirError::Contradicts { .. }
            | UnitDirError::Log { .. }
            | UnitDirError::Unit { .. }
            | UnitDirError::NotWritten { .. }
    )
}

/// Carries it out, and says with which code to exit.
pub(crate) fn run(args: &UnitArgs) -> Result<ExitCode, UnitCommandError> {
    match &args.what {
        What::Create(args) => create::run(args),
        What::Show(args) => show::run(args),
    }
}

/// Settings for a unit that no host uses: no copy and no schedule goes on while nobody turns its jobs.
pub(crate) fn config() -> UnitConfig {
    UnitConfig::with_cache(SLOTS, TRACK_BYTES)
}
