//! Half-open ranges of tracks and of blocks.

use crate::{BlockNo, TrackNo};
use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! range {
    ($(#[$meta:meta])* $name:ident of $no:ident) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub struct $name {
            /// The first.
            pub start: $no,
            /// One past the last.
            pub end: $no,
        }

        impl $name {
            /// `count` from `start` on.
            ///
            /// # Panics
            ///
            /// If the end does not fit 64 bits.
            pub fn new(start: $no, count: u64) -> Self {
                let end = start.0.checked_add(count).expect("a range ends within 64 bits");
                Self { start, end: $no(end) }
            }

            /// Just this one.
            pub fn one(no: $no) -> Self {
                Self::new(no, 1)
            }

            /// How many there are.
            pub fn count(self) -> u64 {
                self.end.0.saturating_sub(self.start.0)
            }

            /// Whether there are none.
            pub fn is_empty(self) -> bool {
                self.count() == 0
            }

            /// Whether `no` is one of them.
            pub fn contains(self, no: $no) -> bool {
                self.start <= no && no < self.end
            }

            /// Whether any is in both. An empty range overlaps nothing.
            pub fn overlaps(self, other: Self) -> bool {
                !self.intersection(other).is_empty()
            }

            /// Those in both.
            pub fn intersection(self, other: Self) -> Self {
                let start = self.start.max(other.start);
                Self { start, end: self.end.min(other.end).max(start) }
            }

            /// Each of them, ascending.
            pub fn iter(self) -> impl DoubleEndedIterator<Item = $no> + Clone {
                (self.start.0..self.end.0).map($no)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}..{}", self.start, self.end)
            }
        }
    };
}

range! {
    /// Consecutive tracks of a volume.
    TrackRange of TrackNo
}
range! {
    /// Consecutive blocks, of a volume or (counted from 0) of one track.
    BlockRange of BlockNo
}
