//! The claim table of a family: who may touch which tracks.

use crate::SharedError;
use diptych_format::{OwnerId, TrackNo, TrackRange};
use diptych_sync::mutant;
use std::collections::VecDeque;

#[derive(Debug, Clone, Copy)]
struct Entry {
    owner: OwnerId,
    tracks: TrackRange,
}

/// How a request for a claim was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grant {
    /// The owner holds the tracks.
    Held,
    /// The owner waits in the queue.
    Queued,
}

/// Claims on ranges of tracks: exclusive, first come first served, all or nothing.
///
/// A request is granted when it overlaps no held range and no request that was queued earlier. So a
/// request for the whole family is not overtaken for ever, and requests for other tracks pass it by
/// only if they came before it. An owner holds or waits for at most one claim.
///
/// No lock, no waiting: a release says who holds a claim now, and telling them is the caller's part.
///
/// ```
/// use diptych_format::{OwnerId, TrackNo, TrackRange};
/// use diptych_shared::{ClaimTable, Grant};
///
/// let mut claims = ClaimTable::new(8);
/// assert_eq!(claims.request(OwnerId(1), TrackRange::new(TrackNo(0), 10)), Ok(Grant::Held));
/// assert_eq!(claims.request(OwnerId(2), TrackRange::one(TrackNo(9))), Ok(Grant::Queued));
/// assert_eq!(claims.release(OwnerId(1)), [OwnerId(2)]);
/// ```
#[derive(Debug)]
pub struct ClaimTable {
    held: Vec<Entry>,
    queued: VecDeque<Entry>,
    max_queued: usize,
}

impl ClaimTable {
    /// No claims, and room for `max_queued` in the queue.
    pub fn new(max_queued: usize) -> Self {
        Self { held: Vec::new(), queued: VecDeque::new(), max_queued }
    }

    /// Asks for `tracks`; the request is queued if they are not free.
    ///
    /// # Errors
    ///
    /// [`SharedError::TooManyQueued`] if it would have to be queued and the queue is full.
    ///
    /// # Panics
    ///
    /// If there are no tracks, or the owner holds or waits for a claim already.
    pub fn request(&mut self, owner: OwnerId, tracks: TrackRange) -> Result<Grant, SharedError> {
        if self.try_request(owner, tracks) {
            return Ok(Grant::Held);
        }
        if self.queued.len() >= self.max_queued {
            return Err(SharedError::TooManyQueued { limit: self.max_queued });
        }
        self.queued.push_back(Entry { owner, tracks });
        Ok(Grant::Queued)
    }

    /// Asks for `tracks` without waiting; returns whether the owner holds them now.
    ///
    /// # Panics
    ///
    /// If there are no tracks, or the owner holds or waits for a claim already.
    pub fn try_request(&mut self, owner: OwnerId, tracks: TrackRange) -> bool {
        assert!(!tracks.is_empty(), "owner {owner} claims no tracks");
        assert!(
            !self.is_held_by(owner) && !self.is_queued_by(owner),
            "owner {owner} has a claim of this family already"
        );
        let free = self.is_free(tracks, self.queued.len());
        if free {
            self.held.push(Entry { owner, tracks });
        }
        free
    }

    /// Gives the owner's tracks back; returns who holds a claim now and did not before, in the order
    /// of their requests.
    ///
    /// # Panics
    ///
    /// If the owner holds no claim.
    pub fn release(&mut self, owner: OwnerId) -> Vec<OwnerId> {
        let index = self.held.iter().position(|entry| entry.owner == owner);
        let index = index.unwrap_or_else(|| panic!("owner {owner} releases what it does not hold"));
        let freed = self.held.swap_remove(index).tracks;
        self.grant_after(freed)
    }

    /// Ends whatever the owner has, held or queued or nothing; returns who holds a claim now and did
    /// not before.
    pub fn cancel(&mut self, owner: OwnerId) -> Vec<OwnerId> {
        if self.is_held_by(owner) {
            return self.release(owner);
        }
        match self.queued.iter().position(|entry| entry.owner == owner) {
            Some(index) => match self.queued.remove(index) {
                Some(entry) => self.grant_after(entry.tracks),
                None => Vec::new(),
            },
            None => Vec::new(),
        }
    }

    /// Empties the queue; returns who was in it, in order.
    pub fn drain_queued(&mut self) -> impl Iterator<Item = OwnerId> {
        self.queued.drain(..).map(|entry| entry.owner)
    }

    /// Whether the owner waits for a claim.
    pub fn is_queued(&self, owner: OwnerId) -> bool {
        self.queued.iter().any(|entry| entry.owner == owner)
    }

    /// Whether the owner holds a claim.
    pub fn is_held_by(&self, owner: OwnerId) -> bool {
        self.held.iter().any(|entry| entry.owner == owner)
    }

    /// Whether the owner waits in the queue.
    pub fn is_queued_by(&self, owner: OwnerId) -> bool {
        self.queued.iter().any(|entry| entry.owner == owner)
    }

    /// Whether a held or queued claim covers `track`.
    pub fn is_busy(&self, track: TrackNo) -> bool {
        self.held.iter().chain(&self.queued).any(|entry| entry.tracks.contains(track))
    }

    /// How many claims are held.
    pub fn held_count(&self) -> usize {
        self.held.len()
    }

    /// How many claims are queued.
    pub fn queued_count(&self) -> usize {
        self.queued.len()
    }

    /// Whether `tracks` may be granted to a request behind the first `ahead` of the queue.
    fn is_free(&self, tracks: TrackRange, ahead: usize) -> bool {
        let taken = |entry: &Entry| entry.tracks.overlaps(tracks);
        (mutant::removed("claim-exclusive") || !self.held.iter().any(taken))
            && (mutant::removed("claim-fifo") || !self.queued.iter().take(ahead).any(taken))
    }

    /// Grants what can be granted now that `freed` is free. Only a request that overlaps it can.
    fn grant_after(&mut self, freed: TrackRange) -> Vec<OwnerId> {
        let mut granted = Vec::new();
        let mut index = 0;
        while let Some(&entry) = self.queued.get(index) {
            if entry.tracks.overlaps(freed) && self.is_free(entry.tracks, index) {
                self.queued.remove(index);
                self.held.push(entry);
                granted.push(entry.owner);
            } else {
                index += 1;
            }
        }
        granted
    }
}
