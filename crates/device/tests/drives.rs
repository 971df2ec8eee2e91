//! Memory and file drives against a plain vector of bytes.

#![cfg(not(any(diptych_loom, diptych_shuttle)))]

use diptych_device::{Device, DeviceError, Fault, FaultPlan, FileDrive, MemoryDrive, Trace};
use diptych_format::SectorNo;
use proptest::prelude::*;
use std::io::{ErrorKind, IoSlice, IoSliceMut};
use std::os::unix::fs::MetadataExt;

const SECTORS: u64 = 64;
const BYTES: usize = 512;

#[derive(Debug, Clone)]
enum Request {
    Read { sector: u64, buffer_bytes: Vec<usize> },
    Write { sector: u64, buffer_bytes: Vec<usize>, seed: u8 },
    Flush,
}

/// Requests most of which are right. Buffers are up to 6 sectors, so many cross chunks of 5.
fn request() -> impl Strategy<Value = Request> {
    let buffer = prop_oneof![30 => (0..=6_usize).prop_map(|n| n * BYTES), 1 => 0..2000_usize];
    let buffers = prop::collection::vec(buffer, 0..6);
    let sector = prop_oneof![40 => 0..=SECTORS, 1 => any::<u64>()];
    prop_oneof![
        4 => (sector.clone(), buffers.clone())
            .prop_map(|(sector, buffer_bytes)| Request::Read { sector, buffer_bytes }),
        4 => (sector, buffers, any::<u8>()).prop_map(|(sector, buffer_bytes, seed)| {
            Request::Write { sector, buffer_bytes, seed }
        }),
        1 => Just(Request::Flush),
    ]
}

/// What a request should be answered, worked out without the crate's own check.
fn expected(sector: u64, buffer_bytes: &[usize]) -> Result<(), DeviceError> {
    if let Some(&bytes) = buffer_bytes.iter().find(|&&bytes| bytes % BYTES != 0) {
        return Err(DeviceError::NotWholeSectors { bytes });
    }
    let count = (buffer_bytes.iter().sum::<usize>() / BYTES) as u64;
    if u128::from(sector) + u128::from(count) <= u128::from(SECTORS) {
        Ok(())
    } else {
        Err(DeviceError::OutOfRange { sector: SectorNo(sector), count, sector_count: SECTORS })
    }
}

/// Does the requests on the drive and on a vector, and compares every answer and the final content.
fn check(drive: &dyn Device, requests: &[Request]) -> Result<(), TestCaseError> {
    let mut model = vec![0; SECTORS as usize * BYTES];
    prop_assert_eq!(drive.sector_count(), SECTORS);
    for request in requests {
        match request {
            Request::Flush => prop_assert_eq!(drive.flush(), Ok(())),
            Request::Read { sector, buffer_bytes } => {
                let mut parts: Vec<_> = buffer_bytes.iter().map(|&n| vec![0xEE; n]).collect();
                let mut bufs: Vec<_> = parts.iter_mut().map(|p| IoSliceMut::new(p)).collect();
                let answer = drive.read_at(SectorNo(*sector), &mut bufs);
                prop_assert_eq!(answer, expected(*sector, buffer_bytes));
                if answer.is_ok() {
                    let read = parts.concat();
                    prop_assert_eq!(&read[..], &model[*sector as usize * BYTES..][..read.len()]);
                }
            }
            Request::Write { sector, buffer_bytes, seed } => {
                let total: usize = buffer_bytes.iter().sum();
                let data: Vec<u8> = (0..total).map(|i| (i / 7) as u8 ^ seed).collect();
                let mut rest = &data[..];
                let bufs: Vec<_> = buffer_bytes
                    .iter()
                    .map(|&n| {
                        let (now, later) = rest.split_at(n);
                        rest = later;
                        IoSlice::new(now)
                    })
                    .collect();
                let answer = drive.write_at(SectorNo(*sector), &bufs);
                prop_assert_eq!(answer, expected(*sector, buffer_bytes));
                if answer.is_ok() {
                    model[*sector as usize * BYTES..][..total].copy_from_slice(&data);
                }
            }
        }
    }
    prop_assert!(content(drive) == model, "the final content differs");
    Ok(())
}

