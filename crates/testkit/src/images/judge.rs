//! A unit comes back on an image, and is held against what it may be.

use super::cut::{Image, Moment, Plan, images};
use super::record::{LOG_CONFIG, Recording, hardware};
use super::tape::{Event, Tape, TapeDrive};
use crate::checker::{check_copies_ended, check_stored};
use crate::{ByHand, Choices, Model, Tag, UnderWay, Violation};
use diptych_format::LdevId;
use diptych_sync::Arc;
use diptych_unit::{Durability, Opened, Unit, UnitError};
use std::cell::RefCell;

/// What stands for the data of a block whose code does not hold: nobody has written it.
const TORN: Tag = Tag(u64::MAX);

/// Why an image is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WrongImage {
    /// The unit does not come back.
    #[error("the unit does not come back: {0}")]
    Lost(UnitError),
    /// It comes back otherwise than it may.
    #[error("what came back is nothing that was answered: {0}")]
    Other(Violation),
    /// What came back breaks an invariant, whatever was answered.
    #[error(transparent)]
    Broken(#[from] Violation),
}

/// Which steps have to be there, and which may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Bounds {
    /// Steps before this one are there whole.
    step: usize,
    /// And these operations of it, as bits.
    ops: u32,
    /// The last step that was sent.
    last: usize,
    sent: bool,
}

impl Bounds {
    /// What a moment asks for.
    pub(super) fn at(recording: &Recording, moment: Moment) -> Self {
        let battery = recording.shape.config.durability == Durability::Battery;
        let mut bounds = Self { step: 0, ops: 0, last: 0, sent: false };
        for event in &recording.events[..moment.events] {
            match *event {
                Event::Sent { step } => (bounds.last, bounds.sent) = (step, true),
                Event::Answered { step, op } => {
                    let (durable, in_log) =
                        (recording.steps[step].durable[op], recording.steps[step].in_log[op]);
                    if durable || in_log && (battery || moment.all_written) {
                        if bounds.step != step {
                            (bounds.step, bounds.ops) = (step, 0);
                        }
                        bounds.ops |= 1 << op;
                    }
                }
                Event::Ended { step } => {
                    let ops = recording.steps[step].ops.len();
                    if bounds.step == step && bounds.ops.count_ones() as usize == ops && ops > 0 {
                        (bounds.step, bounds.ops) = (step + 1, 0);
                    }
                }
                Event::Write(_) | Event::Flush { .. } => {}
            }
        }
        bounds
    }

    /// All that the model may be, with what may be under way.
    fn candidates(self, recording: &Recording) -> Vec<(&Model, Option<UnderWay>)> {
        let mut found: Vec<(&Model, Option<UnderWay>)> = Vec::new();
        let end = if self.sent { self.last + 1 } else { 0 };
        for step in (self.step..end).rev() {
            found.extend(recording.steps[step].after.iter().map(|model| (model, None)));
            let required = if step == self.step { self.ops } else { 0 };
            let some = recording.steps[step].during.iter();
            let some = some.filter(|(done, _)| done & required == required);
            found.extend(some.map(|(done, model)| (model, recording.under_way(step, *done))));
            if required == 0 {
                let under_way = recording.under_way(step, 0);
                found.extend(recording.before(step).iter().map(|model| (model, under_way)));
            }
        }
        if self.step >= end {
            found.extend(recording.before(self.step).iter().map(|model| (model, None)));
        }
        found
    }
}

impl Recording {
    /// What the model may be before a step.
    fn before(&self, step: usize) -> &[Model] {
        match step.checked_sub(1) {
            Some(before) => &self.steps[before].after,
            None => std::slice::from_ref(&self.start),
        }
    }
}

/// How far to go with an image.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth {
    /// Everything that is under way goes on to its end, and is looked at again.
    pub(super) to_the_end: bool,
    /// The power goes again while the unit comes back: so many subsets at each flush, if any.
    pub(super) again: u64,
}

