//! Random operations against a naive model: what the hosts wrote last, and what the drives hold.
#![cfg(not(diptych_loom))]

use diptych_cache::{
    Admission, Admit, Cache, CacheConfig, CacheError, Destage, DropOutcome, Pin, SlotKey, Wakes,
};
use diptych_format::{
    Answer, BLOCK_BYTES, BackingId, BlockMask, BlockNo, BlockRange, CheckArea, CheckField,
    Generation, LogicalAddress, OwnerId, TrackNo, TrackRange,
};
use diptych_sync::Arc;
use proptest::prelude::*;
use std::collections::{BTreeMap, VecDeque};

const BLOCKS: u64 = 3;
const TRACKS: u64 = 8;

type Track = [u8; BLOCKS as usize];
type Volume = [Track; TRACKS as usize];

#[derive(Debug, Clone)]
enum Action {
    Ask(Job),
    Read(u64, BlockMask),
    Unpin(usize),
    Refer { from: u64, to: u64 },
    Take { urgent: bool },
    End(usize, Outcome),
    Retry(BackingId),
    Drop(u64),
    Purge(u64),
    Flush(BackingId),
    Cancel(usize),
    Release(usize),
}

/// What needs room.
#[derive(Debug, Clone)]
enum Job {
    Write(u64, BlockMask),
    Put(u64),
    Stage(u64),
    Hold { buffers: usize, dirty: usize },
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Outcome {
    Written,
    Failed,
    PutBack,
}

impl Job {
    fn room(&self) -> (usize, usize) {
        match *self {
            Self::Write(..) | Self::Put(_) => (1, 1),
            Self::Stage(_) => (1, 0),
            Self::Hold { buffers, dirty } => (buffers, dirty),
        }
    }
}

struct Storm {
    cache: Cache,
    /// What a host would read.
    truth: Volume,
    drive: Volume,
    /// The last record of each block; 0 if its data has none.
    records: [[u64; BLOCKS as usize]; TRACKS as usize],
    last_record: u64,
    /// Blocks of destages that failed: the drive may hold anything.
    torn: [BlockMask; TRACKS as usize],
    last_value: u8,
    last_owner: u64,
    pins: Vec<(Pin, Vec<u8>)>,
    /// In flight, and whether their track was purged meanwhile.
    destages: Vec<(Destage, bool)>,
    holds: Vec<Admission>,
    waiting: BTreeMap<OwnerId, Job>,
    flushes: BTreeMap<OwnerId, (BackingId, Volume)>,
    /// The backing whose destage is failing.
    failing: Option<BackingId>,
    /// Slots that count against the write-pending limit, and permits, at the last look.
    counted: usize,
}

/// Odd and even tracks are of different volumes.
fn key(track: u64) -> SlotKey {
    SlotKey { backing: BackingId(1 + (track % 2) as u32), track: TrackNo(track) }
}

fn tracks_of(backing: BackingId) -> impl Iterator<Item = u64> {
    (0..TRACKS).filter(move |&track| key(track).backing == backing)
}

fn all() -> BlockMask {
    BlockMask::first(BLOCKS)
}

fn field(track: u64, index: u64, value: u8) -> CheckField {
    let la = LogicalAddress { backing: key(track).backing, block: BlockNo(track * BLOCKS + index) };
    CheckField::of(&[value; BLOCK_BYTES], la, Generation(u64::from(value)))
}

fn bytes(index: u64) -> std::ops::Range<usize> {
    index as usize * BLOCK_BYTES..(index as usize + 1) * BLOCK_BYTES
}

impl Storm {
    fn new(config: CacheConfig) -> Self {
        Self {
            cache: Cache::new(config).unwrap(),
            truth: Volume::default(),
            drive: Volume::default(),
            records: [[0; BLOCKS as usize]; TRACKS as usize],
            last_record: 0,
            torn: [BlockMask::NONE; TRACKS as usize],
            last_value: 0,
            last_owner: 0,
            pins: Vec::new(),
            destages: Vec::new(),
            holds: Vec::new(),
            waiting: BTreeMap::new(),
            flushes: BTreeMap::new(),
            failing: None,
            counted: 0,
        }
    }

    fn owner(&mut self) -> OwnerId {
        self.last_owner += 1;
        OwnerId(self.last_owner)
    }

