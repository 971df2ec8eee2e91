//! The image that becomes the primary volume.

use super::pack::pack;
use super::{DemoArgs, DemoError};
use diptych::format::{BLOCK_BYTES, BlockRange, Geometry};
use std::env;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The largest image that is packed: it goes to the temporary directory.
const PACK_MAX_BYTES: u64 = 4 << 30;

/// The image: a file given, or a tar image of a directory in an unnamed temporary file.
#[derive(Debug)]
pub(crate) struct Image {
    path: PathBuf,
    is_packed: bool,
    file: File,
    bytes: u64,
}

impl Image {
    /// Opens or packs what the arguments name, if a volume of the type asked for holds it.
    pub(crate) fn of(args: &DemoArgs) -> Result<Self, DemoError> {
        let most_bytes = args.emulation.block_count().map(|count| count * BLOCK_BYTES as u64);
        let image = match &args.image {
            Some(path) => Self::open(path)?,
            None => Self::pack(args.from.clone(), most_bytes)?,
        };
        let (path, bytes) = (image.path.clone(), image.bytes);
        match most_bytes {
            _ if bytes == 0 => Err(DemoError::Empty { path }),
            Some(most_bytes) if bytes > most_bytes => {
                let emulation = args.emulation;
                Err(DemoError::TooLarge { path, bytes, emulation, most_bytes })
            }
            _ => Ok(image),
        }
    }

    fn open(path: &Path) -> Result<Self, DemoError> {
        let read = |source| DemoError::Read { path: path.to_owned(), source };
        // Asked before it is opened: opening a pipe would wait for its other end.
        let metadata = fs::metadata(path).map_err(read)?;
        if !metadata.is_file() {
            return Err(DemoError::NotFile { path: path.to_owned() });
        }
        let file = File::open(path).map_err(read)?;
        Ok(Self { path: path.to_owned(), is_packed: false, file, bytes: metadata.len() })
    }

    fn pack(from: Option<PathBuf>, most_bytes: Option<u64>) -> Result<Self, DemoError> {
        let path = match from {
            Some(path) => path,
            None => checkout()?,
        };
        let temporary = |source| DemoError::Directory { dir: env::temp_dir(), source };
        let file = tempfile::tempfile().map_err(temporary)?;
        pack(&path, &file, most_bytes.unwrap_or(PACK_MAX_BYTES).min(PACK_MAX_BYTES))?;
        let bytes = file.metadata().map_err(temporary)?.len();
        Ok(Self { path, is_packed: true, file, bytes })
    }

    /// The file, or the directory that was packed.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a directory packed into a tar image.
    pub(crate) fn is_packed(&self) -> bool {
        self.is_packed
    }

    /// Bytes of the image.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Blocks of the image; the last is filled up with zeros.
    pub(crate) fn block_count(&self) -> u64 {
        self.bytes.div_ceil(BLOCK_BYTES as u64)
    }

    /// Tracks of the image on a volume of this geometry.
    pub(crate) fn track_count(&self, geometry: Geometry) -> u64 {
        self.block_count().div_ceil(geometry.blocks_per_track())
    }

    /// Reads blocks; behind the image's end they are zero.
    pub(crate) fn read(&self, blocks: BlockRange, into: &mut [u8]) -> Result<(), DemoError> {
        let at_byte = blocks.start.0 * BLOCK_BYTES as u64;
        let present = self.bytes.saturating_sub(at_byte).min(into.len() as u64) as usize;
        let (data, behind) = into.split_at_mut(present);
        behind.fill(0);
        let read = |source| DemoError::Read { path: self.path.clone(), source };
        self.file.read_exact_at(data, at_byte).map_err(read)
    }
}

/// The checkout around the current directory, or that directory itself.
fn checkout() -> Result<PathBuf, DemoError> {
    let here = env::current_dir()
        .map_err(|source| DemoError::Read { path: PathBuf::from("."), source })?;
    let around = here.ancestors().find(|dir| dir.join(".git").exists()).map(Path::to_owned);
    Ok(around.unwrap_or(here))
}
