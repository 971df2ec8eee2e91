//! The command block (Fig. 7): how a host hands a pair command to the control unit.
//!
//! | offset | bytes | field | content |
//! |---|---|---|---|
//! | 0 | 4 | magic | the letters `DCMB` |
//! | 4 | 2 | version | 1 |
//! | 6 | 2 | command code | 701: the command's number in the figures, see [`CommandCode::number`] |
//! | 8 | 2 | primary | 702: CU image, then LDEV |
//! | 10 | 2 | secondary | 703: CU image, then LDEV |
//! | 12 | 1 | pace | tracks of one elemental copy, 1 to 15 (Figs. 11C, 11E) |
//! | 13 | 1 | lanes | jobs that copy for the pair, at least 1 |
//! | 14 | 1 | flags | bit 0 quick, 1 initial copy, 2 automatic, 3 create and copy, 4 freeze, 5 force; else zero |
//! | 15 | 1 | limit kind | what [`PaceLimit`] the copy has: 0 none, 1 tracks a second, 2 added latency |
//! | 16 | 8 | limit | tracks a second, or nanoseconds; not zero, but for kind 0 |
//!
//! *Automatic* belongs to create: the unit chooses the secondary, and 703 is zero.
//!
//! Numbers are little-endian. Bytes behind the block are not looked at: a host may send it in a
//! sector. There is no check code, because every channel protects what it carries.
//!
//! Invariants: what decodes encodes to the same bytes; no bytes make decoding panic; a block says
//! nothing of LUNs or ports, because 702 and 703 name volumes by CU and LDEV.

use crate::wire::{self, WireError};
use crate::{Command, CommandCode, CreateAuto, HostOp, Who};
use diptych_format::LdevId;
use diptych_shared::{Pace, PaceLimit, PairOptions};
use std::num::{NonZeroU32, NonZeroU64};

/// Bytes of a command block.
pub const COMMAND_BLOCK_BYTES: usize = 24;

const MAGIC: [u8; 4] = *b"DCMB";
const VERSION: u16 = 1;
const QUICK: u8 = 1 << 0;
const INITIAL_COPY: u8 = 1 << 1;
const AUTOMATIC: u8 = 1 << 2;
const AND_COPY: u8 = 1 << 3;
const FREEZE: u8 = 1 << 4;
const FORCE: u8 = 1 << 5;
const NO_LIMIT: u8 = 0;
const TRACKS_PER_SECOND: u8 = 1;
const ADDED_LATENCY: u8 = 2;

mod field {
    use std::ops::Range;

    pub(super) const MAGIC: Range<usize> = 0..4;
    pub(super) const VERSION: Range<usize> = 4..6;
    pub(super) const CODE: Range<usize> = 6..8;
    pub(super) const PRIMARY: Range<usize> = 8..10;
    pub(super) const SECONDARY: Range<usize> = 10..12;
    pub(super) const PACE: usize = 12;
    pub(super) const LANES: usize = 13;
    pub(super) const FLAGS: usize = 14;
    pub(super) const LIMIT_KIND: usize = 15;
    pub(super) const LIMIT: Range<usize> = 16..24;
}

/// A look at the bytes of a command block, field by field. Magic and version are right; the fields
/// are given as they stand, whether or not they make a command. The owned form is [`Command`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandBlock<'a>(&'a [u8; COMMAND_BLOCK_BYTES]);

