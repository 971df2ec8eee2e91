//! The answer block: what a command came to, in bytes. It goes back to the host with device end.
//!
//! | offset | bytes | field | content |
//! |---|---|---|---|
//! | 0 | 4 | magic | the letters `DCOB` |
//! | 4 | 2 | version | 1 |
//! | 6 | 2 | result | 1 accepted, 2 nothing to do, 3 refused, 4 accepted, the secondary chosen |
//! | 8 | 2 | pair number | 301, if accepted |
//! | 10 | 2 | reason | if refused: [`Refusal::number`] |
//! | 12 | 4 | epoch | of the pair number, if accepted |
//! | 16 | 2 | status met | 801 to 806; 0 if refused |
//! | 18 | 2 | status now | 801 to 806; 0 if refused |
//! | 20 | 2 | secondary | CU image, then LDEV, if the unit chose it |
//! | 22 | 2 | reserved | zero |
//! | 24 | 8 | operand 0 | of the reason |
//! | 32 | 8 | operand 1 | of the reason |
//!
//! Numbers are little-endian; fields that an answer has no use for are zero. Bytes behind the block
//! are not looked at. The statuses are those of Fig. 8, and two that it does not have:
//!
//! | number | status |
//! |---|---|
//! | 801 | no pair |
//! | 802 | paired and not copied |
//! | 803 | paired and copy in progress |
//! | 804 | paired and copied |
//! | 805 | restoring |
//! | 806 | suspended |
//!
//! The reasons never change their numbers and are never used again:
//!
//! | reason | refusal | operand 0 | operand 1 |
//! |---|---|---|---|
//! | 1 | [`Refusal::NoVolume`] | volume | |
//! | 2 | [`Refusal::SameVolume`] | volume | |
//! | 3 | [`Refusal::SizeMismatch`] | blocks of the primary | blocks of the secondary |
//! | 4 | [`Refusal::TypeMismatch`] | | |
//! | 5 | [`Refusal::Cycle`] | volume | |
//! | 6 | [`Refusal::ThirdLevel`] | volume | |
//! | 7 | [`Refusal::FirstLevelNotCopied`] | status | |
//! | 8 | [`Refusal::SecondaryIsSecondary`] | volume | |
//! | 9 | [`Refusal::SecondaryIsPrimary`] | volume | |
//! | 10 | [`Refusal::NotReserved`] | volume | |
//! | 11 | [`Refusal::TooManySecondaries`] | volume | the most there can be |
//! | 12 | [`Refusal::TooManyPairs`] | the most there can be | |
//! | 13 | [`Refusal::Undefined`] | volume | |
//! | 14 | [`Refusal::Blocked`] | volume | |
//! | 15 | [`Refusal::Restoring`] | | |
//! | 16 | [`Refusal::Stopping`] | | |
//! | 17 | [`Refusal::Busy`] | | |
//! | 18 | [`Refusal::Lanes`] | lanes asked for | the most there can be |
//! | 19 | [`Refusal::NoneToChoose`] | volume | |
//! | 20 | [`Refusal::PrimaryIsSecondary`] | volume | |
//! | 21 | [`Refusal::OtherPair`] | volume | status |
//! | 22 | [`Refusal::DrainLimit`] | | |
//! | 23 | [`Refusal::NotForGroups`] | | |
//! | 24 | [`Refusal::GroupSize`] | pairs asked for | the most there can be |
//! | 25 | [`Refusal::GroupConflict`] | volume | |
//! | 26 | [`Refusal::InUse`] | volume | |
//! | 27 | [`Refusal::ControlFull`] | bytes asked for | bytes left |
//!
//! A volume as an operand is CU image times 256, plus LDEV.
//!
//! Invariants: what decodes encodes to the same bytes; no bytes make decoding panic.

use crate::wire::{self, WireError};
use crate::{Outcome, Refusal};
use diptych_format::{LdevId, PairId};
use diptych_shared::PairStatus;

/// Bytes of an answer block.
pub const OUTCOME_BLOCK_BYTES: usize = 40;

