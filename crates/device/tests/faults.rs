//! Every kind of fault: what the caller sees, what is left on the drive, what mends it.

#![cfg(not(any(diptych_loom, diptych_shuttle)))]

use diptych_device::{
    Device, DeviceError, Fault, FaultEffect, FaultKind, FaultPlan, FaultRule, MemoryDrive, Op,
    PlanError, PowerCut, SectorRange, Trace,
};
use diptych_format::{DriveNo, SectorNo};
use insta::assert_snapshot;
use proptest::prelude::*;
use std::io::{IoSlice, IoSliceMut};

const SECTORS: u64 = 8;

/// A drive of 8 sectors; `plan` counts from its first request.
fn drive(plan: impl Into<FaultPlan>) -> Fault<MemoryDrive> {
    Fault::new(MemoryDrive::new(SECTORS), plan.into()).unwrap()
}

fn sectors(start: u64, count: u64) -> SectorRange {
    SectorRange::new(SectorNo(start), count)
}

/// Writes one letter a sector, in one request.
fn write(drive: &impl Device, sector: u64, letters: &str) -> Result<(), DeviceError> {
    let data: Vec<[u8; 512]> = letters.bytes().map(|letter| [letter; 512]).collect();
    let bufs: Vec<_> = data.iter().map(|d| IoSlice::new(d)).collect();
    drive.write_at(SectorNo(sector), &bufs)
}

/// Reads `count` sectors in one request, as one letter a sector: `.` for zeros, `?` for a mixture.
fn read(drive: &impl Device, sector: u64, count: usize) -> Result<String, DeviceError> {
    let mut data = vec![0xEE; count * 512];
    drive.read_at(SectorNo(sector), &mut [IoSliceMut::new(&mut data)])?;
    let letter = |sector: &[u8]| match sector[0] {
        first if sector.iter().any(|&b| b != first) => '?',
        0 => '.',
        first => char::from(first),
    };
    Ok(data.chunks(512).map(letter).collect())
}

/// Each sector by a request of its own; `!` for a medium error.
fn image(drive: &impl Device) -> String {
    let one = |sector| match read(drive, sector, 1) {
        Ok(letter) => letter,
        Err(DeviceError::Medium { .. }) => "!".to_owned(),
        Err(other) => panic!("sector {sector}: {other}"),
    };
    (0..SECTORS).map(one).collect()
}

/// Writes `abcdefgh`, then `BCDE` from sector 1 on, which meets `kinds`. Checks the answer, what
/// the drive then holds, what it should hold, and that a good write mends it.
fn check_write(
    kinds: &[FaultKind],
    expected: Result<(), DeviceError>,
    damaged: &str,
    pristine: &str,
) {
    let rules = kinds.iter().map(|kind| FaultRule::new(Op::Write, kind.clone()).nth(2));
    let drive = drive(rules.collect::<FaultPlan>());
    write(&drive, 0, "abcdefgh").unwrap();
    assert_eq!(write(&drive, 1, "BCDE"), expected, "{kinds:?}");
    assert_eq!(image(&drive), damaged, "{kinds:?}");
    assert_eq!(image(drive.pristine()), pristine, "{kinds:?}");
    write(&drive, 0, "stuvwxyz").unwrap();
    assert_eq!(image(&drive), "stuvwxyz", "{kinds:?}");
    assert_eq!(drive.damaged(), []);
}

#[test]
fn writes_that_go_wrong() {
    let astray = |to| FaultKind::MisdirectedWrite { drive: None, to: SectorNo(to) };
    let torn = |survivors: &[u64]| FaultKind::TornWrite { survivors: survivors.to_vec() };
    check_write(&[], Ok(()), "aBCDEfgh", "aBCDEfgh");
    check_write(&[FaultKind::LostWrite], Ok(()), "abcdefgh", "aBCDEfgh");
    check_write(&[torn(&[])], Ok(()), "abcdefgh", "aBCDEfgh");
    check_write(&[torn(&[0, 3])], Ok(()), "aBcdEfgh", "aBCDEfgh");
    check_write(&[torn(&[2, 1, 99])], Ok(()), "abCDefgh", "aBCDEfgh");
    check_write(&[astray(4)], Ok(()), "abcdBCDE", "aBCDEfgh");
    check_write(&[astray(2)], Ok(()), "abBCDEgh", "aBCDEfgh");
    check_write(&[astray(6)], Ok(()), "abcdefBC", "aBCDEfgh");
    check_write(&[astray(u64::MAX)], Ok(()), "abcdefgh", "aBCDEfgh");
    check_write(&[FaultKind::LatentError], Ok(()), "a!!!!fgh", "aBCDEfgh");
    check_write(&[FaultKind::BitRot { bit: 4096 + 7 }], Ok(()), "aB?DEfgh", "aBCDEfgh");
    check_write(&[FaultKind::Slow { delay_ns: 5 }], Ok(()), "aBCDEfgh", "aBCDEfgh");
}

