//! States that differ only by which track, or which of two siblings, is the first are one.

use super::rules::{Rules, Shape};
use super::state::{Job, Lane, Map, Packed, State};

impl Rules {
    /// One of the states that are alike, whichever of them is given.
    pub(super) fn alike(&self, state: &State) -> Packed {
        let mut least = state.pack();
        // A broken rule may know one from the other.
        if self.broken.is_some() {
            return least;
        }
        let mut other = *state;
        let siblings = self.config.shape == Shape::Siblings;
        if self.config.tracks == 2 {
            swap_tracks(&mut other);
            least = least.min(other.pack());
        }
        if siblings {
            swap_siblings(&mut other);
            other.renumber();
            least = least.min(other.pack());
            if self.config.tracks == 2 {
                swap_tracks(&mut other);
                least = least.min(other.pack());
            }
        }
        least
    }
}

fn swap_tracks(state: &mut State) {
    let swap = |map: &mut Map| *map = (*map & 1) << 1 | *map >> 1;
    for pair in state.pairs.iter_mut().chain(&mut state.kept) {
        [&mut pair.c, &mut pair.dp, &mut pair.ds].into_iter().for_each(swap);
    }
    let State { settling, flushed, late, newer, .. } = state;
    settling.iter_mut().chain(flushed).chain(late).chain(newer).for_each(swap);
    let State { slot, drive, destage, log, expected, .. } = state;
    for values in [slot, drive, destage, log, expected] {
        values.iter_mut().for_each(|tracks| tracks.swap(0, 1));
    }
    state.maybe.iter_mut().for_each(|tracks| tracks.swap(0, 1));
    state.jobs.swap(0, 1);
}

fn swap_siblings(state: &mut State) {
    state.pairs.swap(0, 1);
    state.kept.swap(0, 1);
    state.settling.swap(0, 1);
    state.flushed.swap(0, 1);
    for volumes in [&mut state.undefined, &mut state.kept_undefined] {
        *volumes = *volumes & 1 | (*volumes & 2) << 1 | (*volumes & 4) >> 1;
    }
    let State { slot, drive, destage, log, expected, .. } = state;
    for values in [slot, drive, destage, log, expected] {
        values.swap(1, 2);
    }
    state.maybe.swap(1, 2);
    state.late.swap(1, 2);
    state.newer.swap(1, 2);
    for job in &mut state.jobs {
        *job = match *job {
            Job::None => Job::None,
            Job::Read { volume } => Job::Read { volume: sibling(volume) },
            Job::Write { volume, stage } => Job::Write { volume: sibling(volume), stage },
            Job::Lane(lane) => Job::Lane(Lane { pair: 1 - lane.pair, ..lane }),
        };
    }
}

const fn sibling(volume: usize) -> usize {
    match volume {
        1 => 2,
        2 => 1,
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::SearchConfig;

    /// Some states a few steps from the start, of each configuration.
    fn some(check: impl Fn(&Rules, &State)) {
        for config in SearchConfig::all() {
            let rules = Rules { config, broken: None };
            let mut states = vec![config.start()];
            for at in 0..300 {
                let state = states[at % states.len()];
                rules.next(&state, &mut |_, next, _| states.push(next));
                check(&rules, &states[at]);
            }
        }
    }

    #[test]
    fn a_state_comes_out_as_it_was_packed() {
        some(|_, state| assert_eq!(State::unpack(&state.pack()), *state));
    }

    #[test]
    fn whichever_is_first_the_state_is_one() {
        some(|rules, state| {
            let mut other = *state;
            if rules.config.tracks == 2 {
                swap_tracks(&mut other);
                assert_eq!(rules.alike(&other), rules.alike(state));
            }
            if rules.config.shape == Shape::Siblings {
                swap_siblings(&mut other);
                other.renumber();
                assert_eq!(rules.alike(&other), rules.alike(state));
            }
        });
    }
}
