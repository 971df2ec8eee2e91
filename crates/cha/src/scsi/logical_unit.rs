//! A logical unit's state: who is there, and what each may do now.
//!
//! Everything that decides whether a command is carried out is under one lock, and a command visits it
//! once: [`State::admit`]. The lock is never held while a task waits for an answer.
//!
//! Invariants: a seat for every nexus that sees the unit, and no other; at most one holder of RESERVE,
//! who has a seat; unit attentions, copy results and registrations are limited.

use super::answers::Answers;
use super::attention::{Attention, Attentions};
use super::cdb::Cdb;
use super::copy_results::CopyResults;
use super::mode::Modes;
use super::nexus::{Nexus, NexusId, Registrant};
use super::operation::{Conflict, Operation, Verb, When};
use super::registrations::{Registrations, Tell};
use super::reply::{Refused, ScsiStatus};
use super::sense::{Asc, Sense, SenseKey};
use crate::LuOptions;
use diptych_format::LdevId;
use diptych_sync::atomic::{AtomicU64, Ordering};
use diptych_sync::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A volume, as hosts see it.
#[derive(Debug)]
pub(crate) struct LogicalUnit {
    pub(crate) ldev: LdevId,
    state: Mutex<State>,
    /// Moves when commands of anybody are aborted: a task that finds it where it was need not look.
    aborts: AtomicU64,
}

/// One initiator's place at a logical unit.
#[derive(Debug)]
struct Seat {
    who: Registrant,
    waiting: Attentions,
    prevents_removal: bool,
    /// Moves when the commands of this nexus are aborted by another.
    aborts: u64,
    copies: CopyResults,
}

/// How far a sanitize operation is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Sanitizing {
    #[default]
    No,
    /// In 65,536ths.
    Running(u16),
    /// It failed; AUSE says whether EXIT FAILURE MODE leads out.
    Failed { may_exit: bool },
}

/// What changes under the lock.
#[derive(Debug)]
pub(crate) struct State {
    seats: BTreeMap<NexusId, Seat>,
    pub(crate) loaded: bool,
    /// RESERVE(6), RESERVE(10).
    pub(crate) reserved_by: Option<NexusId>,
    pub(crate) registrations: Registrations,
    pub(crate) modes: Modes,
    pub(crate) sanitizing: Sanitizing,
    /// Of a command device.
    pub(crate) answers: Answers,
    /// A task changes what is kept, or has it kept.
    pub(crate) is_keeping: bool,
    /// Up to where changes of access were told.
    access_epoch: u64,
}

/// What outlives the unit's power.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) registrations: Registrations,
    pub(crate) control: super::mode::Control,
    pub(crate) sanitizing: Sanitizing,
}

