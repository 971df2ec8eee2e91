//! A state of the searched rules: two pairs, their maps, caches, drives, the log, and what hosts expect.
//!
//! What is durable needs no list of records. A crash keeps a prefix of the log, so the end of the prefix
//! is chosen ahead: from the *cut* on nothing that is recorded will survive, and what is to wait for a
//! record of its own waits in vain, until the crash. What memory was at the cut is what replay makes.
//!
//! Invariants:
//! - What cannot be seen any more is the same in all states: values are numbered in the order in which
//!   they are met, and what will be overwritten unread is [`TORN`].

/// Tracks of a volume, at most.
pub(super) const TRACKS: usize = 2;
/// Volumes, at most.
pub(super) const VOLUMES: usize = 3;
/// Pairs, at most.
pub(super) const PAIRS: usize = 2;

/// The content of a track: the write that made it.
pub(super) type Value = u8;
/// Nobody knows what it is, or it cannot be read. Equal to nothing, itself neither.
pub(super) const TORN: Value = 14;
/// There is nothing: no slot, no record, nothing that a host may expect.
pub(super) const NONE: Value = 15;

/// A bit for each track.
pub(super) type Map = u8;

pub(super) const fn bit(track: usize) -> Map {
    1 << track
}

/// The content of two tracks is the same.
pub(super) const fn same(one: Value, other: Value) -> bool {
    one == other && one != TORN
}

/// Fig. 8; 803 is two, with quick access to the secondary or without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Status {
    #[default]
    NoPair,
    /// 802
    Follows,
    /// 803
    Copying,
    /// 803, the secondary open to hosts
    Quick,
    /// 804
    Split,
    Restoring,
    Suspended,
}

impl Status {
    const ALL: [Self; 7] = [
        Self::NoPair,
        Self::Follows,
        Self::Copying,
        Self::Quick,
        Self::Split,
        Self::Restoring,
        Self::Suspended,
    ];

    pub(super) const fn in_progress(self) -> bool {
        matches!(self, Self::Copying | Self::Quick)
    }

    pub(super) const fn is_copying(self) -> bool {
        matches!(self, Self::Follows | Self::Copying | Self::Quick | Self::Restoring)
    }

    pub(super) const fn holds_image(self) -> bool {
        matches!(self, Self::Copying | Self::Quick | Self::Split)
    }
}

/// The pair information that is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct PairState {
    pub(super) status: Status,
    pub(super) c: Map,
    pub(super) dp: Map,
    pub(super) ds: Map,
}

/// Who holds the claim of a track, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Job {
    #[default]
    None,
    /// A host writes to a volume.
    Write { volume: usize, stage: Stage },
    /// A host reads a track that has first to be brought.
    Read { volume: usize },
    /// A lane has read a track.
    Lane(Lane),
}

/// A lane that has read a track and will write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) pair: usize,
    /// It copies to the primary.
    pub(super) restores: bool,
    pub(super) value: Value,
    /// What it has to wait for is recorded after the cut.
    pub(super) late: bool,
    /// The pairs of the target know of it.
    pub(super) marked: bool,
}

/// How far a host's write is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Old tracks are to be copied, if any; then it is recorded. Part of a track, or all of it.
    Part,
    Whole,
    /// It is recorded, before or after the cut.
    Recorded {
        late: bool,
    },
    /// Broken: it is answered, and still to be recorded.
    Answered,
    /// Broken: it is answered, the maps are still to be marked.
    Unmarked,
    /// Broken: it is answered, the old track, this one, is still to be copied.
    Uncopied(Value),
    /// Broken: the old track, this one, was copied and is still to come into its slot.
    Unseen(Value),
}

/// How much may still happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Left {
    pub(super) writes: u8,
    pub(super) commands: u8,
    pub(super) crashes: u8,
    pub(super) errors: u8,
}

/// Something for each track of each volume.
pub(super) type Tracks<T> = [[T; TRACKS]; VOLUMES];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct State {
    pub(super) pairs: [PairState; PAIRS],
    /// Tracks in C that a lane has written.
    pub(super) settling: [Map; PAIRS],
    /// Those of them that a flush has covered since.
    pub(super) flushed: [Map; PAIRS],
    /// A bit for each volume.
    pub(super) undefined: u8,
    /// Nothing that is recorded from now on survives.
    pub(super) cut: bool,
    /// What stood in memory at the cut.
    pub(super) kept: [PairState; PAIRS],
    pub(super) kept_undefined: u8,
    /// A command was answered whose record is after the cut.
    pub(super) answered_late: bool,
    /// Dirty slots.
    pub(super) slot: Tracks<Value>,
    /// The slot's record is after the cut.
    pub(super) late: [Map; VOLUMES],
    /// What the drive reads now, and what else it may hold after a crash: a bit for each value.
    pub(super) drive: Tracks<Value>,
    pub(super) maybe: Tracks<u16>,
    /// The slot was written since the destage in flight began.
    pub(super) newer: [Map; VOLUMES],
    /// Destages in flight.
    pub(super) destage: Tracks<Value>,
    /// The last record of data that replay finds. After the cut it stands still.
    pub(super) log: Tracks<Value>,
    /// What a host expects to read, or would, if it were let. After the cut it stands still.
    pub(super) expected: Tracks<Value>,
    pub(super) jobs: [Job; TRACKS],
    pub(super) left: Left,
}

