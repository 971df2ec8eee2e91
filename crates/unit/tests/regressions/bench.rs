//! A control unit turned by hand, over drives that go wrong when they are told to.

use diptych_cha::{Command, CommandCode, HostError, HostOp, HostReply, Outcome};
use diptych_device::{
    Device, DeviceError, Fault, FaultPlan, FaultRule, MemoryDrive, SectorRange, Trace,
};
use diptych_dka::Drives;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, Geometry, OwnerId, SectorNo, TrackRange};
use diptych_shared::{MapName, Pair, VolumeState};
use diptych_sync::Arc;
use diptych_testkit::{ByHand, Choices, Move, Tag, ldev};
use diptych_unit::{HistoryEntry, HistoryFilter, HistoryQuery, Plant, Unit, UnitConfig};
use std::fmt;
use std::io::{IoSlice, IoSliceMut};

/// Requests that a drive remembers.
const TRACE_MAX: usize = 10_000;
const DRIVE_SECTORS: u64 = 1 << 14;
/// Blocks of a track, where a test does not say otherwise.
pub(crate) const BLOCKS_PER_TRACK: u64 = 4;
/// Tracks of a volume, where a test does not say otherwise.
pub(crate) const TRACKS: u64 = 6;
/// From one track of four blocks to the next on a drive: data, check area, up to a whole page.
pub(crate) const STRIDE_SECTORS: u64 = 8;

/// The usual shape.
pub(crate) fn shape() -> Geometry {
    Geometry::with_tracks(BLOCKS_PER_TRACK, TRACKS)
}

/// A unit with a cache of `slots` slots of four blocks, all of which may be dirty, and no need to
/// reserve.
pub(crate) fn config(slots: usize) -> UnitConfig {
    let mut config = UnitConfig::with_cache(slots, shape().track_bytes());
    config.cache.write_pending_limit_slots = slots;
    config.needs_reserve = false;
    config.in_use_ns = 0;
    config.chunk_blocks = 3 * BLOCKS_PER_TRACK;
    config
}

/// A drive with faults, and with a trace of what gets through to it from the unit.
#[derive(Clone)]
pub(crate) struct Drive(Arc<Trace<Fault<MemoryDrive>>>);

impl fmt::Debug for Drive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Drive {
    pub(crate) fn new(sectors: u64) -> Self {
        let fault = Fault::new(MemoryDrive::new(sectors), FaultPlan::none());
        Self(Arc::new(Trace::new(fault.expect("no rule is wrong"), TRACE_MAX)))
    }

    pub(crate) fn goes_wrong(&self, rule: FaultRule) {
        self.0.inner().push(rule).expect("the rule can be followed");
    }

    pub(crate) fn heal(&self) {
        self.0.inner().heal();
    }

    /// How many requests have reached it.
    pub(crate) fn requests(&self) -> usize {
        self.0.entries().len()
    }
}

impl Device for Drive {
    fn sector_count(&self) -> u64 {
        self.0.sector_count()
    }

