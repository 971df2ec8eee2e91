//! Effects on their way: queued on their resources, performed, joined.

use crate::agenda::{Agenda, Event as Planned};
use crate::servers::Servers;
use crate::slab::Slab;
use crate::task::Task;
use crate::trace::{Trace, Traced};
use crate::{Costs, Perform, ResourceUse, SimConfig, SplitMix64};
use diptych_format::{OwnerId, Resource, Time, Work};
use diptych_unit::{Effect, Event, Plant, Reply};

/// One effect of a batch.
#[derive(Debug)]
struct Part {
    state: State,
    resource: Resource,
    /// The delays of its resource that its end was planned with.
    slipped_ns: u64,
}

/// How far an effect is.
#[derive(Debug)]
enum State {
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
            context.trace.record(context.now, owner, || Traced::Asks {
                resource: work.resource,
                bytes: work.bytes,
                is_write: work.is_write,
                start: turn.start,
                end: turn.end,
            });
            let slipped_ns = self.servers.slipped_ns(work.resource);
            let state = self.perform_or_put_off(owner, effect, work, &mut context);
            let end = match self.delay_of(work.resource) {
                0 => turn.end,
                delay_ns => self.servers.delay_last(work.resource, delay_ns),
            };
            context.agenda.plan(end, Planned::Effect { place, index });
            parts.push(Part { state, resource: work.resource, slipped_ns });
        }
        self.batches.get_mut(place).parts = parts;
        None
    }

    /// How much longer than planned the requests to a drive took that were performed just now.
    fn delay_of(&self, resource: Resource) -> u64 {
        match resource {
            Resource::Drive(drive) => self.plant.drives().take_delay_ns(drive),
            Resource::Drr(_) | Resource::Log => 0,
        }
    }

    fn perform_or_put_off(
        &mut self,
        owner: OwnerId,
        effect: Effect,
        work: Work,
        context: &mut Context<'_>,
    ) -> State {
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
        State::Queued(effect, work)
    }

    fn perform(
        &self,
        owner: OwnerId,
        effect: Effect,
        work: Work,
        context: &mut Context<'_>,
    ) -> State {
        context.trace.record(context.now, owner, || Traced::Performed(work.resource));
        State::Performed(self.plant.perform(effect))
    }

    /// A resource is done with an effect, if it took no longer than planned. Gives the task back,
    /// answered, if it was the last of its batch (join).
    pub(crate) fn complete(
        &mut self,
        place: u32,
        index: u32,
        mut context: Context<'_>,
    ) -> Option<Task> {
        if let Some(end) = self.not_yet(place, index, context.now) {
            context.agenda.plan(end, Planned::Effect { place, index });
            return None;
        }
        let batch = self.batches.get_mut(place);
        let part = &mut batch.parts[index as usize];
        if matches!(part.state, State::Queued(..)) {
            let (owner, resource) = (batch.task.owner(), part.resource);
            let State::Queued(effect, work) = std::mem::replace(&mut part.state, State::Taken)
            else {
                unreachable!("it was just matched")
            };
            if self.perform == Perform::Seeded {
                self.servers.caught_up(&work);
            }
            let performed = self.perform(owner, effect, work, &mut context);
            self.batches.get_mut(place).parts[index as usize].state = performed;
            let delay_ns = self.delay_of(resource);
            if delay_ns > 0 {
                self.servers.delay_first(resource, delay_ns);
                return self.complete(place, index, context);
            }
        }
        let batch = self.batches.get_mut(place);
        batch.left -= 1;
        if batch.left > 0 {
            return None;
        }
        let Batch { mut task, mut parts, .. } = self.batches.remove(place);
        let event = |part: Part| match part.state {
            State::Performed(event) => event,
            State::Queued(..) | State::Taken => panic!("a batch ends when all of it is performed"),
        };
        task.answer(Reply::Events(parts.drain(..).map(event).collect()));
        self.spare.push(parts);
        Some(task)
    }

    /// When the resource will be done with an effect, if it was delayed since that was planned.
    fn not_yet(&mut self, place: u32, index: u32, now: Time) -> Option<Time> {
        let part = &mut self.batches.get_mut(place).parts[index as usize];
        let slipped_ns = self.servers.slipped_ns(part.resource);
        let later_ns = slipped_ns - std::mem::replace(&mut part.slipped_ns, slipped_ns);
        (later_ns > 0).then(|| now + later_ns)
    }
}
