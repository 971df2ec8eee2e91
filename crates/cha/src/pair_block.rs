//! The pair block: pair information (Fig. 3) in bytes, as a command device shows it.
//!
//! | offset | bytes | field | content |
//! |---|---|---|---|
//! | 0 | 4 | magic | the letters `DCPI` |
//! | 4 | 2 | version | 1 |
//! | 6 | 2 | status | 302: 802 to 806, as in an answer block |
//! | 8 | 2 | pair number | 301 |
//! | 10 | 1 | phase | in 802: 1 idle, 2 pending, 3 re-sync, 4 duplex; else 0 |
//! | 11 | 1 | flags | bit 0 quick, 1 the copier is on; else zero |
//! | 12 | 4 | epoch | of the pair number |
//! | 16 | 2 | primary | 303: CU image, then LDEV |
//! | 18 | 2 | secondary | 304: CU image, then LDEV |
//! | 20 | 1 | pace | tracks of one elemental copy, 1 to 15 |
//! | 21 | 1 | lanes | jobs that copy for the pair, at least 1 |
//! | 22 | 1 | limit kind | as in a command block |
//! | 23 | 1 | reserved | zero |
//! | 24 | 8 | limit | as in a command block |
//! | 32 | 8 | tracks | of each volume |
//! | 40 | 8 | copy pointer | 305, a hint |
//! | 48 | 8 | C | tracks still to be copied; 0: the copy has ended |
//! | 56 | 8 | DP | tracks of the primary changed since the image |
//! | 64 | 8 | DS | tracks of the secondary changed since the image |
//! | 72 | 8 | A | tracks changed between the image before and this one |
//! | 80 | 8 | unreadable | tracks that cannot be read, and so cannot be copied |
//! | 88 | 8 | image | number of the image that the secondary holds or will hold; 0: none |
//! | 96 | 8 | image before | that A leads from; 0: A is everything |
//! | 104 | 8 | tracks copied | since the pair was created |
//! | 112 | 8 | tracks protected | how many of them were copied before a host's write |
//! | 120 | 8 | reserved | zero |
//!
//! Numbers are little-endian. Where there is no pair, all bytes are zero.
//!
//! Invariants: what decodes encodes to the same bytes; no bytes make decoding panic.

use crate::PairFacts;
use crate::command_block::{decode_limit, encode_limit};
use crate::outcome_block::{status_no, status_of};
use crate::wire::{self, WireError};
use diptych_format::{ImageNo, LdevId, PairId, TrackNo};
use diptych_shared::{Pace, PairOptions, PairStatus, Phase};

/// Bytes of a pair block: four fit a block of a volume.
pub const PAIR_BLOCK_BYTES: usize = 128;

const MAGIC: [u8; 4] = *b"DCPI";
const VERSION: u16 = 1;
const QUICK: u8 = 1 << 0;
const COPIER: u8 = 1 << 1;
/// Their places are their numbers, from 1.
const PHASES: [Phase; 4] = [Phase::Idle, Phase::Pending, Phase::Resync, Phase::Duplex];

mod field {
    use std::ops::Range;

    pub(super) const MAGIC: Range<usize> = 0..4;
    pub(super) const VERSION: Range<usize> = 4..6;
    pub(super) const STATUS: Range<usize> = 6..8;
    pub(super) const PAIR_NO: Range<usize> = 8..10;
    pub(super) const PHASE: usize = 10;
    pub(super) const FLAGS: usize = 11;
    pub(super) const EPOCH: Range<usize> = 12..16;
    pub(super) const PRIMARY: Range<usize> = 16..18;
    pub(super) const SECONDARY: Range<usize> = 18..20;
    pub(super) const PACE: usize = 20;
    pub(super) const LANES: usize = 21;
    pub(super) const LIMIT_KIND: usize = 22;
    #[cfg(test)]
    pub(super) const RESERVED: usize = 23;
    pub(super) const LIMIT: Range<usize> = 24..32;
    /// The numbers behind it, eight bytes each.
    pub(super) const NUMBERS: usize = 32;
}

