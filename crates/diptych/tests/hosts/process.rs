//! The process: how it begins, and each way in which it ends.

use crate::Case;
use crate::served::Array;
use crate::tool::{ran, run};
use rustix::process::{Resource, Rlimit, prlimit};
use std::process::Command;
use std::time::{Duration, Instant};

pub(crate) const CASES: &[Case] = &[
    ("it_says_where_to_attach_and_stops", &[], it_says_where_to_attach_and_stops),
    ("one_process_has_a_unit", &[], one_process_has_a_unit),
    ("mistakes_are_told", &[], mistakes_are_told),
    ("what_was_answered_survives_a_kill", &["qemu-io"], what_was_answered_survives_a_kill),
    ("a_log_that_fails_ends_it", &["qemu-io"], a_log_that_fails_ends_it),
];

fn diptych(args: &[&str]) -> (i32, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_diptych"));
    let done = program.args(args).output().expect("the program");
    (done.status.code().unwrap_or(-1), String::from_utf8(done.stderr).expect("text"))
}

fn it_says_where_to_attach_and_stops() {
    let array = Array::new(16);
    let ready = array.file("ready");
    let served = array.serve();
    let (nbd, control): (Vec<_>, Vec<_>) =
        served.uris.iter().partition(|uri| uri.starts_with("nbd") && uri.contains("00:0"));
    let (iscsi, control): (Vec<_>, Vec<_>) =
        control.into_iter().partition(|uri| uri.starts_with("iscsi://127.0.0.1:"));
    assert_eq!(iscsi.len(), 4, "{:?}", served.uris);
    assert_eq!(nbd.len(), 8, "{:?}", served.uris);
    assert_eq!(control, [&format!("unix:{}/control.sock", array.dir().display())]);
    let since = Instant::now();
    let log = array.file("serve.log");
    assert_eq!(served.stop(), 0, "{}", std::fs::read_to_string(&log).expect("its log"));
    assert!(since.elapsed() < Duration::from_secs(10));
    assert!(!array.file("nbd.sock").exists() && !array.dir().join("control.sock").exists());
    let said = std::fs::read_to_string(log).expect("its log");
    assert!(said.contains("stopped: everything is flushed"), "{said}");
    assert!(!ready.exists());
    // As it was left.
    let dir = array.dir();
    assert_eq!(diptych(&["verify", dir.to_str().expect("a name")]).0, 0);
}

fn one_process_has_a_unit() {
    let array = Array::new(16);
    let (dir, served) = (array.dir(), array.serve());
    let dir = dir.to_str().expect("a name");
    for args in [&["serve", dir][..], &["show", dir]] {
        let (code, said) = diptych(args);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains("is in use: end the process that has this unit open"), "{said}");
    }
    drop(served);
    // What was killed left a lock and a socket, and neither is in the way.
    assert_eq!(array.serve().stop(), 0);
}

fn mistakes_are_told() {
    let array = Array::new(16);
    let dir = array.dir();
    let check = |settings: &str, args: &[&str], expected: &str| {
        std::fs::write(dir.join("diptych.toml"), settings).expect("a file");
        let dir = dir.to_str().expect("a name");
        let (code, said) = diptych(&[&["serve", dir][..], args].concat());
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(expected), "{said}");
    };
    check("[nbd]\nport = 10809\n", &[], "unknown field `port`");
    check("[nbd]\nlisten = [\"somewhere\"]\n", &[], "\"somewhere\" is no address");
    check("", &["--nbd", "192.0.2.1:1"], "cannot listen on 192.0.2.1:1");
    check("", &["--http", "192.0.2.1:1"], "cannot listen on 192.0.2.1:1");
    check("", &["--nbd", "nowhere"], "is no address");
    check("", &["--log-level", "lo=ud=er"], "invalid");
    let (code, said) = diptych(&["serve", array.file("nothing").to_str().expect("a name")]);
    assert_eq!(code, 2);
    assert!(said.contains("is no unit directory"), "{said}");
    // Without the file all is as usual.
    std::fs::remove_file(dir.join("diptych.toml")).expect("a file");
    assert_eq!(array.serve().stop(), 0);
}

fn what_was_answered_survives_a_kill() {
    let array = Array::new(64);
    let served = array.serve();
    let write = ["-f", "raw", "-t", "none", "-c", "write -P 7 1M 3M", "-c", "write -P 9 2M 4k"];
    run("qemu-io", write.into_iter().chain([served.tcp("00:00")]));
    // Dropped, it is killed.
    drop(served);
    let served = array.serve();
    let reads = ["read -P 7 1M 1M", "read -P 9 2M 4k", "read -P 7 2052k 1020k", "read -P 0 4M 1M"];
    let reads = reads.iter().flat_map(|read| ["-c", read]);
    let found = run("qemu-io", ["-f", "raw"].into_iter().chain(reads).chain([served.tcp("00:00")]));
    assert!(!found.contains("failed"), "{found}");
    assert_eq!(served.stop(), 0);
}

fn a_log_that_fails_ends_it() {
    let array = Array::new(64);
    let served = array.serve_without_signal_of_size();
    let uri = served.tcp("00:00").to_owned();
    run("qemu-io", ["-f", "raw", "-c", "write -P 7 0 64k", &uri]);
    // From now on no file of the process is written behind its first 8 KiB: the log is not.
    let few = Rlimit { current: Some(8 << 10), maximum: Some(8 << 10) };
    prlimit(Some(served.pid()), Resource::Fsize, few).expect("a limit");
    let (status, out, err) = ran("qemu-io", ["-f", "raw", "-c", "write -P 8 0 64k", &uri]);
    assert!(!status.success() || out.contains("failed") || err.contains("failed"), "{out}{err}");
    let log = array.file("serve.log");
    assert_eq!(served.wait(), 1);
    let said = std::fs::read_to_string(log).expect("its log");
    assert!(said.contains("the log has failed"), "{said}");
    let served = array.serve();
    let found = run("qemu-io", ["-f", "raw", "-c", "read -P 7 0 64k", served.tcp("00:00")]);
    assert!(!found.contains("failed"), "{found}");
    assert_eq!(served.stop(), 0);
}
