//! Completions of shells.

use clap::CommandFactory;
use clap_complete::{Shell, generate};
use std::io;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  diptych completions bash > ~/.local/share/bash-completion/completions/diptych
  diptych completions zsh > ~/.zfunc/_diptych
  diptych completions fish > ~/.config/fish/completions/diptych.fish";

/// Print what completes commands and options in a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Prints those of this program.
pub(crate) fn write_completions<P: CommandFactory>(args: &CompletionsArgs) -> ExitCode {
    let mut text = Vec::new();
    generate(args.shell, &mut P::command(), "diptych", &mut text);
    // Who closes stdout early, as head does, wants no more.
    let _ = io::Write::write_all(&mut io::stdout(), &text);
    ExitCode::SUCCESS
}
