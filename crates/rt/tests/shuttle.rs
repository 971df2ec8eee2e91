//! The whole unit under random schedules: hosts, commands, lanes, destages, a cache that is too small.
//!
//! Two primaries, three pairs, one of them a second level. Each of three hosts gives commands for its
//! own pair; all of them, and one more, read and write whatever they may. Every write has a value of
//! its own and notes when it began and ended, so each read, and each image, can be held against the
//! values that were possible then.
#![cfg(diptych_shuttle)]

use diptych_cache::CacheConfig;
use diptych_cha::{Command, CommandCode, HostError, HostOp, HostReply, Outcome, Refusal};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::{self as dka, Drives};
use diptych_drr::{TrackPlace, verify};
use diptych_format::{
    BLOCK_BYTES, BlockMask, BlockNo, BlockRange, CheckArea, Geometry, LdevId, TrackNo, TrackPool,
};
use diptych_rt::{Clock, Rt, RtConfig};
use diptych_shared::{Pace, PairOptions, PairStatus, TrackMap};
use diptych_sync::model::{Bound, Model, Mutant, random_u64};
use diptych_sync::thread;
use diptych_unit::{Plant, Unit, UnitConfig};
// The notes of the test are no part of what is checked: no scheduling points are spent on them.
use std::sync::{Arc, Mutex};

const TRACKS: u64 = 3;
const VOLUMES: usize = 5;
const OPERATIONS: usize = 14;
/// The pairs, by the numbers of their volumes. The second is below the first.
const PAIRS: [(usize, usize); 3] = [(0, 1), (1, 2), (3, 4)];
/// Volumes that nobody but hosts changes.
const FIRST_LEVEL: [usize; 2] = [0, 3];

fn ldev(no: usize) -> LdevId {
    LdevId::new(0, no as u8)
}

/// When something began and ended, in steps of the notes.
#[derive(Clone, Copy)]
struct Span {
    began: u64,
    ended: u64,
}

/// A write of one track that may have happened.
struct Written {
    value: u64,
    span: Span,
}

#[derive(Default)]
struct Notes {
    clock: u64,
    /// By volume and track.
    writes: Vec<Vec<Vec<Written>>>,
    /// The accepted copy command of each pair that still holds.
    images: [Option<Span>; PAIRS.len()],
}

