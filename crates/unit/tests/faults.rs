//! What goes wrong in drives, and what the unit makes of it (the design's *Failures*).

use diptych_cha::{Command, CommandCode, Forbidden, HostError, HostOp, HostReply, Outcome, Tried};
use diptych_device::{
    Device, Fault, FaultKind, FaultPlan, FaultRule, MemoryDrive, Op, SectorRange,
};
use diptych_format::{BLOCK_BYTES, BlockNo, BlockRange, SectorNo, TrackNo, TrackRange};
use diptych_shared::{MapName, Pair, PairStatus, Phase, VolumeState};
use diptych_testkit::{ByHand, Choices, Setup, Tag, ldev};
use diptych_unit::HistoryQuery;

const BLOCKS_PER_TRACK: u64 = 4;
const TRACKS: u64 = 6;
/// From one track to the next on a drive: data, check area, up to a whole page.
const STRIDE_SECTORS: u64 = 8;
const DRIVE_SECTORS: u64 = 4096;

/// Four volumes, each alone on a drive that goes wrong when it is told to.
struct Bench {
    hand: ByHand,
    drives: Vec<Fault<MemoryDrive>>,
    choices: Choices,
}

impl Bench {
    fn new(seed: u64) -> Self {
        let setup = Setup {
            needs_reserve: false,
            ..Setup::new(4, BLOCKS_PER_TRACK, TRACKS, BLOCKS_PER_TRACK)
        };
        let drives =
            Fault::shelf((0..4).map(|_| (MemoryDrive::new(DRIVE_SECTORS), FaultPlan::none())));
        let drives = drives.expect("no rule is wrong");
        let boxed = |drive: &Fault<MemoryDrive>| Box::new(drive.clone()) as Box<dyn Device>;
        let hand = setup.build_on(drives.iter().map(boxed).collect());
        Self { hand, drives, choices: Choices::from_seed(seed) }
    }

    fn fault(&self, drive: usize, rule: FaultRule) {
        self.drives[drive].push(rule).expect("the rule can be followed");
    }

    fn run(&mut self, op: HostOp) -> HostReply {
        self.hand.run(op, &mut self.choices).expect("every request ends")
    }

    fn write(&mut self, volume: u8, start: u64, count: u64, tag: u64) -> HostReply {
        let blocks = BlockRange::new(BlockNo(start), count);
        let data = Tag(tag).data(blocks);
        self.run(HostOp::Write { ldev: ldev(volume), block: blocks.start, data })
    }

    /// Writes every block of a volume.
    fn fill(&mut self, volume: u8, tag: u64) {
        let reply = self.write(volume, 0, TRACKS * BLOCKS_PER_TRACK, tag);
        assert_eq!(reply, HostReply::Done);
    }

    fn read(&mut self, volume: u8, start: u64, count: u64) -> Result<Vec<Tag>, HostError> {
        let blocks = BlockRange::new(BlockNo(start), count);
        match self.run(HostOp::Read { ldev: ldev(volume), blocks }) {
            HostReply::Data(data) => {
                let tag = |(block, data)| Tag::of(data, block).expect("the data of one write");
                Ok(blocks.iter().zip(data.chunks(BLOCK_BYTES)).map(tag).collect())
            }
            HostReply::Failed(error) => Err(error),
            other => panic!("a read was answered {other:?}"),
        }
    }

    fn give(&mut self, command: Command) -> Outcome {
        match self.run(HostOp::Command(command)) {
            HostReply::Outcome(outcome) => outcome,
            other => panic!("a command was answered {other:?}"),
        }
    }

    fn accept(&mut self, code: CommandCode, primary: u8, secondary: u8) {
        let outcome = self.give(Command::new(code, ldev(primary), ldev(secondary)));
        assert!(matches!(outcome, Outcome::Accepted { .. }), "{code}: {outcome:?}");
    }

    fn settle(&mut self) {
        self.hand.settle(&mut self.choices).expect("every job ends");
        self.hand.check_copies_ended().expect("copiers do all they can");
    }

    fn pair(&self, primary: u8, secondary: u8) -> Pair {
        self.hand.unit().pair(ldev(primary), ldev(secondary)).expect("the pair")
    }

    /// What is dirty goes to the drives, and volume 0 leaves the cache.
    fn evict(&mut self) {
        self.settle();
        for volume in [3, 2, 3] {
            self.fill(volume, 1);
            self.settle();
        }
    }