#[test]
fn writes_answered_with_an_error() {
    let torn = FaultKind::TornWrite { survivors: vec![0] };
    let full = Err(DeviceError::StorageFull);
    let late = Err(DeviceError::TimedOut);
    check_write(&[FaultKind::StorageFull], full, "abcdefgh", "abcdefgh");
    check_write(&[FaultKind::StorageFull, torn.clone()], full, "aBcdefgh", "aBCDEfgh");
    check_write(&[FaultKind::TimeOut], late, "aBCDEfgh", "aBCDEfgh");
    check_write(&[FaultKind::TimeOut, FaultKind::LostWrite], late, "abcdefgh", "aBCDEfgh");
    check_write(&[torn, FaultKind::TimeOut], late, "aBcdefgh", "aBCDEfgh");
}

#[test]
fn only_the_sectors_that_a_rule_names_are_concerned() {
    fn check(kind: FaultKind, expected: &str) {
        let rule = FaultRule::new(Op::Write, kind).touching(sectors(3, 9)).nth(2);
        let drive = drive(rule);
        write(&drive, 0, "abcdefgh").unwrap();
        write(&drive, 0, "A").unwrap();
        write(&drive, 1, "BCDE").unwrap();
        assert_eq!(image(&drive), expected);
    }
    check(FaultKind::LostWrite, "ABCdefgh");
    check(FaultKind::LatentError, "ABC!!fgh");
    check(FaultKind::TornWrite { survivors: vec![1] }, "ABCdEfgh");
    check(FaultKind::MisdirectedWrite { drive: None, to: SectorNo(0) }, "DECdefgh");
    check(FaultKind::MisdirectedWrite { drive: None, to: SectorNo(1) }, "ADEdefgh");
}

#[test]
fn a_latent_error_lasts_until_the_sector_is_written() {
    let drive = drive(FaultRule::new(Op::Read, FaultKind::LatentError).touching(sectors(2, 2)));
    write(&drive, 0, "abcdefgh").unwrap();
    let medium = |sector| Err(DeviceError::Medium { sector: SectorNo(sector) });
    assert_eq!(read(&drive, 0, 2).as_deref(), Ok("ab"));
    assert_eq!(read(&drive, 0, 8), medium(2));
    assert_eq!(read(&drive, 3, 1), medium(3));
    assert_eq!(read(&drive, 4, 4).as_deref(), Ok("efgh"));
    assert_eq!(drive.damaged(), [SectorNo(2), SectorNo(3)]);
    write(&drive, 2, "C").unwrap();
    assert_eq!(read(&drive, 0, 8), medium(3));
    write(&drive, 3, "D").unwrap();
    assert_eq!(read(&drive, 0, 8).as_deref(), Ok("abCDefgh"));
}

#[test]
fn a_lost_write_leaves_an_unreadable_sector_so() {
    let drive = drive([
        FaultRule::new(Op::Write, FaultKind::LatentError).touching(sectors(1, 1)),
        FaultRule::new(Op::Write, FaultKind::LostWrite).nth(2),
    ]);
    write(&drive, 0, "abc").unwrap();
    write(&drive, 0, "ABC").unwrap();
    assert_eq!(image(&drive), "a!c.....");
}

