//! What commands for one pair and for all pairs of a group have in common.

use super::ask::YesArgs;
use super::copying::CopyArgs;
use super::error::CliError;
use diptych::rest::api::PairCommand;

/// How a command is carried out.
#[derive(Debug, clap::Args)]
pub(crate) struct HowArgs {
    #[command(flatten)]
    copying: CopyArgs,

    /// Also if hosts that use a secondary are cut off it
    #[arg(short, long)]
    force: bool,

    /// Exit with 0 also if there was nothing to do
    #[arg(long)]
    pub(super) or_nothing: bool,
}

impl HowArgs {
    pub(super) fn command(&self) -> PairCommand {
        let options = self.copying.options();
        PairCommand { options, force: self.force, ..PairCommand::default() }
    }
}

/// How a primary gets its secondary's content.
#[derive(Debug, clap::Args)]
pub(crate) struct RestoreArgs {
    /// The volumes exchange their storage: a primary is the image at once
    #[arg(long)]
    quick_restore: bool,

    /// The pair stays split, and the secondary is what the primary was
    #[arg(long, requires = "quick_restore")]
    freeze: bool,

    #[command(flatten)]
    yes: YesArgs,
}

impl RestoreArgs {
    /// Asks whether it is wanted; then how.
    pub(super) fn asked(
        &self,
        question: &str,
        command: PairCommand,
    ) -> Result<PairCommand, CliError> {
        self.yes.ask(question)?;
        let (quick_restore, freeze) = (self.quick_restore, self.freeze);
        Ok(PairCommand { quick_restore, freeze, ..command })
    }
}