    fn value(&mut self) -> u8 {
        self.last_value += 1;
        self.last_value
    }

    /// The next record, of these blocks.
    fn record(&mut self, track: u64, mask: BlockMask) -> u64 {
        self.last_record += 1;
        for index in mask.iter() {
            self.records[track as usize][index as usize] = self.last_record;
        }
        self.last_record
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Ask(job) => self.ask(job),
            Action::Read(track, want) => {
                if let Some(pin) = self.cache.read(key(track), want) {
                    assert!(pin.valid().contains(want), "a hit has all blocks");
                    let seen = pin.data().to_vec();
                    self.pins.push((pin, seen));
                }
            }
            Action::Unpin(n) if n < self.pins.len() => self.unpin(n),
            Action::Refer { from, to } if from != to => self.refer(from, to),
            Action::Take { urgent } => {
                let upto = urgent.then(|| self.cache.dirty_mark());
                if let Some(destage) = self.cache.next_dirty(upto) {
                    let same = |(other, _): &(Destage, bool)| other.key() == destage.key();
                    assert!(!self.destages.iter().any(same), "one destage of a track at a time");
                    self.check_logged(destage.key().track.0, destage.dirty(), destage.logged());
                    self.destages.push((destage, false));
                }
            }
            Action::End(n, outcome) if n < self.destages.len() => self.end(n, outcome),
            Action::Retry(backing) => self.retry(backing),
            Action::Drop(track) => {
                let in_flight = self.destages.iter().any(|(d, _)| d.key() == key(track));
                let outcome = self.cache.drop_slot(key(track));
                assert_eq!(outcome == DropOutcome::Destaging, in_flight);
                if let DropOutcome::Dropped(wakes) = outcome {
                    self.forget(track);
                    self.deliver(wakes);
                }
            }
            Action::Purge(track) => {
                for (destage, purged) in &mut self.destages {
                    *purged |= destage.key() == key(track);
                }
                let range = TrackRange::one(TrackNo(track));
                let wakes = self.cache.purge(key(track).backing, Some(range));
                self.forget(track);
                self.deliver(wakes);
            }
            Action::Flush(backing) => self.flush(backing),
            Action::Cancel(n) => {
                let owners = self.waiting.keys().chain(self.flushes.keys());
                if let Some(&owner) = owners.clone().nth(n) {
                    self.waiting.remove(&owner);
                    self.flushes.remove(&owner);
                    let wakes = self.cache.cancel(owner);
                    self.deliver(wakes);
                }
            }
            Action::Release(n) if n < self.holds.len() => {
                let hold = self.holds.swap_remove(n);
                let wakes = self.cache.return_room(hold);
                self.deliver(wakes);
            }
            _ => {}
        }
        self.check();
    }

    /// What was dirty in the slot is gone: the drive's data is the truth.
    fn forget(&mut self, track: u64) {
        self.truth[track as usize] = self.drive[track as usize];
        self.torn[track as usize] = BlockMask::NONE;
        for (_, volume) in self.flushes.values_mut() {
            volume[track as usize] = Track::default();
        }
    }

    fn ask(&mut self, job: Job) {
        let owner = self.owner();
        let (buffers, dirty) = job.room();
        match self.cache.admit(owner, buffers, dirty) {
            Ok(Admit::Granted(room)) => self.perform(job, room),
            Ok(Admit::Queued) => drop(self.waiting.insert(owner, job)),
            Err(_) => {} // never fits, or too many wait
        }
    }

    fn deliver(&mut self, wakes: Wakes) {
        let mut wakes = VecDeque::from(wakes);
        while let Some((owner, answer)) = wakes.pop_front() {
            if let Some(job) = self.waiting.remove(&owner) {
                if answer == Answer::Cancelled {
                    self.check_unfit(job);
                    continue;
                }
                let room = self.cache.admitted(owner);
                self.perform(job, room);
            } else if let Some((backing, then)) = self.flushes.remove(&owner) {
                if answer == Answer::Cancelled {
                    assert_eq!(self.failing, Some(backing), "only its own volume cancels a flush");
                } else {
                    assert!(self.is_on_drive(backing, &then), "a flush is complete");
                }
            }
        }
    }

