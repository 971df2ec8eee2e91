//! Splits under load in virtual time, every block of every image checked: what `cargo xtask storm` runs.
#![allow(clippy::print_stdout, reason = "the figure is what the program is for")]

use clap::{Parser, ValueEnum};
use diptych_testkit::{Flaw, Storm, StormReport, run_storm};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

/// Splits under load in virtual time, every block of every image checked.
#[derive(Parser)]
struct Args {
    /// Splits to make.
    #[arg(long, default_value_t = 10_000)]
    splits: u64,
    /// The seed of the first unit.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Makes the storm wrong on purpose: it has to find wrong blocks.
    #[arg(long, value_enum)]
    flaw: Option<Wrongly>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Wrongly {
    /// The volumes of one split are split one after another.
    OneByOne,
    /// The instant is taken to be before everything that was under way at the command.
    InstantEarly,
    /// The instant is taken to be when the image is first looked at.
    InstantLate,
}

impl From<Wrongly> for Flaw {
    fn from(flaw: Wrongly) -> Self {
        match flaw {
            Wrongly::OneByOne => Self::OneByOne,
            Wrongly::InstantEarly => Self::InstantEarly,
            Wrongly::InstantLate => Self::InstantLate,
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let storm = Storm { seed: args.seed, splits: args.splits, flaw: args.flaw.map(Flaw::from) };
    let style = "{elapsed_precise} [{wide_bar}] {pos} of {len} splits, {eta} left, {msg}";
    // On standard error, and only if that is a terminal.
    let bar = ProgressBar::new(args.splits).with_style(ProgressStyle::with_template(style)?);
    let begun = Instant::now();
    let report = run_storm(storm, |report| {
        bar.set_position(report.splits);
        bar.set_message(format!("{} wrong blocks", report.wrong_blocks));
    });
    bar.finish_and_clear();
    let report = report?;
    let StormReport { splits, group_splits, images, blocks, writes, .. } = report;
    let StormReport { protected_tracks, refused, wrong_blocks, images_below, restores, .. } =
        report;
    println!(
        "storm: {splits} splits, {group_splits} of them of groups ({refused} more refused), \
         {images} images, {images_below} images of images, {restores} restores, {blocks} blocks checked, {writes} writes, {protected_tracks} tracks copied \
         before a write, {wrong_blocks} wrong blocks, seed {}, {:.3} s in the units, {:.1} s",
        args.seed,
        report.virtual_ns as f64 / 1e9,
        begun.elapsed().as_secs_f64()
    );
    if let Some(wrong) = report.first_wrong {
        let flaw = args.flaw.and_then(|flaw| flaw.to_possible_value());
        let flaw = flaw.map_or(String::new(), |flaw| format!(" --flaw {}", flaw.get_name()));
        println!("{wrong}\nagain: cargo xtask storm --splits 50 --seed {}{flaw}", wrong.seed);
    }
    let as_it_should_be = report.first_wrong.is_some() == args.flaw.is_some();
    Ok(if as_it_should_be { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
