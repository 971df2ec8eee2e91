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
        let entry = self.entries.get_mut(usize::from(id.no));
        let entry = entry.filter(|entry| entry.used && entry.epoch == id.epoch);
        let entry = entry.unwrap_or_else(|| panic!("pair {id} is not in use"));
        entry.used = false;
        // A number whose epochs are used up is never given out again.
        if let Some(epoch) = entry.epoch.checked_add(1) {
            entry.epoch = epoch;
            self.free.insert(id.no);
        }
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
