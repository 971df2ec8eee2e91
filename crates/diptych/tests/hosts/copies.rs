//! Copies under hosts that know nothing of them.

use crate::Case;
use crate::inside::{BYTES, Inside, PRIMARY, SECONDARY};
use crate::tool::{ran, random_file, run};
use diptych::cha::CommandCode;
use diptych::sync::Arc;
use diptych::sync::atomic::{AtomicBool, Ordering};
use diptych::sync::thread;
use std::fs;
use std::path::Path;
use std::time::Duration;

pub(crate) const CASES: &[Case] = &[
    ("a_pair_copied_under_fio", &["fio", "nbdcopy"], a_pair_copied_under_fio),
    (
        "a_file_system_split_under_writes",
        &["mke2fs", "e2fsck", "debugfs", "nbdcopy", "qemu-io"],
        a_file_system_split_under_writes,
    ),
    ("an_incremental_backup", &["nbdinfo", "nbdcopy", "qemu-io"], an_incremental_backup),
];

fn text(path: &Path) -> &str {
    path.to_str().expect("a name")
}

/// What the volume has, by a client of others.
fn content(inside: &Inside, ldev: diptych::format::LdevId, name: &str) -> Vec<u8> {
    let out = inside.file(name);
    run("nbdcopy", [&inside.uri(ldev), text(&out)]);
    fs::read(&out).expect("a file")
}

/// Random writers on one half, verified by fio; the other half is still, and the image is what the
/// primary was there. On the first half no block is torn: each holds what fio wrote at some time.
fn a_pair_copied_under_fio() {
    let inside = Inside::new();
    let image = inside.file("image");
    random_file(&image, BYTES as usize, 5);
    run("nbdcopy", [text(&image), &inside.uri(PRIMARY)]);
    inside.command(CommandCode::Create);
    let uri = format!("--uri={}", inside.uri(PRIMARY));
    let writers = thread::spawn(move || {
        let job = ["--name=writers", "--ioengine=nbd", "--rw=randwrite", "--bs=4k", "--iodepth=16"];
        let bounds = ["--size=32M", "--io_size=96M"];
        let verify = ["--verify=crc32c", "--verify_fatal=1", "--verify_state_save=0"];
        run("fio", job.iter().chain(&bounds).chain(&verify).copied().chain([uri.as_str()]))
    });
    thread::sleep(Duration::from_millis(300));
    inside.command(CommandCode::Copy);
    inside.wait_for_image();
    let at_first = content(&inside, SECONDARY, "at-first");
    writers.join().expect("fio");
    let later = content(&inside, SECONDARY, "later");
    assert!(at_first == later, "a whole image does not change");
    let before = fs::read(&image).expect("a file");
    let half = BYTES as usize / 2;
    assert!(later[half..] == before[half..], "nobody wrote there");
    assert!(content(&inside, PRIMARY, "primary") != later);
}

