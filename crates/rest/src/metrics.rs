//! `/metrics`: what there is to count, as Prometheus reads it (text format 0.0.4).
//!
//! Names end in their unit, counters in `_total`. What is shown is asked for when it is read; nothing is
//! counted here.

use crate::management::App;
use diptych_cha::{OpKind, Traffic};
use diptych_format::BLOCK_BYTES;
use std::fmt::{Display, Write};

const BLOCK: u64 = BLOCK_BYTES as u64;

/// What a family of samples is.
#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// The text as it grows.
#[derive(Default)]
struct Text(String);

/// Labels of a sample, in their order.
type Labels<'a> = &'a [(&'a str, &'a dyn Display)];

impl Text {
    /// Begins a family.
    fn family(&mut self, name: &'static str, kind: Kind, help: &str) -> Family<'_> {
        let word = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.put(format_args!("# HELP {name} {help}\n# TYPE {name} {word}\n"));
        Family { text: self, name }
    }

    fn one(&mut self, name: &'static str, kind: Kind, help: &str, value: impl Display) {
        self.family(name, kind, help).sample(&[], value);
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        // A string takes whatever it is given.
        let _ = self.0.write_fmt(text);
    }
}

struct Family<'a> {
    text: &'a mut Text,
    name: &'static str,
}

impl Family<'_> {
    fn sample(&mut self, labels: Labels<'_>, value: impl Display) {
        let label = |(name, value): &(&str, &dyn Display)| {
            let value = value.to_string().replace('\\', "\\\\").replace('"', "\\\"");
            format!("{name}=\"{}\"", value.replace('\n', "\\n"))
        };
        let labels: Vec<String> = labels.iter().map(label).collect();
        let name = self.name;
        match labels.is_empty() {
            true => self.text.put(format_args!("{name} {value}\n")),
            false => self.text.put(format_args!("{name}{{{}}} {value}\n", labels.join(","))),
        }
    }
}

/// All of it.
pub(crate) fn text(app: &App) -> String {
    let mut text = Text::default();
    unit(app, &mut text);
    cache(app, &mut text);
    log(app, &mut text);
    volumes(app, &mut text);
    pairs(app, &mut text);
    channels(app, &mut text);
    text.0
}

fn unit(app: &App, text: &mut Text) {
    let rt = &app.rt;
    let up = u8::from(!rt.is_stopped() && rt.unit().log_failure().is_none());
    text.one("diptych_up", Kind::Gauge, "Whether the unit answers hosts.", up);
    let seconds = rt.now().ns as f64 / 1e9;
    text.one("diptych_uptime_seconds", Kind::Gauge, "Since the unit was started.", seconds);
    let next = rt.unit().history(&diptych_unit::HistoryQuery::newest(0)).next;
    let help = "Entries of the history, ever.";
    text.one("diptych_history_entries_total", Kind::Counter, help, next.saturating_sub(1));
}

