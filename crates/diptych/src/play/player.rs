//! Playing one scenario, step by step, to its end or to the first step that is not as expected.

use super::PlayError;
use super::file::{Scenario, Step};
use super::report::{Report, Verdict};
use super::stage::{Setting, Stage};
use super::verb::Happened;
use diptych::cha::Who;
use diptych::unit::HistoryEntry;

/// Plays it. Returns what it came to; errors are of the environment and of the file.
pub(crate) fn play(
    scenario: &Scenario,
    setting: &Setting,
    check: bool,
    report: &mut Report<'_>,
) -> Result<Verdict, PlayError> {
    let mut stage = Stage::new(scenario, setting).map_err(|source| match source {
        PlayError::Unit(_) => {
            PlayError::SetUp { path: scenario.path.clone(), source: Box::new(source) }
        }
        other => other,
    })?;
    report.begins(scenario, setting)?;
    // How the volumes came to be is no part of it.
    stage.take_history(Vec::new());
    let mut tally = Tally { history_next: stage.history(0, Vec::new()).next, ..Tally::default() };
    for step in &scenario.steps {
        let verdict = play_step(&mut stage, scenario, step, check, &mut tally, report)?;
        if verdict != Verdict::Held {
            report.ends(scenario, &tally, stage.now(), verdict)?;
            return Ok(verdict);
        }
    }
    let wrong = match what_is_left(&mut stage, scenario) {
        Err(error) if error.exit_code() == 1 => Some(error.to_string()),
        left => left?,
    };
    let verdict = match wrong {
        Some(wrong) => {
            report.wrong_at_the_end(scenario, &wrong)?;
            Verdict::Failed
        }
        None => Verdict::Held,
    };
    report.ends(scenario, &tally, stage.now(), verdict)?;
    Ok(verdict)
}

/// What was played so far.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) steps: usize,
    /// Comparisons with what was expected.
    pub(crate) compared: usize,
    /// The first entry of the history that was not reported.
    history_next: u64,
}

fn play_step(
    stage: &mut Stage,
    scenario: &Scenario,
    step: &Step,
    check: bool,
    tally: &mut Tally,
    report: &mut Report<'_>,
) -> Result<Verdict, PlayError> {
    let began = stage.now();
    tally.steps += 1;
    let happened = match step.act.carry_out(stage) {
        Ok(happened) => happened,
        Err(error) if error.exit_code() == 1 => {
            report.stopped(scenario, step, &error)?;
            return Ok(Verdict::Failed);
        }
        Err(error) => {
            let (path, line) = (scenario.path.clone(), step.line);
            return Err(PlayError::Step { path, line, source: Box::new(error) });
        }
    };
    let happened = compared(step, happened);
    tally.compared += happened.compared;
    report.step(scenario, step, began, stage.now(), &happened)?;
    for entry in new_history(stage, tally) {
        report.event(scenario, &entry)?;
    }
    if check && !happened.differences.is_empty() {
        report.differs(scenario, step, &happened.differences)?;
        return Ok(Verdict::Failed);
    }
    Ok(Verdict::Held)
}

/// Compares the answer too.
fn compared(step: &Step, mut happened: Happened) -> Happened {
    if let (Some(answer), Some(expect)) = (&happened.answer, &step.expect) {
        let difference = expect.difference(answer);
        // What it was answered comes first: the rest follows from it.
        if difference.is_some() {
            happened.differences.clear();
        }
        happened.compare(difference);
    }
    happened
}

/// What nobody asked for in a step: what the unit did of itself, and what its schedules did.
fn new_history(stage: &Stage, tally: &mut Tally) -> Vec<HistoryEntry> {
    let page = stage.history(tally.history_next, Vec::new());
    tally.history_next = page.next;
    let by_step = |entry: &HistoryEntry| matches!(entry.who, Who::Host | Who::Operator);
    page.entries.into_iter().filter(|entry| !by_step(entry)).collect()
}

/// What must hold at the end of every scenario: nobody waits, and every stored block verifies.
fn what_is_left(stage: &mut Stage, scenario: &Scenario) -> Result<Option<String>, PlayError> {
    for name in stage.loads.keys().cloned().collect::<Vec<_>>() {
        stage.stop_load(&name)?;
    }
    stage.end_schedules();
    stage.settle()?;
    let stuck = stage.stuck_jobs();
    if stuck > 0 {
        return Ok(Some(format!("{stuck} jobs wait for ever")));
    }
    if stage.faulty {
        return Ok(None);
    }
    for volume in scenario.volumes.iter().filter(|volume| !volume.metadata) {
        let (ldev, found) = (volume.ldev, stage.verify(volume.ldev)?);
        if found.bad_blocks + found.unreadable_tracks > 0 {
            return Ok(Some(format!(
                "{} blocks of volume {ldev} have a wrong LA or CD on the drive, {} tracks cannot be \
                 read",
                found.bad_blocks, found.unreadable_tracks
            )));
        }
    }
    Ok(None)
}
