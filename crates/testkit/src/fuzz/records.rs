//! Records of a log as an input, so that few bytes are many records and most mistakes make records too.
//!
//! A byte of flags, then pieces. A piece is a byte that says what it is, and its fields:
//!
//! | byte | fields | what it is |
//! |---|---|---|
//! | 0 to 11 | head, payload | a record of that kind, in the order of `docs/format.md` |
//! | 12 | bytes of a part, state | a checkpoint of version 1: its begin, parts and end |
//! | 13 | | what came before is made durable, what follows is another batch |
//! | 14 | as 12 | a checkpoint of version 2 |
//! | else | number, head, payload | a record of the kind of that number |
//!
//! A head is its length (2) and bytes; a payload is a number of blocks (1) and what they are filled with (1).

use super::input::{Input, put_counted};
use bytes::Bytes;
use diptych_device::Device;
use diptych_format::BLOCK_BYTES;
use diptych_log::{Entry, Log, LogError, Record};

/// The kinds of records, as they stand in a log. What came later is known by its number.
pub(super) const KINDS: [u16; 12] = [1, 2, 3, 4, 16, 17, 18, 19, 20, 32, 33, 34];
/// A piece whose kind is a number of its own.
const OTHER: u8 = 15;
const CHECKPOINT: u8 = 12;
const BATCH: u8 = 13;
const CHECKPOINT_2: u8 = 14;
const BEGIN: u16 = 32;
const PART: u16 = 33;
const END: u16 = 34;

/// Puts the records of an input into a log and writes them.
pub(super) fn put(mut input: Input<'_>, log: &Log<impl Device>) -> Result<(), LogError> {
    while !input.is_empty() {
        match input.byte() {
            piece @ (CHECKPOINT | CHECKPOINT_2) => {
                let version = if piece == CHECKPOINT { 1 } else { 2 };
                let part_blocks = usize::from(input.byte()).max(1);
                put_checkpoint(log, version, input.counted(), part_blocks * BLOCK_BYTES);
            }
            BATCH => log.sync(log.end())?,
            known if usize::from(known) < KINDS.len() => {
                put_record(log, KINDS[usize::from(known)], &mut input);
            }
            _ => {
                let kind = input.short();
                put_record(log, kind, &mut input);
            }
        }
    }
    log.sync(log.end())
}

fn put_record(log: &Log<impl Device>, kind: u16, input: &mut Input<'_>) {
    let head = input.counted().to_vec();
    let (blocks, fill) = (usize::from(input.byte()), input.byte());
    let payload = Bytes::from(vec![fill; blocks * BLOCK_BYTES]);
    log.put(vec![Entry::new(kind, head, payload)]);
}

fn put_checkpoint(log: &Log<impl Device>, version: u16, state: &[u8], part_bytes: usize) {
    let head = |value: &(u64, u64)| postcard::to_allocvec(value).expect("two numbers");
    let version = postcard::to_allocvec(&version).expect("a number");
    let begin = log.put(vec![Entry::new(BEGIN, version, Bytes::new())]).start.0;
    let total = state.len() as u64;
    let mut bytes = state.to_vec();
    bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES), 0);
    let bytes = Bytes::from(bytes);
    for start in (0..bytes.len()).step_by(part_bytes) {
        let payload = bytes.slice(start..(start + part_bytes).min(bytes.len()));
        log.put(vec![Entry::new(PART, head(&(begin, start as u64)), payload)]);
    }
    log.put(vec![Entry::new(END, head(&(begin, total)), Bytes::new())]);
}

/// Makes an input of the records of a real log, from its last checkpoint on; data is left out but for one
/// byte of it.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pieces: Vec<u8>,
    state: Vec<u8>,
    batch: u8,
}

impl Taken {
    pub(super) fn add(&mut self, record: Record<'_>) {
        match record.kind {
            BEGIN => {
                self.pieces.clear();
                self.state.clear();
            }
            PART => self.state.extend_from_slice(record.payload),
            END => {
                let total: Result<(u64, u64), _> = postcard::from_bytes(record.head);
                let (_, total) = total.expect("the end of a checkpoint");
                // What came between is behind it here.
                let mut pieces = vec![CHECKPOINT_2, 1];
                put_counted(&mut pieces, &self.state[..total as usize]);
                pieces.append(&mut self.pieces);
                self.pieces = pieces;
            }
            kind => {
                match KINDS.iter().position(|known| *known == kind) {
                    Some(known) => self.pieces.push(known as u8),
                    None => {
                        self.pieces.push(OTHER);
                        self.pieces.extend(kind.to_le_bytes());
                    }
                }
                put_counted(&mut self.pieces, record.head);
                let blocks = record.payload.len() / BLOCK_BYTES;
                self.pieces.push(u8::try_from(blocks).expect("a few blocks"));
                self.pieces.push(record.payload.first().copied().unwrap_or(0));
            }
        }
        self.batch = self.batch.wrapping_add(1);
        if self.batch.is_multiple_of(4) && record.kind != PART && record.kind != BEGIN {
            self.pieces.push(BATCH);
        }
    }

    pub(super) fn input(self, flags: u8) -> Vec<u8> {
        [vec![flags], self.pieces].concat()
    }
}
