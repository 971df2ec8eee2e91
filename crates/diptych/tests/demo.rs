//! The program as its users meet it: exit codes, the report, and what is left behind.
#![cfg(not(any(diptych_loom, diptych_shuttle)))]

use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

fn diptych(args: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_diptych")).args(args).output().expect("the program starts")
}

/// A directory of a few small files: about a megabyte.
fn sources() -> TempDir {
    let dir = TempDir::new().expect("a temporary directory");
    fs::create_dir(dir.path().join("inner")).expect("a directory");
    for no in 0..20_u8 {
        let path = dir.path().join("inner").join(format!("file-{no}"));
        let text: Vec<u8> = (0..50_000).map(|i: u32| (i % 251) as u8 ^ no).collect();
        fs::write(path, text).expect("a file");
    }
    dir
}

fn entries(dir: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| {
        entry.expect("an entry").file_name().to_string_lossy().into_owned()
    };
    let mut names: Vec<_> = fs::read_dir(dir).expect("a directory").map(name).collect();
    names.sort();
    names
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn number(report: &Value, at: &str) -> u64 {
    report.pointer(at).and_then(Value::as_u64).unwrap_or_else(|| panic!("{at} in {report:#}"))
}

#[test]
fn every_block_is_right_and_the_numbers_agree() {
    let (from, dir, out) = (sources(), TempDir::new().unwrap(), TempDir::new().unwrap());
    let export = out.path().join("copy.img");
    let (from_text, dir_text, export_text) = (text(from.path()), text(dir.path()), text(&export));
    for emulation in ["OPEN-V", "OPEN-3"] {
        let args = ["demo", "--json", "--from", &from_text, "--dir", &dir_text, "--seed", "7"];
        let more = ["--rewrite", "3", "--emulation", emulation, "--export", &export_text];
        let output = diptych(args.into_iter().chain(more));
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{errors}");
        let report: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
        check_report(&report, emulation);
        assert_eq!(fs::metadata(&export).unwrap().len(), number(&report, "/read/bytes"));
        assert!(entries(dir.path()).is_empty(), "the drives are gone");
        assert_eq!(entries(out.path()), ["copy.img"]);
    }
}

fn check_report(report: &Value, emulation: &str) {
    assert_eq!(report["all_right"], true);
    assert_eq!(report["volume"]["emulation"], emulation);
    assert_eq!(number(report, "/seed"), 7);
    let image_tracks = number(report, "/volume/image_tracks");
    let track_bytes = number(report, "/volume/track_bytes");
    assert_eq!(
        number(report, "/import/tracks") + number(report, "/import/zero_tracks"),
        image_tracks
    );
    for check in ["/first_check", "/last_check", "/primary_check"] {
        for count in ["wrong_codes", "wrong_contents", "writes_torn"] {
            assert_eq!(number(report, &format!("{check}/{count}")), 0);
        }
        let blocks = number(report, "/volume/tracks") * track_bytes / 512;
        assert_eq!(number(report, &format!("{check}/blocks")), blocks);
    }
    assert_eq!(number(report, "/last_check/writes_in_flight"), 0);
    assert!(
        number(report, "/first/writes_before") > 0 && number(report, "/first/writes_after") > 0
    );
    // Two commands of 24 bytes and two answers of 40: create and copy, re-sync and copy.
    for copy in ["/first", "/again/0", "/again/1"] {
        assert_eq!(number(report, &format!("{copy}/channel/copying_bytes")), 128);
        assert_eq!(number(report, &format!("{copy}/channel/read_bytes")), 0);
        let moved = 2 * number(report, &format!("{copy}/tracks")) * track_bytes;
        assert_eq!(number(report, &format!("{copy}/channel/host_driven_bytes")), moved);
    }
    assert_eq!(
        number(report, "/alone/channel/copying_bytes"),
        number(report, "/alone/rounds") * 192
    );
    assert_eq!(number(report, "/again/1/unequal_tracks"), 3);
    assert_eq!(number(report, "/again/1/tracks"), 3);
    assert_eq!(report["read"]["sha256"], report["last_check"]["sha256"]);
    // The image's blocks are the only ones that are written, and what a host reads at the end.
    assert_eq!(number(report, "/channel/read_bytes"), number(report, "/read/bytes"));
    assert_eq!(number(report, "/channel/failed"), 0);
}

#[test]
fn a_table_and_drives_that_are_kept() {
    let (dir, inner) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let image = inner.path().join("odd.img");
    fs::write(&image, vec![5; 100_001]).unwrap();
    let (image, dir_text) = (text(&image), text(dir.path()));
    let output = diptych(["demo", "--image", &image, "--dir", &dir_text, "--keep"]);
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert!(table.ends_with("\nEvery block is right.\n"), "{table}");
    assert!(table.contains("tracks rewritten                                    2\n"), "{table}");
    let [kept] = &entries(dir.path())[..] else { panic!("one directory is kept") };
    assert_eq!(entries(&dir.path().join(kept)), ["primary.drive", "secondary.drive"]);
}

#[test]
fn bad_input_is_one_line_and_leaves_nothing() {
    let (from, dir) = (sources(), TempDir::new().unwrap());
    let huge = from.path().join("huge.img");
    File::create(&huge).unwrap().set_len(4_806_720 * 512 + 1).unwrap();
    let empty = from.path().join("empty.img");
    File::create(&empty).unwrap();
    let small = text(&from.path().join("inner/file-1"));
    let (huge, empty, dir_text) = (text(&huge), text(&empty), text(dir.path()));
    let missing = text(&from.path().join("missing"));
    let check = |args: &[&str], expected: &str| {
        let output = diptych(["demo", "--json"].iter().chain(args));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(output.stdout.is_empty(), "{args:?}");
        assert_eq!(error.lines().count(), 1, "{args:?}: {error}");
        assert!(error.starts_with("diptych: ") && error.contains(expected), "{args:?}: {error}");
        assert!(entries(dir.path()).is_empty(), "{args:?}: {:?}", entries(dir.path()));
    };
    check(&["--image", &missing, "--dir", &dir_text], "missing: No such file or directory");
    check(&["--image", &dir_text], "is not a regular file");
    check(&["--image", &empty], "is empty");
    check(&["--from", &missing], "missing: No such file or directory");
    check(&["--from", &small], "is not a directory");
    let open_3 = ["--image", &huge, "--emulation", "OPEN-3", "--dir", &dir_text];
    check(&open_3, "has 2461040641 bytes, a volume of OPEN-3 only 2461040640");
    check(&["--image", &small, "--dir", &missing], "missing: No such file or directory");
    check(&["--image", &small, "--dir", &small], "is not a directory");
    check(&["--image", &small, "--dir", "/proc"], "cannot work in /proc: ");
    let export = format!("{missing}/copy.img");
    check(&["--image", &small, "--export", &export], "missing/copy.img: entity not found");
    check(&["--image", &small, "--export", &dir_text], "is a directory");
    let rewrite = ["--image", &small, "--rewrite", "2", "--dir", &dir_text];
    check(&rewrite, "cannot rewrite 2 tracks: the image has 1");
    check(
        &["--image", &small, "--cache", "1MiB", "--dir", &dir_text],
        "1048576 bytes is too small",
    );
}

#[test]
fn no_room_for_the_export_or_the_drives() {
    let (from, dir) = (sources(), TempDir::new().unwrap());
    let (image, dir_text) = (text(&from.path().join("inner/file-1")), text(dir.path()));
    let output = diptych(["demo", "--json", "--image", &image, "--export", "/dev/full"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{error}");
    let last = error.lines().last().unwrap_or_default();
    assert!(last.starts_with("diptych: cannot export to /dev/full: No space left"), "{error}");

    // Files of at most 8 blocks of 512 or 1024 bytes: not even an empty drive fits.
    let limited = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "sh"])
        .args([env!("CARGO_BIN_EXE_diptych"), "demo", "--image", &image, "--dir", &dir_text])
        .output()
        .expect("a shell");
    let error = String::from_utf8(limited.stderr).unwrap();
    assert_eq!(limited.status.code(), Some(2), "{error}");
    assert!(error.starts_with("diptych: cannot make a drive in "), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");
    assert!(entries(dir.path()).is_empty());
}

#[test]
fn help() {
    let output = diptych(["demo", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    let trimmed: Vec<_> = help.lines().map(str::trim_end).collect();
    insta::assert_snapshot!(trimmed.join("\n"), @"
    Copy a volume under writers, and check every block of what the secondary got.

    An image is imported as a primary volume. While writers overwrite it, a pair is created and the
    copy command is given; its secondary must be the primary at that instant. Then the writers'
    changes, and after them a known number of tracks, are copied by re-synchronization. Every
    secondary is checked behind the control unit's back, on its drive: LA, CD and content.

    Usage: diptych demo [OPTIONS]

    Options:
          --image <FILE>
              The image to import. Without it a directory is packed into a tar image

          --from <DIR>
              The directory to pack. Hidden files and caches (CACHEDIR.TAG) are left out. Default: the
              checkout around the current directory

          --emulation <TYPE>
              Emulation type of the volumes: OPEN-3, OPEN-8, OPEN-9, OPEN-E, OPEN-L, or OPEN-V, which
              is as large as the image

              [default: OPEN-V]

          --pace <PACE>
              Pace of the copying: slow, medium, fast, or 1 to 15 tracks an elemental copy

              [default: fast]

          --limit <LIMIT>
              Limit of the copying: tracks a second, as 200/s, or how much longer hosts may wait, as
              500us

          --lanes <N>
              Jobs that copy for the pair at once

              [default: 2]

          --writers <N>
              Threads that overwrite random blocks of the primary

              [default: 2]

          --seed <N>
              Seed of the random numbers. Default: a new one each time; it is reported

          --rewrite <TRACKS>
              Tracks to rewrite before the last re-synchronization. Default: 10, or all if there are
              fewer

          --cache <SIZE>
              Cache memory, in bytes or with KiB, MiB or GiB; at least 16MiB

              [default: 256MiB]

          --dir <DIR>
              Where the drives are made, in a directory of their own. Default: the temporary directory

          --keep
              Leave the drives where they are if all went well

          --export <FILE>
              Write the last secondary to a file, read as a host reads it

          --json
              Print the report as one JSON object

      -h, --help
              Print help (see a summary with '-h')

    Examples:
      diptych demo                              pack the checkout around here and copy it
      diptych demo --from docs                  pack another directory
      diptych demo --image disk.img --pace slow --writers 4
      diptych demo --image disk.img --emulation OPEN-3 --dir /var/tmp --keep
      diptych demo --json --export copy.img     one JSON object on stdout

    Exit codes:
      0  every block of every image is right
      1  a block is wrong, or the control unit failed
      2  bad input, or the environment did not allow it; nothing half-made is left behind
    ");
}