/// ext4 with a large file and a journal that was not replayed; a host writes the file's blocks while
/// the pair is split. The secondary is a file system all the same, and its journal can be replayed.
fn a_file_system_split_under_writes() {
    let inside = Inside::new();
    let tree = inside.file("tree");
    fs::create_dir(&tree).expect("a directory");
    random_file(&tree.join("large"), 16 << 20, 6);
    for no in 0..40 {
        random_file(&tree.join(format!("small-{no}")), 5_000, no);
    }
    let image = inside.file("image");
    fs::File::create(&image).and_then(|file| file.set_len(BYTES)).expect("a file");
    let make = ["-q", "-F", "-t", "ext4", "-b", "4096", "-d", text(&tree), text(&image)];
    run("mke2fs", make);
    run("e2fsck", ["-fn", text(&image)]);
    // One transaction of the journal, committed and not brought home: a block that nobody uses.
    let block = inside.file("block");
    random_file(&block, 4096, 7);
    let journal = format!("jo\njw -b 16000 {}\njc\n", text(&block));
    let commands = inside.file("commands");
    fs::write(&commands, journal).expect("a file");
    run("debugfs", ["-w", "-f", text(&commands), text(&image)]);
    run("nbdcopy", [text(&image), &inside.uri(PRIMARY)]);
    let blocks = run("debugfs", ["-R", "blocks /large", text(&image)]);
    let blocks: Vec<u64> = blocks.split_whitespace().filter_map(|no| no.parse().ok()).collect();
    assert_eq!(blocks.len(), 4096, "{blocks:?}");

    inside.command(CommandCode::Create);
    let (is_over, uri) = (Arc::new(AtomicBool::new(false)), inside.uri(PRIMARY));
    let over = is_over.clone();
    let writer = thread::spawn(move || {
        let mut rounds = 0;
        while !over.load(Ordering::Relaxed) && rounds < 200 {
            rounds += 1;
            let write = |no: usize| {
                let at = blocks[(rounds * 97 + no * 31) % blocks.len()] * 4096;
                ["-c".to_owned(), format!("aio_write -q -P {} {at} 4k", rounds % 256)]
            };
            let writes = (0..64).flat_map(write);
            let args = ["-f", "raw"].map(str::to_owned).into_iter().chain(writes);
            run("qemu-io", args.chain([uri.clone()]));
        }
        rounds
    });
    thread::sleep(Duration::from_millis(200));
    inside.command(CommandCode::Copy);
    inside.wait_for_image();
    is_over.store(true, Ordering::Relaxed);
    assert!(writer.join().expect("qemu-io") > 0);

    let copy = inside.file("copy");
    fs::write(&copy, content(&inside, SECONDARY, "secondary")).expect("a file");
    let (status, said, _) = ran("e2fsck", ["-fy", text(&copy)]);
    // 1: errors corrected; there may be none but the journal.
    assert!(matches!(status.code(), Some(0 | 1)), "{said}");
    assert!(said.contains("recovering journal"), "{said}");
    run("e2fsck", ["-fn", text(&copy)]);
    for no in [0, 17, 39] {
        let (out, name) = (inside.file("dumped"), format!("small-{no}"));
        run("debugfs", ["-R", &format!("dump /{name} {}", text(&out)), text(&copy)]);
        assert!(fs::read(&out).expect("a file") == fs::read(tree.join(&name)).expect("a file"));
    }
    // The journal came with the image, and is home now.
    let replayed = fs::read(&copy).expect("a file");
    assert!(replayed[16_000 * 4096..][..4096] == fs::read(&block).expect("a file")[..]);
}

/// A full backup of a first image, then only what has changed up to the second.
fn an_incremental_backup() {
    let inside = Inside::new();
    let image = inside.file("image");
    random_file(&image, BYTES as usize, 8);
    run("nbdcopy", [text(&image), &inside.uri(PRIMARY)]);
    inside.command(CommandCode::Create);
    inside.command(CommandCode::Copy);
    inside.wait_for_image();
    let first = inside.rt.unit().pair(PRIMARY, SECONDARY).expect("a pair").image.0;
    let mut backup = content(&inside, SECONDARY, "full");
    let writes = ["write -P 1 1M 100k", "write -P 2 9M 4k", "discard 20M 3M"];
    let uri = inside.uri(PRIMARY);
    let args = writes.iter().flat_map(|write| ["-c", write]);
    run("qemu-io", ["-f", "raw"].into_iter().chain(args).chain([uri.as_str()]));
    inside.command(CommandCode::Resync);
    inside.command(CommandCode::Copy);
    inside.wait_for_image();
    run("qemu-io", ["-f", "raw", "-c", "write -P 3 40M 1M", &uri]);

    let context = format!("--map=diptych:changed:00:00-00:01:{first}");
    let map = run("nbdinfo", ["--json", &context, &inside.uri(SECONDARY)]);
    let map: Vec<serde_json::Value> = serde_json::from_str(&map).expect(&map);
    let whole = content(&inside, SECONDARY, "whole");
    let mut bytes = 0;
    for extent in &map {
        let number = |name: &str| extent[name].as_u64().expect(name) as usize;
        if number("type") == 1 {
            let range = number("offset")..number("offset") + number("length");
            backup[range.clone()].copy_from_slice(&whole[range]);
            bytes += number("length");
        }
    }
    assert!(backup == whole, "{map:?}");
    assert!((100 << 10..4 << 20).contains(&bytes), "{bytes}: {map:?}");
}
