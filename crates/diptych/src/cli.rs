//! The command line against a unit that runs: what is asked over HTTP, and how answers are told.
//!
//! Results go to stdout, as tables for people or with `--json` as the unit gave them; progress,
//! questions and errors to stderr. Exit codes are the same for every command: see [`EXIT_CODES`].

mod ask;
mod commanding;
mod completions;
mod copying;
mod error;
mod group;
mod history;
mod host_group;
mod inband;
mod ldev;
mod lu;
mod pair;
mod schedule;
mod status;
mod table;
mod transfer;
mod user;
mod wait;

pub(crate) use completions::{CompletionsArgs, write_completions};
pub(crate) use inband::{InbandArgs, run as run_inband};
pub(crate) use status::StatusArgs;

use crate::serve::control_socket;
use diptych::rest::{Client, Endpoint, Method};
use error::CliError;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use table::write_answer;

/// What every command says at the end of its help.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the unit refused or failed, or there was nothing to do in the status met: no image was made
  2  bad input, or no unit answers
  3  waited as long as was allowed";

/// The end of a command's help: its examples, and the exit codes.
fn help(examples: &str) -> String {
    format!("{examples}\n\n{EXIT_CODES}")
}

/// Which unit is asked, and how it is told.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct UnitArgs {
    /// The directory of a unit that `diptych serve` runs; goes before --url
    #[arg(short, long, value_name = "DIR", global = true, help_heading = "Unit")]
    dir: Option<PathBuf>,

    /// Where the unit is asked: http://IP:PORT or unix:PATH
    #[arg(long, value_name = "URL", env = "DIPTYCH_URL", global = true, help_heading = "Unit")]
    url: Option<Endpoint>,

    /// Print JSON
    #[arg(long, global = true, help_heading = "Unit")]
    json: bool,
}

/// A unit that is asked, and how its answers are told.
pub(crate) struct Asked {
    client: Client,
    json: bool,
}

impl Asked {
    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, CliError> {
        Ok(self.client.call(Method::Get, path, &())?)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CliError> {
        Ok(self.client.call(Method::Post, path, body)?)
    }

    fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CliError> {
        Ok(self.client.call(Method::Put, path, body)?)
    }

    fn patch<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, CliError> {
        Ok(self.client.call(Method::Patch, path, body)?)
    }

    /// Has something removed, and tells so in these words.
    fn delete(&self, path: &str, words: impl FnOnce() -> String) -> Result<(), CliError> {
        let done: serde_json::Value = self.client.call(Method::Delete, path, &())?;
        self.tell(&done, |_| words())
    }

    /// Asks for something, and tells it.
    fn show<T: DeserializeOwned + Serialize>(
        &self,
        path: &str,
        words: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        self.tell(&self.get(path)?, words)
    }

    /// Tells an answer: as it is, or in words. A table or a line has its end already.
    fn tell<T: Serialize>(
        &self,
        answer: &T,
        words: impl FnOnce(&T) -> String,
    ) -> Result<(), CliError> {
        write_answer(self.json, answer, words)
    }
}

/// A command against a unit.
pub(crate) trait Run {
    /// Which unit is asked.
    fn unit(&self) -> &UnitArgs;

    /// Carries it out.
    fn run(&self, asked: &Asked) -> Result<(), CliError>;
}

// Without words of help: those of the commands under the noun are told.
#[derive(Debug, clap::Args)]
pub(crate) struct On<C: clap::Subcommand> {
    #[command(flatten)]
    unit: UnitArgs,

    #[command(subcommand)]
    what: C,
}

/// One of the commands under a noun.
pub(crate) trait Act {
    /// Carries it out.
    fn act(&self, asked: &Asked) -> Result<(), CliError>;
}

impl<C: clap::Subcommand + Act> Run for On<C> {
    fn unit(&self) -> &UnitArgs {
        &self.unit
    }

    fn run(&self, asked: &Asked) -> Result<(), CliError> {
        self.what.act(asked)
    }
}

pub(crate) type GroupArgs = On<group::What>;
pub(crate) type HostGroupArgs = On<host_group::What>;
pub(crate) type LdevArgs = On<ldev::What>;
pub(crate) type LuArgs = On<lu::What>;
pub(crate) type PairArgs = On<pair::What>;
pub(crate) type ScheduleArgs = On<schedule::What>;
pub(crate) type UserArgs = On<user::What>;

/// Carries out a command, tells what went wrong, and says with which code to exit.
pub(crate) fn run(command: &dyn Run) -> ExitCode {
    let unit = command.unit();
    let done = asked(unit).and_then(|asked| command.run(&asked));
    done.map_or_else(|error| told_error(&error, unit.json), |()| ExitCode::SUCCESS)
}

/// Tells an error, and says with which code to exit.
fn told_error(error: &CliError, json: bool) -> ExitCode {
    // Nothing is left to tell it to if stderr is closed; the exit code still does.
    let _ = io::stderr().write_all(error.told(json).as_bytes());
    ExitCode::from(error.exit_code())
}

fn asked(unit: &UnitArgs) -> Result<Asked, CliError> {
    let endpoint = match (&unit.dir, &unit.url) {
        (Some(dir), _) => Endpoint::Unix(control_socket(dir)),
        (None, Some(url)) => url.clone(),
        (None, None) => return Err(CliError::NoUnit),
    };
    Ok(Asked { client: Client::new(&endpoint)?, json: unit.json })
}

/// A name or number as a part of a path.
fn part(text: &str) -> Result<&str, CliError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
    let fits = !text.is_empty() && text.chars().all(plain) && !matches!(text, "." | "..");
    if fits { Ok(text) } else { Err(CliError::NotName { text: text.to_owned() }) }
}
