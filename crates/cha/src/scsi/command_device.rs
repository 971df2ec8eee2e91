//! The command device: a logical unit that takes pair commands in band.
//!
//! A host writes a request to block 0: WRITE ends when the command has, and nothing else passes between.
//! It reads the newest answer in block 0, and the one of request `n` in block 1 + `n` mod 64. Answers are
//! kept for each initiator name, the last 64 of them; a request whose number is known already is not
//! carried out again, so that a host that has lost the answer may just ask again.
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
//! answers. The answer's layout is that of [`Answer`], in `docs/format.md`.
//!
//! Invariants: no other block is ever written; a request is carried out once; answers are limited.

use super::job::Job;
use super::logical_unit::LogicalUnit;
use super::reply::{Done, Refused, ScsiStatus};
use super::sense::{Asc, Sense, SenseKey};
use super::task::unexpected;
use crate::wire::{u16_at, u64_at};
use crate::{COMMAND_BLOCK_BYTES, CommandBlock, HostOp, HostReply, InitiatorName, Outcome};
use bytes::Bytes;
use diptych_format::BLOCK_BYTES;
use diptych_sync::Arc;
use std::collections::{BTreeMap, VecDeque};

/// Answers that are kept for one initiator.
pub const ANSWERS_MAX: usize = 64;

/// Initiators that answers are kept for; the one that was first heard of makes room for another.
const INITIATORS_MAX: usize = 64;

const REQUEST: [u8; 4] = *b"DCRQ";
const ANSWER: [u8; 4] = *b"DCAN";
const VERSION: u16 = 1;
const COMMAND_AT: usize = 16;

/// Makes the block that asks for a command; `sequence` is the client's own number of it.
///
/// ```
/// use diptych_cha::scsi::{answer_of, request};
/// use diptych_cha::{Command, CommandCode};
/// use diptych_format::LdevId;
/// let split = Command::new(CommandCode::Copy, LdevId::new(0, 1), LdevId::new(0, 2));
/// let block = request(7, &split.encode());
/// assert_eq!((block.len(), &block[..4]), (512, &b"DCRQ"[..]));
/// assert!(answer_of(&block).is_none());
/// ```
pub fn request(sequence: u64, command: &[u8; COMMAND_BLOCK_BYTES]) -> Vec<u8> {
    let mut block = vec![0; BLOCK_BYTES];
    block[..4].copy_from_slice(&REQUEST);
    block[4..6].copy_from_slice(&VERSION.to_le_bytes());
    block[8..16].copy_from_slice(&sequence.to_le_bytes());
    block[COMMAND_AT..COMMAND_AT + COMMAND_BLOCK_BYTES].copy_from_slice(command);
    block
}

/// What an answer says: the number of its request, and what became of that. Nothing, if the block is no
/// answer, or no request has been heard of.
pub fn answer_of(block: &[u8]) -> Option<(u64, InBand)> {
    if block.len() < BLOCK_BYTES || block[..4] != ANSWER || u16_at(block, 4..6) != VERSION {
        return None;
    }
    let became = match u16_at(block, 6..8) {
        1 => InBand::Running,
        2 => InBand::Done(Outcome::decode(&block[COMMAND_AT..]).ok()?),
        _ => return None,
    };
    Some((u64_at(block, 8..16), became))
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InBand {
    /// It is being carried out.
    Running,
    /// It came to this.
    Done(Outcome),
}

/// One request, and what became of it.
#[derive(Debug, Clone, Copy)]
struct Answer {
    sequence: u64,
    command: [u8; COMMAND_BLOCK_BYTES],
    became: InBand,
}

impl Answer {
    fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; BLOCK_BYTES];
        block[..4].copy_from_slice(&ANSWER);
        block[4..6].copy_from_slice(&VERSION.to_le_bytes());
        block[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        match self.became {
            InBand::Running => block[6] = 1,
            InBand::Done(outcome) => {
                block[6] = 2;
                let outcome = outcome.encode();
                block[COMMAND_AT..COMMAND_AT + outcome.len()].copy_from_slice(&outcome);
            }
        }
        block
    }
}

/// The answers of a command device, by initiator, newest last.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    of: BTreeMap<InitiatorName, VecDeque<Answer>>,
    /// Whom it has heard of, in that order.
    heard: VecDeque<InitiatorName>,
}

impl Answers {
    fn find(&self, who: &InitiatorName, sequence: u64) -> Option<&Answer> {
        self.of.get(who)?.iter().find(|answer| answer.sequence == sequence)
    }

    fn newest(&self, who: &InitiatorName) -> Option<&Answer> {
        self.of.get(who)?.back()
    }

