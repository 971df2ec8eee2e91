//! PDUs of an initiator: sent and received, with their numbers, lengths and digests.

use super::{ClientError, IscsiUrl, Surprise};
use crate::bhs::{BHS_BYTES, Bhs, NO_TAG, opcode, padding};
use crate::digest;
use crate::params::SEGMENT_BYTES_MAX;
use crate::session::Digests;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// A PDU of the target.
#[derive(Debug)]
pub(super) struct Pdu {
    pub(super) header: Bhs,
    pub(super) data: Vec<u8>,
}

/// The connection, and its numbers.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    patience: Duration,
    pub(super) digests: Digests,
    /// CmdSN of the next request.
    command_no: u32,
    /// ExpStatSN.
    status_no: u32,
}

impl Wire {
    pub(super) fn connect(url: &IscsiUrl, patience: Duration) -> Result<Self, ClientError> {
        let failed = |source| ClientError::Connect { url: url.clone(), source };
        let addresses = (url.host.as_str(), url.port).to_socket_addrs().map_err(failed)?;
        let mut last = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpStream::connect_timeout(&address, patience) {
                Ok(stream) => return Self::over(stream, patience).map_err(failed),
                Err(error) => last = error,
            }
        }
        Err(failed(last))
    }

    fn over(stream: TcpStream, patience: Duration) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let digests = Digests::default();
        Ok(Self { stream, patience, digests, command_no: 1, status_no: 0 })
    }

    /// Sends a request, which has a CmdSN.
    pub(super) fn request(&mut self, mut header: Bhs, data: &[u8]) -> Result<(), ClientError> {
        header.set_word(24, self.command_no);
        if !header.is_immediate() {
            self.command_no = self.command_no.wrapping_add(1);
        }
        self.send(header, data)
    }

    /// Sends a PDU.
    pub(super) fn send(&mut self, mut header: Bhs, data: &[u8]) -> Result<(), ClientError> {
        header.set_word(28, self.status_no);
        header.set_data_bytes(data.len());
        let mut bytes = header.0.to_vec();
        if self.digests.header {
            bytes.extend(digest::to_wire(header.digest(&[])));
        }
        let start = bytes.len();
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(&[0; 3][..padding(data.len())]);
        if self.digests.data && !data.is_empty() {
            bytes.extend(digest::to_wire(digest::of(&bytes[start..])));
        }
        self.stream.write_all(&bytes).map_err(|error| self.broken(error))
    }

    /// Receives the next PDU.
    pub(super) fn receive(&mut self) -> Result<Pdu, ClientError> {
        let mut header = Bhs([0; BHS_BYTES]);
        self.fill(&mut header.0)?;
        // At most 1,020 bytes, and nothing in them is of use here.
        let mut additional = vec![0; header.additional_bytes()];
        self.fill(&mut additional)?;
        if self.digests.header {
            self.check(header.digest(&additional))?;
        }
        let bytes = header.data_bytes();
        if bytes > SEGMENT_BYTES_MAX {
            return Err(Surprise::TooLong { bytes }.into());
        }
        let mut data = vec![0; bytes + padding(bytes)];
        self.fill(&mut data)?;
        if self.digests.data && bytes > 0 {
            self.check(digest::of(&data))?;
        }
        data.truncate(bytes);
        self.count(&header);
        Ok(Pdu { header, data })
    }

    /// StatSN goes on by what has a status.
    fn count(&mut self, header: &Bhs) {
        let counts = match header.opcode() {
            opcode::DATA_IN => header.flags() & super::HAS_STATUS != 0,
            opcode::READY_TO_TRANSFER => false,
            opcode::NOP_IN => header.tag() != NO_TAG,
            _ => true,
        };
        if counts {
            self.status_no = header.word(24).wrapping_add(1);
        }
    }

    fn check(&mut self, expected: u32) -> Result<(), ClientError> {
        let mut found = [0; 4];
        self.fill(&mut found)?;
        if found == digest::to_wire(expected) { Ok(()) } else { Err(Surprise::Digest.into()) }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), ClientError> {
        self.stream.read_exact(bytes).map_err(|error| self.broken(error))
    }

    fn broken(&self, error: io::Error) -> ClientError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                ClientError::Silent(self.patience)
            }
            _ => ClientError::Broken(error),
        }
    }
}
