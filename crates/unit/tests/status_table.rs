//! The status x command table of the design, cell by cell, host access by status, and every
//! refusal: as the unit answers, with the model beside it.

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome, Refusal};
use diptych_format::{BlockNo, BlockRange, LdevId};
use diptych_shared::{MapName, PairOptions, PairStatus, SIMPLEX};
use diptych_testkit::{ByHand, Choices, Model, Move, Setup, Tag, ldev};
use std::fmt::Write as _;

const PRIMARY: LdevId = ldev(0);
const SECONDARY: LdevId = ldev(1);
const QUICK: PairOptions =
    PairOptions { pace: diptych_shared::Pace::SLOW, lanes: 1, quick: true, limit: None };

/// A unit of four volumes of six tracks of one block, and the model beside it. Copiers move only
/// when they are told to.
struct Bench {
    hand: ByHand,
    model: Model,
    last_tag: u64,
}

impl Bench {
    fn new() -> Self {
        let setup = Setup::new(4, 1, 6, 3);
        Self { hand: setup.build(), model: setup.model(), last_tag: 0 }
    }

    /// Runs one operation, and nothing beside it.
    fn run(&mut self, op: HostOp) -> HostReply {
        let id = self.hand.start(op);
        while self.hand.is_running(id) {
            let own = |m: &&Move| matches!(m, Move::Step(i) | Move::Perform(i, _) if *i == id);
            let next = *self.hand.moves().iter().find(own).expect("nothing to wait for");
            self.hand.make(next);
        }
        self.hand.take_reply(id).expect("an answer")
    }

    fn write(&mut self, ldev: LdevId, block: u64) -> HostReply {
        self.last_tag += 1;
        let (blocks, tag) = (BlockRange::one(BlockNo(block)), Tag(self.last_tag));
        let reply = self.run(HostOp::Write { ldev, block: blocks.start, data: tag.data(blocks) });
        let expected = self.model.write(ldev, blocks, tag);
        assert_eq!(reply, expected.map_or_else(HostReply::Failed, |()| HostReply::Done));
        self.observe();
        reply
    }

    fn read(&mut self, ldev: LdevId, block: u64) -> HostReply {
        let blocks = BlockRange::one(BlockNo(block));
        let reply = self.run(HostOp::Read { ldev, blocks });
        assert_eq!(matches!(reply, HostReply::Data(_)), self.model.read(ldev, blocks).is_ok());
        self.observe();
        reply
    }

    fn command(&mut self, command: Command) -> Outcome {
        let HostReply::Outcome(outcome) = self.run(HostOp::Command(command)) else {
            panic!("{command:?} has no outcome");
        };
        let expected = self.model.command(&command);
        assert!(expected.admits(&outcome), "{command:?}: {outcome:?}, expected {expected:?}");
        self.observe();
        outcome
    }

    fn give(&mut self, code: CommandCode, primary: u8, secondary: u8) -> Outcome {
        self.command(Command::new(code, ldev(primary), ldev(secondary)))
    }

    fn settle(&mut self) {
        self.hand.settle(&mut Choices::from_seed(0)).expect("quiet");
        self.observe();
    }

    fn observe(&mut self) {
        self.model.observe(&self.hand.unit().pairs(), None).expect("as the model says");
        self.model.observe_volumes(&self.hand.unit().volumes()).expect("as the model says");
    }

    /// Status and maps of the first pair, and whether the secondary's contents mean anything.
    fn shown(&self) -> String {
        let mut text = match self.hand.unit().pair(PRIMARY, SECONDARY) {
            None => SIMPLEX.to_owned(),
            Some(pair) => {
                let count = |name| format!(" {name}={}", pair.map(name).count());
                let maps: String = MapName::ALL.into_iter().map(count).collect();
                format!("{}{maps}", pair.shown_as())
            }
        };
        let undefined = self.hand.unit().volume(SECONDARY).is_some_and(|v| v.undefined);
        text.push_str(if undefined { ", secondary undefined" } else { "" });
        text
    }
}

/// How a pair comes to a status.
type Reach = fn(&mut Bench);

