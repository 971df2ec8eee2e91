//! What hosts and operators do while a device goes wrong: scenarios, as data.
//!
//! Six volumes on three drives, volume and drive: 0 on 0, 1 on 1, 2 on 2, 3 on 2, 4 on 1, 5 on 0. Two pairs
//! of one primary, one pair of others, and a volume alone: whichever drive goes wrong, some pair has
//! nothing to do with it.

use super::super::pairs::{Asked, Names};
use super::super::world::{What, World, read_all};
use crate::{Tag, ldev};
use diptych_cha::CommandCode::{Copy, Create, Delete, QuickRestore, Restore, Resync, Suspend};
use diptych_cha::{Command, CommandCode, GroupCommand, HostOp};
use diptych_format::{BlockNo, BlockRange};
use diptych_shared::{Pace, PairOptions};

/// The drive of each volume.
pub(super) const DRIVE_OF: [usize; 6] = [0, 1, 2, 2, 1, 0];
/// Drives; the log comes after them.
pub(super) const DRIVES: usize = 3;
/// Blocks of a track, and tracks of a volume.
pub(super) const TRACK_BLOCKS: u64 = 4;
pub(super) const TRACKS: u64 = 6;
pub(super) const ALL: u64 = TRACK_BLOCKS * TRACKS;

const A: Names = (0, 1);
const B: Names = (0, 2);
const C: Names = (3, 4);
const LONE: usize = 5;

/// A request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Ask {
    /// Volume, first block, blocks.
    Write(usize, u64, u64),
    Unmap(usize, u64, u64),
    Read(usize),
    Flush(usize),
    Pair(CommandCode, Names),
    Quick(CommandCode, Names),
    Freeze(Names),
    Forced(CommandCode, Names),
    Group(CommandCode, &'static [Names]),
}

/// A step; the next one begins when all of it is answered.
#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    /// Sent at once.
    Ask(&'static [Ask]),
    /// Milliseconds.
    Rest(u64),
    /// So many times, one after another.
    Again(usize, &'static [Ask]),
    /// The process ends, or the power goes, and the unit comes back.
    Restart,
}

/// What goes on, and on how small a unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scenario {
    pub(super) name: &'static str,
    pub(super) log_sectors: u64,
    pub(super) cache_slots: usize,
    pub(super) steps: &'static [Step],
}

use Ask::{Flush, Forced, Freeze, Group, Pair, Quick, Read, Unmap, Write};
use Step::{Again, Ask as Together, Rest, Restart};

const FILL: Step =
    Together(&[Write(0, 0, ALL), Write(3, 0, ALL), Write(LONE, 0, ALL), Write(1, 4, 5)]);
const CREATE: Step = Together(&[Pair(Create, A), Pair(Create, B), Pair(Create, C)]);
const SPLIT: Step = Together(&[Pair(Copy, A), Pair(Copy, B), Pair(Copy, C)]);
const CHANGE: Step =
    Together(&[Write(0, 3, 2), Write(3, 17, 5), Write(LONE, 8, 4), Unmap(0, 12, 4)]);

const BASE: Scenario = Scenario { name: "", log_sectors: 2_400, cache_slots: 48, steps: &[] };

