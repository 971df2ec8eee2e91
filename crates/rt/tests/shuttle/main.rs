//! The whole unit under random schedules: hosts, commands, lanes, destages, a cache that is too small.
//!
//! Two primaries, three pairs, one of them a second level. Each of three hosts gives commands for its
//! own pair; all of them, and one more, read and write whatever they may. Every write has a value of
//! its own and notes when it began and ended, and so does every command that gives a volume the content
//! of another. So each read, and each volume at the end, can be held against what was possible then.
#![cfg(diptych_shuttle)]

mod notes;

use diptych_cache::CacheConfig;
use diptych_cha::CommandCode::{
    self, Copy, Create, Delete, QuickRestore, Restore, Resync, Suspend,
};
use diptych_cha::{Command, HostError, HostOp, HostReply, Outcome, Refusal};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::{self as dka, Drives};
use diptych_drr::{TrackPlace, verify};
use diptych_format::{
    BLOCK_BYTES, BlockMask, BlockNo, BlockRange, CheckArea, Geometry, LdevId, TrackNo, TrackPool,
};
use diptych_rt::{Clock, Rt, RtConfig};
use diptych_shared::{Pace, Pair, PairOptions, PairStatus, TrackMap};
use diptych_sync::model::{Bound, Model, Mutant, random_u64};
use diptych_sync::thread;
use diptych_unit::{Plant, Unit, UnitConfig};
use notes::{Gives, Notes, Span};
// The notes of the test are no part of what is checked: no scheduling points are spent on them.
use std::sync::{Arc, Mutex};

const TRACKS: u64 = 3;
const VOLUMES: usize = 5;
const OPERATIONS: usize = 14;
/// The pairs, by the numbers of their volumes. The second is below the first.
const PAIRS: [(usize, usize); 3] = [(0, 1), (1, 2), (3, 4)];

fn ldev(no: usize) -> LdevId {
    LdevId::new(0, no as u8)
}

struct World {
    rt: Rt,
    notes: Mutex<Notes>,
}

impl World {
    fn new() -> Self {
        let drive = |_| -> (u16, Box<dyn Device>) { (0, Box::new(MemoryDrive::new(64))) };
        let plant = Plant::new(Drives::new((0..VOLUMES).map(drive).collect()));
        let cache = CacheConfig {
            shards: 2,
            write_pending_limit_slots: 10,
            ..CacheConfig::new(14, BLOCK_BYTES)
        };
        let config = UnitConfig {
            cache,
            needs_reserve: false,
            in_use_ns: 0,
            history_max: 8,
            copy_rest_ns: 10,
            destage_delay_ns: 100_000,
            ..UnitConfig::with_cache(14, BLOCK_BYTES)
        };
        let unit = Unit::new(config, &plant).unwrap();
        for no in 0..VOLUMES {
            unit.add_volume(ldev(no), Geometry::with_tracks(1, TRACKS), no).unwrap();
        }
        let driver = RtConfig { workers: 2, clock: Clock::jump(), ..RtConfig::default() };
        let rt = Rt::start(unit, plant, driver).unwrap();
        Self { rt, notes: Mutex::new(Notes::new(VOLUMES, TRACKS)) }
    }

    fn notes<R>(&self, body: impl FnOnce(&mut Notes) -> R) -> R {
        body(&mut self.notes.lock().unwrap())
    }

    /// Carries out an operation. `None` if hosts are kept off the volume.
    fn execute(&self, op: HostOp) -> Option<HostReply> {
        match self.rt.execute(op) {
            HostReply::Failed(HostError::Access { .. }) => None,
            HostReply::Failed(error) => panic!("invariant I6: a request failed: {error}"),
            reply => Some(reply),
        }
    }

    fn write(&self, volume: usize, track: u64, count: u64) {
        let tracks = track as usize..(track + count) as usize;
        let began = self.notes(|notes| {
            let began = notes.tick();
            for track in tracks.clone() {
                notes.begins(volume, track, began, Gives::Value(value_of_write(began, track)));
            }
            began
        });
        let block = |track| value_of_write(began, track).to_le_bytes().repeat(BLOCK_BYTES / 8);
        let data: Vec<u8> = tracks.flat_map(block).collect();
        let write = HostOp::Write { ldev: ldev(volume), block: BlockNo(track), data: data.into() };
        let done = self.execute(write).is_some();
        self.notes(|notes| notes.ends(volume, began, done));
    }

    fn read(&self, volume: usize) {
        let began = self.notes(Notes::tick);
        let blocks = BlockRange::new(BlockNo(0), TRACKS);
        let reply = self.execute(HostOp::Read { ldev: ldev(volume), blocks });
        let Some(HostReply::Data(data)) = reply else { return };
        self.notes(|notes| {
            let at = Span { began, ended: notes.tick() };
            for (track, block) in data.chunks(BLOCK_BYTES).enumerate() {
                let value = value_of(block);
                let possible = notes.possible(volume, track, value, at);
                assert!(
                    possible,
                    "invariant I1: track {track} of volume {volume} is read as {value}"
                );
            }
        });
    }

