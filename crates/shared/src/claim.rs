//! Claims as their owners hold them.

use crate::FamilyState;
use crate::family::Family;
use diptych_format::{Answer, FamilyId, OwnerId, TrackRange, Wakes};
use diptych_sync::Arc;

pub(crate) fn granted(owners: Vec<OwnerId>) -> Wakes {
    owners.into_iter().map(|owner| (owner, Answer::Granted)).collect()
}

/// A held claim: its owner alone touches these tracks, of every volume of the family.
///
/// Nothing happens when it is dropped, because somebody has to deliver the wakes: give it back with
/// [`Claim::release`].
#[must_use = "a claim that is not released is held for ever"]
#[derive(Debug)]
pub struct Claim {
    pub(crate) family: Arc<Family>,
    pub(crate) owner: OwnerId,
    pub(crate) tracks: TrackRange,
}

impl Claim {
    /// Who holds it.
    pub fn owner(&self) -> OwnerId {
        self.owner
    }

    /// The tracks.
    pub fn tracks(&self) -> TrackRange {
        self.tracks
    }

    /// The family.
    pub fn family_id(&self) -> FamilyId {
        self.family.id
    }

    /// Runs `body` on the family's state, under its lock. No other lock of shared memory may be
    /// asked for in it.
    pub fn with<R>(&self, body: impl FnOnce(&mut FamilyState) -> R) -> R {
        self.family.visit(body)
    }

    /// Runs `body` on the states of several families, in the order of the claims, with all of them
    /// locked: what it does to them is of one instant. Each family's changes are recorded by themselves
    /// unless the body [takes](FamilyState::take_changes) them. No other lock of shared memory may be
    /// asked for in it.
    ///
    /// # Panics
    ///
    /// If the claims are not ascending by family.
    pub fn with_all<R>(claims: &[&Self], body: impl FnOnce(&mut [&mut FamilyState]) -> R) -> R {
        let ascending = claims.windows(2).all(|two| two[0].family.id < two[1].family.id);
        assert!(ascending, "families are locked in the order of their ids");
        let mut locked: Vec<_> = claims.iter().map(|claim| claim.family.state.lock()).collect();
        let mut states: Vec<&mut FamilyState> =
            locked.iter_mut().map(|state| &mut **state).collect();
        let result = body(&mut states);
        for (claim, state) in claims.iter().zip(states) {
            claim.family.visit_locked(state, |_| ());
        }
        result
    }

    /// Gives the tracks back. Returns the owners who hold a claim now.
    ///
    /// # Panics
    ///
    /// If the claim is not held: a broken invariant.
    #[must_use = "owners who are not told wait for ever"]
    pub fn release(self) -> Wakes {
        granted(self.family.state.lock().claims.release(self.owner))
    }

    /// Checks that it is held and covers the family.
    pub(crate) fn assert_whole_family(&self, state: &FamilyState) {
        let Self { owner, tracks, .. } = self;
        assert!(state.claims.is_held_by(*owner), "owner {owner} does not hold its claim");
        assert_eq!(*tracks, state.all_tracks(), "owner {owner} has not claimed the whole family");
    }
}

/// A claim that waits. Its owner will be answered, by whoever releases, merges or splits.
#[must_use = "a queued claim is granted some day: take it then, or cancel it"]
#[derive(Debug)]
pub struct QueuedClaim {
    pub(crate) family: Arc<Family>,
    pub(crate) owner: OwnerId,
    pub(crate) tracks: TrackRange,
}

impl QueuedClaim {
    /// The family in whose queue it waits.
    pub fn family_id(&self) -> FamilyId {
        self.family.id
    }

    /// Takes the claim after [`Answer::Granted`]; `view` runs under the family's lock. After
    /// [`Answer::Moved`] there is nothing to take: drop it and ask again.
    ///
    /// # Panics
    ///
    /// If the claim was not granted.
    pub fn granted<R>(self, view: impl FnOnce(&mut FamilyState) -> R) -> (Claim, R) {
        let Self { family, owner, tracks } = self;
        let seen = family.visit(|state| {
            assert!(state.claims.is_held_by(owner), "the claim of owner {owner} was not granted");
            view(state)
        });
        (Claim { family, owner, tracks }, seen)
    }

    /// Gives up for a job that lives on. `Err`: the claim was granted or moved meanwhile, so an answer
    /// to its owner is on its way; it is to be waited for, and means nothing, before the owner waits
    /// for anything else. Either way come the owners who hold a claim now.
    ///
    /// # Errors
    ///
    /// If an answer is on its way.
    pub fn give_up(self) -> Result<Wakes, Wakes> {
        let mut state = self.family.state.lock();
        let queued = state.claims.is_queued(self.owner);
        let wakes = granted(state.claims.cancel(self.owner));
        if queued { Ok(wakes) } else { Err(wakes) }
    }

    /// Gives up, whether it still waits, was granted meanwhile, or was moved. Returns the owners who
    /// hold a claim now.
    #[must_use = "owners who are not told wait for ever"]
    pub fn cancel(self) -> Wakes {
        granted(self.family.state.lock().claims.cancel(self.owner))
    }
}

/// How a request for a claim was answered.
#[must_use]
#[derive(Debug)]
pub enum Claimed<R> {
    /// The claim, and what the view saw.
    Granted(Claim, R),
    /// The claim waits in the family's queue.
    Queued(QueuedClaim),
}
