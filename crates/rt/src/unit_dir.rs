//! A unit directory: the files of a control unit that outlives its process (`docs/format.md`).
//!
//! | file | what it is |
//! |---|---|
//! | `unit.toml` | what the directory is made of; written last, so what lacks it is no unit |
//! | `lock` | empty; who has the unit open holds an advisory lock on it |
//! | `log` | the durable log, all of it written when it is made |
//! | `drive-NN` | the drives, sparse |
//!
//! Invariants:
//! - A name is durable before anything refers to it, and content before its name.
//! - One process at a time has a unit open. Each file has a lock of its own too, so that holds also
//!   after a handle of the directory was dropped.
//! - Nothing is opened unless all of it is there, in the length it was made with.

use crate::UnitDirError;
use crate::manifest::{self, DRIVES_MAX, DriveShape, UnitShape};
use diptych_device::{Device, DeviceError, FileDrive};
use diptych_dka::Drives;
use diptych_format::BLOCK_BYTES;
use diptych_log::{Log, LogConfig, LogId};
use diptych_unit::{Opened, Plant, Recovered, Unit, UnitConfig};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "unit.toml";
const MANIFEST_NEW: &str = "unit.toml.new";
const LOCK: &str = "lock";
const LOG: &str = "log";

/// A unit directory that this process has to itself as long as this lives.
#[derive(Debug)]
pub struct UnitDir {
    path: PathBuf,
    shape: UnitShape,
    /// Unlocked when it is closed.
    _lock: DirLock,
}

/// A unit that came back from its directory.
#[derive(Debug)]
pub struct OpenedUnit {
    /// The directory: keep it as long as the unit.
    pub dir: UnitDir,
    /// The unit, for [`Rt::start`](crate::Rt::start).
    pub unit: Unit,
    /// Its hardware.
    pub plant: Plant,
    /// What was found.
    pub recovered: Recovered,
}

