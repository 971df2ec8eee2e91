//! What the commands on a unit directory share that no process has open: `init`, `show`, `verify`.

use crate::config::ConfigError;
use crate::lu_map::LuMapError;
use diptych::format::{GeometryError, LdevId};
use diptych::rt::UnitDirError;
use diptych::unit::{UnitConfig, UnitError};
use std::io;
use std::path::PathBuf;

/// Cache slots of a unit that is only looked at.
const SLOTS: usize = 1_024;
/// The largest track.
pub(crate) const TRACK_BYTES: usize = 64 << 10;

/// Why a command on a unit directory ends early. Each is one line for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum OfflineError {
    #[error(transparent)]
    Dir(#[from] UnitDirError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot set up the control unit: {0}")]
    Unit(#[from] UnitError),
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    #[error("{asked} drives do not fit {volumes} volumes: each drive is for one at least")]
    Drives { asked: u16, volumes: u16 },
    #[error("{asked} of {volumes} volumes cannot be reserved")]
    Reserved { asked: u16, volumes: u16 },
    #[error("the log has {bytes} bytes, it has to be at least {least_bytes}")]
    LogTooSmall { bytes: u64, least_bytes: u64 },
    #[error("there is no volume {ldev}")]
    NoVolume { ldev: LdevId },
    #[error(transparent)]
    LuMap(#[from] LuMapError),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write the report: {0}")]
    Report(#[source] io::Error),
}

impl OfflineError {
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

/// Settings for a unit that no host uses: no copy and no schedule goes on while nobody turns its jobs.
pub(crate) fn config() -> UnitConfig {
    UnitConfig::with_cache(SLOTS, TRACK_BYTES)
}
