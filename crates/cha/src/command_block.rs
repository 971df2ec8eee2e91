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
//! | 14 | 1 | flags | bit 0 quick, bit 1 initial copy, the rest zero |
//! | 15 | 1 | reserved | zero |
//!
//! Numbers are little-endian. Bytes behind the block are not looked at: a host may send it in a
//! sector. There is no check code, because every channel protects what it carries.
//!
//! Invariants: what decodes encodes to the same bytes; no bytes make decoding panic; a block says
//! nothing of LUNs or ports, because 702 and 703 name volumes by CU and LDEV.

use crate::wire::{self, WireError};
use crate::{Command, CommandCode};
use diptych_format::LdevId;
use diptych_shared::{Pace, PairOptions};

/// Bytes of a command block.
pub const COMMAND_BLOCK_BYTES: usize = 16;

const MAGIC: [u8; 4] = *b"DCMB";
const VERSION: u16 = 1;
const QUICK: u8 = 1 << 0;
const INITIAL_COPY: u8 = 1 << 1;

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
    #[cfg(test)]
    pub(super) const RESERVED: usize = 15;
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

    /// The command that the block holds.
    ///
    /// # Errors
    ///
    /// If a field has a value that it cannot have, or a reserved bit is set.
    pub fn command(self) -> Result<Command, WireError> {
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
            },
            initial_copy: self.has_initial_copy(),
        };
        if self.lanes() == 0 {
            return Err(WireError::NoLane);
        }
        wire::canonical(self.0, &command.encode()).map(|()| command)
    }

    fn volume(self, at: std::ops::Range<usize>) -> LdevId {
        LdevId::new(self.0[at.start], self.0[at.start + 1])
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
        block[field::FLAGS] =
            flag(self.options.quick, QUICK) | flag(self.initial_copy, INITIAL_COPY);
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

    const BLOCK: [u8; COMMAND_BLOCK_BYTES] =
        [b'D', b'C', b'M', b'B', 1, 0, 213, 0, 0, 0x1A, 2, 0x3B, 15, 4, 1, 0];

    fn command() -> Command {
        let options = PairOptions { pace: Pace::FAST, lanes: 4, quick: true };
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
            ("reserved", one(field::RESERVED)),
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
    fn what_is_no_command() {
        fn check(at: usize, byte: u8, expected: WireError) {
            let mut block = BLOCK;
            block[at] = byte;
            assert_eq!(Command::decode(&block), Err(expected), "byte {at}: {byte}");
        }
        check(0, b'd', WireError::Magic { expected: 0x424D_4344, found: 0x424D_4364 });
        check(4, 2, WireError::Version { known: 1, found: 2 });
        check(5, 1, WireError::Version { known: 1, found: 257 });
        check(6, 215, WireError::Code { found: 215 });
        check(7, 1, WireError::Code { found: 469 });
        check(12, 0, WireError::Pace { found: 0 });
        check(12, 16, WireError::Pace { found: 16 });
        check(13, 0, WireError::NoLane);
        check(14, 0x81, WireError::Reserved { at: 14, expected: 0x01, found: 0x81 });
        check(14, 0x04, WireError::Reserved { at: 14, expected: 0x00, found: 0x04 });
        check(15, 0x10, WireError::Reserved { at: 15, expected: 0x00, found: 0x10 });
        for found in 0..COMMAND_BLOCK_BYTES {
            let too_short = WireError::TooShort { expected: COMMAND_BLOCK_BYTES, found };
            assert_eq!(Command::decode(&BLOCK[..found]), Err(too_short));
        }
    }

    prop_compose! {
        fn any_command()(
            code in prop::sample::select(CommandCode::ALL.to_vec()),
            [cu, ldev, other_cu, other_ldev] in any::<[u8; 4]>(),
            pace in 1..=15_u8,
            lanes in 1..=u8::MAX,
            [quick, initial_copy] in any::<[bool; 2]>(),
        ) -> Command {
            let pace = Pace::try_from(pace).expect("1 to 15");
            let options = PairOptions { pace, lanes, quick };
            let [primary, secondary] = [LdevId::new(cu, ldev), LdevId::new(other_cu, other_ldev)];
            Command { code, primary, secondary, options, initial_copy }
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
