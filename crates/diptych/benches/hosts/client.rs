//! The clients, and what they say.

use super::server::{VOLUME_BYTES, scratch};
use std::env;
use std::fmt;
use std::fs;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Who loads a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// fio, one job of its `nbd` engine, over TCP.
    Fio,
    /// `qemu-img bench` over NBD and TCP.
    QemuImg,
    /// `qemu-img bench` over iSCSI.
    QemuImgIscsi,
}

/// What it does, all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) writes: bool,
    /// Bytes of a request: small ones go all over the volume, large ones one after the other.
    pub(crate) bytes: u32,
    pub(crate) depth: u32,
}

/// For how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Until it has been all over the volume.
    Volume,
    /// So many requests.
    Requests(u64),
}

/// What came of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figure {
    pub(crate) per_second: f64,
    /// CPU time of the client for each request.
    pub(crate) client_us: f64,
    /// Of its one core.
    pub(crate) client_percent: f64,
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fio => "NBD, fio",
            Self::QemuImg => "NBD, qemu-img",
            Self::QemuImgIscsi => "iSCSI, qemu-img",
        })
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, depth, .. } = self;
        let what = if self.writes { "writes" } else { "reads" };
        let where_ = if self.is_random() { "random" } else { "sequential" };
        write!(f, "{where_} {what} of {} KiB, depth {depth}", bytes >> 10)
    }
}

impl Load {
    fn is_random(self) -> bool {
        self.bytes < 65536
    }
}

impl Length {
    /// Of a turn: a second or two, and writes stay within what the log takes without a checkpoint.
    pub(crate) fn of(load: Load) -> Self {
        Self::Requests(match (load.is_random(), load.writes, load.depth) {
            (true, true, 1) => 30_000,
            (true, false, 1) => 30_000,
            (true, true, _) => 100_000,
            (true, false, _) => 150_000,
            // 256 MiB: a sixteenth of the log.
            (false, true, _) => 2_048,
            (false, false, _) => 20_000,
        })
    }
}

impl Figure {
    pub(crate) fn text(self, load: Load) -> String {
        let rate = match load.is_random() {
            true => format!("{:.0}/s", self.per_second),
            false => format!("{:.0} MB/s", self.per_second * f64::from(load.bytes) / 1e6),
        };
        format!("{rate} (client {:.1} us, {:.0} %)", self.client_us, self.client_percent)
    }
}

impl Client {
    /// What is not there, and where it is to be had.
    pub(crate) fn missing(self) -> Option<&'static str> {
        let has = |tool: &str, args: &[&str], word: &str| {
            let said = command(tool).args(args).stdin(Stdio::null()).output();
            said.is_ok_and(|said| {
                let text = [said.stdout, said.stderr].concat();
                String::from_utf8_lossy(&text).split_whitespace().any(|one| one == word)
            })
        };
        let is_there = match self {
            Self::Fio => has("fio", &["--enghelp"], "nbd"),
            Self::QemuImg => has("qemu-img", &["--help"], "nbd"),
            Self::QemuImgIscsi => has("qemu-img", &["--help"], "iscsi"),
        };
        let needs = match self {
            Self::Fio => "it needs fio",
            Self::QemuImg => "it needs qemu-utils",
            Self::QemuImgIscsi => "it needs qemu-block-extra of the version of qemu-utils",
        };
        (!is_there).then_some(needs)
    }

    /// Loads the server at `uri`.
    pub(crate) fn run(self, uri: &str, load: Load, length: Length) -> Figure {
        let requests = match length {
            Length::Volume => VOLUME_BYTES / u64::from(load.bytes),
            Length::Requests(requests) => requests,
        };
        match self {
            Self::Fio => fio(uri, load, requests, &[]).figure,
            Self::QemuImg | Self::QemuImgIscsi => qemu_img(uri, load, requests),
        }
    }
}

/// What fio says.
pub(crate) struct FioSaid {
    pub(crate) figure: Figure,
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

pub(crate) fn fio(uri: &str, load: Load, requests: u64, more: &[String]) -> FioSaid {
    let way = match (load.is_random(), load.writes) {
        (true, false) => "randread",
        (true, true) => "randwrite",
        (false, false) => "read",
        (false, true) => "write",
    };
    let mut command = Command::new("fio");
    command.args(["--name=load", "--ioengine=nbd", "--norandommap", "--output-format=json"]);
    command.arg(format!("--uri={uri}")).arg(format!("--rw={way}"));
    command.arg(format!("--bs={}", load.bytes)).arg(format!("--iodepth={}", load.depth));
    command.arg(format!("--size={VOLUME_BYTES}"));
    command.arg(format!("--io_size={}", requests * u64::from(load.bytes))).args(more);
    let dir = tempfile::tempdir().expect("a directory");
    let done = command.current_dir(dir.path()).stdin(Stdio::null()).output().expect("fio");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    // It may say more before.
    let json = text.find('{').map_or("", |at| &text[at..]);
    let said: serde_json::Value = serde_json::from_str(json).expect("JSON of fio");
    let job = &said["jobs"][0];
    let number = |value: &serde_json::Value| value.as_f64().expect("a number");
    let side = &job[if load.writes { "write" } else { "read" }];
    let client_percent = number(&job["usr_cpu"]) + number(&job["sys_cpu"]);
    let per_second = number(&side["iops"]);
    let percentile = |of: &str| number(&side["clat_ns"]["percentile"][of]) / 1000.0;
    FioSaid {
        figure: Figure {
            per_second,
            client_percent,
            client_us: client_percent * 10_000.0 / per_second,
        },
        p50_us: percentile("50.000000"),
        p99_us: percentile("99.000000"),
    }
}

fn qemu_img(uri: &str, load: Load, requests: u64) -> Figure {
    let mut command = command("qemu-img");
    command.args(["bench", "-f", "raw", "-t", "none"]);
    command.arg("-c").arg(requests.to_string()).arg("-d").arg(load.depth.to_string());
    command.arg("-s").arg(load.bytes.to_string());
    if load.is_random() {
        // A stride that comes by every place: not random, but never near the last.
        command.arg("-S").arg((7919 * u64::from(load.bytes)).to_string());
    }
    if load.writes {
        command.args(["-w", "--pattern=165"]);
    }
    let (began, cpu_before) = (Instant::now(), children_cpu_s());
    let done = command.arg(uri).stdin(Stdio::null()).output().expect("qemu-img");
    let (wall_s, cpu_s) = (began.elapsed().as_secs_f64(), children_cpu_s() - cpu_before);
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{text}{}", String::from_utf8_lossy(&done.stderr));
    let seconds = text.split("Run completed in ").nth(1).and_then(|rest| rest.split(' ').next());
    let seconds: f64 = seconds.and_then(|text| text.parse().ok()).expect("its time");
    Figure {
        per_second: requests as f64 / seconds,
        client_us: cpu_s * 1e6 / requests as f64,
        client_percent: cpu_s * 100.0 / wall_s,
    }
}

/// A program; qemu with the drivers that `cargo xtask test --install` has put beside the build.
fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let modules = scratch().with_file_name("tools").join("qemu-modules");
    if modules.exists() && env::var_os("QEMU_MODULE_DIR").is_none() {
        command.env("QEMU_MODULE_DIR", modules);
    }
    command
}

/// CPU time of the processes that this one has waited for.
fn children_cpu_s() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("Linux");
    // Behind the name: the state is field 3, those of children are 16 and 17.
    let fields = stat.rsplit(')').next().expect("fields").split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).map(|text| text.parse::<u64>().expect("ticks")).sum();
    ticks as f64 / 100.0
}
