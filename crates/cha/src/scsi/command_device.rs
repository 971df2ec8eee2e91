//! The command device: a logical unit that takes pair commands in band.
//!
//! A host writes a request to block 0: WRITE ends when the command has, and nothing else passes between.
//!
//! | block | what a host reads there |
//! |---|---|
//! | 0 | the answer to its newest request |
//! | 1 + *n* mod 64 | the answer to its request *n* |
//! | 127 | the head of the table of pairs |
//! | 128 + *p* / 4 | the pair blocks of pairs *p* to *p* + 3, *p* a multiple of 4; zeros where there is no pair |
//!
//! All other blocks are zero. Answers are kept for each initiator name, the last 64 of them, and over a
//! restart; a request whose number is known already is not carried out again, so that a host that has lost
//! the answer may just ask again. Pair information is that of the moment of reading.
//!
//! | offset | bytes | field | content |
//! |---|---|---|---|
//! | 0 | 4 | magic | the letters `DCRQ` |
//! | 4 | 2 | version | 1 |
//! | 6 | 2 | reserved | zero |
//! | 8 | 8 | sequence | the host's number of the request |
//! | 16 | 24 | command | a command block |
//!
//! Numbers are little-endian, as in the blocks inside. What lies behind is not looked at, and zero in
//! answers. The layouts of [`AnswerBlock`] and [`PairsHead`] are in `docs/format.md`.
//!
//! Invariants: no other block is ever written; a request is carried out once; answers are limited; no lock
//! is held while the unit is asked.

use super::answers::{ANSWERS_MAX, Answer, InBand};
use super::job::Job;
use super::logical_unit::LogicalUnit;
use super::mailbox::Ask;
use super::reply::{Done, Refused, ScsiStatus};
use super::sense::{Asc, Sense, SenseKey};
use super::target::ScsiTarget;
use super::task::{Keep, unexpected};
use crate::wire::{u16_at, u32_at, u64_at};
use crate::{
    COMMAND_BLOCK_BYTES, CommandBlock, HostOp, HostReply, InitiatorName, OUTCOME_BLOCK_BYTES,
    Outcome, PAIR_BLOCK_BYTES, PairFacts, PairTable, PairsOf,
};
use bytes::Bytes;
use diptych_format::{BLOCK_BYTES, BlockRange, LdevId};
use diptych_sync::Arc;
use std::ops::Range;

/// The block of a command device with the head of the table of pairs.
pub const PAIRS_HEAD_BLOCK: u64 = 127;

/// The first block of that table.
pub const PAIRS_BLOCK: u64 = PAIRS_HEAD_BLOCK + 1;

/// Pairs in each of its blocks.
pub const PAIRS_OF_A_BLOCK: usize = BLOCK_BYTES / PAIR_BLOCK_BYTES;

const REQUEST: [u8; 4] = *b"DCRQ";
const ANSWER: [u8; 4] = *b"DCAN";
const HEAD: [u8; 4] = *b"DCPT";
const VERSION: u16 = 1;
/// Of answers: version 1 had no pair.
const ANSWER_VERSION: u16 = 2;
const COMMAND_AT: usize = 16;
const OUTCOME_AT: usize = 16;
const PAIR_AT: usize = 64;
const COUNT: Range<usize> = 8..12;
const NUMBERS_END: Range<usize> = 12..16;

/// Makes the block that asks for a command; `sequence` is the client's own number of it.
///
/// ```
/// use diptych_cha::scsi::{AnswerBlock, request};
/// use diptych_cha::{Command, CommandCode};
/// use diptych_format::LdevId;
/// let split = Command::new(CommandCode::Copy, LdevId::new(0, 1), LdevId::new(0, 2));
/// let block = request(7, &split.encode());
/// assert_eq!((block.len(), &block[..4]), (512, &b"DCRQ"[..]));
/// assert_eq!(AnswerBlock::decode(&block), None);
/// ```
pub fn request(sequence: u64, command: &[u8; COMMAND_BLOCK_BYTES]) -> Vec<u8> {
    let mut block = headed(REQUEST, VERSION);
    block[8..16].copy_from_slice(&sequence.to_le_bytes());
    block[COMMAND_AT..COMMAND_AT + COMMAND_BLOCK_BYTES].copy_from_slice(command);
    block
}

fn headed(magic: [u8; 4], version: u16) -> Vec<u8> {
    let mut block = vec![0; BLOCK_BYTES];
    block[..4].copy_from_slice(&magic);
    block[4..6].copy_from_slice(&version.to_le_bytes());
    block
}

fn is_headed(block: &[u8], magic: [u8; 4], version: u16) -> bool {
    block.len() >= BLOCK_BYTES && block[..4] == magic && u16_at(block, 4..6) == version
}

