//! Track maps as bytes: even parts as runs, the others as they are.
//!
//! The number of tracks, then items, in the order of the tracks. An item is a number n:
//!
//! | n | the next tracks |
//! |---|---|
//! | 0 | bits follow, for a page of 4,096 tracks or as many as there are; it begins at a multiple of that |
//! | odd | n / 2 tracks are set |
//! | even | n / 2 tracks are clear |
//!
//! Tracks that no item speaks of are clear. Numbers have 7 bits a byte, the lowest first, and the
//! highest bit of each byte but the last. Bits are whole bytes, the lowest bit first, and 0 past the end.

use crate::TrackMap;
use crate::map::MAX_TRACKS;
use crate::map_node::{Leaf, PAGE_TRACKS, Part};
use diptych_format::{TrackNo, TrackRange};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// Bytes that are no track map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MapBytesError {
    /// They end within a number or within bits.
    #[error("the bytes of a track map end at {at}, within an item")]
    Truncated {
        /// How many there are.
        at: usize,
    },
    /// A number of more than 64 bits.
    #[error("at byte {at} of a track map is no number")]
    NoNumber {
        /// Where it begins.
        at: usize,
    },
    /// A map that is too large.
    #[error("a map of {asked} tracks, more than {max}")]
    TooManyTracks {
        /// How many it would have.
        asked: u64,
        /// The most there can be.
        max: u64,
    },
    /// An item of no tracks, of tracks past the end, or bits where no page begins.
    #[error("the item at byte {at} of a track map does not fit at track {track}")]
    Misfit {
        /// Where the item ends.
        at: usize,
        /// The first of its tracks.
        track: u64,
    },
}

impl TrackMap {
    /// The map as bytes: a few for an even one, a few a run for one of runs, and at most about an
    /// eighth of the tracks.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        put_number(&mut writer.bytes, self.track_count());
        self.each_part(&mut |part| match part {
            Part::Run(value, length) => writer.run(value, length),
            Part::Page(leaf, valid) => writer.page(leaf, valid),
        });
        writer.finish()
    }

    /// The most bytes that a map of so many tracks can come to, with their number before them.
    pub const fn bytes_at_most(track_count: u64) -> u64 {
        // Two numbers, and all pages as bits, each behind its item.
        24 + track_count.div_ceil(8) + track_count.div_ceil(PAGE_TRACKS)
    }

    /// The map that these bytes are. What it takes follows the bytes, not the tracks.
    ///
    /// # Errors
    ///
    /// If they are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, MapBytesError> {
        let mut reader = Reader { bytes, at: 0 };
        let track_count = reader.number()?;
        if track_count > MAX_TRACKS {
            return Err(MapBytesError::TooManyTracks { asked: track_count, max: MAX_TRACKS });
        }
        let mut map = Self::new(track_count);
        let mut track = 0;
        while reader.at < bytes.len() {
            let item = reader.number()?;
            let left = track_count - track;
            let fits = match item {
                0 => left > 0 && track % PAGE_TRACKS == 0,
                _ => (1..=left).contains(&(item / 2)),
            };
            if !fits {
                return Err(MapBytesError::Misfit { at: reader.at, track });
            }
            let length = if item == 0 { left.min(PAGE_TRACKS) } else { item / 2 };
            if item == 0 {
                let leaf = reader.bits(length)?;
                let leaf = leaf.ok_or(MapBytesError::Misfit { at: reader.at, track })?;
                map.put_page(track, leaf);
            } else if item % 2 == 1 {
                map.set_range(TrackRange::new(TrackNo(track), length));
            }
            track += length;
        }
        Ok(map)
    }
}

impl Serialize for TrackMap {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.to_bytes())
    }
}

impl<'de> Deserialize<'de> for TrackMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = TrackMap;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a track map")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<TrackMap, E> {
                TrackMap::from_bytes(bytes).map_err(E::custom)
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}

/// Puts down parts, equal runs side by side as one.
#[derive(Default)]
struct Writer {
    bytes: Vec<u8>,
    value: bool,
    length: u64,
}

impl Writer {
    fn run(&mut self, value: bool, length: u64) {
        if value != self.value {
            self.flush();
            self.value = value;
        }
        self.length += length;
    }

    fn page(&mut self, leaf: &Leaf, valid: u64) {
        let bits_bytes = valid.div_ceil(8) as usize;
        // A run within a page takes at most two bytes.
        if leaf.run_count(valid) * 2 < bits_bytes {
            leaf.runs(valid).for_each(|(value, length)| self.run(value, length));
            return;
        }
        self.flush();
        put_number(&mut self.bytes, 0);
        self.bytes.extend(leaf.words().iter().flat_map(|word| word.to_le_bytes()).take(bits_bytes));
    }

    fn flush(&mut self) {
        if self.length > 0 {
            put_number(&mut self.bytes, self.length * 2 + u64::from(self.value));
            self.length = 0;
        }
    }

    fn finish(mut self) -> Vec<u8> {
        if self.value {
            self.flush();
        }
        self.bytes
    }
}

fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn number(&mut self) -> Result<u64, MapBytesError> {
        let (start, mut number) = (self.at, 0);
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.bytes.get(self.at).copied();
            let byte = byte.ok_or(MapBytesError::Truncated { at: self.bytes.len() })?;
            self.at += 1;
            let low = u64::from(byte & 0x7f);
            if low << shift >> shift != low {
                break;
            }
            number |= low << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(MapBytesError::NoNumber { at: start })
    }

    /// A page of `valid` tracks; `None` if there are bits past its end.
    fn bits(&mut self, valid: u64) -> Result<Option<Leaf>, MapBytesError> {
        let end = self.at + valid.div_ceil(8) as usize;
        let bits = self.bytes.get(self.at..end);
        let bits = bits.ok_or(MapBytesError::Truncated { at: self.bytes.len() })?;
        self.at = end;
        let mut words = [0; PAGE_TRACKS as usize / 64];
        for (word, bits) in words.iter_mut().zip(bits.chunks(8)) {
            let mut bytes = [0; 8];
            bytes[..bits.len()].copy_from_slice(bits);
            *word = u64::from_le_bytes(bytes);
        }
        Ok(Leaf::of(words, valid))
    }
}