    /// Only a destage that fails ends a wait for room, of who cannot have it any more.
    fn check_unfit(&self, job: Job) {
        let left = self.cache.config().capacity_slots - self.cache.counts().failed_slots;
        assert!(self.failing.is_some() && job.room().0 > left, "{job:?} could have room");
    }

    fn perform(&mut self, job: Job, mut room: Admission) {
        let mut wakes = Wakes::new();
        match job {
            Job::Write(track, mask) => {
                let value = self.value();
                room.logged_as(self.record(track, mask));
                let mut write = self.cache.begin_write(key(track), BLOCKS, &mut room);
                for index in mask.iter() {
                    write.data_mut()[bytes(index)].fill(value);
                    write.set_check(index, field(track, index, value));
                    self.truth[track as usize][index as usize] = value;
                }
                wakes.extend(self.cache.commit_write(write, mask, &mut room));
            }
            Job::Put(track) => {
                let value = self.value();
                room.logged_as(self.record(track, all()));
                let mut data = self.cache.buffer(&mut room);
                data.bytes_mut().fill(value);
                let mut checks = CheckArea::zeroed(BLOCKS);
                (0..BLOCKS).for_each(|index| checks.set(index, field(track, index, value)));
                self.truth[track as usize] = [value; BLOCKS as usize];
                let (data, checks) = (Arc::new(data), Arc::new(checks));
                let key = key(track);
                wakes.extend(self.cache.put(key, data, checks, all(), true, false, &mut room));
            }
            Job::Stage(track) => {
                let mut data = self.cache.buffer(&mut room);
                let mut checks = CheckArea::zeroed(BLOCKS);
                for index in 0..BLOCKS {
                    let value = self.drive[track as usize][index as usize];
                    data.bytes_mut()[bytes(index)].fill(value);
                    checks.set(index, field(track, index, value));
                }
                wakes.extend(self.cache.install(key(track), data, checks, all()));
            }
            Job::Hold { .. } => return self.holds.push(room),
        }
        wakes.extend(self.cache.return_room(room));
        self.deliver(wakes);
    }

    /// Copies a track by reference, without a record.
    fn refer(&mut self, from: u64, to: u64) {
        let owner = self.owner();
        let Ok(Admit::Granted(mut room)) = self.cache.admit(owner, 0, 1) else {
            let wakes = self.cache.cancel(owner);
            return self.deliver(wakes);
        };
        let mut wakes = Wakes::new();
        if let Some(pin) = self.cache.pin(key(from)) {
            if pin.valid() == all() {
                self.truth[to as usize] = self.truth[from as usize];
                self.records[to as usize] = Default::default();
                let mut checks = CheckArea::zeroed(BLOCKS);
                for index in 0..BLOCKS {
                    let value = self.truth[to as usize][index as usize];
                    checks.set(index, field(to, index, value));
                }
                // The values of a flush are compared by age; these are not in that order.
                self.flushes.values_mut().for_each(|(_, v)| v[to as usize] = Track::default());
                self.cache.mark_shared(key(from));
                let (data, checks, key) = (pin.handle(), Arc::new(checks), key(to));
                wakes.extend(self.cache.put(key, data, checks, all(), true, true, &mut room));
            }
            wakes.extend(self.cache.unpin(pin));
        }
        wakes.extend(self.cache.return_room(room));
        self.deliver(wakes);
    }

    fn unpin(&mut self, n: usize) {
        let (pin, seen) = self.pins.swap_remove(n);
        for index in pin.valid().iter() {
            assert_eq!(pin.data()[bytes(index)], seen[bytes(index)], "what is pinned stays");
        }
        let wakes = self.cache.unpin(pin);
        self.deliver(wakes);
    }

    fn end(&mut self, n: usize, outcome: Outcome) {
        let (destage, purged) = self.destages.swap_remove(n);
        let track = destage.key().track.0;
        if !purged && outcome == Outcome::Failed {
            self.torn[track as usize] = self.torn[track as usize].or(self.uncertain(&destage));
        }
        if !purged && outcome == Outcome::Written {
            self.torn[track as usize] = self.torn[track as usize].without(destage.dirty());
            for index in destage.dirty().iter() {
                let value = destage.pin().data()[bytes(index).start];
                self.drive[track as usize][index as usize] = value;
            }
        }
        let wakes = match outcome {
            Outcome::PutBack => self.cache.put_back(destage),
            _ => self.cache.destage_done(destage, outcome == Outcome::Written),
        };
        self.failing = (outcome == Outcome::Failed).then_some(key(track).backing);
        self.deliver(wakes);
        self.failing = None;
    }

