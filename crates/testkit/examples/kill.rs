//! A real process with a unit over files, killed at random moments: what `cargo xtask kill` runs.
#![allow(clippy::print_stdout, reason = "the figures are what the program is for")]
#![allow(clippy::print_stderr, reason = "what a child cannot do is for whoever looks at the run")]

use clap::{Parser, ValueEnum};
use diptych_testkit::{KillConfig, KillReport, Life, live, run_kills};
use diptych_unit::Durability;
use indicatif::{ProgressBar, ProgressStyle};
use std::error::Error;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::Instant;

/// A real process with a unit over files, killed at random moments: every acknowledged write and every
/// image has to be there afterwards.
#[derive(Parser)]
struct Args {
    /// How often to kill, in each mode.
    #[arg(long, default_value_t = 150)]
    times: u64,
    /// The seed of moments, hosts and commands.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One mode alone. Default: both.
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Where to make the unit's directory. Default: the temporary directory.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Mode {
    /// An answer survives the death of the process.
    WriteBack,
    /// An answer survives a loss of power.
    Battery,
}

impl From<Mode> for Durability {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::WriteBack => Self::WriteBack,
            Mode::Battery => Self::Battery,
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|arg| arg == "child") {
        let life = Life::from_args(&args[1..]).ok_or("no life")?;
        live(&life)?;
        return Ok(ExitCode::FAILURE); // it was to be killed
    }
    let args = Args::parse();
    let modes = args.mode.map_or(vec![Mode::WriteBack, Mode::Battery], |mode| vec![mode]);
    let mut sound = true;
    for mode in modes {
        sound &= run(&args, mode)?;
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(args: &Args, mode: Mode) -> Result<bool, Box<dyn Error>> {
    let parent = args.dir.clone().unwrap_or_else(std::env::temp_dir);
    let temp = tempfile::TempDir::with_prefix_in("diptych-kill-", parent)?;
    let dir = temp.path().join("unit");
    let (seed, times, durability) = (args.seed, args.times, Durability::from(mode));
    let config = KillConfig { dir, seed, times, durability, life_ms_max: 300 };
    let exe = std::env::current_exe()?;
    let program = |life: &Life| {
        let mut program = Command::new(&exe);
        program.arg("child").args(life.args());
        program
    };
    let style = "{elapsed_precise} [{wide_bar}] {pos} of {len} kills, {eta} left";
    // On standard error, and only if that is a terminal.
    let bar = ProgressBar::new(times).with_style(ProgressStyle::with_template(style)?);
    let begun = Instant::now();
    let report = run_kills(&config, program, |report| bar.set_position(report.kills));
    bar.finish_and_clear();
    let seconds = begun.elapsed().as_secs_f64();
    let name = mode.to_possible_value().map_or(String::new(), |name| name.get_name().to_owned());
    let report = report.inspect_err(|_| {
        eprintln!("kill: the unit is left in {}", config.dir.display());
    });
    let KillReport {
        kills,
        kills_in_recovery,
        kills_in_copy,
        writes,
        commands,
        unanswered,
        blocks,
        images,
        scheduled,
        records,
        torn,
        first_wrong,
    } = match report {
        Ok(report) => report,
        Err(error) => {
            let _ = temp.keep();
            return Err(error.into());
        }
    };
    println!(
        "kill {name}: {kills} kills ({kills_in_recovery} before the unit was open, {kills_in_copy} while \
         pairs were copied), {writes} writes and {commands} commands acknowledged, {unanswered} requests \
         not answered, {records} records replayed, {torn} torn ends, {blocks} blocks and {images} images \
         compared, {scheduled} images of the schedule, {} errors, seed {seed}, {seconds:.1} s",
        u8::from(first_wrong.is_some())
    );
    if let Some(wrong) = &first_wrong {
        println!("after kill {kills}: {wrong}");
        println!("the unit is left in {}", temp.keep().display());
    }
    Ok(first_wrong.is_none())
}
