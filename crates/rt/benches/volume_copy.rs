//! An in-system copy of a full OPEN-3 volume between file-backed drives in the page cache, beside
//! `dd` and `qemu-img convert -n` of the same bytes on the same file system.
//!
//! The subjects take turns for some rounds; the first is not counted, since in it the page cache takes
//! memory that the machine has not used before; the figures are medians. Nothing is flushed on either
//! side while a clock runs, and everything is between the rounds.
//!
//! `cargo bench -p diptych-rt --bench volume_copy [-- <rounds>]`; `DIPTYCH_BENCH_DIR` names the
//! directory (about 11 GB), `DIPTYCH_BENCH_LANES` the lanes.
#![allow(clippy::print_stdout, reason = "the table is what a bench is for")]

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_device::FileDrive;
use diptych_dka::{Drives, Groups};
use diptych_format::{BlockNo, Emulation, Geometry, LdevId};
use diptych_rt::{Rt, RtConfig};
use diptych_shared::{Pace, PairOptions, PairStatus};
use diptych_sync::thread;
use diptych_unit::{Plant, Unit, UnitConfig};
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command as Program, Stdio};
use std::time::{Duration, Instant};

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECONDARY: LdevId = LdevId::new(0, 1);
const TRACK_BYTES: usize = 48 << 10;

struct Bench {
    dir: PathBuf,
    rt: Rt,
    geometry: Geometry,
    lanes: u8,
}

impl Bench {
    fn new(dir: &Path) -> Self {
        let geometry = Geometry::of(Emulation::Open3).expect("OPEN-3 has one size");
        let sectors = Groups::sectors_for(geometry);
        let drive = |name: &str| {
            let drive = FileDrive::create(dir.join(name), sectors).expect("a drive file");
            Box::new(drive)
        };
        let drives = Drives::new(vec![(0, drive("drive0")), (1, drive("drive1"))]);
        let plant = Plant::new(drives);
        let config = UnitConfig { copy_rest_ns: 0, ..UnitConfig::with_cache(2048, TRACK_BYTES) };
        let unit = Unit::new(config, &plant).expect("a unit");
        for (ldev, group_no) in [(PRIMARY, 0), (SECONDARY, 1)] {
            unit.add_volume(ldev, geometry, group_no).expect("a volume");
        }
        unit.set_reserved(SECONDARY, true, diptych_format::Time::ZERO)
            .expect("a volume without pair");
        let rt = Rt::start(unit, plant, RtConfig::default()).expect("workers");
        let lanes = std::env::var("DIPTYCH_BENCH_LANES").ok().and_then(|n| n.parse().ok());
        Self { dir: dir.to_owned(), rt, geometry, lanes: lanes.unwrap_or(2) }
    }

