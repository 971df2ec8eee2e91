//! The claim table against a naive model.

use crate::tracks;
use diptych_format::{OwnerId, TrackNo, TrackRange};
use diptych_shared::{ClaimTable, Grant, SharedError};
use proptest::prelude::*;

const TRACKS: u64 = 6;
const MAX_QUEUED: usize = 4;

/// Who asked, in order, and whether they hold what they asked for.
#[derive(Debug, Default)]
struct Model(Vec<(OwnerId, TrackRange, bool)>);

impl Model {
    /// Grants in the order of asking whatever nothing before it and nothing held stands against.
    fn grant(&mut self) -> Vec<OwnerId> {
        let mut granted = Vec::new();
        for index in 0..self.0.len() {
            let (owner, range, held) = self.0[index];
            let mut others = self.0.iter().enumerate().filter(|&(other, _)| other != index);
            let blocked = others.any(|(other, &(_, theirs, theirs_held))| {
                theirs.overlaps(range) && (theirs_held || other < index)
            });
            if !held && !blocked {
                self.0[index].2 = true;
                granted.push(owner);
            }
        }
        granted
    }

    fn remove(&mut self, owner: OwnerId) -> Vec<OwnerId> {
        self.0.retain(|&(who, ..)| who != owner);
        self.grant()
    }

    fn waiting(&self) -> usize {
        self.0.iter().filter(|&&(_, _, held)| !held).count()
    }
}

proptest! {
    #[test]
    fn claims_are_exclusive_and_in_order(
        ops in prop::collection::vec((0..4_u8, 0..8_u64, 0..TRACKS, 1..=TRACKS), 1..60)
    ) {
        let mut table = ClaimTable::new(MAX_QUEUED);
        let mut model = Model::default();
        for (kind, owner, start, length) in ops {
            let owner = OwnerId(owner);
            let range = tracks(start, (start + length).min(TRACKS));
            let known = model.0.iter().find(|&&(who, ..)| who == owner).copied();
            match (kind, known) {
                (0 | 1, None) => {
                    model.0.push((owner, range, false));
                    let free = model.grant() == [owner];
                    let answer = if kind == 0 {
                        table.request(owner, range)
                    } else if table.try_request(owner, range) {
                        Ok(Grant::Held)
                    } else {
                        Ok(Grant::Queued)
                    };
                    let full = kind == 0 && model.waiting() > MAX_QUEUED;
                    let expected = match free {
                        true => Ok(Grant::Held),
                        false if full => Err(SharedError::TooManyQueued { limit: MAX_QUEUED }),
                        false => Ok(Grant::Queued),
                    };
                    prop_assert_eq!(answer, expected);
                    if !free && (full || kind == 1) {
                        model.0.pop();
                    }
                }
                (2, Some((_, _, true))) => {
                    prop_assert_eq!(table.release(owner), model.remove(owner));
                }
                (3, _) => prop_assert_eq!(table.cancel(owner), model.remove(owner)),
                _ => {}
            }
            let held = model.0.iter().filter(|&&(_, _, held)| held).count();
            prop_assert_eq!(table.held_count(), held);
            prop_assert_eq!(table.queued_count(), model.waiting());
            for &(owner, _, held) in &model.0 {
                prop_assert_eq!((table.is_held_by(owner), table.is_queued_by(owner)), (held, !held));
            }
            for track in (0..TRACKS).map(TrackNo) {
                let busy = model.0.iter().any(|(_, range, _)| range.contains(track));
                prop_assert_eq!(table.is_busy(track), busy);
            }
        }
    }
}

#[test]
fn the_queue_can_be_emptied() {
    let mut table = ClaimTable::new(2);
    for (owner, range) in [(1, tracks(0, 9)), (2, tracks(3, 4)), (3, tracks(3, 5))] {
        table.request(OwnerId(owner), range).unwrap();
    }
    assert_eq!(table.drain_queued().collect::<Vec<_>>(), [OwnerId(2), OwnerId(3)]);
    assert_eq!(table.release(OwnerId(1)), []);
}

#[test]
#[should_panic(expected = "owner 1 has a claim of this family already")]
fn an_owner_has_one_claim() {
    let mut table = ClaimTable::new(2);
    table.try_request(OwnerId(1), tracks(0, 1));
    table.try_request(OwnerId(1), tracks(1, 2));
}

#[test]
#[should_panic(expected = "owner 1 releases what it does not hold")]
fn only_what_is_held_is_released() {
    let _granted = ClaimTable::new(2).release(OwnerId(1));
}
