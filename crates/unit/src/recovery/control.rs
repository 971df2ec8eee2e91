//! The control state: the last whole checkpoint, and the changes since.

use super::RecoveryError;
use crate::checkpoint::{ControlState, FirstState, KeptHome, VERSION};
use crate::core::Core;
use crate::kept::Kept;
use crate::ledger;
use crate::record::{Kind, SEQUENCE_MAX};
use crate::schedule::KeptSchedules;
use diptych_cha::GroupName;
use diptych_dka::Extent;
use diptych_format::{BackingId, LdevId};
use diptych_log::Sequence;
use diptych_shared::{Change, Pair, SharedMemory, State, Volume};
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// One more than the last backing there can be.
const NEXT_BACKING_MAX: u64 = 1 << 32;

/// A record of control: sequence, kind, head, payload.
type ControlRecord = (Sequence, Kind, Vec<u8>, Vec<u8>);

/// See the module.
#[derive(Debug)]
pub(super) struct Control {
    shared: SharedMemory,
    homes: BTreeMap<BackingId, Extent>,
    groups: Vec<(GroupName, Vec<(LdevId, LdevId)>)>,
    schedules: KeptSchedules,
    kept: Kept,
    sequence: u64,
    next_backing: u64,
    changes: u64,
}

/// A checkpoint in parts.
#[derive(Debug)]
struct Parts {
    begin: Sequence,
    version: u16,
    bytes: Vec<u8>,
}

fn decode<T: DeserializeOwned>(
    sequence: Sequence,
    kind: Kind,
    bytes: &[u8],
) -> Result<T, RecoveryError> {
    let kind = kind as u16;
    postcard::from_bytes(bytes).map_err(|_| RecoveryError::Record { sequence, kind })
}

impl Control {
    /// Reads it from the records of a log that begins at `first`.
    pub(super) fn of(
        core: &Core,
        records: Vec<ControlRecord>,
        first: Sequence,
    ) -> Result<Self, RecoveryError> {
        let mut control = Self {
            shared: SharedMemory::new(core.config.limits),
            homes: BTreeMap::new(),
            groups: Vec::new(),
            schedules: KeptSchedules::default(),
            kept: Kept::default(),
            sequence: 1,
            next_backing: 1,
            changes: 0,
        };
        let begin = match last_checkpoint(&records)? {
            Some((begin, state)) => {
                control.start_from(begin, state)?;
                begin
            }
            None if first == Sequence(1) => first,
            None => return Err(RecoveryError::NoCheckpoint { first }),
        };
        for (sequence, kind, head, _) in records {
            if sequence >= begin {
                control.apply(sequence, kind, &head)?;
            }
        }
        Ok(control)
    }

    fn start_from(&mut self, sequence: Sequence, state: ControlState) -> Result<(), RecoveryError> {
        let kind = Kind::CheckpointBegin as u16;
        let ControlState { first: state, kept } = state;
        if state.sequence > SEQUENCE_MAX || state.next_backing > NEXT_BACKING_MAX {
            return Err(RecoveryError::Record { sequence, kind });
        }
        let restored = self.shared.restore(state.shared);
        restored.map_err(|source| RecoveryError::State { sequence, source })?;
        self.homes = state.homes.into_iter().map(place).collect();
        (self.groups, self.schedules) = (state.groups, state.schedules);
        (self.sequence, self.next_backing) = (state.sequence, state.next_backing);
        if !kept.into_iter().all(|(name, value)| self.kept.replay(name, Some(value))) {
            return Err(RecoveryError::Record { sequence, kind });
        }
        Ok(())
    }

    fn apply(&mut self, sequence: Sequence, kind: Kind, head: &[u8]) -> Result<(), RecoveryError> {
        let failed = |source| RecoveryError::Change { sequence, source };
        match kind {
            Kind::Changes => {
                let (of, changes): (LdevId, Vec<Change>) = decode(sequence, kind, head)?;
                for change in changes {
                    if image_of(&change) > SEQUENCE_MAX {
                        let kind = kind as u16;
                        return Err(RecoveryError::Record { sequence, kind });
                    }
                    self.sequence = self.sequence.max(image_of(&change) + 1);
                    self.shared.replay(of, change).map_err(failed)?;
                    self.changes += 1;
                }
            }
            Kind::VolumeAdded => {
                let (volume, home): (Volume, Option<KeptHome>) = decode(sequence, kind, head)?;
                self.next_backing = self.next_backing.max(u64::from(volume.backing.0) + 1);
                self.homes.extend(home.map(place));
                self.shared.replay_volume_added(volume).map_err(failed)?;
            }
            Kind::VolumeRemoved => {
                let (ldev, backing): (LdevId, BackingId) = decode(sequence, kind, head)?;
                self.shared.replay_volume_removed(ldev).map_err(failed)?;
                self.homes.remove(&backing);
            }
            Kind::Groups => self.groups = decode(sequence, kind, head)?,
            Kind::Schedules => self.schedules = decode(sequence, kind, head)?,
            Kind::Kept => {
                let (name, value): (String, Option<Vec<u8>>) = decode(sequence, kind, head)?;
                if !self.kept.replay(name, value) {
                    return Err(RecoveryError::Record { sequence, kind: kind as u16 });
                }
            }
            Kind::CheckpointBegin | Kind::CheckpointPart | Kind::CheckpointEnd => {}
            Kind::Write | Kind::Zeros | Kind::Discard | Kind::Copy => {}
        }
        Ok(())
    }

    pub(super) fn change_count(&self) -> u64 {
        self.changes
    }

