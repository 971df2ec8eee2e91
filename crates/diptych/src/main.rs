//! The `diptych` program.
//!
//! Exit codes: 0 all went well, 1 the unit did something wrong or refused, 2 the input or the environment
//! did not allow it, 3 waited too long. Results go to stdout; progress, errors and what is traced to stderr.

mod cli;
mod config;
mod demo;
mod init;
mod lu_map;
mod offline;
mod play;
mod serve;
mod show;
mod size;
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
    Init(init::InitArgs),
    Serve(serve::ServeArgs),
    Show(show::ShowArgs),
    Verify(verify::VerifyArgs),
    Status(cli::StatusArgs),
    Ldev(cli::LdevArgs),
    Lu(cli::LuArgs),
    HostGroup(cli::HostGroupArgs),
    User(cli::UserArgs),
    Pair(cli::PairArgs),
    Group(cli::GroupArgs),
    Inband(cli::InbandArgs),
    Schedule(cli::ScheduleArgs),
    Completions(cli::CompletionsArgs),
    Demo(demo::DemoArgs),
    Play(play::PlayArgs),
}

/// Why the program ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Demo(#[from] demo::DemoError),
    #[error(transparent)]
    Play(#[from] play::PlayError),
    #[error(transparent)]
    Offline(#[from] offline::OfflineError),
    #[error(transparent)]
    Serve(#[from] serve::ServeError),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Demo(error) => error.exit_code(),
            Self::Play(error) => error.exit_code(),
            Self::Offline(error) => error.exit_code(),
            Self::Serve(error) => error.exit_code(),
        }
    }
}

fn main() -> ExitCode {
    let done = match Cli::parse().what {
        What::Demo(args) => demo::run(&args).map_err(Failure::from),
        What::Play(args) => play::run(&args).map_err(Failure::from),
        What::Init(args) => init::run(&args).map_err(Failure::from),
        What::Serve(args) => serve::run(&args).map_err(Failure::from),
        What::Show(args) => show::run(&args).map_err(Failure::from),
        What::Verify(args) => verify::run(&args).map_err(Failure::from),
        What::Status(args) => return cli::run(&args),
        What::Ldev(args) => return cli::run(&args),
        What::Lu(args) => return cli::run(&args),
        What::HostGroup(args) => return cli::run(&args),
        What::User(args) => return cli::run(&args),
        What::Pair(args) => return cli::run(&args),
        What::Group(args) => return cli::run(&args),
        What::Inband(args) => return cli::run_inband(&args),
        What::Schedule(args) => return cli::run(&args),
        What::Completions(args) => return cli::write_completions::<Cli>(&args),
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
