//! The state of one family: its volumes, its pairs and their maps, its claims.

use crate::recorder::{Recording, Visit};
use crate::watcher::Watching;
use crate::{Change, ClaimTable, Pair, PairOptions, PairStatus, Transition, Volume};
use diptych_format::{FamilyId, ImageNo, LdevId, PairId, TrackNo, TrackRange};
use diptych_sync::Mutex;

/// A family and its one lock.
#[derive(Debug)]
pub(crate) struct Family {
    pub(crate) id: FamilyId,
    pub(crate) state: Mutex<FamilyState>,
    pub(crate) recorder: Option<Recording>,
}

impl Family {
    /// Runs `body` under the family's lock, and records what it changed.
    pub(crate) fn visit<R>(&self, body: impl FnOnce(&mut FamilyState) -> R) -> R {
        self.visit_locked(&mut self.state.lock(), body)
    }

    /// The same, where the family is locked already.
    pub(crate) fn visit_locked<R>(
        &self,
        state: &mut FamilyState,
        body: impl FnOnce(&mut FamilyState) -> R,
    ) -> R {
        let result = body(state);
        if let Some(recorder) = &self.recorder {
            state.hand_over(&***recorder);
        }
        result
    }
}

/// All that is known of one family, seen under its lock.
///
/// It is read through references and changed by [`FamilyState::change`] alone, so whatever records
/// the changes knows everything that happens.
#[derive(Debug)]
pub struct FamilyState {
    id: FamilyId,
    track_count: u64,
    /// Ascending by id, so that a look-up is a binary search.
    volumes: Vec<Volume>,
    /// Ascending by id.
    pairs: Vec<Pair>,
    pub(crate) claims: ClaimTable,
    pub(crate) visit: Visit,
    pub(crate) watcher: Option<Watching>,
}

impl FamilyState {
    /// A family of volumes of `track_count` tracks. Both lists are ascending.
    pub(crate) fn new(
        id: FamilyId,
        track_count: u64,
        max_queued: usize,
        volumes: Vec<Volume>,
        pairs: Vec<Pair>,
        recorded: bool,
        watcher: Option<Watching>,
    ) -> Self {
        let (claims, visit) = (ClaimTable::new(max_queued), Visit::new(recorded));
        Self { id, track_count, volumes, pairs, claims, visit, watcher }
    }

    /// The family.
    pub fn id(&self) -> FamilyId {
        self.id
    }

    /// Tracks of each of its volumes.
    pub fn track_count(&self) -> u64 {
        self.track_count
    }

    /// All its tracks.
    pub fn all_tracks(&self) -> TrackRange {
        TrackRange::new(TrackNo(0), self.track_count)
    }

    /// Its volumes, ascending.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// One of its volumes.
    pub fn volume(&self, ldev: LdevId) -> Option<&Volume> {
        self.volume_index(ldev).map(|index| &self.volumes[index])
    }

    /// Its pairs, ascending.
    pub fn pairs(&self) -> &[Pair] {
        &self.pairs
    }

    /// One of its pairs. A pair number with another epoch is another pair.
    pub fn pair(&self, id: PairId) -> Option<&Pair> {
        self.pair_index(id).ok().map(|index| &self.pairs[index])
    }

