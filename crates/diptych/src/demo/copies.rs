//! The copies of a demo: alone, under writers, and again by re-synchronization.

use super::check::{CheckReport, Expected, check};
use super::ledger::{Cut, Ledger, Stamps};
use super::marked::WriteId;
use super::progress::{Bar, Progress};
use super::report::{AgainReport, AloneReport, ChannelUse, FirstReport, Throughput};
use super::rig::Side;
use super::writers::{Target, Writers};
use super::{DemoError, Image, Rig};
use diptych::cha::CommandCode;
use diptych::format::{BlockNo, BlockRange, Time};
use diptych::shared::{Pair, PairStatus, Phase};
use diptych::sync::Arc;
use diptych::unit::Message;
use fastrand::Rng;
use std::time::Duration;

/// Copies alone are repeated for about so long, so that a small image can be measured.
const MEASURE_NS: u64 = 500_000_000;
/// And at most so often.
const ROUNDS_MAX: u64 = 1_000;
/// The copy of a volume of fewer tracks is over in a few milliseconds.
const SMALL_TRACKS: u64 = 512;
/// Between two looks at a pair.
const LOOK: Duration = Duration::from_micros(200);
/// Writers go on for so long after the first copy.
const WRITE_ON: Duration = Duration::from_millis(100);
/// A copy that moves no track for so long has failed.
const STALL_SECONDS: u64 = 60;

/// Copies the whole primary, nobody else there, as often as it takes to measure it. What it takes
/// is told by the unit's history: from the copy command to the end of the copy.
pub(crate) fn measure(rig: &Rig, progress: &Progress) -> Result<AloneReport, DemoError> {
    let bar = progress.step("copy alone", rig.geometry().track_count());
    let before = rig.counters();
    let start = rig.now();
    let (mut rounds, mut taken_ns, mut tracks) = (0, 0, 0);
    while rounds == 0 || (rig.now().ns_since(start) < MEASURE_NS && rounds < ROUNDS_MAX) {
        rig.create_idle()?;
        let asked = rig.now();
        rig.command(CommandCode::Copy)?;
        let pair = wait(rig, &bar, |pair| pair.status == PairStatus::Copied)?;
        taken_ns += ended(rig, asked).ns_since(asked);
        tracks += pair.copied_tracks - empty_tracks(rig);
        rounds += 1;
        rig.command(CommandCode::Delete)?;
    }
    let bytes = tracks * rig.geometry().track_bytes() as u64;
    let copied = Throughput::of_ns(tracks, bytes, taken_ns);
    let channel = ChannelUse::since(rig, &before, bytes);
    bar.done(&format!("{copied}, {rounds} times over"));
    Ok(AloneReport { rounds, copied, channel })
}

/// Tracks of the primary without storage. Each is copied at most once by its bit alone: whatever
/// makes it unequal again gives it storage.
fn empty_tracks(rig: &Rig) -> u64 {
    rig.geometry().track_count() - rig.volume(Side::Primary).0.allocated.count()
}

/// When the unit noted the end of a copy; the time now, if it had nothing to copy.
fn ended(rig: &Rig, asked: Time) -> Time {
    let noted = rig.noted_at(Message::CopyEnded);
    noted.filter(|at| *at >= asked).unwrap_or_else(|| rig.now())
}

/// Waits for something of the pair.
fn wait(rig: &Rig, bar: &Bar, done: impl Fn(&Pair) -> bool) -> Result<Pair, DemoError> {
    let (mut moved, mut moved_at) = (0, rig.now());
    loop {
        let pair = rig.pair()?;
        bar.at(pair.c.track_count() - pair.c.count());
        if done(&pair) {
            return Ok(pair);
        }
        rig.check_drives()?;
        if pair.status == PairStatus::Suspended || !pair.unreadable.is_empty() {
            return Err(DemoError::CopyStopped { status: pair.status });
        }
        if pair.copied_tracks != moved {
            (moved, moved_at) = (pair.copied_tracks, rig.now());
        } else if rig.now() - moved_at > Duration::from_secs(STALL_SECONDS) {
            return Err(DemoError::Stalled { seconds: STALL_SECONDS, left: pair.c.count() });
        }
        rig.rest(LOOK);
    }
}

/// The copies that follow each other on one pair, and what is known of their images.
pub(crate) struct Copies<'a> {
    rig: &'a Arc<Rig>,
    image: &'a Image,
    progress: &'a Progress,
    target: Target,
    ledger: Ledger,
    cut: Cut,
}

impl<'a> Copies<'a> {
    pub(crate) fn new(
        rig: &'a Arc<Rig>,
        image: &'a Image,
        seed: u64,
        progress: &'a Progress,
    ) -> Self {
        let target = Target {
            rig: rig.clone(),
            stamps: Arc::new(Stamps::default()),
            seed,
            block_count: image.block_count(),
        };
        let cut = Cut { submitted: 0, answered: 0 };
        Self { rig, image, progress, target, ledger: Ledger::default(), cut }
    }

