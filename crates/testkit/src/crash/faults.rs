//! Faults end to end: the n-th request to a device goes wrong, for every n.
//!
//! Scenarios of hosts and operators run in virtual time on a unit over three drives and a log. One request
//! to one of these devices goes wrong, in one of several ways; then everything comes to rest, the unit
//! ends, and another comes back on devices that work again.
//!
//! | noun | file |
//! |---|---|
//! | [`FaultCase`], [`FaultForm`], [`FaultEnding`], [`run_fault`], [`fault_cases`], [`FaultWrong`] | here |
//! | what is asked for | `scenario` |
//! | devices that go wrong | `devices` |
//! | one run | `run` |
//! | what a failing device excuses | `judge` |
//!
//! Checked is, besides what a storm of crashes checks of what comes back:
//! - Nothing panics; every request is answered, no job is left.
//! - A volume that has nothing to do with the failing drive is read and written as if nothing had happened,
//!   a pair that has nothing to do with it is copied to its end.
//! - A request that fails says why, in a type that fits, and has changed nothing.
//! - Where one read meets a bad sector, one track is unreadable and no other.
//! - A log that fails stops the unit: nothing is answered as done from then on.
//! - What was answered is there when the unit comes back, images are exact, and each pair that was
//!   suspended can be made good.

mod devices;
mod judge;
mod run;
mod scenario;

use super::panicked;
use super::wrong::CrashWrong;
use devices::{Counts, OPS};
use diptych_cha::HostReply;
use diptych_device::{FaultKind, FaultRule, Op};
use diptych_format::LdevId;
use diptych_log::Sequence;
use diptych_shared::PairStatus;
use diptych_unit::Durability;
use run::Run;
use scenario::{DRIVES, SCENARIOS};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How long a late answer is late, in nanoseconds.
const LATE_NS: u64 = 60_000_000_000;

/// How a request goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultForm {
    /// A read meets a bad sector.
    Unreadable,
    /// Every read from then on does.
    StaysUnreadable,
    /// The device fails, and refuses everything from then on.
    Fails,
    /// There is no room for one write.
    Full,
    /// Nor for any later one.
    StaysFull,
    /// There is room for its first sector.
    PartlyFull,
    /// No answer comes in time.
    TimesOut,
    /// The answer comes late, and is good.
    Late,
}

impl FaultForm {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Unreadable,
        Self::StaysUnreadable,
        Self::Fails,
        Self::Full,
        Self::StaysFull,
        Self::PartlyFull,
        Self::TimesOut,
        Self::Late,
    ];

    /// Whether it is for such requests to such a device. The driver knows delays of drives only, and what
    /// a log does about a bad sector that it reads is another test's.
    fn suits(self, device: usize, op: Op) -> bool {
        let is_log = device == DRIVES;
        match self {
            Self::Unreadable | Self::StaysUnreadable => op == Op::Read && !is_log,
            Self::Full | Self::StaysFull | Self::PartlyFull => op == Op::Write,
            Self::Fails | Self::TimesOut => true,
            Self::Late => !is_log,
        }
    }

    fn rules(self, op: Op, nth: u64) -> Vec<FaultRule> {
        let rule = |kind| FaultRule::new(op, kind).nth(nth);
        match self {
            Self::Unreadable => vec![rule(FaultKind::LatentError)],
            Self::StaysUnreadable => vec![rule(FaultKind::LatentError).repeated()],
            Self::Fails => vec![rule(FaultKind::Fail)],
            Self::Full => vec![rule(FaultKind::StorageFull)],
            Self::StaysFull => vec![rule(FaultKind::StorageFull).repeated()],
            Self::PartlyFull => {
                vec![
                    rule(FaultKind::TornWrite { survivors: vec![0] }),
                    rule(FaultKind::StorageFull),
                ]
            }
            Self::TimesOut => vec![rule(FaultKind::TimeOut)],
            Self::Late => vec![rule(FaultKind::Slow { delay_ns: LATE_NS })],
        }
    }
}

/// How a unit ends, and what it has promised by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultEnding {
    /// The process dies; write-back.
    Kill,
    /// The power goes, and all that was not flushed with it; write-back.
    CutWriteBack,
    /// The same; durable before each answer.
    CutBattery,
}

impl FaultEnding {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Kill, Self::CutWriteBack, Self::CutBattery];

    fn durability(self) -> Durability {
        match self {
            Self::Kill | Self::CutWriteBack => Durability::WriteBack,
            Self::CutBattery => Durability::Battery,
        }
    }
}

/// A run: which request of which device goes wrong, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultCase {
    scenario: usize,
    ending: FaultEnding,
    device: usize,
    op: Op,
    nth: u64,
    form: FaultForm,
}

impl fmt::Display for FaultCase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, ending, device, op, nth, form } = self;
        write!(f, "'{}' ({ending:?}): {op} {nth} of ", SCENARIOS[*scenario].name)?;
        match *device {
            DRIVES => f.write_str("the log")?,
            drive => write!(f, "drive {drive}")?,
        }
        write!(f, ", {form:?}")
    }
}