fn content(drive: &dyn Device) -> Vec<u8> {
    let mut bytes = vec![0xEE; drive.sector_count() as usize * BYTES];
    drive.read_at(SectorNo(0), &mut [IoSliceMut::new(&mut bytes)]).unwrap();
    bytes
}

proptest! {
    #[test]
    fn memory_is_a_vector(
        chunk_sectors in prop_oneof![Just(1), Just(5), Just(64), Just(2048)],
        requests in prop::collection::vec(request(), 0..40),
    ) {
        check(&MemoryDrive::with_chunks(SECTORS, chunk_sectors), &requests)?;
    }

    #[test]
    fn wrappers_without_faults_change_nothing(requests in prop::collection::vec(request(), 0..40)) {
        let faultless = Fault::new(MemoryDrive::new(SECTORS), FaultPlan::none()).unwrap();
        let boxed: Box<dyn Device> = Box::new(Trace::new(faultless, 3));
        check(&boxed, &requests)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_is_a_vector_and_keeps_it(requests in prop::collection::vec(request(), 0..20)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("drive");
        let drive = FileDrive::create(&path, SECTORS).unwrap();
        check(&drive, &requests)?;
        let before = content(&drive);
        drop(drive);
        let again = FileDrive::open(&path).unwrap();
        prop_assert_eq!(again.sector_count(), SECTORS);
        prop_assert!(content(&again) == before, "the content differs after opening again");
    }
}

#[test]
fn a_new_file_is_there_in_full_and_takes_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("drive");
    let drive = FileDrive::create(&path, 1 << 21).unwrap();
    let found = std::fs::metadata(&path).unwrap();
    assert_eq!(found.len(), 1 << 30);
    assert!(found.blocks() * 512 < 1 << 20, "{} blocks of a sparse file", found.blocks());
    drive.write_at(SectorNo((1 << 21) - 1), &[IoSlice::new(&[9; 512])]).unwrap();
    assert_eq!(drive.flush(), Ok(()));
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 1 << 30);
    let mut last = [0; 1024];
    drive.read_at(SectorNo((1 << 21) - 2), &mut [IoSliceMut::new(&mut last)]).unwrap();
    assert_eq!((last[511], last[512], last[1023]), (0, 9, 9));
}

#[test]
fn a_file_that_is_there_is_not_touched() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("drive");
    std::fs::write(&path, b"somebody's data").unwrap();
    assert_eq!(FileDrive::create(&path, 8).err(), Some(DeviceError::Exists));
    assert_eq!(std::fs::read(&path).unwrap(), b"somebody's data");
    assert_eq!(FileDrive::create(directory.path(), 8).err(), Some(DeviceError::Exists));
}

