//! Consistency groups by name: which pairs a group command is given for.
//!
//! A group names pairs by their volumes. A pair that was deleted stays in its group, and a command for
//! the group says that it is missing, so that nobody takes a smaller group for the whole.

use crate::ledger;
use crate::record::Kind;
use crate::{Unit, UnitError};
use diptych_cha::GroupName;
use diptych_format::LdevId;
use std::collections::BTreeMap;

/// The pairs of each group.
type ByName = BTreeMap<GroupName, Vec<(LdevId, LdevId)>>;

impl Unit {
    /// Makes a consistency group, or gives it other pairs (each a primary and a secondary).
    ///
    /// # Errors
    ///
    /// If it has no pairs or too many, one pair twice, there are too many groups, or the log has failed.
    pub fn define_group(
        &self,
        name: GroupName,
        pairs: Vec<(LdevId, LdevId)>,
    ) -> Result<(), UnitError> {
        let config = &self.core().config;
        let (asked, most) = (pairs.len(), config.group_pairs_max);
        if !(1..=most).contains(&asked) {
            return Err(UnitError::GroupSize { asked, most });
        }
        let mut sorted = pairs.clone();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|two| two[0] == two[1]) {
            let (primary, secondary) = twice[0];
            return Err(UnitError::GroupTwice { primary, secondary });
        }
        let bytes = ledger::of_value(&pairs);
        let mut groups = self.core().consistency_groups.lock();
        let most = config.groups_max;
        if groups.len() >= most && !groups.contains_key(&name) {
            return Err(UnitError::TooManyGroups { most });
        }
        self.check_room(&groups, bytes)?;
        let before = groups.get(&name).map_or(0, ledger::of_value);
        self.core().ledger.exchange(before, bytes)?;
        groups.insert(name, pairs);
        self.put_groups(&groups);
        drop(groups);
        Ok(self.core().journal.commit_now()?)
    }

    /// Forgets a consistency group; its pairs stay as they are. `false`: there is none of that name.
    ///
    /// # Errors
    ///
    /// If the log has failed.
    pub fn remove_group(&self, name: &GroupName) -> Result<bool, UnitError> {
        let mut groups = self.core().consistency_groups.lock();
        self.check_room(&groups, 0)?;
        let Some(pairs) = groups.remove(name) else { return Ok(false) };
        self.core().ledger.put_back(ledger::of_value(&pairs));
        self.put_groups(&groups);
        drop(groups);
        self.core().journal.commit_now()?;
        Ok(true)
    }

    /// All groups are one record.
    fn check_room(&self, groups: &ByName, more_bytes: u64) -> Result<(), UnitError> {
        let bytes: u64 = groups.values().map(ledger::of_value).sum();
        Ok(self.core().journal.check_room(bytes + more_bytes)?)
    }

    fn put_groups(&self, groups: &ByName) {
        let all: Vec<_> = groups.iter().collect();
        self.core().journal.put_control(Kind::Groups, &all);
    }

    /// The pairs of a consistency group.
    pub fn group(&self, name: &GroupName) -> Option<Vec<(LdevId, LdevId)>> {
        self.core().consistency_groups.lock().get(name).cloned()
    }

    /// The names of all consistency groups, ascending.
    pub fn groups(&self) -> Vec<GroupName> {
        self.core().consistency_groups.lock().keys().cloned().collect()
    }
}
