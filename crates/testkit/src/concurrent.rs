//! Concurrent storms: several operations in flight, and what was read and copied compared with
//! what the history of overlapping operations allows.

use crate::history::{Effect, History};
use crate::modify::{chunk_of, compare_and_write, expected};
use crate::sequential::tags_of;
use crate::{Action, ByHand, Choices, Program, Tag, Violation, ldev};
use diptych_cha::{Command, CommandCode, CreateAuto, GroupOutcome, HostOp, HostReply, Outcome};
use diptych_format::{BlockNo, BlockRange, LdevId, OwnerId};
use diptych_shared::PairStatus;
use std::collections::BTreeMap;

/// Operations in flight at most.
const IN_FLIGHT_MAX: usize = 5;
/// Moves between two submissions at most.
const MOVES_MAX: usize = 12;

/// Runs a program with several operations in flight.
///
/// # Errors
///
/// A read or an image that the history does not allow (I1), sides that differ unnoticed (I2), a
/// stored block that is wrong (I4), or something without end (I6).
///
/// # Panics
///
/// If the unit breaks an invariant that it asserts itself.
pub fn run_concurrent(program: &Program) -> Result<(), Violation> {
    let mut storm = Storm {
        hand: program.setup.build(),
        choices: Choices::from_seed(program.choices_seed),
        history: History::new(),
        in_flight: BTreeMap::new(),
        chunk_blocks: program.setup.chunk_blocks,
        images: BTreeMap::new(),
    };
    for (no, action) in (1..).zip(&program.actions) {
        storm.act(Tag(no), action)?;
    }
    storm.settle()?;
    storm.hand.quiesce(&mut storm.choices)?;
    let stored = storm.hand.check_stored()?;
    for (ldev, volume) in &stored {
        volume.tags(*ldev)?;
    }
    storm.check_images()?;
    storm.read_all()
}

struct Storm {
    hand: ByHand,
    choices: Choices,
    history: History,
    /// What was submitted, and when.
    in_flight: BTreeMap<OwnerId, (HostOp, Tag, u64)>,
    chunk_blocks: u64,
    /// Of each secondary, the moments of its latest copy command.
    images: BTreeMap<LdevId, u64>,
}

impl Storm {
    fn act(&mut self, tag: Tag, action: &Action) -> Result<(), Violation> {
        let op = match *action {
            Action::Write(volume, blocks) => {
                let data = tag.data(blocks);
                HostOp::Write { ldev: ldev(volume), block: blocks.start, data }
            }
            Action::Read(volume, blocks) => HostOp::Read { ldev: ldev(volume), blocks },
            Action::CompareAndWrite(volume, blocks, guess) => {
                let (ldev, blocks) = (ldev(volume), chunk_of(blocks, self.chunk_blocks));
                let held: Vec<Tag> = blocks.iter().map(|b| self.seems(ldev, b)).collect();
                compare_and_write(ldev, blocks, expected(&held, blocks, guess), tag)
            }
            // No bits: what another writes meanwhile would be lost if this were not one step.
            Action::OrWrite(volume, blocks) => {
                let data = Tag::ZERO.data(blocks);
                HostOp::OrWrite { ldev: ldev(volume), block: blocks.start, data }
            }
            Action::Unmap(volume, blocks) => HostOp::Unmap { ldev: ldev(volume), blocks },
            Action::Flush(volume) => HostOp::Flush { ldev: ldev(volume) },
            Action::Command { .. } => {
                HostOp::Command(action.command(&self.pairs()).expect("a command"))
            }
            // The history has to know the volume beforehand: the one that would be chosen now.
            Action::CreateAuto(volume, options) => match self.reserved_and_free() {
                Some(secondary) => {
                    let auto = CreateAuto { options, ..CreateAuto::new(ldev(volume)) };
                    HostOp::Command(auto.choose(secondary))
                }
                None => return Ok(()),
            },
            Action::Group(group) => HostOp::Group(group.command(&self.pairs())),
            Action::Format(volume) => HostOp::Format { ldev: ldev(volume) },
            Action::Accept(volume) => HostOp::AcceptContents { ldev: ldev(volume) },
            Action::Reserve(volume, reserved) => {
                // Refused for a volume in a pair, which is as good here.
                let (Ok(()) | Err(_)) = self.hand.unit().set_reserved(
                    ldev(volume),
                    reserved,
                    diptych_format::Time::ZERO,
                );
                return Ok(());
            }
            Action::ChangePace(target, options) => {
                let (primary, secondary) = target.volumes(&self.pairs());
                let (Ok(()) | Err(_)) = self.hand.unit().change_pace(
                    primary,
                    secondary,
                    options,
                    diptych_format::Time::ZERO,
                );
                return Ok(());
            }
            Action::Background(moves) => return self.moves(usize::from(moves)),
            Action::Cancel => {
                self.cancel();
                return Ok(());
            }
            Action::Settle => return self.settle(),
            Action::Look => {
                self.settle()?;
                self.hand.quiesce(&mut self.choices)?;
                return self.hand.check_stored().map(drop);
            }
        };
        while self.in_flight.len() >= IN_FLIGHT_MAX {
            self.one_move()?;
        }
        self.submit(op, tag);
        let moves = self.choices.one_of(MOVES_MAX);
        self.moves(moves)
    }

