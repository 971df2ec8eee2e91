//! A session: what its numbers are, and how PDUs of the target are sent on its connection.
//!
//! | number | who moves it | when |
//! |---|---|---|
//! | StatSN | whoever sends a PDU that has a status | in the order in which PDUs are sent |
//! | ExpCmdSN | the connection's own thread | with each command taken up, in their order |
//! | MaxCmdSN | whoever answers a command | when it is answered, or ended without an answer |
//!
//! Invariants: MaxCmdSN never goes back; commands taken up and not answered are [`WINDOW`] at most;
//! `ExpCmdSN <= MaxCmdSN + 1` in every PDU.

use crate::bhs::{Bhs, padding};
use crate::digest;
use bytes::Bytes;
use diptych_rt::net::{Connection, Filling, Part, Pending};
use diptych_sync::atomic::{AtomicU32, Ordering};

/// Commands of a session that are under way at most.
pub const WINDOW: u32 = 64;

/// Which digests go with a PDU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Digests {
    pub(crate) header: bool,
    pub(crate) data: bool,
}

/// Whether StatSN stands in a PDU, and goes on by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// It has one.
    Counts,
    /// It says what comes next.
    Next,
    /// The field is reserved.
    None,
}

/// Data of a PDU, with its digest where there is one.
#[derive(Debug, Default)]
pub(crate) struct Data {
    bytes: Bytes,
    digest: Option<[u8; 4]>,
}

impl Data {
    pub(crate) fn new(bytes: Bytes, digests: Digests) -> Self {
        let digest = (digests.data && !bytes.is_empty()).then(|| {
            let pad = &[0; 3][..padding(bytes.len())];
            digest::to_wire(digest::append(digest::of(&bytes), pad))
        });
        Self { bytes, digest }
    }
}

/// A PDU of the target, but for its numbers.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) header: Bhs,
    pub(crate) status: Status,
    pub(crate) data: Data,
}

impl Outgoing {
    /// One without data, that has a status.
    pub(crate) fn new(header: Bhs) -> Self {
        Self { header, status: Status::Counts, data: Data::default() }
    }

    pub(crate) fn with_data(self, data: Data) -> Self {
        Self { data, ..self }
    }

    pub(crate) fn with_status(self, status: Status) -> Self {
        Self { status, ..self }
    }
}

/// The numbers of a session, and the digests of its connection.
#[derive(Debug)]
pub(crate) struct Session {
    stat: AtomicU32,
    expected: AtomicU32,
    most: AtomicU32,
    pub(crate) digests: Digests,
}

impl Session {
    /// One whose next command has this number, and whose first status has the number 1 plus those told
    /// in the login.
    pub(crate) fn new(next_command: u32, next_status: u32, digests: Digests) -> Self {
        Self {
            stat: AtomicU32::new(next_status),
            expected: AtomicU32::new(next_command),
            most: AtomicU32::new(next_command.wrapping_add(WINDOW - 1)),
            digests,
        }
    }

    /// The same numbers, when the login is over.
    pub(crate) fn established(&self, digests: Digests) -> Self {
        let next_status = self.stat.load(Ordering::Relaxed).wrapping_add(1);
        Self::new(self.expected(), next_status, digests)
    }

    /// ExpCmdSN, on the connection's own thread.
    pub(crate) fn expected(&self) -> u32 {
        self.expected.load(Ordering::Relaxed)
    }

    pub(crate) fn most(&self) -> u32 {
        self.most.load(Ordering::Acquire)
    }

    /// A command was taken up.
    pub(crate) fn take_up(&self) {
        self.expected.fetch_add(1, Ordering::Release);
    }

    /// A command that was taken up is under way no more.
    pub(crate) fn give_back(&self) {
        self.most.fetch_add(1, Ordering::Release);
    }

    /// Puts a PDU where it is sent from. To be called in the order of sending only.
    fn fill(&self, filling: &mut Filling<'_>, pdu: Outgoing) {
        let Outgoing { mut header, status, data } = pdu;
        match status {
            Status::Counts => {
                header.set_word(24, self.stat.fetch_add(1, Ordering::Relaxed));
            }
            Status::Next => {
                header.set_word(24, self.stat.load(Ordering::Relaxed));
            }
            Status::None => {}
        }
        // In this order: what is read later is not less.
        header.set_word(28, self.expected.load(Ordering::Acquire));
        header.set_word(32, self.most.load(Ordering::Acquire));
        let bytes = data.bytes.len();
        header.set_data_bytes(bytes);
        filling.part(Part::Copy(&header.0));
        if self.digests.header {
            filling.part(Part::Copy(&digest::to_wire(header.digest(&[]))));
        }
        match bytes {
            // Sense data and texts are not worth a slice of their own.
            0..=512 => filling.part(Part::Copy(&data.bytes)),
            _ => filling.part(Part::Share(data.bytes)),
        }
        filling.part(Part::Copy(&[0; 3][..padding(bytes)]));
        if let Some(digest) = data.digest {
            filling.part(Part::Copy(&digest));
        }
    }

    /// Sends a PDU that answers no request that is under way.
    pub(crate) fn send(&self, connection: &Connection, pdu: Outgoing) {
        connection.send_with(|filling| self.fill(filling, pdu));
    }

    /// Sends the answer to a request, in as many PDUs; the request is over.
    pub(crate) fn answer(&self, pending: Pending, pdus: impl IntoIterator<Item = Outgoing>) {
        let fill =
            |filling: &mut Filling<'_>| pdus.into_iter().for_each(|pdu| self.fill(filling, pdu));
        pending.answer_with(fill);
    }

    pub(crate) fn data(&self, bytes: impl Into<Bytes>) -> Data {
        Data::new(bytes.into(), self.digests)
    }
}
