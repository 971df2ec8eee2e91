//! An initiator that can do wrong: nothing is checked before it is sent.

use crate::rig::name;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) const IMMEDIATE: u8 = 0x40;
pub(crate) const FINAL: u8 = 0x80;
pub(crate) const READS: u8 = 0x40;
pub(crate) const WRITES: u8 = 0x20;
pub(crate) const NO_TAG: u32 = u32::MAX;

pub(crate) const NOP_OUT: u8 = 0x00;
pub(crate) const COMMAND: u8 = 0x01;
pub(crate) const MANAGEMENT: u8 = 0x02;
pub(crate) const LOGIN: u8 = 0x03;
pub(crate) const TEXT: u8 = 0x04;
pub(crate) const DATA_OUT: u8 = 0x05;
pub(crate) const LOGOUT: u8 = 0x06;
pub(crate) const NOP_IN: u8 = 0x20;
pub(crate) const RESPONSE: u8 = 0x21;
pub(crate) const MANAGED: u8 = 0x22;
pub(crate) const LOGIN_RESPONSE: u8 = 0x23;
pub(crate) const TEXT_RESPONSE: u8 = 0x24;
pub(crate) const DATA_IN: u8 = 0x25;
pub(crate) const LOGOUT_RESPONSE: u8 = 0x26;
pub(crate) const R2T: u8 = 0x31;
pub(crate) const REJECT: u8 = 0x3F;

/// A PDU, of either side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pdu {
    pub(crate) header: [u8; 48],
    pub(crate) data: Vec<u8>,
}

impl Pdu {
    pub(crate) fn new(opcode: u8, flags: u8) -> Self {
        let mut header = [0; 48];
        header[..2].copy_from_slice(&[opcode, flags]);
        Self { header, data: Vec::new() }
    }

