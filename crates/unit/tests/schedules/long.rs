//! A week by the hour, and ten years by the day, over volumes of maps.

use crate::bench::*;
use diptych_testkit::ldev;
use diptych_unit::{HistoryFilter, HistoryQuery, Rotation, Scope};
use std::ops::RangeInclusive;

/// Entries of the history with these codes.
fn entries(bench: &Bench, codes: RangeInclusive<u16>) -> usize {
    let query =
        HistoryQuery { filters: vec![HistoryFilter::Code(codes)], ..HistoryQuery::default() };
    bench.unit().history(&query).entries.len()
}

#[test]
fn a_week_of_hours_nights_and_sundays() {
    let mut bench = Bench::of_maps(16);
    let of = |secondaries: RangeInclusive<u8>, images| {
        let secondaries = secondaries.map(ldev).collect();
        let primary = ldev(0);
        Scope::Rotation(Rotation { primary, secondaries, images })
    };
    let hours = bench.add(of(1..=5, 4), cron("@hourly"));
    let nights = bench.add(of(6..=13, 7), cron("0 2 * * *"));
    let sundays = bench.add(of(14..=16, 2), cron("0 4 * * SUN"));
    for hour in 0..7 * 24 {
        bench.write(0, hour % TRACKS);
        bench.pass(HOUR);
    }
    bench.pass(SECOND);
    let shown = |id| {
        let series = bench.series(id);
        let times = series.iter().map(|image| {
            assert!(image.complete);
            format!("{} in {}\n", image.utc, image.secondary)
        });
        times.collect::<String>()
    };
    insta::assert_snapshot!(shown(hours), @"
    2026-02-06T08:00:00Z in 00:04
    2026-02-06T09:00:00Z in 00:05
    2026-02-06T10:00:00Z in 00:01
    2026-02-06T11:00:00Z in 00:02
    2026-02-06T12:00:00Z in 00:03
    ");
    insta::assert_snapshot!(shown(nights), @"
    2026-01-31T02:00:00Z in 00:06
    2026-02-01T02:00:00Z in 00:07
    2026-02-02T02:00:00Z in 00:08
    2026-02-03T02:00:00Z in 00:09
    2026-02-04T02:00:00Z in 00:0A
    2026-02-05T02:00:00Z in 00:0B
    2026-02-06T02:00:00Z in 00:0C
    ");
    insta::assert_snapshot!(shown(sundays), @"2026-02-01T04:00:00Z in 00:0E");
    assert_eq!(entries(&bench, 4000..=4000), 7 * 24 + 7 + 1);
    assert_eq!(entries(&bench, 4100..=4999), 0, "nothing was passed over or missed");
}

#[test]
fn ten_years_of_nights() {
    let mut bench = Bench::of_maps(8);
    let id = bench.add(rotation(8, 7), cron("0 2 * * *"));
    for _ in 0..10 {
        bench.write(0, 1);
        bench.pass(365 * DAY);
    }
    let days: Vec<_> = bench.series(id).iter().map(|image| image.utc.to_string()).collect();
    insta::assert_snapshot!(days.join("\n"), @"
    2036-01-21T02:00:00Z
    2036-01-22T02:00:00Z
    2036-01-23T02:00:00Z
    2036-01-24T02:00:00Z
    2036-01-25T02:00:00Z
    2036-01-26T02:00:00Z
    2036-01-27T02:00:00Z
    2036-01-28T02:00:00Z
    ");
    assert_eq!(entries(&bench, 4000..=4000), 3_650);
    assert_eq!(entries(&bench, 4100..=4999), 0);
}
