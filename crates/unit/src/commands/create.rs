//! Create pair 211, 231: a new entry of the pair information, and one family of two. A copy command
//! may come with it (Fig. 11E): then nobody ever sees the pair in 802.

use super::Asked;
use super::rules::{CreateRules, alike};
use crate::Mailbox;
use crate::core::Core;
use crate::held::{Held, NotHeld, Once};
use diptych_cha::{Command, Outcome, Refusal};
use diptych_format::{FamilyId, ImageNo, LdevId};
use diptych_shared::{Change, Claim, Pair, SharedError, Volume};

/// Both families, or the one that has both volumes.
enum Families<'m> {
    One(Held<'m>),
    Two { primary: Held<'m>, secondary: Held<'m> },
}

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
    let families = match claim_families(m, core, command).await {
        Ok(families) => families,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    if let Families::One(held) = &families {
        let met = held.with(|family| {
            family.pair_between(command.primary, command.secondary).map(|pair| pair.status)
        });
        if met.is_some() {
            return Outcome::Nothing { met };
        }
    }
    let secondaries_max = core.config.secondaries_max;
    match check(&CreateRules { command, secondaries_max, needs_reserve }, &families) {
        Ok(()) => add_pair(m, core, command, families),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// Claims the whole of both families, the lower id first. Families may be merged and split while
/// this waits, so nothing is waited for out of order: it starts again instead.
async fn claim_families<'m>(
    m: &'m Mailbox,
    core: &Core,
    command: &Asked,
) -> Result<Families<'m>, Refusal> {
    let (primary, secondary) = (command.primary, command.secondary);
    loop {
        let swapped = family_of(core, secondary)? < family_of(core, primary)?;
        let (first, second) = if swapped { (secondary, primary) } else { (primary, secondary) };
        let refused = |ldev| move |error: NotHeld| error.refusal(ldev);
        let (held, _) = Held::claim(m, core, first, None, |_| ()).await.map_err(refused(first))?;
        if held.with(|family| family.volume(second).is_some()) {
            return Ok(Families::One(held));
        }
        let above = held.as_claim().family_id();
        match Held::claim_above(m, core, second, above).await.map_err(refused(second))? {
            Once::Held(other) if swapped => {
                return Ok(Families::Two { primary: other, secondary: held });
            }
            Once::Held(other) => return Ok(Families::Two { primary: held, secondary: other }),
            Once::Again => {}
        }
    }
}

fn family_of(core: &Core, ldev: LdevId) -> Result<FamilyId, Refusal> {
    core.shared.with_family(ldev, |family| family.id()).map_err(|_| Refusal::NoVolume { ldev })
}

fn check(rules: &CreateRules<'_>, families: &Families<'_>) -> Result<(), Refusal> {
    let command = rules.command;
    let volume = |held: &Held<'_>, ldev| -> Result<Volume, Refusal> {
        held.with(|family| family.volume(ldev).cloned()).ok_or(Refusal::NoVolume { ldev })
    };
    let (of_primary, of_secondary) = match families {
        Families::One(held) => (held, held),
        Families::Two { primary, secondary } => (primary, secondary),
    };
    let (primary, secondary) =
        (volume(of_primary, command.primary)?, volume(of_secondary, command.secondary)?);
    of_primary.with(|family| rules.primary(family))?;
    alike(&primary, &secondary)?;
    of_secondary.with(|family| rules.secondary(family))
}

fn add_pair(m: &Mailbox, core: &Core, command: &Asked, families: Families<'_>) -> Outcome {
    let id = match core.shared.allocate_pair() {
        Ok(id) => id,
        Err(SharedError::TooManyPairs { limit }) => {
            return Outcome::Refused(Refusal::TooManyPairs { most: limit });
        }
        Err(_) => return Outcome::Refused(Refusal::Busy),
    };
    let held = match families {
        Families::One(held) => held,
        Families::Two { primary, secondary } => merge(m, core, primary, secondary),
    };
    held.with(|family| {
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
    })
}

fn merge<'m>(m: &'m Mailbox, core: &Core, primary: Held<'m>, secondary: Held<'m>) -> Held<'m> {
    let (a, b): (Claim, Claim) = (primary.into_claim(), secondary.into_claim());
    let (claim, wakes) = core.shared.merge(a, b);
    m.wake(wakes);
    Held::new(m, claim)
}
