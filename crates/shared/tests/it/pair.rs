//! One pair under random commands, writes and copies, with the contents of both volumes beside it:
//! the invariants I1 and I2, and what A promises.

use crate::tracks;
use diptych_format::{BackingId, Geometry, ImageNo, LdevId, PairId, TrackNo, TrackRange};
use diptych_shared::{
    Change, FamilyState, MapName, Pair, PairOptions, PairStatus, Phase, SharedMemory, Transition,
    Volume,
};
use proptest::prelude::*;
use std::collections::{BTreeSet, HashMap};

const TRACKS: u64 = 5;
pub(crate) const P: LdevId = LdevId::new(0, 1);
pub(crate) const S: LdevId = LdevId::new(0, 2);
pub(crate) const ID: PairId = PairId { no: 0, epoch: 0 };

/// Two volumes of `track_count` tracks in one family, and `pair` between them.
pub(crate) fn memory_with(pair: Pair, track_count: u64) -> SharedMemory {
    let memory = SharedMemory::default();
    for (ldev, backing) in [(P, 1), (S, 2)] {
        let geometry = Geometry::with_tracks(1, track_count);
        memory.add_volume(Volume::new(ldev, geometry, BackingId(backing))).unwrap();
    }
    let claim = crate::memory::join(&memory, P, S);
    claim.with(|family| family.change(Change::AddPair(Box::new(pair))));
    assert!(claim.release().is_empty());
    memory
}

#[derive(Debug, Clone, Copy)]
enum Op {
    WritePrimary(u64),
    WriteSecondary(u64),
    CopyTrack,
    /// As a lane copies where a log is: C clears when the drive was flushed.
    SettleTrack,
    /// Everything that is settling.
    Settled,
    MustCopy(u64),
    Copy,
    Resync,
    Suspend(bool),
    /// A failure elsewhere suspends the pair while a track is on its way.
    SuspendUnderCopy {
        settles: bool,
    },
    Unreadable,
    Restore,
    AbandonRestore,
    /// Frozen or not.
    Exchange(bool),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..TRACKS).prop_map(Op::WritePrimary),
        4 => (0..TRACKS).prop_map(Op::WriteSecondary),
        6 => Just(Op::CopyTrack),
        12 => Just(Op::SettleTrack),
        4 => Just(Op::Settled),
        1 => (0..TRACKS).prop_map(Op::MustCopy),
        3 => Just(Op::Copy),
        3 => Just(Op::Resync),
        1 => any::<bool>().prop_map(Op::Suspend),
        1 => any::<bool>().prop_map(|settles| Op::SuspendUnderCopy { settles }),
        1 => Just(Op::Unreadable),
        2 => Just(Op::Restore),
        1 => Just(Op::AbandonRestore),
        2 => any::<bool>().prop_map(Op::Exchange),
    ]
}

/// The track that a lane takes next.
fn next_to_copy(pair: &Pair) -> Option<TrackNo> {
    let wanted = |&t: &TrackNo| pair.c.get(t) && !pair.unreadable.get(t) && !pair.settling().get(t);
    let around = (pair.copy_pointer.0..TRACKS).chain(0..TRACKS).map(TrackNo);
    let found = around.filter(|_| pair.copier).find(wanted);
    let next = |from| pair.c.next_set_except_both(from, &pair.unreadable, pair.settling());
    let from_maps = next(pair.copy_pointer).or_else(|| next(TrackNo(0)));
    assert_eq!(found, from_maps.filter(|_| pair.copier), "{pair:?}");
    found
}

/// A pair with the contents of its volumes: one number a track.
struct World {
    memory: SharedMemory,
    primary: Vec<u64>,
    secondary: Vec<u64>,
    images: HashMap<ImageNo, Vec<u64>>,
    /// What was settling when it changed last.
    settling: BTreeSet<u64>,
    last: u64,
}

impl World {
    fn new() -> Self {
        let pair = Pair::new(ID, P, S, TRACKS, PairOptions::default(), true);
        Self {
            memory: memory_with(pair, TRACKS),
            primary: (0..TRACKS).map(|n| 100 + n).collect(),
            secondary: (0..TRACKS).map(|n| 200 + n).collect(),
            images: HashMap::new(),
            settling: BTreeSet::new(),
            last: 1_000,
        }
    }

