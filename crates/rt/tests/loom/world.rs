//! A small control unit under its driver, and what a model does with it.

use diptych_cache::CacheConfig;
use diptych_cha::{Command, CommandCode, GroupCommand, GroupOutcome, HostOp, HostReply, Outcome};
use diptych_device::{Device, DeviceError, MemoryDrive};
use diptych_dka::{self as dka, Drives};
use diptych_format::{
    BLOCK_BYTES, BlockNo, BlockRange, CheckArea, Geometry, LdevId, SectorNo, Time, TrackNo,
    TrackPool,
};
use diptych_rt::{Clock, Rt, RtConfig};
use diptych_shared::{Pace, Pair, PairOptions, PairStatus, Volume};
use diptych_sync::{Mutex, thread};
use diptych_unit::{Plant, Schedule, Unit, UnitConfig};
use std::io::{IoSlice, IoSliceMut};
// Handing the world to the actors and telling the drive that a pair is gone are no part of what is
// checked: no scheduling points are spent on them.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The primary of the first pair.
pub(crate) const P: LdevId = LdevId::new(0, 0);
/// Its secondary, and the primary of a cascade.
pub(crate) const S: LdevId = LdevId::new(0, 1);
/// Another secondary, or the primary of another family.
pub(crate) const T: LdevId = LdevId::new(0, 2);
/// The secondary of that one.
pub(crate) const U: LdevId = LdevId::new(0, 3);

/// What a model varies.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) volumes: &'static [LdevId],
    pub(crate) tracks: u64,
    pub(crate) blocks_per_track: u64,
    pub(crate) cache_slots: usize,
    pub(crate) copy_rest_ns: u64,
    pub(crate) destage_delay_ns: u64,
    /// Worker threads of the driver, to be stopped by the model.
    pub(crate) workers: usize,
}

impl Shape {
    /// P and S of one track of one block, room for everything, destaging only when asked.
    pub(crate) const PAIR: Self = Self {
        volumes: &[P, S],
        tracks: 1,
        blocks_per_track: 1,
        cache_slots: 16,
        copy_rest_ns: 0,
        destage_delay_ns: u64::MAX / 2,
        workers: 0,
    };
    pub(crate) const THREE: Self = Self { volumes: &[P, S, T], ..Self::PAIR };
    pub(crate) const FOUR: Self = Self { volumes: &[P, S, T, U], ..Self::PAIR };
}

/// What a model may do to the drive of a volume.
#[derive(Debug, Default)]
struct Door {
    /// Nobody may write it.
    closed: Mutex<bool>,
    /// Writes fail.
    failing: AtomicBool,
}

/// A drive that nobody may write while it is closed, and that fails when it is told to.
#[derive(Debug)]
struct Watched {
    drive: MemoryDrive,
    door: Arc<Door>,
}

impl Device for Watched {
    fn sector_count(&self) -> u64 {
        self.drive.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        self.drive.read_at(sector, bufs)
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        let closed = *self.door.closed.lock();
        assert!(!closed, "invariant I3: a pair that was given up writes its secondary");
        if self.door.failing.load(Ordering::Relaxed) {
            return Err(DeviceError::StorageFull);
        }
        self.drive.write_at(sector, bufs)
    }

    fn flush(&self) -> Result<(), DeviceError> {
        self.drive.flush()
    }
}

/// The unit, each volume on a drive of its own.
pub(crate) struct World {
    rt: Rt,
    shape: Shape,
    /// Of the drives, in the order of the volumes.
    doors: Vec<Arc<Door>>,
    /// The last flush has ended.
    flushed: Arc<AtomicBool>,
    /// Requests submitted and not answered.
    unanswered: Arc<AtomicUsize>,
    /// What an actor leaves for the end.
    note: AtomicUsize,
}

