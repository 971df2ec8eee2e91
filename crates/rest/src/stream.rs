//! Bodies that come a part at a time: the contents of volumes.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Parts under way between who makes them and the connection.
const PARTS_MAX: usize = 2;

/// A body that did not come to its end: the connection breaks, so that nobody takes it for the whole.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the body was broken off")]
pub(crate) struct BrokenOff;

/// A body of known length whose parts are sent into it.
pub(crate) struct Streamed {
    parts: Receiver<Result<Bytes, BrokenOff>>,
    left_bytes: u64,
}

/// Who sends the parts. If it ends before the body has its length, the body is broken off.
pub(crate) type Parts = Sender<Result<Bytes, BrokenOff>>;

impl Streamed {
    /// A body of so many bytes.
    pub(crate) fn new(bytes: u64) -> (Parts, Self) {
        let (sender, parts) = channel(PARTS_MAX);
        (sender, Self { parts, left_bytes: bytes })
    }
}

impl fmt::Debug for Streamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streamed").field("left_bytes", &self.left_bytes).finish_non_exhaustive()
    }
}

impl Body for Streamed {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        if self.left_bytes == 0 {
            return Poll::Ready(None);
        }
        self.parts.poll_recv(context).map(|part| match part {
            Some(Ok(part)) => {
                self.left_bytes = self.left_bytes.saturating_sub(part.len() as u64);
                Some(Ok(Frame::data(part)))
            }
            Some(Err(BrokenOff)) | None => Some(Err(BrokenOff)),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left_bytes == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left_bytes)
    }
}

/// A body that is there as a whole, or one that is streamed.
pub(crate) type AnyBody = http_body_util::Either<http_body_util::Full<Bytes>, Streamed>;
