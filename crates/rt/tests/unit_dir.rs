//! A unit that outlives its process, and directories that are none.
#![cfg(not(any(diptych_loom, diptych_shuttle)))]
#![allow(missing_docs)] // a test program has no public items

use diptych_cha::{HostOp, HostReply};
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId};
use diptych_rt::{DriveShape, OpenedUnit, Rt, RtConfig, UnitDir, UnitDirError, UnitShape};
use diptych_unit::UnitConfig;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const LDEV: LdevId = LdevId::new(0, 0);

fn shape() -> UnitShape {
    let drive = |dka_no| DriveShape { dka_no, sectors: 4_096 };
    UnitShape { id: 7, log_sectors: 4_096, drives: vec![drive(0), drive(1)] }
}

fn config() -> UnitConfig {
    UnitConfig::with_cache(64, 8 * 512)
}

fn start(opened: OpenedUnit) -> (UnitDir, Rt) {
    let OpenedUnit { dir, unit, plant, .. } = opened;
    (dir, Rt::start(unit, plant, RtConfig::default()).unwrap())
}

fn made(temp: &TempDir) -> std::path::PathBuf {
    let path = temp.path().join("unit");
    UnitDir::create(&path, &shape()).unwrap();
    path
}

#[test]
fn what_was_answered_is_there_again() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("unit");
    let dir = UnitDir::create(&path, &shape()).unwrap();
    let (dir, rt) = start(dir.recover(config()).unwrap());
    rt.unit().add_volume(LDEV, Geometry::with_tracks(8, 20), 1).unwrap();
    let write = |rt: &Rt, block, byte| {
        let data = vec![byte; 1024].into();
        let reply = rt.execute(HostOp::Write { ldev: LDEV, block: BlockNo(block), data });
        assert_eq!(reply, HostReply::Done);
    };
    for byte in 1..=40 {
        write(&rt, u64::from(byte), byte);
    }
    rt.stop();
    drop((dir, rt));
    for round in 0..3 {
        let opened = UnitDir::open(&path, config()).unwrap();
        assert_eq!(opened.recovered.volumes, 1, "round {round}");
        let (_dir, rt) = start(opened);
        let blocks = BlockRange::new(BlockNo(1), 41);
        let HostReply::Data(data) = rt.execute(HostOp::Read { ldev: LDEV, blocks }) else {
            panic!("no data in round {round}");
        };
        let bytes: Vec<u8> = data.chunks_exact(512).map(|block| block[511]).collect();
        assert_eq!(bytes, (1..=40).chain([40]).collect::<Vec<u8>>(), "round {round}");
        rt.stop();
    }
}

#[track_caller]
fn refused(path: &Path) -> UnitDirError {
    UnitDir::open(path, config()).map(drop).expect_err("a refusal")
}

#[test]
fn one_opens_it_at_a_time() {
    let temp = tempfile::tempdir().unwrap();
    let path = made(&temp);
    let OpenedUnit { dir, unit, plant, .. } = UnitDir::open(&path, config()).unwrap();
    assert!(matches!(refused(&path), UnitDirError::InUse { .. }));
    drop(dir); // the drives are still open
    assert!(matches!(refused(&path), UnitDirError::InUse { .. }));
    drop((unit, plant));
    UnitDir::open(&path, config()).unwrap();
}

#[test]
fn what_is_not_whole_is_refused_and_left_alone() {
    #[track_caller]
    fn check(harm: impl FnOnce(&Path), is_expected: impl FnOnce(&UnitDirError) -> bool) {
        let temp = tempfile::tempdir().unwrap();
        let path = made(&temp);
        harm(&path);
        let before = fs::read(path.join("log")).ok();
        let error = refused(&path);
        assert!(is_expected(&error), "{error}");
        assert!(error.to_string().starts_with(path.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(path.join("log")).ok(), before, "{error}");
    }
    let cut = |path: &Path, name: &str, bytes| {
        let file = fs::OpenOptions::new().write(true).open(path.join(name)).unwrap();
        file.set_len(bytes).unwrap();
    };
    check(
        |path| fs::remove_file(path.join("unit.toml")).unwrap(),
        |error| matches!(error, UnitDirError::NotUnit { .. }),
    );
    check(
        |path| fs::remove_file(path.join("drive-01")).unwrap(),
        |error| matches!(error, UnitDirError::Missing { path } if path.ends_with("drive-01")),
    );
    check(
        |path| fs::remove_file(path.join("log")).unwrap(),
        |error| matches!(error, UnitDirError::Missing { path } if path.ends_with("log")),
    );
    for (name, bytes) in [("drive-00", 4_095 * 512), ("drive-01", 0), ("log", 4_097 * 512)] {
        check(
            |path| cut(path, name, bytes),
            |error| {
                let lengths = |found, made| (found, made) == (bytes, 4_096 * 512);
                matches!(error, UnitDirError::Resized { found_bytes, made_bytes, .. }
                    if lengths(*found_bytes, *made_bytes))
            },
        );
    }
    check(
        |path| {
            let text = fs::read_to_string(path.join("unit.toml")).unwrap();
            let later = text.replace("version = 1", "version = 2");
            fs::write(path.join("unit.toml"), later).unwrap();
        },
        |error| matches!(error, UnitDirError::Version { found: 2, known: 1, .. }),
    );
    check(
        |path| {
            let other = path.with_file_name("other");
            UnitDir::create(&other, &UnitShape { id: 8, ..shape() }).unwrap();
            fs::copy(other.join("log"), path.join("log")).unwrap();
        },
        |error| matches!(error, UnitDirError::ForeignLog { found: 8, id: 7, .. }),
    );
    check(
        |path| fs::write(path.join("log"), vec![0; 4_096 * 512]).unwrap(),
        |error| matches!(error, UnitDirError::Log { .. }),
    );
}

#[test]
fn a_unit_is_made_where_nothing_is() {
    let temp = tempfile::tempdir().unwrap();
    let path = made(&temp);
    let again = UnitDir::create(&path, &shape());
    assert!(matches!(again, Err(UnitDirError::NotEmpty { .. })));
    UnitDir::open(&path, config()).unwrap();
    let empty = temp.path().join("empty");
    fs::create_dir(&empty).unwrap();
    UnitDir::create(&empty, &shape()).unwrap();
    // What cannot be made leaves nothing behind.
    let broken = temp.path().join("broken");
    let too_small = UnitShape { log_sectors: 20, ..shape() };
    assert!(matches!(UnitDir::create(&broken, &too_small), Err(UnitDirError::Log { .. })));
    assert!(!broken.exists());
    let none = UnitShape { drives: Vec::new(), ..shape() };
    let count = UnitDirError::DriveCount { count: 0, most: 1_024 }.to_string();
    assert_eq!(UnitDir::create(&broken, &none).map(drop).unwrap_err().to_string(), count);
}

/// A crash while a unit is made, after each of its files: no unit, and nothing that is taken for one.
#[test]
fn half_a_unit_is_none() {
    let temp = tempfile::tempdir().unwrap();
    let path = made(&temp);
    let order = ["unit.toml", "log", "drive-01", "drive-00", "lock"];
    for name in order {
        fs::remove_file(path.join(name)).unwrap();
        assert!(matches!(refused(&path), UnitDirError::NotUnit { .. }), "{name}");
        let is_empty = fs::read_dir(&path).unwrap().next().is_none();
        let again = UnitDir::create(&path, &shape());
        assert_eq!(matches!(again, Err(UnitDirError::NotEmpty { .. })), !is_empty, "{name}");
    }
}
