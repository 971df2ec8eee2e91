//! Merging and splitting families, for the commands that create and delete pairs.
//!
//! Both happen under claims of the whole families, so nobody else holds a claim there. Claims that
//! wait are moved: their owners are answered [`Answer::Moved`] and ask again, and are led to the
//! family the volume is in by then.

use crate::claim::Claim;
use crate::family::Family;
use crate::{FamilyState, Pair, SharedMemory, Volume};
use diptych_format::{Answer, OwnerId, Wakes};
use diptych_sync::{Arc, mutant};

impl SharedMemory {
    /// Makes one family of two, before a pair is added that joins them. The family with the lower id
    /// stays; the other is gone. Returns the claim of the whole, and all owners who waited in
    /// either: they ask again.
    ///
    /// # Panics
    ///
    /// If the claims are not of one owner, two families, all tracks of both, and as many tracks
    /// in one as in the other.
    pub fn merge(&self, a: Claim, b: Claim) -> (Claim, Wakes) {
        assert_eq!(a.owner, b.owner, "two owners merge families");
        assert_ne!(a.family.id, b.family.id, "a family is merged with itself");
        let (stays, goes) = if a.family.id < b.family.id { (a, b) } else { (b, a) };
        let mut wakes = Wakes::new();
        {
            let mut into = stays.family.state.lock();
            let mut from = goes.family.state.lock();
            stays.assert_whole_family(&into);
            goes.assert_whole_family(&from);
            assert_eq!(into.track_count(), from.track_count(), "families of unequal volumes");
            for state in [&mut *into, &mut *from] {
                let moved = state.claims.drain_queued().map(|owner| (owner, Answer::Moved));
                if mutant::removed("moved-on-merge") {
                    moved.for_each(drop);
                } else {
                    wakes.extend(moved);
                }
            }
            self.join(&stays.family, &mut into, &mut from);
        }
        (stays, wakes)
    }

    /// Makes one family of each part that the remaining pairs join, after pairs were removed. The
    /// part with the lowest volume keeps the family's id. Returns a claim of each part, ascending by
    /// family, and all owners who waited; if there is only one part nobody is moved.
    ///
    /// # Panics
    ///
    /// If the claim is not of the whole family.
    pub fn split(&self, claim: Claim) -> (Vec<Claim>, Wakes) {
        let mut claims = Vec::new();
        let mut wakes = Wakes::new();
        {
            let mut state = claim.family.state.lock();
            claim.assert_whole_family(&state);
            let parts = state.split_off();
            if !parts.is_empty() {
                let moved = state.claims.drain_queued().map(|owner| (owner, Answer::Moved));
                if mutant::removed("moved-on-split") {
                    moved.for_each(drop);
                } else {
                    wakes.extend(moved);
                }
            }
            let (owner, tracks) = (claim.owner, claim.tracks);
            for family in self.part(parts, tracks.count(), Some(owner)) {
                claims.push(Claim { family, owner, tracks });
            }
        }
        claims.insert(0, claim);
        (claims, wakes)
    }

    /// Makes families of what was split off, while the family it was in is locked. `owner` holds them.
    pub(crate) fn part(
        &self,
        parts: Vec<(Vec<Volume>, Vec<Pair>)>,
        track_count: u64,
        owner: Option<OwnerId>,
    ) -> Vec<Arc<Family>> {
        let mut directory = self.directory.write();
        let families = parts.into_iter().map(|(volumes, pairs)| {
            let id = directory.new_family_id();
            let ldevs: Vec<_> = volumes.iter().map(|volume| volume.ldev).collect();
            let mut family = self.new_family(id, track_count, volumes, pairs);
            if let Some(owner) = owner {
                let state = family.state.get_mut();
                let held = state.claims.try_request(owner, state.all_tracks());
                assert!(held, "owner {owner} does not hold the new family {id}");
            }
            let family = Arc::new(family);
            for ldev in ldevs {
                directory.families.insert(ldev, family.clone());
            }
            family
        });
        families.collect()
    }

    /// Everything of `from` moves to `into`, which is of the family `stays`. Both are locked.
    pub(crate) fn join(&self, stays: &Arc<Family>, into: &mut FamilyState, from: &mut FamilyState) {
        let mut directory = self.directory.write();
        for volume in from.volumes() {
            directory.families.insert(volume.ldev, stays.clone());
        }
        into.absorb(from);
    }
}
