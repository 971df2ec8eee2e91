//! Memory for what hosts sent and are sent, over all connections of a server, or of several.
//!
//! A connection takes what a request under way keeps, and gives it back when the answer is sent. When
//! nothing is left it waits, and is read no further, until others have given something back. A first
//! portion is every connection's own, so that small requests neither wait for large ones nor come here.
//!
//! Invariants:
//! - What was taken by [`Budget::wait`] and [`Budget::try_take`] stays within the limit, but for one that is
//!   larger, which is there alone.
//! - Who waits is served in the order of coming: nobody overtakes.
//! - Who waits here keeps nothing that only it could give back, but by the workers' answers; so
//!   somebody else always gives something back.

use diptych_sync::{Arc, Condvar, Mutex, mutant};
use std::collections::VecDeque;
use std::fmt;

/// What is a connection's own, and what it takes at a time beyond that.
pub(super) const PORTION_BYTES: usize = 64 << 10;

/// Bytes that the connections of one or several servers may keep for requests under way. A handle: clones
/// are the same one.
#[derive(Clone)]
pub struct Budget(Arc<Inner>);

struct Inner {
    bytes: usize,
    state: Mutex<State>,
    /// Something was given back, or somebody's turn has come.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    used: usize,
    /// Who waits, in the order of coming.
    waiting: VecDeque<Turn>,
    last: u64,
}

/// A place among those who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Budget {
    /// So many bytes. Connections take 64 KiB at a time; the first 64 KiB of each do not count.
    pub fn new(bytes: usize) -> Self {
        let (state, changed) = (Mutex::new(State::default()), Condvar::new());
        Self(Arc::new(Inner { bytes, state, changed }))
    }

    /// How many there are.
    pub fn bytes(&self) -> usize {
        self.0.bytes
    }

    /// How many are taken now.
    pub fn used(&self) -> usize {
        self.0.state.lock().used
    }

    /// Connections that wait for some.
    pub fn waiters(&self) -> usize {
        self.0.state.lock().waiting.len()
    }

    fn fits(&self, state: &State, bytes: usize) -> bool {
        let fits = state.used == 0 || state.used.saturating_add(bytes) <= self.0.bytes;
        fits || mutant::removed("budget-is-kept")
    }

    /// Takes so many bytes, if there are some and nobody waits for them.
    pub(super) fn try_take(&self, bytes: usize) -> bool {
        let mut state = self.0.state.lock();
        let takes = state.waiting.is_empty() && self.fits(&state, bytes);
        if takes {
            state.used += bytes;
        }
        takes
    }

    /// Takes them, whether there are some or not.
    pub(super) fn take(&self, bytes: usize) {
        self.0.state.lock().used += bytes;
    }

    /// Gives so many back.
    pub(super) fn give(&self, bytes: usize) {
        let mut state = self.0.state.lock();
        state.used -= bytes;
        self.tell(&state);
    }

    /// Takes a place among those who wait.
    pub(super) fn stand(&self) -> Turn {
        let mut state = self.0.state.lock();
        state.last += 1;
        let turn = Turn(state.last);
        state.waiting.push_back(turn);
        turn
    }

    /// Waits for the turn and for so many bytes, and takes them; `false` if the place was given up.
    pub(super) fn wait(&self, turn: Turn, bytes: usize) -> bool {
        let mut state = self.0.state.lock();
        loop {
            if !state.waiting.contains(&turn) {
                return false;
            }
            if state.waiting.front() == Some(&turn) && self.fits(&state, bytes) {
                state.waiting.pop_front();
                state.used += bytes;
                // Perhaps there is enough for the next one, too.
                self.tell(&state);
                return true;
            }
            state = self.0.changed.wait(state);
        }
    }

    /// Gives a place up: whoever waits at it is told.
    pub(super) fn leave(&self, turn: Turn) {
        let mut state = self.0.state.lock();
        state.waiting.retain(|other| *other != turn);
        self.0.changed.notify_all();
    }

    fn tell(&self, state: &State) {
        if !state.waiting.is_empty() && !mutant::removed("budget-is-told") {
            self.0.changed.notify_all();
        }
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} of {} bytes)", self.used(), self.bytes())
    }
}

