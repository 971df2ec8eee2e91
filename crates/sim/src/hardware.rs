//! Effects on their way: queued on their resources, performed, joined.

use crate::agenda::{Agenda, Event as Planned};
use crate::servers::Servers;
use crate::slab::Slab;
use crate::task::Task;
use crate::trace::{Trace, Traced};
use crate::{Costs, Perform, ResourceUse, SimConfig, SplitMix64};
use diptych_format::{OwnerId, Time, Work};
use diptych_unit::{Effect, Event, Plant, Reply};

/// One effect of a batch.
#[derive(Debug)]
enum Part {
    /// Queued and not performed: dropped here, it never happens.
    Queued(Effect, Work),
    /// Performed, and its resource is still busy with it or it waits for the others of its batch.
    Performed(Event),
    /// Between two states.
    Taken,
}

/// What a job asked for in one step, and the job.
#[derive(Debug)]
struct Batch {
    task: Task,
    parts: Vec<Part>,
    /// Effects whose resource is not done with them.
    left: usize,
}

/// The hardware in virtual time.
#[derive(Debug)]
pub(crate) struct Hardware {
    plant: Plant,
    costs: Costs,
    perform: Perform,
    servers: Servers,
    batches: Slab<Batch>,
    /// Emptied vectors, for the batches to come.
    spare: Vec<Vec<Part>>,
}

/// What the hardware needs of the driver for one call.
pub(crate) struct Context<'a> {
    pub(crate) now: Time,
    pub(crate) agenda: &'a mut Agenda,
    pub(crate) random: &'a mut SplitMix64,
    pub(crate) trace: &'a mut Trace,
}

impl Hardware {
    pub(crate) fn new(plant: Plant, config: &SimConfig) -> Self {
        let servers = Servers::new(plant.drives().list().map(|(drive, _, _)| drive));
        Self {
            plant,
            costs: config.costs,
            perform: config.perform,
            servers,
            batches: Slab::new(),
            spare: Vec::new(),
        }
    }

    pub(crate) fn plant(&self) -> &Plant {
        &self.plant
    }

    /// The hardware as it stands: what is queued and not performed never happens.
    pub(crate) fn into_plant(self) -> Plant {
        self.plant
    }

    pub(crate) fn used(&self) -> Vec<ResourceUse> {
        self.servers.used()
    }

    /// Jobs that wait for effects.
    pub(crate) fn busy_jobs(&self) -> usize {
        self.batches.len()
    }

    /// Queues each effect on its resource (fork). Gives the task back if there is none to wait for.
    pub(crate) fn submit(
        &mut self,
        mut task: Task,
        effects: Vec<Effect>,
        mut context: Context<'_>,
    ) -> Option<Task> {
        if effects.is_empty() {
            task.answer(Reply::Events(Vec::new()));
            return Some(task);
        }
        let owner = task.owner();
        let mut parts = self.spare.pop().unwrap_or_default();
        let left = effects.len();
        // The place is known before the effects are queued: their events name it.
        let place = self.batches.insert(Batch { task, parts: Vec::new(), left });
        for (index, effect) in effects.into_iter().enumerate() {
            let work = self.plant.work(&effect);
            let turn = self.servers.queue(&work, self.costs.of(&work), context.now);
            let index = u32::try_from(index).expect("fewer than 2^32 effects in a batch");
            context.agenda.plan(turn.end, Planned::Effect { place, index });
            context.trace.record(context.now, owner, || Traced::Asks {
                resource: work.resource,
                bytes: work.bytes,
                is_write: work.is_write,
                start: turn.start,
                end: turn.end,
            });
            parts.push(self.perform_or_put_off(owner, effect, work, &mut context));
        }
        self.batches.get_mut(place).parts = parts;
        None
    }

    fn perform_or_put_off(
        &mut self,
        owner: OwnerId,
        effect: Effect,
        work: Work,
        context: &mut Context<'_>,
    ) -> Part {
        let at_once = match self.perform {
            Perform::AtSubmit => true,
            Perform::AtCompletion => false,
            Perform::Seeded => context.random.flip() && !self.servers.is_behind(&work),
        };
        if at_once {
            return self.perform(owner, effect, work, context);
        }
        if self.perform == Perform::Seeded {
            self.servers.put_off(&work);
        }
        Part::Queued(effect, work)
    }

    fn perform(
        &self,
        owner: OwnerId,
        effect: Effect,
        work: Work,
        context: &mut Context<'_>,
    ) -> Part {
        context.trace.record(context.now, owner, || Traced::Performed(work.resource));
        Part::Performed(self.plant.perform(effect))
    }

    /// A resource is done with an effect. Gives the task back, answered, if it was the last of its
    /// batch (join).
    pub(crate) fn complete(
        &mut self,
        place: u32,
        index: u32,
        mut context: Context<'_>,
    ) -> Option<Task> {
        let batch = self.batches.get_mut(place);
        batch.left -= 1;
        let left = batch.left;
        let part = &mut batch.parts[index as usize];
        if matches!(part, Part::Queued(..)) {
            let owner = batch.task.owner();
            let Part::Queued(effect, work) = std::mem::replace(part, Part::Taken) else {
                unreachable!("it was just matched")
            };
            if self.perform == Perform::Seeded {
                self.servers.caught_up(&work);
            }
            let performed = self.perform(owner, effect, work, &mut context);
            self.batches.get_mut(place).parts[index as usize] = performed;
        }
        if left > 0 {
            return None;
        }
        let Batch { mut task, mut parts, .. } = self.batches.remove(place);
        let event = |part| match part {
            Part::Performed(event) => event,
            Part::Queued(..) | Part::Taken => panic!("a batch ends when all of it is performed"),
        };
        task.answer(Reply::Events(parts.drain(..).map(event).collect()));
        self.spare.push(parts);
        Some(task)
    }
}