    /// The pair of these two volumes, as the command block names it (Fig. 7).
    pub fn pair_between(&self, primary: LdevId, secondary: LdevId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.primary == primary && pair.secondary == secondary)
    }

    /// The pairs whose primary this is (step 901).
    pub fn pairs_of_primary(&self, primary: LdevId) -> impl Iterator<Item = &Pair> {
        self.pairs.iter().filter(move |pair| pair.primary == primary)
    }

    /// The pair whose secondary this is; there is at most one.
    pub fn pair_of_secondary(&self, secondary: LdevId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.secondary == secondary)
    }

    /// Whether a claim, held or queued, covers `track`.
    pub fn is_busy(&self, track: TrackNo) -> bool {
        self.claims.is_busy(track)
    }

    /// How many claims are held.
    pub fn claims_held(&self) -> usize {
        self.claims.held_count()
    }

    /// How many claims are queued.
    pub fn claims_queued(&self) -> usize {
        self.claims.queued_count()
    }

    /// Applies a change. Returns the change of status, if it was one.
    ///
    /// # Panics
    ///
    /// If the change is impossible: it names a pair or volume that is not in the family, tracks that
    /// are not there, or a step that the pair's status does not have.
    pub fn change(&mut self, change: Change) -> Option<Transition> {
        let transition = self.apply_watched(&change);
        self.visit.note(change);
        transition
    }

    /// Applies a change that nobody records.
    pub(crate) fn apply(&mut self, change: &Change) -> Option<Transition> {
        match *change {
            Change::AddPair(ref pair) => self.add_pair((**pair).clone()),
            Change::RemovePair(id) => {
                let index = self.expect_pair(id);
                self.pairs.remove(index);
            }
            Change::Set { pair, map, tracks } => return self.on(pair, |p| p.set(map, tracks)),
            Change::Clear { pair, map, tracks } => return self.on(pair, |p| p.clear(map, tracks)),
            Change::Copied { pair, track, protecting } => {
                return self.on(pair, |p| p.copied(track, protecting));
            }
            Change::Settling { pair, track } => return self.on(pair, |p| p.settles(track)),
            Change::Settled { pair, ref tracks } => return self.on(pair, |p| p.settled(tracks)),
            Change::HostChange { primary, tracks } => self.primary_changes(primary, tracks),
            Change::SecondaryChange { secondary, tracks } => {
                let pair = self.pair_of_secondary(secondary).map(|pair| pair.id);
                let pair = pair.unwrap_or_else(|| panic!("volume {secondary} is no secondary"));
                return self.on(pair, |p| p.secondary_changes(tracks));
            }
            Change::Copy { pair, image, options } => {
                return self.on(pair, |p| p.accept_copy(image, options));
            }
            Change::Resync { pair, options } => return self.on(pair, |p| p.resync(options)),
            Change::CopyBegins { pair, at } => return self.on(pair, |p| p.copy_begins(at)),
            Change::Restore { pair, options } => return self.restore(pair, options),
            Change::AbandonRestore { pair } => return self.abandon_restore(pair),
            Change::Exchange { pair, freeze, options } => {
                return self.exchange(pair, freeze, options);
            }
            Change::Suspend { pair, all_different } => {
                return self.on(pair, |p| p.suspend(all_different));
            }
            Change::Unreadable { pair, track } => {
                return self.on(pair, |p| p.note_unreadable(track));
            }
            Change::Options { pair, options } => return self.on(pair, |p| p.options = options),
            Change::Allocate { ldev, tracks } => {
                self.volume_mut(ldev).allocated.set_range(tracks);
            }
            Change::Deallocate { ldev, tracks } => {
                self.volume_mut(ldev).allocated.clear_range(tracks);
            }
            Change::Reserve { ldev, reserved } => self.volume_mut(ldev).reserved = reserved,
            Change::Undefined { ldev, undefined } => self.volume_mut(ldev).undefined = undefined,
            Change::HostWrote { ldev, at } => self.volume_mut(ldev).host_wrote_at = Some(at),
            Change::VolumeState { ldev, state } => self.volume_mut(ldev).state = state,
        }
        None
    }

    /// Changes one pair; tells whether its status changed.
    fn on(&mut self, id: PairId, body: impl FnOnce(&mut Pair)) -> Option<Transition> {
        let index = self.expect_pair(id);
        let pair = &mut self.pairs[index];
        let from = pair.status;
        body(pair);
        pair.assert_whole();
        let to = pair.status;
        (from != to).then_some(Transition { pair: id, from, to })
    }

    /// Shows a pair in a status that it had.
    pub(crate) fn pretend(&mut self, id: PairId, status: PairStatus) {
        let index = self.expect_pair(id);
        self.pairs[index].status = status;
    }

    fn add_pair(&mut self, pair: Pair) {
        let Pair { id, primary, secondary, .. } = pair;
        let index = match self.pair_index(id) {
            Ok(_) => panic!("there is a pair {id} already"),
            Err(index) => index,
        };
        let both = self.volume(primary).is_some() && self.volume(secondary).is_some();
        assert!(both && primary != secondary, "{primary} and {secondary} are no two of the family");
        assert!(self.pair_of_secondary(secondary).is_none(), "{secondary} is a secondary already");
        for map in [&pair.c, &pair.dp, &pair.ds, &pair.a, &pair.unreadable, &pair.settling] {
            assert_eq!(map.track_count(), self.track_count, "maps of pair {id} have another size");
        }
        pair.assert_whole();
        assert!(pair.is_whole(self.track_count), "invariant: pair {id} contradicts itself");
        assert!(!self.is_above(secondary, primary), "pair {id} leads back to {primary}");
        self.pairs.insert(index, pair);
    }

    fn primary_changes(&mut self, primary: LdevId, tracks: TrackRange) {
        assert!(self.volume(primary).is_some(), "volume {primary} is not in family {}", self.id);
        assert!(tracks.end.0 <= self.track_count, "tracks {tracks} of {}", self.track_count);
        for pair in self.pairs.iter_mut().filter(|pair| pair.primary == primary) {
            pair.primary_changes(tracks); // 901-902
        }
    }

    /// The primary takes the secondary's content.
    fn restore(&mut self, id: PairId, options: PairOptions) -> Option<Transition> {
        let primary = self.pairs[self.expect_pair(id)].primary;
        self.differences_to_others(id, &[primary]);
        self.volume_mut(primary).undefined = false;
        self.on(id, |pair| pair.restore(options))
    }

    fn abandon_restore(&mut self, id: PairId) -> Option<Transition> {
        let primary = self.pairs[self.expect_pair(id)].primary;
        self.volume_mut(primary).undefined = true;
        self.on(id, Pair::abandon_restore)
    }

    /// The two volumes exchange their backings, and what goes with the storage.
    fn exchange(
        &mut self,
        id: PairId,
        freeze: Option<ImageNo>,
        options: PairOptions,
    ) -> Option<Transition> {
        let Pair { primary, secondary, .. } = self.pairs[self.expect_pair(id)];
        self.differences_to_others(id, &[primary, secondary]);
        let ends = [primary, secondary].map(|ldev| self.volume_index(ldev));
        let [Some(primary), Some(secondary)] = ends else {
            panic!("pair {id} has a volume outside family {}", self.id);
        };
        let (low, high) = self.volumes.split_at_mut(primary.max(secondary));
        low[primary.min(secondary)].exchange_storage(&mut high[0]);
        self.volumes[primary].undefined = false;
        self.on(id, |pair| pair.exchanged(freeze, options))
    }

    /// What differs in a split pair is about to change in these volumes, as their other pairs see it.
    fn differences_to_others(&mut self, id: PairId, volumes: &[LdevId]) {
        let differences = self.pairs[self.expect_pair(id)].differences();
        for pair in self.pairs.iter_mut().filter(|pair| pair.id != id) {
            if volumes.contains(&pair.primary) {
                pair.dp.or_assign(&differences);
            }
            if volumes.contains(&pair.primary) || volumes.contains(&pair.secondary) {
                pair.settling.clear_all();
            }
        }
    }

    fn volume_index(&self, ldev: LdevId) -> Option<usize> {
        self.volumes.binary_search_by_key(&ldev, |volume| volume.ldev).ok()
    }

    fn volume_mut(&mut self, ldev: LdevId) -> &mut Volume {
        match self.volume_index(ldev) {
            Some(index) => &mut self.volumes[index],
            None => panic!("volume {ldev} is not in family {}", self.id),
        }
    }

    fn pair_index(&self, id: PairId) -> Result<usize, usize> {
        self.pairs.binary_search_by_key(&id, |pair| pair.id)
    }

    fn expect_pair(&self, id: PairId) -> usize {
        self.pair_index(id).unwrap_or_else(|_| panic!("pair {id} is not in family {}", self.id))
    }

    /// Takes over all volumes and pairs of another family.
    pub(crate) fn absorb(&mut self, other: &mut Self) {
        self.volumes.append(&mut other.volumes);
        self.volumes.sort_by_key(|volume| volume.ldev);
        self.pairs.append(&mut other.pairs);
        self.pairs.sort_by_key(|pair| pair.id);
    }

    /// Takes out every component but the first: volumes that no pair joins to those before.
    pub(crate) fn split_off(&mut self) -> Vec<(Vec<Volume>, Vec<Pair>)> {
        let components = self.components();
        let component_count = components.iter().map(|&no| no + 1).max().unwrap_or(0);
        let mut parts: Vec<(Vec<Volume>, Vec<Pair>)> = vec![Default::default(); component_count];
        for pair in std::mem::take(&mut self.pairs) {
            let index = self.volume_index(pair.primary).expect("the components were found by it");
            parts[components[index]].1.push(pair);
        }
        for (volume, no) in std::mem::take(&mut self.volumes).into_iter().zip(components) {
            parts[no].0.push(volume);
        }
        let mut parts = parts.into_iter();
        if let Some((volumes, pairs)) = parts.next() {
            (self.volumes, self.pairs) = (volumes, pairs);
        }
        parts.collect()
    }

    /// The component of each volume, numbered in the order of their first volumes.
    fn components(&self) -> Vec<usize> {
        // A forest in which the root is the lowest volume, so roots come before what they own.
        let mut parent: Vec<usize> = (0..self.volumes.len()).collect();
        fn root(parent: &mut [usize], mut at: usize) -> usize {
            while parent[at] != at {
                parent[at] = parent[parent[at]];
                at = parent[at];
            }
            at
        }
        for pair in &self.pairs {
            let ends = (self.volume_index(pair.primary), self.volume_index(pair.secondary));
            let (Some(primary), Some(secondary)) = ends else {
                panic!("pair {} has a volume outside family {}", pair.id, self.id);
            };
            let (primary, secondary) = (root(&mut parent, primary), root(&mut parent, secondary));
            parent[primary.max(secondary)] = primary.min(secondary);
        }
        let mut component_count = 0;
        let mut component_of = vec![0; parent.len()];
        for index in 0..parent.len() {
            let first = root(&mut parent, index);
            if first == index {
                component_of[index] = component_count;
                component_count += 1;
            } else {
                component_of[index] = component_of[first];
            }
        }
        component_of
    }

    /// Takes a volume out.
    pub(crate) fn remove_volume(&mut self, ldev: LdevId) {
        if let Some(index) = self.volume_index(ldev) {
            self.volumes.remove(index);
        }
    }

    /// One of the pairs that `ldev` is in.
    pub(crate) fn any_pair_of(&self, ldev: LdevId) -> Option<&Pair> {
        self.pairs.iter().find(|pair| pair.primary == ldev || pair.secondary == ldev)
    }
}