const MAGIC: [u8; 4] = *b"DCOB";
const VERSION: u16 = 1;
const ACCEPTED: u16 = 1;
const NOTHING: u16 = 2;
const REFUSED: u16 = 3;
const CHOSEN: u16 = 4;

mod field {
    use std::ops::Range;

    pub(super) const MAGIC: Range<usize> = 0..4;
    pub(super) const VERSION: Range<usize> = 4..6;
    pub(super) const RESULT: Range<usize> = 6..8;
    pub(super) const PAIR_NO: Range<usize> = 8..10;
    pub(super) const REASON: Range<usize> = 10..12;
    pub(super) const EPOCH: Range<usize> = 12..16;
    pub(super) const MET: Range<usize> = 16..18;
    pub(super) const NOW: Range<usize> = 18..20;
    pub(super) const SECONDARY: Range<usize> = 20..22;
    #[cfg(test)]
    pub(super) const RESERVED: Range<usize> = 22..24;
    pub(super) const OPERAND_0: Range<usize> = 24..32;
    pub(super) const OPERAND_1: Range<usize> = 32..40;
}

/// A look at the bytes of an answer block, field by field. Magic and version are right; the fields
/// are given as they stand, whether or not they make an answer. The owned form is [`Outcome`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutcomeBlock<'a>(&'a [u8; OUTCOME_BLOCK_BYTES]);

impl<'a> OutcomeBlock<'a> {
    /// The answer block at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// If there are too few bytes, or magic or version are not those of an answer block.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        wire::checked(bytes, MAGIC, VERSION).map(Self)
    }

    /// The result: 1 accepted, 2 nothing to do, 3 refused, 4 accepted, the secondary chosen.
    pub fn result(self) -> u16 {
        wire::u16_at(self.0, field::RESULT)
    }

    /// The pair, if the command was accepted.
    pub fn pair(self) -> PairId {
        let no = wire::u16_at(self.0, field::PAIR_NO);
        PairId { no, epoch: wire::u32_at(self.0, field::EPOCH) }
    }

    /// The number of the reason, if the command was refused.
    pub fn reason(self) -> u16 {
        wire::u16_at(self.0, field::REASON)
    }

    /// The number of the status met.
    pub fn met(self) -> u16 {
        wire::u16_at(self.0, field::MET)
    }

    /// The number of the status now.
    pub fn now(self) -> u16 {
        wire::u16_at(self.0, field::NOW)
    }

    /// The secondary, if the unit chose it.
    pub fn secondary(self) -> LdevId {
        let at = field::SECONDARY.start;
        LdevId::new(self.0[at], self.0[at + 1])
    }

    /// The operands of the reason.
    pub fn operands(self) -> [u64; 2] {
        [field::OPERAND_0, field::OPERAND_1].map(|at| wire::u64_at(self.0, at))
    }

    /// The answer that the block holds.
    ///
    /// # Errors
    ///
    /// If a field has a value that it cannot have, or one that is of no use in this answer is not
    /// zero.
    pub fn outcome(self) -> Result<Outcome, WireError> {
        let outcome = match self.result() {
            ACCEPTED => Outcome::Accepted {
                pair: self.pair(),
                from: status_of(self.met().into())?,
                to: status_of(self.now().into())?,
            },
            CHOSEN => {
                let found = self.now().into();
                let to = status_of(found)?.ok_or(WireError::Status { found })?;
                Outcome::Chosen { pair: self.pair(), secondary: self.secondary(), to }
            }
            NOTHING => Outcome::Nothing { met: status_of(self.met().into())? },
            REFUSED => Outcome::Refused(refusal_of(self.reason(), self.operands())?),
            found => return Err(WireError::Result { found }),
        };
        wire::canonical(self.0, &outcome.encode()).map(|()| outcome)
    }
}