/// All of them.
pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "copy",
        steps: &[
            FILL,
            CREATE,
            Together(&[Write(0, 5, 1)]),
            Rest(40),
            CHANGE,
            SPLIT,
            Together(&[Write(0, 0, 1), Write(0, 9, 8), Write(3, 2, 7), Write(LONE, 1, 1)]),
            Together(&[Flush(0), Flush(3), Read(0), Read(LONE)]),
            Rest(100),
            Together(&[Write(1, 1, 6), Write(4, 0, 4), Read(1), Read(2)]),
            Rest(60),
        ],
        ..BASE
    },
    Scenario {
        name: "resync",
        steps: &[
            FILL,
            CREATE,
            SPLIT,
            Rest(100),
            Together(&[Write(0, 2, 9), Write(1, 6, 3), Write(4, 20, 4), Write(3, 0, 2)]),
            Together(&[Pair(Resync, A), Write(0, 4, 4), Pair(Resync, C), Write(LONE, 0, 3)]),
            Together(&[Write(0, 7, 1), Write(3, 21, 1)]),
            Rest(50),
            Together(&[Pair(Copy, A), Write(0, 0, ALL), Pair(Copy, C)]),
            Together(&[Flush(0)]),
            Rest(100),
        ],
        ..BASE
    },
    Scenario {
        name: "restore",
        steps: &[
            FILL,
            CREATE,
            SPLIT,
            Rest(100),
            Together(&[Write(0, 2, 9), Write(1, 6, 3), Write(4, 20, 4), Write(3, 0, 9)]),
            Together(&[Pair(Restore, A), Pair(Restore, C)]),
            Together(&[Read(0), Write(0, 3, 1), Write(0, 8, 4), Read(3), Write(3, 21, 2)]),
            Rest(100),
            Together(&[Pair(Copy, A), Pair(Copy, C), Write(0, 1, 1)]),
            Rest(100),
        ],
        ..BASE
    },
    Scenario {
        name: "quick copy",
        steps: &[
            FILL,
            CREATE,
            Together(&[Quick(Copy, A), Pair(Copy, B), Quick(Copy, C)]),
            Together(&[Read(1), Write(1, 6, 1), Write(0, 6, 2), Write(4, 8, 4), Read(4)]),
            Together(&[Write(1, 12, 4), Write(0, 12, 5), Write(3, 9, 1), Flush(1)]),
            Rest(100),
            Together(&[Pair(QuickRestore, C), Freeze(A), Write(LONE, 3, 3)]),
            Together(&[Write(0, 6, 1), Write(3, 2, 2), Read(3)]),
            Rest(100),
        ],
        ..BASE
    },
    Scenario {
        name: "group",
        steps: &[
            FILL,
            CREATE,
            Together(&[Write(0, 3, 2), Group(Copy, &[A, B]), Write(3, 5, 1), Pair(Copy, C)]),
            CHANGE,
            Rest(100),
            Together(&[Group(Resync, &[A, B]), Group(Resync, &[C]), Write(0, 10, 1)]),
            Rest(20),
            Together(&[Group(Copy, &[A, B, C]), Write(0, 20, 2), Write(3, 20, 2)]),
            Rest(100),
        ],
        ..BASE
    },
    Scenario {
        name: "small log",
        log_sectors: 900,
        steps: &[
            FILL,
            CREATE,
            Again(6, &[Write(0, 0, ALL), Write(LONE, 4, 12), Write(3, 3, 2)]),
            SPLIT,
            Again(6, &[Write(0, 0, 9), Write(LONE, 0, ALL), Write(3, 0, 11)]),
            Rest(60),
            Again(6, &[Write(1, 0, 9), Write(LONE, 0, ALL), Write(4, 0, 11)]),
            Rest(60),
        ],
        ..BASE
    },
    Scenario {
        name: "small cache",
        cache_slots: 22,
        steps: &[
            FILL,
            CREATE,
            SPLIT,
            Together(&[Write(0, 0, ALL), Write(3, 0, ALL), Read(LONE)]),
            Together(&[Read(0), Read(3), Write(LONE, 2, 20)]),
            Rest(100),
            Together(&[Read(1), Read(2), Read(4), Write(0, 1, 1), Write(3, 1, 1)]),
            Together(&[Pair(Resync, A), Pair(Resync, C), Write(0, 9, 1)]),
            Rest(60),
        ],
        ..BASE
    },
    Scenario {
        name: "delete and suspend while copying",
        steps: &[
            FILL,
            CREATE,
            Together(&[Pair(Suspend, A), Write(0, 2, 3), Pair(Copy, C)]),
            Together(&[Pair(Delete, B), Pair(Suspend, C), Write(3, 0, 1)]),
            Together(&[Write(2, 0, 5), Pair(Resync, A), Pair(Resync, C), Write(0, 15, 3)]),
            Together(&[Pair(Copy, A), Pair(Copy, C)]),
            Together(&[Write(0, 0, 2), Forced(Delete, A), Write(1, 0, 3)]),
            Rest(60),
            Together(&[Pair(Create, A), Pair(Restore, C)]),
            Together(&[Forced(Delete, C), Write(0, 7, 2)]),
            Rest(100),
        ],
        ..BASE
    },
    Scenario {
        name: "restart",
        steps: &[
            FILL,
            CREATE,
            SPLIT,
            Together(&[Write(0, 3, 6), Write(3, 3, 6), Write(LONE, 0, 2)]),
            Restart,
            Together(&[Write(0, 1, 1), Write(3, 9, 9), Read(LONE)]),
            Rest(100),
            Together(&[Write(0, 0, 3), Write(4, 1, 9), Write(LONE, 9, 9)]),
            Together(&[Pair(Restore, A), Pair(Resync, C)]),
            Together(&[Write(0, 5, 1)]),
            Restart,
            Together(&[Write(0, 14, 1), Read(0), Write(3, 1, 1), Flush(LONE)]),
            Rest(100),
        ],
        ..BASE
    },
];

