//! Moving bytes between the buffers of a request and plain slices.

use diptych_format::BLOCK_BYTES;
use std::io::{IoSlice, IoSliceMut};

/// Takes bytes out of the buffers of a write, one after another.
pub(crate) struct Gather<'a, 'b> {
    bufs: &'a [IoSlice<'b>],
    /// Bytes of the first buffer that were taken.
    taken_bytes: usize,
}

impl<'a, 'b> Gather<'a, 'b> {
    pub(crate) fn new(bufs: &'a [IoSlice<'b>]) -> Self {
        Self { bufs, taken_bytes: 0 }
    }

    /// Fills `to` with the next bytes.
    pub(crate) fn fill(&mut self, mut to: &mut [u8]) {
        while !to.is_empty() {
            let (buf, rest) = self.bufs.split_first().expect("a request has as many bytes");
            let count = to.len().min(buf.len() - self.taken_bytes);
            to[..count].copy_from_slice(&buf[self.taken_bytes..][..count]);
            to = &mut to[count..];
            self.taken_bytes += count;
            if self.taken_bytes == buf.len() {
                (self.bufs, self.taken_bytes) = (rest, 0);
            }
        }
    }
}

/// Puts bytes into the buffers of a read, one after another.
pub(crate) struct Scatter<'a, 'b> {
    bufs: &'a mut [IoSliceMut<'b>],
    /// The first buffer that is not full.
    buf_no: usize,
    /// Bytes of it that are.
    filled_bytes: usize,
}

impl<'a, 'b> Scatter<'a, 'b> {
    pub(crate) fn new(bufs: &'a mut [IoSliceMut<'b>]) -> Self {
        Self { bufs, buf_no: 0, filled_bytes: 0 }
    }

    /// Puts `from` into the next bytes.
    pub(crate) fn put(&mut self, from: &[u8]) {
        let mut from = from;
        self.each(from.len(), |to| {
            let (now, later) = from.split_at(to.len());
            to.copy_from_slice(now);
            from = later;
        });
    }

    /// Puts zeros into the next `count` bytes.
    pub(crate) fn put_zeros(&mut self, count: usize) {
        self.each(count, |to| to.fill(0));
    }

    fn each(&mut self, mut left: usize, mut body: impl FnMut(&mut [u8])) {
        while left > 0 {
            let buf = self.bufs.get_mut(self.buf_no).expect("a request has as many bytes");
            let count = left.min(buf.len() - self.filled_bytes);
            body(&mut buf[self.filled_bytes..][..count]);
            left -= count;
            self.filled_bytes += count;
            if self.filled_bytes == buf.len() {
                (self.buf_no, self.filled_bytes) = (self.buf_no + 1, 0);
            }
        }
    }
}

/// Sector `index` of a write. Buffers are whole sectors, so a sector lies in one of them.
pub(crate) fn sector<'a>(bufs: &'a [IoSlice<'_>], index: u64) -> &'a [u8] {
    let (buf_no, at) = find(bufs.iter().map(|b| b.len()), index);
    &bufs[buf_no][at..at + BLOCK_BYTES]
}

/// Sector `index` of a read.
pub(crate) fn sector_mut<'a>(bufs: &'a mut [IoSliceMut<'_>], index: u64) -> &'a mut [u8] {
    let (buf_no, at) = find(bufs.iter().map(|b| b.len()), index);
    &mut bufs[buf_no][at..at + BLOCK_BYTES]
}

/// The buffer that holds sector `index`, and the byte in it where the sector starts.
fn find(buffer_bytes: impl Iterator<Item = usize>, index: u64) -> (usize, usize) {
    let mut at = index as usize * BLOCK_BYTES;
    for (buf_no, bytes) in buffer_bytes.enumerate() {
        if at < bytes {
            return (buf_no, at);
        }
        at -= bytes;
    }
    panic!("sector {index} is not part of the request");
}