#[test]
fn a_flipped_bit_stays_flipped() {
    fn check(bit: u64, expected_sector: u64, expected_byte: usize, expected_value: u8) {
        let drive = drive(FaultRule::new(Op::Read, FaultKind::BitRot { bit }));
        write(&drive, 0, "@@@@@@@@").unwrap();
        let mut data = [0; 1024];
        drive.read_at(SectorNo(2), &mut [IoSliceMut::new(&mut data)]).unwrap();
        let at = (expected_sector as usize - 2) * 512 + expected_byte;
        assert_eq!(data[at], expected_value, "bit {bit}");
        assert_eq!(data.iter().filter(|&&b| b != b'@').count(), 1, "bit {bit}");
        assert_eq!(drive.damaged(), [SectorNo(expected_sector)]);
        let mut again = [0; 1024];
        drive.read_at(SectorNo(2), &mut [IoSliceMut::new(&mut again)]).unwrap();
        assert_eq!(again, data, "bit {bit}");
    }
    check(0, 2, 0, b'A');
    check(4095, 2, 511, b'@' ^ 0x80);
    check(4096 + 13, 3, 1, b'@' ^ 0x20);
    check(2 * 4096, 2, 0, b'A');
    check(u64::MAX, 3, 511, b'@' ^ 0x80);
}

#[test]
fn a_stale_read_shows_what_was_there_before() {
    let stale = FaultRule::new(Op::Read, FaultKind::StaleRead).touching(sectors(0, 3)).nth(2);
    let drive = drive(stale);
    write(&drive, 0, "abcd").unwrap();
    write(&drive, 1, "BCD").unwrap();
    write(&drive, 1, "2").unwrap();
    assert_eq!(read(&drive, 0, 4).as_deref(), Ok("a2CD"));
    assert_eq!(read(&drive, 0, 4).as_deref(), Ok(".BcD"));
    assert_eq!(read(&drive, 0, 4).as_deref(), Ok("a2CD"));
    assert_eq!(drive.damaged(), []);
}

#[test]
fn a_failed_drive_refuses_everything() {
    fn check(op: Op, expected: DeviceError) {
        let drive = drive(FaultRule::new(op, FaultKind::Fail).nth(2));
        let all = || {
            let read = read(&drive, 0, 1).map(drop);
            [read, write(&drive, 0, "a"), drive.flush()]
        };
        assert_eq!(all(), [Ok(()); 3], "{op}");
        let at = [Op::Read, Op::Write, Op::Flush].iter().position(|&o| o == op).unwrap();
        let mut second = [Ok(()); 3];
        second[at..].fill(Err(expected));
        assert_eq!(all(), second, "{op}");
        assert_eq!(all(), [Err(expected); 3], "{op}");
        drive.heal();
        assert_eq!(all(), [Ok(()); 3], "{op}");
    }
    check(Op::Read, DeviceError::Failed);
    check(Op::Write, DeviceError::Failed);
    check(Op::Flush, DeviceError::FlushFailed { kind: std::io::ErrorKind::Other, os_code: None });
}

#[test]
fn a_drive_can_fail_in_the_middle_of_a_write() {
    let drive = drive([
        FaultRule::new(Op::Write, FaultKind::TornWrite { survivors: vec![0, 1] }).nth(2),
        FaultRule::new(Op::Write, FaultKind::Fail).nth(2),
    ]);
    write(&drive, 0, "abcd").unwrap();
    assert_eq!(write(&drive, 0, "ABCD"), Err(DeviceError::Failed));
    assert_eq!(drive.damaged(), [SectorNo(2), SectorNo(3)]);
    assert_eq!(image(drive.pristine()), "ABCD....");
}

#[test]
fn reads_and_flushes_time_out() {
    let drive = drive([
        FaultRule::new(Op::Read, FaultKind::TimeOut),
        FaultRule::new(Op::Flush, FaultKind::TimeOut),
    ]);
    write(&drive, 0, "a").unwrap();
    let mut data = [0xEE; 512];
    let answer = drive.read_at(SectorNo(0), &mut [IoSliceMut::new(&mut data)]);
    assert_eq!((answer, data), (Err(DeviceError::TimedOut), [0xEE; 512]));
    assert_eq!(read(&drive, 0, 1).as_deref(), Ok("a"));
    assert_eq!([drive.flush(), drive.flush()], [Err(DeviceError::TimedOut), Ok(())]);
}

