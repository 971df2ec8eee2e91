//! What hosts may do with each volume of a pair, by its status, and what that does to the maps.

use crate::bench::{Bench, PRIMARY, SECONDARY, STATUSES};
use diptych_cha::HostReply;
use std::fmt::Write as _;

#[test]
fn host_access_by_status() {
    let mut text = String::new();
    for (status, reach) in STATUSES {
        let mut bench = Bench::new();
        reach(&mut bench);
        let before = bench.shown();
        let mut row = format!("{status:<29}");
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
    insta::assert_snapshot!(text);
}

/// A format is a change like any other, and defines what was undefined.
#[test]
fn formats_by_status() {
    let mut text = String::new();
    for (status, reach) in STATUSES {
        for (side, ldev) in [("primary", PRIMARY), ("secondary", SECONDARY)] {
            let mut bench = Bench::new();
            reach(&mut bench);
            let done = bench.format(ldev) == HostReply::Done;
            let may = if done { "formatted" } else { "refused" };
            writeln!(text, "{status:<29} {side:<9} {may:<9} -> {}", bench.shown()).unwrap();
        }
    }
    insta::assert_snapshot!(text);
}