impl UnitDir {
    /// Makes a unit without volumes in a new directory, or an empty one. When this returns it is
    /// durable; a crash before leaves what is no unit.
    ///
    /// # Errors
    ///
    /// If the directory is not empty, or a file cannot be made; what was made is gone then.
    pub fn create(path: impl AsRef<Path>, shape: &UnitShape) -> Result<Self, UnitDirError> {
        let path = path.as_ref();
        let (count, most) = (shape.drives.len(), DRIVES_MAX);
        if count == 0 || count > most {
            return Err(UnitDirError::DriveCount { count, most });
        }
        let is_new = match fs::create_dir(path) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
            Err(source) => return Err(io_error(path, source)),
        };
        let mut entries = fs::read_dir(path).map_err(|source| io_error(path, source))?;
        if entries.next().is_some() {
            return Err(UnitDirError::NotEmpty { path: path.to_owned() });
        }
        Self::fill(path, shape, is_new).inspect_err(|_| {
            // They are ours, and unfinished; the error to report is the first one.
            for name in names(shape) {
                let _ = fs::remove_file(path.join(name));
            }
            if is_new {
                let _ = fs::remove_dir(path);
            }
        })
    }

    fn fill(path: &Path, shape: &UnitShape, is_new: bool) -> Result<Self, UnitDirError> {
        let lock = take_lock(path)?;
        let make = |name: &str, sectors| {
            let path = path.join(name);
            FileDrive::create(&path, sectors).map_err(|source| UnitDirError::Drive { path, source })
        };
        for (drive, number) in shape.drives.iter().zip(0..) {
            make(&drive_name(number), drive.sectors)?;
        }
        let log = make(LOG, shape.log_sectors)?;
        Log::create(log, LogId(shape.id), log_config(shape))
            .map_err(|source| UnitDirError::Log { path: path.join(LOG), source })?;
        write_manifest(path, shape).map_err(|source| io_error(&path.join(MANIFEST), source))?;
        if is_new && let Some(parent) = path.canonicalize().ok().as_deref().and_then(Path::parent) {
            sync_directory(parent).map_err(|source| io_error(parent, source))?;
        }
        Ok(Self { path: path.to_owned(), shape: shape.clone(), _lock: lock })
    }

    /// Takes a unit directory for this process, and looks whether all its files are there.
    ///
    /// # Errors
    ///
    /// If it is no unit directory, in use, made by a later program, or not whole.
    pub fn lock(path: impl AsRef<Path>) -> Result<Self, UnitDirError> {
        let path = path.as_ref();
        let file = path.join(MANIFEST);
        // Not even a lock is made where no unit is.
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if is_absent(&error) => {
                return Err(UnitDirError::NotUnit { path: path.to_owned() });
            }
            Err(source) => return Err(io_error(&file, source)),
        };
        let shape = manifest::decode(&text, &file)?;
        let dir = Self { path: path.to_owned(), _lock: take_lock(path)?, shape };
        dir.check_files()?;
        Ok(dir)
    }

    /// A unit comes back from its directory with everything that was answered.
    ///
    /// # Errors
    ///
    /// As [`lock`](Self::lock), and if the unit cannot come back from its log.
    pub fn open(path: impl AsRef<Path>, config: UnitConfig) -> Result<OpenedUnit, UnitDirError> {
        Self::lock(path)?.recover(config)
    }

    /// The same for a directory that this process has already.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened, or the unit cannot come back from its log.
    pub fn recover(self, config: UnitConfig) -> Result<OpenedUnit, UnitDirError> {
        let (drives, log) = (self.drives()?, self.log()?);
        let opened = Unit::open(config, drives, Box::new(log), self.log_config());
        let opened =
            opened.map_err(|source| UnitDirError::Unit { path: self.path.clone(), source })?;
        let Opened { unit, plant, recovered } = opened;
        Ok(OpenedUnit { dir: self, unit, plant, recovered })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it is made of.
    pub fn shape(&self) -> &UnitShape {
        &self.shape
    }

    /// What its log is opened with: a quarter is kept for what is put without room, commands and
    /// checkpoints.
    pub fn log_config(&self) -> LogConfig {
        log_config(&self.shape)
    }

    /// Its drives.
    ///
    /// # Errors
    ///
    /// If a file cannot be opened.
    pub fn drives(&self) -> Result<Drives, UnitDirError> {
        let open = |(number, drive): (usize, &DriveShape)| {
            let device: Box<dyn Device> = Box::new(self.drive(number)?);
            Ok((drive.dka_no, device))
        };
        let drives: Result<_, UnitDirError> =
            self.shape.drives.iter().enumerate().map(open).collect();
        Ok(Drives::new(drives?))
    }

    /// One of its drives.
    pub(crate) fn drive(&self, number: usize) -> Result<FileDrive, UnitDirError> {
        self.open_file(&drive_name(number))
    }

    /// The device of its log, which is this unit's.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened, holds no log, or another unit's.
    pub fn log(&self) -> Result<FileDrive, UnitDirError> {
        let device = self.open_file(LOG)?;
        let path = self.path.join(LOG);
        match LogId::of_device(&device) {
            Ok(LogId(found)) if found == self.shape.id => Ok(device),
            Ok(LogId(found)) => Err(UnitDirError::ForeignLog { path, found, id: self.shape.id }),
            Err(source) => Err(UnitDirError::Log { path, source }),
        }
    }

    fn open_file(&self, name: &str) -> Result<FileDrive, UnitDirError> {
        let path = self.path.join(name);
        FileDrive::open(&path).map_err(|source| match source {
            DeviceError::InUse => UnitDirError::InUse { path: self.path.clone() },
            source => UnitDirError::Drive { path, source },
        })
    }

    fn check_files(&self) -> Result<(), UnitDirError> {
        let drives = self.shape.drives.iter().enumerate();
        let drives = drives.map(|(number, drive)| (drive_name(number), drive.sectors));
        for (name, sectors) in drives.chain([(LOG.to_owned(), self.shape.log_sectors)]) {
            let path = self.path.join(name);
            let found_bytes = match fs::metadata(&path) {
                Ok(found) => found.len(),
                Err(error) if is_absent(&error) => return Err(UnitDirError::Missing { path }),
                Err(source) => return Err(io_error(&path, source)),
            };
            let made_bytes = sectors.saturating_mul(BLOCK_BYTES as u64);
            if found_bytes != made_bytes {
                return Err(UnitDirError::Resized { path, found_bytes, made_bytes });
            }
        }
        Ok(())
    }
}

fn log_config(shape: &UnitShape) -> LogConfig {
    LogConfig { reserve_sectors: shape.log_sectors / 4, ..LogConfig::default() }
}

fn drive_name(number: usize) -> String {
    format!("drive-{number:02}")
}

/// All files of a unit, in the order of their making.
fn names(shape: &UnitShape) -> impl Iterator<Item = String> {
    let drives = (0..shape.drives.len()).map(drive_name);
    let last = [LOG, MANIFEST_NEW, MANIFEST].map(str::to_owned);
    [LOCK.to_owned()].into_iter().chain(drives).chain(last)
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn io_error(path: &Path, source: io::Error) -> UnitDirError {
    UnitDirError::Io { path: path.to_owned(), source }
}

/// A lock that somebody removed is made again: it holds nothing.
fn take_lock(path: &Path) -> Result<DirLock, UnitDirError> {
    let file = path.join(LOCK);
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&file);
    let opened = opened.map_err(|source| io_error(&file, source))?;
    match flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(DirLock(opened)),
        Err(Errno::WOULDBLOCK) => Err(UnitDirError::InUse { path: path.to_owned() }),
        Err(errno) => Err(io_error(&file, errno.into())),
    }
}

/// The lock of a directory.
#[derive(Debug)]
struct DirLock(File);

impl Drop for DirLock {
    /// Not left to the close: a process that is just being started has a copy of the descriptor.
    fn drop(&mut self) {
        let (Ok(()) | Err(_)) = flock(&self.0, FlockOperation::Unlock);
    }
}

/// First whole and durable under another name, then under its own.
fn write_manifest(path: &Path, shape: &UnitShape) -> io::Result<()> {
    let new = path.join(MANIFEST_NEW);
    let mut file = File::create(&new)?;
    file.write_all(manifest::encode(shape).as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path.join(MANIFEST))?;
    sync_directory(path)
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