impl PairFacts {
    /// The pair block of this pair.
    pub fn encode(&self) -> [u8; PAIR_BLOCK_BYTES] {
        let mut block = [0; PAIR_BLOCK_BYTES];
        block[field::MAGIC].copy_from_slice(&MAGIC);
        block[field::VERSION].copy_from_slice(&VERSION.to_le_bytes());
        block[field::STATUS].copy_from_slice(&status_no(Some(self.status)).to_le_bytes());
        block[field::PAIR_NO].copy_from_slice(&self.id.no.to_le_bytes());
        let phase = self.phase.and_then(|phase| PHASES.iter().position(|one| *one == phase));
        block[field::PHASE] = phase.map_or(0, |at| at as u8 + 1);
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        block[field::FLAGS] = flag(self.options.quick, QUICK) | flag(self.copier, COPIER);
        block[field::EPOCH].copy_from_slice(&self.id.epoch.to_le_bytes());
        block[field::PRIMARY].copy_from_slice(&[self.primary.cu, self.primary.ldev]);
        block[field::SECONDARY].copy_from_slice(&[self.secondary.cu, self.secondary.ldev]);
        block[field::PACE] = self.options.pace.tracks();
        block[field::LANES] = self.options.lanes;
        let (kind, value) = encode_limit(self.options.limit);
        block[field::LIMIT_KIND] = kind;
        block[field::LIMIT].copy_from_slice(&value.to_le_bytes());
        for (no, number) in self.numbers().into_iter().enumerate() {
            let at = field::NUMBERS + 8 * no;
            block[at..at + 8].copy_from_slice(&number.to_le_bytes());
        }
        block
    }

    /// In the order of the block.
    fn numbers(&self) -> [u64; 11] {
        [
            self.tracks,
            self.copy_pointer.0,
            self.c_tracks,
            self.dp_tracks,
            self.ds_tracks,
            self.a_tracks,
            self.unreadable_tracks,
            self.image.0,
            self.a_from.0,
            self.copied_tracks,
            self.protected_tracks,
        ]
    }

    /// The pair in the pair block at the start of `bytes`; nothing, if all bytes of the block are zero.
    ///
    /// # Errors
    ///
    /// If the bytes are not a pair block, or one with a field that makes no sense.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, WireError> {
        if bytes.len() >= PAIR_BLOCK_BYTES && bytes[..PAIR_BLOCK_BYTES].iter().all(|b| *b == 0) {
            return Ok(None);
        }
        let block: &[u8; PAIR_BLOCK_BYTES] = wire::checked(bytes, MAGIC, VERSION)?;
        let found = u64::from(wire::u16_at(block, field::STATUS));
        let status = status_of(found)?.ok_or(WireError::Status { found })?;
        let pace = block[field::PACE];
        if block[field::LANES] == 0 {
            return Err(WireError::NoLane);
        }
        let limit = (block[field::LIMIT_KIND], wire::u64_at(block, field::LIMIT));
        let volume = |at: std::ops::Range<usize>| LdevId::new(block[at.start], block[at.start + 1]);
        let number = |no: usize| {
            let at = field::NUMBERS + 8 * no;
            wire::u64_at(block, at..at + 8)
        };
        let facts = Self {
            id: PairId {
                no: wire::u16_at(block, field::PAIR_NO),
                epoch: wire::u32_at(block, field::EPOCH),
            },
            status,
            phase: phase_of(status, block[field::PHASE])?,
            primary: volume(field::PRIMARY),
            secondary: volume(field::SECONDARY),
            options: PairOptions {
                pace: Pace::try_from(pace).map_err(|_| WireError::Pace { found: pace })?,
                lanes: block[field::LANES],
                quick: block[field::FLAGS] & QUICK != 0,
                limit: decode_limit(limit)?,
            },
            copier: block[field::FLAGS] & COPIER != 0,
            tracks: number(0),
            copy_pointer: TrackNo(number(1)),
            c_tracks: number(2),
            dp_tracks: number(3),
            ds_tracks: number(4),
            a_tracks: number(5),
            unreadable_tracks: number(6),
            image: ImageNo(number(7)),
            a_from: ImageNo(number(8)),
            copied_tracks: number(9),
            protected_tracks: number(10),
        };
        wire::canonical(block, &facts.encode()).map(|()| Some(facts))
    }
}

