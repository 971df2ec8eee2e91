//! A unit beside its model, and the statuses that a pair can have.

use diptych_cha::{
    Command, CommandCode, CreateAuto, GroupCommand, GroupOutcome, HostOp, HostReply, Outcome,
};
use diptych_format::{BlockNo, BlockRange, LdevId};
use diptych_shared::{MapName, Pace, PairOptions, SIMPLEX};
use diptych_testkit::{ByHand, Choices, Model, Move, Setup, Tag, ldev};

pub(crate) const PRIMARY: LdevId = ldev(0);
pub(crate) const SECONDARY: LdevId = ldev(1);
pub(crate) const QUICK: PairOptions =
    PairOptions { pace: Pace::SLOW, lanes: 1, quick: true, limit: None };

/// A unit of five volumes of six tracks of one block, and the model beside it. Copiers move only
/// when they are told to.
pub(crate) struct Bench {
    pub(crate) hand: ByHand,
    pub(crate) model: Model,
    group_pairs_max: usize,
    last_tag: u64,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let setup = Setup::new(5, 1, 6, 3);
        let group_pairs_max = setup.config().group_pairs_max;
        Self { hand: setup.build(), model: setup.model(), group_pairs_max, last_tag: 0 }
    }

    /// Runs one operation, and nothing beside it.
    pub(crate) fn run(&mut self, op: HostOp) -> HostReply {
        let id = self.hand.start(op);
        while self.hand.is_running(id) {
            let own = |m: &&Move| matches!(m, Move::Step(i) | Move::Perform(i, _) if *i == id);
            let next = *self.hand.moves().iter().find(own).expect("nothing to wait for");
            self.hand.make(next);
        }
        self.hand.take_reply(id).expect("an answer")
    }

    pub(crate) fn write(&mut self, ldev: LdevId, block: u64) -> HostReply {
        self.last_tag += 1;
        let (blocks, tag) = (BlockRange::one(BlockNo(block)), Tag(self.last_tag));
        let reply = self.run(HostOp::Write { ldev, block: blocks.start, data: tag.data(blocks) });
        let expected = self.model.write(ldev, blocks, tag);
        assert_eq!(reply, expected.map_or_else(HostReply::Failed, |()| HostReply::Done));
        self.observe();
        reply
    }

    pub(crate) fn read(&mut self, ldev: LdevId, block: u64) -> HostReply {
        let blocks = BlockRange::one(BlockNo(block));
        let reply = self.run(HostOp::Read { ldev, blocks });
        assert_eq!(matches!(reply, HostReply::Data(_)), self.model.read(ldev, blocks).is_ok());
        self.observe();
        reply
    }

    pub(crate) fn format(&mut self, ldev: LdevId) -> HostReply {
        let reply = self.run(HostOp::Format { ldev });
        let all = diptych_format::TrackRange::new(diptych_format::TrackNo(0), 6);
        self.model.observe(&self.hand.unit().pairs(), Some((ldev, all))).expect("its marks");
        let expected = self.model.format(ldev);
        assert_eq!(reply, expected.map_or_else(HostReply::Failed, |()| HostReply::Done));
        self.observe();
        reply
    }

    pub(crate) fn command(&mut self, command: Command) -> Outcome {
        let HostReply::Outcome(outcome) = self.run(HostOp::Command(command)) else {
            panic!("{command:?} has no outcome");
        };
        let expected = self.model.command(&command);
        assert!(expected.admits(&outcome), "{command:?}: {outcome:?}, expected {expected:?}");
        self.observe();
        outcome
    }

    /// A create command of the primary, the unit choosing the secondary.
    pub(crate) fn create_any(&mut self) -> Outcome {
        let auto = CreateAuto::new(PRIMARY);
        let HostReply::Outcome(outcome) = self.run(HostOp::CreateAuto(auto)) else {
            panic!("{auto:?} has no outcome");
        };
        let (expected, chosen) = self.model.create_auto(&auto);
        let as_create = match outcome {
            Outcome::Chosen { pair, secondary, to } => {
                assert_eq!(Some(secondary), chosen);
                Outcome::Accepted { pair, from: None, to: Some(to) }
            }
            other => other,
        };
        assert!(expected.admits(&as_create), "{auto:?}: {outcome:?}, expected {expected:?}");
        self.observe();
        outcome
    }

    pub(crate) fn group(&mut self, command: &GroupCommand) -> GroupOutcome {
        let HostReply::Group(outcome) = self.run(HostOp::Group(command.clone())) else {
            panic!("{command:?} has no outcome");
        };
        let expected = self.model.group(command, self.group_pairs_max);
        assert!(expected.admits(&outcome), "{command:?}: {outcome:?}, expected {expected:?}");
        self.observe();
        outcome
    }

    pub(crate) fn give(&mut self, code: CommandCode, primary: u8, secondary: u8) -> Outcome {
        self.command(Command::new(code, ldev(primary), ldev(secondary)))
    }

    /// As [`give`](Self::give), for one that is accepted.
    #[track_caller]
    pub(crate) fn accept(&mut self, code: CommandCode, primary: u8, secondary: u8) {
        let outcome = self.give(code, primary, secondary);
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{code}: {outcome:?}");
    }

    pub(crate) fn settle(&mut self) {
        self.hand.settle(&mut Choices::from_seed(0)).expect("quiet");
        self.observe();
    }

    fn observe(&mut self) {
        self.model.observe(&self.hand.unit().pairs(), None).expect("as the model says");
        self.model.observe_volumes(&self.hand.unit().volumes()).expect("as the model says");
    }

    /// Status and maps of a pair, and whether its volumes' contents mean anything.
    pub(crate) fn shown_of(&self, primary: u8, secondary: u8) -> String {
        let (primary, secondary) = (ldev(primary), ldev(secondary));
        let mut text = match self.hand.unit().pair(primary, secondary) {
            None => SIMPLEX.to_owned(),
            Some(pair) => {
                let count = |name| format!(" {name}={}", pair.map(name).count());
                let maps: String = MapName::ALL.into_iter().map(count).collect();
                format!("{}{maps}", pair.shown_as())
            }
        };
        for (side, ldev) in [("primary", primary), ("secondary", secondary)] {
            if self.hand.unit().volume(ldev).is_some_and(|volume| volume.undefined) {
                text += &format!(", {side} undefined");
            }
        }
        text
    }

    /// The same of the first pair.
    pub(crate) fn shown(&self) -> String {
        self.shown_of(0, 1)
    }
}

