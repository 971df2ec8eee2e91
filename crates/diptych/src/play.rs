//! `diptych play`: scenarios that people can read, played against a control unit of their own.
//!
//! | noun | what it is |
//! |---|---|
//! | `Scenario` | a file: settings, volumes, steps, each with its line |
//! | `Act`, `Happened` | a verb with its fields; what came of it, and what is not as expected |
//! | `Stage` | drives, unit and driver, made anew for each scenario |
//! | `Load` | a host that writes on and on, and what an image may hold of its writes |
//! | `Answer`, `Expect` | what a step is answered, and what a scenario expects |
//! | `Report` | lines for people, or JSON lines |
//!
//! Invariants:
//! - A step begins when the one before it has ended; what the unit does of itself goes on meanwhile.
//! - Everything goes through `diptych_sim::Driver`: no verb knows which driver it is.
//! - Every scenario is a check as well that nobody waits at its end and every stored block verifies.

mod answer;
mod args;
mod content;
mod error;
mod file;
mod load;
mod player;
mod report;
mod stage;
mod threads;
mod verb;
mod verbs;
mod words;

pub(crate) use args::PlayArgs;
pub(crate) use error::PlayError;

use file::{Scenario, TimeKind};
use report::{Report, Style, Verdict};
use stage::Setting;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Plays all scenarios, and says with which code to exit.
pub(crate) fn run(args: &PlayArgs) -> Result<ExitCode, PlayError> {
    let style = match (args.json, args.check, args.verbose) {
        (true, _, _) => Style::Json,
        (_, true, true) => Style::Both,
        (_, true, false) => Style::Verdicts,
        (_, false, _) => Style::Steps,
    };
    if args.seed.is_some() && args.time == Some(TimeKind::Real) {
        return Err(PlayError::SeedInRealTime);
    }
    let paths = files(&args.scenarios)?;
    let mut stdout = io::stdout().lock();
    let mut report = Report::new(&mut stdout, style);
    let (mut failed, mut code) = (0, 0);
    for path in &paths {
        let of_this = match play_file(path, args, &mut report) {
            Ok(Verdict::Held) => 0,
            Ok(Verdict::Failed) => 1,
            Err(error @ PlayError::Report(_)) => return Err(error),
            Err(error) => {
                // Nothing is left to tell it to if stderr is closed; the exit code still does.
                let _ = writeln!(io::stderr(), "diptych: {error}");
                error.exit_code()
            }
        };
        failed += usize::from(of_this != 0);
        code = code.max(of_this);
    }
    report.sums_up(paths.len(), failed)?;
    Ok(ExitCode::from(code))
}

fn play_file(path: &Path, args: &PlayArgs, report: &mut Report<'_>) -> Result<Verdict, PlayError> {
    let scenario = Scenario::read(path)?;
    let time = match (scenario.time, args.time) {
        (Some(tied), Some(asked)) if tied != asked => {
            let (tied, asked) = (tied.name(), asked.name());
            return Err(PlayError::Tied { path: path.to_owned(), tied, asked });
        }
        (Some(time), _) | (None, Some(time)) => time,
        (None, None) => TimeKind::Virtual,
    };
    let setting = Setting { time, seed: args.seed, dir: args.dir.clone() };
    player::play(&scenario, &setting, args.check, report)
}

/// The files; in place of a directory its scenarios, by name.
fn files(named: &[PathBuf]) -> Result<Vec<PathBuf>, PlayError> {
    let mut files = Vec::new();
    for path in named {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let unreadable = |source| PlayError::Read { path: path.clone(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(path).map_err(unreadable)? {
            let file = entry.map_err(unreadable)?.path();
            if file.extension().is_some_and(|ending| ending == "toml") {
                found.push(file);
            }
        }
        if found.is_empty() {
            return Err(PlayError::NoScenarios { dir: path.clone() });
        }
        found.sort();
        files.append(&mut found);
    }
    Ok(files)
}