/// What a block with an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerBlock {
    /// The client's number of the request.
    pub sequence: u64,
    /// What became of it.
    pub became: InBand,
    /// The pair of the command as it is now, if there is one.
    pub pair: Option<PairFacts>,
}

impl AnswerBlock {
    /// The answer in a block; nothing, if the block is none, or no request has been heard of.
    pub fn decode(block: &[u8]) -> Option<Self> {
        if !is_headed(block, ANSWER, ANSWER_VERSION) {
            return None;
        }
        let became = match u16_at(block, 6..8) {
            1 => InBand::Running,
            2 => InBand::Done(Outcome::decode(&block[OUTCOME_AT..]).ok()?),
            3 => InBand::Interrupted,
            _ => return None,
        };
        let pair = PairFacts::decode(&block[PAIR_AT..]).ok()?;
        Some(Self { sequence: u64_at(block, 8..16), became, pair })
    }

    fn encode(&self) -> Vec<u8> {
        let mut block = headed(ANSWER, ANSWER_VERSION);
        block[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        block[6] = match self.became {
            InBand::Running => 1,
            InBand::Done(outcome) => {
                block[OUTCOME_AT..OUTCOME_AT + OUTCOME_BLOCK_BYTES]
                    .copy_from_slice(&outcome.encode());
                2
            }
            InBand::Interrupted => 3,
        };
        if let Some(pair) = &self.pair {
            block[PAIR_AT..PAIR_AT + PAIR_BLOCK_BYTES].copy_from_slice(&pair.encode());
        }
        block
    }
}

/// The head of the table of pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairsHead {
    /// Pairs of the unit.
    pub count: u32,
    /// The highest pair number, plus 1: so far the table has to be read.
    pub numbers_end: u32,
}

impl PairsHead {
    /// The head in a block; nothing, if the block is none.
    pub fn decode(block: &[u8]) -> Option<Self> {
        is_headed(block, HEAD, VERSION)
            .then(|| Self { count: u32_at(block, COUNT), numbers_end: u32_at(block, NUMBERS_END) })
    }

    fn encode(self) -> Vec<u8> {
        let mut block = headed(HEAD, VERSION);
        block[COUNT].copy_from_slice(&self.count.to_le_bytes());
        block[NUMBERS_END].copy_from_slice(&self.numbers_end.to_le_bytes());
        block
    }
}

/// A request that is being carried out; if it is dropped before its end, it is as if it had not been.
struct Running {
    unit: Arc<LogicalUnit>,
    who: InitiatorName,
    sequence: u64,
    outcome: Option<Outcome>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.unit.state().answers.end(&self.who, self.sequence, self.outcome);
    }
}

/// The right to have an initiator's answers kept.
struct Keeping<'a> {
    unit: &'a LogicalUnit,
    who: &'a InitiatorName,
    has_ended: bool,
}

impl Keeping<'_> {
    /// Gives it back, once. Whether they have changed since they were taken.
    fn end(&mut self) -> bool {
        self.has_ended = true;
        self.unit.state().answers.kept(self.who)
    }
}

impl Drop for Keeping<'_> {
    fn drop(&mut self) {
        if !self.has_ended {
            self.end();
        }
    }
}

fn write_protected() -> Refused {
    Sense::new(SenseKey::DataProtect, Asc::WRITE_PROTECTED).into()
}

/// The number of a request, and its command block.
fn request_of(block: &[u8]) -> Result<(u64, &[u8; COMMAND_BLOCK_BYTES]), Refused> {
    let wrong = |at: u16| Refused::from(Sense::in_list(at));
    let command = block.get(COMMAND_AT..).and_then(|rest| rest.first_chunk());
    let command = command.ok_or_else(|| wrong(0))?;
    if block[..4] != REQUEST {
        return Err(wrong(0));
    }
    match (u16_at(block, 4..6), u16_at(block, 6..8)) {
        (VERSION, 0) => Ok((u64_at(block, 8..16), command)),
        (VERSION, _) => Err(wrong(6)),
        _ => Err(wrong(4)),
    }
}

/// The volumes of a request, if they are known: the unit may have to choose the secondary yet.
fn volumes_of(answer: &Answer) -> Option<(LdevId, LdevId)> {
    let block = CommandBlock::new_checked(&answer.command).ok()?;
    match answer.became {
        InBand::Done(Outcome::Chosen { secondary, .. }) => Some((block.primary(), secondary)),
        _ if block.is_automatic() => None,
        _ => Some((block.primary(), block.secondary())),
    }
}