/// A state as it is kept.
pub(super) type Packed = [u64; 5];

impl State {
    /// Volumes with contents of their own, in no pair.
    pub(super) fn new(left: Left, volumes: usize, tracks: usize) -> Self {
        let mut drive = [[0; TRACKS]; VOLUMES];
        for (volume, tracks_of) in drive.iter_mut().enumerate() {
            for (track, value) in tracks_of.iter_mut().enumerate() {
                let used = volume < volumes && track < tracks;
                *value = if used { volume as Value } else { NONE };
            }
        }
        Self {
            pairs: Default::default(),
            settling: [0; PAIRS],
            flushed: [0; PAIRS],
            undefined: 0,
            cut: false,
            kept: Default::default(),
            kept_undefined: 0,
            answered_late: false,
            slot: [[NONE; TRACKS]; VOLUMES],
            late: [0; VOLUMES],
            newer: [0; VOLUMES],
            drive,
            maybe: [[0; TRACKS]; VOLUMES],
            destage: [[NONE; TRACKS]; VOLUMES],
            log: [[NONE; TRACKS]; VOLUMES],
            expected: drive,
            jobs: Default::default(),
            left,
        }
    }

    /// What a read of the volume's own storage finds, through the cache.
    pub(super) fn stored(&self, volume: usize, track: usize) -> Value {
        match self.slot[volume][track] {
            NONE => self.drive[volume][track],
            value => value,
        }
    }

    /// A slot is written; its record is before the cut, or late.
    pub(super) fn put_slot(&mut self, volume: usize, track: usize, value: Value, late: bool) {
        self.drop_slot(volume, track);
        self.slot[volume][track] = value;
        if late {
            self.late[volume] |= bit(track);
        }
        if self.destage[volume][track] != NONE {
            self.newer[volume] |= bit(track);
        }
    }

    pub(super) fn drop_slot(&mut self, volume: usize, track: usize) {
        self.slot[volume][track] = NONE;
        self.late[volume] &= !bit(track);
        self.newer[volume] &= !bit(track);
    }

    /// A value that nothing of this track has.
    pub(super) fn fresh(&self, track: usize) -> Value {
        let mut used = 0_u32;
        for_values(&mut self.clone(), track, |value| used |= 1 << *value);
        for volume in 0..VOLUMES {
            used |= u32::from(self.maybe[volume][track]);
        }
        let value = (!used).trailing_zeros() as Value;
        assert!(value < TORN, "a track has more contents than the search can number");
        value
    }

    /// The same state for all whose values differ by their numbers only.
    pub(super) fn renumber(&mut self) {
        for track in 0..TRACKS {
            let mut number = [NONE; 16];
            number[usize::from(TORN)] = TORN;
            let mut next = 0;
            let mut known = |value: Value| {
                let number = &mut number[usize::from(value)];
                if *number == NONE && value != NONE {
                    *number = next;
                    next += 1;
                }
                *number
            };
            for_values(self, track, |value| *value = known(*value));
            for volume in 0..VOLUMES {
                let old = self.maybe[volume][track];
                let new = (0..NONE).filter(|value| old >> value & 1 == 1);
                self.maybe[volume][track] = new.fold(0, |bits, value| bits | 1 << known(value));
            }
        }
    }

    pub(super) fn pack(&self) -> Packed {
        let mut bits = Bits::default();
        fields(&mut self.clone(), &mut |value, width| bits.push(u64::from(*value), width));
        bits.words
    }

    pub(super) fn unpack(packed: &Packed) -> Self {
        let mut state = Self::new(Left { writes: 0, commands: 0, crashes: 0, errors: 0 }, 0, 0);
        let mut bits = Bits { words: *packed, at: 0 };
        fields(&mut state, &mut |value, width| *value = bits.take(width) as u16);
        state
    }
}

/// Every place of a track that has one value.
fn for_values(state: &mut State, track: usize, mut each: impl FnMut(&mut Value)) {
    for volume in 0..VOLUMES {
        each(&mut state.expected[volume][track]);
        each(&mut state.slot[volume][track]);
        each(&mut state.drive[volume][track]);
        each(&mut state.log[volume][track]);
        each(&mut state.destage[volume][track]);
    }
    match &mut state.jobs[track] {
        Job::Lane(lane) => each(&mut lane.value),
        Job::Write { stage: Stage::Uncopied(value) | Stage::Unseen(value), .. } => each(value),
        _ => {}
    }
}

