//! Whole families under claim: those of all volumes that a command names.

use crate::Mailbox;
use crate::core::Core;
use crate::drain::Drain;
use crate::held::{Held, NotHeld, Once};
use diptych_cha::Refusal;
use diptych_format::{FamilyId, LdevId, TrackNo, TrackRange};
use diptych_shared::{Claim, FamilyState};
use diptych_sync::mutant;
use std::collections::BTreeMap;

/// The families of some volumes, each claimed whole.
pub(crate) struct Families<'m> {
    core: &'m Core,
    held: BTreeMap<FamilyId, Held<'m>>,
}

impl<'m> Families<'m> {
    /// Claims them in ascending order of their ids. Families may be merged and split while this waits,
    /// so nothing is waited for out of order: it starts again instead.
    pub(crate) async fn claim(
        m: &'m Mailbox,
        core: &'m Core,
        ldevs: &[LdevId],
        drain: Option<&Drain<'_>>,
    ) -> Result<Self, Refusal> {
        loop {
            if let Some(families) = Self::try_claim(m, core, ldevs, drain).await? {
                return Ok(families);
            }
        }
    }

    /// `None`: families were merged or split meanwhile.
    async fn try_claim(
        m: &'m Mailbox,
        core: &'m Core,
        ldevs: &[LdevId],
        drain: Option<&Drain<'_>>,
    ) -> Result<Option<Self>, Refusal> {
        let mut ordered = Vec::with_capacity(ldevs.len());
        for &ldev in ldevs {
            ordered.push((family_of(core, ldev)?, ldev));
        }
        ordered.sort_unstable();
        // Whole families: every host change is before the command or after it.
        let partial = drain.filter(|_| mutant::removed("group-barrier"));
        let barrier = partial.map(|_| TrackRange::one(TrackNo(0)));
        let mut families = Self { core, held: BTreeMap::new() };
        for (_, ldev) in ordered {
            if families.find(ldev).is_some() {
                continue;
            }
            if let Some(drain) = drain {
                drain.waits_at(ldev);
            }
            let refused = |error: NotHeld| match (error, drain) {
                (NotHeld::Stopping, Some(drain)) if m.now() >= drain.until() => Refusal::DrainLimit,
                (error, _) => error.refusal(ldev),
            };
            // Above all that are held: the one claimed last may be below another by now.
            let held = match families.held.last_key_value().filter(|_| barrier.is_none()) {
                None => Held::claim(m, core, ldev, barrier, |_| ()).await.map_err(refused)?.0,
                Some((above, _)) => {
                    match Held::claim_above(m, core, ldev, *above).await.map_err(refused)? {
                        Once::Held(held) => held,
                        Once::Again => return Ok(None),
                    }
                }
            };
            families.held.insert(held.as_claim().family_id(), held);
        }
        Ok(Some(families))
    }

    /// The family of one of the volumes.
    pub(crate) fn of(&self, ldev: LdevId) -> &Held<'m> {
        self.find(ldev).expect("the family of every volume named is claimed")
    }

    fn find(&self, ldev: LdevId) -> Option<&Held<'m>> {
        self.held.get(&family_of(self.core, ldev).ok()?)
    }

    /// Looks at, or changes, all of them at one instant; the changes are one group in the log.
    pub(crate) fn with_all<R>(&self, body: impl FnOnce(&mut Locked<'_, '_>) -> R) -> R {
        let claims: Vec<&Claim> = self.held.values().map(Held::as_claim).collect();
        Claim::with_all(&claims, |states| {
            let result = body(&mut Locked(states));
            self.core.journal.put_all(states);
            result
        })
    }

    /// The claims, in ascending order of their families.
    pub(super) fn into_held(self) -> impl Iterator<Item = Held<'m>> {
        self.held.into_values()
    }
}

/// Families that are locked together.
pub(crate) struct Locked<'a, 'f>(&'a mut [&'f mut FamilyState]);

impl Locked<'_, '_> {
    /// The family of one of the volumes.
    pub(crate) fn of(&mut self, ldev: LdevId) -> &mut FamilyState {
        let found = self.0.iter_mut().find(|family| family.volume(ldev).is_some());
        found.expect("the family of every volume named is claimed")
    }
}

fn family_of(core: &Core, ldev: LdevId) -> Result<FamilyId, Refusal> {
    core.shared.with_family(ldev, |family| family.id()).map_err(|_| Refusal::NoVolume { ldev })
}
