//! What is put into the queue: an entry owns what a record shows.

use crate::batch::{Record, Sizes};
use crate::{Sequence, code};
use bytes::Bytes;
use diptych_format::BLOCK_BYTES;

/// A record on its way: kind and head, and a handle of its payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What kind of record it is; the log does not care.
    pub kind: u16,
    /// What it says.
    pub head: Vec<u8>,
    /// The data it carries: whole blocks of 512 bytes. The handle is given back when it is written.
    pub payload: Bytes,
    /// The CRC-32 of the payload, if the caller has it ([`payload_code`](crate::payload_code) makes it of
    /// the codes of its blocks); else the log looks at every byte. A wrong one makes a batch that cannot
    /// be read again.
    pub payload_code: Option<u32>,
}

impl Entry {
    /// An entry whose payload's code is not known.
    pub fn new(kind: u16, head: Vec<u8>, payload: Bytes) -> Self {
        Self { kind, head, payload, payload_code: None }
    }

    pub(crate) fn record(&self) -> Record<'_> {
        Record { kind: self.kind, head: &self.head, payload: &self.payload }
    }

    fn code(&self) -> u32 {
        let made = || crc32fast::hash(&self.payload);
        let code = self.payload_code.unwrap_or_else(made);
        debug_assert_eq!(code, made(), "the code of a payload is the one its caller says");
        code
    }
}

/// Entries of one put: in one batch, whatever else is in it.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) first: Sequence,
    pub(crate) entries: Vec<Entry>,
    pub(crate) sizes: Sizes,
}

/// The CRC-32 of all payloads, one behind the other.
pub(crate) fn joined_code<'a>(entries: impl Iterator<Item = &'a Entry>) -> u32 {
    entries.filter(|entry| !entry.payload.is_empty()).fold(0, |joined, entry| {
        code::join(joined, entry.code(), entry.payload.len() / BLOCK_BYTES)
    })
}