#[derive(Default)]
struct Bits {
    words: Packed,
    at: usize,
}

impl Bits {
    fn push(&mut self, value: u64, width: usize) {
        let (word, shift) = (self.at / 64, self.at % 64);
        assert!(value >> width == 0, "a field is {value}, which {width} bits do not hold");
        self.words[word] |= value << shift;
        if shift + width > 64 {
            self.words[word + 1] |= value >> (64 - shift);
        }
        self.at += width;
    }

    fn take(&mut self, width: usize) -> u64 {
        let (word, shift) = (self.at / 64, self.at % 64);
        let mut value = self.words[word] >> shift;
        if shift + width > 64 {
            value |= self.words[word + 1] << (64 - shift);
        }
        self.at += width;
        value & ((1 << width) - 1)
    }
}

/// All fields of a state with their widths, to be read or set.
fn fields(state: &mut State, each: &mut impl FnMut(&mut u16, usize)) {
    for pair in state.pairs.iter_mut().chain(&mut state.kept) {
        let mut status = pair.status as u16;
        each(&mut status, 3);
        pair.status = Status::ALL[usize::from(status)];
        for map in [&mut pair.c, &mut pair.dp, &mut pair.ds] {
            narrow(map, 2, each);
        }
    }
    for map in state.settling.iter_mut().chain(&mut state.flushed) {
        narrow(map, 2, each);
    }
    narrow(&mut state.undefined, 3, each);
    narrow(&mut state.kept_undefined, 3, each);
    flag(&mut state.cut, each);
    flag(&mut state.answered_late, each);
    let State { slot, drive, destage, log, expected, .. } = state;
    for values in [slot, drive, destage, log, expected] {
        values.iter_mut().flatten().for_each(|value| narrow(value, 4, each));
    }
    state.late.iter_mut().chain(&mut state.newer).for_each(|map| narrow(map, 2, each));
    state.maybe.iter_mut().flatten().for_each(|bits| each(bits, 15));
    state.jobs.iter_mut().for_each(|job| job_fields(job, each));
    let Left { writes, commands, crashes, errors } = &mut state.left;
    for (left, width) in [(writes, 3), (commands, 3), (crashes, 2), (errors, 1)] {
        narrow(left, width, each);
    }
}

fn narrow(value: &mut u8, width: usize, each: &mut impl FnMut(&mut u16, usize)) {
    let mut wide = u16::from(*value);
    each(&mut wide, width);
    *value = wide as u8;
}

fn flag(value: &mut bool, each: &mut impl FnMut(&mut u16, usize)) {
    let mut wide = u16::from(*value);
    each(&mut wide, 1);
    *value = wide == 1;
}

/// A kind, a number, a value and two flags.
fn job_fields(job: &mut Job, each: &mut impl FnMut(&mut u16, usize)) {
    let (mut kind, mut no, mut value, mut late, mut marked) = match *job {
        Job::None => (0, 0, 0, false, false),
        Job::Read { volume } => (1, volume, 0, false, false),
        Job::Lane(lane) => {
            let no = lane.pair + PAIRS * usize::from(lane.restores);
            (2, no, lane.value, lane.late, lane.marked)
        }
        Job::Write { volume, stage } => match stage {
            Stage::Part => (3, volume, 0, false, false),
            Stage::Whole => (4, volume, 0, false, false),
            Stage::Recorded { late } => (5, volume, 0, late, false),
            Stage::Answered => (6, volume, 0, false, false),
            Stage::Unmarked => (7, volume, 0, false, false),
            Stage::Uncopied(value) => (8, volume, value, false, false),
            Stage::Unseen(value) => (9, volume, value, false, false),
        },
    };
    each(&mut kind, 4);
    let mut volume = no as u8;
    narrow(&mut volume, 2, each);
    no = usize::from(volume);
    narrow(&mut value, 4, each);
    flag(&mut late, each);
    flag(&mut marked, each);
    let write = |stage| Job::Write { volume: no, stage };
    *job = match kind {
        1 => Job::Read { volume: no },
        2 => {
            let (pair, restores) = (no % PAIRS, no >= PAIRS);
            Job::Lane(Lane { pair, restores, value, late, marked })
        }
        3 => write(Stage::Part),
        4 => write(Stage::Whole),
        5 => write(Stage::Recorded { late }),
        6 => write(Stage::Answered),
        7 => write(Stage::Unmarked),
        8 => write(Stage::Uncopied(value)),
        9 => write(Stage::Unseen(value)),
        _ => Job::None,
    };
}
