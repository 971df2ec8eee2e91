//! A driver turned by hand: one thread, many jobs in flight, and whoever holds it decides at every
//! step what happens next.

use crate::{Choices, Violation};
use diptych_cha::{HostOp, HostReply};
use diptych_format::{Answer, OwnerId, Step, Time, Wait};
use diptych_unit::{Effect, Event, Job, Plant, Reply, Unit, Wakes};
use std::collections::BTreeMap;

/// Moves after which [`ByHand::settle`] says that there is no end. Far more than any test makes.
const SETTLE_MOVES_MAX: u64 = 1_000_000;

/// Something that can happen next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// A job runs to its next question.
    Step(OwnerId),
    /// One of the effects that a job waits for is performed.
    Perform(OwnerId, usize),
    /// The unit is asked what is due, and the jobs are started.
    Due,
}

/// A driver turned by hand. Nothing happens but by [`ByHand::make`], so a test or a seed reaches
/// every interleaving of jobs at their await points, and each effect of a batch has a moment of its
/// own.
///
/// # Example
///
/// ```
/// use diptych_cha::{HostOp, HostReply};
/// use diptych_format::{BlockNo, BlockRange};
/// use diptych_testkit::{Choices, Setup, Tag, ldev};
///
/// let mut hand = Setup::small().build();
/// let blocks = BlockRange::new(BlockNo(2), 3);
/// let data = Tag(7).data(blocks);
/// let write = hand.start(HostOp::Write { ldev: ldev(0), block: blocks.start, data });
/// while hand.is_running(write) {
///     let moves = hand.moves();
///     hand.make(moves[0]);
/// }
/// assert_eq!(hand.take_reply(write), Some(HostReply::Done));
/// hand.settle(&mut Choices::from_seed(1)).unwrap();
/// assert_eq!(hand.unit().cache_counts().dirty_slots, 0);
/// ```
#[derive(Debug)]
pub struct ByHand {
    unit: Unit,
    plant: Plant,
    now: Time,
    last_owner: u64,
    tasks: BTreeMap<OwnerId, Task>,
    replies: BTreeMap<OwnerId, HostReply>,
    /// A job said that something may be due.
    kicked: bool,
    /// When the unit wants to be asked again.
    deadline: Option<Time>,
    moves_made: u64,
}

#[derive(Debug)]
struct Task {
    body: Body,
    state: State,
}

#[derive(Debug)]
enum Body {
    Host(Job<HostReply>),
    Background(Job<()>),
}

#[derive(Debug)]
enum State {
    Ready,
    /// Effects not performed yet, and the events of the others.
    Effects(Vec<Result<Event, Option<Effect>>>),
    Waits(Wait),
}

impl ByHand {
    /// Drives this unit over this hardware, from time 0.
    pub fn new(unit: Unit, plant: Plant) -> Self {
        Self {
            unit,
            plant,
            now: Time::ZERO,
            last_owner: 0,
            tasks: BTreeMap::new(),
            replies: BTreeMap::new(),
            kicked: false,
            deadline: None,
            moves_made: 0,
        }
    }

    /// The unit.
    pub fn unit(&self) -> &Unit {
        &self.unit
    }

    /// The hardware.
    pub fn plant(&self) -> &Plant {
        &self.plant
    }

    /// The virtual time.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Moves made so far.
    pub fn moves_made(&self) -> u64 {
        self.moves_made
    }

    /// Starts a host operation: its job is ready to be stepped and has done nothing yet.
    pub fn start(&mut self, op: HostOp) -> OwnerId {
        let owner = self.next_owner();
        let body = Body::Host(self.unit.job(owner, op));
        self.tasks.insert(owner, Task { body, state: State::Ready });
        owner
    }

    /// Whether this job has not ended.
    pub fn is_running(&self, id: OwnerId) -> bool {
        self.tasks.contains_key(&id)
    }

    /// Jobs that have not ended: how many.
    pub fn running_count(&self) -> usize {
        self.tasks.len()
    }

    /// What a host operation was answered, once.
    pub fn take_reply(&mut self, id: OwnerId) -> Option<HostReply> {
        self.replies.remove(&id)
    }

