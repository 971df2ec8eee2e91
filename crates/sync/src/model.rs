//! Running a model: bounds, mutants, counted executions.
//!
//! loom's own limits of time and permutations turn a run that was cut off into a success, and a
//! model whose body runs on the main thread can be explored once and pass. So a model is run only
//! through [`Model::check`], which counts executions, says whether the space was exhausted, fails
//! below a floor, and then runs every mutant and fails if one survives.
//!
//! A mutant dies in the middle of things, with locks held and jobs half done, and unwinding those
//! would panic again. So each mutant runs in a process of its own, which ends at the first panic: the
//! test program is started once more, and there only that model runs.
//!
//! Each run prints one line that starts with `model|`, from which `cargo xtask loom` makes
//! `docs/loom.md`.

use crate::mutant;
use std::any::Any;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Tells a test program started once more which mutant to run: `model|mutant`.
const MUTANT_VARIABLE: &str = "DIPTYCH_MUTANT";
/// Starts the line by which that program answers: executions, then `died` or `survived`, then why.
const ANSWER: &str = "mutant-run|";

/// Steps after which a schedule of shuttle counts as one without an end: ten times what is usual, for
/// models that are long and not wide.
#[cfg(all(diptych_shuttle, not(diptych_loom)))]
const STEPS_MAX: usize = 10_000_000;

/// How far a run looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// At most this many pre-emptions in one execution.
    Preemptions(usize),
    /// All interleavings that loom tells apart.
    Unbounded,
    /// All interleavings, given up after so many seconds; the table then says "not exhausted".
    UnboundedFor(u64),
    /// This many random schedules (shuttle).
    Random(usize),
}

/// A protection to remove, and how its absence shows.
#[derive(Debug, Clone, Copy)]
pub struct Mutant {
    /// The name given to [`mutant::removed`].
    pub name: &'static str,
    /// Part of the message the model must die with: the invariant, or `deadlock`.
    pub dies_by: &'static str,
}

/// A model: what is checked, how far, and what must break it.
#[derive(Debug, Clone, Copy)]
pub struct Model {
    /// The model's name in the table.
    pub name: &'static str,
    /// The protocol under test, in a few words.
    pub protocol: &'static str,
    /// Bounds of the everyday run.
    pub bounds: &'static [Bound],
    /// Bounds added by `--deep`.
    pub deep: &'static [Bound],
    /// Fewer executions than this in the first bound is a failure: the model explores nothing.
    pub floor: usize,
    /// Protections whose removal the first bound must find.
    pub mutants: &'static [Mutant],
}

impl Model {
    /// Runs `body` in every bound, then once for each mutant.
    ///
    /// # Panics
    ///
    /// If an execution fails, explores less than the floor, or a mutant survives or dies of
    /// something else than it should.
    pub fn check(self, body: impl Fn() + Send + Sync + 'static) {
        let body: Arc<dyn Fn() + Send + Sync> = Arc::new(body);
        if let Ok(asked) = std::env::var(MUTANT_VARIABLE) {
            let mutant = self.mutants.iter().find(|m| asked == format!("{}|{}", self.name, m.name));
            return mutant.map_or((), |mutant| self.be_mutant(mutant, body));
        }
        let deep = std::env::var_os("DIPTYCH_DEEP").is_some();
        let extra = if deep { self.deep } else { &[] };
        for (index, bound) in self.bounds.iter().chain(extra).enumerate() {
            let run = run(*bound, None, Arc::clone(&body), Arc::default());
            self.report(*bound, None, &run);
            if let Some(message) = run.died_of {
                panic!("model {}: fails after {} executions: {message}", self.name, run.executions);
            }
            let floor = if index == 0 { self.floor } else { 1 };
            assert!(
                run.executions >= floor,
                "model {}: {} executions explored, at least {floor} expected",
                self.name,
                run.executions
            );
        }
        for mutant in self.mutants {
            let run = self.run_mutant(mutant);
            self.report(self.bounds[0], Some(mutant), &run);
            let Some(message) = run.died_of else {
                panic!("model {}: mutant {} survives", self.name, mutant.name);
            };
            assert!(
                message.contains(mutant.dies_by),
                "model {}: mutant {} should die by {:?} but died of: {message}",
                self.name,
                mutant.name,
                mutant.dies_by
            );
        }
    }

    /// Runs a mutant in a process of its own.
    fn run_mutant(&self, mutant: &Mutant) -> Run {
        let started = Instant::now();
        let program = std::env::current_exe().expect("the test program has a path");
        let output = Command::new(program)
            .args(["--nocapture", "--test-threads=1"])
            .env(MUTANT_VARIABLE, format!("{}|{}", self.name, mutant.name))
            .output()
            .expect("the test program starts once more");
        let text = String::from_utf8_lossy(&output.stdout);
        let answer = text.lines().find_map(|line| line.strip_prefix(ANSWER));
        let fields = answer.and_then(|answer| {
            let (executions, rest) = answer.split_once('|')?;
            let (verdict, message) = rest.split_once('|')?;
            Some((executions.parse().ok()?, verdict == "died", message.to_owned()))
        });
        let Some((executions, died, message)) = fields else {
            panic!("model {}: mutant {} gave no answer: {output:?}", self.name, mutant.name);
        };
        let died_of = died.then_some(message);
        Run { executions, exhausted: false, died_of, took: started.elapsed() }
    }

