//! Shared memory 110: the directory of volumes, and the way to their families.

use crate::claim::{Claim, Claimed, QueuedClaim, granted};
use crate::family::Family;
use crate::pair_numbers::{MAX_PAIRS, PairNumbers};
use crate::recorder::Recording;
use crate::watcher::Watching;
use crate::{FamilyState, Grant, Pair, Recorder, SharedError, Volume, Watcher};
use diptych_format::{Answer, FamilyId, LdevId, OwnerId, PairId, TrackRange, Wakes};
use diptych_sync::{Arc, Mutex, RwLock};
use rustc_hash::FxHashMap;

/// How much shared memory holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Volumes.
    pub volumes: usize,
    /// Pairs; at most 65,536.
    pub pairs: usize,
    /// Claims queued in one family.
    pub queued_claims: usize,
}

impl Default for Limits {
    /// All volumes and pairs that can be numbered, 1,024 queued claims.
    fn default() -> Self {
        Self { volumes: 1 << 16, pairs: MAX_PAIRS, queued_claims: 1_024 }
    }
}

/// Which family a volume is in.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    pub(crate) families: FxHashMap<LdevId, Arc<Family>>,
    last_family: u64,
}

impl Directory {
    /// A number that no family had before.
    pub(crate) fn new_family_id(&mut self) -> FamilyId {
        self.last_family += 1;
        FamilyId(self.last_family)
    }

    /// Numbers families from where another directory stands.
    pub(crate) fn continue_from(&mut self, other: &Self) {
        self.last_family = other.last_family;
    }
}

/// All volumes and pairs of a control unit.
///
/// Every volume is in exactly one family, alone if it is in no pair. Lock order: families in
/// ascending id, then the directory; what leads to a family lets go of the directory first and looks
/// again if the volume has left the family meanwhile.
#[derive(Debug)]
pub struct SharedMemory {
    pub(crate) directory: RwLock<Directory>,
    pub(crate) pair_numbers: Mutex<PairNumbers>,
    pub(crate) limits: Limits,
    pub(crate) recorder: Option<Recording>,
    pub(crate) watcher: Option<Watching>,
}

impl Default for SharedMemory {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl SharedMemory {
    /// Shared memory without volumes.
    ///
    /// # Panics
    ///
    /// If the limit of pairs is more than there are pair numbers.
    pub fn new(limits: Limits) -> Self {
        Self::with_recording(limits, None)
    }

    /// Shared memory without volumes. All that changes from here on is told `recorder`.
    ///
    /// # Panics
    ///
    /// If the limit of pairs is more than there are pair numbers.
    pub fn recorded<R: Recorder + ?Sized + 'static>(limits: Limits, recorder: Arc<R>) -> Self {
        Self::with_recording(limits, Some(Arc::new(Box::new(recorder))))
    }

    pub(crate) fn with_recording(limits: Limits, recorder: Option<Recording>) -> Self {
        Self {
            directory: RwLock::default(),
            pair_numbers: Mutex::new(PairNumbers::new(limits.pairs)),
            limits,
            recorder,
            watcher: None,
        }
    }

