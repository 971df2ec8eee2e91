//! The driver over real units: order, timing, waits, what a seed decides.
#![allow(missing_docs)] // a test program has no public items

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_device::{Device, MemoryDrive};
use diptych_dka::{Drives, Home, Op};
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId, Time, TrackNo, TrackPool};
use diptych_shared::{Pace, PairOptions, PairStatus};
use diptych_sim::{
    Answered, Costs, Driver, Perform, Picture, ReadyOrder, RequestNo, ResourceUse, Scenario,
    ScenarioStep, ScenarioVolume, Seen, Sim, SimConfig, SimError, SplitMix64, VolumePicture,
    fill_blocks, play,
};
use diptych_unit::{Effect, Event, HistoryQuery, Message, Plant, Unit, UnitConfig};

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECONDARY: LdevId = LdevId::new(0, 1);
const TRACKS: u64 = 24;

fn sim_with(unit_config: UnitConfig, config: SimConfig) -> Sim {
    let drive =
        |dka_no| -> (u16, Box<dyn Device>) { (dka_no, Box::new(MemoryDrive::new(1 << 16))) };
    let plant = Plant::new(Drives::new(vec![drive(0), drive(1)]));
    let unit = Unit::new(unit_config, &plant).unwrap();
    Sim::new(unit, plant, config)
}

fn sim(config: SimConfig) -> Sim {
    sim_of(TRACKS, config)
}

/// A primary on one drive and a secondary on the other.
fn sim_of(tracks: u64, config: SimConfig) -> Sim {
    let sim = sim_with(UnitConfig::with_cache(64, 64 << 10), config);
    for (group_no, ldev) in [PRIMARY, SECONDARY].into_iter().enumerate() {
        sim.unit().add_volume(ldev, Geometry::with_tracks(128, tracks), group_no).unwrap();
    }
    sim.unit().set_reserved(SECONDARY, true, Time::ZERO).unwrap();
    sim
}

fn write(ldev: LdevId, block: u64, count: u64, fill: u64) -> HostOp {
    HostOp::Write { ldev, block: BlockNo(block), data: fill_blocks(fill, count) }
}

fn read(ldev: LdevId, block: u64, count: u64) -> HostOp {
    HostOp::Read { ldev, blocks: BlockRange::new(BlockNo(block), count) }
}

/// Sends an operation and waits for its answer.
fn ask(sim: &mut Sim, op: HostOp) -> HostReply {
    let request = sim.start(op).unwrap();
    sim.finish(request).unwrap()
}

fn command(sim: &mut Sim, command: Command) {
    let reply = ask(sim, HostOp::Command(command));
    assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
}

fn command_of(code: CommandCode) -> Command {
    Command::new(code, PRIMARY, SECONDARY)
}

/// Adds hosts that write to random places of the primary.
fn add_writers(sim: &mut Sim, hosts: u64, writes: u64) {
    for seed in 0..hosts {
        let mut random = SplitMix64::new(seed);
        let mut left = writes;
        let host = move |now: Time, _: Option<&Answered>| {
            left = left.checked_sub(1)?;
            let (block, count) = (random.below(TRACKS * 128 - 8), 1 + random.below(8));
            Some((now + random.below(300_000), write(PRIMARY, block, count, random.next_u64())))
        };
        sim.add_host(Box::new(host)).unwrap();
    }
}