    /// Gives all of it to the unit. Returns its volumes and pairs.
    pub(super) fn restore(&mut self, core: &Core) -> Result<State, RecoveryError> {
        let (state, ()) = self.shared.snapshot(|| ());
        check_pairs(&state)?;
        for volume in state.volumes.iter().filter(|volume| !volume.metadata_only) {
            let Volume { ldev, backing, geometry, .. } = *volume;
            let (track_bytes, slot_bytes) = (geometry.track_bytes(), core.config.cache.track_bytes);
            if track_bytes > slot_bytes {
                return Err(RecoveryError::TrackTooLarge { ldev, track_bytes, slot_bytes });
            }
            let extent = self.homes.get(&backing);
            let extent = *extent.ok_or(RecoveryError::NoHome { ldev, backing })?;
            let restored = core.groups.restore(backing, geometry, extent);
            core.placed(&restored.map_err(|source| RecoveryError::Home { ldev, source })?);
        }
        let restored = core.shared.restore(state.clone());
        restored.map_err(|source| RecoveryError::State { sequence: Sequence(0), source })?;
        *core.consistency_groups.lock() = std::mem::take(&mut self.groups).into_iter().collect();
        *core.kept.lock() = std::mem::take(&mut self.kept);
        core.scheduler.lock().schedules.restore(std::mem::take(&mut self.schedules));
        core.numbers_from(self.sequence, self.next_backing);
        note_sizes(core, &state);
        Ok(state)
    }
}

/// What is there takes its part of the checkpoints, be it more than would be let in now.
fn note_sizes(core: &Core, state: &State) {
    let volumes: u64 = state.volumes.iter().map(|v| ledger::of_volume(v.geometry)).sum();
    let pairs: u64 = state.pairs.iter().map(|pair| ledger::of_pair(pair.c.track_count())).sum();
    let groups: u64 = core.consistency_groups.lock().values().map(ledger::of_value).sum();
    let schedules = core.scheduler.lock().schedules.states();
    let schedules: u64 = schedules.iter().map(|state| ledger::of_value(&state.schedule)).sum();
    let numbers = ledger::of_numbers(state.pair_numbers.len());
    let kept = core.kept.lock().control_bytes();
    core.ledger.found(volumes + pairs + numbers + groups + schedules + kept);
}

/// No command makes a pair of volumes of two shapes, or of one with payload and one without.
fn check_pairs(state: &State) -> Result<(), RecoveryError> {
    let volume = |ldev: LdevId| {
        let found = state.volumes.binary_search_by_key(&ldev, |volume| volume.ldev);
        found.ok().map(|index| &state.volumes[index])
    };
    let shape = |ldev| volume(ldev).map(|volume| (volume.geometry, volume.metadata_only));
    let unlike = |pair: &&Pair| shape(pair.primary) != shape(pair.secondary);
    match state.pairs.iter().find(unlike) {
        Some(pair) => Err(RecoveryError::Unlike { pair: pair.id }),
        None => Ok(()),
    }
}

fn place((backing, drive, base): KeptHome) -> (BackingId, Extent) {
    (backing, Extent { drive, base })
}

/// The number of the image that a change makes.
fn image_of(change: &Change) -> u64 {
    match change {
        Change::Copy { image, .. } | Change::Exchange { freeze: Some(image), .. } => image.0,
        Change::AddPair(pair) => pair.image.0,
        _ => 0,
    }
}

/// The last checkpoint that has its end, and the record at which it stands.
fn last_checkpoint(
    records: &[ControlRecord],
) -> Result<Option<(Sequence, ControlState)>, RecoveryError> {
    let mut parts: Option<Parts> = None;
    let mut whole: Option<(Parts, Sequence)> = None;
    for (sequence, kind, head, payload) in records {
        let (sequence, kind) = (*sequence, *kind);
        match kind {
            Kind::CheckpointBegin => {
                let found: u16 = decode(sequence, kind, head)?;
                if found > VERSION {
                    return Err(RecoveryError::Version { found, known: VERSION });
                }
                parts = Some(Parts { begin: sequence, version: found, bytes: Vec::new() });
            }
            Kind::CheckpointPart => {
                let (begin, start): (u64, u64) = decode(sequence, kind, head)?;
                let fits = |parts: &&mut Parts| {
                    parts.begin.0 == begin && parts.bytes.len() as u64 == start
                };
                if let Some(parts) = parts.as_mut().filter(fits) {
                    parts.bytes.extend_from_slice(payload);
                }
            }
            Kind::CheckpointEnd => {
                let (begin, total): (u64, u64) = decode(sequence, kind, head)?;
                let fits =
                    |parts: &Parts| parts.begin.0 == begin && parts.bytes.len() as u64 >= total;
                if let Some(parts) = parts.take().filter(fits) {
                    whole = Some((parts, sequence));
                }
            }
            _ => {}
        }
    }
    let Some((Parts { begin, version, bytes }, end)) = whole else { return Ok(None) };
    let state = read_state(version, &bytes)
        .map_err(|_| RecoveryError::Record { sequence: end, kind: Kind::CheckpointEnd as u16 })?;
    Ok(Some((begin, state)))
}

/// Reads the state of a version. Behind it there are zeros, up to a whole block.
fn read_state(version: u16, bytes: &[u8]) -> Result<ControlState, postcard::Error> {
    if version >= 2 {
        return postcard::take_from_bytes(bytes).map(|(state, _)| state);
    }
    let (first, _): (FirstState, _) = postcard::take_from_bytes(bytes)?;
    Ok(ControlState { first, kept: Vec::new() })
}
