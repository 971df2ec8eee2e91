//! A command device, as a host sees it: blocks that are written and read.

use super::InbandError;
use diptych::cha::scsi::{
    ANSWERS_MAX, AnswerBlock, PAIRS_BLOCK, PAIRS_HEAD_BLOCK, PAIRS_OF_A_BLOCK, PairsHead, request,
};
use diptych::cha::{COMMAND_BLOCK_BYTES, PAIR_BLOCK_BYTES, PairFacts};
use diptych::format::{BLOCK_BYTES, LdevId};
use diptych::iscsi::client::{ClientError, Data, Initiator, IscsiUrl, ScsiAnswer, Session};
use std::time::{Duration, Instant};

/// Vendor and product in the standard INQUIRY data.
const NAMES: &str = "DIPTYCH COMMAND DEVICE";
/// Blocks of one read of the table: 512 pairs.
const AT_ONCE: u64 = 128;
/// How long a busy target is asked again.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_secs(1);

const GOOD: u8 = 0x00;
const BUSY: u8 = 0x08;
const TASK_SET_FULL: u8 = 0x28;
const UNIT_ATTENTION: u8 = 0x06;
/// INVALID FIELD IN PARAMETER LIST.
const INVALID_LIST: [u8; 2] = [0x26, 0x00];
/// Unit attentions that are heard before a command is given up.
const ATTENTIONS_MAX: u32 = 16;

/// A command device that a session reaches.
pub(super) struct Device {
    session: Session,
}

impl Device {
    pub(super) fn open(url: &IscsiUrl, initiator: &Initiator) -> Result<Self, InbandError> {
        let mut device = Self { session: Session::log_in(url, initiator)? };
        let inquiry = device.run("INQUIRY", &[0x12, 0, 0, 0, 96, 0], Data::In(96))?;
        let is_there = inquiry.data.first().is_some_and(|first| *first == 0);
        let names = inquiry.data.get(8..32).filter(|_| is_there).unwrap_or_default();
        let found = String::from_utf8_lossy(names).trim_end().to_owned();
        match found == NAMES {
            true => Ok(device),
            false => Err(InbandError::NotDevice { url: url.clone(), found }),
        }
    }

    pub(super) fn close(self) -> Result<(), ClientError> {
        self.session.log_out()
    }

    /// Has a command carried out; what it came to.
    pub(super) fn request(
        &mut self,
        sequence: u64,
        command: &[u8; COMMAND_BLOCK_BYTES],
    ) -> Result<AnswerBlock, InbandError> {
        let block = request(sequence, command);
        let written = self.run("the command", &ten(0x2A, 0, 1), Data::Out(&block));
        written.map_err(|error| match error {
            InbandError::Client(source) => InbandError::Cut { sequence, source },
            InbandError::Scsi { sense: Some((_, INVALID_LIST)), .. } => {
                InbandError::OtherCommand { sequence }
            }
            other => other,
        })?;
        let place = 1 + sequence % ANSWERS_MAX as u64;
        let answer = self.read(place, 1).map_err(|error| match error {
            InbandError::Client(source) => InbandError::Cut { sequence, source },
            other => other,
        })?;
        let answer = AnswerBlock::decode(&answer).ok_or(InbandError::Nonsense)?;
        match answer.sequence == sequence {
            true => Ok(answer),
            false => Err(InbandError::Pushed { sequence }),
        }
    }

    /// All pairs of the unit, by number.
    pub(super) fn pairs(&mut self) -> Result<Vec<PairFacts>, InbandError> {
        let head = self.read(PAIRS_HEAD_BLOCK, 1)?;
        let head = PairsHead::decode(&head).ok_or(InbandError::Nonsense)?;
        let end = PAIRS_BLOCK + u64::from(head.numbers_end).div_ceil(PAIRS_OF_A_BLOCK as u64);
        let mut pairs = Vec::new();
        let mut block = PAIRS_BLOCK;
        while block < end {
            let count = (end - block).min(AT_ONCE);
            for one in self.read(block, count as u16)?.chunks(PAIR_BLOCK_BYTES) {
                pairs.extend(PairFacts::decode(one).map_err(|_| InbandError::Nonsense)?);
            }
            block += count;
        }
        Ok(pairs)
    }

    /// The pair of two volumes.
    pub(super) fn pair(
        &mut self,
        primary: LdevId,
        secondary: LdevId,
    ) -> Result<Option<PairFacts>, InbandError> {
        let is_it = |pair: &PairFacts| (pair.primary, pair.secondary) == (primary, secondary);
        Ok(self.pairs()?.into_iter().find(is_it))
    }

    fn read(&mut self, block: u64, count: u16) -> Result<Vec<u8>, InbandError> {
        let bytes = usize::from(count) * BLOCK_BYTES;
        let answer = self.run("a read", &ten(0x28, block as u32, count), Data::In(bytes as u32))?;
        match answer.data.len() == bytes {
            true => Ok(answer.data),
            false => Err(InbandError::Nonsense),
        }
    }

    /// Carries out a command, which may be given again: what the target has to tell first, and that it is
    /// busy, is heard and not told.
    fn run(
        &mut self,
        what: &'static str,
        cdb: &[u8],
        data: Data<'_>,
    ) -> Result<ScsiAnswer, InbandError> {
        let until = Instant::now() + PATIENCE;
        let (mut pause, mut told) = (FIRST_PAUSE, 0);
        loop {
            let answer = self.session.command(cdb, data)?;
            let sense = answer.sense_code();
            match answer.status {
                GOOD => return Ok(answer),
                BUSY | TASK_SET_FULL if Instant::now() < until => {
                    diptych::sync::thread::sleep(pause);
                    pause = (2 * pause).min(LAST_PAUSE);
                }
                _ if sense.is_some_and(|(key, _)| key == UNIT_ATTENTION)
                    && told < ATTENTIONS_MAX =>
                {
                    told += 1;
                }
                status => return Err(InbandError::Scsi { what, status, sense }),
            }
        }
    }
}

/// READ(10) or WRITE(10).
fn ten(opcode: u8, block: u32, count: u16) -> [u8; 10] {
    let ([a, b, c, d], [e, f]) = (block.to_be_bytes(), count.to_be_bytes());
    [opcode, 0, a, b, c, d, 0, e, f, 0]
}
