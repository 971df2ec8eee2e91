//! Create pair 211, 231: a new entry of the pair information, and one family of two. A copy command
//! may come with it (Fig. 11E): then nobody ever sees the pair in 802.

use super::Asked;
use super::families::Families;
use super::on_pair::committed;
use super::rules::{CreateRules, alike};
use crate::Mailbox;
use crate::core::Core;
use crate::held::Held;
use crate::ledger;
use diptych_cha::{Command, Outcome, Refusal};
use diptych_format::{ImageNo, PairId};
use diptych_shared::{Change, Pair, SharedError, Volume};

/// `needs_reserve`: whether the secondary must be reserved.
pub(super) async fn create(
    m: &Mailbox,
    core: &Core,
    command: &Asked,
    needs_reserve: bool,
) -> Outcome {
    if command.primary == command.secondary {
        return Outcome::Refused(Refusal::SameVolume { ldev: command.primary });
    }
    let both = [command.primary, command.secondary];
    let families = match Families::claim(m, core, &both, None).await {
        Ok(families) => families,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    let met = families.of(command.primary).with(|family| {
        family.pair_between(command.primary, command.secondary).map(|pair| pair.status)
    });
    if met.is_some() {
        return Outcome::Nothing { met };
    }
    let secondaries_max = core.config.secondaries_max;
    let in_use = (core.config.in_use_ns, m.now());
    let writers = &core.writers;
    let rules = CreateRules { command, secondaries_max, needs_reserve, in_use, writers };
    match check(&rules, &families) {
        Ok(()) => add_pair(m, core, command, families).await,
        Err(refusal) => Outcome::Refused(refusal),
    }
}

fn check(rules: &CreateRules<'_>, families: &Families<'_>) -> Result<(), Refusal> {
    let command = rules.command;
    let volume = |ldev| -> Result<Volume, Refusal> {
        let volume = families.of(ldev).with(|family| family.volume(ldev).cloned());
        volume.ok_or(Refusal::NoVolume { ldev })
    };
    let (primary, secondary) = (volume(command.primary)?, volume(command.secondary)?);
    families.of(command.primary).with(|family| rules.primary(family))?;
    alike(&primary, &secondary)?;
    families.of(command.secondary).with(|family| rules.secondary(family))
}

async fn add_pair(m: &Mailbox, core: &Core, command: &Asked, families: Families<'_>) -> Outcome {
    let track_count = families.of(command.primary).with(|family| family.track_count());
    let id = match allocate(core, track_count) {
        Ok(id) => id,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    let merged = families.into_held().reduce(|a, b| merge(m, core, a, b));
    let held = merged.expect("a volume has a family");
    let outcome = held.with(|family| {
        let Command { primary, secondary, options, .. } = **command;
        let (tracks, copier) = (family.track_count(), command.initial_copy);
        let pair = Pair::new(id, primary, secondary, tracks, options, copier);
        family.change(Change::AddPair(Box::new(pair))); // 231
        family.change(Change::CopyBegins { pair: id, at: m.now() });
        // It will be what its primary is.
        family.change(Change::Undefined { ldev: secondary, undefined: false });
        if command.and_copy {
            let image = ImageNo(core.next_sequence());
            family.change(Change::Copy { pair: id, image, options });
        }
        let pair = family.pair(id).expect("the pair just added");
        if pair.copier {
            core.scheduler.lock().start(id, primary, options);
        }
        command.accepted(m, core, pair, None, Some(pair.status))
    });
    committed(m, core, outcome).await
}

/// A pair number, with room for the pair in every checkpoint.
fn allocate(core: &Core, track_count: u64) -> Result<PairId, Refusal> {
    let bytes = ledger::of_pair(track_count);
    core.ledger.take(bytes)?;
    let id = core.shared.allocate_pair().map_err(|error| match error {
        SharedError::TooManyPairs { limit } => Refusal::TooManyPairs { most: limit },
        _ => Refusal::Busy,
    });
    match id {
        // The number stays when the pair is gone.
        Ok(id) if id.epoch == 0 => core.ledger.found(ledger::of_numbers(1)),
        Ok(_) => {}
        Err(_) => core.ledger.put_back(bytes),
    }
    id
}

fn merge<'m>(m: &'m Mailbox, core: &Core, a: Held<'m>, b: Held<'m>) -> Held<'m> {
    let (claim, wakes) = core.shared.merge(a.into_claim(), b.into_claim());
    m.wake(wakes);
    Held::new(m, claim)
}
