//! The tree under a track map.
//!
//! A node stands for a power of two of tracks. It is all-0, all-1, a page of bits, or 64 nodes of
//! the level below, so that a map costs memory and time only where it is mixed.
//!
//! The form is canonical: no page and no inner node is all-0 or all-1, and what lies past the end of
//! the volume is 0 in a page and [`Node::Zero`] below an inner node. Equal sets are equal trees.

use std::array;

const WORDS: usize = 64;
const FANOUT: usize = 64;
/// A page holds 2^12 bits.
const LEAF_SHIFT: u32 = 12;
/// An inner node has 2^6 children.
const FANOUT_SHIFT: u32 = 6;

/// The most tracks a page of bits stands for.
pub(crate) const PAGE_TRACKS: u64 = 1 << LEAF_SHIFT;

/// What a node stands for: 2^`shift` tracks, of which the first `valid` exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) valid: u64,
    shift: u32,
}

impl Span {
    /// The span of the root of a map of `track_count` tracks.
    pub(crate) fn root(track_count: u64) -> Self {
        let bits = track_count.next_power_of_two().trailing_zeros().max(LEAF_SHIFT);
        let levels = (bits - LEAF_SHIFT).div_ceil(FANOUT_SHIFT);
        Self { valid: track_count, shift: LEAF_SHIFT + levels * FANOUT_SHIFT }
    }

    fn is_leaf(self) -> bool {
        self.shift == LEAF_SHIFT
    }

    fn child_shift(self) -> u32 {
        self.shift - FANOUT_SHIFT
    }

    fn child(self, index: usize) -> Self {
        let shift = self.child_shift();
        let start = (index as u64) << shift;
        Self { valid: self.valid.saturating_sub(start).min(1 << shift), shift }
    }
}

