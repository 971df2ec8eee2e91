//! Sequential storms: one operation at a time, copiers and destages interleaved at every step, and
//! every answer and every map bit compared with the model.

use crate::modify::{chunk_of, compare_and_write, data_of, expected};
use crate::{
    Action, ByHand, Choices, Content, Group, Guess, Model, Program, Tag, UnderWay, Violation, ldev,
};
use diptych_cha::{CreateAuto, HostError, HostOp, HostReply, Outcome};
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, Geometry, LdevId};

/// Runs a program with one operation at a time. The unit is compared with the model after every
/// move of every job, so what a command meets is known exactly.
///
/// # Errors
///
/// The first thing that is not as the model says.
///
/// # Panics
///
/// If the unit breaks an invariant that it asserts itself.
pub fn run_sequential(program: &Program) -> Result<(), Violation> {
    let mut storm = Storm {
        hand: program.setup.build(),
        model: program.setup.model(),
        choices: Choices::from_seed(program.choices_seed),
        geometry: program.setup.geometry,
        group_pairs_max: program.setup.config().group_pairs_max,
        chunk_blocks: program.setup.chunk_blocks,
    };
    for (no, action) in (1..).zip(&program.actions) {
        storm.act(Tag(no), action)?;
    }
    storm.settle()?;
    storm.look()?;
    storm.read_all()
}

struct Storm {
    hand: ByHand,
    model: Model,
    choices: Choices,
    geometry: Geometry,
    group_pairs_max: usize,
    chunk_blocks: u64,
}

impl Storm {
    fn act(&mut self, tag: Tag, action: &Action) -> Result<(), Violation> {
        match *action {
            Action::Write(volume, blocks) => self.write(ldev(volume), blocks, tag),
            Action::Read(volume, blocks) => self.read(ldev(volume), blocks),
            Action::CompareAndWrite(volume, blocks, guess) => {
                let blocks = chunk_of(blocks, self.chunk_blocks);
                self.compare_and_write(ldev(volume), blocks, guess, tag)
            }
            Action::OrWrite(volume, blocks) => self.or_write(ldev(volume), blocks, tag),
            Action::Unmap(volume, blocks) => {
                let ldev = ldev(volume);
                let under_way = (ldev, self.geometry.tracks_of(blocks));
                let found = self.run(HostOp::Unmap { ldev, blocks }, Some(under_way))?;
                let expected = self.model.unmap(ldev, blocks);
                self.compare_reply(found, done_or_failed(expected))
            }
            Action::Flush(volume) => {
                let ldev = ldev(volume);
                let found = self.run(HostOp::Flush { ldev }, None)?;
                let expected = self.model.flush(ldev);
                self.compare_reply(found, done_or_failed(expected))
            }
            Action::Command { .. } => self.command(action),
            Action::CreateAuto(volume, options) => {
                self.create_auto(CreateAuto { options, ..CreateAuto::new(ldev(volume)) })
            }
            Action::Group(group) => self.group(&group),
            Action::Format(volume) => self.format(ldev(volume)),
            Action::Accept(volume) => {
                let ldev = ldev(volume);
                let found = self.run(HostOp::AcceptContents { ldev }, None)?;
                let there = self.model.accept_contents(ldev);
                let expected = there.then_some(()).ok_or(HostError::NoVolume { ldev });
                self.compare_reply(found, done_or_failed(expected))
            }
            Action::Reserve(volume, reserved) => {
                let done = self
                    .hand
                    .unit()
                    .set_reserved(ldev(volume), reserved, diptych_format::Time::ZERO)
                    .is_ok();
                assert_eq!(done, self.model.set_reserved(ldev(volume), reserved), "{action:?}");
                self.observe(None)
            }
            Action::ChangePace(target, options) => {
                let (primary, secondary) = target.volumes(&self.pairs());
                let done = self
                    .hand
                    .unit()
                    .change_pace(primary, secondary, options, diptych_format::Time::ZERO)
                    .is_ok();
                let expected = self.model.change_pace(primary, secondary, options);
                assert_eq!(done, expected, "{action:?}");
                self.observe(None)
            }
            Action::Background(moves) => {
                for _ in 0..moves {
                    self.hand.make_any(&mut self.choices);
                    self.observe(None)?;
                }
                Ok(())
            }
            Action::Cancel => Ok(()),
            Action::Settle => self.settle(),
            Action::Look => self.look(),
        }
    }

