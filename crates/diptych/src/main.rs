//! The `diptych` program.
//!
//! Exit codes: 0 all went well, 1 the unit did something wrong, 2 the input or the environment did
//! not allow it. Results go to stdout, progress and errors to stderr.

mod demo;
mod play;
mod size;
mod unit;
mod verify;

use clap::{Parser, Subcommand};
use std::io::{self, Write};
use std::process::ExitCode;

/// A disk-array control unit in software, with in-system replication.
#[derive(Debug, Parser)]
#[command(version, term_width = 98, max_term_width = 98, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Demo(demo::DemoArgs),
    Play(play::PlayArgs),
    Unit(unit::UnitArgs),
    Verify(verify::VerifyArgs),
}

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Demo(#[from] demo::DemoError),
    #[error(transparent)]
    Play(#[from] play::PlayError),
    #[error(transparent)]
    Unit(#[from] unit::UnitCommandError),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Demo(error) => error.exit_code(),
            Self::Play(error) => error.exit_code(),
            Self::Unit(error) => error.exit_code(),
        }
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().what {
        What::Demo(args) => demo::run(&args).map_err(Failure::from),
        What::Play(args) => play::run(&args).map_err(Failure::from),
        What::Unit(args) => unit::run(&args).map_err(Failure::from),
        What::Verify(args) => verify::run(&args).map_err(Failure::from),
    };
    match done {
        Ok(verdict) => verdict,
        Err(error) => {
            // Nothing is left to tell it to if stderr is closed; the exit code still does.
            let _ = writeln!(io::stderr(), "diptych: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