/// A subtree. Tracks are counted from its first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Node {
    /// No track.
    #[default]
    Zero,
    /// Every track that exists.
    One,
    Leaf(Box<Leaf>),
    Inner(Box<Inner>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Leaf {
    set_count: u64,
    words: [u64; WORDS],
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Inner {
    set_count: u64,
    children: [Node; FANOUT],
}

/// A part of a tree that has no parts of its own.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// So many tracks are all set or all clear.
    Run(bool, u64),
    /// The bits of so many tracks.
    Page(&'a Leaf, u64),
}

impl Node {
    /// Shows all parts, in the order of their tracks.
    pub(crate) fn each_part(&self, span: Span, visit: &mut impl FnMut(Part<'_>)) {
        match self {
            Self::Zero => visit(Part::Run(false, span.valid)),
            Self::One => visit(Part::Run(true, span.valid)),
            Self::Leaf(leaf) => visit(Part::Page(leaf, span.valid)),
            Self::Inner(inner) => {
                for (index, child) in inner.children.iter().enumerate() {
                    child.each_part(span.child(index), visit);
                }
            }
        }
    }

    /// Makes the page that begins at `at` this one.
    pub(crate) fn put_page(&mut self, span: Span, at: u64, page: Leaf) {
        self.open(span);
        match self {
            Self::Leaf(leaf) => **leaf = page,
            Self::Inner(inner) => {
                let shift = span.child_shift();
                let index = (at >> shift) as usize;
                let (child, child_span) = (&mut inner.children[index], span.child(index));
                let before = child.count(child_span);
                child.put_page(child_span, at & ((1 << shift) - 1), page);
                inner.set_count = inner.set_count - before + child.count(child_span);
            }
            Self::Zero | Self::One => unreachable!("an opened node has bits or children"),
        }
        self.close(span);
    }

    /// How many tracks are set.
    pub(crate) fn count(&self, span: Span) -> u64 {
        match self {
            Self::Zero => 0,
            Self::One => span.valid,
            Self::Leaf(leaf) => leaf.set_count,
            Self::Inner(inner) => inner.set_count,
        }
    }

    /// Whether `at` is set.
    pub(crate) fn get(&self, span: Span, mut at: u64) -> bool {
        let (mut node, mut shift) = (self, span.shift);
        loop {
            match node {
                Self::Zero => return false,
                Self::One => return true,
                Self::Leaf(leaf) => return leaf.words[at as usize / 64] >> (at % 64) & 1 == 1,
                Self::Inner(inner) => {
                    shift -= FANOUT_SHIFT;
                    node = &inner.children[(at >> shift) as usize];
                    at &= (1 << shift) - 1;
                }
            }
        }
    }

    /// Makes `from..to` all `value`; returns how many tracks changed.
    pub(crate) fn put(&mut self, span: Span, from: u64, to: u64, value: bool) -> u64 {
        let nothing_to_do = match self {
            Self::Zero => !value,
            Self::One => value,
            Self::Leaf(_) | Self::Inner(_) => false,
        };
        if nothing_to_do || from >= to {
            return 0;
        }
        if from == 0 && to == span.valid {
            let set_count = self.count(span);
            *self = if value { Self::One } else { Self::Zero };
            return if value { span.valid - set_count } else { set_count };
        }
        self.open(span);
        let changed = match self {
            Self::Leaf(leaf) => leaf.put(from, to, value),
            Self::Inner(inner) => inner.put(span, from, to, value),
            Self::Zero | Self::One => unreachable!("an opened node has bits or children"),
        };
        self.close(span);
        changed
    }

    /// The first track from `from` on that is `value`.
    pub(crate) fn next(&self, span: Span, from: u64, value: bool) -> Option<u64> {
        if from >= span.valid {
            return None;
        }
        match self {
            Self::Zero => (!value).then_some(from),
            Self::One => value.then_some(from),
            // Bits past the end are 0 and no answer to the question for the next clear one.
            Self::Leaf(leaf) => leaf.next(from, value).filter(|&at| at < span.valid),
            Self::Inner(inner) => inner.next(span, from, value),
        }
    }

    /// The first track from `from` on that is set here and not in `except`, which has the same span.
    pub(crate) fn next_except(&self, span: Span, from: u64, except: &Self) -> Option<u64> {
        if from >= span.valid {
            return None;
        }
        match (self, except) {
            (Self::Zero, _) | (_, Self::One) => None,
            (_, Self::Zero) => self.next(span, from, true),
            (Self::One, _) => except.next(span, from, false),
            (Self::Leaf(leaf), Self::Leaf(except)) => leaf.next_except(from, except),
            (Self::Inner(inner), Self::Inner(except)) => inner.next_except(span, from, except),
            (Self::Leaf(_), Self::Inner(_)) | (Self::Inner(_), Self::Leaf(_)) => {
                unreachable!("nodes of one span are of one kind")
            }
        }
    }

    /// Sets what is set in `other`.
    pub(crate) fn or(&mut self, other: &Self, span: Span) {
        match (&mut *self, other) {
            (Self::One, _) | (_, Self::Zero) => return,
            (Self::Zero, _) | (_, Self::One) => {
                *self = other.clone();
                return;
            }
            (Self::Leaf(mine), Self::Leaf(theirs)) => mine.or(theirs),
            (Self::Inner(mine), Self::Inner(theirs)) => mine.or(theirs, span),
            (Self::Leaf(_), Self::Inner(_)) | (Self::Inner(_), Self::Leaf(_)) => {
                unreachable!("nodes of one level are of one kind")
            }
        }
        self.close(span);
    }

    /// Bytes on the heap under this node.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Zero | Self::One => 0,
            Self::Leaf(_) => size_of::<Leaf>(),
            Self::Inner(inner) => {
                size_of::<Inner>() + inner.children.iter().map(Self::heap_bytes).sum::<usize>()
            }
        }
    }

    /// Gives an all-0 or all-1 node its bits or children.
    fn open(&mut self, span: Span) {
        let ones = match self {
            Self::Zero => false,
            Self::One => true,
            Self::Leaf(_) | Self::Inner(_) => return,
        };
        *self = if span.is_leaf() {
            let mut leaf = Leaf { set_count: 0, words: [0; WORDS] };
            if ones {
                leaf.put(0, span.valid, true);
            }
            Self::Leaf(Box::new(leaf))
        } else {
            let mut inner = Inner { set_count: 0, children: [const { Self::Zero }; FANOUT] };
            if ones {
                inner.set_count = span.valid;
                inner.children = array::from_fn(|index| {
                    if span.child(index).valid > 0 { Self::One } else { Self::Zero }
                });
            }
            Self::Inner(Box::new(inner))
        };
    }

    /// Collapses a node that has become all-0 or all-1.
    fn close(&mut self, span: Span) {
        let set_count = self.count(span);
        if set_count == 0 {
            *self = Self::Zero;
        } else if set_count == span.valid {
            *self = Self::One;
        }
    }
}

/// The bits `from..to` of a word.
fn bits(from: u64, to: u64) -> u64 {
    u64::MAX << from & u64::MAX >> (64 - to)
}

fn count_after(set_count: u64, changed: u64, value: bool) -> u64 {
    if value { set_count + changed } else { set_count - changed }
}

impl Leaf {
    /// A page of which `valid` tracks exist; `None` if others are set.
    pub(crate) fn of(words: [u64; WORDS], valid: u64) -> Option<Self> {
        let set_count = words.iter().map(|word| u64::from(word.count_ones())).sum();
        let leaf = Self { set_count, words };
        (valid == PAGE_TRACKS || leaf.next(valid, true).is_none()).then_some(leaf)
    }

    pub(crate) fn words(&self) -> &[u64; WORDS] {
        &self.words
    }

    /// How many runs of equal bits the first `valid` are.
    pub(crate) fn run_count(&self, valid: u64) -> usize {
        let mut borders = 0;
        let mut last = self.words[0] & 1;
        for (index, &word) in self.words.iter().enumerate().take(valid.div_ceil(64) as usize) {
            // A bit of it is set where a bit differs from the one before.
            let differs = word ^ (word << 1 | last);
            borders += (differs & bits(0, (valid - index as u64 * 64).min(64))).count_ones();
            last = word >> 63;
        }
        borders as usize + 1
    }

    /// The runs of equal bits of the first `valid`, and how long they are.
    pub(crate) fn runs(&self, valid: u64) -> impl Iterator<Item = (bool, u64)> {
        let mut at = 0;
        std::iter::from_fn(move || {
            let start = Some(at).filter(|at| *at < valid)?;
            let value = self.words[start as usize / 64] >> (start % 64) & 1 == 1;
            at = self.next(start, !value).unwrap_or(valid).min(valid);
            Some((value, at - start))
        })
    }

    fn put(&mut self, from: u64, to: u64, value: bool) -> u64 {
        let mut changed = 0;
        for index in from / 64..to.div_ceil(64) {
            let base = index * 64;
            let mask = bits(from.max(base) - base, to.min(base + 64) - base);
            let word = &mut self.words[index as usize];
            let after = if value { *word | mask } else { *word & !mask };
            changed += u64::from((*word ^ after).count_ones());
            *word = after;
        }
        self.set_count = count_after(self.set_count, changed, value);
        changed
    }

    fn next(&self, from: u64, value: bool) -> Option<u64> {
        let first = from as usize / 64;
        let mut mask = u64::MAX << (from % 64);
        for (index, &word) in self.words.iter().enumerate().skip(first) {
            let wanted = if value { word } else { !word } & mask;
            if wanted != 0 {
                return Some(index as u64 * 64 + u64::from(wanted.trailing_zeros()));
            }
            mask = u64::MAX;
        }
        None
    }

    fn next_except(&self, from: u64, except: &Self) -> Option<u64> {
        let first = from as usize / 64;
        let mut mask = u64::MAX << (from % 64);
        let words = self.words.iter().zip(&except.words).enumerate().skip(first);
        for (index, (word, except)) in words {
            let wanted = word & !except & mask;
            if wanted != 0 {
                return Some(index as u64 * 64 + u64::from(wanted.trailing_zeros()));
            }
            mask = u64::MAX;
        }
        None
    }

    fn or(&mut self, other: &Self) {
        self.set_count = 0;
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
            self.set_count += u64::from(mine.count_ones());
        }
    }
}