/// What a command came to, in words.
pub(crate) fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Accepted { .. } => "accepted".to_owned(),
        Outcome::Chosen { secondary, .. } => format!("accepted, {secondary} chosen"),
        Outcome::Nothing { .. } => "nothing".to_owned(),
        Outcome::Refused(why) => format!("refused: {why}"),
    }
}

/// How a pair comes to a status.
pub(crate) type Reach = fn(&mut Bench);

/// The statuses of the table, and how the pair of the first two volumes comes there.
pub(crate) const STATUSES: [(&str, Reach); 14] = [
    ("no pair", |_| {}),
    ("802 idle", |b| {
        let create = Command::new(CommandCode::Create, PRIMARY, SECONDARY);
        b.command(create.without_initial_copy());
    }),
    ("802 pending", |b| b.accept(CommandCode::Create, 0, 1)),
    ("802 duplex", duplex),
    ("802 re-sync", |b| {
        split(b);
        b.accept(CommandCode::Resync, 0, 1);
    }),
    ("803", |b| copying(b, PairOptions::default())),
    ("803 quick", |b| {
        copying(b, QUICK);
        b.write(SECONDARY, 4);
    }),
    ("804", split),
    ("804 frozen", |b| {
        split(b);
        b.command(Command::new(CommandCode::QuickRestore, PRIMARY, SECONDARY).frozen());
    }),
    ("restoring", |b| {
        split(b);
        b.accept(CommandCode::Restore, 0, 1);
    }),
    ("suspended", |b| {
        split(b);
        b.accept(CommandCode::Suspend, 0, 1);
    }),
    ("suspended in 803", |b| {
        copying(b, PairOptions::default());
        b.accept(CommandCode::Suspend, 0, 1);
    }),
    ("804, primary undefined", |b| {
        split(b);
        undefine_primary(b);
    }),
    ("suspended, primary undefined", |b| {
        split(b);
        b.accept(CommandCode::Suspend, 0, 1);
        undefine_primary(b);
    }),
];

pub(crate) fn duplex(b: &mut Bench) {
    b.accept(CommandCode::Create, 0, 1);
    b.settle();
}

/// 804, with track 0 of the primary and track 1 of the secondary changed since.
pub(crate) fn split(b: &mut Bench) {
    duplex(b);
    b.accept(CommandCode::Copy, 0, 1);
    b.write(PRIMARY, 0);
    b.write(SECONDARY, 1);
}

/// 803, with tracks 2 and 5 still to be copied, and track 3 changed since.
pub(crate) fn copying(b: &mut Bench, options: PairOptions) {
    duplex(b);
    b.write(PRIMARY, 2);
    b.write(PRIMARY, 5);
    b.command(Command::new(CommandCode::Copy, PRIMARY, SECONDARY).with_options(options));
    b.write(PRIMARY, 3);
}

/// Another pair of the primary is deleted in the middle of a restore; its track 4 was to come back.
pub(crate) fn undefine_primary(b: &mut Bench) {
    b.command(Command::new(CommandCode::Create, PRIMARY, ldev(4)).and_copy());
    b.settle();
    b.write(ldev(4), 4);
    b.accept(CommandCode::Restore, 0, 4);
    b.command(Command::new(CommandCode::Delete, PRIMARY, ldev(4)).forced());
}
