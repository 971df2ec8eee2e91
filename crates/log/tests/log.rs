//! The log over drives that lose power, rot and fail.

use diptych_device::{
    Device, Fault, FaultKind, FaultPlan, FaultRule, MemoryDrive, Op, PowerCut, SectorRange, Trace,
    TraceEntry,
};
use diptych_format::SectorNo;
use diptych_log::{Log, LogConfig, LogError, LogId, Record, Replayed, Sequence};
use proptest::prelude::*;
use std::io::{IoSlice, IoSliceMut};

const ID: LogId = LogId(0xD1D1);

/// What a record of number `n` is: heads and payloads of many sizes.
fn head(n: u64) -> Vec<u8> {
    n.to_le_bytes().repeat(n as usize % 90)
}

fn payload(n: u64) -> Vec<u8> {
    vec![n as u8; (n as usize % 4) * 512]
}

/// Appends records of these numbers as one batch.
fn append(log: &Log<impl Device>, numbers: &[u64]) -> Result<(), LogError> {
    let parts: Vec<_> = numbers.iter().map(|n| (head(*n), payload(*n))).collect();
    let records: Vec<Record<'_>> = numbers
        .iter()
        .zip(&parts)
        .map(|(n, (head, payload))| Record { kind: *n as u16, head, payload })
        .collect();
    log.append(&records).map(|written| assert_eq!(written.start.0, numbers[0]))
}

/// The numbers of the records of a log, each checked against what it must be.
fn open<D: Device>(device: D) -> Result<(Log<D>, Vec<u64>, Replayed), LogError> {
    let mut found = Vec::new();
    let (log, replayed) = Log::open(device, LogConfig::default(), |Sequence(n), record| {
        let whole = (record.kind, record.head, record.payload);
        assert_eq!(whole, (n as u16, &head(n)[..], &payload(n)[..]), "record {n}");
        found.push(n);
    })?;
    assert_eq!(replayed.record_count as usize, found.len());
    Ok((log, found, replayed))
}

fn sectors_of(device: &impl Device) -> Vec<u8> {
    let mut bytes = vec![0; device.sector_count() as usize * 512];
    device.read_at(SectorNo(0), &mut [IoSliceMut::new(&mut bytes)]).expect("a read");
    bytes
}

#[test]
fn what_was_appended_is_found_until_it_is_trimmed() {
    let drive = MemoryDrive::new(200);
    let log = Log::create(&drive, ID, LogConfig::default()).expect("room");
    for n in 1..=20 {
        append(&log, &[n]).expect("room");
    }
    drop(log);
    let (log, found, replayed) = open(&drive).expect("a log");
    assert_eq!(found, (1..=20).collect::<Vec<_>>());
    assert!(!replayed.torn);
    assert_eq!(log.durable_sequence(), Sequence(21));
    log.trim(Sequence(21)).expect("a flush");
    assert_eq!(log.free_sectors(), log.capacity_sectors());
    drop(log);
    let (log, found, _) = open(&drive).expect("a log");
    assert_eq!((found, log.end()), (vec![], Sequence(21)));
}

#[test]
fn a_full_log_says_so_and_goes_on_when_it_is_trimmed() {
    let drive = MemoryDrive::new(64);
    let log = Log::create(&drive, ID, LogConfig::default()).expect("room");
    let mut last = 0;
    let full = loop {
        match append(&log, &[last + 1]) {
            Ok(()) => last += 1,
            Err(full) => break full,
        }
    };
    assert!(matches!(full, LogError::Full { .. }), "{full}");
    log.trim(Sequence(last + 1)).expect("a flush");
    append(&log, &[last + 1]).expect("room again");
    let (_, found, _) = open(&drive).expect("a log");
    assert_eq!(found, [last + 1]);
}

#[test]
fn what_it_does_not_take() {
    let drive = MemoryDrive::new(64);
    assert_eq!(open(&drive).err(), Some(LogError::NoLog));
    let small = MemoryDrive::new(31);
    let too_small = LogError::TooSmall { sectors: 31, least: 32 };
    assert_eq!(Log::create(&small, ID, LogConfig::default()).err(), Some(too_small));
    let log = Log::create(&drive, ID, LogConfig::default()).expect("room");
    let record = |payload| Record { kind: 0, head: &[], payload };
    assert_eq!(log.append(&[record(&[1; 511])]), Err(LogError::NotWholeBlocks { bytes: 511 }));
    let large = vec![1; (8 << 20) + 512];
    let (bytes, most) = (large.len() as u64, 8 << 20);
    assert_eq!(log.append(&[record(&large)]), Err(LogError::TooLarge { bytes, most }));
    assert_eq!(log.append(&[]), Ok(Sequence(1)..Sequence(1)));
    let half = MemoryDrive::new(32);
    half.write_at(SectorNo(0), &[IoSlice::new(&sectors_of(&drive)[..32 * 512])]).expect("room");
    assert_eq!(open(&half).err(), Some(LogError::Resized { sectors: 32, recorded: 64 }));
}