    fn codes(&self) -> Vec<u16> {
        let entries = self.hand.unit().history(&HistoryQuery::default()).entries;
        let codes = entries.iter().map(|e| e.message.code()).collect::<Vec<_>>();
        codes.into_iter().filter(|code| *code >= 3000).collect()
    }
}

/// The data sectors of a track, on the drive of its volume.
fn sectors(track: u64) -> SectorRange {
    SectorRange::new(SectorNo(track * STRIDE_SECTORS), BLOCKS_PER_TRACK)
}

fn tracks(pair: &Pair, map: MapName) -> Vec<u64> {
    pair.map(map).runs().flat_map(TrackRange::iter).map(|track| track.0).collect()
}

#[test]
fn a_secondary_that_cannot_be_written_suspends_its_pair_alone() {
    for seed in 0..200 {
        let mut bench = Bench::new(seed);
        bench.fill(0, 1);
        bench.settle();
        let rule = FaultRule::new(Op::Write, FaultKind::StorageFull).touching(sectors(2));
        bench.fault(1, rule.repeated());
        bench.accept(CommandCode::Create, 0, 1);
        bench.accept(CommandCode::Create, 0, 2);
        assert_eq!(bench.write(0, 0, 1, 2), HostReply::Done);
        bench.settle();
        let pair = bench.pair(0, 1);
        assert_eq!(pair.status, PairStatus::Suspended, "seed {seed}");
        assert_eq!(tracks(&pair, MapName::Ds), [2], "seed {seed}");
        assert!(pair.c.get(TrackNo(2)), "seed {seed}: what was not copied is still to be copied");
        let other = bench.pair(0, 2);
        assert_eq!((other.status, other.phase), (PairStatus::PairedNotCopied, Phase::Duplex));
        assert_eq!(bench.codes(), [3002], "seed {seed}");
        assert_eq!(bench.read(0, 0, 3), Ok(vec![Tag(2), Tag(1), Tag(1)]));
        // It can be tried again.
        bench.drives[1].heal();
        bench.accept(CommandCode::Resync, 0, 1);
        bench.settle();
        assert_eq!(bench.pair(0, 1).phase, Phase::Duplex, "seed {seed}");
        bench.hand.check_stored().unwrap_or_else(|v| panic!("seed {seed}: {v}"));
    }
}

#[test]
fn an_image_that_cannot_be_written_is_given_up_and_the_host_goes_on() {
    for seed in 0..200 {
        let mut bench = Bench::new(seed);
        bench.fill(0, 1);
        bench.settle();
        let rule = FaultRule::new(Op::Write, FaultKind::StorageFull).touching(sectors(2));
        bench.fault(1, rule.repeated());
        for secondary in [1, 2] {
            let create = Command::new(CommandCode::Create, ldev(0), ldev(secondary));
            bench.give(create.without_initial_copy());
            bench.accept(CommandCode::Copy, 0, secondary);
        }
        // Its protecting copies go into the cache; that of volume 1 never gets to its drive.
        assert_eq!(bench.write(0, 9, 1, 2), HostReply::Done, "seed {seed}");
        bench.settle();
        let pair = bench.pair(0, 1);
        assert_eq!(pair.status, PairStatus::Suspended, "seed {seed}");
        assert_eq!(tracks(&pair, MapName::Ds), [2], "seed {seed}");
        assert_eq!(tracks(&pair, MapName::Dp), [2], "seed {seed}");
        assert_eq!(bench.pair(0, 2).status, PairStatus::Copied, "seed {seed}");
        assert_eq!(bench.read(2, 8, 4), Ok(vec![Tag(1); 4]), "seed {seed}");
        assert_eq!(bench.read(0, 9, 1), Ok(vec![Tag(2)]), "seed {seed}");
    }
}

#[test]
fn a_primarys_track_that_cannot_be_read_stays_to_be_copied_in_802() {
    for kind in [FaultKind::LatentError, FaultKind::BitRot { bit: 5 }] {
        let mut bench = Bench::new(1);
        bench.fill(0, 1);
        bench.evict();
        let rule = FaultRule::new(Op::Read, kind).touching(SectorRange::one(sectors(2).start));
        bench.fault(0, rule);
        bench.accept(CommandCode::Create, 0, 1);
        bench.settle();
        let pair = bench.pair(0, 1);
        assert_eq!((pair.status, pair.phase), (PairStatus::PairedNotCopied, Phase::Pending));
        assert_eq!(tracks(&pair, MapName::C), [2]);
        assert_eq!(bench.codes(), [3000]);
        // Once it is written anew, it can be copied.
        assert_eq!(bench.write(0, 8, 4, 2), HostReply::Done);
        bench.settle();
        assert_eq!(bench.pair(0, 1).phase, Phase::Duplex);
        bench.accept(CommandCode::Copy, 0, 1);
        assert_eq!(bench.read(1, 8, 4), Ok(vec![Tag(2); 4]));
    }
}

