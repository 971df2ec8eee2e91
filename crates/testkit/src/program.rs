//! Programs: random lists of what hosts, operators and the crank do to a small unit.

use crate::{Setup, ldev};
use diptych_cha::{Command, CommandCode, GroupCommand};
use diptych_format::{BlockNo, BlockRange, LdevId};
use diptych_shared::{Pace, PairOptions};
use proptest::prelude::*;
use proptest::sample::select;
use std::fmt;

/// Volumes of a program's unit.
const VOLUMES: u8 = 4;
const TRACKS: u64 = 6;
/// Blocks of a track, where it is not one.
const BLOCKS_PER_TRACK: u64 = 4;
/// The longest host request of a program, in tracks.
const REQUEST_TRACKS_MAX: u64 = 3;

/// Which volumes a command names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The pair of that number, modulo how many there are; the first two volumes if there is none.
    Pair(usize),
    /// These volumes, pair or not.
    Volumes(u8, u8),
}

impl Target {
    /// The volumes named, where these are the pairs.
    pub fn volumes(self, pairs: &[(LdevId, LdevId)]) -> (LdevId, LdevId) {
        match self {
            Self::Volumes(primary, secondary) => (ldev(primary), ldev(secondary)),
            Self::Pair(_) if pairs.is_empty() => (ldev(0), ldev(1)),
            Self::Pair(no) => pairs[no % pairs.len()],
        }
    }
}

/// One thing that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A host writes blocks; the tag is the action's number in the program.
    Write(u8, BlockRange),
    /// A host reads blocks.
    Read(u8, BlockRange),
    /// A host writes blocks if they hold what they seem to hold, or seem to but for one byte.
    CompareAndWrite(u8, BlockRange, Guess),
    /// A host sets bits in blocks.
    OrWrite(u8, BlockRange),
    /// A host gives blocks up.
    Unmap(u8, BlockRange),
    /// A host flushes a volume.
    Flush(u8),
    /// A pair command.
    Command {
        /// What to do.
        code: CommandCode,
        /// To which volumes.
        target: Target,
        /// Its options.
        options: PairOptions,
        /// What it has beyond them.
        extras: Extras,
    },
    /// A create command of this primary, the unit choosing the secondary.
    CreateAuto(u8, PairOptions),
    /// A command for a consistency group.
    Group(Group),
    /// A volume is formatted.
    Format(u8),
    /// The operator accepts what a volume holds.
    Accept(u8),
    /// The operator sets the reserve attribute.
    Reserve(u8, bool),
    /// The operator changes pace and lanes.
    ChangePace(Target, PairOptions),
    /// One of the operations in flight is dropped where it stands.
    Cancel,
    /// So many moves of whatever is under way.
    Background(u8),
    /// Everything runs to quiet.
    Settle,
    /// Nothing is under way nor dirty, and somebody looks at the drives.
    Look,
}

/// What a compare and write expects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guess {
    /// What the blocks seem to hold.
    Right,
    /// The same, but for this byte, modulo how many there are.
    WrongAt(usize),
}

/// What a command has beyond its options; see [`Command`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extras {
    /// Create: whether it starts to copy.
    pub initial_copy: bool,
    /// Create: a copy command with it.
    pub and_copy: bool,
    /// Quick restore: the pair stays split.
    pub freeze: bool,
    /// Delete: also while restoring.
    pub force: bool,
}

/// A command for a consistency group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// What to do.
    pub code: CommandCode,
    /// To which pairs: so many of the first of these.
    pub targets: [Target; 3],
    /// How many.
    pub count: usize,
    /// With which options.
    pub options: PairOptions,
    /// Quick restore: the pairs stay split.
    pub freeze: bool,
}

impl Group {
    /// The command, where these are the pairs.
    pub fn command(&self, pairs: &[(LdevId, LdevId)]) -> GroupCommand {
        let Self { code, targets, count, options, freeze } = *self;
        let pairs = targets.iter().take(count).map(|target| target.volumes(pairs)).collect();
        GroupCommand { options, freeze, ..GroupCommand::new(code, pairs) }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, targets, count, options, freeze } = self;
        write!(f, "group {code}")?;
        targets.iter().take(*count).try_for_each(|target| write!(f, ", {target}"))?;
        f.write_str(if options.quick { ", quick" } else { "" })?;
        f.write_str(if *freeze { ", freeze" } else { "" })
    }
}

impl Action {
    /// The command, if it is one.
    pub fn command(&self, pairs: &[(LdevId, LdevId)]) -> Option<Command> {
        let Self::Command { code, target, options, extras } = *self else { return None };
        let (primary, secondary) = target.volumes(pairs);
        Some(Command {
            initial_copy: extras.initial_copy,
            and_copy: extras.and_copy,
            freeze: extras.freeze,
            force: extras.force,
            ..Command::new(code, primary, secondary).with_options(options)
        })
    }
}