/// The statuses of the table, and how a pair comes there.
const STATUSES: [(&str, Reach); 10] = [
    ("no pair", |_| {}),
    ("802 idle", |b| {
        let create = Command::new(CommandCode::Create, PRIMARY, SECONDARY);
        b.command(create.without_initial_copy());
    }),
    ("802 pending", |b| {
        b.give(CommandCode::Create, 0, 1);
    }),
    ("802 duplex", duplex),
    ("802 re-sync", |b| {
        split(b);
        b.give(CommandCode::Resync, 0, 1);
    }),
    ("803", |b| {
        copying(b, PairOptions::default());
    }),
    ("803 quick", |b| {
        copying(b, QUICK);
        b.write(SECONDARY, 4);
    }),
    ("804", split),
    ("suspended", |b| {
        split(b);
        b.give(CommandCode::Suspend, 0, 1);
    }),
    ("suspended in 803", |b| {
        copying(b, PairOptions::default());
        b.give(CommandCode::Suspend, 0, 1);
    }),
];

fn duplex(b: &mut Bench) {
    b.give(CommandCode::Create, 0, 1);
    b.settle();
}

/// 804, with track 0 of the primary and track 1 of the secondary changed since.
fn split(b: &mut Bench) {
    duplex(b);
    b.give(CommandCode::Copy, 0, 1);
    b.write(PRIMARY, 0);
    b.write(SECONDARY, 1);
}