    /// In the process of a mutant: runs it, answers and ends the process, at the first panic if there
    /// is one.
    fn be_mutant(&self, mutant: &Mutant, body: Arc<dyn Fn() + Send + Sync>) {
        let executions = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&executions);
        std::panic::set_hook(Box::new(move |info| {
            let message = message_of(info.payload());
            answer_and_end(counted.load(Ordering::Relaxed), "died", &message);
        }));
        let run = run(self.bounds[0], Some(mutant.name), body, executions);
        answer_and_end(run.executions, "survived", "");
    }

    fn report(&self, bound: Bound, mutant: Option<&Mutant>, run: &Run) {
        let bound = match bound {
            Bound::Preemptions(n) => format!("{n} pre-emptions"),
            Bound::Unbounded | Bound::UnboundedFor(_) => "none".to_owned(),
            Bound::Random(n) => format!("{n} random schedules"),
        };
        let (mutant, verdict) = match (mutant, &run.died_of) {
            (None, None) => ("-".to_owned(), "holds".to_owned()),
            (None, Some(_)) => ("-".to_owned(), "FAILS".to_owned()),
            (Some(m), None) => (m.name.to_owned(), "SURVIVES".to_owned()),
            (Some(m), Some(_)) => (m.name.to_owned(), format!("dies by {}", m.dies_by)),
        };
        let exhausted = if run.exhausted { "yes" } else { "no" };
        #[expect(clippy::print_stdout, reason = "the line is this module's result")]
        {
            println!(
                "model|{}|{}|{mutant}|{bound}|{}|{exhausted}|{verdict}|{:.1}",
                self.protocol,
                self.name,
                run.executions,
                run.took.as_secs_f64()
            );
        }
    }
}

/// What a run came to.
struct Run {
    executions: usize,
    exhausted: bool,
    died_of: Option<String>,
    took: Duration,
}

/// What a panic said.
fn message_of(payload: &dyn Any) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| payload.downcast_ref::<&str>().copied());
    text.unwrap_or("a panic without a message").to_owned()
}

fn answer_and_end(executions: usize, verdict: &str, message: &str) -> ! {
    let message = message.replace('\n', " ");
    let mut out = std::io::stdout().lock();
    // The harness may have begun the line.
    let written = writeln!(out, "\n{ANSWER}{executions}|{verdict}|{message}");
    let ended = written.and_then(|()| out.flush());
    std::process::exit(if ended.is_ok() { 0 } else { 1 })
}

fn run(
    bound: Bound,
    mutant: Option<&'static str>,
    body: Arc<dyn Fn() + Send + Sync>,
    executions: Arc<AtomicUsize>,
) -> Run {
    let counted = Arc::clone(&executions);
    let started = Instant::now();
    // A thread of its own: a model that dies leaves its generators and thread-locals behind.
    let outcome = std::thread::Builder::new()
        .name("model".to_owned())
        .stack_size(16 << 20)
        .spawn(move || {
            mutant::choose(mutant);
            catch_unwind(AssertUnwindSafe(|| {
                explore(bound, move || {
                    counted.fetch_add(1, Ordering::Relaxed);
                    body();
                });
            }))
            .map_err(|payload| message_of(&*payload))
        })
        .expect("a thread for the model")
        .join()
        .unwrap_or_else(|_| Err("the model's thread died".to_owned()));
    let took = started.elapsed();
    let cut_off = match bound {
        Bound::UnboundedFor(seconds) => took >= Duration::from_secs(seconds),
        Bound::Random(_) => true,
        Bound::Preemptions(_) | Bound::Unbounded => false,
    };
    Run {
        executions: executions.load(Ordering::Relaxed),
        exhausted: outcome.is_ok() && !cut_off,
        died_of: outcome.err(),
        took,
    }
}

#[cfg(diptych_loom)]
fn explore(bound: Bound, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.max_branches = 20_000;
    builder.max_permutations = None;
    builder.max_duration = None;
    builder.preemption_bound = None;
    match bound {
        Bound::Preemptions(n) => builder.preemption_bound = Some(n),
        Bound::UnboundedFor(seconds) => {
            builder.checkpoint_interval = 1_000;
            builder.max_duration = Some(Duration::from_secs(seconds));
        }
        Bound::Unbounded => {}
        Bound::Random(_) => panic!("loom explores; it has no random schedules"),
    }
    builder.check(body);
}

#[cfg(all(diptych_shuttle, not(diptych_loom)))]
fn explore(bound: Bound, body: impl Fn() + Send + Sync + 'static) {
    let Bound::Random(schedules) = bound else {
        panic!("shuttle takes Bound::Random");
    };
    let mut config = shuttle::Config::new();
    config.max_steps = shuttle::MaxSteps::FailAfter(STEPS_MAX);
    let scheduler = shuttle::scheduler::RandomScheduler::new(schedules);
    shuttle::Runner::new(scheduler, config).run(body);
}

/// A random number of the schedule: the same when the schedule is replayed. For choices inside a
/// model.
#[cfg(all(diptych_shuttle, not(diptych_loom)))]
pub fn random_u64() -> u64 {
    use shuttle::rand::RngCore;
    shuttle::rand::thread_rng().next_u64()
}