#[test]
fn rot_in_what_was_durable_is_told_from_a_torn_end() {
    #[track_caller]
    fn check(synced: u64, rotten: u64, expected: Result<u64, u64>) {
        let drive = MemoryDrive::new(200);
        let log = Log::create(&drive, ID, LogConfig::default()).expect("room");
        let mut places = Vec::new();
        for n in 1..=6 {
            places.push(log.capacity_sectors() - log.free_sectors() + 16);
            append(&log, &[n]).expect("room");
            if n <= synced {
                log.sync(Sequence(n + 1)).expect("a flush");
            }
        }
        let place = places[rotten as usize - 1];
        drive.write_at(SectorNo(place), &[IoSlice::new(&[0xAA; 512])]).expect("a write");
        let came_to = match open(&drive) {
            Ok((_, found, replayed)) => {
                assert!(replayed.torn);
                Ok(found.len() as u64)
            }
            Err(LogError::Corrupt { sequence, sector }) => {
                assert_eq!(sector, place);
                Err(sequence.0)
            }
            Err(other) => panic!("{other}"),
        };
        assert_eq!(came_to, expected, "{synced} synced, {rotten} rotten");
    }
    check(0, 3, Ok(2));
    check(2, 3, Ok(2));
    check(3, 3, Err(3));
    check(6, 1, Err(1));
    check(4, 5, Ok(4));
}

#[test]
fn what_stood_behind_a_torn_end_never_comes_back() {
    let drive = PowerCut::new(MemoryDrive::new(200), 1_000);
    let log = Log::create(&drive, ID, LogConfig::default()).expect("room");
    for n in 1..=12 {
        append(&log, &[n]).expect("room");
    }
    log.sync(Sequence(13)).expect("a flush");
    // Record 14 begins a page: its write has nothing of what stands before.
    for n in [13, 14] {
        append(&log, &[n]).expect("room");
    }
    let writes = drive.unflushed();
    let last = writes.iter().max_by_key(|one| one.write_no).expect("some");
    let first =
        writes.iter().filter(|one| one.write_no == last.write_no).map(|one| one.sector).min();
    assert_eq!(first, Some(SectorNo(48)));
    drive.cut(|one| one.write_no == last.write_no);
    drive.restore_power();
    let (log, found, replayed) = open(&drive).expect("a log");
    assert_eq!((found, replayed.torn), ((1..=12).collect(), true));
    // The new record 13 ends where the old record 14 begins.
    append(&log, &[13]).expect("room");
    log.sync(Sequence(14)).expect("a flush");
    let (_, found, _) = open(&drive).expect("a log");
    assert_eq!(found, (1..=13).collect::<Vec<_>>());
}

/// Also of what is in a page already, and whatever is cut: nothing durable depends on it.
#[test]
fn whole_pages_are_written() {
    let trace = Trace::new(MemoryDrive::new(200), 1_000);
    let log = Log::create(&trace, ID, LogConfig::default()).expect("room");
    let made = trace.entries().len();
    for n in 1..=20 {
        append(&log, &[n]).expect("room");
    }
    let is_whole = |one: &TraceEntry| (one.sector.0 | one.sector_count).is_multiple_of(8);
    let writes = trace.entries().split_off(made);
    assert!(writes.len() >= 20 && writes.iter().all(is_whole), "{writes:?}");
    drop(log);
    // The first write after an opening begins where the log ends, the next ones with their page.
    let (log, ..) = open(&trace).expect("a log");
    let opened = trace.entries().len();
    for n in 21..=30 {
        append(&log, &[n]).expect("room");
    }
    let writes = trace.entries().split_off(opened);
    let first_whole = writes.iter().position(is_whole).expect("some are");
    assert!(first_whole <= 3 && writes[first_whole..].iter().all(is_whole), "{writes:?}");
    drop(log);
    assert_eq!(open(&trace).expect("a log").1, (1..=30).collect::<Vec<_>>());
}

