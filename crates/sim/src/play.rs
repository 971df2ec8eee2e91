//! Playing a scenario.

use crate::{RequestNo, Scenario, ScenarioStep, ScenarioVolume, Seen, Sim, SimError};
use diptych_cha::{HostOp, HostReply};
use diptych_format::{BlockRange, Geometry, LdevId, Time, TrackRange};
use diptych_unit::{Plant, Unit};
use std::collections::{BTreeMap, VecDeque};

/// The most requests under way at once; before one more the oldest is waited for.
const UNDER_WAY_MAX: usize = 16;

/// What plays scenarios: anything that drives a control unit.
pub trait Driver {
    /// The unit that is driven.
    fn unit(&self) -> &Unit;

    /// The hardware below it.
    fn plant(&self) -> &Plant;

    /// The driver's time.
    fn now(&self) -> Time;

    /// Begins a host operation now.
    ///
    /// # Errors
    ///
    /// If too many are under way.
    fn start(&mut self, op: HostOp) -> Result<RequestNo, SimError>;

    /// Waits for the answer to a host operation, which is asked for once.
    ///
    /// # Errors
    ///
    /// If there will be none.
    fn finish(&mut self, request: RequestNo) -> Result<HostReply, SimError>;

    /// Waits until nothing is left to do.
    fn settle(&mut self);

    /// Waits until `is_so` of the unit, at most until `deadline`. `false` if it is not so then, or
    /// nothing is left to do and it is not so.
    fn wait_until(&mut self, deadline: Time, is_so: &mut dyn FnMut(&Unit) -> bool) -> bool;

    /// Lets time go on by `ns` nanoseconds, and everything happen that happens meanwhile.
    fn pass(&mut self, ns: u64);
}

impl Driver for Sim {
    fn now(&self) -> Time {
        self.now()
    }

    fn unit(&self) -> &Unit {
        self.unit()
    }

    fn plant(&self) -> &Plant {
        self.plant()
    }

    fn start(&mut self, op: HostOp) -> Result<RequestNo, SimError> {
        self.submit(self.now(), op)
    }

    fn finish(&mut self, request: RequestNo) -> Result<HostReply, SimError> {
        loop {
            if let Some(answered) = self.take_answer(request) {
                return Ok(answered.reply);
            }
            if !self.advance() {
                return Err(SimError::NeverAnswered { request });
            }
        }
    }

    fn settle(&mut self) {
        self.run_to_end();
    }

    fn wait_until(&mut self, deadline: Time, is_so: &mut dyn FnMut(&Unit) -> bool) -> bool {
        loop {
            if is_so(self.unit()) {
                return true;
            }
            if !self.advance_until(deadline) {
                return false;
            }
        }
    }

    fn pass(&mut self, ns: u64) {
        self.run_until(self.now() + ns);
    }
}

/// A request under way, and what it touches.
struct UnderWay {
    step_no: usize,
    request: RequestNo,
    ldev: LdevId,
    /// `None`: all of the volume, as a flush.
    tracks: Option<TrackRange>,
    changes: bool,
}

struct Player<'a, D> {
    driver: &'a mut D,
    geometries: BTreeMap<LdevId, Geometry>,
    under_way: VecDeque<UnderWay>,
    answers: Vec<Option<HostReply>>,
}

/// Makes the volumes, does the steps in their order and waits for all answers. Gives back the answer
/// to each step that is a host operation.
///
/// # Errors
///
/// If the unit cannot be set up so, a request is never answered, or a pair never comes to the status
/// that is waited for.
pub fn play<D: Driver>(
    driver: &mut D,
    scenario: &Scenario,
) -> Result<Vec<Option<HostReply>>, SimError> {
    let geometries = scenario.volumes.iter().map(|v| (v.ldev, v.geometry)).collect();
    for volume in &scenario.volumes {
        add(driver.unit(), volume)?;
    }
    let answers = vec![None; scenario.steps.len()];
    let mut player = Player { driver, geometries, under_way: VecDeque::new(), answers };
    for (step_no, step) in scenario.steps.iter().enumerate() {
        player.step(step_no, step)?;
    }
    player.finish_all()?;
    Ok(player.answers)
}

