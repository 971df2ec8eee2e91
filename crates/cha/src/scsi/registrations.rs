//! Persistent reservations of one logical unit (SPC-5, 5.14): the rules, without the bytes.
//!
//! [`Registrations`] is plain data that a command changes; whom it has to tell is returned. The bytes of
//! PERSISTENT RESERVE IN and OUT are in [`super::persistent`].
//!
//! Invariants: a reservation's holder is registered; for the types that all registrants hold there is
//! somebody registered; the number of registrations is limited.

use super::attention::Attention;
use super::nexus::Registrant;
use super::operation::Conflict;
use super::reply::Refused;
use super::sense::{Asc, Sense};
use serde::{Deserialize, Serialize};

/// The most registrations of one logical unit.
pub const REGISTRATIONS_MAX: usize = 256;

/// The type of a persistent reservation (SPC-5, 6.16.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub(crate) enum Kind {
    WriteExclusive = 1,
    ExclusiveAccess = 3,
    WriteExclusiveRegistrants = 5,
    ExclusiveAccessRegistrants = 6,
    WriteExclusiveAll = 7,
    ExclusiveAccessAll = 8,
}

impl Kind {
    pub(crate) const ALL: [Self; 6] = [
        Self::WriteExclusive,
        Self::ExclusiveAccess,
        Self::WriteExclusiveRegistrants,
        Self::ExclusiveAccessRegistrants,
        Self::WriteExclusiveAll,
        Self::ExclusiveAccessAll,
    ];

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }

    /// Whether all registrants hold it.
    pub(crate) fn is_of_all(self) -> bool {
        matches!(self, Self::WriteExclusiveAll | Self::ExclusiveAccessAll)
    }

    /// Whether it lets registrants do what its holder may.
    fn admits_registrants(self) -> bool {
        !matches!(self, Self::WriteExclusive | Self::ExclusiveAccess)
    }

    fn refuses_reads(self) -> bool {
        use Kind::{ExclusiveAccess, ExclusiveAccessAll, ExclusiveAccessRegistrants};
        matches!(self, ExclusiveAccess | ExclusiveAccessRegistrants | ExclusiveAccessAll)
    }
}

/// One registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registration {
    pub(crate) who: Registrant,
    pub(crate) key: u64,
}

/// A reservation. Nobody holds it alone if its type is one that all registrants hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reservation {
    pub(crate) holder: Option<Registrant>,
    pub(crate) kind: Kind,
}

/// Whom to tell, and of what.
pub(crate) type Tell = Vec<(Registrant, Attention)>;

/// The registrations of a logical unit, and its reservation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Registrations {
    /// PRGENERATION. It starts again at 0 with the unit.
    #[serde(skip)]
    pub(crate) generation: u32,
    pub(crate) all: Vec<Registration>,
    pub(crate) reservation: Option<Reservation>,
    /// APTPL: they outlive the unit's power.
    pub(crate) outlives_power: bool,
}

impl Registrations {
    pub(crate) fn key_of(&self, who: &Registrant) -> Option<u64> {
        self.all.iter().find(|each| each.who == *who).map(|each| each.key)
    }

    pub(crate) fn is_holder(&self, who: &Registrant) -> bool {
        self.reservation.as_ref().is_some_and(|reservation| match &reservation.holder {
            Some(holder) => holder == who,
            None => self.key_of(who).is_some(),
        })
    }

    /// Whether a command with this rule is refused to `who`. `opens` is for the two rules with an
    /// exception: the command starts the unit, or allows removal.
    pub(crate) fn refuses(&self, who: &Registrant, rule: Conflict, opens: bool) -> bool {
        let Some(Reservation { kind, .. }) = self.reservation else {
            return rule == Conflict::Reserve && !self.all.is_empty() && self.key_of(who).is_none();
        };
        let may = self.is_holder(who) || kind.admits_registrants() && self.key_of(who).is_some();
        match rule {
            Conflict::Never | Conflict::Legacy | Conflict::Registration => false,
            Conflict::Read => kind.refuses_reads() && !may,
            Conflict::StartStop | Conflict::Prevent => !opens && !may,
            Conflict::Write => !may,
            Conflict::Reserve | Conflict::Release => !may,
        }
    }

