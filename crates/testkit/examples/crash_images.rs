//! Every image that a cut of power can leave, and a unit that comes back on it: what
//! `cargo xtask crash-images` runs.
#![allow(clippy::print_stdout, reason = "the figure is what the program is for")]

use clap::{Parser, ValueEnum};
use diptych_testkit::{CrashImages, CrashImagesReport, LyingDrive, run_crash_images};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

/// Every image that a cut of power can leave, and a unit that comes back on it.
#[derive(Parser)]
struct Args {
    /// Different images to make.
    #[arg(long, default_value_t = 1_000_000)]
    images: u64,
    /// The seed of the first program.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A drive that says it has flushed, and has not: there have to be wrong images.
    #[arg(long, value_enum)]
    lying: Option<Lying>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Lying {
    /// That of the log.
    Log,
    /// Those under the volumes.
    OfVolumes,
}

impl From<Lying> for LyingDrive {
    fn from(lying: Lying) -> Self {
        match lying {
            Lying::Log => Self::Log,
            Lying::OfVolumes => Self::OfVolumes,
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let lying = args.lying.map(LyingDrive::from);
    let style = "{elapsed_precise} [{wide_bar}] {pos} of {len} images, {eta} left, {msg}";
    // On standard error, and only if that is a terminal.
    let bar = ProgressBar::new(args.images).with_style(ProgressStyle::with_template(style)?);
    let begun = Instant::now();
    let what = CrashImages { seed: args.seed, images: args.images, lying };
    let report = run_crash_images(what, |report| {
        bar.set_position(report.images);
        bar.set_message(format!("{} wrong", report.wrong));
    });
    bar.finish_and_clear();
    let CrashImagesReport { programs, images, second_images, wrong, first_wrong, .. } = report?;
    println!(
        "crash images: {images} different images of {programs} programs, {second_images} more of a \
         second cut, {wrong} wrong, seed {}, {:.1} s",
        args.seed,
        begun.elapsed().as_secs_f64()
    );
    let found = first_wrong.is_some();
    if let Some((seed, wrong)) = first_wrong {
        println!(
            "program {seed}: {wrong}\nagain: cargo xtask crash-images --images 1 --seed {seed}"
        );
    }
    Ok(if found == lying.is_some() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
