//! A drive in a file.

use crate::transfer::{Stopped, read_all, write_all};
use crate::{Device, DeviceError, SectorRange};
use diptych_format::{BLOCK_BYTES, SectorNo};
use diptych_sync::Mutex;
use diptych_sync::atomic::{AtomicI32, Ordering};
use rustix::fs::{FlockOperation, fdatasync, flock};
use rustix::io::Errno;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;

/// The most sectors of a file: offsets are signed 64-bit numbers of bytes.
const MAX_SECTORS: u64 = i64::MAX as u64 / BLOCK_BYTES as u64;

/// A drive in a file of its own: sector n is the 512 bytes from byte 512 n on, and nothing else.
///
/// The file is sparse: a sector takes room when it is first written, so a write can meet
/// [`DeviceError::StorageFull`]. Reads and writes are positioned and take no lock.
///
/// A flush is one `fdatasync`. **If it fails the drive is lost**: the operating system reports a
/// lost write once and may then take the page for clean, so a second flush would succeed without
/// the data. No flush is retried; every later request gets the first one's
/// [`DeviceError::FlushFailed`]. Whoever holds the data elsewhere opens the file again and writes
/// once more what was not durable.
///
/// One process at a time has the file open as a drive, held by an advisory lock.
pub struct FileDrive {
    file: File,
    sector_count: u64,
    /// Held during a flush, and by nothing else. Of two flushes at once the operating system tells
    /// only one that a write was lost, so the other must wait for the verdict.
    flushing: Mutex<()>,
    /// The code of the flush that failed; 0 while the drive is good.
    flush_error: AtomicI32,
}

impl FileDrive {
    /// Makes a drive of `sector_count` sectors, all zero, in a new file.
    ///
    /// When this returns, the file, its length and its name in the directory are durable. If it
    /// fails it leaves no file behind. If the machine stops meanwhile, the name may be there without
    /// the length, which [`open`](Self::open) refuses.
    ///
    /// # Errors
    ///
    /// [`DeviceError::Exists`] if there is something of this name, [`DeviceError::Size`] if the
    /// size is zero or more than a file can have, [`DeviceError::StorageFull`] or
    /// [`DeviceError::Io`] if the file cannot be made.
    pub fn create(path: impl AsRef<Path>, sector_count: u64) -> Result<Self, DeviceError> {
        let path = path.as_ref();
        if sector_count == 0 || sector_count > MAX_SECTORS {
            let bytes = sector_count.saturating_mul(BLOCK_BYTES as u64);
            return Err(DeviceError::Size { bytes });
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(path)?;
        Self::establish(&file, path, sector_count).inspect_err(|_| {
            // The file is ours and unfinished; the error to report is the first one.
            let _ = std::fs::remove_file(path);
        })?;
        Ok(Self::over(file, sector_count))
    }

    /// Opens the drive in a file made by [`create`](Self::create).
    ///
    /// # Errors
    ///
    /// [`DeviceError::Size`] if the file is empty or not whole sectors, [`DeviceError::InUse`] if
    /// it is open as a drive already, [`DeviceError::Io`] if it cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, DeviceError> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        lock(&file)?;
        let bytes = file.metadata()?.len();
        if bytes == 0 || !bytes.is_multiple_of(BLOCK_BYTES as u64) {
            return Err(DeviceError::Size { bytes });
        }
        Ok(Self::over(file, bytes / BLOCK_BYTES as u64))
    }

    fn over(file: File, sector_count: u64) -> Self {
        let (flushing, flush_error) = (Mutex::new(()), AtomicI32::new(0));
        Self { file, sector_count, flushing, flush_error }
    }

    /// Gives a new file its length, and makes it and its name durable, in this order: no name is
    /// durable before what it names.
    fn establish(file: &File, path: &Path, sector_count: u64) -> Result<(), DeviceError> {
        lock(file)?;
        file.set_len(sector_count * BLOCK_BYTES as u64)?;
        file.sync_all()?;
        File::open(directory_of(path))?.sync_all()?;
        Ok(())
    }

    /// Refuses everything once a flush has failed.
    fn check_good(&self) -> Result<(), DeviceError> {
        match self.flush_error.load(Ordering::Acquire) {
            0 => Ok(()),
            os_code => {
                let kind = io::Error::from_raw_os_error(os_code).kind();
                Err(DeviceError::FlushFailed { kind, os_code: Some(os_code) })
            }
        }
    }
}

impl Device for FileDrive {
    fn sector_count(&self) -> u64 {
        self.sector_count
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|b| b.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count)?;
        self.check_good()?;
        let at_byte = range.start.0 * BLOCK_BYTES as u64;
        read_all(&self.file, bufs, at_byte).map_err(read_error)
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let lengths = bufs.iter().map(|b| b.len());
        let range = SectorRange::of_request(sector, lengths, self.sector_count)?;
        self.check_good()?;
        let at_byte = range.start.0 * BLOCK_BYTES as u64;
        write_all(&self.file, bufs, at_byte).map_err(write_error)
    }

    fn flush(&self) -> Result<(), DeviceError> {
        let _flushing = self.flushing.lock();
        self.check_good()?;
        // Not even an interrupted flush is made again: what it did is not known.
        fdatasync(&self.file).or_else(|errno| {
            self.flush_error.store(errno.raw_os_error(), Ordering::Release);
            self.check_good()
        })
    }
}

