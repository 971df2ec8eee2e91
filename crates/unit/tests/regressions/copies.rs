//! Copies that go on whatever happens beside them, and what is found where they do not.

use crate::bench::*;
use diptych_cha::{CommandCode, HostOp, HostReply, Outcome};
use diptych_device::{FaultKind, FaultRule, Op};
use diptych_format::{BlockNo, BlockRange, Geometry, TrackNo, TrackRange, Wait};
use diptych_shared::{MapName, Pace, PairOptions, PairStatus, Phase, TrackMap, VolumeState};
use diptych_testkit::ldev;

const ALL: [u64; TRACKS as usize] = [0, 1, 2, 3, 4, 5];

/// 0 -> 1 with an image, 1 -> 2 that follows and has caught up.
fn cascade(bench: &mut Bench) {
    bench.fill(0, 1);
    bench.split(0, 1);
    bench.accept(command(CommandCode::Create, 1, 2));
    bench.settle();
    assert_eq!(bench.pair(1, 2).phase, Phase::Duplex);
}

#[test]
fn the_level_below_goes_on_when_a_destage_ends_the_copy_above() {
    for status in [PairStatus::PairedNotCopied, PairStatus::CopyInProgress] {
        let mut bench = Bench::new(1, config(24), 3);
        cascade(&mut bench);
        // Both sides of the first level change in 804: tracks 1 and 3, and 1 is dirty in cache.
        assert_eq!(bench.alone(write_of(1, 5, 1, 2)), HostReply::Done);
        assert_eq!(bench.alone(write_of(0, 13, 1, 3)), HostReply::Done);
        let rule = FaultRule::new(Op::Write, FaultKind::StorageFull).touching(sectors(1));
        bench.drives[1].goes_wrong(rule.repeated());
        bench.alone(HostOp::Command(command(CommandCode::Resync, 0, 1)));
        if status == PairStatus::CopyInProgress {
            bench.alone(HostOp::Command(command(CommandCode::Copy, 0, 1)));
        }
        assert_eq!(bench.pair(0, 1).status, status);
        let flush = bench.begin(HostOp::Flush { ldev: ldev(1) });
        // The lane above stands still; what it is to bring is skipped below until it is given up.
        let above = bench.due()[0];
        let c =
            |bench: &Bench, primary, secondary| tracks(&bench.pair(primary, secondary), MapName::C);
        assert_eq!((c(&bench, 0, 1), c(&bench, 1, 2)), (vec![1, 3], vec![1]));
        bench.run_without(&[above]);
        assert_eq!(bench.pair(0, 1).status, PairStatus::Suspended, "from {status}");
        assert_eq!((c(&bench, 0, 1), c(&bench, 1, 2)), (vec![1, 3], vec![]), "from {status}");
        assert!(matches!(bench.reply(flush), HostReply::Failed(_)));
        assert_eq!(bench.failures(), [3003], "from {status}");
        assert_eq!(bench.state(1), VolumeState::Blocked);
        bench.settle();
        assert_eq!(bench.pair(1, 2).phase, Phase::Duplex);
        bench.accept(command(CommandCode::Suspend, 1, 2));
        bench.accept(command(CommandCode::Delete, 1, 2));
        assert_eq!(bench.read(2, 4, 3), Ok(vec![1, 2, 1]), "from {status}");
    }
}

