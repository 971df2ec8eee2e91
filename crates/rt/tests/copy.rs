//! A copy under writers, on threads: the secondary holds the primary as of the copy command.

use diptych_cha::{Command, CommandCode, HostOp, HostReply, Outcome};
use diptych_device::MemoryDrive;
use diptych_dka::Drives;
use diptych_format::{BlockNo, BlockRange, Geometry, LdevId};
use diptych_rt::{Clock, Rt, RtConfig};
use diptych_shared::{Pace, PairOptions, PairStatus};
use diptych_sync::atomic::{AtomicBool, Ordering};
use diptych_sync::{Arc, thread};
use diptych_unit::{Plant, Schedule, Scope, Unit, UnitConfig, Utc, When};
use std::time::Duration;

const PRIMARY: LdevId = LdevId::new(0, 0);
const SECONDARY: LdevId = LdevId::new(0, 1);
const TRACKS: u64 = 40;

fn unit(cache_slots: usize) -> Rt {
    let drive = || Box::new(MemoryDrive::new(1 << 16));
    let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
    let config = UnitConfig { copy_rest_ns: 0, ..UnitConfig::with_cache(cache_slots, 64 << 10) };
    let unit = Unit::new(config, &plant).unwrap();
    let geometry = Geometry::with_tracks(128, TRACKS);
    unit.add_volume(PRIMARY, geometry, 0).unwrap();
    unit.add_volume(SECONDARY, geometry, 1).unwrap();
    unit.set_reserved(SECONDARY, true, diptych_format::Time::ZERO).unwrap();
    Rt::start(unit, plant, RtConfig::default()).unwrap()
}

fn write(rt: &Rt, block: u64, blocks: u64, byte: u8) {
    let data = vec![byte; blocks as usize * 512].into();
    let reply = rt.execute(HostOp::Write { ldev: PRIMARY, block: BlockNo(block), data });
    assert_eq!(reply, HostReply::Done);
}

fn read(rt: &Rt, ldev: LdevId) -> Vec<u8> {
    let blocks = BlockRange::new(BlockNo(0), TRACKS * 128);
    match rt.execute(HostOp::Read { ldev, blocks }) {
        HostReply::Data(data) => data.to_vec(),
        other => panic!("{other:?}"),
    }
}

fn command(rt: &Rt, code: CommandCode) -> Option<PairStatus> {
    let options = PairOptions { pace: Pace::FAST, lanes: 2, ..PairOptions::default() };
    let command = Command::new(code, PRIMARY, SECONDARY).with_options(options);
    match rt.execute(HostOp::Command(command)) {
        HostReply::Outcome(Outcome::Accepted { to, .. }) => to,
        other => panic!("{other:?}"),
    }
}

/// The clock of the machine may stand still for the copy, but it never runs ahead of the ceiling.
#[test]
fn a_ceiling_holds_on_a_wall_clock() {
    let rt = unit(100);
    for track in 0..TRACKS {
        write(&rt, track * 128, 1, track as u8);
    }
    let limit = "200/s".parse().ok();
    let create = Command::new(CommandCode::Create, PRIMARY, SECONDARY).without_initial_copy();
    let options = PairOptions { pace: Pace::FAST, lanes: 4, limit, ..PairOptions::default() };
    let copy = Command::new(CommandCode::Copy, PRIMARY, SECONDARY).with_options(options);
    let begun = rt.now();
    for command in [create, copy] {
        let reply = rt.execute(HostOp::Command(command));
        assert!(matches!(reply, HostReply::Outcome(Outcome::Accepted { .. })), "{reply:?}");
    }
    wait_copied(&rt);
    // All but the first wait 5 ms each; what a late start lost, up to 100 ms, is made up for.
    let least_ns = (TRACKS - 1) * 5_000_000 - 100_000_000;
    let took_ns = rt.now().ns_since(begun);
    assert!(took_ns >= least_ns, "{TRACKS} tracks in {took_ns} ns");
    let speed = rt.unit().copy_speed(PRIMARY, SECONDARY, rt.now());
    assert!(speed.is_none_or(|speed| speed.hosts.requests == 0), "{speed:?}");
    rt.stop();
}

fn wait_copied(rt: &Rt) {
    while rt.unit().pair(PRIMARY, SECONDARY).unwrap().status != PairStatus::Copied {
        thread::sleep(Duration::from_micros(100));
    }
}