impl LogicalUnit {
    pub(crate) fn new(
        ldev: LdevId,
        access_epoch: u64,
        kept: Option<Kept>,
        answers: Answers,
    ) -> Self {
        let Kept { registrations, control, sanitizing } = kept.unwrap_or_default();
        let state = State {
            seats: BTreeMap::new(),
            loaded: true,
            reserved_by: None,
            registrations,
            modes: Modes { now: control, saved: control },
            sanitizing,
            answers,
            is_keeping: false,
            access_epoch,
        };
        Self { ldev, state: Mutex::new(state), aborts: AtomicU64::new(0) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// Where the unit's aborts stand: a task takes it when it begins.
    pub(crate) fn aborts(&self) -> u64 {
        self.aborts.load(Ordering::Acquire)
    }

    /// Where the aborts of one nexus stand; nothing if it is not there any more.
    pub(crate) fn aborts_of(&self, nexus: NexusId) -> Option<u64> {
        self.state().seats.get(&nexus).map(|seat| seat.aborts)
    }

    /// Gives a nexus its seat.
    pub(crate) fn sit(&self, nexus: &Nexus) {
        let seat = Seat {
            who: nexus.who.clone(),
            waiting: Attentions::default(),
            prevents_removal: false,
            aborts: 0,
            copies: CopyResults::default(),
        };
        self.state().seats.entry(nexus.id).or_insert(seat);
    }

    /// A nexus is gone: what it held by being there is free.
    pub(crate) fn leave(&self, nexus: NexusId) {
        let mut state = self.state();
        state.seats.remove(&nexus);
        if state.reserved_by == Some(nexus) {
            state.reserved_by = None;
        }
        drop(state);
        self.aborts.fetch_add(1, Ordering::AcqRel);
    }

    /// Aborts the commands of the nexuses that `which` names by their ports.
    pub(crate) fn abort(&self, which: impl Fn(NexusId, &Registrant) -> bool) {
        for (&id, seat) in &mut self.state().seats {
            if which(id, &seat.who) {
                seat.aborts += 1;
            }
        }
        self.aborts.fetch_add(1, Ordering::AcqRel);
    }

    /// A reset (SAM-6, 6.3.2): commands, RESERVE, prevented removal and unsaved mode pages are gone.
    /// Persistent reservations and a sanitize operation stay.
    pub(crate) fn reset(&self, tells: Attention) {
        let mut state = self.state();
        state.reserved_by = None;
        state.modes.now = state.modes.saved;
        for seat in state.seats.values_mut() {
            seat.prevents_removal = false;
            seat.aborts += 1;
            seat.waiting.raise(tells);
        }
        drop(state);
        self.aborts.fetch_add(1, Ordering::AcqRel);
    }
}

impl State {
    /// Tells all nexuses but one.
    pub(crate) fn tell_others(&mut self, but: Option<NexusId>, attention: Attention) {
        for (&id, seat) in &mut self.seats {
            if Some(id) != but {
                seat.waiting.raise(attention);
            }
        }
    }

    pub(crate) fn tell_one(&mut self, nexus: NexusId, attention: Attention) {
        if let Some(seat) = self.seats.get_mut(&nexus) {
            seat.waiting.raise(attention);
        }
    }

    /// Tells those that have a seat.
    pub(crate) fn tell(&mut self, tell: Tell) {
        for (who, attention) in tell {
            for seat in self.seats.values_mut().filter(|seat| seat.who == who) {
                seat.waiting.raise(attention);
            }
        }
    }

    /// Takes the unit attention that REQUEST SENSE reports.
    pub(crate) fn take_attention(&mut self, nexus: NexusId) -> Option<Attention> {
        self.seats.get_mut(&nexus)?.waiting.take()
    }

    /// REPORT LUNS has told what there is to tell.
    pub(crate) fn forget_luns_changed(&mut self, nexus: NexusId) {
        if let Some(seat) = self.seats.get_mut(&nexus) {
            seat.waiting.forget(Attention::LunsChanged);
        }
    }

    pub(crate) fn prevent_removal(&mut self, nexus: NexusId, prevents: bool) {
        if let Some(seat) = self.seats.get_mut(&nexus) {
            seat.prevents_removal = prevents;
        }
    }

    pub(crate) fn is_removal_prevented(&self) -> bool {
        self.seats.values().any(|seat| seat.prevents_removal)
    }

    /// The copy results of a nexus.
    pub(crate) fn copies(&mut self, nexus: NexusId) -> Option<&mut CopyResults> {
        self.seats.get_mut(&nexus).map(|seat| &mut seat.copies)
    }

    /// Raises what the volume's access has to tell, once for each change.
    pub(crate) fn access_is_at(&mut self, epoch: u64) {
        if self.access_epoch != epoch {
            self.access_epoch = epoch;
            self.tell_others(None, Attention::ModeChanged);
        }
    }

    /// Whether a command may be carried out now, and where the nexus's aborts stand. Who is refused by whom, in this order: a unit attention
    /// that waits; another's reservation; bits that must be zero; the medium's state; write protection.
    pub(crate) fn admit(
        &mut self,
        nexus: &Nexus,
        operation: &Operation,
        cdb: &Cdb,
        options: LuOptions,
    ) -> Result<u64, Refused> {
        let Some(seat) = self.seats.get_mut(&nexus.id) else {
            return Err(Refused::Status(ScsiStatus::TaskAborted));
        };
        let aborts = seat.aborts;
        if operation.when != When::Always {
            if !seat.waiting.is_empty()
                && let Some(attention) = seat.waiting.take()
            {
                return Err(attention.sense().into());
            }
            self.reserved(nexus, operation, cdb)?;
        }
        if cdb.len() < operation.cdb_bytes() {
            return Err(Sense::in_cdb(cdb.len() as u16).into());
        }
        if let Some((byte, bit)) = operation.reserved_bit(cdb) {
            return Err(Sense::in_cdb_bit(byte, Some(bit)).into());
        }
        self.ready(operation)?;
        // EXTENDED COPY changes the volumes that it names, if it may.
        if operation.changes && operation.verb != Verb::ExtendedCopy {
            self.writable(options)?;
            // What is written there is no data.
            if options.command_device && operation.verb != Verb::Write {
                return Err(Sense::new(SenseKey::DataProtect, Asc::WRITE_PROTECTED).into());
            }
        }
        Ok(aborts)
    }

    fn reserved(&self, nexus: &Nexus, operation: &Operation, cdb: &Cdb) -> Result<(), Refused> {
        let rule = operation.conflict;
        let opens = match rule {
            // START without a power condition; ALLOW.
            Conflict::StartStop => cdb.byte(4) & 0xF3 == 0x01,
            Conflict::Prevent => cdb.byte(4) & 0x03 == 0,
            _ => false,
        };
        let exempt = match rule {
            Conflict::Never | Conflict::Release => true,
            Conflict::Prevent => opens,
            _ => false,
        };
        match self.reserved_by {
            Some(holder) if holder != nexus.id && !exempt => return Err(Refused::CONFLICT),
            // RESERVE and persistent reservations do not mix.
            Some(_) if rule == Conflict::Registration => return Err(Refused::CONFLICT),
            _ => {}
        }
        if self.registrations.refuses(&nexus.who, rule, opens) {
            return Err(Refused::CONFLICT);
        }
        Ok(())
    }

    /// Whether somebody else's reservation keeps a nexus from reading, or from writing.
    pub(crate) fn may(&self, nexus: &Nexus, rule: Conflict) -> Result<(), Refused> {
        let other = self.reserved_by.is_some_and(|holder| holder != nexus.id);
        if other || self.registrations.refuses(&nexus.who, rule, false) {
            return Err(Refused::CONFLICT);
        }
        Ok(())
    }

    fn ready(&self, operation: &Operation) -> Result<(), Refused> {
        if matches!(operation.when, When::Always | When::Attentive) {
            return Ok(());
        }
        match self.sanitizing {
            Sanitizing::Running(done) => {
                let sense = Sense::new(SenseKey::NotReady, Asc::SANITIZE_IN_PROGRESS);
                return Err(sense.with_progress(done).into());
            }
            Sanitizing::Failed { .. } if operation.when == When::Ready => {
                return Err(Sense::new(SenseKey::MediumError, Asc::SANITIZE_FAILED).into());
            }
            _ => {}
        }
        let needs_medium = operation.when == When::Ready || operation.changes;
        if needs_medium { self.has_medium() } else { Ok(()) }
    }

    pub(crate) fn has_medium(&self) -> Result<(), Refused> {
        if self.loaded {
            Ok(())
        } else {
            Err(Sense::new(SenseKey::NotReady, Asc::MEDIUM_NOT_PRESENT).into())
        }
    }

    /// The same for a volume that a copy reads: nobody sanitizes it, and its medium is there.
    pub(crate) fn steady(&self) -> Result<(), Refused> {
        if self.sanitizing != Sanitizing::No {
            return Err(Sense::new(SenseKey::NotReady, Asc::SANITIZE_IN_PROGRESS).into());
        }
        self.has_medium()
    }

    pub(crate) fn writable(&self, options: LuOptions) -> Result<(), Refused> {
        let asc = if options.write_protected {
            Asc::HARDWARE_WRITE_PROTECTED
        } else if self.modes.now.write_protected {
            Asc::SOFTWARE_WRITE_PROTECTED
        } else {
            return Ok(());
        };
        Err(Sense::new(SenseKey::DataProtect, asc).into())
    }

    /// What is to be kept, if anything is.
    pub(crate) fn kept(&self) -> Option<Kept> {
        let outlives_power =
            self.registrations.outlives_power && !self.registrations.all.is_empty();
        let registrations =
            if outlives_power { self.registrations.clone() } else { Registrations::default() };
        let registrations = Registrations { generation: 0, ..registrations };
        // What runs now has failed when the unit comes up again without having ended it.
        let sanitizing = match self.sanitizing {
            Sanitizing::Running(_) => Sanitizing::Failed { may_exit: false },
            other => other,
        };
        let kept = Kept { registrations, control: self.modes.saved, sanitizing };
        (kept != Kept::default()).then_some(kept)
    }
}
