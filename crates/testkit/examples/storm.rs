//! Splits under load in virtual time, every block of every image checked; with `--seeds` crashes instead.
//! What `cargo xtask storm` runs.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures are what the program is for"
)]

use clap::{Parser, ValueEnum};
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::{Mutex, thread};
use diptych_testkit::{CrashFlaw, CrashReport, Flaw, Storm, StormReport, run_crashes, run_storm};
use indicatif::{ProgressBar, ProgressStyle};
use std::cell::Cell;
use std::error::Error;
use std::process::ExitCode;
use std::time::Instant;

/// Splits under load, or crashes, in virtual time; every block checked.
#[derive(Parser)]
struct Args {
    /// Splits to make.
    #[arg(long, default_value_t = 10_000)]
    splits: u64,
    /// Crashes instead: units to make, each of its own seed, killed and cut off again and again.
    #[arg(long)]
    seeds: Option<u64>,
    /// What is wrong with the crashes on purpose: they have to find it.
    #[arg(long, value_enum, requires = "seeds")]
    crash_flaw: Option<CrashWrongly>,
    /// Shows the end of what happened before something was found to be wrong by a crash.
    #[arg(long, requires = "seeds")]
    trace: bool,
    /// Goes on after a seed that found something.
    #[arg(long, requires = "seeds")]
    go_on: bool,
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

#[derive(Clone, Copy, ValueEnum)]
enum CrashWrongly {
    /// What was answered was not written before.
    AnswerBeforeAppend,
    /// The log says that it has flushed, and has not.
    LogFlushLies,
    /// Drives say that they have flushed, and have not.
    DriveFlushLies,
}

impl From<CrashWrongly> for CrashFlaw {
    fn from(flaw: CrashWrongly) -> Self {
        match flaw {
            CrashWrongly::AnswerBeforeAppend => Self::AnswerBeforeAppend,
            CrashWrongly::LogFlushLies => Self::LogFlushLies,
            CrashWrongly::DriveFlushLies => Self::DriveFlushLies,
        }
    }
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
    if let Some(seeds) = args.seeds {
        return crashes(&args, seeds);
    }
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

thread_local! {
    /// The seed that is under way.
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// Lines of a trace.
const TRACE_LINES: usize = 400;

/// What all threads have found so far.
#[derive(Default)]
struct Crashes {
    report: CrashReport,
    wrong: u64,
}

/// Takes seeds until none is left, or one is wrong.
fn take_seeds(args: &Args, next: &AtomicU64, end: u64, all: &Mutex<Crashes>, bar: &ProgressBar) {
    let flaw = args.crash_flaw.map(CrashFlaw::from);
    let trace_max = if args.trace { TRACE_LINES } else { 0 };
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            break;
        }
        SEED.set(seed);
        let ended = run_crashes(seed, flaw, trace_max);
        let mut all = all.lock();
        match ended {
            Ok(one) => all.report.add(&one),
            Err(found) => {
                all.wrong += 1;
                if args.trace {
                    println!("{}{}", found.trace, found.drawn);
                }
                println!("{found}\nagain: cargo xtask storm --seeds 1 --seed {seed} --trace");
                if !args.go_on {
                    next.fetch_add(end, Ordering::Relaxed);
                }
            }
        }
        bar.inc(1);
        bar.set_message(format!("{} wrong", all.wrong));
    }
}

fn crashes(args: &Args, seeds: u64) -> Result<ExitCode, Box<dyn Error>> {
    let style = "{elapsed_precise} [{wide_bar}] {pos} of {len} seeds, {eta} left, {msg}";
    let bar = ProgressBar::new(seeds).with_style(ProgressStyle::with_template(style)?);
    let begun = Instant::now();
    // A panic may end the program: jobs that are dropped find locks that were held.
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("seed {}: {panic}", SEED.get());
    }));
    let next = AtomicU64::new(args.seed);
    let mut all = Mutex::new(Crashes::default());
    let end = args.seed + seeds;
    let threads = thread::available_parallelism()?.get().min(seeds as usize);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| take_seeds(args, &next, end, &all, &bar));
        }
    });
    let Crashes { report, wrong } = std::mem::take(all.get_mut());
    bar.finish_and_clear();
    let (virtual_s, real_s) = (report.virtual_ns as f64 / 1e9, begun.elapsed().as_secs_f64());
    let CrashReport { seeds, kills, cuts, in_recovery, restarts, operations, writes, .. } = report;
    let CrashReport { commands, found_accepted, images, blocks, quiet, rotten, .. } = report;
    println!(
        "storm: {seeds} seeds from {}, {kills} kills and {cuts} cuts, {in_recovery} of them in \
         recovery, {restarts} restarts, {operations} operations, {writes} writes, {commands} commands \
         ({found_accepted} found accepted after a crash), {images} images, {rotten} rotten tracks, {blocks} blocks checked, \
         {quiet} times quiet, {wrong} wrong, {virtual_s:.1} s in the units, {real_s:.1} s, {:.0} times \
         as fast",
        args.seed,
        virtual_s / real_s
    );
    let as_it_should_be = (wrong > 0) == args.crash_flaw.is_some();
    Ok(if as_it_should_be { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