impl<'a> CommandBlock<'a> {
    /// The command block at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// If there are too few bytes, or magic or version are not those of a command block.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        wire::checked(bytes, MAGIC, VERSION).map(Self)
    }

    /// The command code 701.
    pub fn code(self) -> u16 {
        wire::u16_at(self.0, field::CODE)
    }

    /// The primary volume 702.
    pub fn primary(self) -> LdevId {
        self.volume(field::PRIMARY)
    }

    /// The secondary volume 703.
    pub fn secondary(self) -> LdevId {
        self.volume(field::SECONDARY)
    }

    /// The pace, in tracks of one elemental copy.
    pub fn pace(self) -> u8 {
        self.0[field::PACE]
    }

    /// The number of lanes.
    pub fn lanes(self) -> u8 {
        self.0[field::LANES]
    }

    /// Whether the secondary is there at once after a copy command (Fig. 8: 803).
    pub fn is_quick(self) -> bool {
        self.0[field::FLAGS] & QUICK != 0
    }

    /// Whether a create command starts the initial copy.
    pub fn has_initial_copy(self) -> bool {
        self.0[field::FLAGS] & INITIAL_COPY != 0
    }

    /// The limit of the copy, as its kind and its value.
    pub fn limit(self) -> (u8, u64) {
        (self.0[field::LIMIT_KIND], wire::u64_at(self.0, field::LIMIT))
    }

    /// Whether the unit chooses the secondary of a create command.
    pub fn is_automatic(self) -> bool {
        self.0[field::FLAGS] & AUTOMATIC != 0
    }

    /// Whether a create command is a copy command as well.
    pub fn is_and_copy(self) -> bool {
        self.0[field::FLAGS] & AND_COPY != 0
    }

    /// Whether the pair stays split over a quick restore.
    pub fn is_freeze(self) -> bool {
        self.0[field::FLAGS] & FREEZE != 0
    }

    /// Whether a delete command is to be carried out while restoring.
    pub fn is_force(self) -> bool {
        self.0[field::FLAGS] & FORCE != 0
    }

    /// The host operation that the block asks for: a command, or an automatic create.
    ///
    /// # Errors
    ///
    /// If a field has a value that it cannot have, or a reserved bit is set.
    pub fn operation(self) -> Result<HostOp, WireError> {
        if !(self.is_automatic() && self.code() == CommandCode::Create.number()) {
            return self.command().map(HostOp::Command);
        }
        let Command { primary, options, initial_copy, and_copy, who, .. } = self.fields()?;
        let auto = CreateAuto { primary, options, initial_copy, and_copy, who };
        wire::canonical(self.0, &auto.encode()).map(|()| HostOp::CreateAuto(auto))
    }

    /// The command that the block holds.
    ///
    /// # Errors
    ///
    /// If a field has a value that it cannot have, or a reserved bit is set; the secondary of a
    /// command is not automatic.
    pub fn command(self) -> Result<Command, WireError> {
        let command = self.fields()?;
        wire::canonical(self.0, &command.encode()).map(|()| command)
    }

    fn fields(self) -> Result<Command, WireError> {
        let unknown = WireError::Code { found: self.code() };
        let pace = self.pace();
        let command = Command {
            code: CommandCode::from_number(self.code()).ok_or(unknown)?,
            primary: self.primary(),
            secondary: self.secondary(),
            options: PairOptions {
                pace: Pace::try_from(pace).map_err(|_| WireError::Pace { found: pace })?,
                lanes: self.lanes(),
                quick: self.is_quick(),
                limit: decode_limit(self.limit())?,
            },
            initial_copy: self.has_initial_copy(),
            and_copy: self.is_and_copy(),
            freeze: self.is_freeze(),
            force: self.is_force(),
            who: Who::Host,
        };
        if self.lanes() == 0 {
            return Err(WireError::NoLane);
        }
        Ok(command)
    }

    fn volume(self, at: std::ops::Range<usize>) -> LdevId {
        LdevId::new(self.0[at.start], self.0[at.start + 1])
    }
}

impl CreateAuto {
    /// The command block of this command.
    ///
    /// # Panics
    ///
    /// If the options ask for no lane: no command block says that.
    pub fn encode(&self) -> [u8; COMMAND_BLOCK_BYTES] {
        let mut block = self.choose(LdevId::new(0, 0)).encode();
        block[field::FLAGS] |= AUTOMATIC;
        block
    }
}

pub(crate) fn decode_limit((kind, value): (u8, u64)) -> Result<Option<PaceLimit>, WireError> {
    let tracks = || u32::try_from(value).ok().and_then(NonZeroU32::new);
    let limit = match kind {
        NO_LIMIT if value == 0 => return Ok(None),
        TRACKS_PER_SECOND => tracks().map(PaceLimit::TracksPerSecond),
        ADDED_LATENCY => NonZeroU64::new(value).map(PaceLimit::AddedLatencyNs),
        _ => None,
    };
    limit.map(Some).ok_or(WireError::Limit { kind, value })
}

pub(crate) fn encode_limit(limit: Option<PaceLimit>) -> (u8, u64) {
    match limit {
        None => (NO_LIMIT, 0),
        Some(PaceLimit::TracksPerSecond(tracks)) => (TRACKS_PER_SECOND, tracks.get().into()),
        Some(PaceLimit::AddedLatencyNs(target_ns)) => (ADDED_LATENCY, target_ns.get()),
    }
}

