//! The servers, on loopback.

use super::client::Client;
use diptych::sync::thread;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Bytes of the volume that is loaded.
pub(crate) const VOLUME_BYTES: u64 = 256 << 20;
const PATIENCE: Duration = Duration::from_secs(30);
/// Of a unit whose volumes are in cache.
const CACHE: &str = "1GiB";
const LOG: &str = "4GiB";
const TGTD_CONTROL: u16 = 7;

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    Ours,
    Nbdkit,
    Qsd,
    Tgtd,
}

impl Server {
    fn program(self) -> &'static str {
        match self {
            Self::Ours => env!("CARGO_BIN_EXE_diptych"),
            Self::Nbdkit => "nbdkit",
            Self::Qsd => "qemu-storage-daemon",
            Self::Tgtd => "tgtd",
        }
    }

    /// Whether it is installed; says so if not.
    pub(crate) fn is_there(self) -> bool {
        let version = Command::new(self.program()).arg("--version").stdin(Stdio::null()).output();
        let is_there = version.is_ok();
        if !is_there {
            println!("no {}: what is held against it is left out", self.program());
        }
        is_there
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "diptych",
            Self::Nbdkit => "nbdkit memory",
            Self::Qsd => "qemu-storage-daemon, file",
            Self::Tgtd => "tgtd, file",
        })
    }
}

/// A process that serves. Killed when this is dropped.
struct Running {
    child: Child,
    uri: String,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A unit of ours.
pub(crate) struct Unit {
    child: Child,
    dir: PathBuf,
    uris: Vec<String>,
    _temp: TempDir,
}

impl Unit {
    /// A new one, with two volumes that are to be pairs' primaries and two reserved ones.
    pub(crate) fn start(volume: &str, cache: &str, log: &str) -> Self {
        let temp = tempfile::tempdir_in(scratch()).expect("a directory");
        let dir = temp.path().join("array");
        let mut init = Command::new(Server::Ours.program());
        init.args(["init", "--volume-size", volume, "--log", log]).arg(&dir);
        let done = init.stdout(Stdio::null()).status().expect("diptych");
        assert!(done.success(), "diptych init");
        let file = dir.join("diptych.toml");
        let text = std::fs::read_to_string(&file).expect("diptych.toml");
        let text = text.replace("#size = \"256MiB\"", &format!("size = \"{cache}\""));
        std::fs::write(&file, text).expect("diptych.toml");
        let mut serve = Command::new(Server::Ours.program());
        serve.arg("serve").arg(&dir).args(["--free-ports", "--log-level", "error"]);
        let mut child = serve.stdout(Stdio::piped()).spawn().expect("diptych");
        let out = BufReader::new(child.stdout.take().expect("a pipe"));
        let lines = out.lines().map(|line| line.expect("a line"));
        let uris = lines.take_while(|line| line != "ready").collect();
        Self { child, dir, uris, _temp: temp }
    }

    /// Where a volume is.
    pub(crate) fn uri(&self, scheme: &str, volume: &str) -> &str {
        let is_it = |uri: &&String| uri.starts_with(scheme) && uri.ends_with(volume);
        self.uris.iter().find(is_it).expect("the volume is served")
    }

    /// What a command of the program says, which has to succeed.
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        let url = format!("unix:{}", self.dir.join("control.sock").display());
        let done = Command::new(Server::Ours.program()).args(args).env("DIPTYCH_URL", url).output();
        let done = done.expect("diptych");
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).into_owned()
    }

    /// Waits until everything is on the drives.
    pub(crate) fn settle(&self) {
        let until = Instant::now() + PATIENCE;
        loop {
            let status: serde_json::Value =
                serde_json::from_str(&self.ask(&["status", "--json"])).expect("JSON");
            if status["cache"]["dirty_slots"] == 0 {
                return;
            }
            assert!(Instant::now() < until, "it is never clean: {status}");
            thread::sleep(Duration::from_millis(100));
        }
    }
}

impl Drop for Unit {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where files of servers are: on a disk, beside what is built.
pub(crate) fn scratch() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(&dir).expect("a directory");
    dir
}