/// The pair numbers whose pair blocks are in these blocks of a command device.
fn numbers_in(blocks: BlockRange) -> Option<(u16, u16)> {
    let end = PAIRS_BLOCK + (1 << 16) / PAIRS_OF_A_BLOCK as u64;
    let (first, last) = (blocks.start.0.max(PAIRS_BLOCK), blocks.end.0.min(end));
    let number = |block: u64| (block - PAIRS_BLOCK) * PAIRS_OF_A_BLOCK as u64;
    (first < last).then(|| (number(first) as u16, (number(last) - 1) as u16))
}

impl Job {
    fn initiator(&self) -> &InitiatorName {
        &self.nexus.who.initiator.name
    }

    /// WRITE to a command device: of one block, to block 0.
    pub(crate) async fn in_band_write(&self) -> Done {
        let (block, count) = self.cdb.extent();
        let blocks = self.blocks(block, count).await?;
        if blocks.is_empty() {
            return Ok(Bytes::new());
        }
        if block != 0 || count != 1 {
            return Err(write_protected());
        }
        let data = self.whole_blocks(BLOCK_BYTES as u64)?;
        let (sequence, command) = request_of(&data)?;
        let block = CommandBlock::new_checked(command);
        let op = block.and_then(CommandBlock::operation);
        let op = op.map_err(|_| Sense::in_list(COMMAND_AT as u16))?;
        let who = self.initiator();
        {
            let mut state = self.unit.state();
            match state.answers.find(who, sequence) {
                Some(known) if known.command != *command => {
                    return Err(Sense::in_list(8).into());
                }
                Some(Answer { became: InBand::Done(_) | InBand::Interrupted, .. }) => {
                    return Ok(Bytes::new());
                }
                Some(_) => return Err(Refused::Status(ScsiStatus::Busy)),
                None => {}
            }
            let answer = Answer { sequence, command: *command, became: InBand::Running };
            if !state.answers.begin(who, answer) {
                return Err(Refused::Status(ScsiStatus::Busy));
            }
        }
        self.carry_out(sequence, op).await
    }

    async fn carry_out(&self, sequence: u64, op: HostOp) -> Done {
        let (unit, who) = (self.unit.clone(), self.initiator().clone());
        let mut running = Running { unit, who, sequence, outcome: None };
        // Whoever asked, the answer is to be noted.
        self.mailbox.outlive();
        // Its number is durable before it is carried out: so it is not a second time after a restart.
        if !self.keep_answers().await? {
            return Err(Refused::Status(ScsiStatus::Busy));
        }
        let done = match self.ask(op).await {
            Some(HostReply::Outcome(outcome)) => {
                running.outcome = Some(outcome);
                Ok(Bytes::new())
            }
            other => Err(unexpected(other)),
        };
        drop(running);
        // What is done is done, though its answer be lost in a restart: it is interrupted then.
        let _ = self.keep_answers().await;
        done
    }

    /// Has the answers to the initiator kept, as they are now. `false`: another task does, and will again.
    async fn keep_answers(&self) -> Result<bool, Refused> {
        let who = self.initiator();
        loop {
            let Some((place, value)) = self.unit.state().answers.take_to_keep(who) else {
                return Ok(false);
            };
            let mut keeping = Keeping { unit: &self.unit, who, has_ended: false };
            let name = ScsiTarget::kept_answers_name(self.ldev(), place);
            let keep = Keep { name, value: value.map(Bytes::from) };
            let reply = self.mailbox.ask(Ask::Keep(keep)).await;
            if !matches!(reply, Some(HostReply::Done)) {
                return Err(unexpected(reply));
            }
            if !keeping.end() {
                return Ok(true);
            }
        }
    }

    /// READ of a command device: answers, pairs, and zeros.
    pub(crate) async fn in_band_read(&self) -> Done {
        let (block, count) = self.cdb.extent();
        let blocks = self.blocks(block, count).await?;
        let mut bytes = vec![0; count as usize * BLOCK_BYTES];
        let mut put = |block: u64, content: &[u8]| {
            let at = (block - blocks.start.0) as usize * BLOCK_BYTES;
            bytes[at..at + BLOCK_BYTES].copy_from_slice(content);
        };
        for (block, answer) in self.answers_in(blocks) {
            let pair = match volumes_of(&answer) {
                Some((primary, secondary)) => {
                    let of = PairsOf::Volumes { primary, secondary };
                    self.pairs(of).await?.pairs.pop()
                }
                None => None,
            };
            let Answer { sequence, became, .. } = answer;
            put(block, &AnswerBlock { sequence, became, pair }.encode());
        }
        let numbers = numbers_in(blocks);
        let has_head = (blocks.start.0..blocks.end.0).contains(&PAIRS_HEAD_BLOCK);
        if has_head || numbers.is_some() {
            // Of the last pair, if of none: the head counts all.
            let (first, last) = numbers.unwrap_or((u16::MAX, u16::MAX));
            let table = self.pairs(PairsOf::Numbers { first, last }).await?;
            if has_head {
                let (count, numbers_end) = (table.count, table.numbers_end);
                put(PAIRS_HEAD_BLOCK, &PairsHead { count, numbers_end }.encode());
            }
            if numbers.is_some() {
                let table_at = PAIRS_BLOCK.max(blocks.start.0) - blocks.start.0;
                for pair in &table.pairs {
                    let at = table_at as usize * BLOCK_BYTES
                        + usize::from(pair.id.no - first) * PAIR_BLOCK_BYTES;
                    bytes[at..at + PAIR_BLOCK_BYTES].copy_from_slice(&pair.encode());
                }
            }
        }
        Ok(bytes.into())
    }

