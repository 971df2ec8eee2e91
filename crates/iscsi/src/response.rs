//! The end of a command: data for the host, status, residual counts (RFC 7143, 11.4 and 11.7).
//!
//! Data goes by reference, in segments that the initiator takes and in sequences of at most
//! MaxBurstLength. With GOOD the status goes with the last segment, and there is no other PDU.
//!
//! Invariant: no more data goes than the host has room for; residual counts say what it misses.

use crate::bhs::{Bhs, FINAL, NO_TAG, opcode};
use crate::collect::COMMAND_BYTES_MAX;
use crate::full_feature::REQUEST_BYTES;
use crate::params::Params;
use crate::session::{Data, Outgoing, Session, Status};
use bytes::Bytes;
use diptych_cha::scsi::{DataLength, ScsiReply, ScsiStatus};

/// Flags of Data-In and of a response.
const OVERFLOW: u8 = 0x04;
const UNDERFLOW: u8 = 0x02;
const HAS_STATUS: u8 = 0x01;

/// What of a command counts when it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Command {
    pub(crate) tag: u32,
    pub(crate) lun: [u8; 8],
    /// The host has room for data.
    pub(crate) reads: bool,
    /// The host has data.
    pub(crate) writes: bool,
    /// How much: expected data transfer length.
    pub(crate) expected: u32,
    /// How much the command moves, as its CDB says.
    pub(crate) length: DataLength,
    pub(crate) is_immediate: bool,
}

impl Command {
    /// What its answer keeps, besides its data.
    pub(crate) fn answer_bytes(&self) -> usize {
        let most = COMMAND_BYTES_MAX as u64;
        let data = match self.length {
            DataLength::In(bytes) if self.reads => bytes.min(self.expected.into()).min(most),
            _ => 0,
        };
        data as usize + REQUEST_BYTES
    }

    /// Flag and residual count, if it moved so much for the host.
    fn residual(&self, data_in: usize) -> (u8, u32) {
        let moves = match self.length {
            DataLength::Out(bytes) if self.writes || !self.reads => bytes,
            _ => data_in as u64,
        };
        let (moves, expected) = (moves, u64::from(self.expected));
        let count = u32::try_from(moves.abs_diff(expected)).unwrap_or(u32::MAX);
        match moves.cmp(&expected) {
            std::cmp::Ordering::Greater => (OVERFLOW, count),
            std::cmp::Ordering::Equal => (0, 0),
            std::cmp::Ordering::Less => (UNDERFLOW, count),
        }
    }

    /// All PDUs of the answer.
    pub(crate) fn answer(
        &self,
        session: &Session,
        params: &Params,
        reply: ScsiReply,
    ) -> Vec<Outgoing> {
        let (flag, residual) = self.residual(reply.data_in.len());
        let room = if self.reads { self.expected as usize } else { 0 };
        let data = reply.data_in.slice(..reply.data_in.len().min(room));
        let is_good = reply.status == ScsiStatus::Good;
        let mut pdus = self.data_in(session, params, &data);
        let count = pdus.len() as u32;
        match pdus.last_mut() {
            Some(last) if is_good => {
                last.header.0[1] |= HAS_STATUS | flag;
                last.header.set_word(44, residual);
                last.status = Status::Counts;
            }
            _ => {
                let mut header = Bhs::new(opcode::RESPONSE, FINAL | flag);
                header.0[3] = reply.status as u8;
                header.set_tag(self.tag).set_word(36, count).set_word(44, residual);
                let sense = reply.sense.map(|sense| {
                    let sense = sense.encode();
                    let length = (sense.len() as u16).to_be_bytes();
                    session.data([&length[..], &sense].concat())
                });
                pdus.push(Outgoing::new(header).with_data(sense.unwrap_or_default()));
            }
        }
        pdus
    }

    fn data_in(&self, session: &Session, params: &Params, data: &Bytes) -> Vec<Outgoing> {
        let (burst, segment) = (params.burst_bytes as usize, params.segment_bytes as usize);
        let mut pdus = Vec::with_capacity(data.len() / segment + 2);
        let mut from = 0;
        while from < data.len() {
            let sequence_end = (from / burst + 1) * burst;
            let to = (from + segment).min(sequence_end).min(data.len());
            let is_final = to == sequence_end || to == data.len();
            let mut header = Bhs::new(opcode::DATA_IN, if is_final { FINAL } else { 0 });
            header.set_tag(self.tag).set_word(20, NO_TAG);
            header.set_word(36, pdus.len() as u32).set_word(40, from as u32);
            let data = Data::new(data.slice(from..to), session.digests);
            pdus.push(Outgoing::new(header).with_data(data).with_status(Status::None));
            from = to;
        }
        pdus
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(reads: bool, expected: u32, length: DataLength) -> Command {
        let (tag, lun, writes, is_immediate) = (1, [0; 8], !reads, false);
        Command { tag, lun, reads, writes, expected, length, is_immediate }
    }

    #[test]
    fn residuals() {
        #[track_caller]
        fn read(expected: u32, found: usize, residual: (u8, u32)) {
            let command = command(true, expected, DataLength::In(found as u64));
            assert_eq!(command.residual(found), residual);
        }
        read(512, 512, (0, 0));
        read(200, 512, (OVERFLOW, 312));
        read(10_000, 512, (UNDERFLOW, 9_488));
        #[track_caller]
        fn write(expected: u32, wanted: u64, residual: (u8, u32)) {
            assert_eq!(command(false, expected, DataLength::Out(wanted)).residual(0), residual);
        }
        write(512, 512, (0, 0));
        write(0, 512, (OVERFLOW, 512));
        write(1_024, 512, (UNDERFLOW, 512));
        write(0, u64::MAX, (OVERFLOW, u32::MAX));
        let nothing = Command { writes: false, ..command(false, 0, DataLength::None) };
        assert_eq!(nothing.residual(0), (0, 0));
        assert_eq!(nothing.residual(512), (OVERFLOW, 512));
    }
}