    /// Whether `who` is registered with `key`; else it is a conflict.
    pub(crate) fn with_key(&self, who: &Registrant, key: u64) -> Result<(), Refused> {
        if self.key_of(who) == Some(key) { Ok(()) } else { Err(Refused::CONFLICT) }
    }

    /// REGISTER, and REGISTER AND IGNORE EXISTING KEY: `who` and, with a new registration, `others` get
    /// `key`; key 0 takes the registration away.
    pub(crate) fn register(
        &mut self,
        who: &Registrant,
        key: u64,
        others: &[Registrant],
    ) -> Result<Tell, Refused> {
        let known = self.key_of(who).is_some();
        if key == 0 {
            if !known {
                return Ok(Tell::new());
            }
            self.generation = self.generation.wrapping_add(1);
            return Ok(self.unregister(who));
        }
        let more = others.iter().filter(|each| self.key_of(each).is_none()).count();
        if self.all.len() + more + usize::from(!known) > REGISTRATIONS_MAX {
            return Err(Sense::illegal(Asc::INSUFFICIENT_REGISTRATIONS).into());
        }
        for each in std::iter::once(who).chain(others) {
            match self.all.iter_mut().find(|found| found.who == *each) {
                Some(found) => found.key = key,
                None => self.all.push(Registration { who: each.clone(), key }),
            }
        }
        self.generation = self.generation.wrapping_add(1);
        Ok(Tell::new())
    }

    fn unregister(&mut self, who: &Registrant) -> Tell {
        let held = self.reservation.as_ref().and_then(|found| found.holder.as_ref()) == Some(who);
        self.all.retain(|each| each.who != *who);
        match self.reservation.take() {
            Some(reservation) if held => self.released(reservation.kind, who),
            // The last of all who held it is gone.
            Some(reservation) if reservation.kind.is_of_all() && self.all.is_empty() => Tell::new(),
            kept => {
                self.reservation = kept;
                Tell::new()
            }
        }
    }

    /// Whom to tell that a reservation of this kind is gone: those that had it too.
    fn released(&self, kind: Kind, but: &Registrant) -> Tell {
        if !kind.admits_registrants() {
            return Tell::new();
        }
        self.others(but).map(|each| (each, Attention::ReservationsReleased)).collect()
    }

    fn others(&self, but: &Registrant) -> impl Iterator<Item = Registrant> {
        self.all.iter().map(|each| each.who.clone()).filter(move |who| who != but)
    }

    /// RESERVE.
    pub(crate) fn reserve(&mut self, who: &Registrant, kind: Kind) -> Result<Tell, Refused> {
        match &self.reservation {
            None => self.take(who, kind),
            Some(reservation) if reservation.kind == kind && self.is_holder(who) => {}
            Some(_) => return Err(Refused::CONFLICT),
        }
        Ok(Tell::new())
    }

    fn take(&mut self, who: &Registrant, kind: Kind) {
        let holder = (!kind.is_of_all()).then(|| who.clone());
        self.reservation = Some(Reservation { holder, kind });
    }

    /// RELEASE. What is not reserved, or by another, stays as it is.
    pub(crate) fn release(&mut self, who: &Registrant, kind: Kind) -> Result<Tell, Refused> {
        if !self.is_holder(who) {
            return Ok(Tell::new());
        }
        if self.reservation.as_ref().is_some_and(|reservation| reservation.kind != kind) {
            return Err(Sense::illegal(Asc::INVALID_RELEASE).into());
        }
        self.reservation = None;
        Ok(self.released(kind, who))
    }

    /// CLEAR.
    pub(crate) fn clear(&mut self, who: &Registrant) -> Tell {
        let tell = self.others(who).map(|each| (each, Attention::ReservationsPreempted)).collect();
        self.generation = self.generation.wrapping_add(1);
        self.all.clear();
        self.reservation = None;
        tell
    }