    /// Host operations that have ended and whose reply was not taken.
    pub fn ended(&self) -> impl Iterator<Item = OwnerId> + '_ {
        self.replies.keys().copied()
    }

    /// Jobs that wait for room or for a claim, and what for.
    pub fn waiting(&self) -> impl Iterator<Item = (OwnerId, Wait)> + '_ {
        self.tasks.iter().filter_map(|(id, task)| match task.state {
            State::Waits(wait) => Some((*id, wait)),
            State::Ready | State::Effects(_) => None,
        })
    }

    /// All that can happen next.
    pub fn moves(&self) -> Vec<Move> {
        let mut moves = Vec::new();
        for (id, task) in &self.tasks {
            match &task.state {
                State::Ready => moves.push(Move::Step(*id)),
                State::Effects(effects) => {
                    let open = (0..effects.len()).filter(|no| effects[*no].is_err());
                    moves.extend(open.map(|no| Move::Perform(*id, no)));
                }
                State::Waits(_) => {}
            }
        }
        if self.kicked || self.deadline.is_some_and(|at| at <= self.now) {
            moves.push(Move::Due);
        }
        moves
    }

    /// Makes a move.
    ///
    /// # Panics
    ///
    /// If it is not one of [`ByHand::moves`], or the unit breaks an invariant.
    pub fn make(&mut self, one: Move) {
        self.moves_made += 1;
        match one {
            Move::Step(id) => self.step(id),
            Move::Perform(id, no) => self.perform(id, no),
            Move::Due => {
                self.start_due();
            }
        }
    }

    /// Asks the unit what is due and starts it; how many jobs there were.
    ///
    /// # Panics
    ///
    /// If the unit gives two jobs one id.
    pub fn start_due(&mut self) -> usize {
        let last_owner = &mut self.last_owner;
        let due = self.unit.due(self.now, || {
            *last_owner += 1;
            OwnerId(*last_owner)
        });
        self.kicked = false;
        self.deadline = due.next;
        self.pass_on(due.wakes, false);
        let count = due.jobs.len();
        for job in due.jobs {
            let task = Task { body: Body::Background(job), state: State::Ready };
            let before = self.tasks.insert(task.owner(), task);
            assert!(before.is_none(), "two jobs have one id");
        }
        count
    }

    /// Time passes.
    ///
    /// # Panics
    ///
    /// If it would go back.
    pub fn advance(&mut self, to: Time) {
        assert!(to >= self.now, "time does not go back from {} to {to}", self.now);
        self.now = to;
    }

    /// Time passes to the moment at which the unit wants to be asked; `false` if there is none.
    pub fn advance_to_deadline(&mut self) -> bool {
        match self.deadline {
            Some(at) => {
                self.now = self.now.max(at);
                true
            }
            None => false,
        }
    }

    /// Makes one move of those possible, or lets time pass if there is none; `false` if nothing is
    /// left to happen.
    pub fn make_any(&mut self, choices: &mut Choices) -> bool {
        let moves = self.moves();
        if moves.is_empty() {
            return self.advance_to_deadline();
        }
        self.make(moves[choices.one_of(moves.len())]);
        true
    }

    /// Makes up to `most` moves; how many were possible.
    pub fn run_random(&mut self, choices: &mut Choices, most: u64) -> u64 {
        (0..most).take_while(|_| self.make_any(choices)).count() as u64
    }

    /// Runs whatever is under way to its end, without letting time pass: copiers that rest, rest.
    ///
    /// # Errors
    ///
    /// [`Violation::NeverEnds`] (I6).
    pub fn drain(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        self.run_while(choices, |hand| !hand.moves().is_empty())
    }

    /// Lets everything happen that happens up to `to`, which is the time afterwards.
    ///
    /// # Errors
    ///
    /// [`Violation::NeverEnds`] (I6).
    pub fn run_until(&mut self, to: Time, choices: &mut Choices) -> Result<(), Violation> {
        self.drain(choices)?;
        while let Some(at) = self.deadline.filter(|at| *at <= to) {
            self.now = self.now.max(at);
            self.drain(choices)?;
        }
        self.now = self.now.max(to);
        Ok(())
    }

    /// Runs everything to quiet: all jobs to their ends, all copies, all destages. A schedule that
    /// goes on is never quiet: see [`ByHand::run_until`].
    ///
    /// # Errors
    ///
    /// [`Violation::NeverEnds`] if there is no end, or a job waits for what never comes (I6).
    pub fn settle(&mut self, choices: &mut Choices) -> Result<(), Violation> {
        self.run_while(choices, |hand| !hand.moves().is_empty() || hand.deadline.is_some())
    }

    /// Runs a host operation to its end, everything else going on beside it.
    ///
    /// # Errors
    ///
    /// [`Violation::NeverEnds`] if it has none (I6).
    ///
    /// # Panics
    ///
    /// If the unit breaks an invariant that it asserts itself.
    pub fn run(&mut self, op: HostOp, choices: &mut Choices) -> Result<HostReply, Violation> {
        let id = self.start(op);
        let from = self.moves_made;
        while self.is_running(id) {
            if !self.make_any(choices) || self.moves_made - from > SETTLE_MOVES_MAX {
                return Err(self.never_ends(from));
            }
        }
        Ok(self.take_reply(id).expect("a host operation that ended was answered"))
    }

    /// Drops a job where it stands: it gives back all it holds.
    ///
    /// # Panics
    ///
    /// If there is no such job.
    pub fn cancel(&mut self, id: OwnerId) {
        let task = self.tasks.remove(&id).expect("a job under way");
        let (wakes, kick) = match task.body {
            Body::Host(job) => job.cancel(),
            Body::Background(job) => job.cancel(),
        };
        self.pass_on(wakes, kick);
    }

    fn run_while(
        &mut self,
        choices: &mut Choices,
        more: impl Fn(&Self) -> bool,
    ) -> Result<(), Violation> {
        let from = self.moves_made;
        while more(self) {
            self.make_any(choices);
            if self.moves_made - from > SETTLE_MOVES_MAX {
                return Err(self.never_ends(from));
            }
        }
        if self.tasks.is_empty() { Ok(()) } else { Err(self.never_ends(from)) }
    }

    fn never_ends(&self, from: u64) -> Violation {
        Violation::NeverEnds {
            jobs: self.tasks.len(),
            waiting: self.waiting().count(),
            moves: self.moves_made - from,
        }
    }

    fn next_owner(&mut self) -> OwnerId {
        self.last_owner += 1;
        OwnerId(self.last_owner)
    }

    fn step(&mut self, id: OwnerId) {
        let task = self.tasks.get_mut(&id).expect("a job under way");
        assert!(matches!(task.state, State::Ready), "job {id} is not ready: {:?}", task.state);
        let (now, mut reply) = (self.now, None);
        let step = match &mut task.body {
            Body::Host(job) => match job.step(now) {
                Step::Do(effects) => Some(Step::Do(effects)),
                Step::Wait(wait) => Some(Step::Wait(wait)),
                Step::Done(answer) => {
                    reply = Some(answer);
                    None
                }
            },
            Body::Background(job) => match job.step(now) {
                Step::Done(()) => None,
                other => Some(other),
            },
        };
        let (wakes, kick) = task.take_signals();
        match step {
            Some(Step::Do(effects)) if effects.is_empty() => {
                task.answer(Reply::Events(Vec::new()));
            }
            Some(Step::Do(effects)) => {
                let open = effects.into_iter().map(|effect| Err(Some(effect))).collect();
                task.state = State::Effects(open);
            }
            Some(Step::Wait(wait)) => task.state = State::Waits(wait),
            Some(Step::Done(())) => unreachable!("the end of a job is told apart above"),
            None => {
                self.tasks.remove(&id);
            }
        }
        if let Some(reply) = reply {
            self.replies.insert(id, reply);
        }
        self.pass_on(wakes, kick);
    }

    fn perform(&mut self, id: OwnerId, no: usize) {
        let task = self.tasks.get_mut(&id).expect("a job under way");
        let State::Effects(effects) = &mut task.state else {
            panic!("job {id} has no effects to be performed: {:?}", task.state);
        };
        let effect = match &mut effects[no] {
            Err(effect) => effect.take().expect("an effect is taken once"),
            Ok(_) => panic!("effect {no} of job {id} was performed before"),
        };
        effects[no] = Ok(self.plant.perform(effect));
        if effects.iter().all(Result::is_ok) {
            let events = std::mem::take(effects).into_iter().filter_map(Result::ok).collect();
            task.answer(Reply::Events(events));
        }
    }

    fn pass_on(&mut self, wakes: Wakes, kick: bool) {
        self.kicked |= kick;
        for (owner, answer) in wakes {
            // One that was dropped meanwhile is answered in vain.
            let Some(task) = self.tasks.get_mut(&owner) else { continue };
            task.wake(answer);
        }
    }
}

impl Task {
    fn owner(&self) -> OwnerId {
        match &self.body {
            Body::Host(job) => job.owner(),
            Body::Background(job) => job.owner(),
        }
    }

    fn take_signals(&mut self) -> (Wakes, bool) {
        match &mut self.body {
            Body::Host(job) => job.take_signals(),
            Body::Background(job) => job.take_signals(),
        }
    }

    fn answer(&mut self, reply: Reply) {
        match &mut self.body {
            Body::Host(job) => job.answer(reply),
            Body::Background(job) => job.answer(reply),
        }
        self.state = State::Ready;
    }

    fn wake(&mut self, answer: Answer) {
        let owner = self.owner();
        assert!(matches!(self.state, State::Waits(_)), "job {owner} is woken and does not wait");
        self.answer(Reply::Wait(answer));
    }
}
