//! Small values that are kept for others: limits, and that they are there again.
#![allow(missing_docs)] // a test program has no public items

use bytes::Bytes;
use diptych_cha::{HostOp, HostReply};
use diptych_device::{Device, MemoryDrive, PowerCut};
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry};
use diptych_log::{Entry, Log, LogConfig, LogId};
use diptych_sync::Arc;
use diptych_testkit::{ByHand, Choices, Tag, ldev};
use diptych_unit::{LogBusy, Opened, Plant, Recovered, RecoveryError, Unit, UnitConfig, UnitError};

const RESERVE_SECTORS: u64 = 1 << 16;
const TRACKS: u64 = 12;

type Drive = Arc<PowerCut<MemoryDrive>>;

/// What outlives the unit.
struct Machine {
    drive: Drive,
    log: Drive,
    log_config: LogConfig,
}

impl Machine {
    fn new() -> Self {
        Self::with_reserve(RESERVE_SECTORS)
    }

    fn with_reserve(reserve_sectors: u64) -> Self {
        let drive = |sectors| Arc::new(PowerCut::new(MemoryDrive::new(sectors), 1 << 16));
        let log_config = LogConfig { reserve_sectors, ..LogConfig::default() };
        Self { drive: drive(4_096), log: drive(4 * reserve_sectors), log_config }
    }

    fn config() -> UnitConfig {
        let mut config = UnitConfig::with_cache(24, 4 * 512);
        config.checkpoint_at_percent = 1;
        config
    }

    fn drives(&self) -> Drives {
        Drives::new(vec![(0, Box::new(self.drive.clone()) as Box<dyn Device>)])
    }

    fn create(&self) -> ByHand {
        let log: Box<dyn Device> = Box::new(self.log.clone());
        let log = Log::create(log, LogId(1), self.log_config).expect("a log");
        let plant = Plant::with_log(self.drives(), log);
        let unit = Unit::new(Self::config(), &plant).expect("a unit");
        unit.add_volume(ldev(0), Geometry::with_tracks(4, TRACKS), 0).expect("room");
        ByHand::new(unit, plant)
    }

    fn open(&self) -> Result<(Unit, Recovered), UnitError> {
        let log = Box::new(self.log.clone());
        let opened = Unit::open(Self::config(), self.drives(), log, self.log_config);
        opened.map(|Opened { unit, recovered, .. }| (unit, recovered))
    }

    /// The power goes, and with it what was not flushed.
    fn cut(&self) {
        for drive in [&self.drive, &self.log] {
            drive.cut(|_| false);
            drive.restore_power();
        }
    }