/// The newer superblock is lost: the older one leads to the same records, whichever opening wrote them.
#[test]
fn a_superblock_that_is_lost_costs_no_record() {
    for lost in [0, 8] {
        let drive = MemoryDrive::new(64);
        append(&Log::create(&drive, LogId(1), LogConfig::default()).expect("a log"), &[1, 2])
            .expect("there is room");
        let (log, found, _) = open(&drive).expect("a log");
        assert_eq!(found, [1, 2]);
        append(&log, &[3]).expect("there is room");
        log.sync(log.end()).expect("a drive in memory");
        drop(log);
        drive.write_at(SectorNo(lost), &[IoSlice::new(&[3; 512])]).expect("a sector");
        let (log, found, replayed) = open(&drive).expect("a log");
        assert_eq!((found, replayed.torn, replayed.lost), (vec![1, 2, 3], false, None));
        append(&log, &[4]).expect("there is room");
        drop(log);
        assert_eq!(open(&drive).expect("a log").1, [1, 2, 3, 4]);
    }
}

#[test]
fn a_failed_flush_is_final() {
    let rule = FaultRule::new(Op::Flush, FaultKind::Fail).nth(2);
    let plan = FaultPlan::none();
    let drive = Fault::new(MemoryDrive::new(200), plan).expect("no rule");
    drive.push(rule).expect("a rule");
    let log = Log::create(&drive, ID, LogConfig::default()).expect("the first flush");
    append(&log, &[1]).expect("room");
    let failed = log.sync(Sequence(2)).expect_err("the second flush");
    assert!(matches!(failed, LogError::Device(_)));
    drive.heal();
    assert!(log.sync(Sequence(2)).is_err() && append(&log, &[2]).is_err());
    assert!(log.trim(Sequence(2)).is_err());
}

#[test]
fn a_sector_that_cannot_be_read_ends_the_log_or_damages_it() {
    for synced in [false, true] {
        let drive = Fault::new(MemoryDrive::new(200), FaultPlan::none()).expect("no rule");
        let log = Log::create(&drive, ID, LogConfig::default()).expect("room");
        for n in 1..=3 {
            append(&log, &[n]).expect("room");
            if synced {
                log.sync(Sequence(n + 1)).expect("a flush");
            }
        }
        let bad = SectorRange::one(SectorNo(16));
        let rule = FaultRule::new(Op::Read, FaultKind::LatentError).touching(bad);
        drive.push(rule).expect("a rule");
        match open(&drive) {
            Ok((_, found, _)) => assert!(!synced && found.is_empty()),
            Err(error) => {
                assert_eq!(error, LogError::Corrupt { sequence: Sequence(1), sector: 16 });
                assert!(synced);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    /// So many records in one batch.
    Append(u64),
    Sync,
    /// To this share of what is there, in percent.
    Trim(u64),
    /// The process ends; everything it wrote is there.
    Kill,
    /// The power is cut.
    Cut(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (1..5_u64).prop_map(Step::Append),
        3 => Just(Step::Sync),
        2 => (0..=100_u64).prop_map(Step::Trim),
        1 => Just(Step::Kill),
        2 => any::<u64>().prop_map(Step::Cut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_what_was_durable_and_a_part_of_the_rest_in_order(
        steps in prop::collection::vec(step(), 1..80),
    ) {
        let drive = PowerCut::new(MemoryDrive::new(90), 10_000);
        let mut log = Log::create(&drive, ID, LogConfig::default()).expect("room");
        // Records there may be: from..next; must be: from_at_most..durable.
        let (mut trimmed, mut durable, mut next) = (1_u64, 1_u64, 1_u64);
        for step in steps {
            match step {
                Step::Append(count) => {
                    let numbers: Vec<u64> = (next..next + count).collect();
                    match append(&log, &numbers) {
                        Ok(()) => next += count,
                        Err(LogError::Full { .. }) => {}
                        Err(other) => return Err(TestCaseError::fail(other.to_string())),
                    }
                }
                Step::Sync => {
                    log.sync(Sequence(next)).expect("power");
                    durable = next;
                }
                Step::Trim(percent) => {
                    let upto = trimmed + (next - trimmed) * percent / 100;
                    log.trim(Sequence(upto)).expect("power");
                    trimmed = upto;
                }
                Step::Kill | Step::Cut(_) => {
                    drop(log);
                    if let Step::Cut(seed) = step {
                        let mut bits = seed;
                        drive.cut(|_| {
                            bits = bits.rotate_left(9).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                            bits >> 63 == 1
                        });
                        drive.restore_power();
                    } else {
                        durable = next;
                    }
                    let (opened, found, _) = open(&drive).expect("nothing durable is missing");
                    log = opened;
                    let end = log.end().0;
                    prop_assert!((durable..=next).contains(&end), "{durable} {end} {next}");
                    let first = end - found.len() as u64;
                    prop_assert!(first <= trimmed.max(1), "{first} {trimmed}");
                    prop_assert_eq!(found, (first..end).collect::<Vec<_>>());
                    (durable, next) = (end, end);
                    trimmed = trimmed.min(end);
                }
            }
        }
    }
}
