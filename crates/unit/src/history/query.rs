//! Questions to the history: filtered and sorted by any column, a part at a time.

use super::{History, HistoryEntry, MessageType};
use diptych_cha::Who;
use diptych_format::{LdevId, PairId, Time};
use diptych_shared::PairStatus;
use diptych_sync::Mutex;
use std::ops::{ControlFlow, Range, RangeInclusive};

/// Entries copied in one visit to the history: whoever records waits no longer than that takes.
const VISIT_ENTRIES: u64 = 1_024;

/// The columns of the history (Fig. 11D: 1536-1540).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HistoryColumn {
    /// The number of the entry: the order in which things happened.
    #[default]
    Sequence,
    /// When.
    At,
    /// The code of the message.
    Code,
    /// The type of the message.
    Type,
    /// Who asked for it.
    Who,
    /// The primary volume.
    Primary,
    /// The secondary volume.
    Secondary,
    /// The pair.
    Pair,
    /// The status before: *no pair*, then in the order of [`PairStatus::ALL`].
    From,
    /// The status after.
    To,
    /// The tracks copied.
    Tracks,
    /// The duration.
    Duration,
    /// The text of the reason.
    Reason,
}

impl HistoryColumn {
    /// All columns.
    pub const ALL: [Self; 13] = [
        Self::Sequence,
        Self::At,
        Self::Code,
        Self::Type,
        Self::Who,
        Self::Primary,
        Self::Secondary,
        Self::Pair,
        Self::From,
        Self::To,
        Self::Tracks,
        Self::Duration,
        Self::Reason,
    ];
}

/// What an entry must have to be in the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryFilter {
    /// It happened in this time.
    At(Range<Time>),
    /// Its message has one of these codes.
    Code(RangeInclusive<u16>),
    /// Its message is of this type.
    Type(MessageType),
    /// It was asked for by them.
    Who(Who),
    /// It is about this volume, as primary or as secondary.
    Volume(LdevId),
    /// This is its primary.
    Primary(LdevId),
    /// This is its secondary.
    Secondary(LdevId),
    /// It is about this pair. A pair number with another epoch is another pair.
    Pair(PairId),
    /// A pair had this status before; `None` is *no pair*.
    From(Option<PairStatus>),
    /// A pair has this status after it; `None` is *no pair*.
    To(Option<PairStatus>),
    /// So many tracks were copied.
    Tracks(RangeInclusive<u64>),
    /// It took so many nanoseconds.
    DurationNs(RangeInclusive<u64>),
    /// Its reason has this text in it. Every reason has the empty one.
    Reason(String),
}

impl HistoryFilter {
    fn passes(&self, entry: &HistoryEntry) -> bool {
        let is_in = |range: &RangeInclusive<u64>, value: Option<u64>| {
            value.is_some_and(|value| range.contains(&value))
        };
        match self {
            Self::At(times) => times.contains(&entry.at),
            Self::Code(codes) => codes.contains(&entry.message.code()),
            Self::Type(kind) => entry.message.message_type() == *kind,
            Self::Who(who) => entry.who == *who,
            Self::Volume(ldev) => [entry.primary, entry.secondary].contains(&Some(*ldev)),
            Self::Primary(ldev) => entry.primary == Some(*ldev),
            Self::Secondary(ldev) => entry.secondary == Some(*ldev),
            Self::Pair(pair) => entry.pair == Some(*pair),
            Self::From(status) => entry.pair.is_some() && entry.from == *status,
            Self::To(status) => entry.pair.is_some() && entry.to == *status,
            Self::Tracks(tracks) => is_in(tracks, entry.tracks),
            Self::DurationNs(ns) => is_in(ns, entry.duration_ns),
            Self::Reason(text) => {
                entry.message.reason().is_some_and(|reason| reason.to_string().contains(text))
            }
        }
    }
}

/// A question to the history. By itself it asks for everything, the oldest entry first.
///
/// ```
/// use diptych_cha::Who;
/// use diptych_unit::{HistoryColumn, HistoryQuery, HistoryFilter, MessageType};
///
/// // The ten longest of what a schedule asked for and was refused.
/// let query = HistoryQuery {
///     filters: vec![HistoryFilter::Who(Who::Schedule), HistoryFilter::Code(1200..=1299)],
///     sort: HistoryColumn::Duration,
///     descending: true,
///     limit: 10,
///     ..HistoryQuery::default()
/// };
/// # let _ = query;
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// Entries from this number on. A reader that comes back gives [`HistoryPage::next`].
    pub since: u64,
    /// All of these hold for each entry of the answer.
    pub filters: Vec<HistoryFilter>,
    /// In the order of this column; where that is equal, in the order in which things happened.
    pub sort: HistoryColumn,
    /// In the opposite order.
    pub descending: bool,
    /// So many of the first entries are left out.
    pub skip: usize,
    /// So many at most.
    pub limit: usize,
}

