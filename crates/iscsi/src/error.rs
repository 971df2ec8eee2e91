//! Why a connection ends.

use crate::ChapError;
use crate::text::TextError;
use diptych_rt::net::NetError;

/// What ends an iSCSI connection. Everything else is answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IscsiError {
    /// The connection itself.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The initiator broke a rule: the first request that did was rejected.
    #[error("a protocol error in a request with opcode {opcode:#04x}: {what}")]
    Protocol {
        /// Opcode of the request.
        opcode: u8,
        /// The rule.
        what: Fault,
    },
    /// A digest does not fit what came.
    #[error("a {} digest of a request with opcode {opcode:#04x} is wrong", if *.header { "header" } else { "data" })]
    Digest {
        /// Opcode of the request.
        opcode: u8,
        /// The digest of the header, not that of the data.
        header: bool,
    },
    /// A login was refused.
    #[error("a login is refused: {0}")]
    Login(#[from] LoginRefused),
    /// Nothing came for so long, and nothing in answer to a ping.
    #[error("the initiator does not answer a ping")]
    Silent,
    /// The target does not admit the initiator any more.
    #[error("the initiator was logged out: the target does not admit it any more")]
    LoggedOut,
}

/// Rules that an initiator can break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The first request of a connection is no login.
    #[error("the first request is no login")]
    NoLogin,
    /// A login comes when it is over.
    #[error("a login when that is over")]
    LoginAgain,
    /// More data than may come in one PDU.
    #[error("a data segment of {bytes} bytes, at most {most} may come")]
    DataTooLong {
        /// Bytes announced.
        bytes: usize,
        /// The most there may be.
        most: usize,
    },
    /// Data comes unasked that may not.
    #[error("data that nobody asked for")]
    Unasked,
    /// A text cannot be read.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A field has a value that it may not have.
    #[error("a field that makes no sense")]
    Field,
}

/// Why a login was refused, with what the initiator is told (RFC 7143, 11.13.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoginRefused {
    /// The requests make no sense.
    #[error("the initiator's requests make no sense")]
    Nonsense,
    /// A text makes no sense.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Authentication has failed.
    #[error(transparent)]
    Chap(#[from] ChapError),
    /// Authentication is asked for, and the initiator does not begin it.
    #[error("the initiator does not authenticate itself")]
    NotAuthenticated,
    /// The host group does not admit the initiator.
    #[error("the host group does not admit the initiator")]
    NotAdmitted,
    /// There is no such target.
    #[error("there is no such target")]
    NotFound,
    /// The initiator speaks a later version only.
    #[error("the initiator does not speak version 0")]
    Version,
    /// A session has one connection.
    #[error("a session has one connection")]
    TooManyConnections,
    /// A key that has to come did not.
    #[error("a key that has to come did not")]
    MissingParameter,
    /// The session that the connection is for is not there.
    #[error("there is no such session")]
    NoSession,
    /// The kind of session is unknown.
    #[error("the kind of session is unknown")]
    SessionType,
    /// There are as many sessions as there may be.
    #[error("there are too many sessions")]
    TooManySessions,
    /// The session before it does not end.
    #[error("the session that it takes the place of does not end")]
    Lingering,
}

impl LoginRefused {
    /// Status-Class and Status-Detail.
    pub(crate) const fn status(self) -> [u8; 2] {
        match self {
            Self::Nonsense | Self::Text(_) => [2, 0x00],
            Self::Chap(ChapError::NoRandom) => [3, 0x00],
            Self::Chap(_) | Self::NotAuthenticated => [2, 0x01],
            Self::NotAdmitted => [2, 0x02],
            Self::NotFound => [2, 0x03],
            Self::Version => [2, 0x05],
            Self::TooManyConnections => [2, 0x06],
            Self::MissingParameter => [2, 0x07],
            Self::SessionType => [2, 0x09],
            Self::NoSession => [2, 0x0A],
            Self::TooManySessions | Self::Lingering => [3, 0x02],
        }
    }
}
