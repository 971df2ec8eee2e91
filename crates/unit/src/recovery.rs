//! Recovery: a unit comes back from its log with everything that was answered.
//!
//! The control state is that of the last whole checkpoint, and the changes recorded since, as they were
//! made. Data that may not be on its drive goes into the cache, as dirty as it was. Copies, restores and
//! schedules go on by themselves, from the maps and never from the copy pointer. Nothing is written but
//! by the log's opening, so that a crash in here does no harm.

mod control;
mod data;
mod stored;

pub use stored::{NotWritten, StoredTrack};

use crate::core::Core;
use crate::history::{HistoryEntry, Message};
use crate::record::{self, Kind};
use crate::{Plant, Unit, UnitConfig, UnitError};
use control::Control;
use data::Tracks;
use diptych_device::Device;
use diptych_dka::{DkaError, Drives};
use diptych_format::{BackingId, LdevId, PairId, Time};
use diptych_log::{Log, LogConfig, Record, Replayed, Sequence};
use diptych_shared::{
    Change, FamilyState, MapName, PairStatus, ReplayError, State, StateError, Volume, VolumeState,
};
use diptych_sync::atomic::Ordering;

/// What a recovery found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Records in the log.
    pub records: u64,
    /// Bytes of data in them.
    pub payload_bytes: u64,
    /// Whether the log's end was torn: what was being written then was not answered.
    pub torn: bool,
    /// Records of changes that were applied to the last checkpoint.
    pub changes: u64,
    /// Tracks that were put back into the cache.
    pub tracks: u64,
    /// Volumes that are there.
    pub volumes: usize,
    /// Pairs that are there.
    pub pairs: usize,
    /// The first record that is missing although it had been durable: the log is damaged. Every pair is
    /// suspended with all different, primaries mean nothing, and volumes are blocked until the operator
    /// releases them.
    pub lost: Option<Sequence>,
}

/// Why a unit cannot come back from its log: it was damaged in a way that its check codes do not show,
/// or the hardware is another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecoveryError {
    /// A record cannot be read.
    #[error("record {sequence} of the log, of kind {kind}, makes no sense")]
    Record {
        /// Its sequence.
        sequence: Sequence,
        /// Its kind, as it stands there.
        kind: u16,
    },
    /// The control state was written by a later version.
    #[error("the control state has version {found}, this program knows {known}: use the newer one")]
    Version {
        /// The version found.
        found: u16,
        /// The latest version known.
        known: u16,
    },
    /// The log was trimmed and holds no whole checkpoint.
    #[error("the log begins at record {first} and holds no whole checkpoint")]
    NoCheckpoint {
        /// The first record there is.
        first: Sequence,
    },
    /// The checkpoint contradicts itself.
    #[error("the checkpoint at record {sequence}: {source}")]
    State {
        /// The record at which it stands.
        sequence: Sequence,
        /// What is wrong.
        source: StateError,
    },
    /// A change cannot have been made.
    #[error("record {sequence} of the log: {source}")]
    Change {
        /// Its sequence.
        sequence: Sequence,
        /// What is wrong.
        source: ReplayError,
    },
    /// A volume has no place on the drives any more.
    #[error("volume {ldev}: {source}")]
    Home {
        /// The volume.
        ldev: LdevId,
        /// What is wrong.
        source: DkaError,
    },
    /// A volume is to lie on drives, and it is not known where.
    #[error("the place of volume {ldev}, backing {backing}, is not known")]
    NoHome {
        /// The volume.
        ldev: LdevId,
        /// Its backing.
        backing: BackingId,
    },
    /// The volumes of a pair have two shapes, or only one of them has payload.
    #[error("the volumes of pair {pair} are not alike")]
    Unlike {
        /// The pair.
        pair: PairId,
    },
    /// The cache has slots for smaller tracks.
    #[error("volume {ldev} has tracks of {track_bytes} bytes, the cache slots of {slot_bytes}")]
    TrackTooLarge {
        /// The volume.
        ldev: LdevId,
        /// Bytes of its tracks.
        track_bytes: usize,
        /// Bytes of a slot.
        slot_bytes: usize,
    },
    /// What is dirty does not fit the cache, and a drive does not take it.
    #[error(
        "{tracks} tracks of the log do not fit the cache, and a drive does not take them: give the unit a larger cache"
    )]
    Cache {
        /// The track that did not fit: so many it was.
        tracks: u64,
    },
}

/// A unit that came back, the hardware below it, and what was found.
#[derive(Debug)]
pub struct Opened {
    /// The unit.
    pub unit: Unit,
    /// The hardware.
    pub plant: Plant,
    /// What was found.
    pub recovered: Recovered,
}

