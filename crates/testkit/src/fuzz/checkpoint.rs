//! Anything as the records of a unit's log: the unit comes back, goes on for a while, and comes back again.

use super::input::Input;
use super::records;
use crate::{ByHand, Choices};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{SectorNo, TrackNo};
use diptych_log::{Log, LogConfig, LogId};
use diptych_shared::Limits;
use diptych_sync::Arc;
use diptych_unit::{Opened, Plant, Unit, UnitConfig};
use std::io::IoSlice;

/// Records before those of the input were trimmed.
pub(super) const TRIMMED: u8 = 1;
/// A sector of the log is damaged.
pub(super) const DAMAGED: u8 = 2;
/// The unit does not go on before it comes back again.
pub(super) const AT_ONCE: u8 = 4;

const DRIVES: u16 = 2;
const DRIVE_SECTORS: u64 = 1 << 12;
const LOG_SECTORS: u64 = 800;
const TRACK_BLOCKS: usize = 4;
const SLOTS: usize = 12;
/// What may happen before the unit comes back again.
const MOVES: u64 = 300;
/// Enough for commands and a checkpoint.
pub(super) const LOG_CONFIG: LogConfig = LogConfig { reserve_sectors: 200, waiters_max: 1_024 };

type Drive = Arc<MemoryDrive>;

/// Drives and a log in memory.
pub(super) struct Rig {
    drives: Vec<Drive>,
    pub(super) log: Drive,
}

impl Rig {
    pub(super) fn new() -> Self {
        let drive = |sectors| Arc::new(MemoryDrive::with_chunks(sectors, 64));
        let drives = (0..DRIVES).map(|_| drive(DRIVE_SECTORS)).collect();
        Self { drives, log: drive(LOG_SECTORS) }
    }

    pub(super) fn config() -> UnitConfig {
        let mut config = UnitConfig::with_cache(SLOTS, TRACK_BLOCKS * 512);
        config.limits = Limits { volumes: 64, pairs: 64, queued_claims: 64 };
        config.needs_reserve = false;
        config.in_use_ns = 0;
        config.chunk_blocks = 8;
        config.history_max = 64;
        config.checkpoint_at_percent = 5;
        config
    }

    pub(super) fn drives(&self) -> Drives {
        let drive =
            |(no, drive): (u16, &Drive)| (no % 2, Box::new(drive.clone()) as Box<dyn Device>);
        Drives::new((0..).zip(&self.drives).map(drive).collect())
    }

    /// A unit on an empty log.
    pub(super) fn fresh(&self) -> ByHand {
        let log: Box<dyn Device> = Box::new(self.log.clone());
        let log = Log::create(log, LogId(1), LOG_CONFIG).expect("a log");
        let plant = Plant::with_log(self.drives(), log);
        ByHand::new(Unit::new(Self::config(), &plant).expect("a unit"), plant)
    }

    fn open(&self) -> Option<Opened> {
        let log = Box::new(self.log.clone());
        Unit::open(Self::config(), self.drives(), log, LOG_CONFIG).ok()
    }
}

pub(super) fn run(bytes: &[u8]) -> bool {
    let mut input = Input(bytes);
    let flags = input.byte();
    let rig = Rig::new();
    let log = Log::create(rig.log.clone(), LogId(1), LOG_CONFIG).expect("a log");
    if flags & TRIMMED != 0 {
        log.put(vec![diptych_log::Entry::new(0, Vec::new(), bytes::Bytes::new())]);
        log.sync(log.end()).expect("one record");
        drop(log.trim(log.end()).expect("a drive in memory"));
    }
    // More than the log takes: the unit finds what it took.
    let _ = records::put(input, &log);
    drop(log);
    if flags & DAMAGED != 0 {
        let sector = SectorNo(16 + u64::from(flags >> 4));
        rig.log.write_at(sector, &[IoSlice::new(&[0xEE; 512])]).expect("a sector of the log");
    }
    let Some(Opened { unit, plant, recovered }) = rig.open() else { return false };
    let log = plant.log().expect("a unit with a log");
    let end_found = log.first_sequence().0 + recovered.records;
    let mut hand = ByHand::new(unit, plant);
    if flags & AT_ONCE == 0 {
        hand.start_due();
        hand.run_random(&mut Choices::from_seed(u64::from(flags)), MOVES);
    }
    // What had not been answered by then may have happened or not: memory is ahead of the log.
    let log = hand.plant().log().expect("a unit with a log");
    let (synced, appended) = (log.sync(log.end()).is_ok(), log.end().0 > end_found);
    let kept = hand.unit().kept_names("");
    let before = (hand.unit().volumes(), lasting(hand.unit()), hand.unit().schedules().len());
    drop(hand);
    if !synced {
        return true;
    }
    let Opened { unit, recovered, .. } =
        rig.open().expect("a unit that came back comes back again");
    // Damage is found again until something is appended.
    assert!(recovered.lost.is_none() || !appended, "what was given up never comes back");
    let volumes = unit.volumes();
    let wrote_at = |volume| diptych_shared::Volume { host_wrote_at: None, ..volume };
    let expected: Vec<_> = before.0.into_iter().map(wrote_at).collect();
    assert_eq!((volumes, lasting(&unit), unit.schedules().len()), (expected, before.1, before.2));
    assert_eq!(unit.kept_names(""), kept);
    true
}

/// The pairs, as bytes: what ends with the unit is not in them. The copy pointer is a hint, which lanes
/// move without a record.
fn lasting(unit: &Unit) -> Vec<u8> {
    let mut pairs = unit.pairs();
    pairs.iter_mut().for_each(|pair| pair.copy_pointer = TrackNo(0));
    postcard::to_allocvec(&pairs).expect("memory takes any encoding")
}