    fn pairs(&self) -> Vec<(LdevId, LdevId)> {
        self.hand.unit().pairs().iter().map(|pair| (pair.primary, pair.secondary)).collect()
    }

    fn reserved_and_free(&self) -> Option<LdevId> {
        let pairs = self.pairs();
        let paired = |ldev: LdevId| pairs.iter().any(|(p, s)| *p == ldev || *s == ldev);
        let mut volumes = self.hand.unit().volumes().into_iter();
        volumes.find(|volume| volume.reserved && !paired(volume.ldev)).map(|volume| volume.ldev)
    }

    /// One of the tags that a read of the block could give now.
    fn seems(&mut self, ldev: LdevId, block: BlockNo) -> Tag {
        let now = self.history.now();
        let allowed = self.history.allowed(ldev, block, now, now).tags;
        let no = self.choices.one_of(allowed.len().max(1));
        allowed.into_iter().nth(no).unwrap_or(Tag::ZERO)
    }

    fn submit(&mut self, op: HostOp, tag: Tag) {
        let from = self.history.now();
        for (volume, effect) in self.effects_of(&op, tag) {
            self.history.under_way(volume, effect, from);
        }
        let id = self.hand.start(op.clone());
        self.in_flight.insert(id, (op, tag, from));
    }

    fn moves(&mut self, count: usize) -> Result<(), Violation> {
        (0..count).try_for_each(|_| self.one_move())
    }

    fn one_move(&mut self) -> Result<(), Violation> {
        if !self.hand.make_any(&mut self.choices) {
            self.hand.settle(&mut self.choices)?; // says what never ends
        }
        let ended: Vec<OwnerId> = self.hand.ended().collect();
        for id in ended {
            let reply = self.hand.take_reply(id).expect("it has ended");
            let (op, tag, from) = self.in_flight.remove(&id).expect("it was submitted");
            self.ended(&op, tag, from, reply)?;
        }
        Ok(())
    }

    fn ended(
        &mut self,
        op: &HostOp,
        tag: Tag,
        from: u64,
        reply: HostReply,
    ) -> Result<(), Violation> {
        match (op, reply) {
            (HostOp::Read { ldev, blocks }, HostReply::Data(data)) => {
                let to = self.history.now();
                let found = tags_of(*ldev, blocks.start, &data)?;
                return self.history.check_read(*ldev, blocks.start, &found, from, to);
            }
            (HostOp::CompareAndWrite { ldev, .. }, HostReply::Miscompare { .. }) => {
                self.history.settle_under_way(*ldev, from);
            }
            (HostOp::CompareAndWrite { ldev, block, expected, .. }, HostReply::Done) => {
                let held = tags_of(*ldev, *block, expected)?;
                self.history.settle_under_way(*ldev, from);
                let to = self.history.now();
                self.history.check_read(*ldev, *block, &held, from, to)?;
                self.history.ended_all(&self.effects_of(op, tag), from, true);
            }
            (HostOp::Write { .. } | HostOp::Unmap { .. } | HostOp::Format { .. }, reply) => {
                // The first chunks of one that failed may have been before what forbids the others.
                let whole = reply == HostReply::Done;
                self.history.ended_all(&self.effects_of(op, tag), from, whole);
            }
            (HostOp::Command(command), HostReply::Outcome(outcome)) => {
                let done = match outcome {
                    Outcome::Accepted { from: met, .. } => done_by(command, met),
                    _ => Vec::new(),
                };
                self.commands_ended(op, tag, from, &[(*command, done)]);
            }
            (HostOp::Group(group), HostReply::Group(outcome)) => {
                let accepted = matches!(outcome, GroupOutcome::Accepted { .. });
                let pairs = group.pairs.iter().filter(|_| accepted).map(|pair| {
                    let command = group.of_pair(*pair);
                    (command, done_by(&command, None))
                });
                let done: Vec<_> = pairs.collect();
                self.commands_ended(op, tag, from, &done);
            }
            _ => {}
        }
        Ok(())
    }

    /// Commands ended, with what they did; of all that they might have done nothing else happened.
    fn commands_ended(
        &mut self,
        op: &HostOp,
        tag: Tag,
        from: u64,
        commands: &[(Command, Vec<(LdevId, Effect)>)],
    ) {
        for (volume, _) in self.effects_of(op, tag) {
            self.history.settle_under_way(volume, from);
        }
        let done: Vec<_> = commands.iter().flat_map(|(_, done)| done.iter().copied()).collect();
        self.history.ended_all(&done, from, true);
        for (command, done) in commands {
            let image = Effect::Image(command.primary);
            match done.contains(&(command.secondary, image)) {
                true => self.images.insert(command.secondary, from),
                false if done.is_empty() => None,
                false => self.images.remove(&command.secondary),
            };
        }
    }

