//! A small initiator: one session, one command at a time.
//!
//! It is what `diptych inband` gives its commands by, and shares the parsers of headers and texts with the
//! target. It logs in without a proof or by CHAP, with or without CRC32C digests, and does what a command
//! device needs: commands with data either way, answers to pings, a logout.
//!
//! Invariants: no length of the target is believed; no more data is taken than was asked for; a command has
//! an answer, or the session is over.
//!
//! ```no_run
//! use diptych_iscsi::client::{Data, Initiator, IscsiUrl, Session};
//! let url: IscsiUrl = "iscsi://127.0.0.1:3260/iqn.2026-01.example.diptych:7.cl1-a/0".parse()?;
//! let mut session = Session::log_in(&url, &Initiator::default())?;
//! let inquiry = [0x12, 0, 0, 0, 96, 0];
//! let answer = session.command(&inquiry, Data::In(96))?;
//! println!("{:?}", &answer.data[8..16]);
//! session.log_out()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod login;
mod url;
mod wire;

pub use error::{ClientError, Surprise};
pub use url::{IscsiUrl, UrlError};

use crate::Credentials;
use crate::bhs::{Bhs, FINAL, NO_TAG, opcode};
use login::Agreed;
use std::time::Duration;
use wire::{Pdu, Wire};

const READS: u8 = 0x40;
const WRITES: u8 = 0x20;
const SIMPLE: u8 = 0x01;
const IMMEDIATE: u8 = 0x40;
/// The S bit of a Data-In: the status comes with it.
const HAS_STATUS: u8 = 0x01;
/// Bytes of a command descriptor block in the header.
const CDB_BYTES: usize = 16;
/// Parts of an answer, at most: a target that says nothing in many words is not listened to for ever.
const PARTS_MAX: u32 = 1 << 20;

/// Who logs in, and how.
#[derive(Debug, Clone)]
pub struct Initiator {
    /// Its iSCSI name.
    pub name: String,
    /// By what it proves itself (CHAP); nothing, if it does not.
    pub credentials: Option<Credentials>,
    /// CRC32C digests of headers and data, if the target has them too.
    pub digests: bool,
    /// How long the target may be silent. One that has nothing to say pings.
    pub patience: Duration,
}

impl Initiator {
    /// The name of an initiator that was given none.
    pub const NAME: &'static str = "iqn.2026-01.example.diptych:inband";
}

impl Default for Initiator {
    /// No proof, no digests, 90 seconds.
    fn default() -> Self {
        let patience = Duration::from_secs(90);
        Self { name: Self::NAME.to_owned(), credentials: None, digests: false, patience }
    }
}

/// The data of a command.
#[derive(Debug, Clone, Copy)]
pub enum Data<'a> {
    /// None.
    None,
    /// To the initiator, at most so many bytes.
    In(u32),
    /// To the target.
    Out(&'a [u8]),
}

/// What a command came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScsiAnswer {
    /// Its SCSI status.
    pub status: u8,
    /// Its sense data, if any came.
    pub sense: Vec<u8>,
    /// The data that came.
    pub data: Vec<u8>,
}

impl ScsiAnswer {
    /// Sense key, and additional sense code with its qualifier, if there is sense data.
    pub fn sense_code(&self) -> Option<(u8, [u8; 2])> {
        let at = |at: usize| self.sense.get(at).copied();
        match at(0)? & 0x7F {
            0x70 | 0x71 => Some((at(2)? & 0x0F, [at(12)?, at(13)?])),
            0x72 | 0x73 => Some((at(1)? & 0x0F, [at(2)?, at(3)?])),
            _ => None,
        }
    }
}

/// A session with a target.
#[derive(Debug)]
pub struct Session {
    wire: Wire,
    agreed: Agreed,
    lun: [u8; 8],
    next_tag: u32,
}

impl Session {
    /// Logs in to the target of a URL. Commands go to its LUN.
    ///
    /// # Errors
    ///
    /// If nobody answers there, or the target refuses the login.
    pub fn log_in(url: &IscsiUrl, initiator: &Initiator) -> Result<Self, ClientError> {
        let mut wire = Wire::connect(url, initiator.patience)?;
        let agreed = login::log_in(&mut wire, url, initiator)?;
        Ok(Self { wire, agreed, lun: [0, url.lun, 0, 0, 0, 0, 0, 0], next_tag: 1 })
    }

    /// Carries out a command.
    ///
    /// # Errors
    ///
    /// If the connection breaks, or the target breaks a rule: the session is over then. A command that fails
    /// is answered.
    ///
    /// # Panics
    ///
    /// If the CDB has more than 16 bytes, or there are 4 GiB of data or more.
    pub fn command(&mut self, cdb: &[u8], data: Data<'_>) -> Result<ScsiAnswer, ClientError> {
        assert!(cdb.len() <= CDB_BYTES, "a CDB of {} bytes", cdb.len());
        let (flags, expected, out) = match data {
            Data::None => (0, 0, &[][..]),
            Data::In(bytes) => (READS, bytes, &[][..]),
            Data::Out(out) => (WRITES, u32::try_from(out.len()).expect("less than 4 GiB"), out),
        };
        let immediate = if self.agreed.immediate_data { self.agreed.first_burst() } else { 0 };
        let immediate = &out[..out.len().min(immediate)];
        let tag = self.tag();
        let mut header = Bhs::new(opcode::COMMAND, FINAL | flags | SIMPLE);
        header.set(8, &self.lun).set_tag(tag).set_word(20, expected).set(32, cdb);
        self.wire.request(header, immediate)?;
        let most = if let Data::In(bytes) = data { bytes as usize } else { 0 };
        self.answer(tag, out, most)
    }

