//! `/metrics`: what there is to count, as Prometheus reads it (text format 0.0.4).
//!
//! | what | file |
//! |---|---|
//! | the unit, its cache and its log | here |
//! | volumes | `volumes.rs` |
//! | drives | `drives.rs` |
//! | pairs | `pairs.rs` |
//! | connections, ports, paths | `channels.rs` |
//! | the text format | `text.rs` |
//!
//! Names end in their unit, counters in `_total`. What is shown is asked for when it is read; nothing is
//! counted here. `docs/rest.md` lists all of them.

mod channels;
mod drives;
mod pairs;
mod text;
mod volumes;

use crate::management::App;
use diptych_format::BLOCK_BYTES;
use text::{Kind, Text};

const BLOCK: u64 = BLOCK_BYTES as u64;

/// All of it.
pub(crate) fn text(app: &App) -> String {
    let mut text = Text::default();
    unit(app, &mut text);
    cache(app, &mut text);
    log(app, &mut text);
    volumes::volumes(app, &mut text);
    drives::drives(app, &mut text);
    pairs::pairs(app, &mut text);
    channels::connections(app, &mut text);
    if let Some(scsi) = &app.scsi {
        channels::ports(scsi, &mut text);
    }
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
