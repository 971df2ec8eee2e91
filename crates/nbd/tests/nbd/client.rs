//! A client that can do wrong: nothing is checked before it is sent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub(crate) const EXPORT_NAME: u32 = 1;
pub(crate) const ABORT: u32 = 2;
pub(crate) const LIST: u32 = 3;
pub(crate) const INFO: u32 = 6;
pub(crate) const GO: u32 = 7;
pub(crate) const STRUCTURED_REPLY: u32 = 8;
pub(crate) const LIST_META_CONTEXT: u32 = 9;
pub(crate) const SET_META_CONTEXT: u32 = 10;
pub(crate) const EXTENDED_HEADERS: u32 = 11;

pub(crate) const READ: u16 = 0;
pub(crate) const WRITE: u16 = 1;
pub(crate) const DISC: u16 = 2;
pub(crate) const FLUSH: u16 = 3;
pub(crate) const TRIM: u16 = 4;
pub(crate) const CACHE: u16 = 5;
pub(crate) const WRITE_ZEROES: u16 = 6;
pub(crate) const BLOCK_STATUS: u16 = 7;

pub(crate) const FUA: u16 = 1;
pub(crate) const NO_HOLE: u16 = 2;
pub(crate) const DF: u16 = 4;
pub(crate) const REQ_ONE: u16 = 8;
pub(crate) const FAST_ZERO: u16 = 16;

/// The flags of a client that knows everything.
const USUAL: u32 = 0b11;

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) extended: bool,
}

/// An answer, or a chunk of one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Chunk {
    pub(crate) cookie: u64,
    /// Simple answers: the error. Chunks: the type.
    pub(crate) kind: u32,
    pub(crate) flags: u16,
    pub(crate) data: Vec<u8>,
}

impl Client {
    /// Connects and exchanges the first words.
    pub(crate) fn new(port: u16) -> Self {
        Self::with_flags(port, USUAL)
    }

