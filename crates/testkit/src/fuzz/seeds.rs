//! Inputs made of what real logs, units and memories write.

use super::checkpoint::{AT_ONCE, DAMAGED, LOG_CONFIG, Rig, TRIMMED};
use super::input::put_counted;
use super::log_replay::{CODES_AS_THEY_ARE, SECTORS_LEAST};
use super::map_pages::{MAP, MAPS, STATE};
use super::records::Taken;
use crate::{ByHand, Choices, ldev};
use bytes::Bytes;
use diptych_cha::{
    Command, CommandCode, CreateAuto, GroupCommand, HostOp, Outcome, PairFacts, Refusal,
};
use diptych_device::{Device, MemoryDrive};
use diptych_format::{
    BLOCK_BYTES, BackingId, BlockNo, BlockRange, Geometry, ImageNo, LdevId, PairId, SectorNo, Time,
    TrackNo, TrackRange,
};
use diptych_log::{Entry, Log, LogConfig, LogId};
use diptych_rt::{DriveShape, UnitShape};
use diptych_shared::{
    Change, MapName, Pair, PairOptions, PairStatus, SharedMemory, TrackMap, Volume,
};
use diptych_unit::{Schedule, Scope, Utc, When};
use std::io::{IoSlice, IoSliceMut};

type Seeds = Vec<(&'static str, Vec<u8>)>;

/// The sectors of a device that are not zero.
fn sectors(drive: &MemoryDrive, flags: u8) -> Vec<u8> {
    let mut input = vec![flags, (drive.sector_count() - SECTORS_LEAST) as u8];
    for no in 0..drive.sector_count() {
        let mut sector = [0; BLOCK_BYTES];
        drive.read_at(SectorNo(no), &mut [IoSliceMut::new(&mut sector)]).expect("a sector");
        let used = sector.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        if used > 0 {
            input.push(no as u8);
            put_counted(&mut input, &sector[..used]);
        }
    }
    input
}

fn put(log: &Log<&MemoryDrive>, kind: u16, blocks: usize) {
    let mut payload = vec![0; blocks * BLOCK_BYTES];
    // The rest is zero, so that inputs are small.
    payload.chunks_mut(BLOCK_BYTES).for_each(|block| block[0] = kind as u8);
    log.put(vec![Entry::new(kind, b"head".to_vec(), payload.into())]);
    log.sync(log.end()).expect("there is room");
}

pub(super) fn log_replay() -> Seeds {
    let made = |name, sectors_more: u64, flags, work: fn(&MemoryDrive)| {
        let drive = MemoryDrive::new(SECTORS_LEAST + sectors_more);
        work(&drive);
        (name, sectors(&drive, flags))
    };
    fn create(drive: &MemoryDrive) -> Log<&MemoryDrive> {
        Log::create(drive, LogId(7), LogConfig::default()).expect("a log")
    }
    fn damage(drive: &MemoryDrive, sector: u64) {
        drive.write_at(SectorNo(sector), &[IoSlice::new(&[3; BLOCK_BYTES])]).expect("a sector");
    }
    fn around(drive: &MemoryDrive) {
        let log = create(drive);
        for kind in 1..12 {
            put(&log, kind, usize::from(kind) % 4);
            drop(log.trim(log.end()).expect("a drive in memory"));
        }
        (1..4).for_each(|kind| put(&log, kind, 1));
    }
    vec![
        made("empty", 0, 0, |drive| drop(create(drive))),
        made("records", 9, 0, |drive| {
            let log = create(drive);
            (1..5).for_each(|kind| put(&log, kind, usize::from(kind) % 3));
        }),
        made("around", 5, 0, around),
        made("around-as-it-is", 5, CODES_AS_THEY_ARE, around),
        made("opened-again", 20, 0, |drive| {
            put(&create(drive), 1, 2);
            let opened = Log::open(drive, LogConfig::default(), |_, _| ());
            put(&opened.expect("a log").0, 2, 0);
        }),
        made("torn", 20, CODES_AS_THEY_ARE, |drive| {
            let log = create(drive);
            (1..4).for_each(|kind| put(&log, kind, 1));
            damage(drive, 21); // the payload of the last one
        }),
        made("damaged", 20, CODES_AS_THEY_ARE, |drive| {
            let log = create(drive);
            (1..6).for_each(|kind| put(&log, kind, 1));
            damage(drive, 18);
        }),
    ]
}

pub(super) fn checkpoint() -> Seeds {
    let flags = [("state", AT_ONCE), ("state-goes-on", 0)];
    let mut seeds: Seeds =
        flags.into_iter().map(|(name, flags)| (name, lived(Life::Pairs).input(flags))).collect();
    seeds.push(("restores", lived(Life::Restores).input(0)));
    // Which sector is in the upper half of the flags.
    seeds.push(("damaged", lived(Life::Restores).input(DAMAGED | 9 << 4)));
    seeds.push(("damaged-early", lived(Life::Pairs).input(DAMAGED | 5 << 4)));
    seeds.push(("data", lived(Life::Data).input(0)));
    seeds.push(("trimmed", lived(Life::Checkpointed).input(TRIMMED)));
    seeds.push(("trimmed-at-once", lived(Life::Checkpointed).input(TRIMMED | AT_ONCE)));
    seeds
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Life {
    Pairs,
    Restores,
    Data,
    Checkpointed,
}

/// What a unit that has lived so has in its log.
fn lived(life: Life) -> Taken {
    let rig = Rig::new();
    let mut hand = rig.fresh();
    let mut choices = Choices::from_seed(3);
    for no in 0..3 {
        let geometry = Geometry::with_tracks(4, 5);
        hand.unit().add_volume(ldev(no), geometry, usize::from(no) % 2).expect("room");
    }
    hand.unit().add_metadata_volume(ldev(9), Geometry::with_tracks(2, 9_000)).expect("a volume");
    live(&mut hand, life, &mut choices);
    drop(hand);
    let mut taken = Taken::default();
    let opened = Log::open(&*rig.log, LOG_CONFIG, |_, record| taken.add(record));
    opened.expect("the unit's log");
    taken
}

fn live(hand: &mut ByHand, life: Life, choices: &mut Choices) {
    let command = |code, secondary| HostOp::Command(Command::new(code, ldev(0), ldev(secondary)));
    let write = |no, block, blocks: usize| HostOp::Write {
        ldev: ldev(no),
        block: BlockNo(block),
        data: Bytes::from(vec![no + 1; blocks * BLOCK_BYTES]),
    };
    let mut run = |op| drop(hand.run(op, choices).expect("an end"));
    run(write(0, 1, 6));
    if life != Life::Data {
        run(command(CommandCode::Create, 1));
        run(command(CommandCode::Copy, 1));
        run(write(0, 3, 4));
    }
    match life {
        Life::Pairs => {
            run(command(CommandCode::Create, 2));
            let group = GroupCommand::new(CommandCode::Copy, vec![(ldev(0), ldev(2))]);
            run(HostOp::Group(group));
        }
        Life::Restores => run(command(CommandCode::Suspend, 1)),
        Life::Data => {
            run(write(1, 0, 4));
            run(HostOp::Unmap { ldev: ldev(0), blocks: BlockRange::new(BlockNo(0), 6) });
            run(write(2, 17, 2));
        }
        Life::Checkpointed => {}
    }
    match life {
        Life::Pairs => {
            let scope = Scope::Pair { primary: ldev(0), secondary: ldev(1) };
            let when = When::Cron("30 2 * * MON-FRI".parse().expect("a cron text"));
            let added = hand.unit().add_schedule(Schedule::new(scope, when), Time::ZERO);
            added.expect("a schedule");
            let when = When::At(Utc::from_seconds(1 << 33));
            let scope = Scope::Pair { primary: ldev(0), secondary: ldev(2) };
            hand.unit().add_schedule(Schedule::new(scope, when), Time::ZERO).expect("a schedule");
            for value in [Some(Bytes::from_static(b"00:00")), None] {
                hand.unit().keep("lu/CL1-A:0", value).expect("room");
            }
        }
        Life::Restores => {
            let mut run = |op| drop(hand.run(op, choices).expect("an end"));
            run(command(CommandCode::Resync, 1));
            hand.settle(choices).expect("an end");
            let mut run = |op| drop(hand.run(op, choices).expect("an end"));
            run(command(CommandCode::Copy, 1));
            run(write(0, 9, 3));
            run(command(CommandCode::Restore, 1));
        }
        Life::Data => {}
        Life::Checkpointed => {
            let value = Bytes::from_static(b"a value");
            hand.unit().keep("user/anna", Some(value)).expect("room");
            // Until the log is so full that there is a checkpoint.
            for block in 0..150 {
                drop(hand.run(write(0, block % 20, 1), choices).expect("an end"));
            }
            hand.settle(choices).expect("an end");
            drop(hand.run(write(0, 3, 2), choices).expect("an end"));
        }
    }
}

fn map_bytes(track_count: u64, runs: &[(u64, u64)]) -> Vec<u8> {
    let mut map = TrackMap::new(track_count);
    for &(start, count) in runs {
        map.set_range(TrackRange::new(TrackNo(start), count));
    }
    map.to_bytes()
}

pub(super) fn map_pages() -> Seeds {
    let one = |runs: &[(u64, u64)]| [vec![MAP], map_bytes(1 << 20, runs)].concat();
    let scattered: Vec<(u64, u64)> = (0..400).map(|no| (9_000 + no * 3, no % 2 + 1)).collect();
    let mut two = vec![MAPS];
    put_counted(&mut two, &map_bytes(300_000, &[(5, 4_096), (8_191, 100_000)]));
    two.extend(map_bytes(300_000, &[(0, 3), (4_000, 200), (290_000, 10_000)]));
    let mut full = vec![MAP];
    full.extend(TrackMap::full(1 << 48).to_bytes());
    vec![
        ("map-empty", one(&[])),
        ("map-full", full),
        ("map-runs", one(&[(0, 1), (4_095, 2), (100_000, 70_000), ((1 << 20) - 1, 1)])),
        ("map-page", one(&scattered)),
        ("two-maps", two),
        ("state", state(&[])),
        ("changes", state(&changes())),
        ("levels", state(&levels())),
    ]
}

const ID: PairId = PairId { no: 0, epoch: 0 };
const BELOW: PairId = PairId { no: 1, epoch: 2 };
const TRACKS: u64 = 5_000;

/// Four volumes, and a pair of two of them.
fn state(changes: &[(LdevId, Change)]) -> Vec<u8> {
    let memory = SharedMemory::default();
    for no in 0..4 {
        let backing = BackingId(u32::from(no) + 1);
        let volume = Volume::new(ldev(no), Geometry::with_tracks(2, TRACKS), backing);
        memory.add_volume(volume).expect("room");
    }
    let pair = pair(ID, 0, 1);
    memory.replay(ldev(0), Change::AddPair(Box::new(pair))).expect("a pair");
    let bytes = postcard::to_allocvec(&memory.snapshot(|| ()).0).expect("memory");
    let mut input = vec![STATE];
    put_counted(&mut input, &bytes);
    for change in changes {
        memory.replay(change.0, change.1.clone()).expect("a change that can be made");
        input.extend(postcard::to_allocvec(change).expect("memory"));
    }
    input
}

fn pair(id: PairId, primary: u8, secondary: u8) -> Pair {
    Pair::new(id, ldev(primary), ldev(secondary), TRACKS, PairOptions::default(), true)
}

fn tracks(start: u64, count: u64) -> TrackRange {
    TrackRange::new(TrackNo(start), count)
}

fn changes() -> Vec<(LdevId, Change)> {
    let (pair, options, primary) = (ID, PairOptions::default(), ldev(0));
    let of = |change| (primary, change);
    vec![
        of(Change::Allocate { ldev: primary, tracks: tracks(3, 4_900) }),
        of(Change::CopyBegins { pair, at: Time::from_ns(77) }),
        of(Change::Copy { pair, image: ImageNo(9), options }),
        of(Change::Copied { pair, track: TrackNo(4), protecting: true }),
        of(Change::Settled { pair, tracks: vec![tracks(0, 4), tracks(5, 4_000)] }),
        of(Change::HostChange { primary, tracks: tracks(100, 7) }),
        of(Change::Clear { pair, map: MapName::C, tracks: tracks(0, TRACKS) }),
        of(Change::SecondaryChange { secondary: ldev(1), tracks: tracks(8, 2) }),
        of(Change::Restore { pair, options }),
        of(Change::Unreadable { pair, track: TrackNo(9) }),
        of(Change::AbandonRestore { pair }),
        of(Change::Resync { pair, options }),
        of(Change::Suspend { pair, all_different: true }),
        of(Change::RemovePair(pair)),
    ]
}

fn levels() -> Vec<(LdevId, Change)> {
    let options = PairOptions::default();
    let of = |change| (ldev(0), change);
    vec![
        of(Change::AddPair(Box::new(pair(BELOW, 1, 2)))),
        of(Change::Clear { pair: ID, map: MapName::C, tracks: tracks(0, TRACKS) }),
        of(Change::Copy { pair: ID, image: ImageNo(1), options }),
        of(Change::HostChange { primary: ldev(0), tracks: tracks(4_095, 2) }),
        of(Change::Exchange { pair: ID, freeze: Some(ImageNo(2)), options }),
        of(Change::Exchange { pair: ID, freeze: None, options }),
        of(Change::RemovePair(ID)),
    ]
}

pub(super) fn command_block() -> Seeds {
    let [primary, secondary] = [LdevId::new(0, 0x1A), LdevId::new(0, 0x3B)];
    let command = |code| Command::new(code, primary, secondary).encode().to_vec();
    let pair = PairId { no: 3, epoch: 9 };
    let told = PairFacts::of(&Pair::new(pair, primary, secondary, 5, PairOptions::default(), true));
    let accepted = Outcome::Accepted { pair, from: Some(PairStatus::Copied), to: None };
    vec![
        ("create", command(CommandCode::Create)),
        ("copy", command(CommandCode::Copy)),
        ("create-auto", CreateAuto::new(primary).encode().to_vec()),
        ("pair", told.encode().to_vec()),
        ("accepted", accepted.encode().to_vec()),
        ("refused", Outcome::Refused(Refusal::NoVolume { ldev: primary }).encode().to_vec()),
    ]
}

pub(super) fn unit_toml() -> Seeds {
    let drive = |dka_no| DriveShape { dka_no, sectors: 1 << 21 };
    let shape = UnitShape { id: 0xABCD, log_sectors: 131_072, drives: vec![drive(0), drive(1)] };
    vec![("two-drives", shape.to_text().into_bytes())]
}