#[test]
fn the_end_of_an_old_turn_is_not_taken_for_that_of_the_copier_started_since() {
    let mut config = config(6);
    config.destage_jobs = 1;
    config.chunk_blocks = TRACKS * BLOCKS_PER_TRACK;
    let mut bench = Bench::new(1, config, 3);
    bench.fill(0, 1);
    bench.evict(2);
    // The cache is full of what is dirty, its destage stands still, and a lane waits for room.
    assert_eq!(bench.alone(write_of(2, 0, TRACKS * BLOCKS_PER_TRACK, 2)), HostReply::Done);
    let flush = bench.begin(HostOp::Flush { ldev: ldev(2) });
    let destage = bench.due()[0];
    bench.turn_to_effect(destage, 0);
    bench.alone(HostOp::Command(command(CommandCode::Create, 0, 1)));
    let old = bench.due()[0];
    bench.turn(old);
    assert!(bench.hand.waiting().any(|(id, wait)| id == old && matches!(wait, Wait::Admit(_))));
    // The copier is another one now. Its lane stands before its first step.
    for code in [CommandCode::Suspend, CommandCode::Resync] {
        bench.alone(HostOp::Command(command(code, 0, 1)));
    }
    let new = bench.due();
    assert_eq!(new.len(), 1, "one lane");
    for id in [destage, flush, old] {
        bench.turn(id);
    }
    assert_eq!(bench.jobs(), new, "the old turn has ended");
    // Long enough for a lane to have rested.
    bench.hand.advance(bench.hand.now() + 10_000_000);
    assert_eq!(bench.due(), [], "no lane is started beside the new one");
    bench.settle();
    assert_eq!(bench.pair(0, 1).phase, Phase::Duplex);
    assert!(bench.pair(0, 1).c.is_empty());
}

#[test]
fn a_copy_stopped_and_started_under_its_lanes_goes_on() {
    for seed in 0..300 {
        let mut bench = Bench::new(seed, config(7), 2);
        bench.fill(0, 1);
        bench.settle();
        let options = PairOptions { lanes: 2, ..PairOptions::default() };
        bench.accept(command(CommandCode::Create, 0, 1).with_options(options));
        for code in [CommandCode::Suspend, CommandCode::Resync].into_iter().cycle().take(6) {
            let moves = bench.choices.one_of(12);
            bench.hand.run_random(&mut bench.choices, moves as u64);
            bench.hand.start(HostOp::Command(command(code, 0, 1).with_options(options)));
        }
        bench.settle();
        if bench.pair(0, 1).status == PairStatus::Suspended {
            bench.accept(command(CommandCode::Resync, 0, 1));
            bench.settle();
        }
        assert_eq!(bench.pair(0, 1).phase, Phase::Duplex, "seed {seed}");
        assert!(bench.pair(0, 1).c.is_empty(), "seed {seed}");
        bench.hand.quiesce(&mut bench.choices).unwrap_or_else(|v| panic!("seed {seed}: {v}"));
        bench.hand.check_stored().unwrap_or_else(|v| panic!("seed {seed}: {v}"));
    }
}

#[test]
fn what_is_set_here_and_not_there_is_found_without_a_look_at_each_track() {
    // More tracks than could be looked at one by one.
    let size = 1 << 48;
    let all = TrackRange::new(TrackNo(0), size);
    #[track_caller]
    fn check(map: &TrackMap, except: &TrackMap, from: u64, expected: Option<u64>) {
        assert_eq!(map.next_set_except(TrackNo(from), except), expected.map(TrackNo));
    }
    let (empty, full) = (TrackMap::new(size), TrackMap::full(size));
    check(&full, &full, 0, None);
    check(&empty, &full, 0, None);
    check(&full, &empty, 5, Some(5));
    let mut but_last = TrackMap::full(size);
    but_last.clear(TrackNo(size - 1));
    check(&full, &but_last, 0, Some(size - 1));
    check(&but_last, &full, 0, None);
    check(&but_last, &but_last, 0, None);
    // Mixed pages of both, at the same places and at others.
    let (mut mine, mut other) = (TrackMap::full(size), TrackMap::new(size));
    other.set_range(TrackRange { end: TrackNo(size - 70_001), ..all });
    for track in (0..size).step_by(1 << 40) {
        mine.clear(TrackNo(track));
        other.clear(TrackNo(track));
    }
    check(&mine, &other, 0, Some(size - 70_001));
    check(&mine, &other, size - 5, Some(size - 5));
    check(&other, &mine, 0, None);
    assert!(mine.memory_bytes() < 2 << 20, "{} bytes", mine.memory_bytes());
}

