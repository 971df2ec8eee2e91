//! Why a session of an initiator ends, or does not begin.

use super::IscsiUrl;
use crate::ChapError;
use std::io;
use std::time::Duration;

/// Why a session ends, or does not begin.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody answers.
    #[error("nobody answers at {}:{}: {source}", url.host, url.port)]
    Connect {
        /// Where.
        url: IscsiUrl,
        /// Why.
        source: io::Error,
    },
    /// The connection broke.
    #[error("the connection to the target broke: {0}")]
    Broken(#[from] io::Error),
    /// The target says nothing.
    #[error("the target has been silent for {} s", .0.as_secs())]
    Silent(Duration),
    /// The target refuses the login.
    #[error("the target refuses the login: {}", refused(*.status))]
    Refused {
        /// Status-Class and Status-Detail (RFC 7143, 11.13.5).
        status: [u8; 2],
    },
    /// The target wants a proof, and the initiator has none.
    #[error("the target wants a user and a password")]
    NoCredentials,
    /// The proof cannot be made.
    #[error("the target does not prove users as RFC 7143 has it: {0}")]
    Chap(#[from] ChapError),
    /// The target does what it may not.
    #[error("the target breaks a rule: {0}")]
    Surprise(#[from] Surprise),
}

/// What a target may not do, or what ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Surprise {
    /// A PDU that does not belong here.
    #[error("a PDU with opcode {code:#04x} that nobody asked for")]
    Opcode {
        /// Its opcode.
        code: u8,
    },
    /// More data in a PDU than was agreed on.
    #[error("a data segment of {bytes} bytes")]
    TooLong {
        /// Its bytes.
        bytes: usize,
    },
    /// A digest is wrong.
    #[error("a wrong digest")]
    Digest,
    /// Data out of its order, or that nobody asked for; data asked for that there is not.
    #[error("data that does not belong to the command")]
    Data,
    /// The command was not carried out by the target.
    #[error("a response with code {code:#04x}")]
    Response {
        /// The code.
        code: u8,
    },
    /// A request was rejected.
    #[error("a reject with reason {reason:#04x}")]
    Reject {
        /// The reason.
        reason: u8,
    },
    /// The target ends the session.
    #[error("it ends the session (event {event})")]
    Ended {
        /// The event of its message (RFC 7143, 11.9.1).
        event: u8,
    },
    /// A text of the login makes no sense.
    #[error("a login answer that makes no sense")]
    Login,
    /// It goes on and on.
    #[error("an answer without an end")]
    Endless,
}

/// What a target's refusal of a login means.
fn refused(status: [u8; 2]) -> &'static str {
    match status {
        [1, _] => "it has moved",
        [2, 0x01] => "a wrong user or password",
        [2, 0x02] => "the host group does not admit this initiator",
        [2, 0x03] => "there is no such target",
        [2, 0x04] => "the target was removed",
        [3, 0x02] => "it has too many sessions, or too few resources",
        [3, _] => "it has an error of its own",
        _ => "it finds something wrong in the requests",
    }
}
