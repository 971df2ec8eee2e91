//! What is known of one command: its bytes, its data, and when it is refused.
//!
//! One [`Operation`] a command. The table of all of them ([`super::table`]) drives decoding, REPORT
//! SUPPORTED OPERATION CODES, reservations and write protection, so none of them can disagree.

use super::cdb::{CDB_BYTES_MAX, Cdb, Field};
use diptych_format::BLOCK_BYTES;

/// What a command does; commands that differ in their lengths only share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    CompareAndWrite,
    ExtendedCopy,
    GetLbaStatus,
    Inquiry,
    ModeSelect,
    ModeSense,
    OrWrite,
    PersistentReserveIn,
    PersistentReserveOut,
    PreFetch,
    PreventRemoval,
    Read,
    ReadCapacity,
    ReadDefectData,
    ReceiveCopyResults,
    Release,
    ReportLuns,
    ReportOperations,
    ReportPortGroups,
    RequestSense,
    Reserve,
    Sanitize,
    StartStop,
    SynchronizeCache,
    TestUnitReady,
    Unmap,
    Verify,
    Write,
    WriteAndVerify,
    WriteAtomic,
    WriteSame,
}

/// How many bytes of data a command moves, and which way, as its CDB says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum DataRule {
    /// None.
    None,
    /// To the host, at most so many bytes: ALLOCATION LENGTH.
    In(Field),
    /// Blocks to the host: TRANSFER LENGTH.
    InBlocks,
    /// A parameter list from the host: PARAMETER LIST LENGTH.
    Out(Field),
    /// Blocks from the host: TRANSFER LENGTH.
    OutBlocks,
    /// Twice as many blocks from the host: what to compare with, and what to write.
    OutTwice,
    /// One block from the host, or none if NDOB says so.
    OutOne,
    /// What BYTCHK says: no block, as many as are verified, or one.
    OutByteCheck,
}

/// Which way data goes, and how much of it a command would move if the host let it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataLength {
    /// None.
    None,
    /// To the host, at most so many bytes.
    In(u64),
    /// From the host, so many bytes.
    Out(u64),
}

impl DataRule {
    pub(crate) fn length(self, cdb: &Cdb) -> DataLength {
        let blocks = |factor: u64| cdb.extent().1.saturating_mul(factor * BLOCK_BYTES as u64);
        match self {
            Self::None => DataLength::None,
            // READ CAPACITY(10) has no allocation length.
            Self::In(Field { bytes: 0, .. }) => DataLength::In(8),
            Self::In(field) => DataLength::In(cdb.number(field)),
            Self::InBlocks => DataLength::In(blocks(1)),
            Self::Out(field) => DataLength::Out(cdb.number(field)),
            Self::OutBlocks => DataLength::Out(blocks(1)),
            Self::OutTwice => DataLength::Out(blocks(2)),
            Self::OutOne if cdb.opcode() == 0x93 && cdb.has(1, 0x01) => DataLength::None,
            Self::OutOne => DataLength::Out(BLOCK_BYTES as u64),
            Self::OutByteCheck => match cdb.byte(1) >> 1 & 0x03 {
                1 => DataLength::Out(blocks(1)),
                3 => DataLength::Out(BLOCK_BYTES as u64),
                _ => DataLength::None,
            },
        }
    }
}

/// What reservations of others do to a command (SPC-5, tables 69 to 71; SBC-4, table 14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Conflict {
    /// Nothing, ever.
    Never,
    /// Nothing by a persistent reservation; one of RESERVE refuses it.
    Legacy,
    /// Refused where others may not read.
    Read,
    /// Refused where others may not write.
    Write,
    /// As a write, but it may start the unit.
    StartStop,
    /// As a write, but removal may be allowed again.
    Prevent,
    /// PERSISTENT RESERVE OUT decides it by its key.
    Registration,
    /// RESERVE: persistent registrations count too.
    Reserve,
    /// RELEASE: of another's reservation it does nothing.
    Release,
}

