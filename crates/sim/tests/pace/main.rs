//! Copies with a limit, in virtual time: what hosts notice of them, and how long they take.
#![allow(missing_docs)] // a test program has no public items

mod lab;

use diptych_shared::{Pace, PairOptions};
use diptych_unit::{HeldBy, HistoryQuery, UnitConfig};
use lab::{Lab, Latency, Load, MS, PRIMARY, SECOND, SECONDARY, alone};
use std::fmt::Write as _;

fn fast(lanes: u8, limit: Option<&str>) -> PairOptions {
    let limit = limit.map(|limit| limit.parse().unwrap());
    PairOptions { pace: Pace::FAST, lanes, limit, ..PairOptions::default() }
}

/// Whatever the lanes, the pace and the hosts: so many tracks a second, and no more.
#[test]
fn a_ceiling_is_kept_within_one_percent() {
    const TRACKS: u64 = 3_000;
    let check = |per_second: u64, options: PairOptions, load: Option<Load>| {
        let mut lab = Lab::new(TRACKS, |_| ());
        load.into_iter().for_each(|load| lab.hosts(load));
        lab.copy(options);
        let (begun, mut before) = (lab.sim.now(), lab.copied_tracks());
        while !lab.is_copied() {
            lab.pass(SECOND);
            let copied = lab.copied_tracks() - before;
            before += copied;
            let over = per_second * 101 / 100 + 1;
            assert!(copied <= over, "{copied} in a second, {per_second} allowed, {options:?}");
            if !lab.is_copied() {
                assert!(copied * 100 >= per_second * 99, "{copied}, {options:?}");
                assert_eq!(lab.speed().held_by, HeldBy::Ceiling);
                let shown = lab.speed().tracks_per_second;
                assert!((shown - per_second as f64).abs() <= per_second as f64 / 50.0, "{shown}");
            }
        }
        let history = lab.sim.unit().history(&HistoryQuery::default());
        let ended = history.entries.iter().map(|entry| entry.at).max().expect("entries");
        let took_ns = ended.ns_since(begun);
        // The first track does not wait.
        let expected_ns = (before - 1) * SECOND / per_second;
        let off_ns = took_ns.abs_diff(expected_ns);
        assert!(
            off_ns * 100 <= expected_ns,
            "{took_ns} ns, {expected_ns} ns expected, {options:?}"
        );
    };
    check(100, fast(1, Some("100/s")), None);
    check(300, fast(4, Some("300/s")), None);
    check(200, fast(1, Some("200/s")), Some(Load::reads(4, 10 * MS)));
    check(500, fast(8, Some("500/s")), Some(Load::reads(4, 10 * MS)));
    let slow = PairOptions { pace: Pace::SLOW, ..fast(1, Some("150/s")) };
    check(150, slow, None);
}

/// The hosts' mean and p99 with the copy stay within the target of those without, and the copy goes on
/// at the floor at least.
#[test]
fn added_latency_stays_below_its_target() {
    const TRACKS: u64 = 600;
    let check = |load: Load, lanes: u8, target: &str, target_ns: u64| {
        let alone = alone(TRACKS, load, 60 * SECOND);
        let mut lab = Lab::new(TRACKS, |_| ());
        lab.hosts(load);
        lab.pass(SECOND);
        lab.copy(fast(lanes, Some(target)));
        let begun = lab.sim.now();
        // A track each 100 ms, and what the lanes themselves take.
        let took_ns = lab.finish(TRACKS * 102 * MS);
        let with = lab.latency_since(begun);
        let what = format!("{load:?}, {lanes} lanes, {target}: {alone:?}, {with:?}");
        assert!(with.mean_ns <= alone.mean_ns + target_ns, "{what}");
        assert!(with.p99_ns <= alone.p99_ns + target_ns, "{what}");
        // Nobody is starved: the hosts get their answers as fast as before.
        let expected = alone.requests * took_ns / (60 * SECOND);
        assert!(with.requests * 100 >= expected * 90, "{what}: {expected} expected");
        let seen = lab.speed().hosts;
        assert!(seen.requests > 0 && seen.mean_ns() <= target_ns, "{seen:?}");
    };
    for load in [Load::reads(1, 5 * MS), Load::reads(4, 10 * MS), Load::reads(8, 5 * MS)] {
        for lanes in [1, 4] {
            check(load, lanes, "100us", 100_000);
            check(load, lanes, "500us", 500_000);
            check(load, lanes, "2ms", 2_000_000);
        }
    }
}

/// A target that is never missed costs the copy nothing; without hosts a target is no limit at all.
#[test]
fn a_target_that_is_not_missed_holds_nothing_back() {
    const TRACKS: u64 = 1_000;
    let took = |limit: Option<&str>, load: Option<Load>| {
        let mut lab = Lab::new(TRACKS, |_| ());
        load.into_iter().for_each(|load| lab.hosts(load));
        lab.copy(fast(1, limit));
        lab.finish(10 * SECOND)
    };
    let light = Load::reads(2, 20 * MS);
    assert_eq!(took(Some("10us"), None), took(None, None));
    let (with, without) = (took(Some("5ms"), Some(light)), took(None, Some(light)));
    assert!(with * 100 <= without * 101, "{with} ns, {without} ns without");
}

