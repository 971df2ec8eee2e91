//! A primary, its secondaries, and schedules over them, turned by hand.

use diptych_cha::{Command, CommandCode, HostError, HostOp, HostReply, Outcome};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::Drives;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, Geometry, OwnerId, Time};
use diptych_shared::{Pace, Pair, PairOptions, PairStatus};
use diptych_testkit::{ByHand, Choices, Move, Tag, ldev};
use diptych_unit::{
    HistoryFilter, HistoryQuery, Image, Plant, Rotation, Schedule, ScheduleId, Scope, Unit,
    UnitConfig, Utc, When,
};
use std::num::NonZeroU32;

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const HOUR: u64 = 3_600 * SECOND;
pub(crate) const DAY: u64 = 24 * HOUR;
/// Tracks of a volume, each of one block.
pub(crate) const TRACKS: u64 = 6;

/// A unit with a primary, volume 0, and secondaries 1 on, all pairs in 802 with the copier off: the
/// first tick finds everything still to be copied.
pub(crate) struct Bench {
    pub(crate) hand: ByHand,
    pub(crate) choices: Choices,
    last_tag: u64,
}

/// Where the unit's time begins, unless a test says otherwise: a Friday.
pub(crate) fn start() -> Utc {
    "2026-01-30T12:00:00Z".parse().expect("a time")
}

impl Bench {
    /// Volumes with payload.
    pub(crate) fn new(secondaries: u8) -> Self {
        Self::with_config(secondaries, true, |_| {})
    }

    /// Volumes of maps alone: for years.
    pub(crate) fn of_maps(secondaries: u8) -> Self {
        Self::with_config(secondaries, false, |_| {})
    }

    pub(crate) fn with_config(
        secondaries: u8,
        payload: bool,
        change: impl FnOnce(&mut UnitConfig),
    ) -> Self {
        let mut bench = Self::of_volumes(secondaries + 1, payload, change);
        for secondary in 1..=secondaries {
            let create = command(CommandCode::Create, secondary).without_initial_copy();
            bench.accept(create);
        }
        bench
    }

    /// Volumes from 0 on, and no pair.
    pub(crate) fn of_volumes(
        volumes: u8,
        payload: bool,
        change: impl FnOnce(&mut UnitConfig),
    ) -> Self {
        let drive = |_| Box::new(MemoryDrive::new(1 << 12)) as Box<dyn Device>;
        let drives = (0..).zip((0..volumes).map(drive)).collect();
        let plant = Plant::new(Drives::new(drives));
        let mut config = UnitConfig::with_cache(64, BLOCK_BYTES);
        config.needs_reserve = false;
        config.utc_at_start = start();
        change(&mut config);
        let unit = Unit::new(config, &plant).expect("a unit of this configuration");
        let geometry = Geometry::with_tracks(1, TRACKS);
        for no in 0..volumes {
            if payload {
                unit.add_volume(ldev(no), geometry, no.into()).expect("room on the drive");
            } else {
                unit.add_metadata_volume(ldev(no), geometry).expect("a new volume");
            }
        }
        let (hand, choices) = (ByHand::new(unit, plant), Choices::from_seed(1));
        Self { hand, choices, last_tag: 0 }
    }

    pub(crate) fn unit(&self) -> &Unit {
        self.hand.unit()
    }

    pub(crate) fn now(&self) -> Time {
        self.hand.now()
    }

    /// Adds a schedule, as an operator does.
    #[track_caller]
    pub(crate) fn add(&mut self, scope: Scope, when: When) -> ScheduleId {
        let (schedule, now) = (Schedule::new(scope, when), self.now());
        let id = self.unit().add_schedule(schedule, now).expect("a schedule of what there is");
        self.hand.start_due();
        id
    }

    /// Lets time pass.
    #[track_caller]
    pub(crate) fn pass(&mut self, ns: u64) {
        let to = self.now() + ns;
        self.hand.run_until(to, &mut self.choices).expect("every job ends");
    }

    /// Lets time pass with nobody asking what is due: the unit is down.
    pub(crate) fn sleep(&mut self, ns: u64) {
        let to = self.now() + ns;
        self.hand.advance(to);
        self.hand.start_due();
        self.pass(0);
    }

    pub(crate) fn run(&mut self, op: HostOp) -> HostReply {
        let id = self.hand.start(op);
        self.hand.drain(&mut self.choices).expect("every job ends");
        self.hand.take_reply(id).expect("every request is answered")
    }

