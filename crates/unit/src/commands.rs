//! Pair commands (Figs. 2 and 8): each a job that claims the whole family, so that every host
//! change is either before the command or after it.

mod create;
mod on_pair;
mod rules;

pub(crate) use rules::follows_nothing;

use crate::Mailbox;
use crate::core::Core;
use crate::history::{HistoryEntry, of_outcome};
use diptych_cha::{Command, CommandCode, Outcome, Refusal};

/// Carries out a command and records what it came to.
pub(crate) async fn command(m: &Mailbox, core: &Core, command: Command) -> Outcome {
    let (asked, most) = (command.options.lanes, core.config.lanes_max);
    let outcome = match command.code {
        _ if !(1..=most).contains(&asked) => Outcome::Refused(Refusal::Lanes { asked, most }),
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