impl Unit {
    /// A unit comes back from its log. The driver asks [`Unit::due`] afterwards: copies go on.
    ///
    /// # Errors
    ///
    /// If a setting is not possible, the log cannot be read, or what it holds makes no whole.
    pub fn open(
        config: UnitConfig,
        drives: Drives,
        log: Box<dyn Device>,
        log_config: LogConfig,
    ) -> Result<Opened, UnitError> {
        let mut found = Found::default();
        let (log, replayed) =
            Log::salvage(log, log_config, |sequence, record| found.add(sequence, record))?;
        let first = log.first_sequence();
        let plant = Plant::with_log(drives, log);
        let unit = Self::new(config, &plant)?;
        let recovered = unit.recover(&plant, found, first, replayed)?;
        Ok(Opened { unit, plant, recovered })
    }

    fn recover(
        &self,
        plant: &Plant,
        found: Found,
        first: Sequence,
        replayed: Replayed,
    ) -> Result<Recovered, UnitError> {
        if let Some((sequence, kind)) = found.unreadable {
            return Err(RecoveryError::Record { sequence, kind }.into());
        }
        let core = self.core();
        let mut control = Control::of(core, found.control, first)?;
        let changes = control.change_count();
        let state = control.restore(core)?;
        for volume in &state.volumes {
            self.known(volume);
        }
        let tracks = found.tracks.install(core, plant, &state.volumes)?;
        core.numbers_from(found.sequence, 0);
        // What is dirty again does not stay so longer than it may.
        core.dirtied.store(tracks > 0, Ordering::Release);
        let lost = replayed.lost.map(|(sequence, _)| sequence);
        match lost {
            None => go_on(core, &state.pairs),
            Some(_) => self.distrust(&state)?,
        }
        Ok(Recovered {
            records: replayed.record_count,
            payload_bytes: replayed.payload_bytes,
            torn: replayed.torn,
            changes,
            tracks,
            volumes: state.volumes.len(),
            pairs: state.pairs.len(),
            lost,
        })
    }

    /// The status is not provably current (design of pairs, *control state lost*): every pair suspended
    /// with all different, every primary that is nobody's secondary undefined. Which volumes lost data
    /// nobody knows: all that have any are blocked.
    fn distrust(&self, state: &State) -> Result<(), UnitError> {
        let core = self.core();
        for volume in &state.volumes {
            core.shared.with_family(volume.ldev, |family| distrust(core, family, volume))?;
        }
        Ok(core.journal.commit_now()?)
    }
}

fn distrust(core: &Core, family: &mut FamilyState, volume: &Volume) {
    let ldev = volume.ldev;
    let all = family.all_tracks();
    let pairs: Vec<(PairId, PairStatus)> =
        family.pairs_of_primary(ldev).map(|pair| (pair.id, pair.status)).collect();
    let is_first = family.pair_of_secondary(ldev).is_none();
    for &(pair, status) in &pairs {
        match status {
            PairStatus::Restoring => drop(family.change(Change::AbandonRestore { pair })),
            PairStatus::Suspended => {}
            _ => drop(family.change(Change::Suspend { pair, all_different: true })),
        }
        for map in MapName::ALL {
            family.change(Change::Set { pair, map, tracks: all });
        }
        let pair = family.pair(pair).expect("the pair just changed");
        let (from, to) = (Some(status), Some(pair.status));
        core.record_of(Time::ZERO, pair, Message::ControlStateLost, from, to);
    }
    if !pairs.is_empty() && is_first {
        family.change(Change::Undefined { ldev, undefined: true });
    }
    if !volume.metadata_only {
        family.change(Change::VolumeState { ldev, state: VolumeState::Blocked });
        let entry = HistoryEntry::new(Time::ZERO, Message::ControlStateLost);
        core.record(entry.of_volume(ldev));
    }
}

/// Copies that were under way go on.
fn go_on(core: &Core, pairs: &[diptych_shared::Pair]) {
    let mut scheduler = core.scheduler.lock();
    for pair in pairs.iter().filter(|pair| pair.is_copying() && pair.copier) {
        scheduler.start(pair.id, pair.primary, pair.options);
    }
}

/// What the log holds.
#[derive(Debug, Default)]
struct Found {
    control: Vec<(Sequence, Kind, Vec<u8>, Vec<u8>)>,
    tracks: Tracks,
    /// Above every generation of the data.
    sequence: u64,
    /// The first record that makes no sense.
    unreadable: Option<(Sequence, u16)>,
}

impl Found {
    fn add(&mut self, sequence: Sequence, record: Record<'_>) {
        let Record { kind: number, head, payload } = record;
        let Some(kind) = Kind::of(number) else {
            self.unreadable.get_or_insert((sequence, number));
            return;
        };
        if matches!(kind, Kind::Write | Kind::Zeros | Kind::Discard | Kind::Copy) {
            match record::read_data(kind, head, payload) {
                Some(data) => {
                    self.sequence = self.sequence.max(data.last_generation() + 1);
                    self.tracks.add(sequence, data);
                }
                None => drop(self.unreadable.get_or_insert((sequence, number))),
            }
        } else {
            self.control.push((sequence, kind, head.to_vec(), payload.to_vec()));
        }
    }
}
