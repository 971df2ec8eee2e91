//! What was received on a connection and not taken yet.

use super::Wire;
use bytes::Bytes;
use std::io;

/// Before the negotiation is over, and where only a header is to come.
const SMALL_BYTES: usize = 4 << 10;
/// While requests come: as many as are there are received at once.
const LARGE_BYTES: usize = 256 << 10;
/// A payload of this size goes straight to where it stays.
const LARGE_PAYLOAD_BYTES: usize = 32 << 10;

/// Bytes of the peer, in order.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    small: Vec<u8>,
    /// Made when the negotiation is over.
    large: Vec<u8>,
    /// Which of them is in use; the other is empty.
    uses_large: bool,
    /// Bytes of it that were taken.
    taken: usize,
    established: bool,
    /// The last payload was large. The next one likely is: only its header is to be received here.
    expects_header: bool,
}

impl Inbox {
    /// From here on there is room for many requests.
    pub(super) fn establish(&mut self) {
        self.established = true;
    }

    pub(super) fn available(&self) -> &[u8] {
        let buf = if self.uses_large { &self.large } else { &self.small };
        &buf[self.taken..]
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.taken += bytes;
        debug_assert!(self.available().len() < usize::MAX, "only what is there is taken");
    }

    /// Receives more, so that in the end `wanted` bytes are available. Returns 0 at the end.
    pub(super) fn receive(&mut self, wire: &dyn Wire, wanted: usize) -> io::Result<usize> {
        if self.available().is_empty() {
            self.small.clear();
            self.large.clear();
            self.taken = 0;
            self.uses_large = self.established && !self.expects_header;
            self.expects_header = false;
        }
        let (buf, usual) = match self.uses_large {
            true => (&mut self.large, LARGE_BYTES),
            false => (&mut self.small, SMALL_BYTES),
        };
        let capacity = usual.max(wanted);
        if buf.capacity() - self.taken < capacity {
            buf.drain(..self.taken);
            self.taken = 0;
            buf.reserve_exact(capacity.saturating_sub(buf.len()));
        }
        wire.receive(buf)
    }

    /// Takes a payload of `bytes`; `receive` brings what of it is not here yet.
    pub(super) fn payload<E>(
        &mut self,
        bytes: usize,
        mut receive: impl FnMut(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<Bytes, E> {
        let here = bytes.min(self.available().len());
        let mut payload = Vec::with_capacity(bytes);
        payload.extend_from_slice(&self.available()[..here]);
        self.take(here);
        while payload.len() < bytes {
            receive(&mut payload)?;
        }
        if payload.len() > bytes {
            // The allocation was larger than asked for. All that was here is taken.
            let buf = if self.uses_large { &mut self.large } else { &mut self.small };
            buf.clear();
            buf.extend_from_slice(&payload[bytes..]);
            self.taken = 0;
            payload.truncate(bytes);
        }
        self.expects_header = bytes >= LARGE_PAYLOAD_BYTES;
        Ok(payload.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use diptych_sync::Mutex;
    use std::io::IoSlice;
    use std::time::Duration;

    /// Gives out bytes 0, 1, 2 and so on, as many at once as there is room for, at most `most`.
    struct Counting {
        next: Mutex<u8>,
        most: usize,
    }

    impl Wire for Counting {
        fn receive(&self, into: &mut Vec<u8>) -> io::Result<usize> {
            let mut next = self.next.lock();
            let count = (into.capacity() - into.len()).min(self.most);
            for _ in 0..count {
                into.push(*next);
                *next = next.wrapping_add(1);
            }
            Ok(count)
        }

        fn send(&self, _parts: &[IoSlice<'_>], _wait: bool) -> io::Result<usize> {
            Ok(0)
        }

        fn set_patience(&self, _patience: Option<Duration>) -> io::Result<()> {
            Ok(())
        }

        fn end(&self, _receiving: bool, _sending: bool) {}
    }

    #[test]
    fn no_byte_is_lost_whatever_comes_at_once() {
        for most in [1, 7, 4096, 70_000, 1 << 20] {
            let (wire, mut inbox) = (Counting { next: Mutex::new(0), most }, Inbox::default());
            let mut next = 0_u8;
            let mut check = |found: &[u8]| {
                for byte in found {
                    assert_eq!(*byte, next, "{most}");
                    next = next.wrapping_add(1);
                }
            };
            for round in 0..60_usize {
                inbox.established = round > 3;
                let header = 28 + round % 5;
                while inbox.available().len() < header {
                    assert!(inbox.receive(&wire, header).unwrap() > 0);
                }
                check(&inbox.available()[..header]);
                inbox.take(header);
                let bytes = [0, 512, 4096, 128 << 10, 300_000][round % 5];
                let payload = inbox.payload(bytes, |into| wire.receive(into).map(drop)).unwrap();
                assert_eq!(payload.len(), bytes);
                check(&payload);
            }
        }
    }

    #[test]
    fn before_the_negotiation_is_over_little_is_kept() {
        let (wire, mut inbox) = (Counting { next: Mutex::new(0), most: 1 << 20 }, Inbox::default());
        inbox.receive(&wire, 16).unwrap();
        assert_eq!((inbox.small.capacity(), inbox.large.capacity()), (SMALL_BYTES, 0));
    }
}
