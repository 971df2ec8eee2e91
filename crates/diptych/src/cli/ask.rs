//! Questions before something is lost.

use super::error::CliError;
use std::io::{self, IsTerminal, Write};

/// Whether to ask.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct YesArgs {
    /// Do not ask; nobody is asked where stdin is no terminal
    #[arg(short, long)]
    yes: bool,
}

impl YesArgs {
    /// Asks whether it is wanted, if somebody is there to be asked.
    pub(super) fn ask(self, question: &str) -> Result<(), CliError> {
        if self.yes || !io::stdin().is_terminal() || !io::stderr().is_terminal() {
            return Ok(());
        }
        let mut out = io::stderr();
        let asked = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
        asked.map_err(CliError::Tell)?;
        let mut answer = String::new();
        io::stdin().read_line(&mut answer).map_err(CliError::Tell)?;
        match answer.trim().to_ascii_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(CliError::NotWanted),
        }
    }
}