    fn flush(&mut self, backing: BackingId) {
        let owner = self.owner();
        match self.cache.wait_clean(owner, backing, self.cache.dirty_mark()) {
            Ok(true) => assert!(self.is_on_drive(backing, &self.truth), "clean is on the drive"),
            Ok(false) => drop(self.flushes.insert(owner, (backing, self.truth))),
            Err(CacheError::DestageFailed { key }) => {
                assert_eq!(key.backing, backing, "only its own volume fails a flush");
                assert!(self.cache.state(key).is_some_and(|state| state.failed));
            }
            Err(_) => {} // too many wait
        }
    }

    fn is_on_drive(&self, backing: BackingId, then: &Volume) -> bool {
        tracks_of(backing).all(|track| {
            let (drive, then) = (self.drive[track as usize], then[track as usize]);
            drive.iter().zip(then).all(|(drive, then)| *drive >= then)
        })
    }

    fn retry(&mut self, backing: BackingId) {
        let failed = |track: &u64| self.cache.state(key(*track)).is_some_and(|s| s.failed);
        let failed = tracks_of(backing).filter(failed).count();
        assert_eq!(self.cache.retry_failed(backing), failed);
        self.counted += failed;
    }

    fn check(&mut self) {
        let config = self.cache.config();
        let counts = self.cache.counts();
        let counted = counts.dirty_slots - counts.failed_slots + counts.dirty_permits;
        // Only slots that are tried again exceed it.
        let most = config.write_pending_limit_slots.max(self.counted);
        assert!(counted <= most, "the write-pending limit holds");
        self.counted = counted;
        assert!(counts.buffers <= config.capacity_slots, "the capacity holds");
        assert_eq!(counts.waiters, self.waiting.len() + self.flushes.len(), "nobody is forgotten");
        for track in 0..TRACKS {
            let state = self.cache.state(key(track)).unwrap_or_default();
            assert!(state.valid.contains(state.dirty), "dirty blocks are valid");
            let (truth, drive) = (self.truth[track as usize], self.drive[track as usize]);
            for index in 0..BLOCKS {
                let newer = truth[index as usize] != drive[index as usize];
                assert!(!newer || state.dirty.has(index), "what the drive has not is dirty");
            }
            self.check_content(track);
            self.check_needed(track);
        }
        for (backing, _) in self.flushes.values() {
            let dirty = |track| self.cache.state(key(track)).is_some_and(|s| !s.dirty.is_empty());
            assert!(tracks_of(*backing).any(dirty), "nobody waits for nothing");
        }
    }

    fn check_content(&self, track: u64) {
        let Some(pin) = self.cache.pin(key(track)) else { return };
        for index in pin.valid().iter() {
            let value = self.truth[track as usize][index as usize];
            assert!(pin.data()[bytes(index)].iter().all(|&byte| byte == value), "what was written");
            assert_eq!(pin.checks().get(index), field(track, index, value));
        }
        self.check_logged(track, pin.dirty(), pin.logged());
        assert!(self.cache.unpin(pin).is_empty(), "a look frees nothing that was not free");
    }

    /// Whoever writes these blocks to a drive has waited for their records.
    fn check_logged(&self, track: u64, dirty: BlockMask, logged: u64) {
        let of_track = self.records[track as usize];
        let last = dirty.iter().map(|index| of_track[index as usize]).max().unwrap_or(0);
        assert!(last <= logged && (logged == 0 || !dirty.is_empty()), "{last} {logged}");
    }

    /// Blocks that hold their old or their new data while a destage is in flight.
    fn uncertain(&self, destage: &Destage) -> BlockMask {
        let drive = self.drive[destage.key().track.0 as usize];
        let differs =
            |&index: &u64| destage.pin().data()[bytes(index).start] != drive[index as usize];
        let one =
            |index| BlockMask::of(BlockRange { start: BlockNo(index), end: BlockNo(index + 1) });
        destage.dirty().iter().filter(differs).map(one).fold(BlockMask::NONE, BlockMask::or)
    }