    /// PREEMPT: takes away the registrations with `key`, and the reservation if it is theirs. Returns
    /// also who lost a registration.
    pub(crate) fn preempt(
        &mut self,
        who: &Registrant,
        key: u64,
        kind: Option<Kind>,
    ) -> Result<(Tell, Vec<Registrant>), Refused> {
        let takes = match &self.reservation {
            Some(Reservation { holder: Some(holder), .. }) => self.key_of(holder) == Some(key),
            Some(Reservation { holder: None, .. }) => key == 0,
            None => false,
        };
        if key == 0 && !takes {
            return Err(Sense::in_list(8).into());
        }
        let of_key = |each: &Registration| key == 0 || each.key == key;
        if !takes && !self.all.iter().any(of_key) {
            return Err(Refused::CONFLICT);
        }
        let kind = match kind {
            Some(kind) => kind,
            // It matters only where it would be used.
            None if !takes => Kind::WriteExclusive,
            None => return Err(Sense::in_cdb(2).into()),
        };
        // It cannot take away its own registration while it takes the reservation.
        let lost: Vec<_> = self
            .all
            .iter()
            .filter(|each| of_key(each) && !(takes && each.who == *who))
            .map(|each| each.who.clone())
            .collect();
        self.all.retain(|each| !lost.contains(&each.who));
        let mut tell: Tell = lost
            .iter()
            .filter(|each| *each != who)
            .map(|each| (each.clone(), Attention::RegistrationsPreempted))
            .collect();
        if takes {
            let before = self.reservation.take().map(|reservation| reservation.kind);
            if let Some(before) = before.filter(|before| *before != kind) {
                tell.extend(self.released(before, who));
            }
            self.take(who, kind);
        } else if self.all.is_empty() {
            self.reservation = None;
        }
        self.generation = self.generation.wrapping_add(1);
        Ok((tell, lost))
    }

