//! What a request asks of a drive.

use std::fmt;

/// The three requests there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// [`Device::read_at`](crate::Device::read_at).
    Read,
    /// [`Device::write_at`](crate::Device::write_at).
    Write,
    /// [`Device::flush`](crate::Device::flush).
    Flush,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
        })
    }
}
