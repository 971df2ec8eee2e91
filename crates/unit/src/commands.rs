//! Pair commands (Figs. 2 and 8): each a job that claims the whole family, so that every host
//! change is either before the command or after it.

mod create;
mod create_auto;
mod families;
mod group;
mod on_pair;
mod rules;

pub(crate) use families::Families;
pub(crate) use group::group;
pub(crate) use on_pair::image_of_now;
pub(crate) use rules::{first_level_copied, follows_nothing, in_use, primary_defined};

use crate::Mailbox;
use crate::core::Core;
use crate::held::Room;
use crate::history::{HistoryEntry, Message};
use crate::settle::settle_family;
use diptych_cha::{Command, CommandCode, CreateAuto, Outcome, Refusal};
use diptych_format::Time;
use diptych_shared::{Pair, PairStatus};
use std::ops::Deref;

/// A command, and when it came.
#[derive(Clone, Copy)]
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
    let command = Asked { command, at: m.now() };
    for ldev in [command.primary, command.secondary] {
        settle_family(m, core, ldev).await;
    }
    let _room = match Room::for_command(m, core, &[command.primary]).await {
        Ok(room) => room,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    let outcome = match (lanes(core, &command), command.code) {
        (Err(refusal), _) => Outcome::Refused(refusal),
        (Ok(()), CommandCode::Create) => {
            create::create(m, core, &command, core.config.needs_reserve).await
        }
        (Ok(()), _) => on_pair::on_pair(m, core, &command).await,
    };
    match outcome {
        // Recorded where it was accepted.
        Outcome::Accepted { .. } | Outcome::Chosen { .. } => {}
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

/// As [`command`], for a create command whose secondary is to be chosen.
pub(crate) async fn create_auto(m: &Mailbox, core: &Core, auto: CreateAuto) -> Outcome {
    let (primary, at) = (auto.primary, m.now());
    let outcome = match lanes(core, &auto.choose(primary)) {
        Err(refusal) => Outcome::Refused(refusal),
        Ok(()) => match Room::for_command(m, core, &[primary]).await {
            Ok(_room) => create_auto::create_auto(m, core, auto).await,
            Err(refusal) => Outcome::Refused(refusal),
        },
    };
    if let Outcome::Refused(why) = outcome {
        let entry = HistoryEntry::new(m.now(), Message::Refused(CommandCode::Create, why));
        core.record(entry.by(auto.who).of_volume(primary).took(m.now().ns_since(at)));
    }
    m.kick();
    outcome
}

fn lanes(core: &Core, command: &Command) -> Result<(), Refusal> {
    let (asked, most) = (command.options.lanes, core.config.lanes_max);
    if (1..=most).contains(&asked) { Ok(()) } else { Err(Refusal::Lanes { asked, most }) }
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
            && from.is_some_and(PairStatus::is_copying);
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
