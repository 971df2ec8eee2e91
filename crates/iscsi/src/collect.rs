//! Data of the host that comes apart from its command (RFC 7143, 11.7 and 11.8).
//!
//! | phase | what may come |
//! |---|---|
//! | unasked | up to FirstBurstLength, from the command's own data on, until F |
//! | queued | nothing: no room to ask for it yet, or to carry the command out |
//! | asked | what was asked for with R2T, until F |
//!
//! Data that does not come in its order spoils the command: what comes of it until F is forgotten, and the
//! command ends. Invariants: nothing comes that may not, or it is a protocol error; what is kept is what the command wants,
//! and no more; what all commands of a connection have asked for is at most [`ASKED_BYTES_MAX`], unless it
//! is one command.

use crate::bhs::Bhs;
use crate::error::Fault;
use crate::response::Command;
use bytes::Bytes;

/// Bytes that commands of a connection have asked for and that are not all there.
pub const ASKED_BYTES_MAX: usize = 16 << 20;
/// Bytes that a command gets; one that wants more gets nothing, as it will be refused.
pub const COMMAND_BYTES_MAX: usize =
    diptych_cha::scsi::limits::TRANSFER_BLOCKS_MOST as usize * diptych_format::BLOCK_BYTES;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Unasked { upto: u32 },
    Queued,
    Asked { tag: u32, upto: u32 },
}

/// A command whose data is not all there.
#[derive(Debug)]
pub(crate) struct Collecting {
    pub(crate) command: Command,
    pub(crate) cdb: [u8; 16],
    wanted: usize,
    data: Collected,
    phase: Phase,
    /// What comes next: its place, and its number in the sequence.
    offset: u32,
    data_no: u32,
    r2t_no: u32,
    is_spoilt: bool,
    /// What it keeps, with its answer.
    keeps: usize,
    /// What it keeps is held for it, and its data has a place in what may be asked for.
    pub(crate) has_room: bool,
}

#[derive(Debug)]
enum Collected {
    One(Bytes),
    Many(Vec<u8>),
}

/// What to do after data came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Wait for more.
    More,
    /// Ask for the rest.
    Ask,
    /// Carry the command out.
    Complete,
    /// End the command: its data was not in order.
    Spoilt,
}

impl Collecting {
    /// A command that wants so much, of which this came with it; `unasked` more may come unasked.
    pub(crate) fn new(
        command: Command,
        cdb: [u8; 16],
        wanted: usize,
        came: Bytes,
        unasked: Option<u32>,
    ) -> Self {
        let phase = unasked.map_or(Phase::Queued, |upto| Phase::Unasked { upto });
        let (offset, data) = (came.len() as u32, Collected::One(came));
        let keeps = wanted.max(offset as usize) + command.answer_bytes();
        Self {
            command,
            cdb,
            wanted,
            data,
            phase,
            offset,
            data_no: 0,
            r2t_no: 0,
            is_spoilt: false,
            keeps,
            has_room: false,
        }
    }

    pub(crate) fn keeps(&self) -> usize {
        self.keeps
    }

    pub(crate) fn wanted(&self) -> usize {
        self.wanted
    }

    /// What has to be done first.
    pub(crate) fn first(&self) -> Then {
        match self.phase {
            Phase::Unasked { .. } => Then::More,
            _ if self.offset as usize >= self.wanted => Then::Complete,
            _ => Then::Ask,
        }
    }

    /// Takes the data of a Data-Out PDU.
    pub(crate) fn take(&mut self, header: &Bhs, data: &Bytes) -> Result<Then, Fault> {
        let upto = match self.phase {
            Phase::Unasked { upto } if header.target_tag() == crate::bhs::NO_TAG => upto,
            Phase::Asked { tag, upto } if header.target_tag() == tag => upto,
            _ => return Err(Fault::Unasked),
        };
        let to = self.offset.checked_add(data.len() as u32).filter(|to| *to <= upto);
        let in_order = header.word(36) == self.data_no && header.word(40) == self.offset;
        let is_final = header.is_final();
        let is_asked = matches!(self.phase, Phase::Asked { .. });
        // What was asked for has to come, and only the last part says that it is the last.
        let is_whole = to.is_some_and(|to| is_final == (to == upto) || (is_final && !is_asked));
        let Some(to) = to.filter(|_| in_order && is_whole && !self.is_spoilt) else {
            self.is_spoilt = true;
            self.data = Collected::One(Bytes::new());
            return Ok(if is_final { Then::Spoilt } else { Then::More });
        };
        let room = self.wanted.saturating_sub(self.offset as usize);
        self.keep(&data.slice(..data.len().min(room)));
        self.offset = to;
        self.data_no += 1;
        if !is_final {
            return Ok(Then::More);
        }
        self.phase = Phase::Queued;
        Ok(self.first())
    }

    fn keep(&mut self, data: &Bytes) {
        match &mut self.data {
            Collected::One(before) if before.is_empty() => self.data = Collected::One(data.clone()),
            Collected::One(before) => self.data = Collected::Many([&before[..], data].concat()),
            Collected::Many(before) => before.extend_from_slice(data),
        }
    }