    fn format(&mut self, ldev: LdevId) -> Result<(), Violation> {
        let under_way = (ldev, self.geometry.tracks_of(self.geometry.all_blocks()));
        let found = self.run(HostOp::Format { ldev }, Some(under_way))?;
        self.model.observe(&self.hand.unit().pairs(), Some(under_way))?;
        let expected = self.model.format(ldev);
        self.compare_reply(found, done_or_failed(expected))
    }

    fn pairs(&self) -> Vec<(LdevId, LdevId)> {
        self.model.pairs().collect()
    }

    fn write(&mut self, ldev: LdevId, blocks: BlockRange, tag: Tag) -> Result<(), Violation> {
        let op = HostOp::Write { ldev, block: blocks.start, data: tag.data(blocks) };
        let under_way = (ldev, self.geometry.tracks_of(blocks));
        let found = self.run(op, Some(under_way))?;
        let expected = self.model.write(ldev, blocks, tag);
        self.compare_reply(found, done_or_failed(expected))
    }

    /// A plain write where nobody can tell what the blocks hold.
    fn compare_and_write(
        &mut self,
        ldev: LdevId,
        blocks: BlockRange,
        guess: Guess,
        tag: Tag,
    ) -> Result<(), Violation> {
        let Some(held) = known(self.model.content(ldev, blocks)) else {
            return self.write(ldev, blocks, tag);
        };
        let expected = expected(&held, blocks, guess);
        let op = compare_and_write(ldev, blocks, expected.clone(), tag);
        let under_way = (ldev, self.geometry.tracks_of(blocks));
        let found = self.run(op, Some(under_way))?;
        let reply = match self.model.compare_and_write(ldev, blocks, &expected, tag) {
            Ok(None) => HostReply::Done,
            Ok(Some(at_bytes)) => HostReply::Miscompare { at_bytes },
            Err(error) => HostReply::Failed(error),
        };
        self.compare_reply(found, reply)
    }

    /// Zeros get the tag, and the other blocks stay as they are.
    fn or_write(&mut self, ldev: LdevId, blocks: BlockRange, tag: Tag) -> Result<(), Violation> {
        let Some(held) = known(self.model.content(ldev, blocks)) else {
            return self.write(ldev, blocks, tag);
        };
        let bits = |held: &Tag| if *held == Tag::ZERO { tag } else { Tag::ZERO };
        let bits: Vec<Tag> = held.iter().map(bits).collect();
        let op = HostOp::OrWrite { ldev, block: blocks.start, data: data_of(&bits, blocks) };
        let under_way = (ldev, self.geometry.tracks_of(blocks));
        let found = self.run(op, Some(under_way))?;
        let expected = self.model.or_write(ldev, blocks, tag);
        self.compare_reply(found, done_or_failed(expected))
    }

    fn read(&mut self, ldev: LdevId, blocks: BlockRange) -> Result<(), Violation> {
        let found = self.run(HostOp::Read { ldev, blocks }, None)?;
        match (found, self.model.read(ldev, blocks)) {
            (HostReply::Data(data), Ok(expected)) => {
                self.compare_data(ldev, blocks.start, &expected, &data)?;
                self.observe(None)
            }
            (found, Ok(expected)) => {
                let known =
                    expected.iter().zip(blocks.iter()).map(|(content, block)| match content {
                        Content::Tag(tag) => tag.block(block),
                        Content::Unknown => [0; BLOCK_BYTES],
                    });
                let data: Vec<u8> = known.flatten().collect();
                self.compare_reply(found, HostReply::Data(data.into()))
            }
            (found, Err(error)) => self.compare_reply(found, HostReply::Failed(error)),
        }
    }

    fn compare_data(
        &mut self,
        ldev: LdevId,
        start: BlockNo,
        expected: &[Content],
        data: &[u8],
    ) -> Result<(), Violation> {
        let found = tags_of(ldev, start, data)?;
        self.model.compare_read(ldev, start, expected, &found)
    }

