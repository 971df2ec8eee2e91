//! The n-th request to a device goes wrong, for every n: what `cargo xtask faults` runs.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "figures are what the program is for"
)]

use clap::Parser;
use diptych_testkit::{FaultReport, fault_cases, run_fault};
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::panic;
use std::process::ExitCode;
use std::time::Instant;

/// The n-th request to a device goes wrong, for every n.
#[derive(Parser)]
struct Args {
    /// Only one case in so many.
    #[arg(long, default_value_t = 1)]
    stride: usize,
    /// Only cases whose text contains this.
    #[arg(long)]
    only: Option<String>,
    /// Goes on after a case that found something.
    #[arg(long)]
    go_on: bool,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let begun = Instant::now();
    let cases = fault_cases()?;
    let all = cases.len();
    let wanted = |text: &String| args.only.as_ref().is_none_or(|only| text.contains(only));
    let cases: Vec<_> = cases
        .into_iter()
        .step_by(args.stride.max(1))
        .filter(|case| wanted(&case.to_string()))
        .collect();
    let style = "{elapsed_precise} [{wide_bar}] {pos} of {len} cases, {eta} left, {msg}";
    // On standard error, and only if that is a terminal.
    let bar = ProgressBar::new(cases.len() as u64).with_style(ProgressStyle::with_template(style)?);
    // What a run panicked with is in what it found.
    panic::set_hook(Box::new(|_| ()));
    let (mut report, mut wrong) = (FaultReport::default(), 0);
    for case in &cases {
        match run_fault(case) {
            Ok(one) => report.add(&one),
            Err(found) => {
                wrong += 1;
                bar.suspend(|| println!("{found}"));
                if !args.go_on {
                    break;
                }
            }
        }
        bar.inc(1);
        bar.set_message(format!("{wrong} wrong"));
    }
    bar.finish_and_clear();
    let FaultReport { runs, struck, operations, blocks, images } = report;
    println!(
        "faults: {runs} runs of {all} cases, the device went wrong in {struck}, {operations} requests \
         answered, {images} images made, {blocks} blocks compared, {wrong} runs wrong, {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
