//! The full feature phase: requests in the order of their numbers (RFC 7143, 4.2.2.1 and 11).
//!
//! | request | where |
//! |---|---|
//! | SCSI command, Data-Out | `commands.rs` |
//! | task management | `manage.rs` |
//! | text | `texts.rs` |
//! | NOP-Out, logout, and what is none of these | here |
//!
//! Invariants:
//! - Requests are taken up in the order of CmdSN, whatever order they come in; those beyond the window, and
//!   those that came before, are ignored without a word.
//! - A protocol error, or data with a wrong digest, is rejected and ends this connection, and nothing else;
//!   a header with a wrong digest ends it without a word.
//! - What is kept of requests that came too early, and of data that is not all there, is bounded by the
//!   window.
//! - Room in the server's budget is waited for only where no data is to come that was asked for: what is
//!   held for it is let go by nobody else.

use crate::bhs::{Bhs, FINAL, NO_TAG, opcode};
use crate::collect::Collecting;
use crate::error::Fault;
use crate::params::SEGMENT_BYTES_MAX;
use crate::receive;
use crate::service::Shared;
use crate::session::{Outgoing, Status, WINDOW};
use crate::task::Context;
use crate::texts::Texts;
use crate::{IscsiError, TargetNames};
use bytes::Bytes;
use diptych_cha::scsi::NexusId;
use diptych_cha::{InitiatorName, TargetId};
use diptych_rt::net::Connection;
use diptych_sync::Arc;
use std::collections::{BTreeMap, VecDeque};

/// Immediate requests under way beside the window.
pub const IMMEDIATE_MAX: usize = 16;
/// What a request keeps besides its data.
pub(crate) const REQUEST_BYTES: usize = 512;

/// Reasons of a Reject (RFC 7143, 11.17.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Reason {
    DataDigest = 0x02,
    Snack = 0x03,
    Protocol = 0x04,
    NotSupported = 0x05,
    TooManyImmediate = 0x06,
    InProgress = 0x07,
    Field = 0x09,
}