    /// Drops one of the operations in flight, wherever it stands. Some of it may have been done.
    fn cancel(&mut self) {
        let ids: Vec<OwnerId> = self.in_flight.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.choices.one_of(ids.len())];
        self.hand.cancel(id);
        let (op, tag, from) = self.in_flight.remove(&id).expect("it was submitted");
        let effects = self.effects_of(&op, tag);
        let writes = matches!(op, HostOp::Write { .. } | HostOp::CompareAndWrite { .. });
        if writes || matches!(op, HostOp::Unmap { .. } | HostOp::Format { .. }) {
            return self.history.ended_all(&effects, from, false);
        }
        // A command does all it does in the step that answers it.
        for (volume, _) in effects {
            self.history.settle_under_way(volume, from);
        }
    }

    fn settle(&mut self) -> Result<(), Violation> {
        while !self.in_flight.is_empty() {
            self.one_move()?;
        }
        self.hand.settle(&mut self.choices)?;
        self.hand.check_room()?;
        self.hand.check_copies_ended()
    }

    fn check_images(&mut self) -> Result<(), Violation> {
        let stored = self.hand.stored()?;
        for pair in self.hand.unit().pairs() {
            if pair.status != PairStatus::Copied || !self.images.contains_key(&pair.secondary) {
                continue;
            }
            let Some(volume) = self.hand.unit().volume(pair.secondary) else { continue };
            let tags = stored[&pair.secondary].tags(pair.secondary)?;
            let blocks = volume.geometry.all_blocks().iter();
            let changed = |block| pair.ds.get(volume.geometry.track_of(block));
            let image: Vec<Option<Tag>> =
                blocks.zip(tags).map(|(block, tag)| (!changed(block)).then_some(tag)).collect();
            self.history.check_image(pair.primary, pair.secondary, &image, self.chunk_blocks)?;
        }
        Ok(())
    }

    fn read_all(&mut self) -> Result<(), Violation> {
        for volume in self.hand.unit().volumes() {
            let op = HostOp::Read { ldev: volume.ldev, blocks: volume.geometry.all_blocks() };
            self.submit(op, Tag::ZERO);
            self.settle()?;
        }
        Ok(())
    }
}

/// What a command may do to the contents of volumes.
pub(crate) fn effects_of_command(command: &Command) -> Vec<(LdevId, Effect)> {
    let Command { code, primary, secondary, and_copy, freeze, force, .. } = *command;
    let (image, unknown) = ((secondary, Effect::Image(primary)), (secondary, Effect::Unknown));
    let restored = (primary, Effect::Image(secondary));
    match code {
        CommandCode::Copy => vec![image],
        CommandCode::Create if and_copy => vec![image],
        CommandCode::Create | CommandCode::Resync | CommandCode::Suspend => vec![unknown],
        CommandCode::QuickRestore if freeze => vec![restored, image],
        // From here on the secondary follows.
        CommandCode::Restore | CommandCode::QuickRestore => vec![restored, unknown],
        CommandCode::Delete if force => vec![unknown, (primary, Effect::Unknown)],
        CommandCode::Delete => vec![unknown],
    }
}

/// What a command did that was accepted, having met this status.
pub(crate) fn done_by(command: &Command, met: Option<PairStatus>) -> Vec<(LdevId, Effect)> {
    match (command.code, met) {
        (CommandCode::Delete, Some(PairStatus::Copied)) => Vec::new(),
        // The primary is neither the old nor the new; the secondary is what it was.
        (CommandCode::Delete, Some(PairStatus::Restoring)) => {
            vec![(command.primary, Effect::Unknown)]
        }
        (CommandCode::Delete, _) => vec![(command.secondary, Effect::Unknown)],
        _ => effects_of_command(command),
    }
}

impl Storm {
    /// What an operation may do to the contents of volumes.
    fn effects_of(&self, op: &HostOp, tag: Tag) -> Vec<(LdevId, Effect)> {
        match op {
            HostOp::Write { ldev, block, data }
            | HostOp::CompareAndWrite { ldev, block, data, .. } => {
                let count = (data.len() / diptych_format::BLOCK_BYTES) as u64;
                vec![(*ldev, Effect::Write(BlockRange::new(*block, count), tag))]
            }
            HostOp::Unmap { ldev, blocks } => vec![(*ldev, Effect::Write(*blocks, Tag::ZERO))],
            HostOp::Format { ldev } => {
                let volume = self.hand.unit().volume(*ldev).expect("a volume");
                vec![(*ldev, Effect::Write(volume.geometry.all_blocks(), Tag::ZERO))]
            }
            HostOp::Command(command) => effects_of_command(command),
            HostOp::Group(group) => {
                let of_pair = |pair: &(LdevId, LdevId)| effects_of_command(&group.of_pair(*pair));
                group.pairs.iter().flat_map(of_pair).collect()
            }
            HostOp::Read { .. }
            | HostOp::Flush { .. }
            | HostOp::AcceptContents { .. }
            | HostOp::CreateAuto(_) => Vec::new(),
            // Those of a storm have no bits.
            HostOp::OrWrite { .. } => Vec::new(),
            HostOp::Allocation { .. } | HostOp::Describe { .. } | HostOp::Pairs { .. } => {
                Vec::new()
            }
        }
    }
}