    /// The same memory, without volumes yet: whose rights change from here on is told `watcher`.
    ///
    /// # Panics
    ///
    /// If there are volumes already.
    #[must_use]
    pub fn watched<W: Watcher + 'static>(mut self, watcher: W) -> Self {
        assert!(self.directory.read().families.is_empty(), "volumes are watched from the first on");
        self.watcher = Some(Arc::new(Box::new(watcher)));
        self
    }

    /// A family that is in no directory yet. Both lists are ascending.
    pub(crate) fn new_family(
        &self,
        id: FamilyId,
        track_count: u64,
        volumes: Vec<Volume>,
        pairs: Vec<Pair>,
    ) -> Family {
        let (queued_claims, recorder) = (self.limits.queued_claims, self.recorder.clone());
        let recorded = recorder.is_some();
        let watcher = self.watcher.clone();
        let state =
            FamilyState::new(id, track_count, queued_claims, volumes, pairs, recorded, watcher);
        Family { id, state: Mutex::new(state), recorder }
    }

    /// Adds a volume, in a family of its own.
    ///
    /// # Errors
    ///
    /// [`SharedError::VolumeExists`], [`SharedError::TooManyVolumes`].
    pub fn add_volume(&self, volume: Volume) -> Result<(), SharedError> {
        let ldev = volume.ldev;
        let mut directory = self.directory.write();
        if directory.families.contains_key(&ldev) {
            return Err(SharedError::VolumeExists { ldev });
        }
        if directory.families.len() >= self.limits.volumes {
            return Err(SharedError::TooManyVolumes { limit: self.limits.volumes });
        }
        if let Some(recorder) = &self.recorder {
            recorder.volume_added(&volume);
        }
        self.put_volume(&mut directory, volume);
        Ok(())
    }

    /// A new family of one volume.
    pub(crate) fn put_volume(&self, directory: &mut Directory, volume: Volume) {
        let (ldev, track_count) = (volume.ldev, volume.geometry.track_count());
        let id = directory.new_family_id();
        let family = self.new_family(id, track_count, vec![volume], Vec::new());
        directory.families.insert(ldev, Arc::new(family));
    }

    /// Removes a volume that is in no pair and whose family nobody has claimed.
    ///
    /// # Errors
    ///
    /// [`SharedError::UnknownVolume`], [`SharedError::VolumePaired`],
    /// [`SharedError::VolumeClaimed`].
    pub fn remove_volume(&self, ldev: LdevId) -> Result<Volume, SharedError> {
        self.with_family(ldev, |state| {
            if let Some(pair) = state.any_pair_of(ldev) {
                return Err(SharedError::VolumePaired { ldev, pair: pair.id });
            }
            let (held_count, queued_count) = (state.claims_held(), state.claims_queued());
            if held_count + queued_count > 0 {
                return Err(SharedError::VolumeClaimed { ldev, held_count, queued_count });
            }
            let volume = state.volume(ldev).cloned().ok_or(SharedError::UnknownVolume { ldev })?;
            let mut directory = self.directory.write();
            if let Some(recorder) = &self.recorder {
                recorder.volume_removed(ldev, volume.backing);
            }
            state.remove_volume(ldev);
            directory.families.remove(&ldev);
            Ok(volume)
        })?
    }

    /// All volumes, ascending.
    pub fn volumes(&self) -> Vec<LdevId> {
        let mut all: Vec<LdevId> = self.directory.read().families.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// Runs `body` on the state of the family that `ldev` is in, under the family's lock. No other
    /// lock of shared memory may be asked for in it.
    ///
    /// # Errors
    ///
    /// [`SharedError::UnknownVolume`].
    pub fn with_family<R>(
        &self,
        ldev: LdevId,
        body: impl FnOnce(&mut FamilyState) -> R,
    ) -> Result<R, SharedError> {
        self.locate(ldev, body).map(|(_, result)| result)
    }

    /// Claims `tracks` of the family of `ldev` for `owner`. If it is granted at once, `view` runs
    /// under the same lock; else the claim is queued and its owner will be answered.
    ///
    /// # Errors
    ///
    /// [`SharedError::UnknownVolume`], [`SharedError::TracksOutOfRange`],
    /// [`SharedError::TooManyQueued`].
    ///
    /// # Panics
    ///
    /// If the owner holds or waits for a claim of this family already.
    pub fn claim<R>(
        &self,
        owner: OwnerId,
        ldev: LdevId,
        tracks: TrackRange,
        view: impl FnOnce(&mut FamilyState) -> R,
    ) -> Result<Claimed<R>, SharedError> {
        self.claim_of(owner, ldev, |_| tracks, view)
    }

    /// As [`claim`](Self::claim), of all tracks: the barrier that commands use.
    ///
    /// # Errors
    ///
    /// [`SharedError::UnknownVolume`], [`SharedError::TooManyQueued`].
    ///
    /// # Panics
    ///
    /// If the owner holds or waits for a claim of this family already.
    pub fn claim_family<R>(
        &self,
        owner: OwnerId,
        ldev: LdevId,
        view: impl FnOnce(&mut FamilyState) -> R,
    ) -> Result<Claimed<R>, SharedError> {
        self.claim_of(owner, ldev, FamilyState::all_tracks, view)
    }

    /// As [`claim`](Self::claim), but `None` instead of waiting.
    ///
    /// # Errors
    ///
    /// [`SharedError::UnknownVolume`], [`SharedError::TracksOutOfRange`].
    ///
    /// # Panics
    ///
    /// If the owner holds or waits for a claim of this family already.
    pub fn try_claim<R>(
        &self,
        owner: OwnerId,
        ldev: LdevId,
        tracks: TrackRange,
        view: impl FnOnce(&mut FamilyState) -> R,
    ) -> Result<Option<(Claim, R)>, SharedError> {
        let (family, seen) = self.locate(ldev, |state| {
            check_range(ldev, tracks, state)?;
            Ok(state.claims.try_request(owner, tracks).then(|| view(state)))
        })?;
        Ok(seen?.map(|seen| (Claim { family, owner, tracks }, seen)))
    }

    /// Takes a claim that still waits in the queue of this volume's family out of it, because its time
    /// is over. Returns its owner, with [`Answer::Cancelled`], and those who hold a claim now; nobody if
    /// the owner does not wait there.
    #[must_use = "owners who are not told wait for ever"]
    pub fn time_out(&self, owner: OwnerId, ldev: LdevId) -> Wakes {
        let timed_out = |state: &mut FamilyState| {
            if !state.claims.is_queued(owner) {
                return Wakes::new();
            }
            let mut wakes = granted(state.claims.cancel(owner));
            wakes.push((owner, Answer::Cancelled));
            wakes
        };
        // In a family that is gone nobody waits.
        self.with_family(ldev, timed_out).unwrap_or_default()
    }

    /// The smallest free pair number, with an epoch it did not have before.
    ///
    /// # Errors
    ///
    /// [`SharedError::TooManyPairs`].
    pub fn allocate_pair(&self) -> Result<PairId, SharedError> {
        self.pair_numbers.lock().allocate()
    }

    /// Gives a pair number back, after the pair was removed from its family.
    ///
    /// # Panics
    ///
    /// If the number is not in use with that epoch.
    pub fn free_pair(&self, id: PairId) {
        self.pair_numbers.lock().free(id);
    }

    fn claim_of<R>(
        &self,
        owner: OwnerId,
        ldev: LdevId,
        tracks: impl FnOnce(&FamilyState) -> TrackRange,
        view: impl FnOnce(&mut FamilyState) -> R,
    ) -> Result<Claimed<R>, SharedError> {
        let (family, asked) = self.locate(ldev, |state| {
            let tracks = tracks(state);
            check_range(ldev, tracks, state)?;
            let seen = match state.claims.request(owner, tracks)? {
                Grant::Held => Some(view(state)),
                Grant::Queued => None,
            };
            Ok((tracks, seen))
        })?;
        let (tracks, seen) = asked?;
        Ok(match seen {
            Some(seen) => Claimed::Granted(Claim { family, owner, tracks }, seen),
            None => Claimed::Queued(QueuedClaim { family, owner, tracks }),
        })
    }

    /// Runs `body` on the family of `ldev`, and returns that family as well.
    fn locate<R>(
        &self,
        ldev: LdevId,
        body: impl FnOnce(&mut FamilyState) -> R,
    ) -> Result<(Arc<Family>, R), SharedError> {
        loop {
            // The guard of the directory goes at the end of this statement.
            let family = self.directory.read().families.get(&ldev).cloned();
            let family = family.ok_or(SharedError::UnknownVolume { ldev })?;
            let mut state = family.state.lock();
            if state.volume(ldev).is_some() {
                let result = family.visit_locked(&mut state, body);
                drop(state);
                return Ok((family, result));
            }
            // The volume left this family after the look-up, and the directory knew before the
            // family's lock was free again: the next look-up finds another family or none.
        }
    }
}

fn check_range(ldev: LdevId, tracks: TrackRange, state: &FamilyState) -> Result<(), SharedError> {
    let track_count = state.track_count();
    if tracks.is_empty() || tracks.end.0 > track_count {
        return Err(SharedError::TracksOutOfRange { ldev, tracks, track_count });
    }
    Ok(())
}
