//! What is printed: lines for people, or JSON lines.

use super::PlayError;
use super::file::{Scenario, Step};
use super::player::Tally;
use super::stage::Setting;
use super::verb::Happened;
use super::words::UtcWord;
use diptych::format::Time;
use diptych::unit::{HistoryEntry, Utc};
use serde_json::json;
use std::io::Write;

/// Columns before what a step was answered.
const WHAT_WIDTH: usize = 52;

/// What a scenario came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It was played to its end, and what was compared is as expected.
    Held,
    /// Something is not as expected, or a step never ended.
    Failed,
}

/// How it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// Every step.
    Steps,
    /// A line a scenario, and what differs.
    Verdicts,
    /// Every step, and the verdict.
    Both,
    /// JSON lines.
    Json,
}

/// The report of all scenarios.
pub(crate) struct Report<'a> {
    out: &'a mut dyn Write,
    style: Style,
    time: &'static str,
    /// The civil time at the start, if the scenario goes by it.
    start: Option<Utc>,
}

impl<'a> Report<'a> {
    pub(crate) fn new(out: &'a mut dyn Write, style: Style) -> Self {
        Self { out, style, time: "", start: None }
    }

    fn shows_steps(&self) -> bool {
        matches!(self.style, Style::Steps | Style::Both)
    }

    fn shows_verdicts(&self) -> bool {
        matches!(self.style, Style::Verdicts | Style::Both)
    }

    /// An instant, as it is shown before what happened at it.
    fn instant(&self, at: Time) -> String {
        match self.start {
            None => format!("{:>12}", at.to_string()),
            Some(Utc { seconds }) => {
                let since = i64::try_from(at.ns / 1_000_000_000).unwrap_or(i64::MAX);
                Utc::from_seconds(seconds.saturating_add(since)).to_string()
            }
        }
    }

    fn line(&mut self, line: &str) -> Result<(), PlayError> {
        writeln!(self.out, "{line}").map_err(PlayError::Report)
    }

    fn json(&mut self, line: &serde_json::Value) -> Result<(), PlayError> {
        self.line(&line.to_string())
    }

    pub(crate) fn begins(
        &mut self,
        scenario: &Scenario,
        setting: &Setting,
    ) -> Result<(), PlayError> {
        self.time = setting.time.name();
        self.start = scenario.unit.start.map(|UtcWord(start)| start);
        if !self.shows_steps() {
            return Ok(());
        }
        let (title, time) = (&scenario.title, self.time);
        self.line(&format!("{title}\n{}, {time} time", scenario.path.display()))?;
        if let Some(about) = &scenario.about {
            for line in about.trim().lines() {
                self.line(&format!("  {line}"))?;
            }
        }
        self.line("")
    }

    pub(crate) fn step(
        &mut self,
        scenario: &Scenario,
        step: &Step,
        began: Time,
        ended: Time,
        happened: &Happened,
    ) -> Result<(), PlayError> {
        let answer = happened.answer.as_ref().map(ToString::to_string);
        if self.style == Style::Json {
            return self.json(&json!({
                "scenario": scenario.path, "kind": "step", "step": step.no, "line": step.line,
                "verb": step.verb, "what": step.act.to_string(), "note": step.note,
                "began_ns": began.ns, "ended_ns": ended.ns, "answer": answer,
                "found": happened.found, "compared": happened.compared,
                "differences": happened.differences,
            }));
        }
        if !self.shows_steps() {
            return Ok(());
        }
        if let Some(note) = &step.note {
            self.line(&format!("{:17}# {note}", ""))?;
        }
        let came_to = match answer {
            Some(answer) if happened.found.is_empty() => answer,
            Some(answer) => format!("{answer}, {}", happened.found),
            None => happened.found.clone(),
        };
        let line = format!(
            "{} {:>3} {:<WHAT_WIDTH$} {came_to}",
            self.instant(began),
            step.no,
            step.act.to_string()
        );
        self.line(line.trim_end())?;
        // With --check they are named with the place in the file.
        if self.style == Style::Steps {
            for difference in &happened.differences {
                self.line(&format!("{:17}not as expected: {difference}", ""))?;
            }
        }
        Ok(())
    }

    /// The unit did something of itself.
    pub(crate) fn event(
        &mut self,
        scenario: &Scenario,
        entry: &HistoryEntry,
    ) -> Result<(), PlayError> {
        if self.style == Style::Json {
            return self.json(&json!({
                "scenario": scenario.path, "kind": "event", "entry": entry,
            }));
        }
        if !self.shows_steps() {
            return Ok(());
        }
        let at = entry.at.to_string();
        let text = entry.to_string();
        let text = text.strip_prefix(&at).unwrap_or(&text);
        self.line(&format!("{}   .{text}", self.instant(entry.at)))
    }

    /// A step is not as expected.
    pub(crate) fn differs(
        &mut self,
        scenario: &Scenario,
        step: &Step,
        differences: &[String],
    ) -> Result<(), PlayError> {
        differences.iter().try_for_each(|difference| self.wrong(scenario, step, difference))
    }

    /// A step did not end.
    pub(crate) fn stopped(
        &mut self,
        scenario: &Scenario,
        step: &Step,
        error: &PlayError,
    ) -> Result<(), PlayError> {
        self.wrong(scenario, step, &error.to_string())
    }

    fn wrong(&mut self, scenario: &Scenario, step: &Step, what: &str) -> Result<(), PlayError> {
        let (path, Step { no, line, act, .. }) = (scenario.path.display(), step);
        match self.style {
            Style::Json => self.json(&json!({
                "scenario": scenario.path, "kind": "failure", "step": no, "line": line,
                "what": act.to_string(), "text": what,
            })),
            _ => self.line(&format!("{path}:{line}: step {no}, {act}: {what}")),
        }
    }

    /// What must always hold does not.
    pub(crate) fn wrong_at_the_end(
        &mut self,
        scenario: &Scenario,
        what: &str,
    ) -> Result<(), PlayError> {
        match self.style {
            Style::Json => self.json(&json!({
                "scenario": scenario.path, "kind": "failure", "text": what,
            })),
            _ => self.line(&format!("{}: at the end: {what}", scenario.path.display())),
        }
    }

    pub(crate) fn ends(
        &mut self,
        scenario: &Scenario,
        tally: &Tally,
        now: Time,
        verdict: Verdict,
    ) -> Result<(), PlayError> {
        let Tally { steps, compared, .. } = tally;
        if self.style == Style::Json {
            return self.json(&json!({
                "scenario": scenario.path, "kind": "end", "title": scenario.title,
                "time": self.time, "steps": steps, "compared": compared, "now_ns": now.ns,
                "held": verdict == Verdict::Held,
            }));
        }
        if self.shows_steps() {
            self.line("")?;
        }
        if !self.shows_verdicts() {
            return Ok(());
        }
        let word = match verdict {
            Verdict::Held => "ok",
            Verdict::Failed => "FAILED",
        };
        let (path, time) = (scenario.path.display(), self.time);
        self.line(&format!(
            "{word:<6} {path}: {steps} steps, {compared} expectations, {now} s of {time} time"
        ))
    }

    /// The last line of a check of several scenarios.
    pub(crate) fn sums_up(&mut self, played: usize, failed: usize) -> Result<(), PlayError> {
        if !self.shows_verdicts() || played < 2 {
            return Ok(());
        }
        self.line(&match failed {
            0 => format!("{played} scenarios, all as expected"),
            _ => format!("{played} scenarios, {failed} failed"),
        })
    }
}
