//! Pair numbers 301 and their epochs.

use crate::SharedError;
use diptych_format::PairId;
use std::collections::BTreeSet;

/// Pair numbers are 16 bits.
pub(crate) const MAX_PAIRS: usize = 1 << 16;

#[derive(Debug, Clone, Copy)]
struct Entry {
    /// How often the number was given back.
    epoch: u32,
    used: bool,
}

/// Gives out the smallest free number. A number that comes back gets another epoch, so that a job
/// which still knows the old pair cannot mistake the new one for it.
#[derive(Debug)]
pub(crate) struct PairNumbers {
    entries: Vec<Entry>,
    free: BTreeSet<u16>,
    limit: usize,
}

impl PairNumbers {
    pub(crate) fn new(limit: usize) -> Self {
        assert!(limit <= MAX_PAIRS, "{limit} pairs, but there are {MAX_PAIRS} pair numbers");
        Self { entries: Vec::new(), free: BTreeSet::new(), limit }
    }

    pub(crate) fn allocate(&mut self) -> Result<PairId, SharedError> {
        if let Some(no) = self.free.pop_first() {
            let entry = &mut self.entries[usize::from(no)];
            entry.used = true;
            return Ok(PairId { no, epoch: entry.epoch });
        }
        let no = u16::try_from(self.entries.len()).ok().filter(|&no| usize::from(no) < self.limit);
        let no = no.ok_or(SharedError::TooManyPairs { limit: self.limit })?;
        self.entries.push(Entry { epoch: 0, used: true });
        Ok(PairId { no, epoch: 0 })
    }

    pub(crate) fn free(&mut self, id: PairId) {
        assert!(self.free_if_used(id), "pair {id} is not in use");
    }

    /// Gives a number back; returns whether it was in use with this epoch.
    pub(crate) fn free_if_used(&mut self, id: PairId) -> bool {
        let entry = self.entries.get_mut(usize::from(id.no));
        let Some(entry) = entry.filter(|entry| entry.used && entry.epoch == id.epoch) else {
            return false;
        };
        entry.used = false;
        // A number whose epochs are used up is never given out again.
        if let Some(epoch) = entry.epoch.checked_add(1) {
            entry.epoch = epoch;
            self.free.insert(id.no);
        }
        true
    }

    /// The epoch that each number has, or has next if it is in no pair; `None` if none is left.
    pub(crate) fn epochs(&self, is_pair: impl Fn(PairId) -> bool) -> Vec<Option<u32>> {
        let epoch_of = |(no, entry): (usize, &Entry)| {
            let no = u16::try_from(no).ok()?;
            let Entry { epoch, used } = *entry;
            match used {
                true if is_pair(PairId { no, epoch }) => Some(epoch),
                true => epoch.checked_add(1),
                false => self.free.contains(&no).then_some(epoch),
            }
        };
        self.entries.iter().enumerate().map(epoch_of).collect()
    }

    /// Numbers of these epochs, none of them in use.
    pub(crate) fn of_epochs(limit: usize, epochs: &[Option<u32>]) -> Self {
        let mut numbers = Self::new(limit);
        for (no, epoch) in (0..=u16::MAX).zip(epochs) {
            numbers.entries.push(Entry { epoch: epoch.unwrap_or(u32::MAX), used: false });
            if epoch.is_some() {
                numbers.free.insert(no);
            }
        }
        numbers
    }

    /// Takes a number with the epoch that it has next; returns whether it could.
    pub(crate) fn take_exactly(&mut self, id: PairId) -> bool {
        let next = self.entries.get(usize::from(id.no)).map(|entry| entry.epoch);
        next == Some(id.epoch) && self.free.contains(&id.no) && self.take(id)
    }

    /// Takes a number as it was given out once, with this or an earlier epoch: whoever got one between
    /// and gave it back without a pair has left no trace. One epoch earlier than the next is possible
    /// too: of a number that was given out, but whose pair was not there yet, when the epochs were
    /// asked for. Returns whether it could.
    pub(crate) fn take(&mut self, id: PairId) -> bool {
        let index = usize::from(id.no);
        if index >= self.limit {
            return false;
        }
        while let Some(no) = u16::try_from(self.entries.len()).ok().filter(|&no| no <= id.no) {
            self.entries.push(Entry { epoch: 0, used: false });
            self.free.insert(no);
        }
        let entry = &mut self.entries[index];
        if entry.used || id.epoch.saturating_add(1) < entry.epoch {
            return false;
        }
        *entry = Entry { epoch: id.epoch, used: true };
        self.free.remove(&id.no);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_without_epochs_left_is_retired() {
        let mut numbers = PairNumbers::new(2);
        let last = Entry { epoch: u32::MAX, used: true };
        numbers.entries.push(last);
        numbers.free(PairId { no: 0, epoch: u32::MAX });
        assert_eq!(numbers.allocate(), Ok(PairId { no: 1, epoch: 0 }));
        assert_eq!(numbers.allocate(), Err(SharedError::TooManyPairs { limit: 2 }));
    }
}
