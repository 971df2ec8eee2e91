//! The `diptych` program.
//!
//! Exit codes: 0 all went well, 1 the unit did something wrong, 2 the input or the environment did
//! not allow it. Results go to stdout, progress and errors to stderr.

mod demo;

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
}

fn main() -> ExitCode {
    let What::Demo(args) = Cli::parse().what;
    match demo::run(&args) {
        Ok(verdict) => verdict,
        Err(error) => {
            // Nothing is left to tell it to if stderr is closed; the exit code still does.
            let _ = writeln!(io::stderr(), "diptych: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
