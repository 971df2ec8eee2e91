//! Pair commands (Figs. 2 and 8): each a job that claims the whole family, so that every host
//! change is either before the command or after it.

mod create;
mod on_pair;
mod rules;

use crate::Mailbox;
use crate::core::Core;
use crate::history::{HistoryEntry, of_outcome};
use diptych_cha::{Command, CommandCode, Outcome};

/// Carries out a command and records what it came to.
pub(crate) async fn command(m: &Mailbox, core: &Core, command: Command) -> Outcome {
    let outcome = match command.code {
        CommandCode::Create => create::create(m, core, &command).await,
        _ => on_pair::on_pair(m, core, &command).await,
    };
    let (message, pair, from, to) = of_outcome(command.code, outcome);
    core.record(HistoryEntry {
        at: m.now(),
        message,
        pair,
        primary: Some(command.primary),
        secondary: Some(command.secondary),
        from,
        to,
    });
    m.kick();
    outcome
}