    /// Fills the primary, and a plain file with the same bytes.
    fn fill(&self) {
        let mut random = fastrand::Rng::with_seed(3);
        let mut plain = File::create(self.dir.join("plain")).expect("a plain file");
        let mut track = vec![0; TRACK_BYTES];
        for no in 0..self.geometry.track_count() {
            random.fill(&mut track);
            plain.write_all(&track).expect("room for the plain file");
            let block = BlockNo(no * 96);
            let data = track.clone().into();
            let reply = self.rt.execute(HostOp::Write { ldev: PRIMARY, block, data });
            assert_eq!(reply, HostReply::Done);
        }
        assert_eq!(self.rt.execute(HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
        plain.sync_all().expect("a flush");
    }

    fn command(&self, code: CommandCode) {
        let options = PairOptions { pace: Pace::FAST, lanes: self.lanes, ..PairOptions::default() };
        let command = Command::new(code, PRIMARY, SECONDARY).with_options(options);
        let reply = self.rt.execute(HostOp::Command(command));
        let accepted = matches!(reply, HostReply::Outcome(Outcome::Accepted { .. }));
        assert!(accepted, "{code}: {reply:?}");
    }

    /// Seconds until the pair is split, and tracks copied meanwhile.
    fn until_split(&self, from: impl FnOnce()) -> (f64, u64) {
        let pair = || self.rt.unit().pair(PRIMARY, SECONDARY);
        let before = pair().map_or(0, |pair| pair.copied_tracks);
        let started = Instant::now();
        from();
        loop {
            let pair = pair().expect("a pair");
            if pair.status == PairStatus::Copied {
                return (started.elapsed().as_secs_f64(), pair.copied_tracks - before);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn full_copy(&self) -> f64 {
        let (seconds, tracks) = self.until_split(|| {
            self.command(CommandCode::Create);
            self.command(CommandCode::Copy);
        });
        assert_eq!(tracks, self.geometry.track_count());
        seconds
    }

    /// Resync of one scattered track in a hundred, to the next image.
    fn resync(&self) -> f64 {
        for no in (0..self.geometry.track_count()).step_by(100) {
            let data = vec![1; 4096].into();
            let block = BlockNo(no * 96 + 8);
            self.rt.execute(HostOp::Write { ldev: PRIMARY, block, data });
        }
        assert_eq!(self.rt.execute(HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
        let (seconds, tracks) = self.until_split(|| {
            self.command(CommandCode::Resync);
            self.command(CommandCode::Copy);
        });
        assert_eq!(tracks, self.geometry.track_count().div_ceil(100));
        seconds
    }

    fn program(&self, program: &str, arguments: &[&str]) -> Option<f64> {
        let started = Instant::now();
        let status = Program::new(program)
            .args(arguments)
            .current_dir(&self.dir)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        let seconds = started.elapsed().as_secs_f64();
        status.is_ok_and(|status| status.success()).then_some(seconds)
    }

    fn dd(&self) -> Option<f64> {
        let seconds = self.program("dd", &["if=plain", "of=copy", "bs=48K"]);
        self.discard("copy");
        seconds
    }

    fn qemu_img(&self) -> Option<f64> {
        let file = File::create(self.dir.join("copy")).expect("a file");
        file.set_len(self.geometry.byte_count()).expect("room in the directory");
        let arguments = ["convert", "-n", "-f", "raw", "-O", "raw", "plain", "copy"];
        let seconds = self.program("qemu-img", &arguments);
        self.discard("copy");
        seconds
    }

    fn discard(&self, name: &str) {
        let path = self.dir.join(name);
        if path.exists() {
            std::fs::remove_file(path).expect("our own file");
        }
        self.settle();
    }

    /// Everything written so far is on the disk, so that no round pays for the one before.
    fn settle(&self) {
        let status = Program::new("sync").status();
        assert!(status.is_ok_and(|status| status.success()), "sync");
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn row(what: &str, measured: String, yardstick: String, ratio: f64, wanted: &str, met: bool) {
    let met = if met { "yes" } else { "no" };
    println!("bench|{what}|{measured}|{yardstick}|{ratio:.3}|{wanted}|{met}");
}

fn main() {
    let rounds =
        std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(3_usize);
    let parent = std::env::var_os("DIPTYCH_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    let dir = tempfile::tempdir_in(parent).expect("a directory to work in");
    let bench = Bench::new(dir.path());
    bench.fill();
    let (mut ours, mut resyncs, mut dd, mut qemu) = (vec![], vec![], vec![], vec![]);
    // The first copy allocates the secondary's file, as dd allocates its own.
    for round in 0..=rounds {
        bench.settle();
        let copy = bench.full_copy();
        bench.settle();
        let resync = bench.resync();
        bench.settle();
        bench.command(CommandCode::Delete);
        let file = File::options().write(true).open(dir.path().join("drive1"));
        let file = file.expect("the secondary's drive");
        let length = file.metadata().expect("its length").len();
        file.set_len(0).and_then(|()| file.set_len(length)).expect("an empty drive again");
        bench.settle();
        let (by_dd, by_qemu_img) = (bench.dd(), bench.qemu_img());
        if round > 0 {
            ours.push(copy);
            resyncs.push(resync);
            dd.extend(by_dd);
            qemu.extend(by_qemu_img);
        }
    }
    let gb = bench.geometry.byte_count() as f64 / 1e9;
    let rate = |seconds: f64| format!("{:.2} GB/s", gb / seconds);
    let full = median(ours.clone());
    println!("rounds (s): ours {ours:.2?}, resync {resyncs:.3?}, dd {dd:.2?}, qemu-img {qemu:.2?}");
    let what = &format!("full OPEN-3 copy, {} lanes, file drives", bench.lanes);
    if !dd.is_empty() {
        let dd = median(dd);
        let yardstick = format!("{} dd bs=48K", rate(dd));
        row(what, rate(full), yardstick, dd / full, ">= 1.0", dd >= full);
    }
    if !qemu.is_empty() {
        let qemu = median(qemu);
        let yardstick = format!("{} qemu-img convert -n", rate(qemu));
        row(what, rate(full), yardstick, qemu / full, ">= 3.0", qemu >= 3.0 * full);
    }
    let resync = median(resyncs);
    let share = resync / full;
    let measured = format!("{:.1} ms", resync * 1e3);
    let yardstick = format!("{:.0} ms full copy", full * 1e3);
    row("resync of 1 % scattered tracks", measured, yardstick, share, "<= 0.02", share <= 0.02);
    bench.rt.stop();
}