/// Opens a unit on an image and checks it. Returns how many images of second cuts were checked.
pub(super) fn judge(
    recording: &Recording,
    image: Image,
    bounds: Bounds,
    depth: Depth,
    seed: u64,
) -> Result<u64, WrongImage> {
    let tape = (depth.again > 0).then(|| Arc::new(Tape::default()));
    let before = tape.is_some().then(|| image.clone());
    let mut back = Back::open(recording, image, tape.clone(), seed)?;
    back.check(recording, bounds, depth.to_the_end)?;
    let (Some(tape), Some(before)) = (tape, before) else { return Ok(0) };
    let plan =
        Plan { subsets_max: depth.again, lying: None, log_drive: recording.shape.log_drive() };
    let mut choices = Choices::from_seed(seed);
    let mut count = 0_u64;
    images(&before, &tape.take(), &plan, &mut choices, |image, _| {
        count += 1;
        let mut back = Back::open(recording, image, None, seed)?;
        back.check(recording, bounds, count.is_multiple_of(8))
    })?;
    Ok(count)
}

/// A unit that came back.
struct Back {
    hand: ByHand,
    choices: Choices,
}

impl Back {
    fn open(
        recording: &Recording,
        image: Image,
        tape: Option<Arc<Tape>>,
        seed: u64,
    ) -> Result<Self, WrongImage> {
        let new = |(no, bytes)| Arc::new(TapeDrive::new(no, bytes, tape.clone()));
        let drives: Vec<Arc<TapeDrive>> = image.drives.into_iter().enumerate().map(new).collect();
        let (volumes, log) = hardware(&recording.shape, &drives);
        let mut config = recording.shape.config.clone();
        // What is dirty goes to its drive as soon as it may.
        config.destage_delay_ns = 0;
        let opened = Unit::open(config, volumes, log, LOG_CONFIG).map_err(WrongImage::Lost)?;
        let Opened { unit, plant, .. } = opened;
        Ok(Self { hand: ByHand::new(unit, plant), choices: Choices::from_seed(seed) })
    }

    fn check(
        &mut self,
        recording: &Recording,
        bounds: Bounds,
        to_the_end: bool,
    ) -> Result<(), WrongImage> {
        let mut wrong = None;
        let pairs = self.hand.unit().pairs();
        let mut models = Vec::new();
        for (model, under_way) in bounds.candidates(recording) {
            let mut model = model.clone();
            match model.observe(&pairs, under_way) {
                Ok(()) => models.push(model),
                Err(violation) => drop(wrong.get_or_insert(violation)),
            }
        }
        self.hand.start_due();
        self.hand.drain(&mut self.choices)?;
        if self.hand.unit().cache_counts().dirty_slots == 0 {
            self.compare(&mut models, &mut wrong)?;
        }
        if to_the_end || models.is_empty() {
            self.hand.settle(&mut self.choices)?;
            self.compare(&mut models, &mut wrong)?;
            check_copies_ended(self.hand.unit(), true)?;
            self.hand.check_room()?;
        }
        match wrong {
            Some(violation) if models.is_empty() => Err(WrongImage::Other(violation)),
            _ => Ok(()),
        }
    }

    /// Keeps the models that the unit may be.
    fn compare(
        &self,
        models: &mut Vec<Model>,
        wrong: &mut Option<Violation>,
    ) -> Result<(), WrongImage> {
        let unit = self.hand.unit();
        let (pairs, volumes) = (unit.pairs(), unit.volumes());
        // What a copy was just writing may be torn; whether it is that the model says.
        let torn = RefCell::new(Vec::new());
        let undefined = |ldev, block| {
            torn.borrow_mut().push((ldev, block));
            true
        };
        let stored = check_stored(unit, self.hand.plant(), &undefined)?;
        let mut tags = Vec::new();
        for (ldev, stored) in &stored {
            let mut found = stored.tags(*ldev)?;
            for (_, block) in torn.borrow().iter().filter(|(of, _)| of == ldev) {
                found[block.0 as usize] = TORN;
            }
            tags.push((*ldev, found));
        }
        models.retain_mut(|model| {
            let fits = model
                .observe(&pairs, None)
                .and_then(|()| model.observe_volumes(&volumes))
                .and_then(|()| fits_stored(model, &tags));
            fits.map_err(|violation| *wrong = Some(violation)).is_ok()
        });
        Ok(())
    }
}

fn fits_stored(model: &mut Model, tags: &[(LdevId, Vec<Tag>)]) -> Result<(), Violation> {
    tags.iter().try_for_each(|(ldev, tags)| model.compare_stored(*ldev, tags))
}
