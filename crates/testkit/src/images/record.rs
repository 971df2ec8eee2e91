//! A small unit runs a random program, and all that its drives are told is recorded.
//!
//! The program is made up as it goes, from a seed, of what makes sense in the status a pair is in. Beside
//! each step stand the states that the model may be in after it: by then, or never.

use super::tape::{Event, Tape, TapeDrive};
use crate::{ByHand, Choices, Model, Tag, UnderWay, Violation, ldev};
use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_device::Device;
use diptych_dka::Drives;
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, Geometry, LdevId, OwnerId};
use diptych_log::{Log, LogConfig, LogId};
use diptych_shared::{Pace, Pair, PairOptions, PairStatus};
use diptych_sync::Arc;
use diptych_unit::{Durability, Plant, Unit, UnitConfig};

/// Sectors of each drive under a volume.
const DRIVE_SECTORS: usize = 24;
/// Sectors of the log's drive.
const LOG_SECTORS: usize = 320;
/// The log's drive, after those of the volumes.
pub(crate) const LOG_CONFIG: LogConfig = LogConfig { reserve_sectors: 64, waiters_max: 64 };
/// Steps of a program.
const STEPS: usize = 18;

/// What a unit is made of.
#[derive(Debug, Clone)]
pub(crate) struct Shape {
    pub(crate) volumes: u8,
    pub(crate) geometry: Geometry,
    pub(crate) config: UnitConfig,
}

impl Shape {
    fn of(choices: &mut Choices) -> Self {
        let volumes = 2 + choices.one_of(2) as u8;
        let blocks = 1 + choices.one_of(4) as u64;
        let geometry = Geometry::with_tracks(blocks, 2 + choices.one_of(2) as u64);
        let mut config = UnitConfig::with_cache(12, geometry.track_bytes());
        config.cache.shards = 1;
        config.needs_reserve = false;
        config.history_max = 64;
        config.destage_delay_ns = [0, 20_000_000, 1_000_000_000][choices.one_of(3)];
        config.settle_delay_ns = [0, 20_000_000][choices.one_of(2)];
        config.checkpoint_at_percent = [15, 40][choices.one_of(2)];
        if choices.one_of(3) == 0 {
            config.durability = Durability::Battery;
        }
        Self { volumes, geometry, config }
    }

    /// The number of the log's drive.
    pub(crate) fn log_drive(&self) -> usize {
        self.volumes.into()
    }

    fn model(&self) -> Model {
        let mut model = Model::new(false, self.config.secondaries_max);
        for no in 0..self.volumes {
            model.add_volume(ldev(no), self.geometry, false);
        }
        model
    }
}

/// The drives of volumes, and the log's.
pub(crate) fn hardware(shape: &Shape, drives: &[Arc<TapeDrive>]) -> (Drives, Box<dyn Device>) {
    let boxed = |drive: &Arc<TapeDrive>| Box::new(drive.clone()) as Box<dyn Device>;
    let (log, of_volumes) = drives.split_last().expect("a log has a drive");
    assert_eq!(of_volumes.len(), shape.log_drive());
    (Drives::new(of_volumes.iter().map(|drive| (0, boxed(drive))).collect()), boxed(log))
}

/// Something that a host or an operator asks for.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Write(LdevId, BlockRange, Tag),
    Unmap(LdevId, BlockRange),
    Flush(LdevId),
    Command(Command),
}

impl Op {
    fn host_op(&self) -> HostOp {
        match self {
            Self::Write(ldev, blocks, tag) => {
                HostOp::Write { ldev: *ldev, block: blocks.start, data: tag.data(*blocks) }
            }
            Self::Unmap(ldev, blocks) => HostOp::Unmap { ldev: *ldev, blocks: *blocks },
            Self::Flush(ldev) => HostOp::Flush { ldev: *ldev },
            Self::Command(command) => HostOp::Command(*command),
        }
    }

    /// Whether there is a record of it, if it was answered so.
    fn is_in_log(&self, reply: &HostReply) -> bool {
        match self {
            Self::Write(..) | Self::Unmap(..) => *reply == HostReply::Done,
            Self::Flush(_) => false,
            Self::Command(_) => self.is_durable(reply),
        }
    }

    /// Whether this answer to it is durable in any mode, with all before it.
    fn is_durable(&self, reply: &HostReply) -> bool {
        match (self, reply) {
            (Self::Flush(_), HostReply::Done) => true,
            (Self::Command(_), HostReply::Outcome(outcome)) => {
                matches!(outcome, Outcome::Accepted { .. })
            }
            _ => false,
        }
    }