    fn read_at(&self, sector: SectorNo, bufs: &mut [IoSliceMut<'_>]) -> Result<(), DeviceError> {
        self.0.read_at(sector, bufs)
    }

    fn write_at(&self, sector: SectorNo, bufs: &[IoSlice<'_>]) -> Result<(), DeviceError> {
        self.0.write_at(sector, bufs)
    }

    fn flush(&self) -> Result<(), DeviceError> {
        self.0.flush()
    }
}

/// A unit whose volumes are `00:00` on, each alone on its drive.
pub(crate) struct Bench {
    pub(crate) hand: ByHand,
    pub(crate) drives: Vec<Drive>,
    pub(crate) choices: Choices,
}

impl Bench {
    /// Volumes of the usual shape.
    pub(crate) fn new(seed: u64, config: UnitConfig, volumes: usize) -> Self {
        Self::with_shapes(seed, config, &vec![shape(); volumes])
    }

    pub(crate) fn with_shapes(seed: u64, config: UnitConfig, shapes: &[Geometry]) -> Self {
        let drives: Vec<_> = shapes.iter().map(|_| Drive::new(DRIVE_SECTORS)).collect();
        let boxed = |drive: &Drive| Box::new(drive.clone()) as Box<dyn Device>;
        let plant = Plant::new(Drives::new((0..).zip(drives.iter().map(boxed)).collect()));
        let unit = Unit::new(config, &plant).expect("a unit of this configuration");
        for (no, geometry) in shapes.iter().enumerate() {
            unit.add_volume(ldev(no as u8), *geometry, no).expect("room on the drive");
        }
        Self { hand: ByHand::new(unit, plant), drives, choices: Choices::from_seed(seed) }
    }

    pub(crate) fn unit(&self) -> &Unit {
        self.hand.unit()
    }

    /// Runs an operation to its end, everything else going on beside it.
    pub(crate) fn run(&mut self, op: HostOp) -> HostReply {
        self.hand.run(op, &mut self.choices).expect("every request ends")
    }

    pub(crate) fn write(&mut self, volume: u8, start: u64, count: u64, tag: u64) -> HostReply {
        self.run(write_of(volume, start, count, tag))
    }

    pub(crate) fn read(
        &mut self,
        volume: u8,
        start: u64,
        count: u64,
    ) -> Result<Vec<u64>, HostError> {
        let reply = self.run(read_of(volume, start, count));
        tags_of(start, reply)
    }

    pub(crate) fn flush(&mut self, volume: u8) -> HostReply {
        self.run(HostOp::Flush { ldev: ldev(volume) })
    }

    /// Writes every block of a volume.
    #[track_caller]
    pub(crate) fn fill(&mut self, volume: u8, tag: u64) {
        let block_count = self.volume(volume).geometry.block_count();
        assert_eq!(self.write(volume, 0, block_count, tag), HostReply::Done);
    }

    pub(crate) fn give(&mut self, command: Command) -> Outcome {
        match self.run(HostOp::Command(command)) {
            HostReply::Outcome(outcome) => outcome,
            other => panic!("a command was answered {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn accept(&mut self, command: Command) {
        let outcome = self.give(command);
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{command:?}: {outcome:?}");
    }

    /// Makes a pair whose secondary holds an image: 804.
    #[track_caller]
    pub(crate) fn split(&mut self, primary: u8, secondary: u8) {
        self.split_with(command(CommandCode::Create, primary, secondary));
    }

    /// As [`Bench::split`], by this create command.
    #[track_caller]
    pub(crate) fn split_with(&mut self, create: Command) {
        self.accept(create);
        self.settle();
        self.accept(Command { code: CommandCode::Copy, ..create });
    }

    #[track_caller]
    pub(crate) fn settle(&mut self) {
        self.hand.settle(&mut self.choices).expect("every job ends");
    }

    /// As [`Bench::settle`], after the unit was changed behind the driver's back.
    #[track_caller]
    pub(crate) fn due_and_settle(&mut self) {
        self.hand.start_due();
        self.settle();
    }

    /// What is dirty goes to the drives, and every volume but `scratch` leaves the cache.
    pub(crate) fn evict(&mut self, scratch: u8) {
        self.settle();
        for _ in 0..3 {
            self.fill(scratch, 1);
            self.settle();
        }
    }

    pub(crate) fn pair(&self, primary: u8, secondary: u8) -> Pair {
        self.unit().pair(ldev(primary), ldev(secondary)).expect("the pair")
    }

    pub(crate) fn volume(&self, volume: u8) -> diptych_shared::Volume {
        self.unit().volume(ldev(volume)).expect("the volume")
    }

    pub(crate) fn state(&self, volume: u8) -> VolumeState {
        self.volume(volume).state
    }

    /// The codes of the failures recorded.
    pub(crate) fn failures(&self) -> Vec<u16> {
        let failures = HistoryFilter::Code(3000..=3999);
        let query = HistoryQuery { filters: vec![failures], ..HistoryQuery::default() };
        let entries = self.unit().history(&query).entries;
        entries.into_iter().map(|entry| entry.message.code()).collect()
    }

    /// The history as it is shown.
    pub(crate) fn history(&self) -> String {
        let shown = |entry: &HistoryEntry| format!("{entry}\n");
        self.unit().history(&HistoryQuery::default()).entries.iter().map(shown).collect()
    }

    /// Starts an operation and runs it, nothing else beside it, until it has to wait or has ended.
    pub(crate) fn begin(&mut self, op: HostOp) -> OwnerId {
        let id = self.hand.start(op);
        self.turn(id);
        id
    }

    /// Runs one job until it has to wait or has ended.
    pub(crate) fn turn(&mut self, id: OwnerId) {
        while let Some(own) = self.next_of(id) {
            self.hand.make(own);
        }
    }

    /// Runs one job until `effects` effects are performed and the next one is asked for.
    #[track_caller]
    pub(crate) fn turn_to_effect(&mut self, id: OwnerId, effects: usize) {
        let mut performed = 0;
        loop {
            match self.next_of(id).expect("the job asks for another effect") {
                Move::Perform(..) if performed == effects => return,
                Move::Perform(id, no) => {
                    self.hand.make(Move::Perform(id, no));
                    performed += 1;
                }
                other => self.hand.make(other),
            }
        }
    }

    fn next_of(&self, id: OwnerId) -> Option<Move> {
        self.hand.moves().into_iter().find(|one| owner_of(*one) == Some(id))
    }

    /// As [`Bench::begin`], until `effects` effects are performed and the next one is asked for.
    #[track_caller]
    pub(crate) fn begin_to_effect(&mut self, op: HostOp, effects: usize) -> OwnerId {
        let id = self.hand.start(op);
        self.turn_to_effect(id, effects);
        id
    }

    /// The job's answer; it has ended.
    #[track_caller]
    pub(crate) fn reply(&mut self, id: OwnerId) -> HostReply {
        self.hand.take_reply(id).expect("the job has ended")
    }

    /// Runs a host operation alone: it waits for nothing.
    #[track_caller]
    pub(crate) fn alone(&mut self, op: HostOp) -> HostReply {
        let id = self.begin(op);
        self.reply(id)
    }

    /// Asks what is due; the jobs, lanes before destages.
    pub(crate) fn due(&mut self) -> Vec<OwnerId> {
        let before = self.jobs();
        self.hand.start_due();
        let is_new = |id: &OwnerId| !before.contains(id);
        self.jobs().into_iter().filter(is_new).collect()
    }

    /// All jobs that have not ended.
    pub(crate) fn jobs(&self) -> Vec<OwnerId> {
        let moves = self.hand.moves().into_iter().filter_map(owner_of);
        let mut jobs: Vec<_> = moves.chain(self.hand.waiting().map(|(id, _)| id)).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs
    }

    /// Runs everything but these jobs, without letting time pass, until nothing can happen.
    pub(crate) fn run_without(&mut self, held: &[OwnerId]) {
        let free = |one: &Move| owner_of(*one).is_none_or(|id| !held.contains(&id));
        while let Some(next) = self.hand.moves().into_iter().find(free) {
            self.hand.make(next);
        }
    }
}

fn owner_of(one: Move) -> Option<OwnerId> {
    match one {
        Move::Step(id) | Move::Perform(id, _) => Some(id),
        Move::Due => None,
    }
}

pub(crate) fn command(code: CommandCode, primary: u8, secondary: u8) -> Command {
    Command::new(code, ldev(primary), ldev(secondary))
}

pub(crate) fn write_of(volume: u8, start: u64, count: u64, tag: u64) -> HostOp {
    let blocks = BlockRange::new(BlockNo(start), count);
    HostOp::Write { ldev: ldev(volume), block: blocks.start, data: Tag(tag).data(blocks) }
}

pub(crate) fn read_of(volume: u8, start: u64, count: u64) -> HostOp {
    HostOp::Read { ldev: ldev(volume), blocks: BlockRange::new(BlockNo(start), count) }
}

/// The tag of each block that was read.
#[track_caller]
pub(crate) fn tags_of(start: u64, reply: HostReply) -> Result<Vec<u64>, HostError> {
    match reply {
        HostReply::Data(data) => {
            let tag = |(block, data)| Tag::of(data, BlockNo(block)).expect("data of one write").0;
            Ok((start..).zip(data.chunks(BLOCK_BYTES)).map(tag).collect())
        }
        HostReply::Failed(error) => Err(error),
        other => panic!("a read was answered {other:?}"),
    }
}

/// The data sectors of a track of four blocks, on the drive of its volume.
pub(crate) fn sectors(track: u64) -> SectorRange {
    SectorRange::new(SectorNo(track * STRIDE_SECTORS), BLOCKS_PER_TRACK)
}

/// The check sector of a track of four blocks.
pub(crate) fn check_sector(track: u64) -> SectorRange {
    SectorRange::one(SectorNo(track * STRIDE_SECTORS + BLOCKS_PER_TRACK))
}

/// The tracks that are set in a map.
pub(crate) fn tracks(pair: &Pair, map: MapName) -> Vec<u64> {
    pair.map(map).runs().flat_map(TrackRange::iter).map(|track| track.0).collect()
}