fn cache(app: &App, text: &mut Text) {
    let counts = app.rt.unit().cache_counts();
    let gauges: [(&'static str, &str, usize); 5] = [
        ("diptych_cache_slots", "Slots that hold a track.", counts.slots),
        ("diptych_cache_dirty_slots", "Slots that are not on the drives yet.", counts.dirty_slots),
        ("diptych_cache_failed_slots", "Slots whose destage failed.", counts.failed_slots),
        ("diptych_cache_buffers", "Buffers in use or promised.", counts.buffers),
        ("diptych_cache_waiters", "Jobs that wait for room in the cache.", counts.waiters),
    ];
    for (name, help, value) in gauges {
        text.one(name, Kind::Gauge, help, value);
    }
    let counters: [(&'static str, &str, u64); 3] = [
        ("diptych_cache_hits_total", "Reads that found all blocks.", counts.hits),
        ("diptych_cache_misses_total", "Reads that did not.", counts.misses),
        ("diptych_cache_evictions_total", "Slots that had to go.", counts.evictions),
    ];
    for (name, help, value) in counters {
        text.one(name, Kind::Counter, help, value);
    }
}

fn log(app: &App, text: &mut Text) {
    let Some(log) = app.rt.plant().log() else { return };
    let usage = log.usage();
    let sizes: [(&'static str, &str, u64); 3] = [
        ("diptych_log_size_bytes", "Size of the log.", usage.capacity_sectors),
        ("diptych_log_used_bytes", "What of the log is taken.", usage.used_sectors),
        ("diptych_log_promised_bytes", "Room promised to jobs.", usage.promised_sectors),
    ];
    for (name, help, sectors) in sizes {
        text.one(name, Kind::Gauge, help, sectors * BLOCK);
    }
    let help = "Jobs that wait for room in the log.";
    text.one("diptych_log_waiters", Kind::Gauge, help, usage.waiters);
    let help = "How often a job had to wait for room in the log.";
    text.one("diptych_log_waits_total", Kind::Counter, help, usage.log_waits);
}

fn volumes(app: &App, text: &mut Text) {
    let (unit, names) = (app.rt.unit(), app.names());
    let volumes = unit.volumes();
    let mut each = |name, help: &str, value: &dyn Fn(&diptych_shared::Volume) -> u64| {
        let mut family = text.family(name, Kind::Gauge, help);
        for volume in &volumes {
            let called = names.get(&volume.ldev).map_or("", String::as_str);
            family.sample(&[("ldev", &volume.ldev), ("name", &called)], value(volume));
        }
    };
    each("diptych_volume_size_bytes", "Size of the volume.", &|v| v.geometry.block_count() * BLOCK);
    each("diptych_volume_stored_bytes", "Tracks that have storage, in bytes.", &|v| {
        v.allocated.count() * v.geometry.track_bytes() as u64
    });
    each("diptych_volume_blocked", "Whether hosts are kept off it by a failure.", &|v| {
        u64::from(v.state == diptych_shared::VolumeState::Blocked)
    });
    each("diptych_volume_undefined", "Whether its contents mean nothing.", &|v| {
        u64::from(v.undefined)
    });
    let now = app.rt.now();
    each("diptych_volume_in_use", "Whether a host uses it.", &|v| {
        u64::from(unit.is_in_use(v.ldev, now))
    });
    let mut drives = text.family("diptych_drive_size_bytes", Kind::Gauge, "Size of the drive.");
    for (drive, dka_no, sectors) in app.rt.plant().drives().list() {
        drives.sample(&[("drive", &drive), ("dka", &dka_no)], sectors * BLOCK);
    }
}

fn pairs(app: &App, text: &mut Text) {
    let unit = app.rt.unit();
    let pairs = unit.pairs();
    let track_bytes = |pair: &diptych_shared::Pair| {
        unit.volume(pair.primary).map_or(0, |volume| volume.geometry.track_bytes() as u64)
    };
    let mut each = |name, kind, help: &str, value: &dyn Fn(&diptych_shared::Pair) -> u64| {
        let mut family = text.family(name, kind, help);
        for pair in &pairs {
            let labels: Labels<'_> = &[("primary", &pair.primary), ("secondary", &pair.secondary)];
            family.sample(labels, value(pair));
        }
    };
    let (counter, gauge) = (Kind::Counter, Kind::Gauge);
    each("diptych_pair_tracks", gauge, "Tracks of each volume.", &|pair| pair.c.track_count());
    each("diptych_pair_left_tracks", gauge, "Tracks still to be copied.", &|pair| pair.c.count());
    let help = "Tracks of the primary changed since the image.";
    each("diptych_pair_primary_changed_tracks", gauge, help, &|pair| pair.dp.count());
    let help = "Tracks of the secondary changed since the image.";
    each("diptych_pair_secondary_changed_tracks", gauge, help, &|pair| pair.ds.count());
    let help = "Tracks that cannot be read.";
    each("diptych_pair_unreadable_tracks", gauge, help, &|pair| pair.unreadable.count());
    let help = "Tracks copied since the pair was created.";
    each("diptych_pair_copied_tracks_total", counter, help, &|pair| pair.copied_tracks);
    let help = "Tracks copied before a host's write.";
    each("diptych_pair_protected_tracks_total", counter, help, &|pair| pair.protected_tracks);
    let help = "Bytes copied inside the unit, which crossed no host channel.";
    each("diptych_pair_copied_bytes_total", counter, help, &|pair| {
        pair.copied_tracks * track_bytes(pair)
    });
    let help = "Whether this is the status of the pair.";
    let mut family = text.family("diptych_pair_status", Kind::Gauge, help);
    for pair in &pairs {
        let status = pair.shown_as().to_lowercase();
        let labels: Labels<'_> =
            &[("primary", &pair.primary), ("secondary", &pair.secondary), ("status", &status)];
        family.sample(labels, 1);
    }
}

/// What the channels of logical units carried.
fn channels(app: &App, text: &mut Text) {
    let Some(scsi) = &app.scsi else { return };
    let adapter = scsi.target.adapter();
    let counts = adapter.counters();
    let mut each = |name, help: &str, value: &dyn Fn(Traffic) -> u64| {
        let mut family = text.family(name, Kind::Counter, help);
        for kind in OpKind::ALL {
            family.sample(&[("cha", &adapter.no()), ("kind", &kind)], value(counts.of(kind)));
        }
    };
    each("diptych_channel_operations_total", "Operations of SCSI hosts.", &|t| t.operations);
    each("diptych_channel_in_bytes_total", "Bytes from SCSI hosts.", &|t| t.bytes_in);
    each("diptych_channel_out_bytes_total", "Bytes to SCSI hosts.", &|t| t.bytes_out);
    let help = "Operations that failed.";
    text.one("diptych_channel_failed_total", Kind::Counter, help, counts.failed);
    let lus = adapter.with_lu_map(|map| map.iter().collect::<Vec<_>>());
    let mut family = text.family("diptych_lu_info", Kind::Gauge, "Which volume a path leads to.");
    for (path, ldev) in lus {
        let port = path.target();
        family.sample(&[("port", &port), ("lun", &path.lun), ("ldev", &ldev)], 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples() {
        let mut text = Text::default();
        text.one("a_total", Kind::Counter, "Of a.", 3);
        let mut family = text.family("b", Kind::Gauge, "Of b.");
        family.sample(&[("x", &1), ("y", &"a \"word\" \\\n")], 0.5);
        family.sample(&[], 2);
        insta::assert_snapshot!(text.0, @r#"
        # HELP a_total Of a.
        # TYPE a_total counter
        a_total 3
        # HELP b Of b.
        # TYPE b gauge
        b{x="1",y="a \"word\" \\\n"} 0.5
        b 2
        "#);
    }
}
