//! Bytes to be sent, as a list of parts: small ones gathered, large ones by reference.

use bytes::Bytes;
use std::collections::VecDeque;
use std::io::IoSlice;

/// A part of an answer.
#[derive(Debug, Clone)]
pub enum Part<'a> {
    /// Copied: headers and the like.
    Copy(&'a [u8]),
    /// Sent from where it is.
    Share(Bytes),
}

/// Where the parts of an answer go, one behind the other, with nothing of another answer between.
#[derive(Debug)]
pub struct Filling<'a> {
    parts: &'a mut Parts,
    bytes: usize,
}

impl<'a> Filling<'a> {
    pub(super) fn new(parts: &'a mut Parts) -> Self {
        Self { parts, bytes: 0 }
    }

    /// Appends a part.
    pub fn part(&mut self, part: Part<'_>) {
        self.bytes += self.parts.push(part);
    }

    /// Bytes of all parts so far.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

/// Copied parts are gathered up to this size: headers of many answers are one slice.
const GATHER_BYTES: usize = 4 << 10;
/// Slices of one write; the system takes 1,024.
const SLICES_MAX: usize = 512;

#[derive(Debug)]
enum Segment {
    Gathered(Vec<u8>),
    Shared(Bytes),
}

impl Segment {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Gathered(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

/// What is to be sent, in order.
#[derive(Debug, Default)]
pub(super) struct Parts {
    segments: VecDeque<Segment>,
    /// Bytes of the first segment that were sent.
    sent: usize,
}

impl Parts {
    pub(super) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Appends a part; returns its bytes.
    pub(super) fn push(&mut self, part: Part<'_>) -> usize {
        match part {
            Part::Copy(bytes) => {
                match self.segments.back_mut() {
                    Some(Segment::Gathered(last)) if last.len() + bytes.len() <= GATHER_BYTES => {
                        last.extend_from_slice(bytes);
                    }
                    _ if bytes.is_empty() => {}
                    _ => {
                        let mut gathered = Vec::with_capacity(bytes.len().max(64));
                        gathered.extend_from_slice(bytes);
                        self.segments.push_back(Segment::Gathered(gathered));
                    }
                }
                bytes.len()
            }
            Part::Share(bytes) => {
                let count = bytes.len();
                if count > 0 {
                    self.segments.push_back(Segment::Shared(bytes));
                }
                count
            }
        }
    }

    /// Slices for one write: not empty unless this is.
    pub(super) fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(self.segments.len().min(SLICES_MAX));
        slices.extend(
            self.segments.iter().take(SLICES_MAX).map(|segment| IoSlice::new(segment.bytes())),
        );
        if let Some(first) = slices.first_mut() {
            first.advance(self.sent);
        }
        slices
    }

    /// So many bytes were sent.
    pub(super) fn advance(&mut self, mut bytes: usize) {
        while bytes > 0 {
            let first = self.segments.front().expect("only what was there is sent");
            let left = first.bytes().len() - self.sent;
            if bytes < left {
                self.sent += bytes;
                return;
            }
            bytes -= left;
            self.sent = 0;
            self.segments.pop_front();
        }
    }

    /// What is left of this goes out before `later`.
    pub(super) fn followed_by(mut self, mut later: Self) -> Self {
        debug_assert_eq!(later.sent, 0, "nothing of what comes later was sent");
        self.segments.append(&mut later.segments);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(parts: &Parts) -> Vec<String> {
        let slices = parts.slices();
        slices.iter().map(|slice| String::from_utf8_lossy(slice).into_owned()).collect()
    }

    #[test]
    fn small_parts_are_gathered_and_large_ones_shared() {
        let mut parts = Parts::default();
        let data = Bytes::from_static(b"data");
        for part in [Part::Copy(b"a"), Part::Copy(b"b"), Part::Share(data.clone()), Part::Copy(b"")]
        {
            parts.push(part);
        }
        parts.push(Part::Copy(b"cd"));
        assert_eq!(text(&parts), ["ab", "data", "cd"]);
        let slices = parts.slices();
        assert_eq!(slices[1].as_ptr(), data.as_ptr());
    }

    #[test]
    fn what_was_sent_goes() {
        let mut parts = Parts::default();
        parts.push(Part::Copy(b"ab"));
        parts.push(Part::Share(Bytes::from_static(b"cdef")));
        parts.advance(1);
        assert_eq!(text(&parts), ["b", "cdef"]);
        parts.advance(3);
        assert_eq!(text(&parts), ["ef"]);
        let mut later = Parts::default();
        later.push(Part::Copy(b"g"));
        let mut parts = parts.followed_by(later);
        assert_eq!(text(&parts), ["ef", "g"]);
        parts.advance(3);
        assert!(parts.is_empty());
    }

    #[test]
    fn a_write_has_a_limited_number_of_slices() {
        let mut parts = Parts::default();
        for _ in 0..SLICES_MAX + 9 {
            parts.push(Part::Share(Bytes::from_static(b"x")));
        }
        assert_eq!(parts.slices().len(), SLICES_MAX);
        parts.advance(SLICES_MAX);
        assert_eq!(parts.slices().len(), 9);
    }
}