    /// Asks for the next burst: the fields of an R2T.
    pub(crate) fn ask(&mut self, tag: u32, burst: u32) -> R2t {
        let (offset, r2t_no) = (self.offset, self.r2t_no);
        let bytes = (self.wanted as u32 - offset).min(burst);
        self.phase = Phase::Asked { tag, upto: offset + bytes };
        self.data_no = 0;
        self.r2t_no += 1;
        R2t { tag, r2t_no, offset, bytes }
    }

    /// All data.
    pub(crate) fn finish(self) -> Bytes {
        match self.data {
            Collected::One(data) => data,
            Collected::Many(data) => data.into(),
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct R2t {
    pub(crate) tag: u32,
    pub(crate) r2t_no: u32,
    pub(crate) offset: u32,
    pub(crate) bytes: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bhs::{FINAL, NO_TAG, opcode};
    use diptych_cha::scsi::DataLength;

    fn collecting(wanted: usize, came: usize, unasked: Option<u32>) -> Collecting {
        let (tag, lun, reads, writes, is_immediate) = (1, [0; 8], false, true, false);
        let (expected, length) = (wanted as u32, DataLength::Out(wanted as u64));
        let command = Command { tag, lun, reads, writes, expected, length, is_immediate };
        Collecting::new(command, [0; 16], wanted, Bytes::from(vec![9; came]), unasked)
    }

    fn header(tag: u32, data_no: u32, offset: u32, is_final: bool) -> Bhs {
        let mut header = Bhs::new(opcode::DATA_OUT, if is_final { FINAL } else { 0 });
        *header.set_word(20, tag).set_word(36, data_no).set_word(40, offset)
    }

    #[test]
    fn data_is_put_together_in_its_order() {
        let mut c = collecting(2_500, 500, Some(1_500));
        assert_eq!(c.first(), Then::More);
        let part = |byte, bytes| Bytes::from(vec![byte; bytes]);
        let some = part(1, 500);
        assert_eq!(c.take(&header(NO_TAG, 0, 500, false), &some), Ok(Then::More));
        assert_eq!(c.take(&header(NO_TAG, 1, 1_000, true), &part(2, 500)), Ok(Then::Ask));
        assert_eq!(c.ask(77, 600), R2t { tag: 77, r2t_no: 0, offset: 1_500, bytes: 600 });
        assert_eq!(c.take(&header(77, 0, 1_500, true), &part(3, 600)), Ok(Then::Ask));
        assert_eq!(c.ask(78, 600), R2t { tag: 78, r2t_no: 1, offset: 2_100, bytes: 400 });
        assert_eq!(c.take(&header(78, 0, 2_100, true), &part(4, 400)), Ok(Then::Complete));
        let data = c.finish();
        let parts = [vec![9; 500], vec![1; 500], vec![2; 500], vec![3; 600], vec![4; 400]];
        assert_eq!(data, parts.concat());
    }

    #[test]
    fn what_is_out_of_order_spoils_the_command() {
        #[track_caller]
        fn check(header: Bhs, bytes: usize, expected: Result<Then, Fault>) {
            let mut c = collecting(2_000, 0, None);
            c.ask(7, 1_000);
            assert_eq!(c.take(&header, &Bytes::from(vec![0; bytes])), expected);
        }
        check(header(7, 0, 0, true), 1_000, Ok(Then::Ask));
        check(header(8, 0, 0, true), 1_000, Err(Fault::Unasked));
        check(header(NO_TAG, 0, 0, true), 1_000, Err(Fault::Unasked));
        check(header(7, 1, 0, true), 1_000, Ok(Then::Spoilt));
        check(header(7, 0, 512, true), 488, Ok(Then::Spoilt));
        check(header(7, 0, 0, true), 1_001, Ok(Then::Spoilt));
        check(header(7, 0, 0, true), 999, Ok(Then::Spoilt));
        // What is spoilt ends with F, however good the rest is.
        let mut c = collecting(2_000, 0, None);
        c.ask(7, 1_000);
        let data = Bytes::from(vec![0; 1_000]);
        assert_eq!(c.take(&header(7, 0, 0, false), &data), Ok(Then::More));
        assert_eq!(c.take(&header(7, 0, 0, true), &data), Ok(Then::Spoilt));
        let mut queued = collecting(2_000, 0, None);
        let came = queued.take(&header(NO_TAG, 0, 0, true), &Bytes::new());
        assert_eq!(came, Err(Fault::Unasked));
    }

    #[test]
    fn no_more_is_kept_than_is_wanted() {
        let mut c = collecting(600, 512, Some(4_096));
        let data = Bytes::from(vec![1; 2_000]);
        assert_eq!(c.take(&header(NO_TAG, 0, 512, true), &data), Ok(Then::Complete));
        assert_eq!(c.finish().len(), 600);
    }
}
