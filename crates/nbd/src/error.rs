//! Why a connection ends.

use diptych_rt::net::NetError;
use diptych_unit::UnitError;

/// What ends an NBD connection. Everything else is answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NbdError {
    /// The connection itself.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The peer does not speak NBD, or has lost count.
    #[error("the peer sent {found:#x} where an NBD header begins")]
    Magic {
        /// What came.
        found: u64,
    },
    /// The client has set flags that the server did not offer.
    #[error("the client has set unknown flags, {flags:#x}")]
    Flags {
        /// All of its flags.
        flags: u32,
    },
    /// The client chose a volume that there is not, by an option that has no answer for that.
    #[error("the client asked for an export that there is not")]
    NoExport,
    /// The volume is gone since the client chose it, or too many have it open.
    #[error("the volume cannot be attached: {0}")]
    Gone(#[source] UnitError),
    /// The client does not encrypt, and asked by an option that has no answer for that.
    #[error("the client asked for an export and did not encrypt")]
    NotEncrypted,
    /// An option or a payload is longer than any may be.
    #[error("{bytes} bytes announced, at most {most} may come")]
    TooLong {
        /// Bytes announced.
        bytes: u64,
        /// The most there may be.
        most: u64,
    },
    /// The client goes on and on without choosing a volume.
    #[error("{most} options and no export chosen")]
    TooManyOptions {
        /// The most there may be.
        most: usize,
    },
}