    fn tag(&mut self) -> u32 {
        self.next_tag = if self.next_tag >= NO_TAG - 1 { 1 } else { self.next_tag + 1 };
        self.next_tag
    }

    /// Waits for the status of a command, taking its data and sending what is asked for.
    fn answer(&mut self, tag: u32, out: &[u8], most: usize) -> Result<ScsiAnswer, ClientError> {
        let mut answer = ScsiAnswer { status: 0, sense: Vec::new(), data: Vec::new() };
        for _ in 0..PARTS_MAX {
            let pdu = self.wire.receive()?;
            let code = pdu.header.opcode();
            let is_own = pdu.header.tag() == tag;
            match code {
                opcode::DATA_IN if is_own => {
                    let at = pdu.header.word(40) as usize;
                    if at != answer.data.len() || at + pdu.data.len() > most {
                        return Err(Surprise::Data.into());
                    }
                    answer.data.extend_from_slice(&pdu.data);
                    if pdu.header.flags() & HAS_STATUS != 0 {
                        answer.status = pdu.header.0[3];
                        return Ok(answer);
                    }
                }
                opcode::READY_TO_TRANSFER if is_own => self.send_asked(&pdu.header, out)?,
                opcode::RESPONSE if is_own => {
                    if pdu.header.0[2] != 0 {
                        return Err(Surprise::Response { code: pdu.header.0[2] }.into());
                    }
                    answer.status = pdu.header.0[3];
                    answer.sense = sense_of(&pdu.data).to_vec();
                    return Ok(answer);
                }
                _ => self.aside(&pdu)?,
            }
        }
        Err(Surprise::Endless.into())
    }

    /// What belongs to no command: a ping, or the end.
    fn aside(&mut self, pdu: &Pdu) -> Result<(), ClientError> {
        let header = &pdu.header;
        match header.opcode() {
            opcode::NOP_IN if header.target_tag() == NO_TAG => Ok(()),
            opcode::NOP_IN => {
                let mut answer = Bhs::new(opcode::NOP_OUT | IMMEDIATE, FINAL);
                answer.set(8, &header.lun()).set_tag(NO_TAG).set_word(20, header.target_tag());
                self.wire.request(answer, &[])
            }
            opcode::REJECT => Err(Surprise::Reject { reason: header.0[2] }.into()),
            opcode::ASYNC => match header.0[36] {
                // Sense data of another command; parameters to be negotiated again.
                0 | 4 => Ok(()),
                event => Err(Surprise::Ended { event }.into()),
            },
            code => Err(Surprise::Opcode { code }.into()),
        }
    }

    /// Sends the data that an R2T asks for.
    fn send_asked(&mut self, asked: &Bhs, out: &[u8]) -> Result<(), ClientError> {
        let (from, bytes) = (asked.word(40) as usize, asked.word(44) as usize);
        let end = from.checked_add(bytes).filter(|end| *end <= out.len() && bytes > 0);
        let end = end.ok_or(Surprise::Data)?;
        let mut at = from;
        for (no, part) in out[from..end].chunks(self.agreed.segment_bytes).enumerate() {
            let is_last = at + part.len() == end;
            let mut header = Bhs::new(opcode::DATA_OUT, if is_last { FINAL } else { 0 });
            header.set(8, &self.lun).set_tag(asked.tag()).set_word(20, asked.target_tag());
            header.set_word(36, no as u32).set_word(40, at as u32);
            self.wire.send(header, part)?;
            at += part.len();
        }
        Ok(())
    }

    /// Ends the session.
    ///
    /// # Errors
    ///
    /// If the connection breaks before the target has answered. The session is over all the same.
    pub fn log_out(mut self) -> Result<(), ClientError> {
        let tag = self.tag();
        let mut header = Bhs::new(opcode::LOGOUT | IMMEDIATE, FINAL);
        header.set_tag(tag);
        self.wire.request(header, &[])?;
        for _ in 0..PARTS_MAX {
            let pdu = self.wire.receive()?;
            if pdu.header.opcode() == opcode::LOGOUT_RESPONSE {
                return Ok(());
            }
            self.aside(&pdu)?;
        }
        Err(Surprise::Endless.into())
    }
}

/// Sense data of a response: its length comes first.
fn sense_of(data: &[u8]) -> &[u8] {
    let Some((length, sense)) = data.split_first_chunk::<2>() else { return &[] };
    let length = usize::from(u16::from_be_bytes(*length));
    &sense[..sense.len().min(length)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sense_data() {
        #[track_caller]
        fn check(sense: &[u8], expected: Option<(u8, [u8; 2])>) {
            let sense = sense.to_vec();
            let answer = ScsiAnswer { status: 2, sense, data: Vec::new() };
            assert_eq!(answer.sense_code(), expected);
        }
        check(&[0x70, 0, 0x05, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x24, 0x01], Some((5, [0x24, 1])));
        check(&[0x72, 0x06, 0x29, 0x00], Some((6, [0x29, 0])));
        check(&[0x70, 0, 5], None);
        check(&[0x12], None);
        check(&[], None);
        assert_eq!(sense_of(&[0, 2, 7, 8, 9]), [7, 8]);
        assert_eq!(sense_of(&[0, 9, 7]), [7]);
        assert_eq!(sense_of(&[0]), [0; 0]);
    }
}
