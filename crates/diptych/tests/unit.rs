//! `diptych init`, `show` and `verify`, as a user runs them.
#![cfg(not(any(diptych_loom, diptych_shuttle)))]
#![allow(missing_docs)] // a test program has no public items

use diptych::cha::{HostOp, HostReply};
use diptych::device::{Device, FileDrive};
use diptych::format::{BlockNo, LdevId, SectorNo};
use diptych::rt::{OpenedUnit, Rt, RtConfig, UnitDir};
use diptych::unit::UnitConfig;
use serde_json::Value;
use std::fs;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const LDEV: LdevId = LdevId::new(0, 0);
const TRACK_BLOCKS: u64 = 128;
const TRACK_BYTES: usize = 64 << 10;

/// Runs the program; its exit code, its output, its errors.
fn diptych(args: &[&str], dir: &Path) -> (i32, String, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_diptych"));
    let done = program.args(args).arg(dir).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (done.status.code().unwrap(), text(done.stdout), text(done.stderr))
}

#[track_caller]
fn verified(args: &[&str], dir: &Path) -> (i32, Value) {
    let (code, out, err) = diptych(&[&["verify", "--json"], args].concat(), dir);
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{code}: {out}{err}")))
}

fn made() -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("array");
    let args = ["init", "--volumes", "2", "--volume-size", "1MiB", "--log", "16MiB"];
    let (code, out, err) = diptych(&args, &dir);
    assert_eq!(code, 0, "{out}{err}");
    assert!(out.ends_with(
        "2 volumes of 2048 blocks (OPEN-V), 1 of them reserved, 2 drives, a log of 16777216 bytes\n"
    ));
    (temp, dir)
}

/// Writes whole tracks, and ends without a flush.
fn write(dir: &Path, tracks: impl Iterator<Item = u64>) {
    let config = UnitConfig::with_cache(64, TRACK_BYTES);
    let OpenedUnit { dir: _dir, unit, plant, .. } = UnitDir::open(dir, config).unwrap();
    let rt = Rt::start(unit, plant, RtConfig::default()).unwrap();
    for track in tracks {
        let (block, data) = (BlockNo(track * TRACK_BLOCKS), vec![7; TRACK_BYTES].into());
        assert_eq!(rt.execute(HostOp::Write { ldev: LDEV, block, data }), HostReply::Done);
    }
    rt.stop();
}

/// Rots a block of the first volume on its drive.
fn rot(dir: &Path, block: u64) {
    let drive = FileDrive::open(dir.join("drive-00")).unwrap();
    drive.write_at(SectorNo(block), &[IoSlice::new(&[1; 512])]).unwrap();
}

fn files(dir: &Path) -> Vec<Vec<u8>> {
    ["log", "drive-00", "drive-01"].map(|name| fs::read(dir.join(name)).unwrap()).into()
}

#[test]
fn a_unit_is_made_and_shown() {
    let (_temp, dir) = made();
    let (code, out, _) = diptych(&["show"], &dir);
    assert_eq!(code, 0);
    let lines: Vec<&str> = out.lines().skip(1).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    volume 00:00  OPEN-V  2048 blocks  0 of 16 tracks stored  Normal
    volume 00:01  OPEN-V  2048 blocks  0 of 16 tracks stored  Normal  reserved
    ");
    let (code, out, _) = diptych(&["show", "--json"], &dir);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &shown["volumes"][1]["reserved"]), (0, &Value::Bool(true)));
    assert!(dir.join("diptych.toml").exists());
    let (code, _, err) = diptych(&["init"], &dir);
    assert_eq!(code, 2);
    assert!(err.contains("is not empty"), "{err}");
    let (code, _, err) = diptych(&["init", "--volumes", "2", "--drives", "3"], &dir.join("other"));
    assert_eq!(
        (code, err.as_str()),
        (2, "diptych: 3 drives do not fit 2 volumes: each drive is for one at least\n")
    );
    // A mistake that is found when the files are there already leaves none of them.
    let half = dir.with_file_name("half");
    let args = ["init", "--volume-size", "1MiB", "--log", "16MiB", "--removable", "00:99"];
    let (code, _, err) = diptych(&args, &half);
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("00:99") && !half.exists(), "{err}");
}

