//! The secondary in a file, read as a host reads it.

use super::check::hex;
use super::progress::Bar;
use super::rig::Side;
use super::{DemoError, Image, Rig};
use diptych::format::{BLOCK_BYTES, BlockNo, BlockRange};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// What a host read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ReadReport {
    /// The file it was exported to.
    pub(crate) exported_to: Option<PathBuf>,
    pub(crate) bytes: u64,
    /// SHA-256 of what was read through the host channel.
    pub(crate) sha256: String,
}

/// Where to: a new file that takes its name when it is complete, or something that is no file.
enum Target {
    New(NamedTempFile),
    Special(File),
}

impl Target {
    fn open(path: &Path) -> io::Result<Self> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            Ok(metadata) if !metadata.is_file() => {
                Ok(Self::Special(OpenOptions::new().write(true).open(path)?))
            }
            Ok(_) | Err(_) => {
                let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
                let mode = Permissions::from_mode(0o666);
                let mut builder = tempfile::Builder::new();
                let made = builder.permissions(mode).tempfile_in(parent.unwrap_or(Path::new(".")));
                // The path in the error would be the made-up one.
                made.map(Self::New).map_err(|error| error.kind().into())
            }
        }
    }

    fn file(&mut self) -> &mut File {
        match self {
            Self::New(file) => file.as_file_mut(),
            Self::Special(file) => file,
        }
    }
}

/// Fails early if nothing can be exported there.
pub(crate) fn try_target(path: &Path) -> Result<(), DemoError> {
    let tried = Target::open(path).map(drop);
    tried.map_err(|source| DemoError::Export { path: path.to_owned(), source })
}

/// Reads the image's blocks from the secondary through the host channel and, if there is a path,
/// writes them there. A file of that name is replaced once the new one is complete.
pub(crate) fn read_secondary(
    rig: &Rig,
    image: &Image,
    path: Option<&Path>,
    bar: &Bar,
) -> Result<ReadReport, DemoError> {
    let failed = |source| {
        let path = path.unwrap_or(Path::new("")).to_owned();
        DemoError::Export { path, source }
    };
    let mut target = path.map(Target::open).transpose().map_err(failed)?;
    let mut digest = Sha256::new();
    let blocks_per_track = rig.geometry().blocks_per_track();
    let mut start = 0;
    while start < image.block_count() {
        let count = blocks_per_track.min(image.block_count() - start);
        let data = rig.read(Side::Secondary, BlockRange::new(BlockNo(start), count))?;
        digest.update(&data);
        if let Some(target) = &mut target {
            target.file().write_all(&data).map_err(failed)?;
        }
        start += count;
        bar.at(start / blocks_per_track);
    }
    if let (Some(Target::New(file)), Some(path)) = (target, path) {
        file.as_file().sync_all().map_err(failed)?;
        file.persist(path).map_err(|error| failed(error.error))?;
    }
    let bytes = image.block_count() * BLOCK_BYTES as u64;
    Ok(ReadReport { exported_to: path.map(Path::to_owned), bytes, sha256: hex(&digest.finalize()) })
}