impl Outcome {
    /// The answer block of this outcome.
    pub fn encode(&self) -> [u8; OUTCOME_BLOCK_BYTES] {
        let mut block = [0; OUTCOME_BLOCK_BYTES];
        block[field::MAGIC].copy_from_slice(&MAGIC);
        block[field::VERSION].copy_from_slice(&VERSION.to_le_bytes());
        let result = match *self {
            Self::Accepted { pair, from, to } => {
                block[field::PAIR_NO].copy_from_slice(&pair.no.to_le_bytes());
                block[field::EPOCH].copy_from_slice(&pair.epoch.to_le_bytes());
                block[field::MET].copy_from_slice(&status_no(from).to_le_bytes());
                block[field::NOW].copy_from_slice(&status_no(to).to_le_bytes());
                ACCEPTED
            }
            Self::Chosen { pair, secondary, to } => {
                block[field::PAIR_NO].copy_from_slice(&pair.no.to_le_bytes());
                block[field::EPOCH].copy_from_slice(&pair.epoch.to_le_bytes());
                block[field::MET].copy_from_slice(&status_no(None).to_le_bytes());
                block[field::NOW].copy_from_slice(&status_no(Some(to)).to_le_bytes());
                block[field::SECONDARY].copy_from_slice(&[secondary.cu, secondary.ldev]);
                CHOSEN
            }
            Self::Nothing { met } => {
                block[field::MET].copy_from_slice(&status_no(met).to_le_bytes());
                block[field::NOW].copy_from_slice(&status_no(met).to_le_bytes());
                NOTHING
            }
            Self::Refused(refusal) => {
                let (reason, operands) = numbers_of(refusal);
                block[field::REASON].copy_from_slice(&reason.to_le_bytes());
                block[field::OPERAND_0].copy_from_slice(&operands[0].to_le_bytes());
                block[field::OPERAND_1].copy_from_slice(&operands[1].to_le_bytes());
                REFUSED
            }
        };
        block[field::RESULT].copy_from_slice(&result.to_le_bytes());
        block
    }

    /// The outcome in the answer block at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// If the bytes are not an answer block, or one with a field that makes no sense.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        OutcomeBlock::new_checked(bytes)?.outcome()
    }
}

impl Refusal {
    /// The number of the reason in an answer block, from 1. It never changes.
    pub fn number(self) -> u16 {
        numbers_of(self).0
    }
}

/// The number of a status in an answer block; `None` is *no pair* (801).
pub(crate) const fn status_no(status: Option<PairStatus>) -> u16 {
    match status {
        None => 801,
        Some(PairStatus::PairedNotCopied) => 802,
        Some(PairStatus::CopyInProgress) => 803,
        Some(PairStatus::Copied) => 804,
        Some(PairStatus::Restoring) => 805,
        Some(PairStatus::Suspended) => 806,
    }
}

pub(crate) fn status_of(found: u64) -> Result<Option<PairStatus>, WireError> {
    match found {
        801 => Ok(None),
        802 => Ok(Some(PairStatus::PairedNotCopied)),
        803 => Ok(Some(PairStatus::CopyInProgress)),
        804 => Ok(Some(PairStatus::Copied)),
        805 => Ok(Some(PairStatus::Restoring)),
        806 => Ok(Some(PairStatus::Suspended)),
        found => Err(WireError::Status { found }),
    }
}