impl Notes {
    fn new() -> Self {
        let first = || vec![Written { value: 0, span: Span { began: 0, ended: 0 } }];
        let volume = || (0..TRACKS).map(|_| first()).collect();
        Self { writes: (0..VOLUMES).map(|_| volume()).collect(), ..Self::default() }
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Whether a track could hold `value` at some instant of `at`: the write had begun, and no other
    /// came wholly between it and `at`.
    fn possible(&self, volume: usize, track: usize, value: u64, at: Span) -> bool {
        let writes = &self.writes[volume][track];
        let Some(write) = writes.iter().find(|write| write.value == value) else { return false };
        let hidden =
            |other: &Written| write.span.ended < other.span.began && other.span.ended < at.began;
        write.span.began <= at.ended && !writes.iter().any(hidden)
    }
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
        Self { rt, notes: Mutex::new(Notes::new()) }
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
        // Noted before it begins: others may see the value at once.
        let (first, began) = self.notes(|notes| {
            let began = notes.tick();
            for track in tracks.clone() {
                let span = Span { began, ended: u64::MAX };
                let value = began * TRACKS + track as u64;
                notes.writes[volume][track].push(Written { value, span });
            }
            (began * TRACKS, began)
        });
        let block = |track: usize| (first + track as u64).to_le_bytes().repeat(BLOCK_BYTES / 8);
        let data: Vec<u8> = tracks.clone().flat_map(block).collect();
        let write = HostOp::Write { ldev: ldev(volume), block: BlockNo(track), data: data.into() };
        let done = self.execute(write).is_some();
        self.notes(|notes| {
            let ended = notes.tick();
            for track in tracks {
                let writes = &mut notes.writes[volume][track];
                let at = writes.iter().position(|w| w.span.began == began).expect("noted above");
                if done {
                    writes[at].span.ended = ended;
                } else {
                    writes.remove(at);
                }
            }
        });
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
                // A secondary holds its primary's values too.
                let possible =
                    !FIRST_LEVEL.contains(&volume) || notes.possible(volume, track, value, at);
                assert!(possible, "invariant: track {track} of volume {volume} read as {value}");
            }
        });
    }

    fn command(&self, pair: usize, code: CommandCode) {
        let (primary, secondary) = PAIRS[pair];
        let lanes = 1 + (random_u64() % 2) as u8;
        let options = PairOptions {
            pace: Pace::SLOW,
            lanes,
            quick: random_u64() & 1 == 0,
            ..PairOptions::default()
        };
        let command = Command::new(code, ldev(primary), ldev(secondary)).with_options(options);
        let began = self.notes(Notes::tick);
        let Some(HostReply::Outcome(outcome)) = self.execute(HostOp::Command(command)) else {
            panic!("invariant I6: a command has an outcome");
        };
        let stopping = outcome == Outcome::Refused(Refusal::Stopping);
        assert!(!stopping, "invariant I6: a command is refused, but nothing stops");
        self.notes(|notes| {
            let at = Span { began, ended: notes.tick() };
            match (outcome, code) {
                (Outcome::Accepted { .. }, CommandCode::Copy) => notes.images[pair] = Some(at),
                (Outcome::Accepted { .. }, _) => notes.images[pair] = None,
                (Outcome::Chosen { .. } | Outcome::Nothing { .. } | Outcome::Refused(_), _) => {}
            }
        });
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
                // Towards a copy more often than away from it.
                roll if no < PAIRS.len() => {
                    use CommandCode::{Copy, Create, Delete, Resync, Suspend};
                    let codes = [Create, Copy, Create, Copy, Resync, Copy, Suspend, Delete];
                    self.command(no, codes[(dice >> 32) as usize % codes.len()]);
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
        for volume in FIRST_LEVEL {
            for (track, &value) in contents[volume].iter().enumerate() {
                let possible = self.notes(|notes| notes.possible(volume, track, value, end));
                assert!(possible, "invariant I5: track {track} of volume {volume} is lost");
            }
        }
        for (no, &(primary, secondary)) in PAIRS.iter().enumerate() {
            self.check_pair(no, &contents[primary], &contents[secondary]);
        }
    }

    fn check_pair(&self, no: usize, primary: &[u64], secondary: &[u64]) {
        let volumes = PAIRS[no];
        let Some(pair) = self.rt.unit().pair(ldev(volumes.0), ldev(volumes.1)) else { return };
        assert_ne!(pair.status, PairStatus::CopyInProgress, "invariant I6: every copy ends");
        let follows = pair.status == PairStatus::PairedNotCopied;
        assert!(!follows || pair.c.is_empty(), "invariant I6: a secondary catches up");
        let image = self.notes(|notes| notes.images[no]);
        for track in 0..TRACKS as usize {
            let bit = |map: &TrackMap| map.get(TrackNo(track as u64));
            let marked = bit(&pair.c) || bit(&pair.dp) || bit(&pair.ds);
            assert!(
                marked || primary[track] == secondary[track],
                "invariant I2: track {track} of pair {} differs and no bit says so",
                pair.id
            );
            let Some(image) = image.filter(|_| FIRST_LEVEL.contains(&volumes.0)) else { continue };
            assert_eq!(pair.status, PairStatus::Copied, "the last command was a copy");
            let value = secondary[track];
            let possible = self.notes(|notes| notes.possible(volumes.0, track, value, image));
            assert!(
                bit(&pair.ds) || possible,
                "invariant I1: track {track} of pair {} is {value} in the image",
                pair.id
            );
        }
    }
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
        bounds: &[Bound::Random(60_000)],
        deep: &[Bound::Random(500_000)],
        floor: 60_000,
        mutants: &[
            Mutant { name: "protect-before-write", dies_by: "invariant I1" },
            // Each schedule is another: the first invariant that it breaks may be I1 or I2.
            Mutant { name: "mark-secondary-changes", dies_by: "invariant I" },
            Mutant { name: "recheck-under-claim", dies_by: "invariant" },
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