#[test]
fn delays_add_up_until_they_are_taken() {
    let drive = drive([
        FaultRule::new(Op::Write, FaultKind::Slow { delay_ns: 10 }).repeated(),
        FaultRule::new(Op::Read, FaultKind::Slow { delay_ns: 3 }),
        FaultRule::new(Op::Flush, FaultKind::Slow { delay_ns: u64::MAX }),
    ]);
    assert_eq!(drive.take_delay_ns(), 0);
    write(&drive, 0, "a").unwrap();
    write(&drive, 0, "a").unwrap();
    read(&drive, 0, 1).unwrap();
    read(&drive, 0, 1).unwrap();
    assert_eq!([drive.take_delay_ns(), drive.take_delay_ns()], [23, 0]);
    write(&drive, 0, "a").unwrap();
    drive.flush().unwrap();
    assert_eq!(drive.take_delay_ns(), u64::MAX);
    // Wrappers hand it on.
    let slow = FaultRule::new(Op::Read, FaultKind::Slow { delay_ns: 7 });
    let drive = Fault::new(MemoryDrive::new(8), slow.into()).unwrap();
    let drive: Box<dyn Device> = Box::new(Trace::new(PowerCut::new(drive, 8), 8));
    drive.read_at(SectorNo(0), &mut [IoSliceMut::new(&mut [0; 512])]).unwrap();
    assert_eq!([drive.take_delay_ns(), drive.take_delay_ns()], [7, 0]);
}