    pub(crate) fn with_flags(port: u16, flags: u32) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut client = Self { stream, extended: false };
        let hello = client.take(18);
        assert_eq!(&hello[..16], b"NBDMAGICIHAVEOPT");
        assert_eq!(hello[16..], [0, 3]);
        client.put(&flags.to_be_bytes());
        client
    }

    /// A client of the volume, with structured replies.
    pub(crate) fn attached(port: u16, name: &str) -> Self {
        let mut client = Self::new(port);
        assert_eq!(client.option(STRUCTURED_REPLY, b""), [(1, vec![])]);
        let replies = client.option(GO, &info(name, &[]));
        assert_eq!(replies.last().unwrap().0, 1, "{replies:?}");
        client
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub(crate) fn take(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    pub(crate) fn take_u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take(8).try_into().unwrap())
    }

    pub(crate) fn take_u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().unwrap())
    }

    pub(crate) fn take_u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().unwrap())
    }

    /// Whether the server has closed the connection, with nothing more said.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 64]), Ok(0) | Err(_))
    }

    pub(crate) fn put_option(&mut self, option: u32, length: usize, data: &[u8]) {
        let mut bytes = b"IHAVEOPT".to_vec();
        bytes.extend(option.to_be_bytes());
        bytes.extend((length as u32).to_be_bytes());
        bytes.extend(data);
        self.put(&bytes);
    }

    /// An option and all replies to it: kind, without the top bit of errors, and data.
    pub(crate) fn option(&mut self, option: u32, data: &[u8]) -> Vec<(i64, Vec<u8>)> {
        self.put_option(option, data.len(), data);
        self.replies(option)
    }

    pub(crate) fn replies(&mut self, option: u32) -> Vec<(i64, Vec<u8>)> {
        let mut replies = Vec::new();
        loop {
            assert_eq!(self.take_u64(), 0x0003_e889_0455_65a9);
            assert_eq!(self.take_u32(), option);
            let kind = self.take_u32();
            let length = self.take_u32() as usize;
            let data = self.take(length);
            let is_error = kind >> 31 == 1;
            let kind = i64::from(kind & !(1 << 31));
            replies.push((if is_error { -kind } else { kind }, data));
            if is_error || kind == 1 {
                return replies;
            }
        }
    }

    /// Sends a request.
    pub(crate) fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        cookie: u64,
        offset: u64,
        length: u64,
        data: &[u8],
    ) {
        let magic: u32 = if self.extended { 0x21e4_1c71 } else { 0x2560_9513 };
        let mut bytes = magic.to_be_bytes().to_vec();
        bytes.extend(flags.to_be_bytes());
        bytes.extend(kind.to_be_bytes());
        bytes.extend(cookie.to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        if self.extended {
            bytes.extend(length.to_be_bytes());
        } else {
            bytes.extend((length as u32).to_be_bytes());
        }
        bytes.extend(data);
        self.put(&bytes);
    }

    /// Takes a simple answer with so much data, if it went well.
    pub(crate) fn simple(&mut self, bytes: usize) -> Chunk {
        assert_eq!(self.take_u32(), 0x6744_6698);
        let kind = self.take_u32();
        let cookie = self.take_u64();
        let data = if kind == 0 { self.take(bytes) } else { Vec::new() };
        Chunk { cookie, kind, flags: 1, data }
    }

    /// Takes an answer or a chunk, whichever comes; simple ones have no data.
    pub(crate) fn chunk(&mut self) -> Chunk {
        match self.take_u32() {
            0x6744_6698 => {
                let kind = self.take_u32();
                let cookie = self.take_u64();
                Chunk { cookie, kind, flags: 1, data: Vec::new() }
            }
            magic => {
                let expected = if self.extended { 0x6e8a_278c } else { 0x668e_33ef };
                assert_eq!(magic, expected, "{magic:#x}");
                let flags = self.take_u16();
                let kind = self.take_u16().into();
                let cookie = self.take_u64();
                let length = if self.extended {
                    self.take_u64();
                    self.take_u64() as usize
                } else {
                    self.take_u32() as usize
                };
                Chunk { cookie, kind, flags, data: self.take(length) }
            }
        }
    }

    /// A request and its answer: 0 or the error, and the data without offset.
    pub(crate) fn done(
        &mut self,
        kind: u16,
        flags: u16,
        offset: u64,
        length: u64,
        data: &[u8],
    ) -> (u32, Vec<u8>) {
        let cookie = 0x1234_5678_9abc_def0;
        self.ask(kind, flags, cookie, offset, length, data);
        let chunk = self.chunk();
        assert_eq!((chunk.cookie, chunk.flags), (cookie, 1));
        match chunk.kind {
            // An error chunk.
            0x8001 | 0x8002 => (u32::from_be_bytes(chunk.data[..4].try_into().unwrap()), vec![]),
            // Data behind their offset.
            1 if !chunk.data.is_empty() => {
                assert_eq!(chunk.data[..8], offset.to_be_bytes());
                (0, chunk.data[8..].to_vec())
            }
            error => (error, chunk.data),
        }
    }

    pub(crate) fn read(&mut self, offset: u64, length: u64) -> Vec<u8> {
        let (error, data) = self.done(READ, 0, offset, length, b"");
        assert_eq!(error, 0);
        data
    }

    pub(crate) fn write(&mut self, offset: u64, data: &[u8]) {
        assert_eq!(self.done(WRITE, 0, offset, data.len() as u64, data), (0, vec![]));
    }
}

/// The data of INFO and GO.
pub(crate) fn info(name: &str, wanted: &[u16]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend(name.as_bytes());
    data.extend((wanted.len() as u16).to_be_bytes());
    wanted.iter().for_each(|info| data.extend(info.to_be_bytes()));
    data
}

/// The data of the context options.
pub(crate) fn contexts(name: &str, queries: &[&str]) -> Vec<u8> {
    let text = |text: &str| {
        let mut data = (text.len() as u32).to_be_bytes().to_vec();
        data.extend(text.as_bytes());
        data
    };
    let mut data = text(name);
    data.extend((queries.len() as u32).to_be_bytes());
    queries.iter().for_each(|query| data.extend(text(query)));
    data
}