/// A program: a unit, what happens to it, and how jobs interleave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The unit.
    pub setup: Setup,
    /// What happens, in order.
    pub actions: Vec<Action>,
    /// All choices between jobs depend on this.
    pub choices_seed: u64,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Write(volume, blocks) => write!(f, "write {volume} blocks {blocks}"),
            Self::Read(volume, blocks) => write!(f, "read {volume} blocks {blocks}"),
            Self::CompareAndWrite(volume, blocks, guess) => {
                write!(f, "compare and write {volume} blocks {blocks}, {guess:?}")
            }
            Self::OrWrite(volume, blocks) => write!(f, "or {volume} blocks {blocks}"),
            Self::Unmap(volume, blocks) => write!(f, "unmap {volume} blocks {blocks}"),
            Self::Flush(volume) => write!(f, "flush {volume}"),
            Self::Command { code, target, options, extras } => {
                let PairOptions { pace, lanes, quick, limit } = options;
                write!(f, "{code} {target}, {pace}, {lanes} lanes")?;
                limit.map_or(Ok(()), |limit| write!(f, ", limit {limit}"))?;
                f.write_str(if quick { ", quick" } else { "" })?;
                f.write_str(if extras.initial_copy { "" } else { ", copier off" })?;
                f.write_str(if extras.and_copy { ", and copy" } else { "" })?;
                f.write_str(if extras.freeze { ", freeze" } else { "" })?;
                f.write_str(if extras.force { ", force" } else { "" })
            }
            Self::CreateAuto(volume, PairOptions { pace, lanes, .. }) => {
                write!(f, "create {volume} -> any, {pace}, {lanes} lanes")
            }
            Self::Group(group) => group.fmt(f),
            Self::Format(volume) => write!(f, "format {volume}"),
            Self::Accept(volume) => write!(f, "accept {volume}"),
            Self::Reserve(volume, reserved) => write!(f, "reserve {volume} {reserved}"),
            Self::ChangePace(target, PairOptions { pace, lanes, limit, .. }) => {
                write!(f, "pace of {target} {pace}, {lanes} lanes")?;
                limit.map_or(Ok(()), |limit| write!(f, ", limit {limit}"))
            }
            Self::Cancel => f.write_str("cancel"),
            Self::Background(moves) => write!(f, "{moves} moves"),
            Self::Settle => f.write_str("settle"),
            Self::Look => f.write_str("look at the drives"),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pair(no) => write!(f, "pair number {no}"),
            Self::Volumes(primary, secondary) => write!(f, "{primary} -> {secondary}"),
        }
    }
}

/// One line for the unit, and one for each action.
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Setup { volumes, geometry, needs_reserve, chunk_blocks, cache_slots } = &self.setup;
        writeln!(
            f,
            "{volumes} volumes of {} tracks of {} blocks, chunks of {chunk_blocks}, {cache_slots} \
             slots, needs reserve: {needs_reserve}, choices {}",
            geometry.track_count(),
            geometry.blocks_per_track(),
            self.choices_seed
        )?;
        (1..).zip(&self.actions).try_for_each(|(no, action)| writeln!(f, "{no:>4} {action}"))
    }
}

/// Random programs of up to `length_max` actions.
pub fn programs(length_max: usize) -> impl Strategy<Value = Program> {
    let setup = (select(vec![1, BLOCKS_PER_TRACK]), any::<bool>());
    let actions = prop::collection::vec(action(), 1..=length_max);
    // Another interleaving is another program: no use in making the seed small.
    let choices_seed = any::<u64>().no_shrink();
    (setup, actions, choices_seed).prop_map(|(setup, mut actions, choices_seed)| {
        let (blocks_per_track, needs_reserve) = setup;
        if blocks_per_track == 1 {
            actions.iter_mut().for_each(Action::narrow);
        }
        let chunk_blocks = if blocks_per_track == 1 { 3 } else { 6 };
        let setup = Setup::new(VOLUMES, blocks_per_track, TRACKS, chunk_blocks);
        Program { setup: Setup { needs_reserve, ..setup }, actions, choices_seed }
    })
}

impl Action {
    /// The same for tracks of one block.
    fn narrow(&mut self) {
        if let Self::Write(_, blocks)
        | Self::Read(_, blocks)
        | Self::CompareAndWrite(_, blocks, _)
        | Self::OrWrite(_, blocks)
        | Self::Unmap(_, blocks) = self
        {
            let start = blocks.start.0 / BLOCKS_PER_TRACK;
            let end = blocks.end.0.div_ceil(BLOCKS_PER_TRACK);
            *blocks = BlockRange { start: BlockNo(start), end: BlockNo(end) };
        }
    }
}

