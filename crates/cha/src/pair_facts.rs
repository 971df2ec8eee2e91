//! What a host may ask about pairs: the pair information of Fig. 3, and how much of each map is set.

use diptych_format::{ImageNo, LdevId, PairId, TrackNo};
use diptych_shared::{Pair, PairOptions, PairStatus, Phase};

/// Which pairs are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PairsOf {
    /// That of these two volumes, if they are one.
    Volumes {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
    },
    /// Those whose pair numbers are in this range.
    Numbers {
        /// The first number.
        first: u16,
        /// The last number.
        last: u16,
    },
}

/// The pairs asked about, and how many there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairTable {
    /// The pairs, by number.
    pub pairs: Vec<PairFacts>,
    /// All pairs of the unit; 0 if two volumes were asked about.
    pub count: u32,
    /// The highest number of a pair of the unit, plus 1; 0 if there is none, or two volumes were asked about.
    pub numbers_end: u32,
}

/// A pair as it is at one instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PairFacts {
    /// The pair number 301, and which use of it this is.
    pub id: PairId,
    /// The pair status 302.
    pub status: PairStatus,
    /// What 802 is shown as; nothing in another status.
    pub phase: Option<Phase>,
    /// The primary volume 303.
    pub primary: LdevId,
    /// The secondary volume 304.
    pub secondary: LdevId,
    /// How it is copied.
    pub options: PairOptions,
    /// Whether tracks are copied for it, if there are any to copy.
    pub copier: bool,
    /// Tracks of each volume.
    pub tracks: u64,
    /// The copy pointer 305. A hint: the copy has ended when C is empty.
    pub copy_pointer: TrackNo,
    /// Tracks still to be copied.
    pub c_tracks: u64,
    /// Tracks of the primary changed since the image.
    pub dp_tracks: u64,
    /// Tracks of the secondary changed since the image.
    pub ds_tracks: u64,
    /// Tracks changed between the image before and this one.
    pub a_tracks: u64,
    /// Tracks that cannot be read, and so cannot be copied.
    pub unreadable_tracks: u64,
    /// The image that the secondary holds or will hold; 0 while there is none.
    pub image: ImageNo,
    /// The image that A leads from; 0: A is everything.
    pub a_from: ImageNo,
    /// Tracks copied since the pair was created.
    pub copied_tracks: u64,
    /// How many of them were copied before a host's write.
    pub protected_tracks: u64,
}

impl PairFacts {
    /// What is told of a pair.
    pub fn of(pair: &Pair) -> Self {
        let phase = (pair.status == PairStatus::PairedNotCopied).then_some(pair.phase);
        Self {
            id: pair.id,
            status: pair.status,
            phase,
            primary: pair.primary,
            secondary: pair.secondary,
            options: pair.options,
            copier: pair.copier,
            tracks: pair.c.track_count(),
            copy_pointer: pair.copy_pointer,
            c_tracks: pair.c.count(),
            dp_tracks: pair.dp.count(),
            ds_tracks: pair.ds.count(),
            a_tracks: pair.a.count(),
            unreadable_tracks: pair.unreadable.count(),
            image: pair.image,
            a_from: pair.a_from,
            copied_tracks: pair.copied_tracks,
            protected_tracks: pair.protected_tracks,
        }
    }

    /// The status as Fig. 11 names it.
    pub fn shown_as(&self) -> &'static str {
        self.status.shown_as(self.phase.unwrap_or(Phase::Idle))
    }
}
