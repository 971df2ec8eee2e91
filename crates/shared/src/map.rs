//! Track maps: the inequality bits of control information 401 (Fig. 4), one a track.

use crate::map_node::{Leaf, Node, Part, Span};
use diptych_format::{TrackNo, TrackRange};
use std::fmt;

/// The most tracks a map has.
pub(crate) const MAX_TRACKS: u64 = 1 << 48;

/// A set of tracks of one volume.
///
/// A tree of pages of 4,096 bits whose all-0 and all-1 parts cost nothing: an empty or a full map of
/// any size has no heap memory and is scanned in one step; the cost of a scan follows the mixed pages
/// and the set bits, not the volume.
///
/// ```
/// use diptych_format::{TrackNo, TrackRange};
/// use diptych_shared::TrackMap;
///
/// let mut map = TrackMap::full(1 << 30);
/// assert!(map.memory_bytes() < 200);
/// map.clear_all();
/// map.set_range(TrackRange::new(TrackNo(4_000), 200));
/// map.set(TrackNo(77_000));
/// assert_eq!(map.count(), 201);
/// assert_eq!(map.next_set(TrackNo(4_200)), Some(TrackNo(77_000)));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TrackMap {
    span: Span,
    root: Node,
}

impl TrackMap {
    /// A map of `track_count` tracks, none of them set.
    ///
    /// # Panics
    ///
    /// If there are more than 2^48 tracks.
    pub fn new(track_count: u64) -> Self {
        assert!(track_count <= MAX_TRACKS, "a map of {track_count} tracks, more than {MAX_TRACKS}");
        Self { span: Span::root(track_count), root: Node::Zero }
    }

    /// A map of `track_count` tracks, all of them set.
    ///
    /// # Panics
    ///
    /// If there are more than 2^48 tracks.
    pub fn full(track_count: u64) -> Self {
        let mut map = Self::new(track_count);
        map.set_all();
        map
    }

    /// How many tracks the volume has.
    pub fn track_count(&self) -> u64 {
        self.span.valid
    }

    /// How many tracks are set. Takes constant time.
    pub fn count(&self) -> u64 {
        self.root.count(self.span)
    }

    /// Whether no track is set.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Whether every track is set.
    pub fn is_full(&self) -> bool {
        self.count() == self.track_count()
    }

    /// Whether `track` is set.
    ///
    /// # Panics
    ///
    /// If the volume has no such track.
    pub fn get(&self, track: TrackNo) -> bool {
        self.assert_within(TrackRange::one(track));
        self.root.get(self.span, track.0)
    }

    /// Whether any of `tracks` is set.
    pub fn any_in(&self, tracks: TrackRange) -> bool {
        self.next_set(tracks.start).is_some_and(|track| track < tracks.end)
    }

    /// Sets `track`; returns whether that changed it.
    ///
    /// # Panics
    ///
    /// If the volume has no such track.
    pub fn set(&mut self, track: TrackNo) -> bool {
        self.put(TrackRange::one(track), true) > 0
    }

    /// Clears `track`; returns whether that changed it.
    ///
    /// # Panics
    ///
    /// If the volume has no such track.
    pub fn clear(&mut self, track: TrackNo) -> bool {
        self.put(TrackRange::one(track), false) > 0
    }

    /// Sets `tracks`; returns how many changed.
    ///
    /// # Panics
    ///
    /// If the volume does not have them all.
    pub fn set_range(&mut self, tracks: TrackRange) -> u64 {
        self.put(tracks, true)
    }

    /// Clears `tracks`; returns how many changed.
    ///
    /// # Panics
    ///
    /// If the volume does not have them all.
    pub fn clear_range(&mut self, tracks: TrackRange) -> u64 {
        self.put(tracks, false)
    }

    /// Sets every track.
    pub fn set_all(&mut self) {
        self.put(TrackRange::new(TrackNo(0), self.track_count()), true);
    }