    /// The log as its records and payloads.
    fn records(&self) -> Vec<(u16, Vec<u8>, Bytes)> {
        let mut records = Vec::new();
        let log = Log::open(self.log.clone(), self.log_config, |_, record| {
            let payload = Bytes::copy_from_slice(record.payload);
            records.push((record.kind, record.head.to_vec(), payload));
        });
        log.expect("a log");
        records
    }
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Writes so much that a checkpoint is made.
fn checkpoint(hand: &mut ByHand) {
    let before = hand.plant().log().expect("a log").first_sequence();
    let mut choices = Choices::from_seed(1);
    while hand.plant().log().expect("a log").first_sequence() == before {
        let blocks = BlockRange::new(BlockNo(0), 4 * TRACKS);
        let data = Tag(7).data(blocks);
        let write = HostOp::Write { ldev: ldev(0), block: blocks.start, data };
        assert_eq!(hand.run(write, &mut choices), Ok(HostReply::Done));
        hand.settle(&mut choices).expect("every job ends");
    }
}

fn all(unit: &Unit) -> Vec<(String, Bytes)> {
    let value = |name: String| {
        let value = unit.kept(&name).expect("a value of this name");
        (name, value)
    };
    unit.kept_names("").into_iter().map(value).collect()
}

#[test]
fn values_are_there_again_after_a_cut() {
    for checkpointed in [false, true] {
        let machine = Machine::new();
        let mut hand = machine.create();
        let unit = hand.unit();
        unit.keep("lu/CL1-A", Some(bytes("first"))).expect("room");
        unit.keep("lu/CL1-B", Some(bytes("second"))).expect("room");
        unit.keep("user/anna", Some(Bytes::new())).expect("room");
        if checkpointed {
            checkpoint(&mut hand);
        }
        let unit = hand.unit();
        unit.keep("lu/CL1-A", Some(bytes("third"))).expect("room");
        unit.keep("lu/CL1-B", None).expect("room");
        unit.keep("lu/CL1-C", None).expect("nothing to forget");
        let expected =
            [("lu/CL1-A", "third"), ("user/anna", "")].map(|(n, v)| (n.to_owned(), bytes(v)));
        assert_eq!(all(unit), expected);
        assert_eq!(unit.kept_names("lu/"), ["lu/CL1-A"]);
        assert_eq!(unit.kept_names("lv"), [""; 0]);
        drop(hand);
        machine.cut();
        let (unit, _) = machine.open().expect("a unit");
        assert_eq!(all(&unit), expected, "checkpointed: {checkpointed}");
        // Forgotten values are nowhere; and once more, from what recovery left.
        unit.keep("user/anna", None).expect("room");
        drop(unit);
        machine.cut();
        assert_eq!(all(&machine.open().expect("a unit").0), expected[..1]);
    }
}

#[test]
fn a_unit_without_a_log_keeps_values_for_its_life() {
    let drive = Box::new(MemoryDrive::new(1 << 12)) as Box<dyn Device>;
    let plant = Plant::new(Drives::new(vec![(0, drive)]));
    let unit = Unit::new(Machine::config(), &plant).expect("a unit");
    unit.keep("name", Some(bytes("value"))).expect("no log to be full");
    assert_eq!(unit.kept("name"), Some(bytes("value")));
    unit.keep("name", None).expect("no log to be full");
    assert_eq!(unit.kept("name"), None);
}

#[test]
fn there_are_limits() {
    let machine = Machine::new();
    let hand = machine.create();
    let unit = hand.unit();
    let (name_max, value_max) = (Unit::KEPT_NAME_BYTES_MAX, Unit::KEPT_VALUE_BYTES_MAX);
    let name = |bytes| UnitError::KeptName { bytes, most: 64 };
    assert_eq!(unit.keep("", Some(bytes("x"))), Err(name(0)));
    assert_eq!(unit.keep(&"n".repeat(name_max + 1), Some(bytes("x"))), Err(name(65)));
    let large = Bytes::from(vec![1; value_max + 1]);
    let error = UnitError::KeptValue { bytes: value_max + 1, most: 65_536 };
    assert_eq!(unit.keep("large", Some(large.clone())), Err(error));
    unit.keep(&"n".repeat(name_max), Some(large.slice(1..))).expect("as long as it may be");
    // Together.
    let mut no = 0;
    let error = loop {
        match unit.keep(&format!("{no:03}"), Some(large.slice(1..))) {
            Ok(()) => no += 1,
            Err(error) => break error,
        }
    };
    let (per_value, most) = (value_max + 3, Unit::KEPT_BYTES_MAX);
    assert_eq!(
        error,
        UnitError::KeptFull { bytes: value_max + 64 + 64 * per_value - per_value, most }
    );
    // In place of another of its size there is room.
    unit.keep("000", Some(Bytes::from(vec![2; value_max]))).expect("no more than before");
    for no in 0..no {
        unit.keep(&format!("{no:03}"), None).expect("room");
    }
    for no in 1..Unit::KEPT_MAX {
        unit.keep(&no.to_string(), Some(Bytes::new())).expect("room");
    }
    let error = UnitError::TooManyKept { most: 1_024 };
    assert_eq!(unit.keep("one more", Some(Bytes::new())), Err(error));
    unit.keep("7", Some(bytes("in place"))).expect("no more than before");
    let before = all(unit);
    drop(hand);
    machine.cut();
    assert_eq!(all(&machine.open().expect("a unit").0), before);
}

/// Values take no room that checkpoints need: who keeps too much of them at once is told, and the log goes
/// on.
#[test]
fn a_log_is_not_filled_with_values() {
    let machine = Machine::with_reserve(64);
    let mut hand = machine.create();
    let most = 64 * 512 / 4;
    let error = hand.unit().keep("a", Some(Bytes::from(vec![1; 2 * most])));
    assert!(matches!(error, Err(UnitError::ControlFull(_))), "{error:?}");
    let value = |no: u8| Some(Bytes::from(vec![no; most - 1_024]));
    let kept = (0..u8::MAX).map(|no| hand.unit().keep("a", value(no))).take_while(Result::is_ok);
    let kept = kept.count() as u8;
    assert!((4..20).contains(&kept), "{kept}");
    assert_eq!(hand.unit().keep("a", value(100)), Err(UnitError::LogBusy(LogBusy)));
    assert_eq!(hand.unit().kept("a"), value(kept - 1));
    hand.start_due();
    checkpoint(&mut hand);
    hand.unit().keep("a", value(101)).expect("room again");
    drop(hand);
    machine.cut();
    assert_eq!(machine.open().expect("a unit").0.kept("a"), value(101));
}

/// Kinds of records, as they stand in a log.
const BEGIN: u16 = 32;
const PART: u16 = 33;
const END: u16 = 34;

/// The log again, with the last checkpoint as an earlier version wrote it.
fn rewritten(machine: &Machine, version: u16, cut_bytes: u64) -> Machine {
    let records = machine.records();
    let begin = records.iter().rposition(|(kind, ..)| *kind == BEGIN).expect("a checkpoint");
    let old = Machine { drive: machine.drive.clone(), ..Machine::new() };
    let log = Log::create(old.log.clone(), LogId(1), old.log_config).expect("a log");
    let begin_at = log.end().0;
    let encode = |value: &(u64, u64)| postcard::to_allocvec(value).expect("two numbers");
    for (kind, head, payload) in &records[begin..] {
        let numbers = || postcard::from_bytes::<(u64, u64)>(head).expect("two numbers").1;
        let head = match *kind {
            BEGIN => postcard::to_allocvec(&version).expect("a number"),
            PART => encode(&(begin_at, numbers())),
            END => encode(&(begin_at, numbers() - cut_bytes)),
            _ => head.clone(),
        };
        log.put(vec![Entry::new(*kind, head, payload.clone())]);
    }
    log.sync(log.end()).expect("a drive in memory");
    old
}

#[test]
fn what_the_first_version_wrote_is_read() {
    let machine = Machine::new();
    let mut hand = machine.create();
    checkpoint(&mut hand);
    let volumes = hand.unit().volumes().len();
    drop(hand);
    // The list of kept values is the last of the state, and empty: one byte.
    let old = rewritten(&machine, 1, 1);
    let (unit, recovered) = old.open().expect("an earlier version");
    assert_eq!((unit.volumes().len(), recovered.lost), (volumes, None));
    assert_eq!(all(&unit), []);
    unit.keep("name", Some(bytes("value"))).expect("room");
    drop(unit);
    old.cut();
    assert_eq!(old.open().expect("a unit").0.kept("name"), Some(bytes("value")));
    // What the first version has in it is no state of the second, nor the other way round.
    let later = rewritten(&machine, 3, 0).open().expect_err("a later version");
    assert_eq!(later, RecoveryError::Version { found: 3, known: 2 }.into());
}