impl World {
    pub(crate) fn new(shape: Shape) -> Arc<Self> {
        let doors: Vec<Arc<Door>> = shape.volumes.iter().map(|_| Arc::default()).collect();
        let sectors = 64 * shape.tracks;
        let drive = |door: &Arc<Door>| -> (u16, Box<dyn Device>) {
            let (drive, door) = (MemoryDrive::new(sectors), door.clone());
            (0, Box::new(Watched { drive, door }))
        };
        let plant = Plant::new(Drives::new(doors.iter().map(drive).collect()));
        let track_bytes = shape.blocks_per_track as usize * BLOCK_BYTES;
        let cache = CacheConfig {
            shards: 1,
            write_pending_limit_slots: shape.cache_slots,
            waiters_max: 8,
            ..CacheConfig::new(shape.cache_slots, track_bytes)
        };
        let config = UnitConfig {
            cache,
            needs_reserve: false,
            in_use_ns: 0,
            history_max: 4,
            copy_rest_ns: shape.copy_rest_ns,
            destage_jobs: 1,
            destage_delay_ns: shape.destage_delay_ns,
            ..UnitConfig::with_cache(shape.cache_slots, track_bytes)
        };
        let unit = Unit::new(config, &plant).unwrap();
        let geometry = Geometry::with_tracks(shape.blocks_per_track, shape.tracks);
        for (no, &ldev) in shape.volumes.iter().enumerate() {
            unit.add_volume(ldev, geometry, no).unwrap();
        }
        let driver =
            RtConfig { workers: shape.workers, clock: Clock::jump(), ..RtConfig::default() };
        let rt = Rt::start(unit, plant, driver).unwrap();
        let (flushed, unanswered) = (Arc::default(), Arc::default());
        Arc::new(Self { rt, shape, doors, flushed, unanswered, note: AtomicUsize::new(0) })
    }