/// Hosts dirty the cache faster than it is destaged: copies go at the floor, and end all the same. They
/// are back as soon as the cache has room.
#[test]
fn write_pending_holds_copies_back_to_the_floor() {
    const TRACKS: u64 = 4_000;
    let mut lab = Lab::new(TRACKS, |config: &mut UnitConfig| config.destage_jobs = 1);
    lab.hosts(Load { hosts: 4, think_ns: MS, write_percent: 100 });
    lab.pass(SECOND);
    assert!(lab.sim.waiting_jobs() > 0, "the cache is full");
    lab.copy(fast(4, Some("800/s")));
    let before = lab.copied_tracks();
    lab.pass(5 * SECOND);
    let copied = lab.copied_tracks() - before;
    assert!((45..=51).contains(&copied), "{copied} tracks in 5 s");
    assert_eq!(lab.speed().held_by, HeldBy::WritePending);
    assert!((9.0..=11.0).contains(&lab.speed().tracks_per_second), "{:?}", lab.speed());
    lab.hosts_go();
    lab.pass(SECOND);
    assert!(!lab.is_copied());
    let before = lab.copied_tracks();
    lab.pass(SECOND / 2);
    let copied = lab.copied_tracks() - before;
    assert!((395..=405).contains(&copied), "{copied} tracks in half a second");
    assert_eq!(lab.speed().held_by, HeldBy::Ceiling);
}

/// Hosts that write all the time have tracks copied before they write; the copier gets its track each
/// 100 ms whatever they do.
#[test]
fn a_copy_under_constant_load_ends() {
    const TRACKS: u64 = 200;
    for write_percent in [0, 30, 100] {
        let mut lab = Lab::new(TRACKS, |_| ());
        lab.hosts(Load { hosts: 16, think_ns: 2 * MS, write_percent });
        lab.pass(SECOND);
        lab.copy(fast(2, Some("1us")));
        let took_ns = lab.finish(TRACKS * 102 * MS);
        // The last may have ended under its turn.
        let least = took_ns / (101 * MS) - 1;
        assert!(lab.copied_tracks() >= least, "{} of {least}", lab.copied_tracks());
    }
}