    /// What the drive has not, or may have in part, is in records that the log keeps.
    fn check_needed(&self, track: u64) {
        let in_flight = self.destages.iter().find(|(d, purged)| d.key() == key(track) && !purged);
        let in_flight = in_flight.map_or(BlockMask::NONE, |(destage, _)| self.uncertain(destage));
        let uncertain = self.torn[track as usize].or(in_flight);
        let oldest = self.cache.oldest_logged();
        for index in 0..BLOCKS {
            let at = |volume: &Volume| volume[track as usize][index as usize];
            let record = self.records[track as usize][index as usize];
            let needed = at(&self.truth) != at(&self.drive) || uncertain.has(index);
            if needed && record != 0 {
                assert!(oldest.is_some_and(|oldest| oldest <= record), "{oldest:?} {record}");
            }
        }
    }

    /// Gives everything back and destages everything.
    fn finish(mut self) {
        loop {
            self.act(Action::Retry(BackingId(1)));
            self.act(Action::Retry(BackingId(2)));
            self.destages.extend(self.cache.next_dirty(None).map(|destage| (destage, false)));
            if !self.pins.is_empty() {
                self.unpin(0);
            } else if !self.holds.is_empty() {
                self.act(Action::Release(0));
            } else if !self.destages.is_empty() {
                self.end(0, Outcome::Written);
            } else {
                break;
            }
            self.check();
        }
        assert!(self.waiting.is_empty() && self.flushes.is_empty(), "every wait ends");
        assert_eq!(self.drive, self.truth);
        assert_eq!(self.cache.oldest_logged(), None, "no record is kept for what is on the drive");
        for backing in [BackingId(1), BackingId(2)] {
            assert_eq!(self.cache.purge(backing, None), []);
        }
        let counts = self.cache.counts();
        assert_eq!((counts.slots, counts.dirty_slots, counts.dirty_permits), (0, 0, 0));
        assert_eq!(counts.buffers, 0);
    }
}

fn mask() -> impl Strategy<Value = BlockMask> {
    (0..BLOCKS, 1..=BLOCKS).prop_map(|(start, count)| {
        let end = BlockNo((start + count).min(BLOCKS));
        BlockMask::of(BlockRange { start: BlockNo(start), end })
    })
}

fn action() -> impl Strategy<Value = Action> {
    let track = || 0..TRACKS;
    let backing = || (1..=2_u32).prop_map(BackingId);
    let outcome = prop_oneof![
        6 => Just(Outcome::Written),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::PutBack),
    ];
    prop_oneof![
        8 => (track(), mask()).prop_map(|(t, m)| Action::Ask(Job::Write(t, m))),
        2 => track().prop_map(|t| Action::Ask(Job::Put(t))),
        4 => track().prop_map(|t| Action::Ask(Job::Stage(t))),
        1 => (0..3_usize, 0..3_usize)
            .prop_map(|(buffers, dirty)| Action::Ask(Job::Hold { buffers, dirty })),
        4 => (track(), mask()).prop_map(|(t, m)| Action::Read(t, m)),
        4 => (0..3_usize).prop_map(Action::Unpin),
        2 => (track(), track()).prop_map(|(from, to)| Action::Refer { from, to }),
        6 => any::<bool>().prop_map(|urgent| Action::Take { urgent }),
        6 => (0..3_usize, outcome).prop_map(|(n, outcome)| Action::End(n, outcome)),
        1 => backing().prop_map(Action::Retry),
        1 => track().prop_map(Action::Drop),
        1 => track().prop_map(Action::Purge),
        2 => backing().prop_map(Action::Flush),
        1 => (0..3_usize).prop_map(Action::Cancel),
        2 => (0..3_usize).prop_map(Action::Release),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_every_wait_ends(
        (capacity_slots, limit, shards_log2) in (2..7_usize, 1..4_usize, 0..3_u32),
        actions in prop::collection::vec(action(), 1..200),
    ) {
        let mut storm = Storm::new(CacheConfig {
            capacity_slots,
            track_bytes: BLOCKS as usize * BLOCK_BYTES,
            shards: 1 << shards_log2,
            write_pending_limit_slots: limit.min(capacity_slots),
            waiters_max: 5,
        });
        for action in actions {
            storm.act(action);
        }
        storm.finish();
    }
}