    fn fresh(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn pair(&self) -> Pair {
        self.memory.with_family(P, |family| family.pair(ID).unwrap().clone()).unwrap()
    }

    /// Applies a change; the transition must tell the truth.
    fn change(&self, change: Change) {
        let before = self.pair().status;
        let told = self.memory.with_family(P, |family| family.change(change)).unwrap();
        let (from, to) = (before, self.pair().status);
        assert_eq!(told, (from != to).then_some(Transition { pair: ID, from, to }));
    }

    fn copy_track(&mut self, track: TrackNo, protecting: bool) {
        self.bring(track);
        self.settling.remove(&track.0);
        self.change(Change::Copied { pair: ID, track, protecting });
    }

    fn settle_track(&mut self, track: TrackNo) {
        self.bring(track);
        if self.pair().is_copying() {
            self.settling.insert(track.0);
        }
        self.change(Change::Settling { pair: ID, track });
    }

    fn bring(&mut self, track: TrackNo) {
        let index = track.0 as usize;
        if self.pair().status == PairStatus::Restoring {
            self.primary[index] = self.secondary[index];
        } else {
            self.secondary[index] = self.primary[index];
        }
    }

    fn step(&mut self, op: Op) {
        let pair = self.pair();
        match op {
            Op::WritePrimary(at) => {
                let track = TrackNo(at);
                let protect = [PairStatus::CopyInProgress, PairStatus::Restoring];
                if protect.contains(&pair.status) && pair.c.get(track) {
                    self.copy_track(track, true);
                }
                self.change(Change::HostChange { primary: P, tracks: TrackRange::one(track) });
                self.primary[at as usize] = self.fresh();
                self.settling.remove(&at);
            }
            Op::WriteSecondary(at) if pair.status == PairStatus::Copied => {
                let tracks = TrackRange::one(TrackNo(at));
                self.change(Change::SecondaryChange { secondary: S, tracks });
                self.secondary[at as usize] = self.fresh();
            }
            Op::CopyTrack => {
                if let Some(track) = next_to_copy(&pair) {
                    self.copy_track(track, false);
                }
            }
            Op::SettleTrack => {
                if let Some(track) = next_to_copy(&pair) {
                    self.settle_track(track);
                }
            }
            Op::Settled => {
                let tracks = pair.settling().runs().collect();
                self.settling.clear();
                self.change(Change::Settled { pair: ID, tracks });
            }
            Op::MustCopy(at) if pair.status == PairStatus::PairedNotCopied => {
                self.settling.remove(&at);
                let tracks = TrackRange::one(TrackNo(at));
                self.change(Change::Set { pair: ID, map: MapName::C, tracks });
            }
            _ => self.command(op, &pair),
        }
    }

    fn command(&mut self, op: Op, pair: &Pair) {
        let options = PairOptions::default();
        match op {
            Op::Copy if pair.status == PairStatus::PairedNotCopied => {
                let image = ImageNo(self.fresh());
                self.images.insert(image, self.primary.clone());
                self.change(Change::Copy { pair: ID, image, options });
            }
            Op::Resync if [PairStatus::Copied, PairStatus::Suspended].contains(&pair.status) => {
                self.change(Change::Resync { pair: ID, options });
            }
            Op::Suspend(all_different) if pair.status != PairStatus::Restoring => {
                self.settling.clear();
                self.change(Change::Suspend { pair: ID, all_different });
            }
            Op::SuspendUnderCopy { settles } if pair.status != PairStatus::Restoring => {
                if let Some(track) = next_to_copy(pair) {
                    self.settling.clear();
                    self.change(Change::Suspend { pair: ID, all_different: false });
                    if settles {
                        self.settle_track(track);
                    } else {
                        self.copy_track(track, false);
                    }
                }
            }
            Op::Unreadable if pair.status == PairStatus::PairedNotCopied => {
                if let Some(track) = pair.c.next_set(TrackNo(0)) {
                    self.settling.remove(&track.0);
                    self.change(Change::Unreadable { pair: ID, track });
                }
            }
            Op::Restore if pair.status == PairStatus::Copied => {
                self.change(Change::Restore { pair: ID, options });
            }
            Op::AbandonRestore if pair.status == PairStatus::Restoring => {
                self.settling.clear();
                self.change(Change::AbandonRestore { pair: ID });
            }
            Op::Exchange(frozen) if pair.status == PairStatus::Copied => {
                let freeze = frozen.then(|| ImageNo(self.fresh()));
                self.change(Change::Exchange { pair: ID, freeze, options });
                std::mem::swap(&mut self.primary, &mut self.secondary);
                self.images.extend(freeze.map(|image| (image, self.secondary.clone())));
            }
            _ => {}
        }
    }

    fn check(&self) {
        let pair = self.pair();
        let has_image = [PairStatus::CopyInProgress, PairStatus::Copied].contains(&pair.status);
        assert_eq!(has_image, pair.image != ImageNo(0), "{pair:?}");
        for (index, track) in (0..TRACKS).map(TrackNo).enumerate() {
            let (p, s) = (self.primary[index], self.secondary[index]);
            let (c, dp, ds) = (pair.c.get(track), pair.dp.get(track), pair.ds.get(track));
            assert!(p == s || c || dp || ds, "I2 at {track}: {pair:?}");
            assert!(!pair.unreadable.get(track) || c, "unreadable outside C: {pair:?}");
            let settling = pair.settling().get(track);
            assert_eq!(settling, self.settling.contains(&track.0), "settling {track}: {pair:?}");
            assert!(!settling || c && p == s, "settling, and changed at {track}: {pair:?}");
            if has_image {
                let image = self.images[&pair.image][index];
                assert!(if c { p == image } else { ds || s == image }, "I1 at {track}: {pair:?}");
                let before = self.images.get(&pair.a_from).map(|image| image[index]);
                assert!(before == Some(image) || pair.a.get(track), "A at {track}: {pair:?}");
            }
        }
        if pair.status == PairStatus::PairedNotCopied {
            assert!(pair.dp.is_empty() && pair.ds.is_empty(), "{pair:?}");
            assert!(!pair.c.is_empty() || pair.phase == Phase::Duplex, "{pair:?}");
        }
        assert!(pair.protected_tracks <= pair.copied_tracks);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn the_invariants_hold(ops in prop::collection::vec(op(), 1..80)) {
        let mut world = World::new();
        world.check();
        for op in ops {
            world.step(op);
            world.check();
        }
    }
}

#[test]
fn unreadable_tracks_are_skipped_until_something_changes() {
    let options = PairOptions::default();
    let check = |changes: &[Change], expected: &[TrackRange]| {
        let memory = memory_with(Pair::new(ID, P, S, TRACKS, options, true), TRACKS);
        let unreadable = memory.with_family(P, |family| {
            for track in [1, 3].map(TrackNo) {
                family.change(Change::Unreadable { pair: ID, track });
            }
            for change in changes {
                family.change(change.clone());
            }
            family.pair(ID).unwrap().unreadable.runs().collect::<Vec<_>>()
        });
        assert_eq!(unreadable.as_deref(), Ok(expected), "{changes:?}");
    };
    let (one, three) = (tracks(1, 2), tracks(3, 4));
    let suspend = Change::Suspend { pair: ID, all_different: false };
    check(&[], &[one, three]);
    check(&[Change::HostChange { primary: P, tracks: tracks(0, 2) }], &[three]);
    check(&[Change::Copied { pair: ID, track: TrackNo(3), protecting: false }], &[one]);
    check(&[Change::Clear { pair: ID, map: MapName::C, tracks: tracks(2, 5) }], &[one]);
    check(std::slice::from_ref(&suspend), &[one, three]);
    check(&[suspend, Change::Resync { pair: ID, options }], &[]);
    check(&[Change::Copy { pair: ID, image: ImageNo(1), options }], &[]);
}

/// A restore changes the primary under its other pairs, an exchange both volumes, without a host change.
#[test]
fn nothing_settles_on_volumes_that_are_exchanged_or_restored() {
    let options = PairOptions::default();
    let other = PairId { no: 1, epoch: 0 };
    let third = LdevId::new(0, 3);
    let check = |primary, secondary, change: Change, expected: u64| {
        let memory = memory_with(Pair::new(ID, P, S, TRACKS, options, true), TRACKS);
        let geometry = Geometry::with_tracks(1, TRACKS);
        memory.add_volume(Volume::new(third, geometry, BackingId(3))).unwrap();
        let claim = crate::memory::join(&memory, P, third);
        let pair = Pair::new(other, primary, secondary, TRACKS, options, true);
        let all = tracks(0, TRACKS);
        let settling = claim.with(|family| {
            family.change(Change::AddPair(Box::new(pair)));
            family.change(Change::Copy { pair: ID, image: ImageNo(1), options });
            family.change(Change::Clear { pair: ID, map: MapName::C, tracks: all });
            family.change(Change::Settling { pair: other, track: TrackNo(2) });
            family.change(change);
            family.pair(other).unwrap().settling().count()
        });
        assert!(claim.release().is_empty());
        assert_eq!(settling, expected, "{primary} to {secondary}");
    };
    let restore = Change::Restore { pair: ID, options };
    let exchange = Change::Exchange { pair: ID, freeze: None, options };
    check(P, third, Change::Resync { pair: ID, options }, 1);
    check(P, third, restore.clone(), 0);
    check(S, third, restore, 1);
    check(P, third, exchange.clone(), 0);
    check(S, third, exchange.clone(), 0);
    check(third, P, exchange, 0);
}

/// Applies `changes` to a new pair of five tracks; the last must be refused.
fn refused(changes: &[Change]) -> String {
    let memory = memory_with(Pair::new(ID, P, S, TRACKS, PairOptions::default(), true), TRACKS);
    let (last, first) = changes.split_last().unwrap();
    let apply = |change: &Change| {
        let change = change.clone();
        memory.with_family(P, |family: &mut FamilyState| family.change(change)).unwrap();
    };
    first.iter().for_each(apply);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| apply(last)));
    let payload = outcome.expect_err("refused");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(|&s| s.to_owned())).unwrap()
}