#[test]
fn a_write_can_land_on_another_drive() {
    let astray = FaultKind::MisdirectedWrite { drive: Some(DriveNo(1)), to: SectorNo(6) };
    let bad = FaultKind::LatentError;
    let shelf = Fault::shelf([
        (MemoryDrive::new(SECTORS), FaultRule::new(Op::Write, astray).nth(2).into()),
        (MemoryDrive::new(SECTORS), FaultRule::new(Op::Write, bad).touching(sectors(6, 1)).into()),
    ])
    .unwrap();
    let [from, victim] = &shelf[..] else { panic!("two drives") };
    write(from, 0, "abcdefgh").unwrap();
    write(victim, 0, "stuvwxyz").unwrap();
    assert_eq!(image(victim), "stuvwx!z");
    write(from, 1, "BCD").unwrap();
    assert_eq!((image(from), image(victim)), ("abcdefgh".into(), "stuvwxBC".into()));
    assert_eq!(
        (image(from.pristine()), image(victim.pristine())),
        ("aBCDefgh".into(), "stuvwxyz".into())
    );
    assert_eq!((from.drive_no(), victim.drive_no()), (DriveNo(0), DriveNo(1)));
    let told = |drive: &Fault<MemoryDrive>| -> String {
        drive.events().iter().map(|event| format!("{event}\n")).collect()
    };
    assert_snapshot!(told(from), @"write 1..4: write misdirected to sector 6 of drive 1");
    assert_snapshot!(told(victim), @r"
    write 6..7: latent error
    write 6..8: write misdirected to sector 6 of drive 1, landed here
    ");
}

#[test]
fn nothing_lands_on_a_drive_that_has_failed() {
    let astray = FaultKind::MisdirectedWrite { drive: Some(DriveNo(1)), to: SectorNo(0) };
    let shelf = Fault::shelf([
        (MemoryDrive::new(SECTORS), FaultRule::new(Op::Write, astray).into()),
        (MemoryDrive::new(SECTORS), FaultRule::new(Op::Flush, FaultKind::Fail).into()),
    ])
    .unwrap();
    shelf[1].flush().unwrap_err();
    write(&shelf[0], 0, "a").unwrap();
    assert_eq!(shelf[1].damaged(), []);
}

#[test]
fn a_wrong_request_is_none_that_a_rule_counts() {
    let drive = drive(FaultRule::new(Op::Write, FaultKind::Fail));
    let out = DeviceError::OutOfRange { sector: SectorNo(7), count: 2, sector_count: SECTORS };
    assert_eq!(write(&drive, 7, "ab"), Err(out));
    let half = drive.write_at(SectorNo(0), &[IoSlice::new(&[0; 256])]);
    assert_eq!(half, Err(DeviceError::NotWholeSectors { bytes: 256 }));
    assert_eq!(drive.events(), []);
    assert_eq!(write(&drive, 0, "a"), Err(DeviceError::Failed));
}

#[test]
fn damage_has_a_limit() {
    let unreadable = FaultRule::new(Op::Write, FaultKind::LatentError).repeated();
    let drive = Fault::new(MemoryDrive::new(1 << 20), unreadable.into()).unwrap();
    let large = vec![1; 40_000 * 512];
    for sector in [0, 40_000] {
        drive.write_at(SectorNo(sector), &[IoSlice::new(&large)]).unwrap();
    }
    let effects: Vec<_> = drive.events().iter().map(|event| event.effect).collect();
    assert_eq!(effects, [FaultEffect::Struck, FaultEffect::NoRoom]);
    assert_eq!(drive.damaged().len(), 40_000);
}

#[test]
fn rules_can_be_added_later() {
    let drive = drive(FaultPlan::none());
    write(&drive, 0, "ab").unwrap();
    drive.push(FaultRule::new(Op::Write, FaultKind::LostWrite)).unwrap();
    write(&drive, 0, "AB").unwrap();
    write(&drive, 1, "2").unwrap();
    assert_eq!(image(&drive), "a2......");
    let elsewhere = FaultKind::MisdirectedWrite { drive: Some(DriveNo(1)), to: SectorNo(0) };
    assert_eq!(
        drive.push(FaultRule::new(Op::Write, elsewhere)),
        Err(PlanError::NoSuchDrive { drive: DriveNo(1), drive_count: 1 })
    );
}

#[test]
fn a_trace_tells_the_latest_requests() {
    let rot = FaultRule::new(Op::Read, FaultKind::LatentError).touching(sectors(5, 1));
    let drive = Trace::new(drive(rot), 5);
    write(&drive, 0, "abcdefgh").unwrap();
    drive.flush().unwrap();
    read(&drive, 0, 2).unwrap();
    read(&drive, 4, 4).unwrap_err();
    write(&drive, 5, "F").unwrap();
    read(&drive, 4, 4).unwrap();
    write(&drive, u64::MAX, "x").unwrap_err();
    assert_snapshot!(drive, @r"
    (2 earlier)
       2 read  0+2          ok
       3 read  4+4          medium error at sector 5
       4 write 5+1          ok
       5 read  4+4          ok
       6 write 18446744073709551615+1 1 sectors from 18446744073709551615 on reach past the drive's 8 sectors
    ");
    assert_eq!(drive.dropped_count(), 2);
    assert_eq!(drive.entries().len(), 5);
    assert_eq!(drive.inner().damaged(), []);
}

/// A write fault, by number.
fn write_fault() -> impl Strategy<Value = FaultKind> {
    prop_oneof![
        Just(FaultKind::LostWrite),
        Just(FaultKind::LatentError),
        (0..8 * 4096_u64).prop_map(|bit| FaultKind::BitRot { bit }),
        prop::collection::vec(0..8_u64, 0..5)
            .prop_map(|survivors| FaultKind::TornWrite { survivors }),
        (0..SECTORS + 2)
            .prop_map(|to| FaultKind::MisdirectedWrite { drive: None, to: SectorNo(to) }),
    ]
}

proptest! {
    /// Whatever happens: the drive within holds every write in full, sectors not reported as damaged
    /// agree with it, and healing makes the two the same.
    #[test]
    fn damage_lies_over_a_pristine_drive(
        faults in prop::collection::vec((write_fault(), 1..12_u64, 0..SECTORS, 1..4_u64), 0..6),
        writes in prop::collection::vec((0..SECTORS, "[a-z]{1,4}"), 1..12),
    ) {
        let rules = faults.into_iter().map(|(kind, nth, start, count)| {
            FaultRule::new(Op::Write, kind).touching(sectors(start, count)).nth(nth)
        });
        let drive = drive(rules.collect::<FaultPlan>());
        let mut model = vec![b'.'; SECTORS as usize];
        for (sector, letters) in writes {
            let room = (SECTORS - sector) as usize;
            let letters = &letters[..letters.len().min(room)];
            write(&drive, sector, letters).unwrap();
            model[sector as usize..][..letters.len()].copy_from_slice(letters.as_bytes());
        }
        let model = String::from_utf8(model).unwrap();
        prop_assert_eq!(image(drive.pristine()), &model[..]);
        let seen = image(&drive);
        for (no, (seen, expected)) in seen.chars().zip(model.chars()).enumerate() {
            let damaged = drive.damaged().contains(&SectorNo(no as u64));
            prop_assert!(damaged || seen == expected, "sector {}: {} {}", no, seen, expected);
        }
        drive.heal();
        prop_assert_eq!(image(&drive), model);
    }
}