    fn under_way(&self, geometry: Geometry) -> Option<UnderWay> {
        match self {
            Self::Write(ldev, blocks, _) | Self::Unmap(ldev, blocks) => {
                Some((*ldev, geometry.tracks_of(*blocks)))
            }
            Self::Flush(_) | Self::Command(_) => None,
        }
    }

    /// What it makes of a model, if it is answered so.
    fn apply(&self, model: &mut Model, reply: &HostReply) -> bool {
        match (self, reply) {
            (Self::Write(ldev, blocks, tag), HostReply::Done) => {
                model.write(*ldev, *blocks, *tag).is_ok()
            }
            (Self::Unmap(ldev, blocks), HostReply::Done) => model.unmap(*ldev, *blocks).is_ok(),
            (Self::Command(command), HostReply::Outcome(outcome @ Outcome::Accepted { .. })) => {
                model.command(command).admits(outcome)
            }
            _ => true, // a flush, or nothing done
        }
    }
}

/// A step of a program: operations sent together, or time that passes until all is quiet.
#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) ops: Vec<Op>,
    /// Which of them are durable once they are answered, in any mode.
    pub(crate) durable: Vec<bool>,
    /// Which of them stand in the log once they are answered. The others say nothing of what came before
    /// them: copiers may have gone on since the last record that was written.
    pub(crate) in_log: Vec<bool>,
    /// What the model may be while some of them are under way: which were carried out, as bits.
    pub(crate) during: Vec<(u32, Model)>,
    /// What the model may be afterwards.
    pub(crate) after: Vec<Model>,
}

/// A program that was run.
#[derive(Debug)]
pub(crate) struct Recording {
    pub(crate) shape: Shape,
    /// What the drives held when it began.
    pub(crate) base: Vec<Vec<u8>>,
    pub(crate) start: Model,
    pub(crate) steps: Vec<Step>,
    pub(crate) events: Vec<Event>,
}

impl Recording {
    /// What a host change of this step touches, if none of its operations was carried out.
    pub(crate) fn under_way(&self, step: usize, done: u32) -> Option<UnderWay> {
        let left = self.steps[step].ops.iter().enumerate().filter(|(no, _)| done & 1 << no == 0);
        left.filter_map(|(_, op)| op.under_way(self.shape.geometry)).reduce(hull)
    }
}

/// Steps have changes of one volume only.
fn hull(a: UnderWay, b: UnderWay) -> UnderWay {
    let tracks =
        diptych_format::TrackRange { start: a.1.start.min(b.1.start), end: a.1.end.max(b.1.end) };
    (a.0, tracks)
}

/// Runs the program of a seed.
///
/// # Errors
///
/// If the unit is not as the model says already.
pub(crate) fn record(seed: u64) -> Result<Recording, Violation> {
    let mut choices = Choices::from_seed(seed);
    let shape = Shape::of(&mut choices);
    let tape = Arc::new(Tape::default());
    let sectors = |no| if no == shape.log_drive() { LOG_SECTORS } else { DRIVE_SECTORS };
    let new =
        |no| Arc::new(TapeDrive::new(no, vec![0; sectors(no) * BLOCK_BYTES], Some(tape.clone())));
    let drives: Vec<Arc<TapeDrive>> = (0..=shape.log_drive()).map(new).collect();
    let (volumes, log) = hardware(&shape, &drives);
    let log = Log::create(log, LogId(seed), LOG_CONFIG).expect("the drive is large enough");
    let plant = Plant::with_log(volumes, log);
    let unit = Unit::new(shape.config.clone(), &plant).expect("a unit of this configuration");
    for no in 0..shape.volumes {
        unit.add_volume(ldev(no), shape.geometry, no.into()).expect("room on the drive");
    }
    tape.take();
    let base = drives.iter().map(|drive| drive.bytes()).collect();
    let start = shape.model();
    let mut run = Run {
        hand: ByHand::new(unit, plant),
        choices,
        geometry: shape.geometry,
        volumes: shape.volumes,
        models: vec![start.clone()],
        last_tag: 0,
        tape: tape.clone(),
    };
    let steps = (0..STEPS).map(|no| run.step(no)).collect::<Result<_, _>>()?;
    Ok(Recording { shape, base, start, steps, events: tape.take() })
}

struct Run {
    hand: ByHand,
    choices: Choices,
    geometry: Geometry,
    volumes: u8,
    /// What the model may be now.
    models: Vec<Model>,
    last_tag: u64,
    tape: Arc<Tape>,
}

