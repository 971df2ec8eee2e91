//! Pair commands (Figs. 2 and 8): each a job that claims the whole family, so that every host
//! change is either before the command or after it.

mod create;
mod on_pair;
mod rules;

pub(crate) use rules::follows_nothing;

use crate::Mailbox;
use crate::core::{Core, copies};
use crate::history::{HistoryEntry, Message};
use diptych_cha::{Command, CommandCode, Outcome, Refusal};
use diptych_format::Time;
use diptych_shared::{Pair, PairStatus};
use std::ops::Deref;

/// A command, and when it came.
struct Asked {
    command: Command,
    at: Time,
}

impl Deref for Asked {
    type Target = Command;

    fn deref(&self) -> &Command {
        &self.command
    }
}

/// Carries out a command and records what it came to.
pub(crate) async fn command(m: &Mailbox, core: &Core, command: Command) -> Outcome {
    let (asked, most) = (command.options.lanes, core.config.lanes_max);
    let command = Asked { command, at: m.now() };
    let outcome = match command.code {
        _ if !(1..=most).contains(&asked) => Outcome::Refused(Refusal::Lanes { asked, most }),
        CommandCode::Create => create::create(m, core, &command).await,
        _ => on_pair::on_pair(m, core, &command).await,
    };
    match outcome {
        // Recorded where it was accepted.
        Outcome::Accepted { .. } => {}
        Outcome::Nothing { met } => {
            let entry = command.entry(m.now(), Message::Nothing(command.code));
            core.record(entry.statuses(met, met));
        }
        Outcome::Refused(why) => {
            core.record(command.entry(m.now(), Message::Refused(command.code, why)));
        }
    }
    m.kick();
    outcome
}

impl Asked {
    /// The command is accepted: recorded under the family's lock, so that nothing that follows from it
    /// is recorded before. `pair` is as it was for a command that ends a copy, else as it is now.
    fn accepted(
        &self,
        m: &Mailbox,
        core: &Core,
        pair: &Pair,
        from: Option<PairStatus>,
        to: Option<PairStatus>,
    ) -> Outcome {
        let entry = self.entry(m.now(), Message::Accepted(self.code)).of_pair(pair);
        let ends_copy = matches!(self.code, CommandCode::Suspend | CommandCode::Delete)
            && from.is_some_and(copies);
        let entry = if ends_copy { entry.of_copy(pair) } else { entry };
        core.record(entry.statuses(from, to));
        Outcome::Accepted { pair: pair.id, from, to }
    }

    /// What the history says of the command.
    fn entry(&self, now: Time, message: Message) -> HistoryEntry {
        let entry = HistoryEntry::new(now, message).by(self.who);
        entry.of_volumes(self.primary, self.secondary).took(now.ns_since(self.at))
    }
}
