//! Recorded changes come back, one by one, in the order in which they were recorded.
//!
//! Nobody claims anything meanwhile and nothing is recorded. Families are merged by the pair that joins
//! them and split by its removal, which need no record of their own.

use crate::family::Family;
use crate::{Change, FamilyState, Pair, ReplayError, SharedMemory, Transition, Volume};
use diptych_format::{LdevId, PairId};
use diptych_sync::Arc;

impl SharedMemory {
    /// Applies a change that was recorded `of` this volume, after a restored state or what was replayed
    /// before. Returns the change of status, if it was one.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]: the change is impossible here, and nothing happened.
    pub fn replay(&self, of: LdevId, change: Change) -> Result<Option<Transition>, ReplayError> {
        match &change {
            Change::AddPair(pair) => {
                self.join_pair(pair, |id| self.pair_numbers.lock().take(id)).map(|()| None)
            }
            Change::RemovePair(id) => {
                let family = self.family_with(of, *id)?;
                let mut state = family.state.lock();
                state.allows(&change)?;
                let transition = state.apply(&change);
                self.fall_apart(&mut state);
                self.pair_numbers.lock().free_if_used(*id);
                Ok(transition)
            }
            _ => {
                let family = match change.place() {
                    Place::Volume(ldev) => self.family_of(ldev)?,
                    Place::Pair(id) => self.family_with(of, id)?,
                };
                let mut state = family.state.lock();
                state.allows(&change)?;
                Ok(state.apply(&change))
            }
        }
    }

    /// A volume that was recorded as added.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]: it cannot be, and nothing happened.
    pub fn replay_volume_added(&self, volume: Volume) -> Result<(), ReplayError> {
        let (ldev, track_count) = (volume.ldev, volume.geometry.track_count());
        let mapped = volume.allocated.track_count();
        if track_count != mapped {
            return Err(ReplayError::VolumeMap { ldev, track_count, mapped });
        }
        let mut directory = self.directory.write();
        if directory.families.contains_key(&ldev) {
            return Err(ReplayError::VolumeExists { ldev });
        }
        if directory.families.len() >= self.limits.volumes {
            return Err(ReplayError::TooManyVolumes { limit: self.limits.volumes });
        }
        self.put_volume(&mut directory, volume);
        Ok(())
    }

    /// A volume that was recorded as removed.
    ///
    /// # Errors
    ///
    /// [`ReplayError`]: it is not there or in a pair, and nothing happened.
    pub fn replay_volume_removed(&self, ldev: LdevId) -> Result<Volume, ReplayError> {
        let family = self.family_of(ldev)?;
        let mut state = family.state.lock();
        if let Some(pair) = state.any_pair_of(ldev) {
            return Err(ReplayError::VolumePaired { ldev, pair: pair.id });
        }
        let volume = state.volume(ldev).cloned().ok_or(ReplayError::NoVolume { ldev })?;
        state.remove_volume(ldev);
        self.directory.write().families.remove(&ldev);
        Ok(volume)
    }

    /// Adds a pair, and makes one family of those of its volumes. `take` takes its number.
    pub(crate) fn join_pair(
        &self,
        pair: &Pair,
        take: impl FnOnce(PairId) -> bool,
    ) -> Result<(), ReplayError> {
        let Pair { id, primary, secondary, .. } = *pair;
        let (one, other) = (self.family_of(primary)?, self.family_of(secondary)?);
        let (stays, goes) = if one.id < other.id { (&one, &other) } else { (&other, &one) };
        let mut state = stays.state.lock();
        if stays.id != goes.id {
            let mut from = goes.state.lock();
            if state.track_count() != from.track_count() {
                let [primary_tracks, secondary_tracks] = if one.id == stays.id {
                    [state.track_count(), from.track_count()]
                } else {
                    [from.track_count(), state.track_count()]
                };
                return Err(ReplayError::UnequalVolumes {
                    pair: id,
                    primary_tracks,
                    secondary_tracks,
                });
            }
            self.join(stays, &mut state, &mut from);
        }
        let change = Change::AddPair(Box::new(pair.clone()));
        let number = || take(id).then_some(()).ok_or(ReplayError::PairNumber { pair: id });
        let allowed = state.allows(&change).and_then(|()| number());
        if allowed.is_ok() {
            state.apply(&change);
        } else {
            self.fall_apart(&mut state);
        }
        allowed
    }

    /// Makes families of the parts that no pair joins any more.
    fn fall_apart(&self, state: &mut FamilyState) {
        let parts = state.split_off();
        self.part(parts, state.track_count(), None);
    }

    fn family_of(&self, ldev: LdevId) -> Result<Arc<Family>, ReplayError> {
        let family = self.directory.read().families.get(&ldev).cloned();
        family.ok_or(ReplayError::NoVolume { ldev })
    }

    /// The family of this volume, or that which has the pair: in the visit that removed a pair, or
    /// merged two families, others may have changed that lie in another family here.
    fn family_with(&self, of: LdevId, id: PairId) -> Result<Arc<Family>, ReplayError> {
        let has = |family: &Arc<Family>| family.state.lock().pair(id).is_some();
        let family = self.family_of(of).ok().filter(has);
        let family = family.or_else(|| self.families().into_iter().find(has));
        family.ok_or(ReplayError::NoPair { pair: id })
    }
}

/// What a change names, by which its family is found.
enum Place {
    Volume(LdevId),
    Pair(PairId),
}

impl Change {
    fn place(&self) -> Place {
        match *self {
            Self::AddPair(ref pair) => Place::Volume(pair.primary),
            Self::HostChange { primary: ldev, .. }
            | Self::SecondaryChange { secondary: ldev, .. }
            | Self::Allocate { ldev, .. }
            | Self::Deallocate { ldev, .. }
            | Self::Reserve { ldev, .. }
            | Self::Undefined { ldev, .. }
            | Self::HostWrote { ldev, .. }
            | Self::VolumeState { ldev, .. } => Place::Volume(ldev),
            Self::RemovePair(pair)
            | Self::Set { pair, .. }
            | Self::Clear { pair, .. }
            | Self::Copied { pair, .. }
            | Self::Settling { pair, .. }
            | Self::Settled { pair, .. }
            | Self::Copy { pair, .. }
            | Self::Resync { pair, .. }
            | Self::CopyBegins { pair, .. }
            | Self::Restore { pair, .. }
            | Self::AbandonRestore { pair }
            | Self::Exchange { pair, .. }
            | Self::Suspend { pair, .. }
            | Self::Unreadable { pair, .. }
            | Self::Options { pair, .. } => Place::Pair(pair),
        }
    }
}