    /// The answer whose number is `place` modulo their limit: the newest, if there are several.
    fn at(&self, who: &InitiatorName, place: u64) -> Option<&Answer> {
        let same = |answer: &&Answer| answer.sequence % ANSWERS_MAX as u64 == place;
        self.of.get(who)?.iter().rev().find(same)
    }

    fn begin(&mut self, who: &InitiatorName, answer: Answer) {
        if !self.of.contains_key(who) {
            if self.heard.len() >= INITIATORS_MAX
                && let Some(first) = self.heard.pop_front()
            {
                self.of.remove(&first);
            }
            self.heard.push_back(who.clone());
        }
        let answers = self.of.entry(who.clone()).or_default();
        if answers.len() >= ANSWERS_MAX {
            answers.pop_front();
        }
        answers.push_back(answer);
    }

    fn end(&mut self, who: &InitiatorName, sequence: u64, outcome: Option<Outcome>) {
        let Some(answers) = self.of.get_mut(who) else { return };
        match (answers.iter_mut().find(|answer| answer.sequence == sequence), outcome) {
            (Some(answer), Some(outcome)) => answer.became = InBand::Done(outcome),
            (Some(_), None) => answers.retain(|answer| answer.sequence != sequence),
            (None, _) => {}
        }
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

impl Job {
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
        let who = &self.nexus.who.initiator.name;
        {
            let mut state = self.unit.state();
            match state.answers.find(who, sequence) {
                Some(known) if known.command != *command => {
                    return Err(Sense::in_list(8).into());
                }
                Some(Answer { became: InBand::Done(_), .. }) => return Ok(Bytes::new()),
                Some(_) => return Err(Refused::Status(ScsiStatus::Busy)),
                None => {}
            }
            let answer = Answer { sequence, command: *command, became: InBand::Running };
            state.answers.begin(who, answer);
        }
        self.carry_out(sequence, op).await
    }

    async fn carry_out(&self, sequence: u64, op: HostOp) -> Done {
        let unit = self.unit.clone();
        let who = self.nexus.who.initiator.name.clone();
        let mut running = Running { unit, who, sequence, outcome: None };
        // Whoever asked, the answer is to be noted.
        self.mailbox.outlive();
        match self.ask(op).await {
            Some(HostReply::Outcome(outcome)) => {
                running.outcome = Some(outcome);
                Ok(Bytes::new())
            }
            other => Err(unexpected(other)),
        }
    }

    /// READ of a command device: answers, and zeros.
    pub(crate) async fn in_band_read(&self) -> Done {
        let (block, count) = self.cdb.extent();
        let blocks = self.blocks(block, count).await?;
        let who = &self.nexus.who.initiator.name;
        let state = self.unit.state();
        let mut bytes = Vec::with_capacity(count as usize * BLOCK_BYTES);
        for block in blocks.iter() {
            let answer = match block.0 {
                0 => state.answers.newest(who),
                place if place <= ANSWERS_MAX as u64 => state.answers.at(who, place - 1),
                _ => None,
            };
            match answer {
                Some(answer) => bytes.extend(answer.encode()),
                None => bytes.resize(bytes.len() + BLOCK_BYTES, 0),
            }
        }
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OUTCOME_BLOCK_BYTES;
    use std::ops::Range;

    const DOC: &str = include_str!("../../../../docs/format.md");

    fn documented(heading: &str) -> Vec<(String, Range<usize>)> {
        let section = DOC.split("\n## ").find(|section| section.lines().next() == Some(heading));
        let rows = section.expect("a section").lines().filter(|line| line.starts_with('|')).skip(2);
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
            ("outcome", COMMAND_AT..COMMAND_AT + OUTCOME_BLOCK_BYTES),
        ];
        assert_eq!(documented("Answer of a command device"), named(&answer));
    }

    #[test]
    fn answers_are_limited() {
        let mut answers = Answers::default();
        let who = |no: usize| format!("iqn.{no}").parse::<InitiatorName>().expect("a name");
        let answer = |sequence| Answer { sequence, command: [0; 24], became: InBand::Running };
        for sequence in 0..=ANSWERS_MAX as u64 {
            answers.begin(&who(0), answer(sequence));
        }
        assert!(answers.find(&who(0), 0).is_none() && answers.find(&who(0), 1).is_some());
        assert_eq!(answers.at(&who(0), 0).map(|answer| answer.sequence), Some(64));
        for no in 1..=INITIATORS_MAX {
            answers.begin(&who(no), answer(1));
        }
        assert!(answers.newest(&who(0)).is_none() && answers.newest(&who(1)).is_some());
        answers.end(&who(1), 1, None);
        assert!(answers.newest(&who(1)).is_none());
    }
}
