//! Packing a directory into a tar image.
//!
//! Names are sorted and owners and times left out, so that the same files make the same image.
//! Hidden entries, caches (directories with a `CACHEDIR.TAG`), devices and what cannot be read are
//! left out; symbolic links stay links.

use super::DemoError;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use tar::{Builder, EntryType, Header, HeaderMode};

/// Packs `dir` into `to`, at most `most_bytes`.
pub(crate) fn pack(dir: &Path, to: &File, most_bytes: u64) -> Result<(), DemoError> {
    if !dir.is_dir() {
        // Say which: there is no such thing, or it is something else.
        let path = dir.to_owned();
        return Err(match fs::metadata(dir) {
            Err(source) => DemoError::Read { path, source },
            Ok(_) => DemoError::NotDirectory { path },
        });
    }
    let mut builder = Builder::new(Bounded { to, left_bytes: most_bytes });
    let mut dirs = vec![PathBuf::new()];
    let packed = loop {
        let Some(under) = dirs.pop() else { break builder.finish() };
        if let Err(error) = pack_level(dir, &under, &mut builder, &mut dirs) {
            break Err(error);
        }
    };
    packed.map_err(|source| match source.kind() {
        io::ErrorKind::QuotaExceeded => {
            DemoError::PackTooLarge { path: dir.to_owned(), most_bytes }
        }
        _ => DemoError::Directory { dir: std::env::temp_dir(), source },
    })
}

/// The files of one directory; its directories are put off. Errors are of writing the image.
fn pack_level(
    root: &Path,
    under: &Path,
    builder: &mut Builder<Bounded<'_>>,
    dirs: &mut Vec<PathBuf>,
) -> io::Result<()> {
    // A directory that cannot be read is left out, as is a file.
    let Ok(entries) = fs::read_dir(root.join(under)) else { return Ok(()) };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    for name in names {
        let shown = name.to_string_lossy();
        if shown.starts_with('.') {
            continue;
        }
        let inner = under.join(&name);
        let outer = root.join(&inner);
        let Ok(metadata) = fs::symlink_metadata(&outer) else { continue };
        if metadata.is_dir() {
            if !outer.join("CACHEDIR.TAG").exists() {
                dirs.push(inner);
            }
            continue;
        }
        let mut header = Header::new_gnu();
        header.set_metadata_in_mode(&metadata, HeaderMode::Deterministic);
        if metadata.is_symlink() {
            let Ok(target) = fs::read_link(&outer) else { continue };
            header.set_entry_type(EntryType::Symlink);
            header.set_size(0);
            builder.append_link(&mut header, &inner, target)?;
        } else if metadata.is_file() {
            let Ok(file) = File::open(&outer) else { continue };
            // The file may grow or shrink meanwhile; the header has its length already.
            let length = metadata.len();
            let content = file.take(length).chain(io::repeat(0)).take(length);
            builder.append_data(&mut header, &inner, content)?;
        }
    }
    Ok(())
}

/// A file that takes so many bytes.
struct Bounded<'a> {
    to: &'a File,
    left_bytes: u64,
}

impl Write for Bounded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left_bytes {
            return Err(io::ErrorKind::QuotaExceeded.into());
        }
        let written = self.to.write(bytes)?;
        self.left_bytes -= written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