    /// A host writes one block; the tag it gets.
    pub(crate) fn try_write(&mut self, volume: u8, block: u64) -> Result<Tag, HostError> {
        self.last_tag += 1;
        let (tag, blocks) = (Tag(self.last_tag), BlockRange::new(BlockNo(block), 1));
        let write =
            HostOp::Write { ldev: ldev(volume), block: blocks.start, data: tag.data(blocks) };
        match self.run(write) {
            HostReply::Done => Ok(tag),
            HostReply::Failed(error) => Err(error),
            other => panic!("a write was answered {other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn write(&mut self, volume: u8, block: u64) -> Tag {
        self.try_write(volume, block).expect("a host may write it")
    }

    /// What a volume holds.
    #[track_caller]
    pub(crate) fn read(&mut self, volume: u8) -> Vec<Tag> {
        let blocks = BlockRange::new(BlockNo(0), TRACKS);
        let reply = self.run(HostOp::Read { ldev: ldev(volume), blocks });
        let HostReply::Data(data) = reply else { panic!("a read was answered {reply:?}") };
        let tag = |(block, data)| Tag::of(data, BlockNo(block)).expect("data of one write");
        (0..).zip(data.chunks(BLOCK_BYTES)).map(tag).collect()
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

    /// Turns these jobs, and no others, until they wait or have ended.
    pub(crate) fn turn(&mut self, which: impl Fn(OwnerId) -> bool) {
        let own = |one: &Move| match one {
            Move::Step(owner) | Move::Perform(owner, _) => which(*owner),
            Move::Due => false,
        };
        while let Some(next) = self.hand.moves().into_iter().find(own) {
            self.hand.make(next);
        }
    }

    /// Gives a command that begins a copy, and has its lane ask for its first effect, which is not
    /// performed.
    pub(crate) fn begin_lane(&mut self, command: Command) -> OwnerId {
        let command = self.hand.start(HostOp::Command(command));
        self.turn(|owner| owner == command);
        self.hand.start_due();
        let lane = OwnerId(command.0 + 1);
        let in_flight = |one: &Move| matches!(one, Move::Perform(owner, _) if *owner == lane);
        while !self.hand.moves().iter().any(in_flight) {
            self.hand.make(Move::Step(lane));
        }
        lane
    }

    pub(crate) fn pair(&self, secondary: u8) -> Pair {
        self.unit().pair(ldev(0), ldev(secondary)).expect("the pair")
    }

    pub(crate) fn status(&self, secondary: u8) -> PairStatus {
        self.pair(secondary).status
    }

    /// The images of a schedule as (secondary, seconds since the start), the oldest first.
    pub(crate) fn images(&self, id: ScheduleId) -> Vec<(u8, u64)> {
        let images = self.unit().images_of_schedule(id).expect("the schedule");
        images.iter().map(|image| (image.secondary.ldev, image.at.ns / SECOND)).collect()
    }

    /// The images of a schedule in full.
    pub(crate) fn series(&self, id: ScheduleId) -> Vec<Image> {
        self.unit().images_of_schedule(id).expect("the schedule")
    }

    /// What the history says of schedules, a line each, without the statuses of pairs.
    pub(crate) fn events(&self) -> String {
        let of_schedules = HistoryFilter::Code(4000..=4999);
        let query = HistoryQuery { filters: vec![of_schedules], ..HistoryQuery::default() };
        let shown = |entry: &diptych_unit::HistoryEntry| {
            let secondary = entry.secondary.map_or("     ".to_owned(), |ldev| ldev.to_string());
            format!("{} {} {secondary} {}\n", self.unit().utc(entry.at), entry.who, entry.message)
        };
        self.unit().history(&query).entries.iter().map(shown).collect()
    }
}

pub(crate) fn command(code: CommandCode, secondary: u8) -> Command {
    Command::new(code, ldev(0), ldev(secondary))
}

/// Fast, one lane.
pub(crate) fn fast() -> PairOptions {
    PairOptions { pace: Pace::FAST, ..PairOptions::default() }
}

/// A track a turn, with a rest after each.
pub(crate) fn slow() -> PairOptions {
    PairOptions { pace: Pace::SLOW, ..PairOptions::default() }
}

pub(crate) fn pair(secondary: u8) -> Scope {
    Scope::Pair { primary: ldev(0), secondary: ldev(secondary) }
}

/// Secondaries 1 to `secondaries` of volume 0, in turn.
pub(crate) fn rotation(secondaries: u8, images: usize) -> Scope {
    let secondaries = (1..=secondaries).map(ldev).collect();
    Scope::Rotation(Rotation { primary: ldev(0), secondaries, images })
}

/// Every so many seconds, the first time after as many.
pub(crate) fn every(seconds: u32) -> When {
    let from = Utc::from_seconds(start().seconds + i64::from(seconds));
    When::Every { from, seconds: NonZeroU32::new(seconds).expect("at least 1") }
}

pub(crate) fn cron(text: &str) -> When {
    When::Cron(text.parse().expect("a cron text"))
}

pub(crate) fn at(text: &str) -> When {
    When::At(text.parse().expect("a time"))
}