    /// The answers that stand in these blocks.
    fn answers_in(&self, blocks: BlockRange) -> Vec<(u64, Answer)> {
        let who = self.initiator();
        let state = self.unit.state();
        let answer = |block: u64| match block.checked_sub(1) {
            None => state.answers.newest(who),
            Some(place) => state.answers.at(who, place),
        };
        let with_answers = blocks.start.0..blocks.end.0.min(ANSWERS_MAX as u64 + 1);
        with_answers.filter_map(|block| Some((block, *answer(block)?))).collect()
    }

    async fn pairs(&self, of: PairsOf) -> Result<PairTable, Refused> {
        match self.ask(HostOp::Pairs { of }).await {
            Some(HostReply::Pairs(table)) => Ok(table),
            other => Err(unexpected(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOC: &str = include_str!("../../../../docs/format.md");

    fn documented(heading: &str) -> Vec<(String, Range<usize>)> {
        let section = DOC.split("\n## ").find(|section| section.lines().next() == Some(heading));
        let rows =
            section.expect("a section").lines().skip_while(|line| !line.starts_with("| field"));
        let rows = rows.filter(|line| line.starts_with('|')).skip(2);
        let row = |line: &str| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            let [at, width] = [cells[1], cells[2]].map(|cell| cell.parse().expect("a number"));
            let start: usize = at;
            (cells[0].to_owned(), start..start + width)
        };
        rows.map(row).collect()
    }

    #[test]
    fn the_document_is_the_layout() {
        let request = [
            ("magic", 0..4),
            ("version", 4..6),
            ("reserved", 6..8),
            ("sequence", 8..16),
            ("command", COMMAND_AT..COMMAND_AT + COMMAND_BLOCK_BYTES),
        ];
        let end = COMMAND_AT + COMMAND_BLOCK_BYTES;
        crate::wire::documented::check(include_str!("command_device.rs"), &request, end);
        let named = |fields: &[(&str, Range<usize>)]| -> Vec<_> {
            fields.iter().map(|(name, at)| ((*name).to_owned(), at.clone())).collect()
        };
        assert_eq!(documented("Request of a command device"), named(&request));
        let answer = [
            ("magic", 0..4),
            ("version", 4..6),
            ("state", 6..8),
            ("sequence", 8..16),
            ("outcome", OUTCOME_AT..OUTCOME_AT + OUTCOME_BLOCK_BYTES),
            ("reserved", OUTCOME_AT + OUTCOME_BLOCK_BYTES..PAIR_AT),
            ("pair", PAIR_AT..PAIR_AT + PAIR_BLOCK_BYTES),
        ];
        assert_eq!(documented("Answer of a command device"), named(&answer));
        let head = [
            ("magic", 0..4),
            ("version", 4..6),
            ("reserved", 6..8),
            ("pairs", COUNT),
            ("numbers end", NUMBERS_END),
        ];
        assert_eq!(documented("Pairs of a command device"), named(&head));
        let rows =
            DOC.lines().filter(|line| line.starts_with("| 127 |") || line.starts_with("| 128 + "));
        assert_eq!(rows.count(), 2, "the blocks of the table");
        assert_eq!((PAIRS_HEAD_BLOCK, PAIRS_BLOCK, PAIRS_OF_A_BLOCK), (127, 128, 4));
    }

    #[test]
    fn numbers_of_blocks() {
        #[track_caller]
        fn check(start: u64, count: u64, expected: Option<(u16, u16)>) {
            let blocks = BlockRange::new(diptych_format::BlockNo(start), count);
            assert_eq!(numbers_in(blocks), expected);
        }
        check(0, 128, None);
        check(0, 129, Some((0, 3)));
        check(129, 2, Some((4, 11)));
        check(127, 40_000, Some((0, u16::MAX)));
        check(128 + 16_383, 9, Some((u16::MAX - 3, u16::MAX)));
        check(128 + 16_384, 9, None);
    }
}