/// A session of the full feature phase, in the hands of its connection's own thread.
pub(crate) struct Reader<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) connection: &'a mut Connection,
    pub(crate) context: Arc<Context>,
    /// Nothing in a discovery session.
    pub(crate) nexus: Option<NexusId>,
    pub(crate) target: Option<TargetId>,
    pub(crate) initiator: InitiatorName,
    pub(crate) connection_no: u16,
    /// Commands whose data is not all there, by their tags.
    pub(crate) collecting: BTreeMap<u32, Collecting>,
    /// Those of them that wait to ask for it.
    pub(crate) asking: VecDeque<u32>,
    pub(crate) asked_bytes: usize,
    pub(crate) next_target_tag: u32,
    /// Requests that came too early, by CmdSN; nothing, where one was aborted before it came.
    pub(crate) early: BTreeMap<u32, Option<(Bhs, Bytes)>>,
    pub(crate) texts: Texts,
    /// A ping waits for its answer.
    pinged: bool,
}

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Request,
    End,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(
        shared: &'a Shared,
        connection: &'a mut Connection,
        context: Arc<Context>,
        who: (InitiatorName, u16),
        nexus: Option<(NexusId, TargetId)>,
    ) -> Self {
        Self {
            shared,
            connection,
            context,
            nexus: nexus.map(|(nexus, _)| nexus),
            target: nexus.map(|(_, target)| target),
            initiator: who.0,
            connection_no: who.1,
            collecting: BTreeMap::new(),
            asking: VecDeque::new(),
            asked_bytes: 0,
            next_target_tag: 0,
            early: BTreeMap::new(),
            texts: Texts::default(),
            pinged: false,
        }
    }

    /// Takes requests until the session ends.
    pub(crate) fn run(&mut self) -> Result<(), IscsiError> {
        let digests = self.context.session.digests;
        loop {
            if !self.connection.wait(self.shared.settings.ping)? {
                self.ping()?;
                continue;
            }
            let Some(header) = receive::header(self.connection, digests)? else { return Ok(()) };
            self.pinged = false;
            let data = receive::data(self.connection, &header, digests, SEGMENT_BYTES_MAX);
            match data.and_then(|data| self.request(header, data)) {
                Ok(Next::Request) => {}
                Ok(Next::End) => return Ok(()),
                Err(error) => {
                    match error {
                        IscsiError::Protocol { .. } => self.reject(&header, Reason::Protocol),
                        IscsiError::Digest { .. } => self.reject(&header, Reason::DataDigest),
                        _ => {}
                    }
                    return Err(error);
                }
            }
        }
    }

    pub(crate) fn names(&self) -> &TargetNames {
        &self.shared.names
    }

    /// Nothing came for a while: whether anybody is there still.
    fn ping(&mut self) -> Result<(), IscsiError> {
        if std::mem::replace(&mut self.pinged, true) {
            return Err(IscsiError::Silent);
        }
        let mut header = Bhs::new(opcode::NOP_IN, FINAL);
        header.set_tag(NO_TAG).set_word(20, self.target_tag());
        self.send(Outgoing::new(header).with_status(Status::Next));
        Ok(())
    }

    /// A tag that no other exchange of the connection has.
    pub(crate) fn target_tag(&mut self) -> u32 {
        self.next_target_tag = match self.next_target_tag.wrapping_add(1) {
            NO_TAG => 0,
            tag => tag,
        };
        self.next_target_tag
    }

    pub(crate) fn send(&self, pdu: Outgoing) {
        self.context.session.send(self.connection, pdu);
    }

    pub(crate) fn reject(&self, header: &Bhs, reason: Reason) {
        let mut reject = Bhs::new(opcode::REJECT, FINAL);
        reject.0[2] = reason as u8;
        reject.set_tag(NO_TAG);
        let data = self.context.session.data(header.0.to_vec());
        self.send(Outgoing::new(reject).with_data(data));
    }

    /// Rejects a request that was taken up.
    pub(crate) fn refuse(&self, header: &Bhs, reason: Reason) {
        self.give_back(header);
        self.reject(header, reason);
    }

    /// A request that was taken up is under way no more.
    pub(crate) fn give_back(&self, header: &Bhs) {
        if !header.is_immediate() {
            self.context.session.give_back();
        }
    }

    fn request(&mut self, header: Bhs, data: Bytes) -> Result<Next, IscsiError> {
        match header.opcode() {
            opcode::DATA_OUT => return self.data_out(&header, &data).map(|()| Next::Request),
            opcode::SNACK => self.reject(&header, Reason::Snack),
            opcode::LOGIN => return Err(fault(&header, Fault::LoginAgain)),
            // The answer to a ping.
            opcode::NOP_OUT if header.tag() == NO_TAG => {}
            opcode::NOP_OUT
            | opcode::COMMAND
            | opcode::MANAGEMENT
            | opcode::TEXT
            | opcode::LOGOUT => return self.in_order(header, data),
            _ => self.reject(&header, Reason::NotSupported),
        }
        Ok(Next::Request)
    }

    /// Takes a request up when it is its turn.
    fn in_order(&mut self, header: Bhs, data: Bytes) -> Result<Next, IscsiError> {
        if header.is_immediate() {
            let next = self.take_up(&header, data)?;
            return if next == Next::End { Ok(next) } else { self.take_up_early() };
        }
        let session = &self.context.session;
        let (number, expected) = (header.command_no(), session.expected());
        let window = session.most().wrapping_sub(expected).wrapping_add(1);
        debug_assert!(window <= WINDOW, "the window is bounded");
        if number.wrapping_sub(expected) >= window {
            return Ok(Next::Request);
        }
        if number == expected && self.early.is_empty() {
            session.take_up();
            return self.take_up(&header, data);
        }
        self.early.entry(number).or_insert(Some((header, data)));
        self.take_up_early()
    }

    /// Takes up those requests that came too early and whose turn it is now.
    fn take_up_early(&mut self) -> Result<Next, IscsiError> {
        while let Some(now) = self.early.remove(&self.context.session.expected()) {
            self.context.session.take_up();
            match now {
                Some((header, data)) => {
                    if self.take_up(&header, data)? == Next::End {
                        return Ok(Next::End);
                    }
                }
                None => self.context.session.give_back(),
            }
        }
        Ok(Next::Request)
    }

    fn take_up(&mut self, header: &Bhs, data: Bytes) -> Result<Next, IscsiError> {
        let is_known = matches!(header.opcode(), opcode::TEXT | opcode::LOGOUT | opcode::NOP_OUT);
        if self.nexus.is_none() && !is_known {
            self.refuse(header, Reason::NotSupported);
            return Ok(Next::Request);
        }
        let under_way = self.context.tasks.len() + self.collecting.len();
        if header.is_immediate() && under_way >= WINDOW as usize + IMMEDIATE_MAX {
            self.refuse(header, Reason::TooManyImmediate);
            return Ok(Next::Request);
        }
        match header.opcode() {
            opcode::COMMAND => self.command(header, data)?,
            opcode::MANAGEMENT => return self.manage(header),
            opcode::TEXT => self.text(header, &data)?,
            opcode::LOGOUT => return Ok(self.logout(header)),
            _ => self.echo(header, data)?,
        }
        Ok(Next::Request)
    }

    /// NOP-Out: the same data back, as far as the initiator takes it.
    fn echo(&mut self, header: &Bhs, data: Bytes) -> Result<(), IscsiError> {
        let segment = self.context.params.segment_bytes as usize;
        let data = data.slice(..data.len().min(segment));
        let pending = self.connection.begin_held(data.len() + REQUEST_BYTES, 0)?;
        let mut answer = Bhs::new(opcode::NOP_IN, FINAL);
        answer.set(8, &header.lun()).set_tag(header.tag()).set_word(20, NO_TAG);
        self.give_back(header);
        let session = &self.context.session;
        session.answer(pending, [Outgoing::new(answer).with_data(session.data(data))]);
        Ok(())
    }

    fn logout(&mut self, header: &Bhs) -> Next {
        // 0 closes the session, 1 this connection, which is all of it.
        let response = match header.flags() & 0x7F {
            0 => 0,
            1 if header.half(20) == self.connection_no => 0,
            // There is no such connection.
            1 => 1,
            // Connections are not recovered.
            _ => 2,
        };
        if response == 0 {
            // What is under way is answered before; if the initiator takes no answers, no logout does.
            let _ = self.connection.drain();
        }
        let mut answer = Bhs::new(opcode::LOGOUT_RESPONSE, FINAL);
        answer.0[2] = response;
        answer.set_tag(header.tag());
        self.give_back(header);
        self.send(Outgoing::new(answer));
        if response == 0 { Next::End } else { Next::Request }
    }
}

pub(crate) fn fault(header: &Bhs, what: impl Into<Fault>) -> IscsiError {
    IscsiError::Protocol { opcode: header.opcode(), what: what.into() }
}
