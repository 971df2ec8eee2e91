//! Drives, and what was asked of them.

use super::BLOCK;
use super::text::{Kind, Labels, Text, seconds};
use crate::management::App;

pub(super) fn drives(app: &App, text: &mut Text) {
    let drives = app.rt.plant().drives();
    let all: Vec<_> = drives.list().collect();
    let (counter, gauge) = (Kind::Counter, Kind::Gauge);
    let mut each =
        |name, kind, help: &str, value: &dyn Fn(diptych_format::DriveNo, u64) -> String| {
            let mut family = text.family(name, kind, help);
            for (drive, dka, sectors) in &all {
                family.sample(&[("drive", drive), ("dka", dka)], value(*drive, *sectors));
            }
        };
    each("diptych_drive_size_bytes", gauge, "Size of the drive.", &|_, sectors| {
        (sectors * BLOCK).to_string()
    });
    each("diptych_drive_under_way", gauge, "Reads and writes under way.", &|drive, _| {
        drives.counts(drive).under_way.to_string()
    });
    let help = "Whether it is asked for nothing any more, because a request timed out.";
    each("diptych_drive_fenced", gauge, help, &|drive, _| {
        u8::from(drives.is_fenced(drive)).to_string()
    });
    each("diptych_drive_failed_total", counter, "Requests that failed.", &|drive, _| {
        drives.counts(drive).failed.to_string()
    });
    let help = "How long requests took together; of several at once, each counts.";
    each("diptych_drive_busy_seconds_total", counter, help, &|drive, _| {
        seconds(app.rt.drive_time_ns(drive))
    });
    let mut family =
        text.family("diptych_drive_operations_total", counter, "Requests to the drive.");
    for (drive, dka, _) in &all {
        let counts = drives.counts(*drive);
        for (kind, count) in
            [("read", counts.reads), ("write", counts.writes), ("flush", counts.flushes)]
        {
            let labels: Labels<'_> = &[("drive", drive), ("dka", dka), ("kind", &kind)];
            family.sample(labels, count);
        }
    }
    let help = "Bytes that were asked for, check areas among them.";
    let mut family = text.family("diptych_drive_bytes_total", counter, help);
    for (drive, dka, _) in &all {
        let counts = drives.counts(*drive);
        for (kind, bytes) in [("read", counts.read_bytes), ("write", counts.written_bytes)] {
            let labels: Labels<'_> = &[("drive", drive), ("dka", dka), ("kind", &kind)];
            family.sample(labels, bytes);
        }
    }
}
