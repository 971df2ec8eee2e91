//! The answer to a request, in the style that was negotiated.

use crate::context::Run;
use crate::errno::Errno;
use crate::export::BLOCK_BYTES;
use crate::handshake::Agreed;
use crate::request::Request;
use bytes::Bytes;
use diptych_rt::net::{Part, Pending};

const SIMPLE_MAGIC: u32 = 0x6744_6698;
const STRUCTURED_MAGIC: u32 = 0x668e_33ef;
const EXTENDED_MAGIC: u32 = 0x6e8a_278c;

const FLAG_DONE: u16 = 1;

const TYPE_NONE: u16 = 0;
const TYPE_OFFSET_DATA: u16 = 1;
const TYPE_BLOCK_STATUS: u16 = 5;
const TYPE_BLOCK_STATUS_EXT: u16 = 6;
const TYPE_ERROR: u16 = 1 << 15 | 1;
const TYPE_ERROR_OFFSET: u16 = 1 << 15 | 2;

/// How answers are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Simple,
    Structured,
    Extended,
}

/// A request that is still to be answered. Dropped without an answer, it tells the client that the unit
/// stops: nothing else drops it.
#[derive(Debug)]
pub(crate) struct Answer {
    pending: Option<Pending>,
    style: Style,
    cookie: u64,
    offset: u64,
    is_read: bool,
}

/// A header, of at most 32 bytes, and what of the payload belongs to it.
struct Head {
    bytes: [u8; 40],
    length: usize,
}

impl Head {
    fn new(fields: &[&[u8]]) -> Self {
        let mut head = Self { bytes: [0; 40], length: 0 };
        for field in fields {
            head.bytes[head.length..head.length + field.len()].copy_from_slice(field);
            head.length += field.len();
        }
        head
    }

    fn part(&self) -> Part<'_> {
        Part::Copy(&self.bytes[..self.length])
    }
}

impl Answer {
    pub(crate) fn new(pending: Pending, agreed: &Agreed, request: &Request, is_read: bool) -> Self {
        let style = match (agreed.extended, agreed.structured) {
            (true, _) => Style::Extended,
            (false, true) => Style::Structured,
            (false, false) => Style::Simple,
        };
        let Request { cookie, offset, .. } = *request;
        Self { pending: Some(pending), style, cookie, offset, is_read }
    }

    /// It is done.
    pub(crate) fn done(mut self) {
        // Where only reads have to be structured, the shorter one does.
        let head = match self.style {
            Style::Structured if self.is_read => self.chunk(FLAG_DONE, TYPE_NONE, 0),
            Style::Simple | Style::Structured => self.simple(0),
            Style::Extended => self.chunk(FLAG_DONE, TYPE_NONE, 0),
        };
        self.send([head.part()]);
    }

    /// These are the blocks.
    pub(crate) fn data(mut self, data: Bytes) {
        match self.style {
            Style::Simple => {
                let head = self.simple(0);
                self.send([head.part(), Part::Share(data)]);
            }
            Style::Structured | Style::Extended => {
                let head = self.chunk(FLAG_DONE, TYPE_OFFSET_DATA, 8 + data.len() as u64);
                let offset = self.offset.to_be_bytes();
                self.send([head.part(), Part::Copy(&offset), Part::Share(data)]);
            }
        }
    }

    /// This is so of the blocks: of each context, in ascending order and without a gap, at least one run.
    pub(crate) fn status(mut self, contexts: &[(u32, Vec<Run>)]) {
        let is_extended = self.style == Style::Extended;
        let mut bytes = Vec::new();
        for (index, (id, runs)) in contexts.iter().enumerate() {
            let mut tail = id.to_be_bytes().to_vec();
            if is_extended {
                tail.extend((runs.len() as u32).to_be_bytes());
            }
            for Run { blocks, flags } in runs {
                let length = blocks.count() * BLOCK_BYTES;
                if is_extended {
                    tail.extend(length.to_be_bytes());
                    tail.extend(u64::from(*flags).to_be_bytes());
                } else {
                    // Part of a request whose length has 32 bits.
                    tail.extend(u32::try_from(length).unwrap_or(u32::MAX - 511).to_be_bytes());
                    tail.extend(flags.to_be_bytes());
                }
            }
            let done = if index + 1 == contexts.len() { FLAG_DONE } else { 0 };
            let kind = if is_extended { TYPE_BLOCK_STATUS_EXT } else { TYPE_BLOCK_STATUS };
            let head = self.chunk(done, kind, tail.len() as u64);
            bytes.extend_from_slice(&head.bytes[..head.length]);
            bytes.extend(tail);
        }
        self.send([Part::Share(bytes.into())]);
    }

    /// It failed: `at` is the offset of the first byte that is concerned, where that is known.
    pub(crate) fn failed(mut self, errno: Errno, why: &str, at: Option<u64>) {
        self.fail(errno, why, at);
    }

    fn fail(&mut self, errno: Errno, why: &str, at: Option<u64>) {
        if self.style == Style::Simple {
            let head = self.simple(errno as u32);
            return self.send([head.part()]);
        }
        let mut tail = Vec::with_capacity(14 + why.len());
        tail.extend_from_slice(&(errno as u32).to_be_bytes());
        tail.extend_from_slice(&u16::try_from(why.len()).unwrap_or(0).to_be_bytes());
        tail.extend_from_slice(why.as_bytes());
        let kind = match at {
            Some(at) => {
                tail.extend_from_slice(&at.to_be_bytes());
                TYPE_ERROR_OFFSET
            }
            None => TYPE_ERROR,
        };
        let head = self.chunk(FLAG_DONE, kind, tail.len() as u64);
        self.send([head.part(), Part::Copy(&tail)]);
    }

    fn simple(&self, error: u32) -> Head {
        let (magic, error) = (SIMPLE_MAGIC.to_be_bytes(), error.to_be_bytes());
        Head::new(&[&magic, &error, &self.cookie.to_be_bytes()])
    }

    fn chunk(&self, flags: u16, kind: u16, length: u64) -> Head {
        let (flags, kind) = (flags.to_be_bytes(), kind.to_be_bytes());
        let cookie = self.cookie.to_be_bytes();
        if self.style == Style::Extended {
            let (offset, length) = (self.offset.to_be_bytes(), length.to_be_bytes());
            let magic = EXTENDED_MAGIC.to_be_bytes();
            return Head::new(&[&magic, &flags, &kind, &cookie, &offset, &length]);
        }
        let length = u32::try_from(length).expect("answers are bounded").to_be_bytes();
        Head::new(&[&STRUCTURED_MAGIC.to_be_bytes(), &flags, &kind, &cookie, &length])
    }

    fn send<'a>(&mut self, parts: impl IntoIterator<Item = Part<'a>>) {
        if let Some(pending) = self.pending.take() {
            pending.answer(parts);
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        if self.pending.is_some() {
            self.fail(Errno::Shutdown, "the control unit is stopping", None);
        }
    }
}
