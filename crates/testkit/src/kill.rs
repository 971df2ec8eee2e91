//! The kill test: a real process runs a unit over files, and is killed at any moment.
//!
//! A child process opens a unit directory and lets hosts write, read and flush, and pairs be created,
//! split, given back and taken apart; a schedule makes images. What each host asks it says first, and
//! what it was answered it says after the answer, one line each, through a pipe. The parent kills it,
//! opens the directory itself, and compares what is there with what was said. Then the next child.
//!
//! | noun | file |
//! |---|---|
//! | [`run_kills`], [`KillReport`] | here |
//! | the unit, and its directory | `rig` |
//! | a child's [`Life`] | `child` |
//! | lines of the pipe | `line` |
//! | what the parent knows, and what has to be there | `ledger` |
//!
//! Invariants:
//! - A line is written before its request is made, or after it was answered: what the parent takes for
//!   the time of a request has all of it in it.
//! - Only processes that were started here are killed, by their handle.

mod child;
mod ledger;
mod line;
mod rig;

pub use child::{Life, live};

use crate::Violation;
use diptych_format::LdevId;
use diptych_rt::{RtError, UnitDirError};
use diptych_shared::PairStatus;
use diptych_sync::thread;
use diptych_unit::{Durability, ScheduleError, UnitError};
use fastrand::Rng;
use ledger::Ledger;
use line::Line;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

const SIGKILL: i32 = 9;

/// What to do.
#[derive(Debug, Clone)]
pub struct KillConfig {
    /// Where to make the unit; nothing may be there.
    pub dir: PathBuf,
    /// The seed of moments, hosts and commands. The threads' order is not in it.
    pub seed: u64,
    /// How often to kill.
    pub times: u64,
    /// What answers promise.
    pub durability: Durability,
    /// A child is killed so many milliseconds after its start, at most.
    pub life_ms_max: u64,
}

/// What it came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KillReport {
    /// Processes killed.
    pub kills: u64,
    /// Of these, before the unit was open.
    pub kills_in_recovery: u64,
    /// Of these, while pairs were copied.
    pub kills_in_copy: u64,
    /// Writes acknowledged.
    pub writes: u64,
    /// Commands carried out.
    pub commands: u64,
    /// Requests that were not answered when the process died.
    pub unanswered: u64,
    /// Blocks compared after restarts.
    pub blocks: u64,
    /// Complete images compared, those of the schedule among them.
    pub images: u64,
    /// Images that the schedule made.
    pub scheduled: u64,
    /// Records replayed.
    pub records: u64,
    /// Logs whose end was torn.
    pub torn: u64,
    /// What was wrong first; nothing was done after it.
    pub first_wrong: Option<Wrong>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Wrong {
    /// What is read, or an image.
    #[error("{0}")]
    Violation(#[from] Violation),
    /// A pair has not the status that was answered.
    #[error("pair {primary} -> {secondary} is {found:?}, answered was what leads to {expected:?}")]
    Status {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// Its status.
        found: Option<PairStatus>,
        /// Statuses that may be.
        expected: Vec<Option<PairStatus>>,
    },
    /// A schedule is gone, or was made.
    #[error("there are {found} schedules, not 1")]
    Schedules {
        /// Schedules found.
        found: usize,
    },
    /// A copy that goes on has no end.
    #[error("pair {primary} -> {secondary} is still copied after {seconds} s")]
    NeverEnds {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A volume that has to be readable is not.
    #[error("volume {ldev} cannot be read: {source}")]
    Unreadable {
        /// The volume.
        ldev: LdevId,
        /// What was answered.
        source: diptych_cha::HostError,
    },
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KillError {
    /// The unit does not come back, or was not made.
    #[error(transparent)]
    Dir(#[from] UnitDirError),
    /// The unit refused what it needs.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The schedule was refused.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
    /// No driver.
    #[error(transparent)]
    Rt(#[from] RtError),
    /// A process could not be started or killed, or the pipe broke.
    #[error("the child process: {0}")]
    Process(#[from] io::Error),
    /// The child ended by itself; it has said why.
    #[error("the child process ended by itself: {status}")]
    Ended {
        /// How.
        status: ExitStatus,
    },
    /// A line of the pipe makes no sense.
    #[error("the child process said what makes no sense, as line {number}")]
    Line {
        /// Which line.
        number: usize,
    },
}

/// Kills as often as it is told. `program` is a process that calls [`live`]; `progress` hears of each
/// kill.
///
/// # Errors
///
/// If a process cannot be had, or the unit does not come back.
pub fn run_kills(
    config: &KillConfig,
    program: impl Fn(&Life) -> Command,
    mut progress: impl FnMut(&KillReport),
) -> Result<KillReport, KillError> {
    let mut report = KillReport::default();
    let mut rng = Rng::with_seed(config.seed);
    rig::create(&config.dir, config.durability, config.seed)?;
    let mut ledger = Ledger::new();
    while report.kills < config.times {
        let life = Life {
            dir: config.dir.clone(),
            seed: rng.u64(..),
            first: ledger.next_request(),
            durability: config.durability,
        };
        let lived = Duration::from_micros(rng.u64(..=config.life_ms_max * 1_000));
        let lines = kill_one(program(&life), lived)?;
        report.kills += 1;
        if !lines.contains(&Line::Up) {
            report.kills_in_recovery += 1;
        }
        // Often the next child finds the copies as they were left; the last one is looked at whole.
        let is_last = report.kills == config.times;
        let to_the_end = is_last || rng.u8(..3) == 0;
        let found = ledger.heard(lines, &mut report).and_then(|()| {
            let opened = rig::open(&config.dir, config.durability);
            opened.map_err(Found::Error)?.look(&mut ledger, &mut report, to_the_end)
        });
        progress(&report);
        match found {
            Ok(()) => {}
            Err(Found::Error(error)) => return Err(error),
            Err(Found::Wrong(wrong)) => {
                report.first_wrong = Some(wrong);
                break;
            }
        }
    }
    Ok(report)
}

/// What ends a run early.
#[derive(Debug)]
enum Found {
    Wrong(Wrong),
    Error(KillError),
}

impl<W: Into<Wrong>> From<W> for Found {
    fn from(wrong: W) -> Self {
        Self::Wrong(wrong.into())
    }
}

/// Starts a child, kills it, and gives what it said.
fn kill_one(mut program: Command, lived: Duration) -> Result<Vec<Line>, KillError> {
    let mut child = program.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().expect("a pipe was asked for");
    let reader = thread::spawn(move || read_lines(stdout));
    thread::sleep(lived);
    // One that has ended by itself is not signalled: it was not waited for yet.
    child.kill()?;
    let status = child.wait()?;
    let lines = reader.join().expect("the reader does not panic")?;
    match status.signal() {
        Some(SIGKILL) => {}
        _ => return Err(KillError::Ended { status }),
    }
    let lines = lines.iter().zip(1..);
    let parsed = lines.map(|(text, number)| text.parse().map_err(|_| KillError::Line { number }));
    parsed.collect()
}

fn read_lines(stdout: ChildStdout) -> io::Result<Vec<String>> {
    BufReader::new(stdout).lines().collect()
}