    /// Spawns every actor and joins them all.
    pub(crate) fn run<const N: usize>(self: &Arc<Self>, actors: [fn(&Self); N]) {
        let spawn = |actor: fn(&Self)| {
            let world = self.clone();
            thread::spawn(move || actor(&world))
        };
        let threads = actors.map(spawn);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    /// Writes blocks, each filled with its byte.
    pub(crate) fn try_write(&self, ldev: LdevId, block: u64, bytes: &[u8]) -> bool {
        let data: Vec<u8> = bytes.iter().flat_map(|byte| [*byte; BLOCK_BYTES]).collect();
        let write = HostOp::Write { ldev, block: BlockNo(block), data: data.into() };
        self.rt.execute(write) == HostReply::Done
    }

    pub(crate) fn write(&self, ldev: LdevId, block: u64, bytes: &[u8]) {
        assert!(self.try_write(ldev, block, bytes), "a host may write volume {ldev}");
    }

    /// Reads blocks: the byte that each is filled with. `None` if hosts are kept off.
    pub(crate) fn try_read(&self, ldev: LdevId, block: u64, count: u64) -> Option<Vec<u8>> {
        let blocks = BlockRange::new(BlockNo(block), count);
        match self.rt.execute(HostOp::Read { ldev, blocks }) {
            HostReply::Data(data) => Some(bytes_of(&data)),
            HostReply::Failed(diptych_cha::HostError::Access { .. }) => None,
            other => panic!("invariant I6: a read of volume {ldev} came to {other:?}"),
        }
    }

    /// Reads a whole volume.
    pub(crate) fn read(&self, ldev: LdevId) -> Vec<u8> {
        let count = self.shape.tracks * self.shape.blocks_per_track;
        let read = self.try_read(ldev, 0, count);
        read.unwrap_or_else(|| panic!("a host may read volume {ldev}"))
    }

    pub(crate) fn order(&self, command: Command) -> Outcome {
        match self.rt.execute(HostOp::Command(command)) {
            HostReply::Outcome(outcome) => outcome,
            other => panic!("invariant I6: {command:?} came to {other:?}"),
        }
    }

    /// A command that must be accepted.
    pub(crate) fn accepted(&self, command: Command) {
        let outcome = self.order(command);
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{command:?} came to {outcome:?}");
    }

    /// A command on a pair, with one fast lane; it must be accepted.
    pub(crate) fn command(&self, code: CommandCode, primary: LdevId, secondary: LdevId) {
        let options = PairOptions { pace: Pace::FAST, ..PairOptions::default() };
        self.accepted(Command::new(code, primary, secondary).with_options(options));
    }

    /// One command for several pairs, with one fast lane each.
    pub(crate) fn group(&self, code: CommandCode, pairs: &[(LdevId, LdevId)]) -> GroupOutcome {
        let options = PairOptions { pace: Pace::FAST, ..PairOptions::default() };
        let command = GroupCommand { options, ..GroupCommand::new(code, pairs.to_vec()) };
        match self.rt.execute(HostOp::Group(command)) {
            HostReply::Group(outcome) => outcome,
            other => panic!("invariant I6: a group command came to {other:?}"),
        }
    }

    /// Makes a pair and leaves its copier off: everything is still to be copied.
    pub(crate) fn create_idle(&self, primary: LdevId, secondary: LdevId) {
        let command = Command::new(CommandCode::Create, primary, secondary);
        self.accepted(command.without_initial_copy());
    }

    /// Makes a pair that is copied: both sides are equal, in 804.
    pub(crate) fn create_copied(&self, primary: LdevId, secondary: LdevId) {
        self.create_idle(primary, secondary);
        self.command(CommandCode::Copy, primary, secondary);
        self.settle();
    }

    /// Lanes and destages that are due now.
    pub(crate) fn background(&self) {
        self.rt.run_background(Time::ZERO);
    }

    /// Adds a schedule, as an operator does.
    pub(crate) fn add_schedule(&self, schedule: Schedule) {
        self.rt.unit().add_schedule(schedule, self.rt.now()).expect("a schedule of what there is");
        self.rt.ask_due();
    }

    /// Ticks, lanes and destages that are due in the first two seconds.
    pub(crate) fn ticks(&self) {
        self.rt.run_background(Time::from_ns(2_000_000_000));
    }

    /// All background work but destages that nobody asked for.
    pub(crate) fn settle(&self) {
        self.rt.run_background(Time::from_ns(1 << 40));
    }

    /// Waits until the workers have nothing to do. Their clock jumps to every deadline.
    pub(crate) fn wait_idle(&self) {
        self.rt.wait_idle();
    }

    pub(crate) fn stop(&self) {
        self.rt.stop();
    }

    /// Asks for everything that is dirty to be destaged.
    pub(crate) fn ask_flush(&self, ldev: LdevId) {
        self.flushed.store(false, Ordering::Relaxed);
        let flushed = self.flushed.clone();
        let done = move |reply| flushed.store(reply == HostReply::Done, Ordering::Relaxed);
        self.rt.submit(HostOp::Flush { ldev }, done).unwrap();
    }

    /// Asks for a flush, if the driver takes it.
    pub(crate) fn submit_flush(&self, ldev: LdevId) {
        let unanswered = self.unanswered.clone();
        unanswered.fetch_add(1, Ordering::Relaxed);
        let done = move |_| {
            unanswered.fetch_sub(1, Ordering::Relaxed);
        };
        if self.rt.submit(HostOp::Flush { ldev }, done).is_err() {
            self.unanswered.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Requests that were submitted and are not answered.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::Relaxed)
    }

    /// Whether the last flush has ended.
    pub(crate) fn is_flushed(&self) -> bool {
        self.flushed.load(Ordering::Relaxed)
    }

    /// Destages everything.
    pub(crate) fn flush(&self, ldev: LdevId) {
        self.ask_flush(ldev);
        self.settle();
        assert!(self.is_flushed(), "invariant I6: every flush ends");
    }

    /// What the drive under a volume holds, its check codes looked at.
    pub(crate) fn on_drive(&self, ldev: LdevId) -> Vec<u8> {
        let volume = self.rt.unit().volume(ldev).unwrap();
        let backing = volume.backing;
        let home = self.rt.unit().home(backing).unwrap();
        let (geometry, pool) = (home.geometry(), TrackPool::new(1, home.geometry().track_bytes()));
        let mut all = Vec::new();
        for track in 0..geometry.track_count() {
            if !volume.allocated.get(TrackNo(track)) {
                all.resize(all.len() + geometry.blocks_per_track() as usize, 0);
                continue;
            }
            assert!(pool.reserve(1), "the last buffer is back");
            let place = home.place(TrackNo(track));
            let blocks_per_track = geometry.blocks_per_track();
            let read = dka::Op::Read {
                drive: place.drive,
                sector: place.data,
                data: Some((pool.take_reserved(), 0..geometry.track_bytes())),
                checks: Some(CheckArea::zeroed(blocks_per_track)),
            };
            let done = self.rt.plant().drives().perform(read);
            let (data, checks) = (done.data.unwrap(), done.checks.unwrap());
            let place = diptych_drr::TrackPlace {
                backing,
                first_block: geometry.first_block(TrackNo(track)),
                block_count: blocks_per_track,
            };
            let whole = diptych_format::BlockMask::first(blocks_per_track);
            let verdict = diptych_drr::verify(data.bytes(), &checks, place, whole);
            assert!(verdict.is_ok(), "invariant I4: track {track} of {ldev} fails its codes");
            all.extend(bytes_of(&data.bytes()[..geometry.track_bytes()]));
        }
        all
    }

    pub(crate) fn pair(&self, primary: LdevId, secondary: LdevId) -> Pair {
        self.rt.unit().pair(primary, secondary).expect("the pair is there")
    }

    pub(crate) fn volume(&self, ldev: LdevId) -> Volume {
        self.rt.unit().volume(ldev).expect("the volume is there")
    }

    /// Lets hosts at a blocked volume again; what could not be destaged is tried anew.
    pub(crate) fn release(&self, ldev: LdevId) {
        self.rt.unit().release_volume(ldev, self.rt.now()).expect("the volume is there");
    }

    /// Leaves something for the end of the model.
    pub(crate) fn note(&self, what: u8) {
        self.note.store(what.into(), Ordering::Relaxed);
    }

    /// What was left last; 0 if nothing was.
    pub(crate) fn noted(&self) -> u8 {
        self.note.load(Ordering::Relaxed) as u8
    }

    fn door(&self, ldev: LdevId) -> &Door {
        let no = self.shape.volumes.iter().position(|volume| *volume == ldev);
        &self.doors[no.expect("the volume is of this shape")]
    }

    /// From now on nobody but the model may write the drive that S was made on.
    pub(crate) fn close(&self, closed: bool) {
        *self.door(S).closed.lock() = closed;
    }

    /// From now on writes of the drive that a volume was made on fail.
    pub(crate) fn fail(&self, ldev: LdevId, failing: bool) {
        self.door(ldev).failing.store(failing, Ordering::Relaxed);
    }

    /// The copy has ended and the secondary holds this image.
    pub(crate) fn assert_image(&self, primary: LdevId, secondary: LdevId, images: &[&[u8]]) {
        let pair = self.pair(primary, secondary);
        assert_eq!(pair.status, PairStatus::Copied, "invariant I6: every copy ends");
        assert!(pair.ds.is_empty(), "nobody has changed the secondary");
        let found = self.read(secondary);
        assert!(
            images.contains(&&found[..]),
            "invariant I1: {secondary} holds {found:?}, the image is one of {images:?}"
        );
    }

    /// Every track in which these contents of the two volumes differ is in C, DP or DS.
    pub(crate) fn assert_marked(&self, sides: (LdevId, LdevId), primary: &[u8], secondary: &[u8]) {
        let pair = self.pair(sides.0, sides.1);
        let track_blocks = self.shape.blocks_per_track as usize;
        let tracks = primary.chunks(track_blocks).zip(secondary.chunks(track_blocks));
        for (no, (p, s)) in tracks.enumerate() {
            let marked =
                [&pair.c, &pair.dp, &pair.ds].iter().any(|map| map.get(TrackNo(no as u64)));
            assert!(marked || p == s, "invariant I2: track {no} differs and no bit says so");
        }
    }

    /// The secondary follows and has caught up: the sides are equal. The pair is gone afterwards.
    pub(crate) fn assert_follows(&self, primary: LdevId, secondary: LdevId) {
        let pair = self.pair(primary, secondary);
        assert_eq!(pair.status, PairStatus::PairedNotCopied, "the secondary follows");
        assert!(pair.c.is_empty(), "invariant I6: every copy ends");
        self.command(CommandCode::Delete, primary, secondary);
        let (p, s) = (self.read(primary), self.read(secondary));
        assert_eq!(p, s, "invariant I2: the sides differ and no bit says so");
    }
}

/// The byte that each block is filled with.
fn bytes_of(data: &[u8]) -> Vec<u8> {
    let byte = |block: &[u8]| {
        let same = block.iter().all(|byte| *byte == block[0]);
        assert!(same, "invariant: a block is one write's whole");
        block[0]
    };
    data.chunks(BLOCK_BYTES).map(byte).collect()
}