impl Run {
    fn step(&mut self, no: usize) -> Result<Step, Violation> {
        let ops = self.next_ops();
        self.tape.add(Event::Sent { step: no });
        let step = if ops.is_empty() { self.pass_time()? } else { self.run(no, ops)? };
        self.tape.add(Event::Ended { step: no });
        self.models.clone_from(&step.after);
        for _ in 0..self.choices.one_of(12) {
            let moves = self.hand.moves();
            if moves.is_empty() {
                break;
            }
            self.hand.make(moves[self.choices.one_of(moves.len())]);
        }
        Ok(step)
    }

    /// All copies end, and all that is dirty gets to its drive.
    fn pass_time(&mut self) -> Result<Step, Violation> {
        self.hand.settle(&mut self.choices)?;
        let mut after = self.models.clone();
        after.iter_mut().for_each(Model::finish_copies);
        Ok(Step {
            ops: Vec::new(),
            durable: Vec::new(),
            in_log: Vec::new(),
            during: Vec::new(),
            after: self.fitting(after)?,
        })
    }

    /// Sends operations together. Those that may have been carried out one before the other leave
    /// several states of the model; what the unit shows tells most of them apart.
    fn run(&mut self, no: usize, ops: Vec<Op>) -> Result<Step, Violation> {
        let ids: Vec<OwnerId> = ops.iter().map(|op| self.hand.start(op.host_op())).collect();
        let mut replies: Vec<Option<HostReply>> = vec![None; ops.len()];
        let mut observed = self.looked_at(&self.models);
        // A command that was not carried out yet.
        let mut of_command = matches!(ops[..], [Op::Command(_)]);
        while replies.iter().any(Option::is_none) {
            if !self.hand.make_any(&mut self.choices) {
                self.hand.settle(&mut self.choices)?; // says what never ends
            }
            for (op, (id, reply)) in ids.iter().zip(&mut replies).enumerate() {
                if let Some(answer) = self.hand.take_reply(*id) {
                    self.tape.add(Event::Answered { step: no, op });
                    *reply = Some(answer);
                }
            }
            // What copiers have done before a command is in the log before it.
            if of_command {
                match self.looked_at(&observed) {
                    looked if looked.is_empty() => of_command = false,
                    looked => observed = looked,
                }
            }
        }
        let replies: Vec<HostReply> = replies.into_iter().flatten().collect();
        // What is in the log has all before it that copiers did until it began. What did nothing is not
        // in the log.
        let mut in_log = ops.iter().zip(&replies).map(|(op, reply)| op.is_in_log(reply));
        let bases = if in_log.any(|is| is) { [&observed, &self.models] } else { [&self.models; 2] };
        let [first, second] = bases.map(|base| self.carried_out(base, &ops, &replies));
        first.or(second)
    }

    /// What operations leave of these models, while they are under way and afterwards.
    fn carried_out(
        &self,
        models: &[Model],
        ops: &[Op],
        replies: &[HostReply],
    ) -> Result<Step, Violation> {
        let (mut during, mut after) = (Vec::new(), Vec::new());
        for model in models {
            orders(model, ops, replies, 0, &mut during, &mut after);
        }
        let after = self.fitting(after)?;
        if after.is_empty() {
            let found = Box::new(replies[0].clone());
            return Err(Violation::Reply { found, expected: Box::new(HostReply::Done) });
        }
        let pairs = self.hand.unit().pairs();
        during.iter_mut().for_each(|(_, model)| model.learn_images(&pairs));
        let durable = ops.iter().zip(replies).map(|(op, reply)| op.is_durable(reply)).collect();
        let in_log = ops.iter().zip(replies).map(|(op, reply)| op.is_in_log(reply)).collect();
        Ok(Step { ops: ops.to_vec(), durable, in_log, during, after })
    }

    /// The models that the unit may be, after what its copiers did.
    fn looked_at(&self, models: &[Model]) -> Vec<Model> {
        let pairs = self.hand.unit().pairs();
        let look = |model: &Model| {
            let mut model = model.clone();
            model.observe(&pairs, None).is_ok().then_some(model)
        };
        models.iter().filter_map(look).collect()
    }

    /// The models that the unit may be.
    fn fitting(&self, mut models: Vec<Model>) -> Result<Vec<Model>, Violation> {
        let pairs = self.hand.unit().pairs();
        let mut wrong = None;
        models.iter_mut().for_each(|model| model.learn_images(&pairs));
        models.retain(|model| {
            let fits = model.clone().observe(&pairs, None);
            fits.map_err(|violation| wrong = Some(violation)).is_ok()
        });
        match wrong {
            Some(violation) if models.is_empty() => Err(violation),
            _ => Ok(models),
        }
    }

