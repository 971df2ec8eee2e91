//! Contents of volumes, from files and into files.

use super::error::CliError;
use super::{Asked, part};
use diptych::rest::api::Transferred;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;

const BAR: &str = "{wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left";

/// A bar on stderr, if that is a terminal.
fn bar() -> ProgressBar {
    // The template is this file's own.
    let style = ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(0).with_style(style)
}

fn file(path: &Path) -> impl Fn(io::Error) -> CliError + '_ {
    move |source| CliError::File { path: path.to_owned(), source }
}

/// Reads a volume into a file that is not there yet, or on stdout (`-`).
pub(super) fn export(asked: &Asked, ldev: &str, to: &Path, force: bool) -> Result<(), CliError> {
    let path = format!("/v1/ldevs/{}/content", part(ldev)?);
    let bar = bar();
    let mut progress = |bytes, all| {
        bar.set_length(all);
        bar.set_position(bytes);
    };
    if to == Path::new("-") {
        let mut out = io::stdout().lock();
        asked.client.export(&path, &mut out, &mut progress)?;
        out.flush().map_err(CliError::Tell)?;
    } else {
        let mut options = OpenOptions::new();
        options.write(true).create(true).create_new(!force).truncate(force);
        let mut out = BufWriter::new(options.open(to).map_err(file(to))?);
        asked.client.export(&path, &mut out, &mut progress)?;
        let out = out.into_inner().map_err(|error| file(to)(error.into_error()))?;
        out.sync_all().map_err(file(to))?;
    }
    bar.finish_and_clear();
    Ok(())
}

/// Writes a file into a volume, from its beginning.
pub(super) fn import(asked: &Asked, ldev: &str, from: &Path, force: bool) -> Result<(), CliError> {
    let path = format!("/v1/ldevs/{}/content?force={force}", part(ldev)?);
    let mut source = File::open(from).map_err(file(from))?;
    // A block device has no length in its metadata.
    let all = source.seek(SeekFrom::End(0)).map_err(file(from))?;
    source.rewind().map_err(file(from))?;
    let bar = bar();
    let mut progress = |bytes, all| {
        bar.set_length(all);
        bar.set_position(bytes);
    };
    let done: Transferred = asked.client.import(&path, &mut source, all, &mut progress)?;
    bar.finish_and_clear();
    asked.tell(&done, |done| format!("{} into {ldev}", HumanBytes(done.bytes)))
}
