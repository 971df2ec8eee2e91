//! `diptych demo`: copies a volume under writers and checks every block.
//!
//! The steps, each a line of progress and a part of the report: import an image; copy it alone, to
//! measure; create the pair and copy it at an instant while writers overwrite it; check the
//! secondary; re-synchronize the writers' changes; rewrite some tracks, re-synchronize and copy
//! again; check both volumes; read the secondary as a host does.

mod args;
mod check;
mod copies;
mod error;
mod export;
mod image;
mod import;
mod ledger;
mod marked;
mod pack;
mod progress;
mod report;
mod rig;
mod table;
mod watched;
mod writers;

pub(crate) use args::DemoArgs;
pub(crate) use error::DemoError;
pub(crate) use image::Image;
pub(crate) use progress::Progress;
pub(crate) use rig::Rig;

use copies::Copies;
use diptych::sync::Arc;
use report::Report;
use std::io::{self, Write};
use std::process::ExitCode;

/// Tracks that are rewritten unless the arguments say how many.
const REWRITE_TRACKS: u64 = 10;

/// Runs the demo, reports, and says with which code to exit.
pub(crate) fn run(args: &DemoArgs) -> Result<ExitCode, DemoError> {
    let image = Image::of(args)?;
    if let Some(path) = &args.export {
        export::try_target(path)?;
    }
    let rig = Arc::new(Rig::new(args, &image)?);
    let tracks = image.track_count(rig.geometry());
    let rewrite = args.rewrite.unwrap_or(tracks.min(REWRITE_TRACKS));
    if rewrite > tracks {
        return Err(DemoError::TooManyTracks { asked: rewrite, tracks });
    }
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..));
    let progress = Progress::new();
    // A drive that failed is why whatever else went wrong.
    let report = carry_out(args, &rig, &image, seed, rewrite, &progress)
        .map_err(|error| rig.check_drives().err().unwrap_or(error));
    let kept = match &report {
        Ok(_) => rig.stop(),
        Err(_) => {
            rig.discard();
            None
        }
    };
    let report = Report { drives_kept_in: kept, ..report? };
    let text = if args.json { report.json()? } else { table::of(&report) };
    io::stdout().lock().write_all(text.as_bytes()).map_err(DemoError::Report)?;
    Ok(if report.all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn carry_out(
    args: &DemoArgs,
    rig: &Arc<Rig>,
    image: &Image,
    seed: u64,
    rewrite: u64,
    progress: &Progress,
) -> Result<Report, DemoError> {
    let import = import::import(rig, image, progress)?;
    let alone = copies::measure(rig, progress)?;
    let mut copies = Copies::new(rig, image, seed, progress);
    let first = copies.first(args.writers)?;
    let first_check = copies.check_secondary()?;
    let second = copies.again(0)?;
    let third = copies.again(rewrite)?;
    let last_check = copies.check_secondary()?;
    let primary_check = copies.check_primary()?;
    let bar = progress.step("read as a host", image.track_count(rig.geometry()));
    let read = export::read_secondary(rig, image, args.export.as_deref(), &bar)?;
    bar.done(&format!("{} bytes, SHA-256 {}", read.bytes, read.sha256));
    let all_right = [&first_check, &last_check, &primary_check].iter().all(|c| c.wrong() == 0)
        && [&second, &third].iter().all(|copy| copy.is_exact())
        && third.unequal_tracks == rewrite
        && read.sha256 == last_check.sha256;
    Ok(Report {
        seed,
        volume: report::VolumeReport::of(args, rig, image),
        import,
        alone,
        first,
        first_check,
        again: [second, third],
        last_check,
        primary_check,
        read,
        channel: report::ChannelReport::of(&rig.counters()),
        drives_kept_in: None,
        all_right,
    })
}
