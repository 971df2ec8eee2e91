//! Create pair with a secondary that the unit chooses (Fig. 11C: 1524 on *Auto*).
//!
//! Candidates are the reserved volumes of the primary's size and type that are in no pair and normal,
//! the lowest LDEV number first; they are reserved also where the unit does not ask for that. What
//! was seen of one may be over when its claim is granted: create refuses it then, and the next one is
//! tried. The primary is looked at first, so what is wrong with it is said before that there is
//! nothing to choose.

use super::Asked;
use super::create::create;
use super::rules::{CreateRules, alike};
use crate::Mailbox;
use crate::core::Core;
use diptych_cha::{CreateAuto, Outcome, Refusal};
use diptych_format::{LdevId, Time};
use diptych_shared::{FamilyState, Volume, VolumeState};
use std::ops::Bound;

pub(super) async fn create_auto(m: &Mailbox, core: &Core, auto: CreateAuto) -> Outcome {
    let ldev = auto.primary;
    let primary = match primary(core, auto) {
        Ok(primary) => primary,
        Err(refusal) => return Outcome::Refused(refusal),
    };
    let at = m.now();
    let mut tried = None;
    while let Some(secondary) = next_candidate(core, &primary, tried) {
        tried = Some(secondary);
        match create(m, core, &Asked { command: auto.choose(secondary), at }, true).await {
            Outcome::Accepted { pair, to: Some(to), .. } => {
                return Outcome::Chosen { pair, secondary, to };
            }
            // Somebody else made this very pair meanwhile.
            Outcome::Nothing { .. } => {}
            Outcome::Refused(why) if is_of_candidate(why, secondary) => {}
            outcome => return outcome,
        }
    }
    Outcome::Refused(Refusal::NoneToChoose { ldev })
}

/// The primary as it is now, if it may be one.
fn primary(core: &Core, auto: CreateAuto) -> Result<Volume, Refusal> {
    let ldev = auto.primary;
    // The secondary is not known yet, and the primary's side asks for it only to find a circle.
    let rules = CreateRules {
        command: &auto.choose(ldev),
        secondaries_max: core.config.secondaries_max,
        needs_reserve: true,
        in_use: (0, Time::ZERO),
        writers: &core.writers,
    };
    let look = |family: &mut FamilyState| {
        rules.primary(family)?;
        family.volume(ldev).cloned().ok_or(Refusal::NoVolume { ldev })
    };
    core.shared.with_family(ldev, look).map_err(|_| Refusal::NoVolume { ldev })?
}

/// The next volume that may be chosen, above the one tried last.
fn next_candidate(core: &Core, primary: &Volume, tried: Option<LdevId>) -> Option<LdevId> {
    let above = tried.map_or(Bound::Unbounded, Bound::Excluded);
    let of_this_shape: Vec<LdevId> = {
        let shapes = core.shapes.read();
        let alike = shapes
            .range((above, Bound::Unbounded))
            .filter(|(ldev, shape)| **ldev != primary.ldev && shape.geometry == primary.geometry);
        alike.map(|(ldev, _)| *ldev).collect()
    };
    let is_free = |ldev: &LdevId| {
        core.shared.with_family(*ldev, |family| is_candidate(family, *ldev, primary)) == Ok(true)
    };
    of_this_shape.into_iter().find(is_free)
}

fn is_candidate(family: &FamilyState, ldev: LdevId, primary: &Volume) -> bool {
    let Some(volume) = family.volume(ldev) else { return false };
    let paired =
        family.pair_of_secondary(ldev).is_some() || family.pairs_of_primary(ldev).next().is_some();
    let usable = volume.reserved && volume.state == VolumeState::Normal;
    usable && !paired && alike(primary, volume).is_ok()
}

/// Whether create refused the candidate, and not the primary or the unit as a whole.
fn is_of_candidate(why: Refusal, candidate: LdevId) -> bool {
    match why {
        Refusal::NoVolume { ldev } | Refusal::Blocked { ldev } => ldev == candidate,
        Refusal::SizeMismatch { .. }
        | Refusal::TypeMismatch
        | Refusal::SecondaryIsSecondary { .. }
        | Refusal::SecondaryIsPrimary { .. }
        | Refusal::NotReserved { .. }
        | Refusal::InUse { .. }
        // The candidate became a primary, and its secondary is our primary.
        | Refusal::Cycle { .. } => true,
        _ => false,
    }
}