fn add(unit: &Unit, volume: &ScenarioVolume) -> Result<(), SimError> {
    match volume.group_no {
        Some(group_no) => unit.add_volume(volume.ldev, volume.geometry, group_no)?,
        None => unit.add_metadata_volume(volume.ldev, volume.geometry)?,
    }
    if volume.reserved {
        unit.set_reserved(volume.ldev, true, Time::ZERO)?;
    }
    Ok(())
}

impl<D: Driver> Player<'_, D> {
    fn step(&mut self, step_no: usize, step: &ScenarioStep) -> Result<(), SimError> {
        match *step {
            ScenarioStep::Write { ldev, blocks, .. } | ScenarioStep::Unmap { ldev, blocks } => {
                self.start(step_no, step, ldev, Some(blocks), true)
            }
            ScenarioStep::Read { ldev, blocks } => {
                self.start(step_no, step, ldev, Some(blocks), false)
            }
            ScenarioStep::Flush { ldev } => self.start(step_no, step, ldev, None, false),
            ScenarioStep::Command(_) => {
                self.finish_all()?;
                let op = step.op().expect("a command is a host operation");
                let request = self.driver.start(op)?;
                self.answers[step_no] = Some(self.driver.finish(request)?);
                Ok(())
            }
            ScenarioStep::ChangePace { primary, secondary, options } => {
                self.finish_all()?;
                Ok(self.driver.unit().change_pace(
                    primary,
                    secondary,
                    options,
                    self.driver.now(),
                )?)
            }
            ScenarioStep::WaitPair { primary, secondary, status } => {
                self.finish_all()?;
                let of = |unit: &Unit| unit.pair(primary, secondary).map(|pair| pair.status);
                if self.driver.wait_until(Time::MAX, &mut |unit| of(unit) == status) {
                    return Ok(());
                }
                let (wanted, found) = (Seen(status), Seen(of(self.driver.unit())));
                Err(SimError::NeverReached { step_no, primary, secondary, wanted, found })
            }
            ScenarioStep::Settle => {
                self.finish_all()?;
                self.driver.settle();
                Ok(())
            }
        }
    }

    fn start(
        &mut self,
        step_no: usize,
        step: &ScenarioStep,
        ldev: LdevId,
        blocks: Option<BlockRange>,
        changes: bool,
    ) -> Result<(), SimError> {
        let geometry = self.geometries.get(&ldev);
        let tracks = blocks.and_then(|blocks| geometry.map(|g| g.tracks_of(blocks)));
        let next = UnderWay { step_no, request: RequestNo(0), ldev, tracks, changes };
        while self.under_way.len() >= UNDER_WAY_MAX
            || self.under_way.iter().any(|other| in_conflict(other, &next))
        {
            self.finish_oldest()?;
        }
        let request = self.driver.start(step.op().expect("a host operation"))?;
        self.under_way.push_back(UnderWay { request, ..next });
        Ok(())
    }

    fn finish_oldest(&mut self) -> Result<(), SimError> {
        if let Some(oldest) = self.under_way.pop_front() {
            self.answers[oldest.step_no] = Some(self.driver.finish(oldest.request)?);
        }
        Ok(())
    }

    fn finish_all(&mut self) -> Result<(), SimError> {
        while !self.under_way.is_empty() {
            self.finish_oldest()?;
        }
        Ok(())
    }
}

/// Whether the order of two requests makes a difference.
fn in_conflict(a: &UnderWay, b: &UnderWay) -> bool {
    let meet = match (a.tracks, b.tracks) {
        (Some(a), Some(b)) => a.overlaps(b),
        _ => true,
    };
    a.ldev == b.ldev && (a.changes || b.changes) && meet
}