impl Command {
    /// The command block of this command.
    ///
    /// # Panics
    ///
    /// If the options ask for no lane: no command block says that.
    pub fn encode(&self) -> [u8; COMMAND_BLOCK_BYTES] {
        assert!(self.options.lanes > 0, "a pair has at least one lane");
        let mut block = [0; COMMAND_BLOCK_BYTES];
        block[field::MAGIC].copy_from_slice(&MAGIC);
        block[field::VERSION].copy_from_slice(&VERSION.to_le_bytes());
        block[field::CODE].copy_from_slice(&self.code.number().to_le_bytes());
        block[field::PRIMARY].copy_from_slice(&[self.primary.cu, self.primary.ldev]);
        block[field::SECONDARY].copy_from_slice(&[self.secondary.cu, self.secondary.ldev]);
        block[field::PACE] = self.options.pace.tracks();
        block[field::LANES] = self.options.lanes;
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        block[field::FLAGS] = flag(self.options.quick, QUICK)
            | flag(self.initial_copy, INITIAL_COPY)
            | flag(self.and_copy, AND_COPY)
            | flag(self.freeze, FREEZE)
            | flag(self.force, FORCE);
        let (kind, value) = encode_limit(self.options.limit);
        block[field::LIMIT_KIND] = kind;
        block[field::LIMIT].copy_from_slice(&value.to_le_bytes());
        block
    }