    /// Gives a command for a pair, and notes what it gives to whom.
    fn command(&self, pair: usize, command: Command) {
        let (primary, secondary) = PAIRS[pair];
        let began = self.notes(|notes| {
            let began = notes.tick();
            for (volume, gives) in may_give(&command, primary, secondary) {
                notes.begins_everywhere(volume, began, gives);
            }
            began
        });
        let Some(HostReply::Outcome(outcome)) = self.execute(HostOp::Command(command)) else {
            panic!("invariant I6: a command has an outcome");
        };
        let stopping = outcome == Outcome::Refused(Refusal::Stopping);
        assert!(!stopping, "invariant I6: a command is refused, but nothing stops");
        self.notes(|notes| {
            for volume in [primary, secondary] {
                notes.ends(volume, began, gave(&command, outcome, volume == primary));
            }
        });
    }

    /// A command for a pair: more often than not one that its status allows.
    fn some_command(&self, pair: usize, dice: u64) -> Command {
        let (primary, secondary) = PAIRS[pair];
        let status = self.rt.unit().pair(ldev(primary), ldev(secondary)).map(|pair| pair.status);
        let codes: &[CommandCode] = match status {
            _ if dice.is_multiple_of(4) => &CommandCode::ALL,
            None => &[Create],
            Some(PairStatus::PairedNotCopied) => &[Copy, Copy, Copy, Suspend, Delete],
            Some(PairStatus::CopyInProgress) => &[Suspend, Delete],
            Some(PairStatus::Copied) => &[Resync, Restore, Restore, QuickRestore, QuickRestore],
            Some(PairStatus::Restoring) => &[Delete],
            Some(PairStatus::Suspended) => &[Resync, Delete],
        };
        let code = codes[(dice >> 8) as usize % codes.len()];
        let coin = |no: u32| dice >> (16 + no) & 1 == 0;
        let options = PairOptions {
            pace: Pace::SLOW,
            lanes: if coin(0) { 1 } else { 2 },
            quick: coin(1),
            ..PairOptions::default()
        };
        let command = Command::new(code, ldev(primary), ldev(secondary)).with_options(options);
        match code {
            Create if coin(2) => command.and_copy(),
            QuickRestore if coin(2) => command.frozen(),
            Delete if coin(2) => command.forced(),
            _ => command,
        }
    }

    /// One host's life.
    fn host(&self, no: usize) {
        for _ in 0..OPERATIONS {
            let dice = random_u64();
            let volume = (dice >> 8) as usize % VOLUMES;
            let track = (dice >> 16) % TRACKS;
            match dice % 8 {
                0..3 => self.write(volume, track, 1 + (dice >> 24) % (TRACKS - track)),
                3..5 => self.read(volume),
                roll if no < PAIRS.len() => {
                    self.command(no, self.some_command(no, dice >> 32));
                    if roll == 7 {
                        self.write(PAIRS[no].0, track, 1);
                    }
                }
                _ => {
                    self.execute(HostOp::Flush { ldev: ldev(volume) });
                }
            }
        }
    }

    /// What the drive under a volume holds, its check codes looked at.
    fn on_drive(&self, volume: usize) -> Vec<u64> {
        let volume = self.rt.unit().volume(ldev(volume)).unwrap();
        let home = self.rt.unit().home(volume.backing).unwrap();
        let pool = TrackPool::new(1, BLOCK_BYTES);
        let track = |track: u64| {
            if !volume.allocated.get(TrackNo(track)) {
                return 0;
            }
            assert!(pool.reserve(1), "the last buffer is back");
            let place = home.place(TrackNo(track));
            let read = dka::Op::Read {
                drive: place.drive,
                sector: place.data,
                data: Some((pool.take_reserved(), 0..BLOCK_BYTES)),
                checks: Some(CheckArea::zeroed(1)),
            };
            let done = self.rt.plant().drives().perform(read);
            let (data, checks) = (done.data.unwrap(), done.checks.unwrap());
            let first_block = BlockNo(track);
            let place = TrackPlace { backing: volume.backing, first_block, block_count: 1 };
            let verdict = verify(data.bytes(), &checks, place, BlockMask::first(1));
            assert!(verdict.is_ok(), "invariant I4: track {track} of {} is wrong", volume.ldev);
            value_of(data.bytes())
        };
        (0..TRACKS).map(track).collect()
    }