    /// Clears every track.
    pub fn clear_all(&mut self) {
        self.root = Node::Zero;
    }

    /// Sets what is set in `other`.
    ///
    /// # Panics
    ///
    /// If the maps are not of one size.
    pub fn or_assign(&mut self, other: &Self) {
        assert_eq!(self.track_count(), other.track_count(), "maps of one family are of one size");
        self.root.or(&other.root, self.span);
    }

    /// Takes the set tracks out and leaves none.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self { span: self.span, root: std::mem::take(&mut self.root) }
    }

    /// The first set track from `from` on.
    pub fn next_set(&self, from: TrackNo) -> Option<TrackNo> {
        self.root.next(self.span, from.0, true).map(TrackNo)
    }

    /// The first track from `from` on that is set here and not in `except`.
    ///
    /// # Panics
    ///
    /// If the maps are not of one size.
    pub fn next_set_except(&self, from: TrackNo, except: &Self) -> Option<TrackNo> {
        assert_eq!(self.track_count(), except.track_count(), "maps of volumes of one size");
        self.root.next_except(self.span, from.0, &except.root).map(TrackNo)
    }

    /// The first track from `from` on that is set here and in neither of the others.
    ///
    /// # Panics
    ///
    /// If the maps are not of one size.
    pub fn next_set_except_both(&self, from: TrackNo, one: &Self, other: &Self) -> Option<TrackNo> {
        let mut track = self.next_set_except(from, one)?;
        while other.get(track) {
            track = self.next_set_except(other.next_clear(track)?, one)?;
        }
        Some(track)
    }

    /// The first clear track from `from` on.
    pub fn next_clear(&self, from: TrackNo) -> Option<TrackNo> {
        self.root.next(self.span, from.0, false).map(TrackNo)
    }

    /// The runs of consecutive set tracks, ascending. No two of them touch.
    pub fn runs(&self) -> impl Iterator<Item = TrackRange> {
        self.runs_in(TrackRange::new(TrackNo(0), self.track_count()))
    }

    /// The runs of consecutive set tracks among `tracks`, ascending and cut off at both ends. No two of
    /// them touch. What lies past the end of the volume is not set.
    pub fn runs_in(&self, tracks: TrackRange) -> impl Iterator<Item = TrackRange> {
        let mut from = tracks.start;
        std::iter::from_fn(move || {
            let start = self.next_set(from).filter(|start| *start < tracks.end)?;
            let end = self.next_clear(start).unwrap_or(TrackNo(self.track_count()));
            from = end.min(tracks.end);
            Some(TrackRange { start, end: from })
        })
    }

    /// Bytes of memory the map takes.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.root.heap_bytes()
    }

    /// Shows all parts of the tree, in the order of their tracks.
    pub(crate) fn each_part(&self, visit: &mut impl FnMut(Part<'_>)) {
        self.root.each_part(self.span, visit);
    }

    /// Makes the page that begins at track `at` this one.
    pub(crate) fn put_page(&mut self, at: u64, page: Leaf) {
        self.root.put_page(self.span, at, page);
    }

    fn put(&mut self, tracks: TrackRange, value: bool) -> u64 {
        self.assert_within(tracks);
        self.root.put(self.span, tracks.start.0, tracks.end.0, value)
    }

    #[track_caller]
    fn assert_within(&self, tracks: TrackRange) {
        let track_count = self.track_count();
        assert!(tracks.end.0 <= track_count, "tracks {tracks} of a map of {track_count}");
    }
}

impl fmt::Debug for TrackMap {
    /// The counts and the first runs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 8;
        write!(f, "TrackMap({} of {}:", self.count(), self.track_count())?;
        for run in self.runs().take(SHOWN) {
            write!(f, " {run}")?;
        }
        if self.runs().nth(SHOWN).is_some() {
            f.write_str(" ...")?;
        }
        f.write_str(")")
    }
}
