//! Commands that change how a logical unit stands, not what is on it: START STOP UNIT, PREVENT ALLOW MEDIUM
//! REMOVAL, MODE SELECT, reservations (SPC-5, 6; SBC-4, 5).

use super::attention::Attention;
use super::job::Job;
use super::nexus::Registrant;
use super::persistent;
use super::reply::{Done, Refused};
use super::sense::{Asc, Sense};
use bytes::Bytes;

impl Job {
    /// START STOP UNIT: loads and ejects. Power conditions, and stopping without ejecting, change nothing.
    pub(crate) async fn start_stop(&self) -> Done {
        let byte = self.cdb.byte(4);
        let [starts, loads_or_ejects, no_flush] = [0x01, 0x02, 0x04].map(|bit| byte & bit != 0);
        if byte >> 4 != 0 {
            return Ok(Bytes::new());
        }
        if !loads_or_ejects {
            if starts {
                self.unit.state().has_medium()?;
            }
            return Ok(Bytes::new());
        }
        if !self.options.removable {
            return Err(Sense::in_cdb_bit(4, Some(1)).into());
        }
        self.removable()?;
        if !starts && !no_flush {
            self.flush().await?;
            // It may have been prevented meanwhile.
            self.removable()?;
        }
        let mut state = self.unit.state();
        if state.loaded != starts {
            state.loaded = starts;
            if starts {
                state.tell_others(Some(self.nexus.id), Attention::MediumChanged);
            }
        }
        Ok(Bytes::new())
    }

    fn removable(&self) -> Result<(), Refused> {
        if self.unit.state().is_removal_prevented() {
            return Err(Sense::illegal(Asc::REMOVAL_PREVENTED).into());
        }
        Ok(())
    }

    pub(crate) fn prevent_removal(&self) -> Done {
        let prevents = match self.cdb.byte(4) & 0x03 {
            0 => false,
            1 => true,
            _ => return Err(Sense::in_cdb_bit(4, Some(1)).into()),
        };
        self.unit.state().prevent_removal(self.nexus.id, prevents);
        Ok(Bytes::new())
    }

    pub(crate) async fn mode_select(&self) -> Done {
        let list = self.list(match self.cdb.opcode() {
            0x15 => u64::from(self.cdb.byte(4)),
            _ => self.cdb.extent().1,
        });
        let saves = self.cdb.has(1, 0x01);
        let _keeping = if saves { Some(self.keeping()?) } else { None };
        {
            let mut state = self.unit.state();
            let before = state.modes;
            state.modes.select(&self.cdb, list)?;
            if state.modes != before {
                state.tell_others(Some(self.nexus.id), Attention::ModeChanged);
            }
        }
        if saves {
            self.keep().await?;
        }
        Ok(Bytes::new())
    }

    /// RESERVE. To one that is registered, or where its reservation is all registrants', it does nothing
    /// (SPC-5, 5.14.3: CRH).
    pub(crate) fn reserve(&self) -> Done {
        let mut state = self.unit.state();
        if state.registrations.all.is_empty() {
            state.reserved_by = Some(self.nexus.id);
        }
        Ok(Bytes::new())
    }

    pub(crate) fn release(&self) -> Done {
        let mut state = self.unit.state();
        if state.reserved_by == Some(self.nexus.id) {
            state.reserved_by = None;
        }
        Ok(Bytes::new())
    }

    pub(crate) fn reserve_in(&self) -> Vec<u8> {
        persistent::report(self.cdb.action(), &self.unit.state().registrations)
    }

    pub(crate) async fn reserve_out(&self) -> Done {
        let len = self.cdb.number(super::cdb::Field::new(5, 4));
        let list = self.list(len);
        let targets = self.target.targets();
        // Whatever it comes to: only what outlives the power is kept, and that seldom changes.
        let keeping = self.keeping()?;
        let must_keep = {
            let mut state = self.unit.state();
            let before = state.kept();
            let who = &self.nexus.who;
            let changed =
                persistent::change(&mut state.registrations, &self.cdb, list, who, &targets)?;
            state.tell(changed.tell);
            let must_keep = state.kept() != before;
            drop(state);
            if !changed.abort.is_empty() {
                let own = self.nexus.id;
                let lost = |who: &Registrant| changed.abort.contains(who);
                self.unit.abort(|id, who| id != own && lost(who));
            }
            must_keep
        };
        if must_keep {
            self.keep().await?;
        }
        drop(keeping);
        Ok(Bytes::new())
    }
}