/// 803, with tracks 2 and 5 still to be copied, and track 3 changed since.
fn copying(b: &mut Bench, options: PairOptions) {
    duplex(b);
    b.write(PRIMARY, 2);
    b.write(PRIMARY, 5);
    b.command(Command::new(CommandCode::Copy, PRIMARY, SECONDARY).with_options(options));
    b.write(PRIMARY, 3);
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Accepted { .. } => "accepted".to_owned(),
        Outcome::Chosen { secondary, .. } => format!("accepted, {secondary} chosen"),
        Outcome::Nothing { .. } => "nothing".to_owned(),
        Outcome::Refused(why) => format!("refused: {why}"),
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "most of them are the table")]
fn status_by_command() {
    let commands: [(&str, CommandCode, PairOptions); 6] = [
        ("create", CommandCode::Create, PairOptions::default()),
        ("copy", CommandCode::Copy, PairOptions::default()),
        ("copy quick", CommandCode::Copy, QUICK),
        ("resync", CommandCode::Resync, PairOptions::default()),
        ("suspend", CommandCode::Suspend, PairOptions::default()),
        ("delete", CommandCode::Delete, PairOptions::default()),
    ];
    let mut text = String::new();
    for (status, reach) in STATUSES {
        for (no, (name, code, options)) in commands.into_iter().enumerate() {
            let mut bench = Bench::new();
            reach(&mut bench);
            if no == 0 {
                writeln!(text, "{status}: {}", bench.shown()).unwrap();
            }
            let command = Command::new(code, PRIMARY, SECONDARY).with_options(options);
            let came_to = outcome(bench.command(command));
            writeln!(text, "  {name:<10} {came_to:<8} -> {}", bench.shown()).unwrap();
        }
    }
    insta::assert_snapshot!(text, @r"
    no pair: simplex
      create     accepted -> pending C=6 DP=0 DS=0 A=6
      copy       nothing  -> simplex
      copy quick nothing  -> simplex
      resync     nothing  -> simplex
      suspend    nothing  -> simplex
      delete     nothing  -> simplex
    802 idle: idle C=6 DP=0 DS=0 A=6
      create     nothing  -> idle C=6 DP=0 DS=0 A=6
      copy       accepted -> SP-pending C=6 DP=0 DS=0 A=6
      copy quick accepted -> SP-pending C=6 DP=0 DS=0 A=6
      resync     nothing  -> idle C=6 DP=0 DS=0 A=6
      suspend    accepted -> suspend C=6 DP=0 DS=0 A=6
      delete     accepted -> simplex, secondary undefined
    802 pending: pending C=6 DP=0 DS=0 A=6
      create     nothing  -> pending C=6 DP=0 DS=0 A=6
      copy       accepted -> SP-pending C=6 DP=0 DS=0 A=6
      copy quick accepted -> SP-pending C=6 DP=0 DS=0 A=6
      resync     nothing  -> pending C=6 DP=0 DS=0 A=6
      suspend    accepted -> suspend C=6 DP=0 DS=0 A=6
      delete     accepted -> simplex, secondary undefined
    802 duplex: duplex C=0 DP=0 DS=0 A=6
      create     nothing  -> duplex C=0 DP=0 DS=0 A=6
      copy       accepted -> split C=0 DP=0 DS=0 A=6
      copy quick accepted -> split C=0 DP=0 DS=0 A=6
      resync     nothing  -> duplex C=0 DP=0 DS=0 A=6
      suspend    accepted -> suspend C=0 DP=0 DS=0 A=6
      delete     accepted -> simplex
    802 re-sync: re-sync C=2 DP=0 DS=0 A=2
      create     nothing  -> re-sync C=2 DP=0 DS=0 A=2
      copy       accepted -> SP-pending C=2 DP=0 DS=0 A=2
      copy quick accepted -> SP-pending C=2 DP=0 DS=0 A=2
      resync     nothing  -> re-sync C=2 DP=0 DS=0 A=2
      suspend    accepted -> suspend C=2 DP=0 DS=0 A=2
      delete     accepted -> simplex, secondary undefined
    803: SP-pending C=2 DP=1 DS=0 A=6
      create     nothing  -> SP-pending C=2 DP=1 DS=0 A=6
      copy       nothing  -> SP-pending C=2 DP=1 DS=0 A=6
      copy quick nothing  -> SP-pending C=2 DP=1 DS=0 A=6
      resync     nothing  -> SP-pending C=2 DP=1 DS=0 A=6
      suspend    accepted -> suspend C=2 DP=1 DS=0 A=6
      delete     accepted -> simplex, secondary undefined
    803 quick: SP-pending C=2 DP=1 DS=1 A=6
      create     nothing  -> SP-pending C=2 DP=1 DS=1 A=6
      copy       nothing  -> SP-pending C=2 DP=1 DS=1 A=6
      copy quick nothing  -> SP-pending C=2 DP=1 DS=1 A=6
      resync     nothing  -> SP-pending C=2 DP=1 DS=1 A=6
      suspend    accepted -> suspend C=2 DP=1 DS=1 A=6
      delete     accepted -> simplex, secondary undefined
    804: split C=0 DP=1 DS=1 A=6
      create     nothing  -> split C=0 DP=1 DS=1 A=6
      copy       nothing  -> split C=0 DP=1 DS=1 A=6
      copy quick nothing  -> split C=0 DP=1 DS=1 A=6
      resync     accepted -> re-sync C=2 DP=0 DS=0 A=2
      suspend    accepted -> suspend C=0 DP=1 DS=1 A=6
      delete     accepted -> simplex
    suspended: suspend C=0 DP=1 DS=1 A=6
      create     nothing  -> suspend C=0 DP=1 DS=1 A=6
      copy       nothing  -> suspend C=0 DP=1 DS=1 A=6
      copy quick nothing  -> suspend C=0 DP=1 DS=1 A=6
      resync     accepted -> re-sync C=2 DP=0 DS=0 A=6
      suspend    nothing  -> suspend C=0 DP=1 DS=1 A=6
      delete     accepted -> simplex
    suspended in 803: suspend C=2 DP=1 DS=0 A=6
      create     nothing  -> suspend C=2 DP=1 DS=0 A=6
      copy       nothing  -> suspend C=2 DP=1 DS=0 A=6
      copy quick nothing  -> suspend C=2 DP=1 DS=0 A=6
      resync     accepted -> re-sync C=3 DP=0 DS=0 A=6
      suspend    nothing  -> suspend C=2 DP=1 DS=0 A=6
      delete     accepted -> simplex, secondary undefined
    ");
}

#[test]
fn host_access_by_status() {
    let mut text = String::new();
    for (status, reach) in STATUSES {
        let mut bench = Bench::new();
        reach(&mut bench);
        let before = bench.shown();
        let mut row = format!("{status:<17}");
        for (side, ldev) in [("primary", PRIMARY), ("secondary", SECONDARY)] {
            let read = matches!(bench.read(ldev, 2), HostReply::Data(_));
            let write = bench.write(ldev, 2) == HostReply::Done;
            let may = match (read, write) {
                (true, true) => "read/write",
                (true, false) => "read",
                (false, false) => "refused",
                (false, true) => "write",
            };
            write!(row, "{side} {may:<11}").unwrap();
        }
        writeln!(text, "{row}{before} -> {}", bench.shown()).unwrap();
    }
    insta::assert_snapshot!(text, @r"
    no pair          primary read/write secondary read       simplex -> simplex
    802 idle         primary read/write secondary refused    idle C=6 DP=0 DS=0 A=6 -> idle C=6 DP=0 DS=0 A=6
    802 pending      primary read/write secondary refused    pending C=6 DP=0 DS=0 A=6 -> pending C=6 DP=0 DS=0 A=6
    802 duplex       primary read/write secondary refused    duplex C=0 DP=0 DS=0 A=6 -> duplex C=1 DP=0 DS=0 A=6
    802 re-sync      primary read/write secondary refused    re-sync C=2 DP=0 DS=0 A=2 -> re-sync C=3 DP=0 DS=0 A=3
    803              primary read/write secondary refused    SP-pending C=2 DP=1 DS=0 A=6 -> SP-pending C=1 DP=2 DS=0 A=6
    803 quick        primary read/write secondary read/write SP-pending C=2 DP=1 DS=1 A=6 -> SP-pending C=1 DP=2 DS=2 A=6
    804              primary read/write secondary read/write split C=0 DP=1 DS=1 A=6 -> split C=0 DP=2 DS=2 A=6
    suspended        primary read/write secondary refused    suspend C=0 DP=1 DS=1 A=6 -> suspend C=0 DP=2 DS=1 A=6
    suspended in 803 primary read/write secondary refused    suspend C=2 DP=1 DS=0 A=6 -> suspend C=2 DP=2 DS=0 A=6
    ");
}

/// Each refusal, and how it comes about.
#[test]
fn refusals() {
    use CommandCode::{Copy, Create, Delete, Resync, Suspend};
    #[track_caller]
    fn check(reach: Reach, code: CommandCode, (p, s): (u8, u8), expected: Refusal) {
        let mut bench = Bench::new();
        reach(&mut bench);
        let before = bench.hand.unit().pairs();
        assert_eq!(bench.give(code, p, s), Outcome::Refused(expected));
        assert_eq!(bench.hand.unit().pairs(), before, "a refusal changes nothing");
    }
    let none: Reach = |_| {};
    for code in CommandCode::ALL {
        check(none, code, (0, 9), Refusal::NoVolume { ldev: ldev(9) });
        check(none, code, (9, 0), Refusal::NoVolume { ldev: ldev(9) });
    }
    check(none, Create, (1, 1), Refusal::SameVolume { ldev: ldev(1) });
    check(none, Create, (1, 0), Refusal::NotReserved { ldev: ldev(0) });
    check(duplex, Create, (2, 1), Refusal::SecondaryIsSecondary { ldev: ldev(1) });
    let reserved: Reach = |b| {
        assert!(b.model.set_reserved(PRIMARY, true));
        b.hand.unit().set_reserved(PRIMARY, true, diptych_format::Time::ZERO).unwrap();
        duplex(b);
    };
    check(reserved, Create, (2, 0), Refusal::SecondaryIsPrimary { ldev: ldev(0) });
    let status = PairStatus::PairedNotCopied;
    check(duplex, Create, (1, 2), Refusal::FirstLevelNotCopied { status });
    let cascade: Reach = |b| {
        split(b);
        b.give(Create, 1, 2);
        b.settle();
    };
    check(cascade, Create, (2, 3), Refusal::ThirdLevel { ldev: ldev(2) });
    let resynced: Reach = |b| {
        split(b);
        b.give(Create, 1, 2);
        b.give(Resync, 0, 1);
    };
    check(resynced, Copy, (1, 2), Refusal::FirstLevelNotCopied { status });
    let undefined: Reach = |b| {
        split(b);
        b.give(Create, 1, 2);
        b.give(Resync, 0, 1);
        b.give(Delete, 0, 1);
    };
    check(undefined, Copy, (1, 2), Refusal::Undefined { ldev: ldev(1) });
    check(undefined, Create, (1, 3), Refusal::Undefined { ldev: ldev(1) });
    let undefined_suspended: Reach = |b| {
        split(b);
        b.give(Create, 1, 2);
        b.give(Suspend, 1, 2);
        b.give(Resync, 0, 1);
        b.give(Delete, 0, 1);
    };
    check(undefined_suspended, Resync, (1, 2), Refusal::Undefined { ldev: ldev(1) });
    // The reverse of a pair is no pair; it is no third volume's business either.
    for code in [Copy, Resync, Suspend, Delete] {
        let mut bench = Bench::new();
        split(&mut bench);
        assert_eq!(bench.give(code, 1, 0), Outcome::Nothing { met: None });
    }
    let mut bench = Bench::new();
    reserved(&mut bench);
    bench.give(Copy, 0, 1);
    let Outcome::Refused(why) = bench.give(Create, 1, 0) else { panic!("a circle") };
    assert!(matches!(why, Refusal::Cycle { .. } | Refusal::SecondaryIsPrimary { .. }), "{why}");
}