/// A unit, and others beside it.
pub(crate) struct Servers {
    unit: Unit,
    others: Vec<(Server, Running)>,
    _temp: TempDir,
}

impl Servers {
    pub(crate) fn start(others: impl Iterator<Item = Server>) -> Self {
        let unit = Unit::start(&VOLUME_BYTES.to_string(), CACHE, LOG);
        let temp = tempfile::tempdir_in(scratch()).expect("a directory");
        let others = others.map(|server| (server, start(server, temp.path()))).collect();
        Self { unit, others, _temp: temp }
    }

    /// Where the volume is that this client loads.
    pub(crate) fn uri(&self, client: Client, server: Server) -> &str {
        if server != Server::Ours {
            let found = self.others.iter().find(|(one, _)| *one == server);
            return &found.expect("it was started").1.uri;
        }
        match client {
            Client::Fio | Client::QemuImg => self.unit.uri("nbd://", "/00:00"),
            Client::QemuImgIscsi => self.unit.uri("iscsi://", "/0"),
        }
    }

    /// Waits until everything is on the unit's drives.
    pub(crate) fn settle(&self) {
        self.unit.settle();
    }
}

fn start(server: Server, dir: &Path) -> Running {
    let port = free_port();
    let mut command = Command::new(server.program());
    let nbd = format!("nbd://127.0.0.1:{port}");
    let uri = match server {
        Server::Ours => panic!("a unit is no other"),
        Server::Nbdkit => {
            command.args(["-f", "-i", "127.0.0.1", "-p"]).arg(port.to_string());
            command.args(["memory", &VOLUME_BYTES.to_string()]);
            nbd
        }
        Server::Qsd => {
            let file = image(dir, "qsd.img");
            let file = format!("driver=file,node-name=disk,filename={}", file.display());
            command.arg("--blockdev").arg(file);
            let at = format!("addr.type=inet,addr.host=127.0.0.1,addr.port={port}");
            command.arg("--nbd-server").arg(at);
            command.args(["--export", "type=nbd,id=disk,node-name=disk,name=,writable=on"]);
            nbd
        }
        Server::Tgtd => {
            command.arg("-f").args(["-C", &TGTD_CONTROL.to_string()]);
            command.arg("--iscsi").arg(format!("portal=127.0.0.1:{port}"));
            format!("iscsi://127.0.0.1:{port}/iqn.2026-01.example.bench/1")
        }
    };
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let running = Running { child: child.expect("a server"), uri };
    until_ready(port);
    if server == Server::Tgtd {
        let file = image(dir, "tgtd.img");
        let file = file.to_str().expect("a path in ASCII");
        tgtadm(
            &["--lld", "iscsi", "--op", "new", "--mode", "target", "--tid", "1"],
            &["-T", "iqn.2026-01.example.bench"],
        );
        tgtadm(
            &["--lld", "iscsi", "--op", "new", "--mode", "logicalunit", "--tid", "1"],
            &["--lun", "1", "-b", file],
        );
        tgtadm(
            &["--lld", "iscsi", "--op", "bind", "--mode", "target", "--tid", "1"],
            &["-I", "ALL"],
        );
    }
    running
}

fn tgtadm(args: &[&str], more: &[&str]) {
    let control = TGTD_CONTROL.to_string();
    let done = Command::new("tgtadm").args(["-C", &control]).args(args).args(more).status();
    assert!(done.expect("tgtadm").success(), "tgtadm {args:?} {more:?}");
}

/// A file of the volume's size, written.
fn image(dir: &Path, name: &str) -> PathBuf {
    let path = dir.join(name);
    let mut file = File::create(&path).expect("a file");
    let part = vec![1; 1 << 20];
    for _ in 0..VOLUME_BYTES >> 20 {
        file.write_all(&part).expect("room");
    }
    file.sync_all().expect("a flush");
    path
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn until_ready(port: u16) {
    let until = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < until, "nothing listens at {port}");
        thread::sleep(Duration::from_millis(20));
    }
}