#[test]
fn impossible_changes_are_broken_invariants() {
    let options = PairOptions::default();
    let copy = Change::Copy { pair: ID, image: ImageNo(1), options };
    let all_copied = Change::Clear { pair: ID, map: MapName::C, tracks: tracks(0, TRACKS) };
    let other = PairId { no: 0, epoch: 1 };
    let copied = |track| Change::Copied { pair: ID, track: TrackNo(track), protecting: false };
    let no_lane = PairOptions { lanes: 0, ..options };
    let texts = [
        refused(&[Change::RemovePair(other)]),
        refused(&[Change::AddPair(Box::new(Pair::new(ID, P, S, TRACKS, options, true)))]),
        refused(&[Change::AddPair(Box::new(Pair::new(other, S, P, 4, options, true)))]),
        refused(&[Change::AddPair(Box::new(Pair::new(other, P, P, TRACKS, options, true)))]),
        refused(&[Change::AddPair(Box::new(Pair::new(other, P, S, TRACKS, options, true)))]),
        refused(&[copy.clone(), copy.clone()]),
        refused(&[Change::SecondaryChange { secondary: S, tracks: tracks(1, 2) }, copy.clone()]),
        refused(&[Change::Resync { pair: ID, options }]),
        refused(&[copied(2), copied(2)]),
        refused(&[copied(2), Change::Settling { pair: ID, track: TrackNo(2) }]),
        refused(&[copied(2), Change::Settled { pair: ID, tracks: vec![tracks(1, 3)] }]),
        refused(&[copy.clone(), Change::HostChange { primary: P, tracks: tracks(0, 1) }]),
        refused(&[
            copy.clone(),
            all_copied,
            Change::Set { pair: ID, map: MapName::C, tracks: tracks(2, 4) },
        ]),
        refused(&[copy, Change::Unreadable { pair: ID, track: TrackNo(0) }]),
        refused(&[Change::Options { pair: ID, options: no_lane }]),
        refused(&[Change::SecondaryChange { secondary: P, tracks: tracks(0, 1) }]),
        refused(&[Change::Reserve { ldev: LdevId::new(9, 9), reserved: true }]),
        refused(&[Change::HostChange { primary: LdevId::new(9, 9), tracks: tracks(0, 1) }]),
    ];
    insta::assert_snapshot!(texts.join("\n"), @r"
    pair 0.1 is not in family 1
    there is a pair 0.0 already
    assertion `left == right` failed: maps of pair 0.1 have another size
      left: 4
     right: 5
    00:01 and 00:01 are no two of the family
    00:02 is a secondary already
    invariant: pair 0.0 is paired and copy in progress, it cannot accept a copy
    invariant I2: pair 0.0 has differences outside C in 802
    invariant: pair 0.0 is paired and not copied, it cannot be resynchronized
    invariant: pair 0.0, track 2 copied while its C is 0
    invariant: pair 0.0, track 2 settles while its C is 0
    invariant: pair 0.0, tracks 1..3 settled while their C is not 1
    invariant I1: pair 0.0, tracks 0..1 change before their copy (904-907)
    invariant: pair 0.0 is paired and copied with 2 tracks in C
    invariant: pair 0.0 is paired and copy in progress, track 0 is not waiting to be copied
    invariant: pair 0.0 has no lane
    volume 00:01 is no secondary
    volume 09:09 is not in family 1
    volume 09:09 is not in family 1
    ");
}