    /// REGISTER AND MOVE: `to` gets `key` and the reservation.
    pub(crate) fn hand_over(
        &mut self,
        who: &Registrant,
        to: &Registrant,
        key: u64,
        unregisters: bool,
    ) -> Result<(), Refused> {
        let kind = match &self.reservation {
            Some(Reservation { holder: Some(holder), kind }) if holder == who && to != who => *kind,
            _ => return Err(Refused::CONFLICT),
        };
        let others = self.key_of(to).is_none();
        if others && self.all.len() >= REGISTRATIONS_MAX {
            return Err(Sense::illegal(Asc::INSUFFICIENT_REGISTRATIONS).into());
        }
        match self.all.iter_mut().find(|each| each.who == *to) {
            Some(found) => found.key = key,
            None => self.all.push(Registration { who: to.clone(), key }),
        }
        self.take(to, kind);
        if unregisters {
            self.all.retain(|each| each.who != *who);
        }
        self.generation = self.generation.wrapping_add(1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scsi::nexus::InitiatorPort;
    use crate::{PortId, TargetId};
    use proptest::prelude::*;

    fn host(no: u8) -> Registrant {
        let name = format!("iqn.host-{no}").parse().expect("a name");
        let target = TargetId::from(PortId::new(1, 0).expect("a port"));
        Registrant { initiator: InitiatorPort::new(name, [0; 6]), target }
    }

    #[test]
    fn what_others_may_do() {
        use Conflict::{Legacy, Read, Write};
        // Who holds it, who is registered, who is not: may each read, and write?
        fn check(kind: Kind, expected: [(bool, bool); 3]) {
            let mut of = Registrations::default();
            for no in [1, 2] {
                of.register(&host(no), u64::from(no), &[]).expect("room");
            }
            of.reserve(&host(1), kind).expect("free");
            let may = [1, 2, 3].map(|no| {
                let may = |rule| !of.refuses(&host(no), rule, false);
                assert!(may(Legacy));
                (may(Read), may(Write))
            });
            assert_eq!(may, expected, "{kind:?}");
        }
        let all = (true, true);
        check(Kind::WriteExclusive, [all, (true, false), (true, false)]);
        check(Kind::ExclusiveAccess, [all, (false, false), (false, false)]);
        check(Kind::WriteExclusiveRegistrants, [all, all, (true, false)]);
        check(Kind::ExclusiveAccessRegistrants, [all, all, (false, false)]);
        check(Kind::WriteExclusiveAll, [all, all, (true, false)]);
        check(Kind::ExclusiveAccessAll, [all, all, (false, false)]);
    }

    #[test]
    fn a_holder_that_unregisters_releases() {
        fn check(kind: Kind, stays: bool, told: usize) {
            let mut of = Registrations::default();
            for no in [1, 2] {
                of.register(&host(no), u64::from(no), &[]).expect("room");
            }
            of.reserve(&host(1), kind).expect("free");
            let tell = of.register(&host(1), 0, &[]).expect("registered");
            assert_eq!((of.reservation.is_some(), tell.len()), (stays, told), "{kind:?}");
            of.register(&host(2), 0, &[]).expect("registered");
            assert_eq!(of.reservation, None);
        }
        check(Kind::WriteExclusive, false, 0);
        check(Kind::ExclusiveAccess, false, 0);
        check(Kind::WriteExclusiveRegistrants, false, 1);
        check(Kind::ExclusiveAccessRegistrants, false, 1);
        check(Kind::WriteExclusiveAll, true, 0);
        check(Kind::ExclusiveAccessAll, true, 0);
    }

    #[test]
    fn preempting() {
        let mut of = Registrations::default();
        for no in [1, 2, 3] {
            of.register(&host(no), u64::from(no), &[]).expect("room");
        }
        of.reserve(&host(1), Kind::WriteExclusiveRegistrants).expect("free");
        // A registration only.
        let (tell, lost) = of.preempt(&host(2), 3, None).expect("registered");
        assert_eq!(tell, [(host(3), Attention::RegistrationsPreempted)]);
        assert_eq!(lost, [host(3)]);
        assert!(of.is_holder(&host(1)));
        assert_eq!(of.preempt(&host(2), 9, None), Err(Refused::CONFLICT));
        assert!(of.preempt(&host(2), 0, None).is_err());
        // The reservation with it.
        let (tell, _) = of.preempt(&host(2), 1, Some(Kind::ExclusiveAccess)).expect("registered");
        assert_eq!(tell, [(host(1), Attention::RegistrationsPreempted)]);
        assert!(of.is_holder(&host(2)));
        assert_eq!((of.all.len(), of.generation), (1, 5));
        // Its own, to change the type.
        of.preempt(&host(2), 2, Some(Kind::WriteExclusiveAll)).expect("its own");
        assert!(of.is_holder(&host(2)));
    }

    #[test]
    fn registrations_are_limited() {
        let mut of = Registrations::default();
        let many: Vec<_> = (0..=255).map(host).collect();
        of.register(&many[0], 7, &many[1..]).expect("just fits");
        let one_more = Registrant { target: TargetId { group: 1, ..many[0].target }, ..host(0) };
        assert!(of.register(&one_more, 7, &[]).is_err());
        assert!(of.register(&many[5], 8, &[]).is_ok());
    }

    proptest! {
        #[test]
        fn a_holder_is_registered(
            steps in prop::collection::vec((0..6_u8, 1..4_u8, 0..4_u64, 0..6_usize), 0..60),
        ) {
            let mut of = Registrations::default();
            for (what, no, key, kind) in steps {
                let (who, kind) = (host(no), Kind::ALL[kind]);
                let registered = of.key_of(&who).is_some();
                let _ = match what {
                    0 => of.register(&who, key, &[]).is_ok(),
                    1 if registered => of.reserve(&who, kind).is_ok(),
                    2 if registered => of.release(&who, kind).is_ok(),
                    3 if registered => of.preempt(&who, key, Some(kind)).is_ok(),
                    4 if registered => of.hand_over(&who, &host(key as u8 + 1), 9, true).is_ok(),
                    5 if registered && key == 0 => of.clear(&who).is_empty(),
                    _ => false,
                };
                match &of.reservation {
                    Some(Reservation { holder: Some(holder), .. }) => {
                        prop_assert!(of.key_of(holder).is_some());
                    }
                    Some(_) => prop_assert!(!of.all.is_empty()),
                    None => {}
                }
            }
        }
    }
}
