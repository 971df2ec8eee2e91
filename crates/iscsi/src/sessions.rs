//! All sessions: their TSIHs, and that one initiator port has one session at a target.
//!
//! Invariants: a session that takes the place of another begins when nothing of the other is under way. A host
//! that has closed its connection and logs in anew, as whatever port, finds free what its session held.

use crate::error::LoginRefused;
use diptych_cha::TargetId;
use diptych_cha::scsi::InitiatorPort;
use diptych_rt::net::Ender;
use diptych_sync::{Arc, Condvar, Mutex};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Sessions at once; connections are fewer.
const SESSIONS_MAX: usize = 4_096;

/// Who has a session where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) port: InitiatorPort,
    pub(crate) target: TargetId,
}

#[derive(Debug, Default)]
pub(crate) struct Sessions {
    state: Mutex<State>,
    /// A session has ended.
    fewer: Condvar,
}

#[derive(Debug, Default)]
struct State {
    by_tsih: BTreeMap<u16, (Option<Who>, Ender)>,
    last_tsih: u16,
}

impl State {
    fn find(&self, who: &Who) -> Option<&Ender> {
        let mut sessions = self.by_tsih.values();
        sessions.find(|(other, _)| other.as_ref() == Some(who)).map(|(_, ender)| ender)
    }

    /// Sessions of the initiator there, whatever their ports.
    fn of_initiator(&self, who: &Who) -> Vec<(u16, Ender)> {
        let is_of = |other: &Who| other.target == who.target && other.port.name == who.port.name;
        let sessions = self.by_tsih.iter();
        let sessions = sessions.filter(|(_, (other, _))| other.as_ref().is_some_and(is_of));
        sessions.map(|(tsih, (_, ender))| (*tsih, ender.clone())).collect()
    }

    fn free_tsih(&mut self) -> u16 {
        loop {
            self.last_tsih = self.last_tsih.checked_add(1).unwrap_or(1);
            if !self.by_tsih.contains_key(&self.last_tsih) {
                return self.last_tsih;
            }
        }
    }
}

impl Sessions {
    /// Takes a place for a session; a discovery session is nobody's. A session of the same initiator port
    /// at the same target is ended, and waited for.
    pub(crate) fn enter(
        self: &Arc<Self>,
        who: Option<Who>,
        ender: Ender,
        patience: Duration,
    ) -> Result<Place, LoginRefused> {
        let until = Instant::now() + patience;
        if let Some(who) = &who {
            self.wait_for_left(who, until);
        }
        let mut state = self.state.lock();
        while let Some(before) = who.as_ref().and_then(|who| state.find(who)).cloned() {
            drop(state);
            before.end();
            state = self.state.lock();
            if who.as_ref().is_some_and(|who| state.find(who).is_none()) {
                break;
            }
            let left = until.checked_duration_since(Instant::now());
            state = self.fewer.wait_for(state, left.ok_or(LoginRefused::Lingering)?);
        }
        if state.by_tsih.len() >= SESSIONS_MAX {
            return Err(LoginRefused::TooManySessions);
        }
        let tsih = state.free_tsih();
        state.by_tsih.insert(tsih, (who, ender));
        Ok(Place { sessions: self.clone(), tsih })
    }

    /// Waits for the end of those sessions of an initiator whose connection it has closed. If that takes too
    /// long, the new one is no worse off than beside one that goes on.
    fn wait_for_left(&self, who: &Who, until: Instant) {
        let sessions = self.state.lock().of_initiator(who);
        let left: Vec<u16> = sessions
            .into_iter()
            .filter_map(|(tsih, ender)| ender.is_left().then_some(tsih))
            .collect();
        let mut state = self.state.lock();
        while left.iter().any(|tsih| state.by_tsih.contains_key(tsih)) {
            let Some(time) = until.checked_duration_since(Instant::now()) else { return };
            state = self.fewer.wait_for(state, time);
        }
    }

    /// Whether there is a session of this TSIH and ISID.
    pub(crate) fn has(&self, tsih: u16, isid: [u8; 6]) -> bool {
        let state = self.state.lock();
        let who = state.by_tsih.get(&tsih).and_then(|(who, _)| who.as_ref());
        who.is_some_and(|who| who.port.isid == isid)
    }

    /// Ends all sessions at a target.
    pub(crate) fn end_all_at(&self, target: TargetId) {
        let at = |who: &Option<Who>| who.as_ref().is_some_and(|who| who.target == target);
        let state = self.state.lock();
        let sessions = state.by_tsih.values().filter(|(who, _)| at(who));
        let enders: Vec<_> = sessions.map(|(_, ender)| ender.clone()).collect();
        drop(state);
        enders.iter().for_each(Ender::end);
    }
}

/// The place of a session among the others. Dropped, it is free.
#[derive(Debug)]
pub(crate) struct Place {
    sessions: Arc<Sessions>,
    tsih: u16,
}

impl Place {
    pub(crate) fn tsih(&self) -> u16 {
        self.tsih
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sessions.state.lock().by_tsih.remove(&self.tsih);
        self.sessions.fewer.notify_all();
    }
}