    /// The command in the command block at the start of `bytes`.
    ///
    /// # Errors
    ///
    /// If the bytes are not a command block, or one with a field that makes no sense.
    pub fn decode(bytes: &[u8]) -> Result<Self, WireError> {
        CommandBlock::new_checked(bytes)?.command()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLOCK: [u8; COMMAND_BLOCK_BYTES] = [
        b'D', b'C', b'M', b'B', 1, 0, 213, 0, 0, 0x1A, 2, 0x3B, // what and which
        15, 4, 1, 2, 0x20, 0xA1, 7, 0, 0, 0, 0, 0, // how: 500 us
    ];

    fn command() -> Command {
        let limit = NonZeroU64::new(500_000).map(PaceLimit::AddedLatencyNs);
        let options = PairOptions { pace: Pace::FAST, lanes: 4, quick: true, limit };
        Command::new(CommandCode::Copy, LdevId::new(0, 0x1A), LdevId::new(2, 0x3B))
            .with_options(options)
            .without_initial_copy()
    }

    #[test]
    fn the_table_is_the_layout() {
        let one = |at: usize| at..at + 1;
        let fields = [
            ("magic", field::MAGIC),
            ("version", field::VERSION),
            ("command code", field::CODE),
            ("primary", field::PRIMARY),
            ("secondary", field::SECONDARY),
            ("pace", one(field::PACE)),
            ("lanes", one(field::LANES)),
            ("flags", one(field::FLAGS)),
            ("limit kind", one(field::LIMIT_KIND)),
            ("limit", field::LIMIT),
        ];
        wire::documented::check(include_str!("command_block.rs"), &fields, COMMAND_BLOCK_BYTES);
    }

    #[test]
    fn the_bytes_of_a_command() {
        assert_eq!(command().encode(), BLOCK);
        assert_eq!(Command::decode(&BLOCK), Ok(command()));
        let in_a_sector = [BLOCK.as_slice(), [0xFF; 496].as_slice()].concat();
        assert_eq!(Command::decode(&in_a_sector), Ok(command()));
    }

    #[test]
    fn the_bytes_of_an_automatic_create() {
        let auto = CreateAuto { initial_copy: false, ..CreateAuto::new(LdevId::new(2, 0x3B)) };
        let mut block = [0; COMMAND_BLOCK_BYTES];
        block[..16]
            .copy_from_slice(&[b'D', b'C', b'M', b'B', 1, 0, 211, 0, 2, 0x3B, 0, 0, 3, 1, 4, 0]);
        assert_eq!(auto.encode(), block);
        fn check(block: [u8; COMMAND_BLOCK_BYTES], expected: Result<HostOp, WireError>) {
            let checked = CommandBlock::new_checked(&block).expect("magic and version are right");
            assert_eq!(checked.operation(), expected, "{block:?}");
        }
        check(block, Ok(HostOp::CreateAuto(auto)));
        check(BLOCK, Ok(HostOp::Command(command())));
        let with = |at: usize, byte: u8| {
            let mut block = block;
            block[at] = byte;
            block
        };
        let reserved = |at, expected, found| Err(WireError::Reserved { at, expected, found });
        check(with(10, 1), reserved(10, 0, 1));
        check(with(14, 0x14), reserved(14, 4, 0x14));
        check(with(13, 0), Err(WireError::NoLane));
        // Copy knows no automatic secondary.
        check(with(6, 213), reserved(14, 0, 4));
        assert_eq!(
            Command::decode(&block),
            Err(WireError::Reserved { at: 14, expected: 0, found: 4 })
        );
    }

    #[test]
    fn what_is_no_command() {
        fn check(at: usize, byte: u8, expected: WireError) {
            let mut block = BLOCK;
            block[at] = byte;
            assert_eq!(Command::decode(&block), Err(expected), "byte {at}: {byte}");
        }
        check(0, b'd', WireError::Magic { expected: 0x424D_4344, found: 0x424D_4364 });
        check(4, 2, WireError::Version { known: 1, found: 2 });
        check(5, 1, WireError::Version { known: 1, found: 257 });
        check(6, 217, WireError::Code { found: 217 });
        check(7, 1, WireError::Code { found: 469 });
        check(12, 0, WireError::Pace { found: 0 });
        check(12, 16, WireError::Pace { found: 16 });
        check(13, 0, WireError::NoLane);
        check(14, 0x81, WireError::Reserved { at: 14, expected: 0x01, found: 0x81 });
        check(14, 0x48, WireError::Reserved { at: 14, expected: 0x08, found: 0x48 });
        check(15, 0, WireError::Limit { kind: 0, value: 500_000 });
        check(15, 3, WireError::Limit { kind: 3, value: 500_000 });
        for found in 0..COMMAND_BLOCK_BYTES {
            let too_short = WireError::TooShort { expected: COMMAND_BLOCK_BYTES, found };
            assert_eq!(Command::decode(&BLOCK[..found]), Err(too_short));
        }
    }

    #[test]
    fn limits() {
        fn check(kind: u8, value: u64, expected: Option<Option<PaceLimit>>) {
            let expected = expected.ok_or(WireError::Limit { kind, value });
            assert_eq!(decode_limit((kind, value)), expected, "{kind}, {value}");
            if let Ok(limit) = expected {
                assert_eq!(encode_limit(limit), (kind, value));
            }
        }
        check(0, 0, Some(None));
        check(0, 1, None);
        check(1, 0, None);
        check(1, 200, Some(NonZeroU32::new(200).map(PaceLimit::TracksPerSecond)));
        check(1, 1 << 32, None);
        check(2, 0, None);
        check(2, u64::MAX, Some(NonZeroU64::new(u64::MAX).map(PaceLimit::AddedLatencyNs)));
        check(3, 1, None);
    }

    fn any_limit() -> impl Strategy<Value = Option<PaceLimit>> {
        let ceiling = any::<NonZeroU32>().prop_map(PaceLimit::TracksPerSecond);
        let target = any::<NonZeroU64>().prop_map(PaceLimit::AddedLatencyNs);
        prop::option::of(prop_oneof![ceiling, target])
    }

    prop_compose! {
        fn any_command()(
            code in prop::sample::select(CommandCode::ALL.to_vec()),
            [cu, ldev, other_cu, other_ldev] in any::<[u8; 4]>(),
            pace in 1..=15_u8,
            lanes in 1..=u8::MAX,
            [quick, initial_copy, and_copy, freeze, force] in any::<[bool; 5]>(),
            limit in any_limit(),
        ) -> Command {
            let pace = Pace::try_from(pace).expect("1 to 15");
            let options = PairOptions { pace, lanes, quick, limit };
            let [primary, secondary] = [LdevId::new(cu, ldev), LdevId::new(other_cu, other_ldev)];
            let who = Who::Host;
            Command { code, primary, secondary, options, initial_copy, and_copy, freeze, force, who }
        }
    }

    proptest! {
        #[test]
        fn a_command_survives_its_block(command in any_command()) {
            prop_assert_eq!(Command::decode(&command.encode()), Ok(command));
        }

        #[test]
        fn what_decodes_encodes_to_the_same_bytes(
            command in any_command(),
            changes in prop::collection::vec((0..COMMAND_BLOCK_BYTES, any::<u8>()), 0..3),
        ) {
            let mut block = command.encode();
            for (at, byte) in changes {
                block[at] = byte;
            }
            if let Ok(decoded) = Command::decode(&block) {
                prop_assert_eq!(decoded.encode(), block);
            }
        }

        #[test]
        fn arbitrary_bytes_are_answered(
            bytes in prop::collection::vec(any::<u8>(), 0..40),
            headed in any::<bool>(),
        ) {
            let head: &[u8] = if headed { &BLOCK[..6] } else { &[] };
            let bytes = [head, &bytes].concat();
            match Command::decode(&bytes) {
                Ok(command) => prop_assert_eq!(&command.encode()[..], &bytes[..COMMAND_BLOCK_BYTES]),
                Err(WireError::TooShort { expected, found }) => {
                    prop_assert!(found == bytes.len() && found < expected);
                }
                Err(_) => prop_assert!(bytes.len() >= COMMAND_BLOCK_BYTES),
            }
        }
    }
}
