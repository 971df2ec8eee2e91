//! The basic header segment, 48 bytes that every PDU begins with (RFC 7143, 11.2.1).
//!
//! | bytes | what |
//! |---|---|
//! | 0 | immediate delivery, opcode |
//! | 1 to 3 | flags, and what the opcode has there |
//! | 4 | four-byte words of additional header segments |
//! | 5 to 7 | bytes of the data segment, without padding |
//! | 8 to 15 | LUN, or ISID and TSIH |
//! | 16 to 19 | initiator task tag |
//! | 20 to 47 | what the opcode has there |
//!
//! Invariants: reading and writing fields of any header never fails; no field is believed here.

use crate::digest;

/// Bytes of the header.
pub(crate) const BHS_BYTES: usize = 48;
/// A tag that is none.
pub(crate) const NO_TAG: u32 = u32::MAX;
/// The F bit of byte 1.
pub(crate) const FINAL: u8 = 0x80;

/// Opcodes of initiators, then of targets.
pub(crate) mod opcode {
    pub(crate) const NOP_OUT: u8 = 0x00;
    pub(crate) const COMMAND: u8 = 0x01;
    pub(crate) const MANAGEMENT: u8 = 0x02;
    pub(crate) const LOGIN: u8 = 0x03;
    pub(crate) const TEXT: u8 = 0x04;
    pub(crate) const DATA_OUT: u8 = 0x05;
    pub(crate) const LOGOUT: u8 = 0x06;
    pub(crate) const SNACK: u8 = 0x10;
    pub(crate) const NOP_IN: u8 = 0x20;
    pub(crate) const RESPONSE: u8 = 0x21;
    pub(crate) const MANAGED: u8 = 0x22;
    pub(crate) const LOGIN_RESPONSE: u8 = 0x23;
    pub(crate) const TEXT_RESPONSE: u8 = 0x24;
    pub(crate) const DATA_IN: u8 = 0x25;
    pub(crate) const LOGOUT_RESPONSE: u8 = 0x26;
    pub(crate) const READY_TO_TRANSFER: u8 = 0x31;
    pub(crate) const ASYNC: u8 = 0x32;
    pub(crate) const REJECT: u8 = 0x3F;
}

/// A header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bhs(pub(crate) [u8; BHS_BYTES]);

impl Bhs {
    /// A header of a target: opcode and flags, all else 0.
    pub(crate) const fn new(opcode: u8, flags: u8) -> Self {
        let mut bytes = [0; BHS_BYTES];
        bytes[0] = opcode;
        bytes[1] = flags;
        Self(bytes)
    }

    pub(crate) const fn opcode(&self) -> u8 {
        self.0[0] & 0x3F
    }

    /// For immediate delivery: CmdSN does not go on.
    pub(crate) const fn is_immediate(&self) -> bool {
        self.0[0] & 0x40 != 0
    }

    pub(crate) const fn flags(&self) -> u8 {
        self.0[1]
    }

    pub(crate) const fn is_final(&self) -> bool {
        self.0[1] & FINAL != 0
    }

    /// Bytes of the additional header segments.
    pub(crate) const fn additional_bytes(&self) -> usize {
        self.0[4] as usize * 4
    }

    /// Bytes of the data segment, without padding.
    pub(crate) const fn data_bytes(&self) -> usize {
        (self.0[5] as usize) << 16 | (self.0[6] as usize) << 8 | self.0[7] as usize
    }

    pub(crate) fn set_data_bytes(&mut self, bytes: usize) {
        assert!(bytes < 1 << 24, "a data segment has at most 2^24 - 1 bytes, not {bytes}");
        self.0[5..8].copy_from_slice(&(bytes as u32).to_be_bytes()[1..]);
    }

    pub(crate) fn lun(&self) -> [u8; 8] {
        self.array(8)
    }

    /// Initiator task tag.
    pub(crate) fn tag(&self) -> u32 {
        self.word(16)
    }

    /// Target transfer tag, where there is one.
    pub(crate) fn target_tag(&self) -> u32 {
        self.word(20)
    }

    /// CmdSN, in requests.
    pub(crate) fn command_no(&self) -> u32 {
        self.word(24)
    }

    pub(crate) fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.array(at))
    }

    pub(crate) fn half(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.array(at))
    }

    pub(crate) fn array<const N: usize>(&self, at: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&self.0[at..at + N]);
        bytes
    }

    pub(crate) fn set_word(&mut self, at: usize, value: u32) -> &mut Self {
        self.set(at, &value.to_be_bytes())
    }

    pub(crate) fn set_tag(&mut self, tag: u32) -> &mut Self {
        self.set_word(16, tag)
    }

    pub(crate) fn set(&mut self, at: usize, bytes: &[u8]) -> &mut Self {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    /// The digest of this header, and of additional header segments behind it.
    pub(crate) fn digest(&self, additional: &[u8]) -> u32 {
        digest::append(digest::of(&self.0), additional)
    }
}

/// Bytes that pad a data segment to whole words.
pub(crate) const fn padding(bytes: usize) -> usize {
    bytes.wrapping_neg() & 3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields() {
        let mut header = Bhs::new(opcode::COMMAND | 0x40, FINAL | 0x20);
        header.set_data_bytes(0x0A_0B0C);
        header.set(8, &[0, 3, 0, 0, 0, 0, 0, 0]).set_tag(7).set_word(24, 9);
        assert_eq!((header.opcode(), header.is_immediate(), header.is_final()), (1, true, true));
        assert_eq!((header.data_bytes(), header.additional_bytes()), (0x0A_0B0C, 0));
        assert_eq!((header.lun()[1], header.tag(), header.command_no()), (3, 7, 9));
        assert_eq!((header.target_tag(), header.half(8)), (0, 3));
    }

    #[test]
    fn paddings() {
        assert_eq!([0, 1, 2, 3, 4, 5].map(padding), [0, 3, 2, 1, 0, 3]);
    }
}