#[test]
fn what_is_right_is_left_alone() {
    let (_temp, dir) = made();
    write(&dir, 0..4);
    let before = files(&dir);
    let (code, out, _) = diptych(&["verify"], &dir);
    assert_eq!(code, 0, "{out}");
    assert!(out.contains("volume 00:00: 4 tracks, 512 blocks, 512 of them in the log"), "{out}");
    assert!(out.ends_with("all of it is right\n"), "{out}");
    assert_eq!(files(&dir), before);
}

#[test]
fn what_the_log_has_is_written_again() {
    let (_temp, dir) = made();
    write(&dir, 0..4);
    let (code, found) = verified(&["--repair"], &dir);
    assert_eq!((code, &found["repaired_tracks"]), (0, &4.into()), "{found}");
    rot(&dir, 3);
    let (code, found) = verified(&[], &dir);
    assert_eq!((code, &found["volumes"][0]["behind_blocks"]), (0, &1.into()), "{found}");
    let (code, found) = verified(&["--repair"], &dir);
    assert_eq!((code, &found["volumes"][0]["behind_blocks"]), (0, &0.into()), "{found}");
}

#[test]
fn what_nobody_has_is_named_and_not_guessed() {
    let (_temp, dir) = made();
    // The log goes round and round: track 0 is not in it any more.
    write(&dir, [0].into_iter().chain((0..600).map(|no| 1 + no % 8)));
    rot(&dir, 5);
    let (code, found) = verified(&[], &dir);
    assert_eq!((code, &found["right"]), (1, &false.into()), "{found}");
    assert_eq!(found["wrong"][0]["track"], 0, "{found}");
    assert_eq!(found["wrong"][0]["blocks"], serde_json::json!([5]), "{found}");
    let first = found["wrong"][0]["first"].as_str().unwrap();
    assert!(first.contains("check code"), "{first}");
    let (code, out, _) = diptych(&["verify", "--repair"], &dir);
    assert_eq!(code, 1, "{out}");
    assert!(out.contains("not repaired: wrong blocks that the log has not"), "{out}");
    assert_eq!(verified(&[], &dir).1["volumes"][0]["wrong_blocks"], 1);
}

#[test]
fn a_damaged_log_is_told_from_what_cannot_be_looked_at() {
    let (temp, dir) = made();
    write(&dir, 0..4);
    let (code, _, err) = diptych(&["verify"], temp.path());
    assert_eq!(code, 2);
    assert!(err.contains("is no unit directory"), "{err}");
    let held = UnitDir::lock(&dir).unwrap();
    let (code, _, err) = diptych(&["verify"], &dir);
    assert_eq!(code, 2);
    assert!(err.contains("is in use"), "{err}");
    drop(held);
    let harm_log = |sectors: &[u64]| {
        let log = FileDrive::open(dir.join("log")).unwrap();
        for sector in sectors {
            log.write_at(SectorNo(*sector), &[IoSlice::new(&[0; 512])]).unwrap();
        }
    };
    harm_log(&[16]); // the first batch: the first volume, which was durable
    let before = files(&dir);
    let (code, found) = verified(&["--repair"], &dir);
    assert_eq!((code, &found["log"]["first_lost"]), (1, &1.into()), "{found}");
    let (code, out, _) = diptych(&["verify", "--repair"], &dir);
    assert_eq!(code, 1);
    assert!(out.contains("wrong: the log is damaged: record 1 had been durable"), "{out}");
    assert_eq!(files(&dir), before);
    harm_log(&[0, 8]); // both superblocks
    let (code, out, _) = diptych(&["verify"], &dir);
    assert_eq!(code, 1);
    assert!(out.ends_with("there is no log on this device\n"), "{out}");
    let (code, found) = verified(&["--repair"], &dir);
    assert_eq!((code, &found["right"]), (1, &false.into()));
    fs::remove_file(dir.join("drive-01")).unwrap();
    let (code, out, _) = diptych(&["verify"], &dir);
    assert_eq!(code, 1);
    assert!(out.contains("drive-01 is missing"), "{out}");
}