    fn next_ops(&mut self) -> Vec<Op> {
        match self.choices.one_of(16) {
            0..=4 => vec![self.change()],
            5 => vec![self.unmap()],
            6 | 7 => {
                let first = self.change();
                let second = self.change();
                let same = first.under_way(self.geometry).map(|(ldev, _)| ldev)
                    == second.under_way(self.geometry).map(|(ldev, _)| ldev);
                if same { vec![first, second] } else { vec![first] }
            }
            8 => vec![Op::Flush(ldev(0))],
            9 => match self.command() {
                Some(command) if command.code == CommandCode::Copy => {
                    vec![Op::Command(command), self.change_of(command.primary)]
                }
                Some(command) => vec![Op::Command(command)],
                None => vec![self.change()],
            },
            10..=13 => match self.command() {
                Some(command) => vec![Op::Command(command)],
                None => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    fn blocks(&mut self) -> BlockRange {
        let all = self.geometry.block_count();
        let start = self.choices.one_of(all as usize) as u64;
        let most = (all - start).min(self.geometry.blocks_per_track() + 1);
        BlockRange::new(BlockNo(start), 1 + self.choices.one_of(most as usize) as u64)
    }

    fn change_of(&mut self, ldev: LdevId) -> Op {
        self.last_tag += 1;
        let tag = Tag(self.last_tag);
        Op::Write(ldev, self.blocks(), tag)
    }

    /// A write to a volume that hosts may write to.
    fn change(&mut self) -> Op {
        let mut no = if self.choices.one_of(4) == 0 { 1 } else { 0 };
        let refused = |pair: &Pair| pair.secondary == ldev(1) && pair.status != PairStatus::Copied;
        if self.hand.unit().pairs().iter().any(refused) {
            no = 0;
        }
        self.change_of(ldev(no))
    }

    fn unmap(&mut self) -> Op {
        Op::Unmap(ldev(0), self.blocks())
    }

    /// A command that makes sense now.
    fn command(&mut self) -> Option<Command> {
        let secondary = ldev(1 + self.choices.one_of(usize::from(self.volumes) - 1) as u8);
        let of_second = |pair: &Pair| pair.primary == ldev(1);
        // The third volume is below the first, or at times below the second.
        let pairs = self.hand.unit().pairs();
        let below = secondary == ldev(2)
            && (pairs.iter().any(of_second)
                || !pairs.iter().any(|p| p.secondary == secondary) && self.choices.one_of(3) == 0);
        let primary = if below { ldev(1) } else { ldev(0) };
        let status = self.hand.unit().pair(primary, secondary).map(|pair| pair.status);
        let any = |choices: &mut Choices, codes: &[CommandCode]| codes[choices.one_of(codes.len())];
        use CommandCode::{Copy, Create, Delete, QuickRestore, Restore, Resync, Suspend};
        let code = match status {
            None => Create,
            Some(PairStatus::PairedNotCopied) => {
                any(&mut self.choices, &[Copy, Copy, Copy, Suspend])
            }
            Some(PairStatus::CopyInProgress) => any(&mut self.choices, &[Suspend, Delete]),
            Some(PairStatus::Copied) => {
                any(&mut self.choices, &[Resync, Restore, QuickRestore, QuickRestore, Delete])
            }
            Some(PairStatus::Suspended) => any(&mut self.choices, &[Resync, Resync, Delete]),
            Some(_) => return None,
        };
        let quick = code == Copy && self.choices.one_of(3) == 0;
        let pace = [Pace::SLOW, Pace::FAST][self.choices.one_of(2)];
        let options = PairOptions { quick, pace, ..PairOptions::default() };
        let mut command = Command::new(code, primary, secondary).with_options(options);
        command.freeze = code == QuickRestore && self.choices.one_of(2) == 0;
        Some(command)
    }
}

/// All orders in which the operations that are left may be carried out, from a state of the model.
fn orders(
    model: &Model,
    ops: &[Op],
    replies: &[HostReply],
    done: u32,
    during: &mut Vec<(u32, Model)>,
    after: &mut Vec<Model>,
) {
    if done.count_ones() as usize == ops.len() {
        after.push(model.clone());
        return;
    }
    for no in (0..ops.len()).filter(|no| done & 1 << no == 0) {
        let mut next = model.clone();
        let mut fits = ops[no].apply(&mut next, &replies[no]);
        if let (false, Op::Command(command)) = (fits, &ops[no]) {
            // Nobody has looked between what was sent together: the copier may have ended before.
            next.clone_from(model);
            next.finish_copies_of(command.secondary);
            fits = ops[no].apply(&mut next, &replies[no]);
        }
        if fits {
            let done = done | 1 << no;
            if done.count_ones() as usize != ops.len() {
                during.push((done, next.clone()));
            }
            orders(&next, ops, replies, done, during, after);
        }
    }
}
