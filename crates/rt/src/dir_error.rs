//! What can go wrong with a unit directory.

use diptych_device::DeviceError;
use diptych_log::LogError;
use diptych_unit::UnitError;
use std::io;
use std::path::PathBuf;

/// Why a unit directory cannot be made or opened. Nothing of it was changed then, but that a log that
/// was opened has given up its torn end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnitDirError {
    /// There is no unit here: the last step of making one is `unit.toml`.
    #[error("{} is no unit directory, it has no unit.toml: name one that `diptych init` made", path.display())]
    NotUnit {
        /// The directory.
        path: PathBuf,
    },
    /// A unit is to be made where something is.
    #[error("{} is not empty: name a new directory or an empty one", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// Another process, or another handle of this one, has the unit open.
    #[error("{} is in use: end the process that has this unit open", path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
    },
    /// A later program made it.
    #[error("{} has version {found}, this program knows {known}: use the newer program", path.display())]
    Version {
        /// The file that says so.
        path: PathBuf,
        /// The version found.
        found: u64,
        /// The latest version known.
        known: u16,
    },
    /// `unit.toml` is not what was written.
    #[error("{} cannot be read, bring it back from a copy: {source}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: toml::de::Error,
    },
    /// `unit.toml` contradicts itself.
    #[error("{} was changed, bring it back from a copy: {what}", path.display())]
    Contradicts {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A unit has drives, and not more than there can be.
    #[error("a unit has 1 to {most} drives, not {count}")]
    DriveCount {
        /// Drives it was to have.
        count: usize,
        /// The most there can be.
        most: usize,
    },
    /// A file of the unit is not there.
    #[error("{} is missing: bring it back from where it is, no other file can take its place", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file has another length than it was made with.
    #[error(
        "{} has {found_bytes} bytes and was made with {made_bytes}: bring the whole file back from a copy",
        path.display()
    )]
    Resized {
        /// The file.
        path: PathBuf,
        /// Its length.
        found_bytes: u64,
        /// The length that `unit.toml` says.
        made_bytes: u64,
    },
    /// The log is that of another unit.
    #[error(
        "{} is the log of unit {found:016x}, this is unit {id:016x}: bring back its own",
        path.display()
    )]
    ForeignLog {
        /// The log.
        path: PathBuf,
        /// The unit that it says it is of.
        found: u64,
        /// This unit.
        id: u64,
    },
    /// The log cannot be made or read.
    #[error("{}: {source}", path.display())]
    Log {
        /// The log.
        path: PathBuf,
        /// What is wrong.
        source: LogError,
    },
    /// A file of the unit cannot be made or opened as a drive.
    #[error("{}: {source}", path.display())]
    Drive {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: DeviceError,
    },
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// The unit does not come back from its log.
    #[error("the unit in {} does not come back: {source}", path.display())]
    Unit {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        source: UnitError,
    },
    /// What the log has cannot be written to the drives.
    #[error("a drive of {} does not take what is in the log, which has it still", path.display())]
    NotWritten {
        /// The directory.
        path: PathBuf,
    },
}