    pub(crate) fn set(mut self, at: usize, bytes: &[u8]) -> Self {
        self.header[at..at + bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn word(self, at: usize, word: u32) -> Self {
        self.set(at, &word.to_be_bytes())
    }

    pub(crate) fn data(self, data: &[u8]) -> Self {
        Self { data: data.to_vec(), ..self }
    }

    pub(crate) fn opcode(&self) -> u8 {
        self.header[0] & 0x3F
    }

    pub(crate) fn at(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.header[at..at + 4].try_into().unwrap())
    }

    /// The texts in it.
    pub(crate) fn text(&self) -> BTreeMap<String, String> {
        let text = String::from_utf8(self.data.clone()).unwrap();
        let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
        pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    /// CmdSN and ExpStatSN of the next request.
    pub(crate) command_no: u32,
    pub(crate) status_no: u32,
    pub(crate) digests: (bool, bool),
    pub(crate) isid: [u8; 6],
}

impl Client {
    pub(crate) fn new(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        let isid = [0x80, 1, 2, 3, 4, 5];
        Self { stream, command_no: 77, status_no: 0, digests: (false, false), isid }
    }

    /// A session at a target, with what is usual; each with an ISID of its own.
    pub(crate) fn logged_in(port: u16, no: u16) -> Self {
        Self::with(port, no, "")
    }

    /// The same, with keys of its own.
    pub(crate) fn with(port: u16, no: u16, keys: &str) -> Self {
        let mut client = Self::new(port);
        client.isid[4..].copy_from_slice(&no.to_be_bytes());
        let hello = format!("InitiatorName=iqn.host TargetName={} {keys}", name("CL1-A"));
        let answer = client.say(0x87, &hello);
        assert_eq!((answer.header[1], answer.at(36)), (0x87, 0), "{answer:?}");
        let agreed = |key| answer.text().get(key).is_some_and(|value| value == "CRC32C");
        client.digests = (agreed("HeaderDigest"), agreed("DataDigest"));
        client
    }

    /// A login request; spaces stand for zeros.
    pub(crate) fn say(&mut self, flags: u8, text: &str) -> Pdu {
        let request = Pdu::new(LOGIN | IMMEDIATE, flags).set(8, &self.isid).word(16, 1);
        let text = text.trim().replace(' ', "\0") + if text.is_empty() { "" } else { "\0" };
        self.send(request.data(text.as_bytes()));
        self.receive()
    }

    /// Sends it as it is, but for its numbers, lengths and digests.
    pub(crate) fn send(&mut self, pdu: Pdu) {
        let no = self.command_no;
        let is_data = pdu.opcode() == DATA_OUT;
        if pdu.header[0] & IMMEDIATE == 0 && !is_data {
            self.command_no = no.wrapping_add(1);
        }
        let pdu = if is_data { pdu } else { pdu.word(24, no) };
        self.put(&pdu.word(28, self.status_no));
    }

    /// Sends it, with its lengths and digests.
    pub(crate) fn put(&mut self, pdu: &Pdu) {
        let bytes = pdu.data.len() as u32;
        let header = pdu.clone().set(5, &bytes.to_be_bytes()[1..]).header;
        let mut all = header.to_vec();
        if self.digests.0 {
            all.extend(crc32c::crc32c(&header).to_le_bytes());
        }
        let mut data = pdu.data.clone();
        data.resize(data.len().next_multiple_of(4), 0);
        all.extend(&data);
        if self.digests.1 && !data.is_empty() {
            all.extend(crc32c::crc32c(&data).to_le_bytes());
        }
        // The target may have ended the connection.
        let _ = self.stream.write_all(&all);
    }

    /// The next PDU; `None` if the target has ended the connection.
    pub(crate) fn try_receive(&mut self) -> Option<Pdu> {
        let mut header = [0; 48];
        self.stream.read_exact(&mut header).ok()?;
        let check = |client: &mut Self, is_there: bool, bytes: &[u8]| {
            if is_there {
                let mut digest = [0; 4];
                client.stream.read_exact(&mut digest).unwrap();
                assert_eq!(digest, crc32c::crc32c(bytes).to_le_bytes());
            }
        };
        check(self, self.digests.0, &header);
        let bytes = u32::from_be_bytes([0, header[5], header[6], header[7]]) as usize;
        let mut data = vec![0; bytes.next_multiple_of(4)];
        self.stream.read_exact(&mut data).unwrap();
        check(self, self.digests.1 && bytes > 0, &data);
        data.truncate(bytes);
        let pdu = Pdu { header, data };
        let counts = match pdu.opcode() {
            DATA_IN => header[1] & 1 != 0,
            R2T => false,
            NOP_IN => pdu.at(16) != NO_TAG,
            _ => true,
        };
        if counts {
            if self.status_no != 0 {
                assert_eq!(pdu.at(24), self.status_no, "{pdu:?}");
            }
            self.status_no = pdu.at(24).wrapping_add(1);
        }
        assert!(pdu.at(32).wrapping_sub(pdu.at(28)).wrapping_add(1) <= 64, "{pdu:?}");
        Some(pdu)
    }

    pub(crate) fn receive(&mut self) -> Pdu {
        self.try_receive().expect("an answer")
    }

    pub(crate) fn is_closed(&mut self) -> bool {
        self.try_receive().is_none()
    }

    /// A SCSI command, sent.
    pub(crate) fn command(&mut self, tag: u32, flags: u8, lun: u8, length: u32, cdb: &[u8]) {
        self.send(command(tag, flags, lun, length, cdb));
    }

    /// Reads blocks, in one command.
    pub(crate) fn read(&mut self, block: u32, count: u16) -> Vec<u8> {
        let bytes = u32::from(count) * 512;
        self.command(9, FINAL | READS, 0, bytes, &read10(block, count));
        let mut data = Vec::new();
        loop {
            let pdu = self.receive();
            assert_eq!((pdu.opcode(), pdu.at(16)), (DATA_IN, 9), "{pdu:?}");
            assert_eq!(pdu.at(40) as usize, data.len());
            data.extend(&pdu.data);
            if pdu.header[1] & 1 != 0 {
                return data;
            }
        }
    }

    /// Writes blocks, with immediate data.
    pub(crate) fn write(&mut self, block: u32, data: &[u8]) {
        let cdb = write10(block, (data.len() / 512) as u16);
        self.send(command(9, FINAL | WRITES, 0, data.len() as u32, &cdb).data(data));
        let answer = self.receive();
        assert_eq!((answer.opcode(), answer.header[3]), (RESPONSE, 0), "{answer:?}");
    }

    /// TEST UNIT READY until there is nothing to tell.
    pub(crate) fn is_ready(&mut self, lun: u8) -> bool {
        for _ in 0..9 {
            self.command(10, FINAL, lun, 0, &[0; 6]);
            if self.receive().header[3] == 0 {
                return true;
            }
        }
        false
    }
}

pub(crate) fn command(tag: u32, flags: u8, lun: u8, length: u32, cdb: &[u8]) -> Pdu {
    Pdu::new(COMMAND, flags).set(9, &[lun]).word(16, tag).word(20, length).set(32, cdb)
}

pub(crate) fn read10(block: u32, count: u16) -> [u8; 10] {
    ten(0x28, block, count)
}

pub(crate) fn write10(block: u32, count: u16) -> [u8; 10] {
    ten(0x2A, block, count)
}

fn ten(opcode: u8, block: u32, count: u16) -> [u8; 10] {
    let ([a, b, c, d], [e, f]) = (block.to_be_bytes(), count.to_be_bytes());
    [opcode, 0, a, b, c, d, 0, e, f, 0]
}
