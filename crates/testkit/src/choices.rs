//! Choices: which of several things happens next.

use fastrand::Rng;

/// A source of choices: pseudo-random from a seed, or all of them one after another
/// ([`explore`]).
#[derive(Debug)]
pub struct Choices(Source);

#[derive(Debug)]
enum Source {
    Seed(Rng),
    Path { path: Vec<Choice>, at: usize },
}

#[derive(Debug, Clone, Copy)]
struct Choice {
    taken: usize,
    of: usize,
}

impl Choices {
    /// Choices that depend on the seed alone.
    pub fn from_seed(seed: u64) -> Self {
        Self(Source::Seed(Rng::with_seed(seed)))
    }

    /// One of `0..of`.
    ///
    /// # Panics
    ///
    /// If there is nothing to choose from, or a run that is explored does not repeat itself.
    pub fn one_of(&mut self, of: usize) -> usize {
        assert!(of > 0, "nothing to choose from");
        match &mut self.0 {
            Source::Seed(rng) => rng.usize(..of),
            Source::Path { path, at } => {
                if *at == path.len() {
                    path.push(Choice { taken: 0, of });
                }
                let choice = path[*at];
                assert_eq!(choice.of, of, "choice {at} of a run that does not repeat itself");
                *at += 1;
                choice.taken
            }
        }
    }
}

/// How much of the choices was explored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Explored {
    /// Runs made, each with other choices.
    pub runs: u64,
    /// Whether these were all there are.
    pub complete: bool,
}

/// Runs `run` once for every sequence of choices it can make, in order, but at most `runs_max`
/// times. The run must depend on its choices alone.
///
/// ```
/// use diptych_testkit::{Explored, explore};
///
/// let mut seen = Vec::new();
/// let explored = explore(100, |choices| {
///     let first = choices.one_of(2);
///     seen.push((first, if first == 0 { choices.one_of(3) } else { 9 }));
/// });
/// assert_eq!(seen, [(0, 0), (0, 1), (0, 2), (1, 9)]);
/// assert_eq!(explored, Explored { runs: 4, complete: true });
/// ```
pub fn explore(runs_max: u64, mut run: impl FnMut(&mut Choices)) -> Explored {
    let mut path = Vec::new();
    for runs in 1..=runs_max {
        let mut choices = Choices(Source::Path { path, at: 0 });
        run(&mut choices);
        let Source::Path { path: taken, at } = choices.0 else { unreachable!("a path it was") };
        path = taken;
        path.truncate(at);
        while path.pop_if(|choice| choice.taken + 1 == choice.of).is_some() {}
        match path.last_mut() {
            Some(last) => last.taken += 1,
            None => return Explored { runs, complete: true },
        }
    }
    Explored { runs: runs_max, complete: false }
}