impl Default for HistoryQuery {
    fn default() -> Self {
        Self {
            since: 0,
            filters: Vec::new(),
            sort: HistoryColumn::Sequence,
            descending: false,
            skip: 0,
            limit: usize::MAX,
        }
    }
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// The entries.
    pub entries: Vec<HistoryEntry>,
    /// The oldest entry that there is, whether it was asked for or not; `None` if there is none. A
    /// reader whose `since` is less has missed those between.
    pub oldest: Option<u64>,
    /// What to ask for next as `since`: the number after the last entry that was looked at, if they
    /// come as they happened and the limit cut the answer short; else after the newest there is.
    pub next: u64,
}

impl HistoryQuery {
    /// The last `limit` entries, the newest first.
    pub fn newest(limit: usize) -> Self {
        Self { descending: true, limit, ..Self::default() }
    }

    fn passes(&self, entry: &HistoryEntry) -> bool {
        self.filters.iter().all(|filter| filter.passes(entry))
    }

    /// The answer of this history.
    pub(crate) fn ask(&self, history: &Mutex<History>) -> HistoryPage {
        let held = history.lock().numbers();
        let oldest = Some(held.start).filter(|_| !held.is_empty());
        let numbers = self.since.clamp(held.start, held.end)..held.end;
        let mut page = HistoryPage { entries: Vec::new(), oldest, next: held.end };
        if self.sort != HistoryColumn::Sequence {
            let _ = visit(history, numbers, false, |entry| {
                page.entries.extend(self.passes(&entry).then_some(entry));
                ControlFlow::Continue(())
            });
            self.sort(&mut page.entries);
            page.entries.truncate(self.skip.saturating_add(self.limit));
            page.entries.drain(..self.skip.min(page.entries.len()));
            return page;
        }
        let mut skip = self.skip;
        let cut = visit(history, numbers, self.descending, |entry| {
            if !self.passes(&entry) {
                return ControlFlow::Continue(());
            }
            if skip > 0 {
                skip -= 1;
                return ControlFlow::Continue(());
            }
            if page.entries.len() == self.limit {
                return ControlFlow::Break(entry.sequence);
            }
            page.entries.push(entry);
            ControlFlow::Continue(())
        });
        if let (ControlFlow::Break(number), false) = (cut, self.descending) {
            page.next = number;
        }
        page
    }

    fn sort(&self, entries: &mut [HistoryEntry]) {
        entries.sort_by_cached_key(|entry| (Key::of(self.sort, entry), entry.sequence));
        if self.descending {
            entries.reverse();
        }
    }
}

/// Shows these entries one by one, without the lock, until somebody breaks off. Those that go in the
/// meantime are left out.
fn visit(
    history: &Mutex<History>,
    mut numbers: Range<u64>,
    descending: bool,
    mut show: impl FnMut(HistoryEntry) -> ControlFlow<u64>,
) -> ControlFlow<u64> {
    while !numbers.is_empty() {
        let count = VISIT_ENTRIES.min(numbers.end - numbers.start);
        let part = if descending {
            let part = numbers.end - count..numbers.end;
            numbers.end = part.start;
            part
        } else {
            let part = numbers.start..numbers.start + count;
            numbers.start = part.end;
            part
        };
        let mut entries = history.lock().copy(part);
        if descending {
            entries.reverse();
        }
        entries.into_iter().try_for_each(&mut show)?;
    }
    ControlFlow::Continue(())
}

/// What entries are sorted by. What is not there comes first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    Number(Option<u64>),
    Text(Option<String>),
}

impl Key {
    fn of(column: HistoryColumn, entry: &HistoryEntry) -> Self {
        let volume = |ldev: Option<LdevId>| {
            ldev.map(|LdevId { cu, ldev }| u64::from(u16::from_be_bytes([cu, ldev])))
        };
        let status = |status: Option<PairStatus>| {
            let place = |status| PairStatus::ALL.iter().position(|other| *other == status);
            entry.pair.map(|_| status.and_then(place).map_or(0, |at| at as u64 + 1))
        };
        Self::Number(match column {
            HistoryColumn::Sequence => Some(entry.sequence),
            HistoryColumn::At => Some(entry.at.ns),
            HistoryColumn::Code => Some(entry.message.code().into()),
            HistoryColumn::Type => Some(entry.message.message_type() as u64),
            HistoryColumn::Who => {
                Who::ALL.iter().position(|who| *who == entry.who).map(|at| at as u64)
            }
            HistoryColumn::Primary => volume(entry.primary),
            HistoryColumn::Secondary => volume(entry.secondary),
            HistoryColumn::Pair => {
                entry.pair.map(|id| u64::from(id.no) << 32 | u64::from(id.epoch))
            }
            HistoryColumn::From => status(entry.from),
            HistoryColumn::To => status(entry.to),
            HistoryColumn::Tracks => entry.tracks,
            HistoryColumn::Duration => entry.duration_ns,
            HistoryColumn::Reason => {
                return Self::Text(entry.message.reason().map(|reason| reason.to_string()));
            }
        })
    }
}
