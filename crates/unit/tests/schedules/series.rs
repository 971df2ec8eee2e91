//! Properties: at any time the series holds the most recent complete images, and the oldest is the one
//! that is replaced.

use crate::bench::*;
use diptych_cha::CommandCode;
use diptych_format::LdevId;
use diptych_shared::PairStatus;
use diptych_testkit::ldev;
use diptych_unit::{Image, ScheduleId};
use proptest::prelude::*;

/// Seconds from tick to tick.
const PERIOD: u64 = 100;

#[derive(Debug, Clone, Copy)]
enum Happens {
    /// A host writes a track of the primary.
    Write(u64),
    /// A host writes a secondary, if it may.
    Use(u8),
    /// So many seconds pass.
    Pass(u64),
    /// So many seconds pass, and nobody asks the unit.
    Sleep(u64),
    /// The operator gives a command to a pair.
    Command(CommandCode, u8),
}

fn happens() -> impl Strategy<Value = Happens> {
    let codes = [CommandCode::Suspend, CommandCode::Resync, CommandCode::Copy];
    prop_oneof![
        4 => (0..TRACKS).prop_map(Happens::Write),
        2 => (1..5_u8).prop_map(Happens::Use),
        8 => (1..3 * PERIOD).prop_map(Happens::Pass),
        1 => (1..5 * PERIOD).prop_map(Happens::Sleep),
        1 => (prop::sample::select(codes.to_vec()), 1..5_u8).prop_map(|(c, no)| Happens::Command(c, no)),
    ]
}

/// The series before and after a tick, and who may not be taken.
struct Tick<'a> {
    before: &'a [Image],
    after: &'a [Image],
    in_use: &'a [LdevId],
    /// Within the last second of the half minute: in use or not.
    may_be_in_use: &'a [LdevId],
    images: usize,
}

impl Tick<'_> {
    fn check(&self) {
        let gone: Vec<&Image> = self
            .before
            .iter()
            .filter(|image| self.after.iter().all(|other| other.image != image.image))
            .collect();
        assert!(gone.len() <= 1, "a tick replaces one image: {gone:?}");
        for image in &gone {
            assert!(image.complete, "one that is not complete is left alone: {image:?}");
            assert!(!self.in_use.contains(&image.secondary), "a host uses it: {image:?}");
            let older = self.before.iter().take_while(|other| other.image < image.image);
            for other in older {
                let in_use = [self.in_use, self.may_be_in_use].concat();
                let excused = !other.complete || in_use.contains(&other.secondary);
                assert!(excused, "{other:?} is older than {image:?}, which was replaced");
            }
            let stayed = |other: &&Image| self.before.iter().any(|old| old.image == other.image);
            let left = self.after.iter().filter(stayed).filter(|other| other.complete).count();
            assert!(left >= self.images, "{left} complete images are left of {}", self.images);
        }
    }
}

/// Turns the bench to the next tick and over it, and looks at the series on both sides.
fn run(secondaries: u8, images: usize, rest_ns: u64, program: &[Happens]) {
    let mut bench = Bench::with_config(secondaries, false, |config| config.copy_rest_ns = rest_ns);
    let id = bench.add(rotation(secondaries, images), every(PERIOD as u32));
    let mut used_at: Vec<(LdevId, u64)> = Vec::new();
    for &what in program {
        match what {
            Happens::Write(track) => {
                bench.write(0, track);
            }
            Happens::Use(no) if no <= secondaries => {
                if bench.try_write(no, 0).is_ok() {
                    used_at.push((ldev(no), bench.now().ns));
                }
            }
            Happens::Use(_) => {}
            Happens::Command(code, no) if no <= secondaries => {
                bench.give(command(code, no).with_options(slow()));
            }
            Happens::Command(..) => {}
            Happens::Sleep(seconds) => {
                // Copies end and ticks are taken in one moment: nobody can tell what came first.
                bench.sleep(seconds * SECOND);
            }
            Happens::Pass(seconds) => pass(&mut bench, id, seconds, &used_at, images),
        }
        let series = bench.series(id);
        assert!(series.is_sorted_by_key(|image| image.at), "by time: {series:?}");
    }
    // Left alone, the series is the most recent ticks.
    bench.pass(40 * PERIOD * SECOND);
    let able = (1..=secondaries).filter(|no| bench.status(*no) != PairStatus::Suspended);
    let able = able.count() as u64;
    if able > images as u64 {
        let last = bench.now().ns / SECOND / PERIOD;
        let expected: Vec<u64> = (last + 1 - able..=last).map(|tick| tick * PERIOD).collect();
        let found: Vec<u64> = bench.images(id).iter().map(|(_, at)| *at).collect();
        assert_eq!(found, expected);
    }
}

/// Lets seconds pass up to each tick and over it.
fn pass(bench: &mut Bench, id: ScheduleId, seconds: u64, used_at: &[(LdevId, u64)], images: usize) {
    let end = bench.now().ns + seconds * SECOND;
    loop {
        let tick = (bench.now().ns / (PERIOD * SECOND) + 1) * PERIOD * SECOND;
        if tick > end {
            break;
        }
        let now = bench.now().ns;
        bench.pass(tick - 1 - now);
        let before = bench.series(id);
        bench.pass(1);
        check(bench, id, &before, used_at, images);
    }
    let now = bench.now().ns;
    bench.pass(end - now);
}

fn check(
    bench: &Bench,
    id: ScheduleId,
    before: &[Image],
    used_at: &[(LdevId, u64)],
    images: usize,
) {
    let now = bench.now().ns;
    let used_since = |ns: u64| -> Vec<LdevId> {
        used_at.iter().filter(|(_, at)| now - at < ns).map(|(ldev, _)| *ldev).collect()
    };
    let (in_use, may_be_in_use) = (used_since(29 * SECOND), used_since(30 * SECOND));
    let (in_use, may_be_in_use) = (&in_use[..], &may_be_in_use[..]);
    Tick { before, after: &bench.series(id), in_use, may_be_in_use, images }.check();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn the_oldest_complete_image_is_replaced(
        secondaries in 2..=4_u8,
        images in 1..=3_usize,
        // Primes: no turn of a lane comes in the moment of a tick.
        rest_ns in prop::sample::select(vec![0, 100_000_007, 1_000_000_007, 5_000_000_029]),
        program in prop::collection::vec(happens(), 1..40),
    ) {
        prop_assume!(images < usize::from(secondaries));
        run(secondaries, images, rest_ns, &program);
    }
}
