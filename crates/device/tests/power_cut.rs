//! A drive whose power is cut: what was flushed is there, and of the rest any subset of sectors.

use diptych_device::{Device, DeviceError, MemoryDrive, PowerCut, UnflushedSector};
use diptych_format::SectorNo;
use proptest::prelude::*;
use std::io::{IoSlice, IoSliceMut};

const SECTORS: u64 = 8;

fn write(drive: &impl Device, sector: u64, count: usize, byte: u8) -> Result<(), DeviceError> {
    let data = vec![byte; count * 512];
    let (a, b) = data.split_at((count / 2) * 512);
    drive.write_at(SectorNo(sector), &[IoSlice::new(a), IoSlice::new(b)])
}

/// The first byte of each sector; all its bytes are the same.
fn read(drive: &impl Device) -> Vec<u8> {
    let mut data = vec![0; SECTORS as usize * 512];
    let (a, b) = data.split_at_mut(512);
    drive.read_at(SectorNo(0), &mut [IoSliceMut::new(a), IoSliceMut::new(b)]).expect("a read");
    let whole = |sector: &[u8]| sector.iter().all(|byte| *byte == sector[0]);
    assert!(data.chunks(512).all(whole), "a sector is whole");
    data.chunks(512).map(|sector| sector[0]).collect()
}

#[test]
fn without_power_nothing_works_and_with_it_the_cache_is_empty() {
    let drive = PowerCut::new(MemoryDrive::new(SECTORS), 100);
    write(&drive, 1, 2, 7).expect("power");
    drive.cut(|_| false);
    assert_eq!(write(&drive, 0, 1, 1), Err(DeviceError::Failed));
    assert_eq!(drive.flush(), Err(DeviceError::Failed));
    drive.restore_power();
    assert_eq!(read(&drive), [0; SECTORS as usize]);
    assert_eq!(drive.unflushed(), []);
}

#[test]
fn the_latest_write_that_survives_counts() {
    let drive = PowerCut::new(MemoryDrive::new(SECTORS), 100);
    for byte in 1..=3 {
        write(&drive, 0, 2, byte).expect("power");
    }
    let of = |write_no, sector| UnflushedSector { write_no, sector: SectorNo(sector) };
    let all: Vec<_> = (0..2).flat_map(|sector| (0..3).map(move |no| of(no, sector))).collect();
    assert_eq!(drive.unflushed(), all);
    drive.cut(|one| [of(0, 0), of(1, 0), of(2, 1)].contains(&one));
    drive.restore_power();
    assert_eq!(read(&drive)[..3], [2, 3, 0]);
}

#[test]
fn a_full_cache_is_written_through() {
    let drive = PowerCut::new(MemoryDrive::new(SECTORS), 2);
    write(&drive, 0, 2, 1).expect("power");
    write(&drive, 1, 1, 2).expect("power");
    assert_eq!(read(drive.inner())[..2], [1, 1]);
    assert_eq!(drive.unflushed().len(), 1);
    write(&drive, 2, 3, 3).expect("power");
    assert_eq!(read(drive.inner())[..5], [1, 2, 3, 3, 3]);
    assert!(drive.unflushed().is_empty());
    let out_of_range =
        DeviceError::OutOfRange { sector: SectorNo(7), count: 2, sector_count: SECTORS };
    assert_eq!(write(&drive, 7, 2, 1), Err(out_of_range));
}

#[derive(Debug, Clone)]
enum Step {
    Write(u64, usize),
    Flush,
    Cut(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..SECTORS, 1..4_usize).prop_map(|(at, count)| {
            Step::Write(at, count.min((SECTORS - at) as usize))
        }),
        2 => Just(Step::Flush),
        1 => any::<u64>().prop_map(Step::Cut),
    ]
}

proptest! {
    /// Beside the drive: what a sector may hold after a cut.
    #[test]
    fn nothing_but_what_was_written_since_the_flush_is_there(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let drive = PowerCut::new(MemoryDrive::new(SECTORS), 1_000);
        let mut may_be = vec![vec![0_u8]; SECTORS as usize];
        for (byte, step) in (1_u8..).zip(steps) {
            match step {
                Step::Write(at, count) => {
                    write(&drive, at, count, byte).expect("power");
                    for sector in &mut may_be[at as usize..][..count] {
                        sector.push(byte);
                    }
                }
                Step::Flush => {
                    drive.flush().expect("power");
                    for sector in &mut may_be {
                        *sector = vec![*sector.last().expect("a version")];
                    }
                }
                Step::Cut(seed) => {
                    let mut bits = seed;
                    drive.cut(|_| {
                        bits = bits.rotate_left(7).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                        bits >> 63 == 1
                    });
                    drive.restore_power();
                    for (found, sector) in read(&drive).into_iter().zip(&mut may_be) {
                        prop_assert!(sector.contains(&found));
                        *sector = vec![found];
                    }
                }
            }
            let newest: Vec<u8> = may_be.iter().map(|s| *s.last().expect("a version")).collect();
            prop_assert_eq!(read(&drive), newest);
        }
    }
}