#[test]
fn a_primarys_track_that_cannot_be_read_ends_an_image_and_not_the_hosts_write() {
    for (seed, kind) in
        (0..100).zip([FaultKind::LatentError, FaultKind::BitRot { bit: 5 }].into_iter().cycle())
    {
        let mut bench = Bench::new(seed);
        bench.fill(0, 1);
        bench.evict();
        let rule = FaultRule::new(Op::Read, kind).touching(SectorRange::one(sectors(2).start));
        bench.fault(0, rule);
        for secondary in [1, 2] {
            let create = Command::new(CommandCode::Create, ldev(0), ldev(secondary));
            bench.give(create.without_initial_copy());
            bench.accept(CommandCode::Copy, 0, secondary);
        }
        assert_eq!(bench.write(0, 9, 1, 2), HostReply::Done, "seed {seed}");
        bench.settle();
        for secondary in [1, 2] {
            let pair = bench.pair(0, secondary);
            assert_eq!(pair.status, PairStatus::Suspended, "seed {seed}");
            assert!(pair.c.get(TrackNo(2)) && pair.dp.get(TrackNo(2)), "seed {seed}");
        }
        assert_eq!(bench.codes(), [3001, 3001], "seed {seed}");
        assert_eq!(bench.read(0, 9, 3), Ok(vec![Tag(2), Tag(1), Tag(1)]), "seed {seed}");
    }
}

#[test]
fn a_block_that_is_wrong_costs_only_itself() {
    let victim = SectorNo(sectors(2).start.0 + 1);
    for kind in [FaultKind::LatentError, FaultKind::BitRot { bit: 77 }] {
        let mut bench = Bench::new(1);
        bench.fill(0, 1);
        bench.evict();
        bench.fault(0, FaultRule::new(Op::Read, kind).touching(SectorRange::one(victim)));
        let medium = |block| Err(HostError::Medium { ldev: ldev(0), block: BlockNo(block) });
        assert_eq!(bench.read(0, 8, 4), medium(9));
        assert_eq!(bench.read(0, 0, 24), medium(9));
        assert_eq!(bench.read(0, 8, 1), Ok(vec![Tag(1)]));
        assert_eq!(bench.read(0, 10, 14), Ok(vec![Tag(1); 14]));
        // Written anew, it is whole.
        assert_eq!(bench.write(0, 9, 1, 2), HostReply::Done);
        assert_eq!(bench.read(0, 8, 3), Ok(vec![Tag(1), Tag(2), Tag(1)]));
        bench.evict();
        assert_eq!(bench.read(0, 8, 3), Ok(vec![Tag(1), Tag(2), Tag(1)]));
    }
}

#[test]
fn a_misdirected_write_is_noticed_where_it_landed() {
    // Within the volume, and in another volume on another drive.
    for (drive, volume) in [(None, 0), (Some(diptych_format::DriveNo(1)), 1)] {
        let mut bench = Bench::new(1);
        bench.fill(0, 1);
        bench.fill(1, 2);
        bench.settle();
        let astray = FaultKind::MisdirectedWrite { drive, to: sectors(4).start };
        let whole = SectorRange::new(sectors(2).start, STRIDE_SECTORS);
        bench.fault(0, FaultRule::new(Op::Write, astray).touching(whole));
        assert_eq!(bench.write(0, 8, 4, 3), HostReply::Done);
        bench.evict();
        // Volume 1 leaves the cache as volume 0 did.
        let block = BlockNo(16);
        assert_eq!(bench.read(volume, 16, 4), Err(HostError::Medium { ldev: ldev(volume), block }));
        assert_eq!(bench.read(volume, 12, 4).map(|tags| tags.len()), Ok(4));
    }
}