fn action() -> impl Strategy<Value = Action> {
    // The first volume, which can always be written, more often than the others.
    let volume = || prop_oneof![2 => Just(0), 3 => 0..VOLUMES];
    let code = select(vec![
        CommandCode::Copy,
        CommandCode::Copy,
        CommandCode::Resync,
        CommandCode::Suspend,
        CommandCode::Delete,
        CommandCode::Restore,
        CommandCode::Restore,
        CommandCode::QuickRestore,
    ]);
    let on_pair = (code, target(), options(), extras());
    let create = (Just(CommandCode::Create), volumes(), options(), extras());
    let command =
        |(code, target, options, extras)| Action::Command { code, target, options, extras };
    prop_oneof![
        24 => (volume(), request()).prop_map(|(v, b)| Action::Write(v, b)),
        12 => (volume(), request()).prop_map(|(v, b)| Action::Read(v, b)),
        4 => (volume(), request(), guess()).prop_map(|(v, b, g)| Action::CompareAndWrite(v, b, g)),
        3 => (volume(), request()).prop_map(|(v, b)| Action::OrWrite(v, b)),
        4 => (volume(), request()).prop_map(|(v, b)| Action::Unmap(v, b)),
        2 => volume().prop_map(Action::Flush),
        14 => create.prop_map(command),
        16 => on_pair.prop_map(command),
        3 => (volume(), options()).prop_map(|(v, o)| Action::CreateAuto(v, o)),
        6 => group().prop_map(Action::Group),
        2 => volume().prop_map(Action::Format),
        2 => volume().prop_map(Action::Accept),
        2 => (volume(), any::<bool>()).prop_map(|(v, on)| Action::Reserve(v, on)),
        2 => (target(), options()).prop_map(|(t, o)| Action::ChangePace(t, o)),
        2 => Just(Action::Cancel),
        10 => (1_u8..60).prop_map(Action::Background),
        4 => Just(Action::Settle),
        2 => Just(Action::Look),
    ]
}

/// Blocks of a host's request: parts of tracks, whole tracks, several tracks.
fn request() -> impl Strategy<Value = BlockRange> {
    const TOTAL: u64 = BLOCKS_PER_TRACK * TRACKS;
    let range = |start: u64, count: u64| BlockRange::new(BlockNo(start), count.min(TOTAL - start));
    let any = (0..TOTAL, 1..=BLOCKS_PER_TRACK * REQUEST_TRACKS_MAX);
    let whole = (0..TRACKS, 1..=REQUEST_TRACKS_MAX);
    prop_oneof![
        3 => any.prop_map(move |(start, count)| range(start, count)),
        1 => whole.prop_map(move |(track, count)| {
            range(track * BLOCKS_PER_TRACK, count * BLOCKS_PER_TRACK)
        }),
    ]
}

fn guess() -> impl Strategy<Value = Guess> {
    prop_oneof![
        3 => Just(Guess::Right),
        1 => (0..1_usize << 14).prop_map(Guess::WrongAt),
    ]
}

fn volumes() -> impl Strategy<Value = Target> {
    prop_oneof![
        2 => (1..VOLUMES).prop_map(|secondary| Target::Volumes(0, secondary)),
        3 => (0..VOLUMES, 0..VOLUMES).prop_map(|(p, s)| Target::Volumes(p, s)),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    prop_oneof![
        9 => (0_usize..6).prop_map(Target::Pair),
        1 => volumes(),
    ]
}

fn group() -> impl Strategy<Value = Group> {
    let code = select(vec![
        CommandCode::Copy,
        CommandCode::Copy,
        CommandCode::Resync,
        CommandCode::Suspend,
        CommandCode::Restore,
        CommandCode::QuickRestore,
        CommandCode::Delete,
    ]);
    let targets = [target(), target(), target()];
    let count = prop_oneof![1 => Just(0), 6 => Just(1), 12 => Just(2), 6 => Just(3)];
    (code, targets, count, options(), any::<bool>()).prop_map(
        |(code, targets, count, options, freeze)| Group { code, targets, count, options, freeze },
    )
}

fn extras() -> impl Strategy<Value = Extras> {
    let often = prop::bool::weighted(0.8);
    let seldom = || prop::bool::weighted(0.3);
    (often, seldom(), any::<bool>(), any::<bool>()).prop_map(
        |(initial_copy, and_copy, freeze, force)| Extras { initial_copy, and_copy, freeze, force },
    )
}

fn options() -> impl Strategy<Value = PairOptions> {
    let pace = select(vec![Pace::SLOW, Pace::MEDIUM, Pace::FAST]);
    let limits = ["1/s", "5000/s", "1ns", "1s"].map(|text| text.parse().ok());
    let limit = prop_oneof![3 => Just(None), 1 => select(limits.to_vec())];
    (pace, 1_u8..=3, any::<bool>(), limit).prop_map(|(pace, lanes, quick, limit)| PairOptions {
        pace,
        lanes,
        quick,
        limit,
    })
}