#[test]
fn the_image_is_the_primary_at_the_copy_command() {
    for cache_slots in [100, 4000] {
        let rt = unit(cache_slots);
        for track in 0..TRACKS {
            write(&rt, track * 128, if track % 3 == 0 { 5 } else { 128 }, track as u8 + 1);
        }
        assert_eq!(command(&rt, CommandCode::Create), Some(PairStatus::PairedNotCopied));
        write(&rt, 100, 700, 0xAA);
        let image = read(&rt, PRIMARY);
        command(&rt, CommandCode::Copy);
        let writers: Vec<_> = (0..2_u64)
            .map(|n| {
                let rt = rt.clone();
                thread::spawn(move || {
                    for i in 0..400_u64 {
                        let block = (i * 7919 + n * 131) % (TRACKS * 128 - 300);
                        write(&rt, block, 1 + i % 300, i as u8);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().unwrap();
        }
        wait_copied(&rt);
        assert!(read(&rt, SECONDARY) == image, "the secondary is not the image");

        assert_eq!(command(&rt, CommandCode::Resync), Some(PairStatus::PairedNotCopied));
        write(&rt, 3, 9, 0xBB);
        let image = read(&rt, PRIMARY);
        command(&rt, CommandCode::Copy);
        wait_copied(&rt);
        assert!(read(&rt, SECONDARY) == image, "the secondary is not the second image");
        assert_eq!(rt.execute(HostOp::Flush { ldev: PRIMARY }), HostReply::Done);
        assert_eq!(rt.unit().cache_counts().dirty_slots, 0);
        command(&rt, CommandCode::Delete);
        rt.stop();
    }
}

/// A schedule that was added by hand is taken up by the workers, and is over after its tick.
#[test]
fn a_copy_at_its_time() {
    let drive = || Box::new(MemoryDrive::new(1 << 16));
    let plant = Plant::new(Drives::new(vec![(0, drive()), (1, drive())]));
    let unit = Unit::new(UnitConfig::with_cache(100, 64 << 10), &plant).unwrap();
    let geometry = Geometry::with_tracks(128, TRACKS);
    unit.add_volume(PRIMARY, geometry, 0).unwrap();
    unit.add_volume(SECONDARY, geometry, 1).unwrap();
    unit.set_reserved(SECONDARY, true, diptych_format::Time::ZERO).unwrap();
    let rt =
        Rt::start(unit, plant, RtConfig { clock: Clock::jump(), ..RtConfig::default() }).unwrap();
    write(&rt, 0, 128, 7);
    command(&rt, CommandCode::Create);
    let scope = Scope::Pair { primary: PRIMARY, secondary: SECONDARY };
    let tomorrow = Utc::from_seconds(24 * 3_600);
    let schedule = Schedule::new(scope, When::At(tomorrow));
    rt.unit().add_schedule(schedule, rt.now()).unwrap();
    rt.ask_due();
    rt.wait_idle();
    assert_eq!(rt.unit().schedules(), []);
    let images = rt.unit().images(PRIMARY);
    assert_eq!(images.len(), 1);
    assert!(images[0].complete && images[0].utc >= tomorrow, "{images:?}");
    assert_eq!(read(&rt, SECONDARY)[..128 * 512], [7; 128 * 512]);
    rt.stop();
}

/// What was due and is not any more is not waited for, be it asked before or after.
#[test]
fn a_schedule_that_was_taken_back_keeps_nobody() {
    let rt = unit(100);
    command(&rt, CommandCode::Create);
    let scope = Scope::Pair { primary: PRIMARY, secondary: SECONDARY };
    let tomorrow = Schedule::new(scope, When::At(Utc::from_seconds(24 * 3_600)));
    for taken_back_first in [true, false] {
        let id = rt.unit().add_schedule(tomorrow.clone(), rt.now()).unwrap();
        rt.ask_due();
        let take_back = || {
            rt.unit().remove_schedule(id, rt.now()).unwrap();
            rt.ask_due();
        };
        if taken_back_first {
            take_back();
        }
        let idle = Arc::new(AtomicBool::new(false));
        let within = |ms: u64| {
            (0..ms).any(|_| {
                thread::sleep(Duration::from_millis(1));
                idle.load(Ordering::Acquire)
            })
        };
        let waiter = thread::spawn({
            let (rt, idle) = (rt.clone(), idle.clone());
            move || {
                rt.wait_idle();
                idle.store(true, Ordering::Release);
            }
        });
        if !taken_back_first {
            assert!(!within(50), "something is due tomorrow");
            take_back();
        }
        assert!(within(30_000), "taken back first: {taken_back_first}");
        waiter.join().unwrap();
    }
    rt.stop();
}