    fn command(&mut self, action: &Action) -> Result<(), Violation> {
        let command = action.command(&self.pairs()).expect("a command");
        let reply = self.run(HostOp::Command(command), None)?;
        let HostReply::Outcome(found) = reply else {
            panic!("{command:?} was answered {reply:?}");
        };
        let expected = self.model.command(&command);
        if !expected.admits(&found) {
            return Err(Violation::Outcome { found, expected });
        }
        self.observe(None)
    }

    fn group(&mut self, group: &Group) -> Result<(), Violation> {
        let command = group.command(&self.pairs());
        let HostReply::Group(found) = self.run(HostOp::Group(command.clone()), None)? else {
            panic!("a group command has an outcome of its own");
        };
        let expected = self.model.group(&command, self.group_pairs_max);
        if !expected.admits(&found) {
            return Err(Violation::GroupOutcome { found: Box::new(found), expected });
        }
        self.observe(None)
    }

    fn create_auto(&mut self, auto: CreateAuto) -> Result<(), Violation> {
        let reply = self.run(HostOp::CreateAuto(auto), None)?;
        let HostReply::Outcome(found) = reply else {
            panic!("{auto:?} was answered {reply:?}");
        };
        let (expected, chosen) = self.model.create_auto(&auto);
        let as_create = match found {
            Outcome::Chosen { pair, secondary, to } if Some(secondary) == chosen => {
                Outcome::Accepted { pair, from: None, to: Some(to) }
            }
            other => other,
        };
        if !expected.admits(&as_create) {
            return Err(Violation::Outcome { found, expected });
        }
        self.observe(None)
    }

    /// Runs an operation to its end. The last step, which answers, is not observed: what it did is
    /// the model's to say.
    fn run(&mut self, op: HostOp, under_way: Option<UnderWay>) -> Result<HostReply, Violation> {
        let id = self.hand.start(op);
        loop {
            if !self.hand.make_any(&mut self.choices) {
                self.hand.settle(&mut self.choices)?; // says what never ends
            }
            if let Some(reply) = self.hand.take_reply(id) {
                return Ok(reply);
            }
            self.observe(under_way)?;
        }
    }

    fn compare_reply(&mut self, found: HostReply, expected: HostReply) -> Result<(), Violation> {
        if found != expected {
            let (found, expected) = (Box::new(found), Box::new(expected));
            return Err(Violation::Reply { found, expected });
        }
        self.observe(None)
    }

    fn observe(&mut self, under_way: Option<UnderWay>) -> Result<(), Violation> {
        self.model.observe(&self.hand.unit().pairs(), under_way)?;
        self.model.observe_volumes(&self.hand.unit().volumes())
    }

    fn settle(&mut self) -> Result<(), Violation> {
        while self.hand.make_any(&mut self.choices) {
            self.observe(None)?;
        }
        self.hand.settle(&mut self.choices)?;
        self.hand.check_copies_ended()
    }

    fn look(&mut self) -> Result<(), Violation> {
        self.hand.quiesce(&mut self.choices)?;
        self.observe(None)?;
        for (ldev, stored) in self.hand.check_stored()? {
            self.model.compare_stored(ldev, &stored.tags(ldev)?)?;
        }
        Ok(())
    }

    fn read_all(&mut self) -> Result<(), Violation> {
        let volumes = self.hand.unit().volumes();
        volumes.iter().try_for_each(|v| self.read(v.ldev, v.geometry.all_blocks()))
    }
}

fn done_or_failed(done: Result<(), HostError>) -> HostReply {
    done.map_or_else(HostReply::Failed, |()| HostReply::Done)
}

/// The tags, if all of them are known.
fn known(content: Option<&[Content]>) -> Option<Vec<Tag>> {
    let known = |content: &Content| match content {
        Content::Tag(tag) => Some(*tag),
        Content::Unknown => None,
    };
    content?.iter().map(known).collect()
}

/// The tags of blocks that a host read.
pub(crate) fn tags_of(ldev: LdevId, start: BlockNo, data: &[u8]) -> Result<Vec<Tag>, Violation> {
    let blocks = (start.0..).map(BlockNo).zip(data.chunks(BLOCK_BYTES));
    let tag = |(block, bytes)| Tag::of(bytes, block).ok_or(Violation::Garbled { ldev, block });
    blocks.map(tag).collect()
}