/// Whole portions for what so many bytes want beyond a connection's own.
fn wanted(bytes: usize) -> usize {
    bytes.saturating_sub(PORTION_BYTES).next_multiple_of(PORTION_BYTES)
}

/// What one connection has of a budget: whole portions.
#[derive(Debug, Default)]
pub(super) struct Share {
    budget: Option<Budget>,
    taken: usize,
}

impl Share {
    pub(super) fn of(budget: Option<Budget>) -> Self {
        Self { budget, taken: 0 }
    }

    pub(super) fn budget(&self) -> Option<&Budget> {
        self.budget.as_ref()
    }

    /// What is missing for so many bytes.
    pub(super) fn missing(&self, bytes: usize) -> usize {
        match self.budget {
            Some(_) => wanted(bytes).saturating_sub(self.taken),
            None => 0,
        }
    }

    /// So much more was taken for it.
    pub(super) fn add(&mut self, bytes: usize) {
        self.taken += bytes;
    }

    /// Takes what is missing for so many bytes, if the budget has it.
    pub(super) fn try_have(&mut self, bytes: usize) -> bool {
        let missing = self.missing(bytes);
        let has = missing == 0 || self.budget.as_ref().is_none_or(|it| it.try_take(missing));
        self.taken += if has { missing } else { 0 };
        has
    }

    /// Has so much from here on as these bytes want, whatever the budget has. A portion may be kept for
    /// what comes next, but nothing by who has nothing.
    pub(super) fn have(&mut self, bytes: usize) {
        let Some(budget) = &self.budget else { return };
        let wanted = wanted(bytes);
        if wanted > self.taken {
            budget.take(wanted - self.taken);
        } else if wanted == 0 || self.taken - wanted > PORTION_BYTES {
            if self.taken > wanted {
                budget.give(self.taken - wanted);
            }
        } else {
            return;
        }
        self.taken = wanted;
    }
}

#[cfg(all(test, not(any(diptych_loom, diptych_shuttle))))]
mod tests {
    use super::*;
    use diptych_sync::thread;

    #[test]
    fn a_share_is_whole_portions() {
        let budget = Budget::new(4 * PORTION_BYTES);
        let mut share = Share::of(Some(budget.clone()));
        let check = |bytes: usize, portions: usize, share: &mut Share| {
            share.have(bytes);
            assert_eq!(budget.used(), portions * PORTION_BYTES, "{bytes}");
        };
        check(1, 0, &mut share);
        check(PORTION_BYTES, 0, &mut share);
        check(PORTION_BYTES + 1, 1, &mut share);
        check(2 * PORTION_BYTES + 1, 2, &mut share);
        // One is kept for what comes next, unless its own is enough.
        check(PORTION_BYTES + 1, 2, &mut share);
        check(PORTION_BYTES, 0, &mut share);
        check(10 * PORTION_BYTES, 9, &mut share);
        check(PORTION_BYTES + 1, 1, &mut share);
        assert!(share.try_have(5 * PORTION_BYTES) && !share.try_have(6 * PORTION_BYTES));
        check(0, 0, &mut share);
        // What is larger than all of it is there alone.
        assert!(share.try_have(6 * PORTION_BYTES));
        let mut other = Share::of(Some(budget.clone()));
        assert!(other.try_have(PORTION_BYTES) && !other.try_have(PORTION_BYTES + 1));
    }

    #[test]
    fn nobody_overtakes() {
        let budget = Budget::new(4);
        assert!(budget.try_take(3));
        let [first, second] = [budget.stand(), budget.stand()];
        assert!(!budget.try_take(1), "somebody waits");
        let waits = |turn, bytes| {
            let budget = budget.clone();
            thread::spawn(move || budget.wait(turn, bytes))
        };
        let (first, gone) = (waits(first, 4), waits(second, 1));
        budget.leave(second);
        assert!(!gone.join().expect("it ends"));
        assert_eq!(budget.waiters(), 1);
        budget.give(3);
        assert!(first.join().expect("it ends"));
        assert_eq!((budget.used(), budget.waiters()), (4, 0));
    }
}