#[test]
fn a_drive_that_cannot_be_made_leaves_nothing() {
    fn check(name: &str, sector_count: u64, expected: impl Fn(DeviceError) -> bool) {
        let directory = tempfile::tempdir().unwrap();
        let answer = FileDrive::create(directory.path().join(name), sector_count).err();
        assert!(answer.is_some_and(expected), "{name} {sector_count}: {answer:?}");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
    check("drive", 0, |e| e == DeviceError::Size { bytes: 0 });
    check("drive", 1 << 54, |e| e == DeviceError::Size { bytes: 1 << 63 });
    check("drive", u64::MAX, |e| e == DeviceError::Size { bytes: u64::MAX });
    check("no/such/drive", 8, |e| {
        matches!(e, DeviceError::Io { kind: ErrorKind::NotFound, os_code: Some(2) })
    });
}

#[test]
fn the_largest_drive_is_there_or_leaves_nothing() {
    // Most file systems refuse the length after the file was made; some take it.
    let largest = (1 << 54) - 1;
    let directory = tempfile::tempdir().unwrap();
    match FileDrive::create(directory.path().join("drive"), largest) {
        Ok(drive) => assert_eq!(drive.sector_count(), largest),
        Err(error) => {
            assert!(matches!(error, DeviceError::Io { .. }), "{error:?}");
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}

#[test]
fn only_whole_sectors_open_as_a_drive() {
    fn check(bytes: u64, expected: Result<u64, DeviceError>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(bytes).unwrap();
        assert_eq!(FileDrive::open(file.path()).map(|drive| drive.sector_count()), expected);
    }
    check(0, Err(DeviceError::Size { bytes: 0 }));
    check(511, Err(DeviceError::Size { bytes: 511 }));
    check(512, Ok(1));
    check(5 * 512, Ok(5));
    check(5 * 512 + 1, Err(DeviceError::Size { bytes: 5 * 512 + 1 }));
}

#[test]
fn a_file_is_one_drive_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("drive");
    let drive = FileDrive::create(&path, 8).unwrap();
    assert_eq!(FileDrive::open(&path).err(), Some(DeviceError::InUse));
    drop(drive);
    let drive = FileDrive::open(&path).unwrap();
    assert_eq!(FileDrive::open(&path).err(), Some(DeviceError::InUse));
    drop(drive);
    assert!(FileDrive::open(&path).is_ok());
}

#[test]
fn a_file_made_shorter_is_an_error_not_zeros() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("drive");
    let drive = FileDrive::create(&path, 8).unwrap();
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(4 * 512).unwrap();
    let answer = drive.read_at(SectorNo(3), &mut [IoSliceMut::new(&mut [0; 1024])]);
    let eof = DeviceError::Io { kind: ErrorKind::UnexpectedEof, os_code: None };
    assert_eq!(answer, Err(eof));
}

#[test]
fn a_write_of_more_buffers_than_a_call_takes_is_whole() {
    let directory = tempfile::tempdir().unwrap();
    let drive = FileDrive::create(directory.path().join("drive"), 3000).unwrap();
    let sectors: Vec<[u8; 512]> = (0..3000_u32).map(|n| [(n % 255) as u8; 512]).collect();
    let bufs: Vec<_> = sectors.iter().map(|s| IoSlice::new(s)).collect();
    drive.write_at(SectorNo(0), &bufs).unwrap();
    assert!(content(&drive) == sectors.concat());
    let mut read = vec![[0; 512]; 3000];
    let mut bufs: Vec<_> = read.iter_mut().map(|s| IoSliceMut::new(s)).collect();
    drive.read_at(SectorNo(0), &mut bufs).unwrap();
    assert!(read == sectors);
}

#[test]
fn memory_is_taken_by_chunks_that_were_written() {
    fn check(sector: u64, sectors: usize, expected_chunks: u64) {
        let drive = MemoryDrive::with_chunks(100, 10);
        drive.write_at(SectorNo(sector), &[IoSlice::new(&vec![1; sectors * BYTES])]).unwrap();
        assert_eq!(drive.allocated_bytes(), expected_chunks * 10 * 512, "{sector}+{sectors}");
    }
    check(0, 0, 0);
    check(9, 1, 1);
    check(9, 2, 2);
    check(0, 100, 10);
    check(100, 0, 0);
}

#[test]
fn writers_of_one_drive_do_not_mix_sectors() {
    use diptych_sync::{Arc, thread};
    let drive = Arc::new(MemoryDrive::with_chunks(SECTORS, 4));
    let writers: Vec<_> = [1_u8, 2, 3]
        .map(|id| {
            let drive = drive.clone();
            thread::spawn(move || {
                for _ in 0..200 {
                    let data = vec![id; SECTORS as usize * BYTES];
                    drive.write_at(SectorNo(0), &[IoSlice::new(&data)]).unwrap();
                }
            })
        })
        .into_iter()
        .collect();
    writers.into_iter().for_each(|writer| writer.join().unwrap());
    // A chunk has one lock, so each holds one writer's data.
    for chunk in content(&drive).chunks(4 * BYTES) {
        assert!((1..=3).contains(&chunk[0]) && chunk.iter().all(|&b| b == chunk[0]));
    }
}