#[test]
fn a_destage_that_fails_blocks_the_volume() {
    for seed in 0..100 {
        let mut bench = Bench::new(seed);
        bench.fill(0, 1);
        bench.settle();
        bench.fault(0, FaultRule::new(Op::Write, FaultKind::Fail));
        assert_eq!(bench.write(0, 0, 1, 2), HostReply::Done);
        bench.settle();
        let state = bench.hand.unit().volume(ldev(0)).map(|volume| volume.state);
        assert_eq!(state, Some(VolumeState::Blocked), "seed {seed}");
        let blocked = |tried| HostError::Access { ldev: ldev(0), tried, why: Forbidden::Blocked };
        assert_eq!(bench.read(0, 0, 1), Err(blocked(Tried::Read)), "seed {seed}");
        let refused = HostReply::Failed(blocked(Tried::Write));
        assert_eq!(bench.write(0, 0, 1, 3), refused, "seed {seed}");
        let flush = bench.run(HostOp::Flush { ldev: ldev(0) });
        assert!(matches!(flush, HostReply::Failed(_)), "seed {seed}: {flush:?}");
        // Nobody else is concerned.
        bench.fill(2, 4);
        assert_eq!(bench.read(2, 0, 1), Ok(vec![Tag(4)]), "seed {seed}");
        assert_eq!(bench.codes(), [3003], "seed {seed}");
    }
}

/// Two pairs, a cascade, writes everywhere and every command; whatever fails, it goes on.
fn scenario(bench: &mut Bench) -> [HostReply; 4] {
    use CommandCode::{Copy, Create, Delete, Resync, Suspend};
    let command = |bench: &mut Bench, code, primary, secondary| {
        bench.give(Command::new(code, ldev(primary), ldev(secondary)));
    };
    let first = bench.write(0, 0, 24, 1);
    command(bench, Create, 0, 1);
    command(bench, Create, 0, 2);
    command(bench, Copy, 0, 1);
    let second = bench.write(0, 3, 6, 2);
    let moved = bench.hand.settle(&mut bench.choices);
    moved.expect("every job ends");
    command(bench, Create, 1, 3);
    command(bench, Copy, 0, 2);
    command(bench, Copy, 1, 3);
    let third = bench.write(0, 9, 1, 3);
    let (Ok(_) | Err(_)) = bench.read(2, 0, 24);
    bench.run(HostOp::Flush { ldev: ldev(0) });
    command(bench, Resync, 0, 1);
    command(bench, Suspend, 0, 2);
    command(bench, Delete, 0, 2);
    let fourth = bench.write(0, 0, 4, 4);
    bench.hand.settle(&mut bench.choices).expect("every job ends");
    [first, second, third, fourth]
}

#[test]
fn whichever_device_request_fails_every_request_ends() {
    let kinds = [
        (Op::Read, FaultKind::LatentError),
        (Op::Read, FaultKind::BitRot { bit: 3 }),
        (Op::Read, FaultKind::Fail),
        (Op::Write, FaultKind::StorageFull),
        (Op::Write, FaultKind::Fail),
        (Op::Flush, FaultKind::Fail),
    ];
    let mut struck_count = 0;
    for drive in 0..4 {
        for (op, kind) in &kinds {
            for nth in 1.. {
                let mut bench = Bench::new(nth);
                bench.fault(drive, FaultRule::new(*op, kind.clone()).nth(nth));
                let writes = scenario(&mut bench);
                if bench.drives[drive].events().is_empty() {
                    break; // the scenario has fewer requests of that kind
                }
                struck_count += 1;
                check_primary(&mut bench, &writes, &format!("{kind}, {op} {nth}, drive {drive}"));
            }
        }
    }
    assert!(struck_count > 100, "only {struck_count} faults struck");
}

/// What was acknowledged is there, or reported as lost.
#[track_caller]
fn check_primary(bench: &mut Bench, writes: &[HostReply], what: &str) {
    let blocks = [(0_u64, 24_u64), (3, 6), (9, 1), (0, 4)];
    for block in 0..24 {
        let of_block = (1..).zip(blocks.iter().zip(writes));
        let newest = of_block
            .filter(|(_, ((start, count), _))| (*start..start + count).contains(&block))
            .last();
        let Some((tag, (_, HostReply::Done))) = newest else { continue };
        match bench.read(0, block, 1) {
            Ok(found) => assert_eq!(found, [Tag(tag)], "{what}: block {block}"),
            Err(HostError::Medium { .. } | HostError::Drive { .. } | HostError::Access { .. }) => {}
            Err(other) => panic!("{what}: block {block}: {other}"),
        }
    }
    for pair in bench.hand.unit().pairs() {
        match pair.status {
            PairStatus::CopyInProgress => assert!(!pair.c.is_empty(), "{what}: 803, C empty"),
            PairStatus::Copied => assert!(pair.c.is_empty(), "{what}: 804, C not empty"),
            _ => {}
        }
    }
}