/// Held back by hosts, then they go: within seconds the copy is as fast as the drives let it be.
#[test]
fn a_copy_recovers_when_the_hosts_go() {
    const TRACKS: u64 = 20_000;
    let mut lab = Lab::new(TRACKS, |_| ());
    lab.hosts(Load::reads(4, 5 * MS));
    lab.copy(fast(1, Some("50us")));
    lab.pass(10 * SECOND);
    assert_eq!(lab.speed().held_by, HeldBy::Hosts);
    let held_back = lab.speed().tracks_per_second;
    assert!(held_back <= 30.0, "{held_back}");
    lab.hosts_go();
    let mut table = String::new();
    for seconds in [9, 3, 3, 3] {
        lab.pass(seconds * SECOND);
        let speed = lab.speed();
        let (rate, by) = (speed.tracks_per_second, speed.held_by);
        let _ = writeln!(table, "{seconds} s later {rate:>6.0} tracks a second, held by {by}");
    }
    insta::assert_snapshot!(table, @"
    9 s later     27 tracks a second, held by hosts
    3 s later     81 tracks a second, held by hosts
    3 s later    645 tracks a second, held by hosts
    3 s later    958 tracks a second, held by nothing
    ");
    // The hosts come back, and find what was learned: not one in a hundred is late.
    let before = lab.speed().hosts;
    lab.hosts(Load::reads(4, 5 * MS));
    lab.pass(3 * SECOND);
    let speed = lab.speed();
    let [late, requests] = [speed.hosts.late - before.late, speed.hosts.requests - before.requests];
    assert!(late * 100 <= requests, "{late} of {requests}");
    assert!(speed.tracks_per_second <= 2.0 * held_back.max(10.0), "{speed:?}");
}

#[test]
fn a_limit_is_changed_while_the_copy_goes_on() {
    const TRACKS: u64 = 20_000;
    let mut lab = Lab::new(TRACKS, |_| ());
    lab.copy(fast(1, Some("10/s")));
    let mut table = String::new();
    for limit in [Some("10/s"), Some("400/s"), Some("1/s"), None, Some("100/s"), Some("1s")] {
        let (unit, now) = (lab.sim.unit(), lab.sim.now());
        unit.change_pace(PRIMARY, SECONDARY, fast(1, limit), now).unwrap();
        // What waits waits as long as it was to.
        lab.pass(SECOND);
        let before = lab.copied_tracks();
        lab.pass(3 * SECOND);
        let (copied, by) = (lab.copied_tracks() - before, lab.speed().held_by);
        let limit = limit.unwrap_or("none");
        let _ = writeln!(table, "{limit:>5} {copied:>5} tracks in 3 s, held by {by}");
    }
    insta::assert_snapshot!(table, @"
     10/s    30 tracks in 3 s, held by ceiling
    400/s  1200 tracks in 3 s, held by ceiling
      1/s     3 tracks in 3 s, held by ceiling
     none  2867 tracks in 3 s, held by nothing
    100/s   300 tracks in 3 s, held by ceiling
       1s  2867 tracks in 3 s, held by nothing
    ");
}

/// Tracks of the experiment.
const LAB_TRACKS: u64 = 500;

/// One copy under a load, as a row of the table.
fn row(name: &str, load: Load, pace: Pace, limit: Option<&str>, lanes: u8) -> String {
    let mut lab = Lab::new(LAB_TRACKS, |_| ());
    lab.hosts(load);
    lab.pass(SECOND);
    lab.copy(PairOptions { pace, ..fast(lanes, limit) });
    let begun = lab.sim.now();
    lab.pass(SECOND / 4);
    let held_by = lab.held_by();
    let took = (SECOND / 4 + lab.finish(60 * SECOND)) as f64 / SECOND as f64;
    let Latency { mean_ns, p99_ns, .. } = lab.latency_since(begun);
    let (mean, p99, before_write) = (mean_ns / 1_000, p99_ns / 1_000, lab.pair().protected_tracks);
    let limit = limit.unwrap_or("-");
    format!(
        "{name:<11} {pace:<6} {limit:<6} {lanes:>5} {took:>9.1} {mean:>10} {p99:>9} \
         {before_write:>13}  {held_by}\n"
    )
}

/// Pace x limit x load: what hosts wait, and how long the copy takes. A small experiment of the kind
/// that a user of the simulation does.
#[test]
fn what_each_pace_and_limit_costs_whom() {
    let loads = [
        ("none", Load { hosts: 0, think_ns: MS, write_percent: 0 }),
        ("light reads", Load::reads(2, 20 * MS)),
        ("heavy reads", Load::reads(8, 8 * MS)),
        ("mixed", Load { hosts: 4, think_ns: 10 * MS, write_percent: 30 }),
    ];
    let mut table = String::from(
        "load        pace   limit  lanes  copy (s)  mean (us)  p99 (us)  before-write  held by\n",
    );
    for (name, load) in loads {
        let quiet = alone(LAB_TRACKS, load, 20 * SECOND);
        let (mean, p99) = (quiet.mean_ns / 1_000, quiet.p99_ns / 1_000);
        let _ = writeln!(table, "{name:<11} no copy                       {mean:>10} {p99:>9}");
        for (pace, limit, lanes) in [
            (Pace::SLOW, None, 1),
            (Pace::MEDIUM, None, 1),
            (Pace::FAST, None, 1),
            (Pace::FAST, None, 4),
            (Pace::FAST, Some("200/s"), 4),
            (Pace::FAST, Some("200us"), 4),
            (Pace::FAST, Some("2ms"), 4),
        ] {
            table += &row(name, load, pace, limit, lanes);
        }
    }
    insta::assert_snapshot!(table, @"
    load        pace   limit  lanes  copy (s)  mean (us)  p99 (us)  before-write  held by
    none        no copy                                0         0
    none        slow   -          1       1.2          0         0             0  pace
    none        medium -          1       0.7          0         0             0  pace
    none        fast   -          1       0.5          0         0             0  nothing
    none        fast   -          4       0.3          0         0             0  nothing
    none        fast   200/s      4       2.5          0         0             0  ceiling
    none        fast   200us      4       0.3          0         0             0  nothing
    none        fast   2ms        4       0.3          0         0             0  nothing
    light reads no copy                              471       834
    light reads slow   -          1       1.2        532       995             0  pace
    light reads medium -          1       0.7        612      1126             0  pace
    light reads fast   -          1       0.5        621      1305             0  nothing
    light reads fast   -          4       0.3        877      1800             0  nothing
    light reads fast   200/s      4       2.5        505      1148             0  ceiling
    light reads fast   200us      4      15.9        475       875             0  hosts
    light reads fast   2ms        4       0.3        877      1800             0  nothing
    heavy reads no copy                              600      1510
    heavy reads slow   -          1       1.3        707      1828             0  pace
    heavy reads medium -          1       0.8        772      1929             0  pace
    heavy reads fast   -          1       0.6        837      1959             0  nothing
    heavy reads fast   -          4       0.4       2419      4202             0  nothing
    heavy reads fast   200/s      4       2.5        655      1707             0  ceiling
    heavy reads fast   200us      4      34.2        599      1521             0  hosts
    heavy reads fast   2ms        4       1.2        736      2067             0  hosts
    mixed       no copy                              455      2300
    mixed       slow   -          1       1.2        651      2809            62  pace
    mixed       medium -          1       0.7        729      3065            40  pace
    mixed       fast   -          1       0.6        768      3348            29  nothing
    mixed       fast   -          4       0.3       2158      4805            16  nothing
    mixed       fast   200/s      4       1.9        661      2884           114  ceiling
    mixed       fast   200us      4       9.4        537      2408           338  hosts
    mixed       fast   2ms        4       2.1        657      2768           119  hosts
    ");
}