/// Reason and operands of a refusal. The inverse is [`refusal_of`].
fn numbers_of(refusal: Refusal) -> (u16, [u64; 2]) {
    let volume = |ldev: LdevId| u64::from(u16::from_be_bytes([ldev.cu, ldev.ldev]));
    match refusal {
        Refusal::NoVolume { ldev } => (1, [volume(ldev), 0]),
        Refusal::SameVolume { ldev } => (2, [volume(ldev), 0]),
        Refusal::SizeMismatch { primary_blocks, secondary_blocks } => {
            (3, [primary_blocks, secondary_blocks])
        }
        Refusal::TypeMismatch => (4, [0, 0]),
        Refusal::Cycle { ldev } => (5, [volume(ldev), 0]),
        Refusal::ThirdLevel { ldev } => (6, [volume(ldev), 0]),
        Refusal::FirstLevelNotCopied { status } => (7, [status_no(Some(status)).into(), 0]),
        Refusal::SecondaryIsSecondary { ldev } => (8, [volume(ldev), 0]),
        Refusal::SecondaryIsPrimary { ldev } => (9, [volume(ldev), 0]),
        Refusal::NotReserved { ldev } => (10, [volume(ldev), 0]),
        Refusal::TooManySecondaries { ldev, most } => (11, [volume(ldev), most as u64]),
        Refusal::TooManyPairs { most } => (12, [most as u64, 0]),
        Refusal::Undefined { ldev } => (13, [volume(ldev), 0]),
        Refusal::Blocked { ldev } => (14, [volume(ldev), 0]),
        Refusal::Restoring => (15, [0, 0]),
        Refusal::Stopping => (16, [0, 0]),
        Refusal::Busy => (17, [0, 0]),
        Refusal::Lanes { asked, most } => (18, [asked.into(), most.into()]),
        Refusal::NoneToChoose { ldev } => (19, [volume(ldev), 0]),
        Refusal::PrimaryIsSecondary { ldev } => (20, [volume(ldev), 0]),
        Refusal::OtherPair { ldev, status } => (21, [volume(ldev), status_no(Some(status)).into()]),
        Refusal::DrainLimit => (22, [0, 0]),
        Refusal::NotForGroups => (23, [0, 0]),
        Refusal::GroupSize { asked, most } => (24, [asked as u64, most as u64]),
        Refusal::GroupConflict { ldev } => (25, [volume(ldev), 0]),
        Refusal::InUse { ldev } => (26, [volume(ldev), 0]),
        Refusal::ControlFull { asked_bytes, free_bytes } => (27, [asked_bytes, free_bytes]),
    }
}