#[test]
fn a_cascade_with_everything_to_copy_takes_steps_by_the_track() {
    const MANY: u64 = 200_000;
    let mut config = config(8);
    config.request_blocks_max = MANY;
    let mut bench = Bench::new(1, config, 1);
    for no in [1, 2, 3] {
        let geometry = Geometry::with_tracks(1, MANY);
        bench.unit().add_metadata_volume(ldev(no), geometry).expect("no such volume yet");
    }
    let options = PairOptions { pace: Pace::FAST, ..PairOptions::default() };
    let create =
        |primary, secondary| command(CommandCode::Create, primary, secondary).with_options(options);
    let turns = MANY.div_ceil(u64::from(Pace::FAST.tracks()));
    // A turn is one step, and asking what is due is another.
    let from = bench.hand.moves_made();
    bench.split_with(create(1, 2));
    let alone = bench.hand.moves_made() - from;
    assert!((turns..3 * turns).contains(&alone), "{alone} steps for {turns} turns");
    bench.accept(create(2, 3).without_initial_copy());
    bench.accept(command(CommandCode::Suspend, 2, 3));
    bench.fill(1, 1);
    bench.accept(command(CommandCode::Resync, 1, 2).with_options(options));
    bench.accept(command(CommandCode::Resync, 2, 3).with_options(options));
    let both = [bench.pair(1, 2).c.count(), bench.pair(2, 3).c.count()];
    assert!(both.iter().all(|count| *count > MANY - 1_000), "{both:?}");
    let from = bench.hand.moves_made();
    bench.settle();
    let steps = bench.hand.moves_made() - from;
    assert_eq!((bench.pair(1, 2).phase, bench.pair(2, 3).phase), (Phase::Duplex, Phase::Duplex));
    // What is brought to the second level while its lane looks on may take a turn of its own.
    assert!(steps < 8 * turns, "{steps} steps for two times {turns} turns");
}

#[test]
fn a_read_of_several_tracks_waits_for_who_is_changing_them() {
    let mut bench = Bench::new(1, config(24), 2);
    bench.fill(0, 1);
    bench.settle();
    bench.alone(HostOp::Command(command(CommandCode::Create, 0, 1).without_initial_copy()));
    bench.alone(HostOp::Command(command(CommandCode::Copy, 0, 1)));
    // The image needs tracks 1 and 2 first: the writer stands half-way, with its claim.
    let writer = bench.begin_to_effect(write_of(0, 6, 4, 2), 1);
    assert_eq!(bench.pair(0, 1).protected_tracks, 1, "one of two tracks is protected");
    let reader = bench.begin(read_of(0, 6, 4));
    let waits: Vec<_> = bench.hand.waiting().collect();
    assert_eq!(waits, [(reader, Wait::Claim)]);
    // One track is of one instant anyway, and so are tracks that nobody changes.
    let one = bench.alone(read_of(0, 6, 2));
    assert_eq!(tags_of(6, one), Ok(vec![1; 2]));
    let others = bench.alone(read_of(0, 12, 12));
    assert_eq!(tags_of(12, others), Ok(vec![1; 12]));
    bench.turn(writer);
    assert_eq!(bench.reply(writer), HostReply::Done);
    bench.turn(reader);
    let read = bench.reply(reader);
    assert_eq!(tags_of(6, read), Ok(vec![2; 4]));
}

#[test]
fn a_follower_of_what_is_no_image_is_all_different_once_it_fails() {
    for seed in 0..50 {
        let mut bench = Bench::new(seed, config(24), 3);
        cascade(&mut bench);
        bench.accept(command(CommandCode::Resync, 0, 1));
        let rule = FaultRule::new(Op::Write, FaultKind::StorageFull).touching(sectors(2));
        bench.drives[2].goes_wrong(rule.repeated());
        assert_eq!(bench.write(0, 9, 1, 2), HostReply::Done);
        bench.settle();
        let (above, below) = (bench.pair(0, 1), bench.pair(1, 2));
        assert_eq!((above.status, above.phase), (PairStatus::PairedNotCopied, Phase::Duplex));
        assert_eq!(below.status, PairStatus::Suspended, "seed {seed}");
        assert_eq!(tracks(&below, MapName::C), ALL, "seed {seed}");
        assert_eq!(bench.failures(), [3002], "seed {seed}");
        bench.accept(command(CommandCode::Delete, 1, 2));
        assert!(bench.volume(2).undefined, "seed {seed}");
        // Behind an image it is otherwise: only what is not copied differs.
        bench.drives[2].heal();
        bench.accept(command(CommandCode::Copy, 0, 1));
        bench.accept(command(CommandCode::Create, 1, 2));
        bench.settle();
        let rule = FaultRule::new(Op::Write, FaultKind::StorageFull).touching(sectors(4));
        bench.drives[2].goes_wrong(rule.repeated());
        assert_eq!(bench.write(1, 17, 1, 3), HostReply::Done);
        bench.settle();
        assert_eq!(bench.pair(1, 2).status, PairStatus::Suspended, "seed {seed}");
        assert_eq!(tracks(&bench.pair(1, 2), MapName::C), [4], "seed {seed}");
    }
}