/// In which states of the logical unit a command is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum When {
    /// Always; a unit attention waits.
    Always,
    /// Always, but a unit attention comes first.
    Attentive,
    /// Not while the medium is sanitized; the medium need not be there.
    Unsanitized,
    /// Only with the medium there, not sanitized, and not left half sanitized.
    Ready,
}

/// Which logical units have a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Has {
    /// All.
    All,
    /// Those that say they are thin.
    Thin,
    /// Those whose medium can be removed.
    Removable,
}

/// CDB USAGE DATA (SPC-5, 6.34.3): a bit for each bit of the CDB that is looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) bits: [u8; CDB_BYTES_MAX],
    pub(crate) len: u8,
}

impl Usage {
    /// A CDB of `len` bytes, of which these are looked at.
    pub(crate) const fn of(len: u8, looked_at: &[(usize, u8)]) -> Self {
        let mut bits = [0; CDB_BYTES_MAX];
        let mut no = 0;
        while no < looked_at.len() {
            let (at, mask) = looked_at[no];
            bits[at] = mask;
            no += 1;
        }
        Self { bits, len }
    }

    /// A CDB with LOGICAL BLOCK ADDRESS and TRANSFER LENGTH in the places that its length gives them,
    /// with a GROUP NUMBER (which does nothing) where there is room, and with these bits of byte 1.
    pub(crate) const fn blocks(len: u8, flags: u8) -> Self {
        const ALL: u8 = 0xFF;
        let mut usage = Self::of(len, &[(1, flags)]);
        let group_no = len as usize - if len == 10 { 4 } else { 2 };
        let mut at = 2;
        while at < len as usize - 1 {
            usage.bits[at] = if at == group_no && len != 6 { 0x3F } else { ALL };
            at += 1;
        }
        usage
    }
}

/// One command.
#[derive(Debug)]
pub struct Operation {
    /// OPERATION CODE.
    pub opcode: u8,
    /// SERVICE ACTION, if the operation code has some.
    pub action: Option<u8>,
    /// Its name in the standards.
    pub name: &'static str,
    pub(crate) usage: Usage,
    /// How much data it moves.
    pub data: DataRule,
    /// Whether it changes what is on the medium.
    pub changes: bool,
    /// What reservations of others do to it.
    pub conflict: Conflict,
    /// In which states it is carried out.
    pub when: When,
    /// Which logical units have it.
    pub has: Has,
    /// RECOMMENDED COMMAND TIMEOUT, in seconds.
    pub timeout_s: u32,
    pub(crate) verb: Verb,
    /// The bits of a CDB that may be set, the first of its bits highest.
    pub(crate) looked_at: u128,
}

impl Operation {
    /// The bytes of its CDB.
    pub const fn cdb_bytes(&self) -> usize {
        self.usage.len as usize
    }

    /// CDB USAGE DATA (SPC-5, 6.34.3): a bit for each bit of the CDB that is looked at. The operation
    /// code and the service action stand in it as in a CDB.
    pub fn usage(&self) -> &[u8] {
        &self.usage.bits[..self.cdb_bytes()]
    }

    /// The first bit of a CDB that must be zero and is not: its byte, and the bit.
    pub(crate) fn reserved_bit(&self, cdb: &Cdb) -> Option<(u16, u8)> {
        // The first bit of the CDB is the highest of the number.
        let wrong = cdb.bits() & !self.looked_at;
        let first = wrong.leading_zeros() as u16;
        (wrong != 0).then_some((first / 8, 7 - (first % 8) as u8))
    }

    /// What [`Self::looked_at`] is to be: the usage, the operation code and service action as a whole, and
    /// whatever lies behind the CDB.
    pub(crate) const fn all_looked_at(&self) -> u128 {
        let mut bits = self.usage.bits;
        bits[0] = 0xFF;
        if self.action.is_some() {
            bits[1] |= 0x1F;
        }
        let mut at = self.usage.len as usize;
        while at < CDB_BYTES_MAX {
            bits[at] = 0xFF;
            at += 1;
        }
        u128::from_be_bytes(bits)
    }
}
