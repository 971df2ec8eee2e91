//! Consistency groups by name: which pairs a group command is given for.
//!
//! A group names pairs by their volumes. A pair that was deleted stays in its group, and a command for
//! the group says that it is missing, so that nobody takes a smaller group for the whole.

use crate::record::Kind;
use crate::{Unit, UnitError};
use diptych_cha::GroupName;
use diptych_format::LdevId;
use std::collections::BTreeMap;

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
        let mut groups = self.core().consistency_groups.lock();
        let most = config.groups_max;
        if groups.len() >= most && !groups.contains_key(&name) {
            return Err(UnitError::TooManyGroups { most });
        }
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
        let found = groups.remove(name).is_some();
        self.put_groups(&groups);
        drop(groups);
        self.core().journal.commit_now()?;
        Ok(found)
    }

    fn put_groups(&self, groups: &BTreeMap<GroupName, Vec<(LdevId, LdevId)>>) {
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