/// 802 has a phase, and nothing else has.
fn phase_of(status: PairStatus, found: u8) -> Result<Option<Phase>, WireError> {
    if status != PairStatus::PairedNotCopied {
        return Ok(None);
    }
    let phase = usize::from(found).checked_sub(1).and_then(|at| PHASES.get(at));
    phase.copied().map(Some).ok_or(WireError::Phase { found })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_module_documents_the_layout() {
        let one = |at: usize| at..at + 1;
        let number = |no: usize| field::NUMBERS + 8 * no..field::NUMBERS + 8 * no + 8;
        let mut fields = vec![
            ("magic", field::MAGIC),
            ("version", field::VERSION),
            ("status", field::STATUS),
            ("pair number", field::PAIR_NO),
            ("phase", one(field::PHASE)),
            ("flags", one(field::FLAGS)),
            ("epoch", field::EPOCH),
            ("primary", field::PRIMARY),
            ("secondary", field::SECONDARY),
            ("pace", one(field::PACE)),
            ("lanes", one(field::LANES)),
            ("limit kind", one(field::LIMIT_KIND)),
            ("reserved", one(field::RESERVED)),
            ("limit", field::LIMIT),
        ];
        let names = [
            "tracks",
            "copy pointer",
            "C",
            "DP",
            "DS",
            "A",
            "unreadable",
            "image",
            "image before",
            "tracks copied",
            "tracks protected",
            "reserved",
        ];
        fields.extend(names.into_iter().enumerate().map(|(no, name)| (name, number(no))));
        wire::documented::check(include_str!("pair_block.rs"), &fields, PAIR_BLOCK_BYTES);
    }

    fn split() -> PairFacts {
        PairFacts {
            id: PairId { no: 3, epoch: 2 },
            status: PairStatus::Copied,
            phase: None,
            primary: LdevId::new(0, 0x1A),
            secondary: LdevId::new(1, 0x3B),
            options: PairOptions::default(),
            copier: true,
            tracks: 1_000,
            copy_pointer: TrackNo(7),
            c_tracks: 0,
            dp_tracks: 12,
            ds_tracks: 1,
            a_tracks: 1_000,
            unreadable_tracks: 0,
            image: ImageNo(99),
            a_from: ImageNo(0),
            copied_tracks: 1_000,
            protected_tracks: 4,
        }
    }

    #[test]
    fn the_bytes_of_a_pair() {
        let block = split().encode();
        assert_eq!(block[..16], [68, 67, 80, 73, 1, 0, 36, 3, 3, 0, 0, 2, 2, 0, 0, 0]);
        assert_eq!(block[16..24], [0, 0x1A, 1, 0x3B, 3, 1, 0, 0]);
        assert_eq!(PairFacts::decode(&block), Ok(Some(split())));
        assert_eq!(split().shown_as(), "split");
        assert_eq!(PairFacts::decode(&[0; 512]), Ok(None));
    }

    #[test]
    fn what_is_no_pair_block() {
        #[track_caller]
        fn check(facts: PairFacts, at: usize, byte: u8, expected: WireError) {
            let mut block = facts.encode();
            block[at] = byte;
            assert_eq!(PairFacts::decode(&block), Err(expected));
        }
        let following = PairFacts {
            status: PairStatus::PairedNotCopied,
            phase: Some(Phase::Duplex),
            ..split()
        };
        assert_eq!(PairFacts::decode(&following.encode()), Ok(Some(following)));
        check(split(), 4, 2, WireError::Version { known: 1, found: 2 });
        check(split(), 6, 33, WireError::Status { found: 801 });
        check(split(), 10, 1, WireError::Reserved { at: 10, expected: 0, found: 1 });
        check(following, 10, 0, WireError::Phase { found: 0 });
        check(following, 10, 5, WireError::Phase { found: 5 });
        check(split(), 11, 4, WireError::Reserved { at: 11, expected: 0, found: 4 });
        check(split(), 20, 0, WireError::Pace { found: 0 });
        check(split(), 21, 0, WireError::NoLane);
        check(split(), 22, 1, WireError::Limit { kind: 1, value: 0 });
        check(split(), 127, 1, WireError::Reserved { at: 127, expected: 0, found: 1 });
        let too_short = WireError::TooShort { expected: 128, found: 127 };
        assert_eq!(PairFacts::decode(&[0; 127]), Err(too_short));
    }

    proptest! {
        #[test]
        fn what_decodes_encodes_to_the_same_bytes(
            changes in prop::collection::vec((0..PAIR_BLOCK_BYTES, any::<u8>()), 0..6),
        ) {
            let mut block = split().encode();
            for (at, byte) in changes {
                block[at] = byte;
            }
            if let Ok(Some(decoded)) = PairFacts::decode(&block) {
                prop_assert_eq!(decoded.encode(), block);
            }
        }

        #[test]
        fn arbitrary_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = PairFacts::decode(&bytes);
            let _ = PairFacts::decode(&[&MAGIC[..], &[1, 0], &bytes].concat());
        }
    }
}