impl Inner {
    fn put(&mut self, span: Span, from: u64, to: u64, value: bool) -> u64 {
        let shift = span.child_shift();
        let (mut at, mut changed) = (from, 0);
        while at < to {
            let index = (at >> shift) as usize;
            let base = (index as u64) << shift;
            let end = to.min(base + (1 << shift));
            changed += self.children[index].put(span.child(index), at - base, end - base, value);
            at = end;
        }
        self.set_count = count_after(self.set_count, changed, value);
        changed
    }

    fn next(&self, span: Span, from: u64, value: bool) -> Option<u64> {
        let shift = span.child_shift();
        let mut at = from;
        while at < span.valid {
            let index = (at >> shift) as usize;
            let base = (index as u64) << shift;
            let found = self.children[index].next(span.child(index), at - base, value);
            if let Some(found) = found {
                return Some(base + found);
            }
            at = base + (1 << shift);
        }
        None
    }

    fn next_except(&self, span: Span, from: u64, except: &Self) -> Option<u64> {
        let shift = span.child_shift();
        let mut at = from;
        while at < span.valid {
            let index = (at >> shift) as usize;
            let base = (index as u64) << shift;
            let (mine, theirs) = (&self.children[index], &except.children[index]);
            if let Some(found) = mine.next_except(span.child(index), at - base, theirs) {
                return Some(base + found);
            }
            at = base + (1 << shift);
        }
        None
    }

    fn or(&mut self, other: &Self, span: Span) {
        self.set_count = 0;
        for (index, (mine, theirs)) in self.children.iter_mut().zip(&other.children).enumerate() {
            let child = span.child(index);
            mine.or(theirs, child);
            self.set_count += mine.count(child);
        }
    }
}