fn refusal_of(reason: u16, [first, second]: [u64; 2]) -> Result<Refusal, WireError> {
    let out_of_range = |found| WireError::Operand { reason, found };
    let volume = || match u16::try_from(first).map(u16::to_be_bytes) {
        Ok([cu, ldev]) => Ok(LdevId { cu, ldev }),
        Err(_) => Err(out_of_range(first)),
    };
    let count = |found: u64| usize::try_from(found).map_err(|_| out_of_range(found));
    let status = |found: u64| status_of(found)?.ok_or_else(|| out_of_range(found));
    let lanes = |found: u64| u8::try_from(found).map_err(|_| out_of_range(found));
    Ok(match reason {
        1 => Refusal::NoVolume { ldev: volume()? },
        2 => Refusal::SameVolume { ldev: volume()? },
        3 => Refusal::SizeMismatch { primary_blocks: first, secondary_blocks: second },
        4 => Refusal::TypeMismatch,
        5 => Refusal::Cycle { ldev: volume()? },
        6 => Refusal::ThirdLevel { ldev: volume()? },
        7 => Refusal::FirstLevelNotCopied { status: status(first)? },
        8 => Refusal::SecondaryIsSecondary { ldev: volume()? },
        9 => Refusal::SecondaryIsPrimary { ldev: volume()? },
        10 => Refusal::NotReserved { ldev: volume()? },
        11 => Refusal::TooManySecondaries { ldev: volume()?, most: count(second)? },
        12 => Refusal::TooManyPairs { most: count(first)? },
        13 => Refusal::Undefined { ldev: volume()? },
        14 => Refusal::Blocked { ldev: volume()? },
        15 => Refusal::Restoring,
        16 => Refusal::Stopping,
        17 => Refusal::Busy,
        18 => Refusal::Lanes { asked: lanes(first)?, most: lanes(second)? },
        19 => Refusal::NoneToChoose { ldev: volume()? },
        20 => Refusal::PrimaryIsSecondary { ldev: volume()? },
        21 => Refusal::OtherPair { ldev: volume()?, status: status(second)? },
        22 => Refusal::DrainLimit,
        23 => Refusal::NotForGroups,
        24 => Refusal::GroupSize { asked: count(first)?, most: count(second)? },
        25 => Refusal::GroupConflict { ldev: volume()? },
        26 => Refusal::InUse { ldev: volume()? },
        27 => Refusal::ControlFull { asked_bytes: first, free_bytes: second },
        found => return Err(WireError::Reason { found }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error_texts::refusals;
    use proptest::prelude::*;

    fn statuses() -> Vec<Option<PairStatus>> {
        [None].into_iter().chain(PairStatus::ALL.map(Some)).collect()
    }

    #[test]
    fn the_table_is_the_layout() {
        let fields = [
            ("magic", field::MAGIC),
            ("version", field::VERSION),
            ("result", field::RESULT),
            ("pair number", field::PAIR_NO),
            ("reason", field::REASON),
            ("epoch", field::EPOCH),
            ("status met", field::MET),
            ("status now", field::NOW),
            ("secondary", field::SECONDARY),
            ("reserved", field::RESERVED),
            ("operand 0", field::OPERAND_0),
            ("operand 1", field::OPERAND_1),
        ];
        wire::documented::check(include_str!("outcome_block.rs"), &fields, OUTCOME_BLOCK_BYTES);
    }

    #[test]
    fn the_table_of_reasons_is_the_code() {
        let documented: Vec<String> = include_str!("outcome_block.rs")
            .lines()
            .filter_map(|line| line.strip_prefix("//! | ")?.split_once(" | [`Refusal::"))
            .map(|(reason, rest)| format!("{reason} {}", rest.split('`').next().unwrap_or("")))
            .collect();
        let coded: Vec<String> = refusals()
            .into_iter()
            .map(|refusal| {
                let name = format!("{refusal:?}");
                let name = name.split(' ').next().unwrap_or("").to_owned();
                format!("{} {name}", refusal.number())
            })
            .collect();
        assert_eq!(documented, coded);
    }

    #[test]
    fn statuses_have_the_numbers_of_the_figure() {
        for (status, number) in statuses().into_iter().zip(801..) {
            assert_eq!(status_no(status), number);
            assert_eq!(status_of(number.into()), Ok(status));
            let figure = status.map_or(Some(801), PairStatus::code);
            assert_eq!(figure, (number <= 804).then_some(number));
        }
    }

    #[test]
    fn the_bytes_of_the_answers() {
        fn check(outcome: Outcome, bytes_6_to_20: [u8; 14], operands: [u64; 2]) {
            let block = outcome.encode();
            assert_eq!(block[..6], *b"DCOB\x01\x00", "{outcome:?}");
            assert_eq!(block[6..20], bytes_6_to_20, "{outcome:?}");
            assert_eq!(OutcomeBlock::new_checked(&block).map(OutcomeBlock::operands), Ok(operands));
            assert_eq!(Outcome::decode(&block), Ok(outcome));
        }
        let pair = PairId { no: 0x0102, epoch: 0x0304_0506 };
        let [split, copied] = [Some(PairStatus::CopyInProgress), Some(PairStatus::Copied)];
        check(
            Outcome::Accepted { pair, from: split, to: copied },
            [1, 0, 2, 1, 0, 0, 6, 5, 4, 3, 0x23, 3, 0x24, 3],
            [0, 0],
        );
        let pending = PairStatus::PairedNotCopied;
        check(
            Outcome::Chosen { pair, secondary: LdevId::new(7, 8), to: pending },
            [4, 0, 2, 1, 0, 0, 6, 5, 4, 3, 0x21, 3, 0x22, 3],
            [0, 0],
        );
        check(
            Outcome::Nothing { met: None },
            [2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x21, 3, 0x21, 3],
            [0, 0],
        );
        check(
            Outcome::Refused(Refusal::TooManySecondaries { ldev: LdevId::new(1, 2), most: 3 }),
            [3, 0, 0, 0, 11, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            [0x0102, 3],
        );
    }

    #[test]
    fn what_is_no_answer() {
        fn check(outcome: Outcome, at: usize, byte: u8, expected: WireError) {
            let mut block = outcome.encode();
            block[at] = byte;
            assert_eq!(Outcome::decode(&block), Err(expected), "{outcome:?}: byte {at}: {byte}");
        }
        let nothing = Outcome::Nothing { met: Some(PairStatus::Suspended) };
        let no_volume = Outcome::Refused(Refusal::NoVolume { ldev: LdevId::new(0, 1) });
        let first_level = Refusal::FirstLevelNotCopied { status: PairStatus::Suspended };
        let full = Outcome::Refused(Refusal::TooManyPairs { most: 8 });
        check(nothing, 3, b'P', WireError::Magic { expected: 0x424F_4344, found: 0x504F_4344 });
        check(nothing, 4, 0, WireError::Version { known: 1, found: 0 });
        check(nothing, 6, 0, WireError::Result { found: 0 });
        check(nothing, 6, 5, WireError::Result { found: 5 });
        check(nothing, 8, 1, WireError::Reserved { at: 8, expected: 0, found: 1 });
        check(nothing, 16, 0x20, WireError::Status { found: 800 });
        check(nothing, 18, 0x25, WireError::Reserved { at: 18, expected: 0x26, found: 0x25 });
        check(nothing, 23, 1, WireError::Reserved { at: 23, expected: 0, found: 1 });
        check(no_volume, 10, 99, WireError::Reason { found: 99 });
        let (pair, to) = (PairId { no: 1, epoch: 1 }, PairStatus::PairedNotCopied);
        let chosen = Outcome::Chosen { pair, secondary: LdevId::new(0, 1), to };
        check(chosen, 16, 0x22, WireError::Reserved { at: 16, expected: 0x21, found: 0x22 });
        check(chosen, 18, 0x21, WireError::Status { found: 801 });
        check(nothing, 21, 1, WireError::Reserved { at: 21, expected: 0, found: 1 });
        check(no_volume, 26, 1, WireError::Operand { reason: 1, found: 0x1_0001 });
        check(no_volume, 32, 1, WireError::Reserved { at: 32, expected: 0, found: 1 });
        let refused = Outcome::Refused(first_level);
        check(refused, 24, 0x21, WireError::Operand { reason: 7, found: 801 });
        check(refused, 24, 0x27, WireError::Status { found: 807 });
        check(full, 39, 1, WireError::Reserved { at: 39, expected: 0, found: 1 });
        let too_short = WireError::TooShort { expected: 40, found: 39 };
        assert_eq!(Outcome::decode(&nothing.encode()[..39]), Err(too_short));
    }

    #[test]
    fn every_refusal_survives_its_block() {
        for refusal in refusals() {
            let outcome = Outcome::Refused(refusal);
            assert_eq!(Outcome::decode(&outcome.encode()), Ok(outcome));
        }
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        let status = || prop::sample::select(statuses());
        let accepted =
            (any::<u16>(), any::<u32>(), status(), status()).prop_map(|(no, epoch, from, to)| {
                Outcome::Accepted { pair: PairId { no, epoch }, from, to }
            });
        let nothing = status().prop_map(|met| Outcome::Nothing { met });
        let refused = prop::sample::select(refusals()).prop_map(Outcome::Refused);
        let chosen = (any::<u16>(), any::<u32>(), any::<[u8; 2]>(), 0..PairStatus::ALL.len())
            .prop_map(|(no, epoch, [cu, ldev], to)| Outcome::Chosen {
                pair: PairId { no, epoch },
                secondary: LdevId::new(cu, ldev),
                to: PairStatus::ALL[to],
            });
        prop_oneof![accepted, chosen, nothing, refused]
    }

    proptest! {
        #[test]
        fn an_outcome_survives_its_block(outcome in any_outcome()) {
            prop_assert_eq!(Outcome::decode(&outcome.encode()), Ok(outcome));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(
            outcome in any_outcome(),
            changes in prop::collection::vec((6..OUTCOME_BLOCK_BYTES, any::<u8>()), 0..3),
        ) {
            let mut block = outcome.encode();
            for (at, byte) in changes {
                block[at] = byte;
            }
            if let Ok(decoded) = Outcome::decode(&block) {
                prop_assert_eq!(decoded.encode(), block);
            }
        }
    }
}