#[test]
fn a_command_that_stops_a_copy_is_between_two_tracks() {
    let mut bench = Bench::new(1, config(24), 2);
    bench.fill(0, 1);
    bench.settle();
    bench.alone(HostOp::Command(command(CommandCode::Create, 0, 1)));
    // The lane stands at its write to the drive, after the transfer.
    let lane = bench.due()[0];
    bench.turn_to_effect(lane, 1);
    let suspend = bench.begin(HostOp::Command(command(CommandCode::Suspend, 0, 1)));
    let resync = bench.begin(HostOp::Command(command(CommandCode::Resync, 0, 1)));
    let waits: Vec<_> = bench.hand.waiting().collect();
    assert_eq!(waits, [(suspend, Wait::Claim), (resync, Wait::Claim)]);
    bench.turn(lane);
    bench.run_without(&[]);
    for id in [suspend, resync] {
        let reply = bench.reply(id);
        assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
    }
    bench.settle();
    assert_eq!(bench.pair(0, 1).phase, Phase::Duplex);
    let blocks = BlockRange::new(BlockNo(0), TRACKS * BLOCKS_PER_TRACK);
    bench.accept(command(CommandCode::Copy, 0, 1));
    assert_eq!(bench.read(1, 0, blocks.count()), Ok(vec![1; blocks.count() as usize]));
}

/// Hosts have nothing to do with a copy that is over, however it came to its end: nobody counts for it.
#[test]
fn a_copy_that_has_ended_is_not_watched() {
    let limit = "1ms".parse().ok();
    let options = PairOptions { quick: true, limit, ..PairOptions::default() };
    let seen = |bench: &Bench| {
        let speed = bench.unit().copy_speed(ldev(0), ldev(1), bench.hand.now());
        speed.expect("it was to be copied").hosts.requests
    };
    for by_host in [false, true] {
        let mut bench = Bench::new(1, config(6), 3);
        bench.fill(0, 1);
        bench.evict(2);
        let create = command(CommandCode::Create, 0, 1).with_options(options);
        bench.alone(HostOp::Command(create.without_initial_copy().and_copy()));
        if by_host {
            // The lane has copied one track; the others are written whole, and need not be brought.
            let lane = bench.due()[0];
            bench.turn(lane);
            for track in ALL {
                bench.alone(write_of(1, track * BLOCKS_PER_TRACK, BLOCKS_PER_TRACK, 2));
            }
        }
        bench.settle();
        assert_eq!(bench.pair(0, 1).status, PairStatus::Copied);
        bench.evict(2);
        let before = seen(&bench);
        assert_eq!(bench.read(0, 0, 4), Ok(vec![1; 4]));
        assert_eq!(seen(&bench), before, "by a host: {by_host}");
        // The next copy is watched like the first.
        bench.fill(0, 3);
        bench.evict(2);
        bench.accept(command(CommandCode::Resync, 0, 1).with_options(options));
        bench.evict(2);
        assert_eq!(bench.pair(0, 1).phase, Phase::Duplex);
        let before = seen(&bench);
        assert_eq!(bench.read(0, 0, 4), Ok(vec![3; 4]));
        assert_eq!(seen(&bench), before + 1, "by a host: {by_host}");
    }
}