impl Scenario {
    /// Whether hosts wait for room in the cache.
    pub(super) fn has_small_cache(&self) -> bool {
        self.cache_slots < BASE.cache_slots
    }
}

impl Ask {
    /// What it is for hosts and operators, and for the unit.
    pub(super) fn request(self, world: &mut World) -> (What, HostOp) {
        let blocks = |start, count| BlockRange::new(BlockNo(start), count);
        match self {
            Write(volume, start, count) => {
                let (blocks, tag) = (blocks(start, count), world.next_tag());
                let op = HostOp::Write {
                    ldev: ldev(volume as u8),
                    block: blocks.start,
                    data: tag.data(blocks),
                };
                (What::Write { volume, blocks, tag, format: false }, op)
            }
            Unmap(volume, start, count) => {
                let blocks = blocks(start, count);
                let what = What::Write { volume, blocks, tag: Tag::ZERO, format: false };
                (what, HostOp::Unmap { ldev: ldev(volume as u8), blocks })
            }
            Read(volume) => read_all(volume, blocks(0, ALL)),
            Flush(volume) => (What::Flush { volume }, HostOp::Flush { ldev: ldev(volume as u8) }),
            Pair(code, names) => command(Asked { code, names, freeze: false, quick: false }, false),
            Quick(code, names) => command(Asked { code, names, freeze: false, quick: true }, false),
            Freeze(names) => {
                let asked = Asked { code: QuickRestore, names, freeze: true, quick: false };
                command(asked, false)
            }
            Forced(code, names) => {
                command(Asked { code, names, freeze: false, quick: false }, true)
            }
            Group(code, pairs) => {
                let asked =
                    |names: &Names| Asked { code, names: *names, freeze: false, quick: false };
                let all: Vec<Asked> = pairs.iter().map(asked).collect();
                let pairs = all.iter().map(Asked::ldevs).collect();
                let options = options(false);
                let group = GroupCommand { options, ..GroupCommand::new(code, pairs) };
                (What::Group(all), HostOp::Group(group))
            }
        }
    }
}

/// Slow, so that something goes on while there is copying.
fn options(quick: bool) -> PairOptions {
    PairOptions { pace: Pace::SLOW, quick, ..PairOptions::default() }
}

fn command(asked: Asked, force: bool) -> (What, HostOp) {
    let (primary, secondary) = asked.ldevs();
    let options = options(asked.quick);
    let mut command = Command::new(asked.code, primary, secondary).with_options(options);
    (command.freeze, command.force) = (asked.freeze, force);
    (What::Command(asked), HostOp::Command(command))
}