impl fmt::Debug for FileDrive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileDrive({} sectors)", self.sector_count)
    }
}

impl Drop for FileDrive {
    /// Gives the lock up, and does not leave that to the close: a process that is just being started has a
    /// copy of the descriptor for a moment, and the lock with it.
    fn drop(&mut self) {
        let (Ok(()) | Err(_)) = flock(&self.file, FlockOperation::Unlock);
    }
}

fn lock(file: &File) -> Result<(), DeviceError> {
    flock(file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno {
        Errno::WOULDBLOCK => DeviceError::InUse,
        other => io::Error::from(other).into(),
    })
}

/// The directory that holds the name.
fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        _ => Path::new("."),
    }
}

fn read_error(stopped: Stopped) -> DeviceError {
    match stopped.errno {
        Some(Errno::IO) => {
            DeviceError::Medium { sector: SectorNo(stopped.at_byte / BLOCK_BYTES as u64) }
        }
        Some(errno) => io::Error::from(errno).into(),
        // Somebody made the file shorter.
        None => DeviceError::Io { kind: io::ErrorKind::UnexpectedEof, os_code: None },
    }
}

fn write_error(stopped: Stopped) -> DeviceError {
    match stopped.errno {
        Some(errno) => io::Error::from(errno).into(),
        None => DeviceError::Io { kind: io::ErrorKind::WriteZero, os_code: None },
    }
}

#[cfg(all(test, target_os = "linux", not(any(diptych_loom, diptych_shuttle))))]
mod tests {
    use super::*;

    /// A drive over a special file, to meet the errors that a good file never has.
    fn over(path: &str) -> FileDrive {
        let file = OpenOptions::new().read(true).write(true).open(path).unwrap();
        FileDrive::over(file, 8)
    }

    fn read(drive: &FileDrive) -> Result<(), DeviceError> {
        drive.read_at(SectorNo(1), &mut [IoSliceMut::new(&mut [0; 512])])
    }

    fn write(drive: &FileDrive) -> Result<(), DeviceError> {
        drive.write_at(SectorNo(1), &[IoSlice::new(&[1; 512])])
    }

    #[test]
    fn a_failed_flush_ends_the_drive() {
        // fdatasync of a character device is refused with EINVAL.
        let drive = over("/dev/zero");
        let lost = DeviceError::FlushFailed {
            kind: io::ErrorKind::InvalidInput,
            os_code: Some(Errno::INVAL.raw_os_error()),
        };
        assert_eq!((read(&drive), write(&drive)), (Ok(()), Ok(())));
        assert_eq!(drive.flush(), Err(lost));
        assert_eq!((read(&drive), write(&drive)), (Err(lost), Err(lost)));
        assert_eq!(drive.flush(), Err(lost));
        assert!(lost.is_final());
    }

    #[test]
    fn errors_of_the_system_are_typed() {
        assert_eq!(write(&over("/dev/full")), Err(DeviceError::StorageFull));
        let eof = DeviceError::Io { kind: io::ErrorKind::UnexpectedEof, os_code: None };
        assert_eq!(read(&over("/dev/null")), Err(eof));
    }

    #[test]
    fn an_io_error_of_a_read_is_a_medium_error_at_the_sector_reached() {
        fn check(at_byte: u64, errno: Option<Errno>, expected: [DeviceError; 2]) {
            let stopped = || Stopped { at_byte, errno };
            assert_eq!([read_error(stopped()), write_error(stopped())], expected, "{errno:?}");
        }
        let io = |kind, errno: Option<Errno>| DeviceError::Io {
            kind,
            os_code: errno.map(Errno::raw_os_error),
        };
        let errno = Some(Errno::IO);
        let kind = io::Error::from(Errno::IO).kind();
        check(5 * 512, errno, [DeviceError::Medium { sector: SectorNo(5) }, io(kind, errno)]);
        check(5 * 512 + 511, errno, [DeviceError::Medium { sector: SectorNo(5) }, io(kind, errno)]);
        check(0, Some(Errno::NOSPC), [DeviceError::StorageFull; 2]);
        check(0, Some(Errno::TIMEDOUT), [DeviceError::TimedOut; 2]);
        check(
            0,
            None,
            [io(io::ErrorKind::UnexpectedEof, None), io(io::ErrorKind::WriteZero, None)],
        );
    }

    #[test]
    fn the_directory_of_a_name() {
        fn check(path: &str, expected: &str) {
            assert_eq!(directory_of(Path::new(path)), Path::new(expected), "{path}");
        }
        check("drive", ".");
        check("./drive", ".");
        check("drives/0", "drives");
        check("/drive", "/");
    }
}
