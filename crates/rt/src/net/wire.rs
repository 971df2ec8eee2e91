//! What bytes come and go by.

use std::io::{self, IoSlice};
use std::time::Duration;

/// A way in both directions: a socket, or something wrapped around one.
///
/// One thread receives; one thread at a time sends; both at once.
pub trait Wire: Send + Sync {
    /// Waits for bytes and appends them, no more than the spare capacity of `into`, which is not 0.
    /// Returns 0 at the end.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if nothing came within the
    /// [time to wait](Self::set_patience); [`Interrupted`](io::ErrorKind::Interrupted) if it is to be
    /// tried again, and time may have passed; else what the socket says.
    fn receive(&self, into: &mut Vec<u8>) -> io::Result<usize>;

    /// Sends some of these bytes, and returns how many. With `wait` it waits until it can send at least
    /// one, at most for the time that a stalled peer has.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if none could be sent; else what the socket says.
    fn send(&self, parts: &[IoSlice<'_>], wait: bool) -> io::Result<usize>;

    /// How long to wait for bytes to come; `None`: for ever.
    ///
    /// # Errors
    ///
    /// If the socket does not take it.
    fn set_patience(&self, patience: Option<Duration>) -> io::Result<()>;

    /// Whether the peer has ended it: nothing comes any more but what came before. Never waits.
    fn is_left(&self) -> bool {
        false
    }

    /// From here on everything is encrypted.
    ///
    /// # Errors
    ///
    /// If that cannot be done on this wire, or is done already.
    #[cfg(all(feature = "tls", not(any(diptych_loom, diptych_shuttle))))]
    fn start_tls(&self, config: &super::TlsConfig) -> io::Result<()> {
        let _ = config;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Says farewell, if the wire has a word for it. Nothing more is sent.
    fn finish(&self) {}

    /// Ends one direction, or both: who waits there waits no more. What was received before can still
    /// be taken.
    fn end(&self, receiving: bool, sending: bool);
}