    /// Lets everything end, and looks at the invariants.
    fn check(&self) {
        self.rt.wait_idle();
        for no in 0..VOLUMES {
            self.execute(HostOp::Flush { ldev: ldev(no) });
        }
        self.rt.wait_idle();
        self.rt.stop();
        let contents: Vec<_> = (0..VOLUMES).map(|no| self.on_drive(no)).collect();
        let end = self.notes(|notes| {
            let now = notes.tick();
            Span { began: now, ended: now }
        });
        for (volume, contents) in contents.iter().enumerate() {
            let pair_above = PAIRS.into_iter().find(|(_, secondary)| *secondary == volume);
            let pair_above = pair_above.and_then(|pair| self.pair(pair));
            if pair_above.is_some_and(|pair| pair.status != PairStatus::Copied) {
                continue; // hosts are kept off; the bits of the pair say what it holds
            }
            for (track, &value) in contents.iter().enumerate() {
                let possible = self.notes(|notes| notes.possible(volume, track, value, end));
                assert!(
                    possible,
                    "invariant I1 or I5: track {track} of volume {volume} is {value}"
                );
            }
        }
        for pair in PAIRS {
            self.check_pair(pair, &contents[pair.0], &contents[pair.1]);
        }
    }

    fn pair(&self, (primary, secondary): (usize, usize)) -> Option<Pair> {
        self.rt.unit().pair(ldev(primary), ldev(secondary))
    }

    fn check_pair(&self, volumes: (usize, usize), primary: &[u64], secondary: &[u64]) {
        let Some(pair) = self.pair(volumes) else { return };
        let ended = !matches!(pair.status, PairStatus::CopyInProgress | PairStatus::Restoring);
        assert!(ended, "invariant I6: every copy ends");
        let follows = pair.status == PairStatus::PairedNotCopied;
        assert!(!follows || pair.c.is_empty(), "invariant I6: a secondary catches up");
        for track in 0..TRACKS as usize {
            let bit = |map: &TrackMap| map.get(TrackNo(track as u64));
            let marked = bit(&pair.c) || bit(&pair.dp) || bit(&pair.ds);
            assert!(
                marked || primary[track] == secondary[track],
                "invariant I2: track {track} of pair {} differs and no bit says so",
                pair.id
            );
        }
    }
}

/// What a command may give to which of the volumes, before its outcome is known.
fn may_give(command: &Command, primary: usize, secondary: usize) -> Vec<(usize, Gives)> {
    let image = (secondary, Gives::ContentOf(primary));
    let restored = (primary, Gives::ContentOf(secondary));
    match command.code {
        Copy => vec![image],
        Create if command.and_copy => vec![image],
        Restore => vec![restored],
        QuickRestore if command.freeze => vec![restored, image],
        QuickRestore => vec![restored],
        Delete => [primary, secondary].map(|volume| (volume, Gives::Anything)).to_vec(),
        Create | Resync | Suspend => vec![],
    }
}

/// Whether the command did to the volume what it [may have](may_give). A pair that is deleted before
/// its copy has ended leaves the volume that was copied to with anything.
fn gave(command: &Command, outcome: Outcome, to_primary: bool) -> bool {
    let Outcome::Accepted { from, .. } = outcome else { return false };
    match (command.code, from) {
        (Delete, Some(PairStatus::Copied)) => false,
        (Delete, Some(PairStatus::Restoring)) => to_primary,
        (Delete, _) => !to_primary,
        _ => true,
    }
}

/// What the write that began then writes to a track.
fn value_of_write(began: u64, track: usize) -> u64 {
    began * TRACKS + track as u64
}

/// The value that a block is filled with.
fn value_of(block: &[u8]) -> u64 {
    let whole = block.chunks(8).all(|part| part == &block[..8]);
    assert!(whole, "invariant: a block is one write's whole");
    u64::from_le_bytes(block[..8].try_into().expect("eight bytes"))
}

#[test]
fn the_whole_unit() {
    Model {
        name: "the_whole_unit",
        protocol: "four hosts read, write, flush and give commands for three pairs",
        bounds: &[Bound::Random(50_000)],
        deep: &[Bound::Random(500_000)],
        floor: 50_000,
        mutants: &[
            Mutant { name: "protect-before-write", dies_by: "invariant I1" },
            // Each schedule is another: the first invariant that it breaks may be I1 or I2.
            Mutant { name: "mark-secondary-changes", dies_by: "invariant I" },
            Mutant { name: "recheck-under-claim", dies_by: "invariant" },
            Mutant { name: "bring-before-use", dies_by: "invariant I" },
            Mutant { name: "restore-end-takes-dp", dies_by: "invariant I" },
        ],
    }
    .check(|| {
        let world = Arc::new(World::new());
        let host = |no| {
            let world = world.clone();
            thread::spawn(move || world.host(no))
        };
        let hosts: Vec<_> = (0..=PAIRS.len()).map(host).collect();
        for host in hosts {
            host.join().unwrap();
        }
        world.check();
    });
}