/// What must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultWrong {
    /// What a storm of crashes finds, too.
    #[error(transparent)]
    Crash(#[from] CrashWrong),
    /// An answer that the failing device does not excuse.
    #[error("{reply:?}, and the device has nothing to do with it")]
    Untouched {
        /// The answer.
        reply: Box<HostReply>,
    },
    /// Something was answered as done after the log had failed.
    #[error("{reply:?}, after the log had failed")]
    DoneWithoutLog {
        /// The answer.
        reply: Box<HostReply>,
    },
    /// The unit stopped without a reason, or went on with a reason to stop.
    #[error("invariant I5: the unit says of the failure of its log: {log_failed}")]
    LogEnd {
        /// What it says.
        log_failed: bool,
    },
    /// Hosts waited for a drive that they have nothing to do with.
    #[error("invariant I6: a request to volume {ldev} took {took_ns} ns: a slow drive held it up")]
    HeldUp {
        /// The volume.
        ldev: LdevId,
        /// How long it took, in nanoseconds.
        took_ns: u64,
    },
    /// A pair stopped that has nothing to do with the device.
    #[error("invariant I6: pair {primary} -> {secondary} has {tracks} tracks left to copy")]
    NotCopied {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// Tracks in C.
        tracks: u64,
    },
    /// More could not be read than was damaged.
    #[error("one bad sector, and {tracks} tracks cannot be read")]
    Unreadable {
        /// Tracks.
        tracks: u64,
    },
    /// Records that had been durable are missing.
    #[error("invariant I5: record {lost} is missing in the log")]
    Lost {
        /// The first.
        lost: Sequence,
    },
    /// A pair could not be resynchronized and split again.
    #[error("pair {primary} -> {secondary} is {status} on devices that work")]
    NotMadeGood {
        /// The primary.
        primary: LdevId,
        /// The secondary.
        secondary: LdevId,
        /// Its status.
        status: PairStatus,
    },
}

/// A run that found something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}, step {step}: {wrong}")]
pub struct FaultFound {
    /// The run: a case, or a scenario without any.
    pub what: String,
    /// The step of the scenario, from 0.
    pub step: usize,
    /// What.
    pub wrong: FaultWrong,
}

/// What runs came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultReport {
    /// Runs.
    pub runs: u64,
    /// Runs in which the device went wrong.
    pub struck: u64,
    /// Requests answered.
    pub operations: u64,
    /// Blocks compared, some of them in several ways.
    pub blocks: u64,
    /// Images made.
    pub images: u64,
}

impl FaultReport {
    /// Adds what another came to.
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.struck += other.struck;
        self.operations += other.operations;
        self.blocks += other.blocks;
        self.images += other.images;
    }
}

/// All cases: every request of every kind to every device that the scenarios make while nothing goes
/// wrong, in every form that suits it.
///
/// # Errors
///
/// What was found wrong without any fault.
pub fn fault_cases() -> Result<Vec<FaultCase>, Box<FaultFound>> {
    let mut cases = Vec::new();
    for scenario in 0..SCENARIOS.len() {
        for ending in FaultEnding::ALL {
            let (counts, _) = run(scenario, ending, None)?;
            for (device, counts) in counts.into_iter().enumerate() {
                for (op, count) in OPS.into_iter().zip(counts) {
                    for nth in 1..=count {
                        let forms =
                            FaultForm::ALL.into_iter().filter(|form| form.suits(device, op));
                        let case = |form| FaultCase { scenario, ending, device, op, nth, form };
                        cases.extend(forms.map(case));
                    }
                }
            }
        }
    }
    Ok(cases)
}

/// Makes one run.
///
/// # Errors
///
/// What it found.
pub fn run_fault(case: &FaultCase) -> Result<FaultReport, Box<FaultFound>> {
    run(case.scenario, case.ending, Some(case)).map(|(_, report)| report)
}

fn run(
    scenario: usize,
    ending: FaultEnding,
    case: Option<&FaultCase>,
) -> Result<(Vec<Counts>, FaultReport), Box<FaultFound>> {
    let mut run = Run::new(scenario, ending, case);
    let ended = catch_unwind(AssertUnwindSafe(|| run.run()))
        .unwrap_or_else(|panic| Err(panicked(&*panic).into()));
    let of = |case: &FaultCase| case.to_string();
    let none = || format!("'{}' ({ending:?}) without a fault", SCENARIOS[scenario].name);
    let what = case.map_or_else(none, of);
    let counts = ended.map_err(|wrong| Box::new(FaultFound { what, step: run.step(), wrong }))?;
    let struck = case.is_some_and(|case| run.struck(case.device));
    let of_world = run.world.report;
    let report = FaultReport {
        runs: 1,
        struck: struck.into(),
        operations: of_world.operations,
        blocks: of_world.blocks,
        images: of_world.images,
    };
    Ok((counts, report))
}
