//! Breadth first through all states: each is kept whole, so none is taken for another.

use super::action::Action;
use super::rules::Rules;
use super::state::{Packed, State};
use super::{SearchReport, SearchTrace};
use rustc_hash::FxHasher;
use std::hash::{Hash, Hasher};

/// States in the order in which they were met, and where each came from.
#[derive(Default)]
struct Seen {
    states: Vec<Packed>,
    parents: Vec<u32>,
    /// Places of states, one more than the number, by their hash; 0 is free.
    table: Vec<u32>,
}

impl Seen {
    /// Whether it is new.
    fn insert(&mut self, state: Packed, parent: u32) -> bool {
        // At most three quarters are taken.
        if (self.states.len() + 1) * 4 > self.table.len() * 3 {
            self.grow();
        }
        let place = self.place_of(&state);
        if self.table[place] != 0 {
            return false;
        }
        self.states.push(state);
        self.parents.push(parent);
        self.table[place] = u32::try_from(self.states.len()).expect("fewer states than that");
        true
    }

    /// Where the state is, or would be.
    fn place_of(&self, state: &Packed) -> usize {
        let mut hasher = FxHasher::default();
        state.hash(&mut hasher);
        let mask = self.table.len() - 1;
        let mut place = (hasher.finish() >> 20) as usize & mask;
        while self.table[place] != 0 && self.states[self.table[place] as usize - 1] != *state {
            place = (place + 1) & mask;
        }
        place
    }

    fn grow(&mut self) {
        let size = (self.table.len() * 2).max(1 << 10);
        self.table = Vec::new();
        self.table.resize(size, 0);
        for no in 0..self.states.len() {
            let place = self.place_of(&self.states[no]);
            self.table[place] = no as u32 + 1;
        }
    }

    /// The states on the way to one, from the start on.
    fn way_to(&self, state: usize) -> Vec<Packed> {
        let mut way = vec![self.states[state]];
        let mut at = state;
        while at != 0 {
            at = self.parents[at] as usize;
            way.push(self.states[at]);
        }
        way.reverse();
        way
    }
}

/// Searches until everything is seen, or something is wrong. `progress` hears now and then how many
/// states are seen and how many of them are done.
pub(super) fn explore(rules: &Rules, progress: &mut dyn FnMut(usize, usize)) -> SearchReport {
    let mut seen = Seen::default();
    seen.insert(rules.alike(&start(rules)), 0);
    let mut report = SearchReport { states: 0, transitions: 0, depth: 0, wrong: None };
    let (mut done, mut level_end) = (0, 1);
    while done < seen.states.len() && report.wrong.is_none() {
        if done == level_end {
            level_end = seen.states.len();
            report.depth += 1;
        }
        if done % (1 << 16) == 0 {
            progress(seen.states.len(), done);
        }
        let state = State::unpack(&seen.states[done]);
        let mut found = None;
        rules.next(&state, &mut |_, next, wrong| {
            report.transitions += 1;
            let key = rules.alike(&next);
            let new = seen.insert(key, done as u32);
            if found.is_none() {
                let wrong = wrong.or_else(|| if new { rules.wrong(&next) } else { None });
                found = wrong.map(|wrong| (key, wrong));
            }
        });
        if let Some((last, wrong)) = found {
            let mut way = seen.way_to(done);
            way.push(last);
            report.depth += 1;
            report.wrong = Some(trace(rules, &way[1..], wrong));
        }
        done += 1;
    }
    report.states = seen.states.len() as u64;
    report
}

fn start(rules: &Rules) -> State {
    let mut start = rules.config.start();
    start.renumber();
    start
}

/// The way once more, in states of which each follows from the one before.
fn trace(rules: &Rules, way: &[Packed], wrong: &'static str) -> SearchTrace {
    let mut state = start(rules);
    let step = |target: &Packed| {
        let mut led: Option<(Action, State)> = None;
        let from = state;
        rules.next(&from, &mut |action, next, _| {
            if rules.alike(&next) == *target {
                led.get_or_insert((action, next));
            }
        });
        let (action, next) = led.expect("a state follows from the one before");
        state = next;
        action.to_string()
    };
    let actions = way.iter().map(step).collect();
    SearchTrace { wrong, actions, state: state.to_string() }
}