    /// Creates the pair and copies at an instant half-way through the initial copy (of a small
    /// volume: at its start), while writers overwrite the primary before, at and after the instant.
    pub(crate) fn first(&mut self, writer_count: u16) -> Result<FirstReport, DemoError> {
        let rig = self.rig;
        let empty = empty_tracks(rig);
        let all = rig.geometry().track_count();
        // A small copy would be over before this thread has seen its half.
        let enough = if all < SMALL_TRACKS { 0 } else { all / 2 };
        let bar = self.progress.step("copy under writers", rig.geometry().track_count());
        let before = rig.counters();
        let first_no = self.ledger.writer_count();
        let writers = Writers::start(&self.target, first_no, writer_count)?;
        let created = rig.now();
        rig.command(CommandCode::Create)?;
        let at_instant = wait(rig, &bar, |pair| pair.copied_tracks >= enough)?;
        let asked = rig.now();
        self.copy()?;
        let answered = rig.now();
        let pair = wait(rig, &bar, |pair| pair.status == PairStatus::Copied)?;
        let end = ended(rig, asked);
        rig.rest(WRITE_ON);
        writers.finish(&mut self.ledger)?;
        let tracks = pair.copied_tracks.saturating_sub(empty);
        let bytes = tracks * rig.geometry().track_bytes() as u64;
        let (writes_before, writes_after) = self.ledger.around(self.cut);
        let report = FirstReport {
            copied: Throughput::new(tracks, bytes, created, end),
            all_copied_tracks: pair.copied_tracks,
            empty_tracks: empty,
            protected_tracks: pair.protected_tracks,
            left_at_instant: at_instant.c.count(),
            command_seconds: (answered - asked).as_secs_f64(),
            writes_before,
            writes_after,
            channel: ChannelUse::since(rig, &before, bytes),
        };
        bar.done(&format!(
            "{}, {} before a write; {writes_before} writes before the instant, {writes_after} after",
            report.copied, report.protected_tracks
        ));
        Ok(report)
    }

    /// The copy command. Its image is what the volume holds between these two readings.
    fn copy(&mut self) -> Result<(), DemoError> {
        let submitted = self.target.stamps.next();
        self.rig.command(CommandCode::Copy)?;
        self.cut = Cut { submitted, answered: self.target.stamps.next() };
        Ok(())
    }

    /// Rewrites this many tracks, re-synchronizes and copies again.
    pub(crate) fn again(&mut self, rewrite: u64) -> Result<AgainReport, DemoError> {
        let rig = self.rig;
        let bar = self.progress.step("re-sync and copy", rig.geometry().track_count());
        self.rewrite(rewrite)?;
        let before = rig.counters();
        let mut unequal = rig.pair()?;
        unequal.dp.or_assign(&unequal.ds);
        let start = rig.now();
        rig.command(CommandCode::Resync)?;
        let pair = wait(rig, &bar, |pair| pair.phase == Phase::Duplex)?;
        let end = rig.now();
        self.copy()?;
        wait(rig, &bar, |pair| pair.status == PairStatus::Copied)?;
        let tracks = pair.copied_tracks - unequal.copied_tracks;
        let bytes = tracks * rig.geometry().track_bytes() as u64;
        let report = AgainReport {
            rewritten_tracks: rewrite,
            unequal_tracks: unequal.dp.count(),
            copied: Throughput::new(tracks, bytes, start, end),
            channel: ChannelUse::since(rig, &before, bytes),
        };
        let all = rig.geometry().track_count();
        bar.done(&format!("{} unequal of {all}; {}", report.unequal_tracks, report.copied));
        Ok(report)
    }

    /// Rewrites whole tracks of the image, chosen by the seed.
    fn rewrite(&mut self, tracks: u64) -> Result<(), DemoError> {
        let geometry = self.rig.geometry();
        let writer = self.ledger.writer_count();
        let of_image = self.image.track_count(geometry) as usize;
        let mut rng = Rng::with_seed(self.target.seed);
        let chosen = rng.choose_multiple(0..of_image as u64, tracks as usize);
        let mut log = Vec::new();
        for (no, track) in (0..).zip(chosen) {
            let start = track * geometry.blocks_per_track();
            let count = geometry.blocks_per_track().min(self.image.block_count() - start);
            let blocks = BlockRange::new(BlockNo(start), count);
            log.push(self.target.write(WriteId { writer, no }, blocks)?);
        }
        self.ledger.add(log);
        Ok(())
    }

    /// Checks the secondary against the instant of the last copy command.
    pub(crate) fn check_secondary(&self) -> Result<CheckReport, DemoError> {
        self.check("check the secondary", Side::Secondary, self.cut)
    }

    /// Checks the primary against everything that was acknowledged.
    pub(crate) fn check_primary(&self) -> Result<CheckReport, DemoError> {
        let now = Cut { submitted: self.target.stamps.next(), answered: self.target.stamps.next() };
        self.check("check the primary", Side::Primary, now)
    }

    fn check(&self, name: &'static str, side: Side, cut: Cut) -> Result<CheckReport, DemoError> {
        let bar = self.progress.step(name, self.rig.geometry().track_count());
        self.rig.flush(side)?;
        let (image, ledger, seed) = (self.image, &self.ledger, self.target.seed);
        let report = check(self.rig, side, Expected { image, ledger, seed, cut }, &bar)?;
        bar.done(&format!(
            "{} blocks: {} wrong; {} writes in flight at the instant",
            report.blocks,
            report.wrong(),
            report.writes_in_flight
        ));
        Ok(report)
    }
}