/// Fills the primary, copies it while hosts write, and gives back what a host on the secondary sees.
fn copy_under_load(sim: &mut Sim) -> HostReply {
    assert_eq!(ask(sim, write(PRIMARY, 0, TRACKS * 128, 1)), HostReply::Done);
    assert_eq!(ask(sim, HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
    command(sim, command_of(CommandCode::Create));
    add_writers(sim, 4, 10);
    sim.run_until(sim.now() + 2_000_000);
    let pair = sim.unit().pair(PRIMARY, SECONDARY).unwrap();
    assert!(!pair.c.is_empty(), "the copy command comes in the middle of the first copy");
    command(sim, command_of(CommandCode::Copy));
    add_writers(sim, 4, 30);
    sim.run_to_end();
    assert_eq!((sim.waiting_jobs(), sim.busy_jobs(), sim.open_requests()), (0, 0, 0));
    ask(sim, read(SECONDARY, 0, TRACKS * 128))
}

#[test]
fn one_seed_is_one_run() {
    let run = |seed| {
        let mut sim = sim(SimConfig { trace_max: 100_000, ..SimConfig::seeded(seed) });
        copy_under_load(&mut sim);
        (sim.trace_text(), sim.stats())
    };
    let first = run(5);
    assert!(first.0.lines().count() > 500, "a run of some length");
    assert!(first.0.contains("waits for a claim"), "jobs get in each other's way");
    assert!(first == run(5), "the same seed, another run");
    assert!(first.0 != run(6).0, "the seed decides something");
}

/// The image is the primary at the instant of the copy command, whenever effects are performed.
#[test]
fn a_copy_under_load_is_the_image() {
    let check = |config: SimConfig| {
        let mut sim = sim(config);
        assert_eq!(ask(&mut sim, write(PRIMARY, 0, TRACKS * 128, 1)), HostReply::Done);
        command(&mut sim, command_of(CommandCode::Create).without_initial_copy());
        assert_eq!(ask(&mut sim, HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
        command(&mut sim, command_of(CommandCode::Copy));
        add_writers(&mut sim, 4, 30);
        sim.run_to_end();
        let pair = sim.unit().pair(PRIMARY, SECONDARY).unwrap();
        assert_eq!(pair.status, PairStatus::Copied, "{config:?}");
        assert!(pair.protected_tracks > 0, "hosts met tracks that were not copied");
        let image = HostReply::Data(fill_blocks(1, TRACKS * 128));
        assert_eq!(ask(&mut sim, read(SECONDARY, 0, TRACKS * 128)), image, "{config:?}");
        let picture = Picture::of(&mut sim).unwrap();
        assert!(picture.volumes.iter().all(VolumePicture::is_consistent), "{config:?}");
    };
    for perform in [Perform::AtSubmit, Perform::AtCompletion] {
        check(SimConfig { perform, ..SimConfig::default() });
    }
    for seed in 0..20 {
        check(SimConfig::seeded(seed));
    }
}

/// Each effect takes its time on its resource, in the order in which it was asked for; a job that
/// asks for several goes on when the last is done: 69,632 bytes to or from a drive are 548,160 ns,
/// 65,536 bytes through the DRR 6,554 ns.
#[test]
fn effects_take_their_time_on_their_resource() {
    let mut sim = sim_of(2, SimConfig { trace_max: 1_000, ..SimConfig::default() });
    ask(&mut sim, write(PRIMARY, 0, 256, 1));
    command(&mut sim, command_of(CommandCode::Create).without_initial_copy());
    sim.run_to_end();
    command(&mut sim, command_of(CommandCode::Copy));
    sim.run_to_end();
    // A track that no slot holds, as the lane left none behind: its destage writes three parts.
    ask(&mut sim, write(SECONDARY, 3, 1, 2));
    ask(&mut sim, write(SECONDARY, 90, 2, 3));
    ask(&mut sim, HostOp::Flush { ldev: SECONDARY });
    insta::assert_snapshot!(sim.trace_text(), @r"
    0.000020 job 1 begins: write 00:00
    0.000020 job 1 ends
    0.000040 job 2 begins: command
    0.000040 job 2 ends
    1.000020 job 3 begins: background
    1.000020 job 4 begins: background
    1.000020 job 3 asks drive 0: write 69632 bytes, 1.000020..1.000568
    1.000020 job 4 asks drive 0: write 69632 bytes, 1.000568..1.001116
    1.000568 job 3 performed by drive 0
    1.000568 job 3 ends
    1.001116 job 4 performed by drive 0
    1.001116 job 4 ends
    1.001136 job 5 begins: command
    1.001136 job 5 ends
    1.001136 job 6 begins: background
    1.001136 job 6 asks drr 0: transfer 65536 bytes, 1.001136..1.001142
    1.001142 job 6 performed by drr 0
    1.001142 job 6 asks drive 1: write 69632 bytes, 1.001142..1.001691
    1.001691 job 6 performed by drive 1
    1.001691 job 6 asks drr 0: transfer 65536 bytes, 1.001691..1.001697
    1.001697 job 6 performed by drr 0
    1.001697 job 6 asks drive 1: write 69632 bytes, 1.001697..1.002245
    1.002245 job 6 performed by drive 1
    1.002245 job 6 ends
    1.002265 job 7 begins: write 00:01
    1.002265 job 7 ends
    1.002285 job 8 begins: write 00:01
    1.002285 job 8 ends
    1.002305 job 9 begins: flush 00:01
    1.002305 job 9 waits until all is clean up to 3
    1.002305 job 10 begins: background
    1.002305 job 11 begins: background
    1.002305 job 10 asks drive 1: read 4096 bytes, 1.002305..1.002526
    1.002305 job 11 ends
    1.002526 job 10 performed by drive 1
    1.002526 job 10 asks drive 1: write 512 bytes, 1.002526..1.002728
    1.002526 job 10 asks drive 1: write 1024 bytes, 1.002728..1.002933
    1.002526 job 10 asks drive 1: write 4096 bytes, 1.002933..1.003154
    1.002728 job 10 performed by drive 1
    1.002933 job 10 performed by drive 1
    1.003154 job 10 performed by drive 1
    1.003154 job 10 ends
    1.003154 job 9 woken: granted
    1.003154 job 9 asks drive 1: flush 0 bytes, 1.003154..1.003354
    1.003354 job 9 performed by drive 1
    1.003354 job 9 ends
    ");
    let row = |used: &ResourceUse| {
        let (requests, bytes, busy_ns) = (used.requests, used.bytes, used.busy_ns);
        format!("{:?}: {requests} requests, {bytes} bytes, busy {busy_ns} ns\n", used.resource)
    };
    let table: String = sim.stats().resources.iter().map(row).collect();
    insta::assert_snapshot!(table, @r"
    Drive(DriveNo(0)): 2 requests, 139264 bytes, busy 1096320 ns
    Drive(DriveNo(1)): 7 requests, 148992 bytes, busy 2144960 ns
    Drr(0): 2 requests, 131072 bytes, busy 13108 ns
    ");
}

/// A write that meets a claim waits for its end, and goes on at that instant.
#[test]
fn waiters_are_woken() {
    let check = |ready_order| {
        let mut sim = sim(SimConfig { ready_order, ..SimConfig::default() });
        // A track on the drive that no slot holds.
        ask(&mut sim, write(PRIMARY, 0, 128, 1));
        command(&mut sim, command_of(CommandCode::Create).without_initial_copy());
        command(&mut sim, command_of(CommandCode::Copy));
        sim.run_to_end();
        let at = sim.now();
        sim.submit(at, read(SECONDARY, 0, 8)).unwrap();
        for fill in [2, 3, 4] {
            sim.submit(at + 1, write(SECONDARY, 0, 8, fill)).unwrap();
        }
        sim.run_until(at + 20_001);
        assert_eq!((sim.busy_jobs(), sim.waiting_jobs()), (1, 3));
        sim.run_to_end();
        let answers = sim.take_answers();
        let waited: Vec<_> = answers.iter().map(|a| a.answered_at.ns_since(at)).collect();
        // 20 us the operation, 200 us the request, 69,632 bytes of 5 ns.
        assert_eq!(waited, [568_160; 4]);
        assert_eq!(answers[0].reply, HostReply::Data(fill_blocks(1, 128).slice(..4096)));
        let order: Vec<_> = answers.iter().map(|a| a.request).collect();
        if ready_order == ReadyOrder::Fifo {
            let first = order[0].0;
            assert_eq!(order, [0, 1, 2, 3].map(|n| RequestNo(first + n)));
        }
        assert_eq!((sim.waiting_jobs(), sim.open_requests()), (0, 0));
    };
    check(ReadyOrder::Fifo);
    check(ReadyOrder::Seeded);
}

/// After an elemental copy of n tracks a lane rests 15 - n units; between the first and the last
/// track nothing else takes time here.
#[test]
fn pace_is_the_rest_between_elemental_copies() {
    const REST_NS: u64 = 1_000;
    let check = |pace: Pace, tracks: u64, expected_ns: u64| {
        let unit_config = UnitConfig {
            copy_rest_ns: REST_NS,
            needs_reserve: false,
            ..UnitConfig::with_cache(8, 512)
        };
        let mut sim =
            sim_with(unit_config, SimConfig { costs: Costs::FREE, ..SimConfig::default() });
        for ldev in [PRIMARY, SECONDARY] {
            sim.unit().add_metadata_volume(ldev, Geometry::with_tracks(1, tracks)).unwrap();
        }
        command(&mut sim, command_of(CommandCode::Create).without_initial_copy());
        let at = Time::from_ns(500);
        let options = PairOptions { pace, ..PairOptions::default() };
        let copy = command_of(CommandCode::Copy).with_options(options);
        sim.submit(at, HostOp::Command(copy)).unwrap();
        sim.run_to_end();
        let history = sim.unit().history(&HistoryQuery::default()).entries;
        let ended = history.iter().find(|entry| entry.message == Message::CopyEnded).unwrap();
        assert_eq!(ended.at.ns_since(at), expected_ns, "{pace}, {tracks} tracks");
        assert_eq!((ended.tracks, ended.duration_ns), (Some(tracks), Some(expected_ns)));
    };
    check(Pace::FAST, 100, 0);
    check(Pace::SLOW, 1, 0);
    check(Pace::SLOW, 100, 99 * 14 * REST_NS);
    check(Pace::MEDIUM, 100, 33 * 12 * REST_NS);
    check(Pace::try_from(10).unwrap(), 100, 9 * 5 * REST_NS);
}

/// What is queued and not performed never happens if the run is given up.
#[test]
fn what_is_not_performed_can_be_dropped() {
    let check = |perform, expected: bool| {
        let mut sim = sim(SimConfig { perform, ..SimConfig::default() });
        assert_eq!(ask(&mut sim, write(PRIMARY, 0, 128, 1)), HostReply::Done);
        sim.submit(sim.now(), HostOp::Flush { ldev: PRIMARY }).unwrap();
        sim.run_until(sim.now() + 300_000);
        assert_eq!(sim.busy_jobs(), 1, "the destage is half-way through");
        let home = sim.unit().home(sim.unit().volume(PRIMARY).unwrap().backing).unwrap();
        let plant = sim.into_plant();
        assert_eq!(first_sector(&plant, &home) == fill_blocks(1, 1), expected, "{perform:?}");
    };
    check(Perform::AtSubmit, true);
    check(Perform::AtCompletion, false);
}

/// The first sector of a backing, behind the unit's back.
fn first_sector(plant: &Plant, home: &Home) -> Vec<u8> {
    let place = home.place(TrackNo(0));
    let pool = TrackPool::new(1, 512);
    assert!(pool.reserve(1));
    let data = Some((pool.take_reserved(), 0..512));
    let op = Op::Read { drive: place.drive, sector: place.data, data, checks: None };
    let Event::Disk(done) = plant.perform(Effect::Disk(op)) else {
        panic!("a drive's answer to a drive's request")
    };
    done.result.unwrap();
    done.data.unwrap().bytes().to_vec()
}

#[test]
fn open_requests_are_limited() {
    let mut sim = sim(SimConfig { requests_max: 2, ..SimConfig::default() });
    let flush = || HostOp::Flush { ldev: PRIMARY };
    sim.submit(Time::ZERO, flush()).unwrap();
    sim.submit(Time::from_ns(70), flush()).unwrap();
    let refused = Err(SimError::TooManyRequests { limit: 2 });
    assert_eq!(sim.submit(Time::ZERO, flush()), refused);
    sim.run_to_end();
    assert_eq!(sim.submit(Time::ZERO, flush()), refused, "answers that nobody took count");
    assert_eq!(sim.take_answers().len(), 2);
    sim.submit(Time::ZERO, flush()).unwrap();
}

#[test]
fn a_status_that_never_comes_is_named() {
    let volume = |ldev, reserved| {
        let geometry = Geometry::with_tracks(128, 4);
        ScenarioVolume { ldev, geometry, group_no: None, reserved }
    };
    let wait = |status| ScenarioStep::WaitPair { primary: PRIMARY, secondary: SECONDARY, status };
    let scenario = Scenario {
        volumes: vec![volume(PRIMARY, false), volume(SECONDARY, true)],
        steps: vec![
            wait(None),
            ScenarioStep::Command(command_of(CommandCode::Create)),
            ScenarioStep::Settle,
            wait(Some(PairStatus::Copied)),
        ],
    };
    let mut sim = sim_with(UnitConfig::with_cache(8, 64 << 10), SimConfig::default());
    let expected = SimError::NeverReached {
        step_no: 3,
        primary: PRIMARY,
        secondary: SECONDARY,
        wanted: Seen(Some(PairStatus::Copied)),
        found: Seen(Some(PairStatus::PairedNotCopied)),
    };
    assert_eq!(play(&mut sim, &scenario), Err(expected));
}
